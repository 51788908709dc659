"""Reward models on a policy's own hidden states and log-probabilities, judged by what they pick out of eight answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.reproduce import Progress, Trial, experiment

if TYPE_CHECKING:
    from plaudit.learned import FeatureRows, TrainingSet
    from plaudit.types import Sample

N = 8
PROBLEMS = 256
_CLAIM = "Mining Intrinsic Rewards from LLM Hidden States for Efficient Best-of-N Sampling"
_CHOICES = (
    ("gated linear, log-probabilities", "statistics", "gated_linear"),
    ("gated linear, states and log-probabilities", "both", "gated_linear"),
    ("linear on pooled log-probabilities", "statistics", "linear"),
    ("mlp on pooled log-probabilities", "statistics", "mlp"),
    ("soft minimum, log-probabilities", "statistics", "soft_minimum"),
)


@experiment(
    systems=[116],
    claim=f"A light head on what a policy computes anyway picks better answers than its majority vote ({_CLAIM}).",
    seeds=(0, 1, 2),
    seconds=100,
    smoke=0.15,
)
def hidden_state_reward_model(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Best-of-8 of the head that validation chose, minus the majority vote; control: the same head on shuffled labels."""
    drawn = _drawn(seed, scale, progress)
    found = _picks(drawn, _CHOICES, seed, progress)
    best = max(found, key=lambda name: found[name]["validation"])
    shuffled = _picks(drawn, [choice for choice in _CHOICES if choice[0] == best], seed, progress, shuffle=True)[best]
    rules = _rules(drawn, found[best]["scores"])
    return Trial(
        effect=found[best]["best_of_8"] - rules["majority vote"],
        control=shuffled["best_of_8"] - rules["majority vote"],
        unit="accuracy of the pick",
        details={"chosen": best, **rules, **{name: _rounded(row) for name, row in found.items()}},
    )


@experiment(
    systems=[116],
    claim=f"A gated linear head on hidden states alone picks better answers than the mean log-probability ({_CLAIM}).",
    seeds=(0, 1, 2),
    seconds=100,
    smoke=0.15,
)
def hidden_states_beat_logprob(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Best-of-8 of the gated head on the last layer's states, minus the mean log-probability's; control: shuffled labels."""
    drawn = _drawn(seed, scale, progress)
    choices = [
        ("gated linear, states", "states", "gated_linear"), ("linear on pooled states", "states", "linear"),
        ("mlp on pooled states", "states", "mlp"),
    ]  # fmt: skip
    found = _picks(drawn, choices, seed, progress)
    shuffled = _picks(drawn, choices[:1], seed, progress, shuffle=True)["gated linear, states"]
    rules = _rules(drawn, found["gated linear, states"]["scores"])
    return Trial(
        effect=found["gated linear, states"]["best_of_8"] - rules["mean log-probability"],
        control=shuffled["best_of_8"] - rules["mean log-probability"],
        unit="accuracy of the pick",
        details={**rules, **{name: _rounded(row) for name, row in found.items()}},
    )


@experiment(
    systems=[116],
    claim=f"The gate over all tokens picks better than the mean over tokens, on the same features ({_CLAIM}).",
    seeds=(0, 1, 2, 3, 4, 5),
    seconds=200,
    smoke=0.15,
)
def gate_over_tokens(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Gated minus mean-pooled best-of-8, both linear, on each token's embedding times the state before it; control: shuffled."""
    drawn = _drawn(seed, scale, progress)
    choices = [
        ("gated linear, products", "products", "gated_linear"), ("linear on pooled products", "products", "linear"),
    ]  # fmt: skip
    found, shuffled = (_picks(drawn, choices, seed, progress, shuffle=shuffle) for shuffle in (False, True))
    gated, pooled = (name for name, _, _ in choices)
    return Trial(
        effect=found[gated]["best_of_8"] - found[pooled]["best_of_8"],
        control=shuffled[gated]["best_of_8"] - shuffled[pooled]["best_of_8"],
        unit="accuracy of the pick",
        details={**_rules(drawn, found[gated]["scores"]), **{name: _rounded(row) for name, row in found.items()}},
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """Answers to some problems, 8 to each: samples, which are right (n,), and their features by kind."""

    samples: list[Sample]
    right: NDArray[np.float64]
    rows: Mapping[str, FeatureRows]


@dataclass(frozen=True, eq=False)
class _Drawn:
    training: _Part
    validation: _Part
    test: _Part


def _drawn(seed: int, scale: float, progress: Progress) -> _Drawn:
    """Fresh answers of the arithmetic policy; the test problems are of the evaluation split."""
    from plaudit.learned import HiddenFeatures
    from plaudit.types import Sample
    from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy

    policy = load_policy("arithmetic")
    features = HiddenFeatures("world:arithmetic", layers=(0, -1), logprobs=True)
    parts = []
    for k, (name, split) in enumerate((("training", "training"), ("validation", "training"), ("test", "evaluation"))):
        progress(f"answers: {name}", k / 6)
        size = max(16, round(PROBLEMS * scale / (2 if name == "validation" else 1)))
        problems = arithmetic_problems(size, seed=10 * seed + k, split="evaluation" if split == "evaluation" else "training")
        answers = policy.sample([p.prompt for p in problems], n=N, seed=10 * seed + k)
        samples = [
            Sample(p.prompt, c.text, p.answer, tokens=c.tokens) for p, group in zip(problems, answers, strict=True) for c in group
        ]
        rows = features.rows(samples)
        parts.append(_Part(samples, ArithmeticAnswer()(samples), _kinds(rows)))
    return _Drawn(*parts)


def _kinds(rows: FeatureRows) -> dict[str, FeatureRows]:
    """The features by kind, out of one reading with the embedding (0), the last layer (-1) and the statistics."""
    from plaudit.learned import FeatureRows

    none = np.zeros((len(rows), 0), np.float32)
    d = (rows.widths[0] - 3) // 2
    embedding, state, statistics = rows.tokens[:, :d], rows.tokens[:, d : 2 * d], rows.tokens[:, 2 * d :]
    before = np.concatenate([np.zeros((1, d), np.float32), state[:-1]])
    before[rows.starts[rows.lengths > 0]] = 0.0  # the state before the first token belongs to the prompt
    return {
        "states": FeatureRows(state, rows.lengths, none),
        "products": FeatureRows(embedding * before, rows.lengths, none),
        "statistics": FeatureRows(statistics, rows.lengths, rows.whole),
        "both": FeatureRows(np.concatenate([state, statistics], axis=1), rows.lengths, rows.whole),
    }


def _picks(drawn: _Drawn, choices: Any, seed: int, progress: Progress, *, shuffle: bool = False) -> dict[str, dict[str, Any]]:
    """For each (name, features, head): test scores, best-of-8 and AUCs, with the loss that is better on validation."""
    from plaudit.learned import LOSSES, Head, Training, fit_head, score_rows

    random = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for k, (name, kind, head_kind) in enumerate(choices):
        progress(f"{name}{', shuffled' if shuffle else ''}", 0.5 + 0.5 * k / len(choices))
        tried = []
        for loss in LOSSES:
            head, settings = Head(head_kind), Training(loss=loss, seed=seed)
            labels, truth = drawn.training.right, drawn.validation.right
            if shuffle:  # what stops the training and chooses the loss must know nothing either
                labels, truth = random.permutation(labels), random.permutation(truth)
            training, rows = _distinct(drawn.training, labels, kind)
            valid, valid_rows = _distinct(drawn.validation, truth, kind)
            weights = fit_head(head, *_joined(rows, training, valid_rows, valid), settings=settings).weights
            validation = score_rows(head, weights, drawn.validation.rows[kind])
            tried.append((best_of(validation, truth), loss, score_rows(head, weights, drawn.test.rows[kind])))
        best, loss, scores = max(tried, key=lambda row: row[0])
        right = drawn.test.right
        found[name] = {
            "best_of_8": best_of(scores, right), "validation": best, "loss": loss, "scores": scores,
            "auc": _auc(scores, right), "auc_within": within_auc(scores, right, drawn.test.samples),
        }  # fmt: skip
    return found


def _distinct(part: _Part, labels: NDArray[np.float64], kind: str) -> tuple[TrainingSet, FeatureRows]:
    """The distinct answers with their labels, and their features in the same order."""
    from plaudit.learned import training_labels

    data = training_labels(part.samples, labels)
    first: dict[tuple[str, str], int] = {}
    for k, sample in enumerate(part.samples):
        first.setdefault((str(sample.prompt), str(sample.response)), k)
    return data, part.rows[kind].take([first[str(s.prompt), str(s.response)] for s in data.samples])


def _joined(rows: FeatureRows, training: TrainingSet, valid_rows: FeatureRows, valid: TrainingSet) -> tuple[Any, Any, Any]:
    """Rows, training targets and validation targets over one list of responses."""
    from plaudit.learned import Targets, concatenate_rows

    n, m = len(rows), len(valid_rows)
    one, two = training.targets, valid.targets
    nothing = np.full(max(n, m), np.nan, np.float32)
    weight, group = np.ones(n + m, np.float32), np.concatenate([one.group, two.group + one.group.max() + 1])
    return (
        concatenate_rows([rows, valid_rows]),
        Targets(one.pairs, one.margin, one.pair_weight, np.concatenate([one.labels, nothing[:m]]), weight, group),
        Targets(two.pairs + n, two.margin, two.pair_weight, np.concatenate([nothing[:n], two.labels]), weight, group),
    )


def best_of(scores: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """The share of problems whose highest-scored answer is right; -inf where there is no score.

    >>> best_of(np.array([0.1, 0.9] + [0.0] * 6), np.array([1.0, 0.0] + [0.0] * 6))
    0.0
    """
    places = np.where(np.isfinite(scores), scores, -np.inf).reshape(-1, N).argmax(1)
    return float(right.reshape(-1, N)[np.arange(len(places)), places].mean())


def within_auc(scores: NDArray[np.float64], right: NDArray[np.float64], samples: list[Sample]) -> float:
    """The mean, over problems with both, of the share of (right, wrong) pairs of distinct texts in the right order."""
    shares = []
    for first in range(0, len(scores), N):
        texts = {str(samples[k].response): k for k in range(first, first + N)}
        places = np.array(list(texts.values()))
        good, bad = scores[places[right[places] > 0.5]], scores[places[right[places] < 0.5]]
        if len(good) and len(bad):
            shares.append(float(np.mean((good[:, None] > bad) + 0.5 * (good[:, None] == bad))))
    return float(np.mean(shares)) if shares else 0.5


def _auc(scores: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    from plaudit.stats import auc

    known = np.isfinite(scores)
    return float(auc(scores[known], right[known] > 0.5))


def _rules(drawn: _Drawn, scores: NDArray[np.float64]) -> dict[str, float]:
    """What picking without a reward model gets, and the vote that is weighted by one."""
    part = drawn.test
    logprob = part.rows["statistics"].whole
    chance = 1 / (1 + np.exp(-(scores - np.nanmean(scores))))
    return {
        "pass@1": float(part.right.mean()),
        "majority vote": _vote(part, np.ones(len(scores))),
        "weighted vote": _vote(part, np.nan_to_num(chance)),
        "mean log-probability": best_of(logprob[:, 0].astype(np.float64), part.right),
        "lowest log-probability": best_of(logprob[:, 3].astype(np.float64), part.right),
        "oracle": float(part.right.reshape(-1, N).max(1).mean()),
    }


def _vote(part: _Part, weight: NDArray[np.float64]) -> float:
    """The share of problems whose answer of most weight is right; the first such answer where several have as much."""
    from plaudit.text import hashed_answer

    hits = []
    for first in range(0, len(weight), N):
        votes: dict[str, float] = defaultdict(float)
        place: dict[str, int] = {}
        for k in range(first, first + N):
            found = hashed_answer(str(part.samples[k].response))
            answer = found.text.strip() if found is not None else f"none {k}"
            votes[answer] += float(weight[k])
            place.setdefault(answer, k)
        hits.append(part.right[place[max(votes, key=lambda a: votes[a])]])
    return float(np.mean(hits))


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items() if name != "scores"}
