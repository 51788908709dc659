"""Reward-model research on cached embeddings: ensembles of small heads, judged by a gold reward on best-of-N."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plaudit.reproduce import Progress, Trial, experiment

if TYPE_CHECKING:
    pass

HEADS = 10
CANDIDATES = 256
_CLAIM = "Reusing Embeddings: Reproducible Reward Model Research in Large Language Model Alignment without GPUs"


@experiment(
    systems=[183],
    claim=f"An ensemble of heads on cached embeddings picks better by the gold reward at large N than one head ({_CLAIM}).",
    seeds=tuple(range(8)),
    seconds=60,
    smoke=True,
)
def embedding_reward_model(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Gold reward of the best of 256 by the mean of ten heads, minus by one head (mean over the ten).

    10,000 synthetic embeddings, a gold reward that is linear with a bump, 25% of the labels wrong, candidates like the training
    data. Control: ten copies of one head in the place of ten heads.
    """
    from plaudit.learned import FeatureRows, Head, Training, fit_head, score_rows, targets_of_pairs

    world = _World(np.random.default_rng([seed, 7]))
    m = max(100, round(5_000 * scale))
    x = world.points(2 * m)
    pairs = world.noisy_pairs(x, 0.25)
    rows, head = FeatureRows.of_vectors(x), Head("mlp")
    questions = max(20, round(400 * scale))
    candidates = world.points(questions * CANDIDATES)
    wide = FeatureRows.of_vectors(candidates)
    scores = []
    for k in range(HEADS):
        progress(f"head {k + 1} of {HEADS}", k / HEADS)
        chosen = world.random.integers(0, m, m)  # a bootstrap sample of the pairs: heads differ by data and first weights
        targets = targets_of_pairs(pairs[chosen], 2 * m)
        weights = fit_head(head, rows, targets, settings=Training(epochs=5, seed=100 * seed + k)).weights
        scores.append(_standard(score_rows(head, weights, wide), score_rows(head, weights, rows)))
    gold = world.gold(candidates).reshape(questions, CANDIDATES)
    table = np.stack(scores).reshape(HEADS, questions, CANDIDATES)
    single = float(np.mean([_gold_of_pick(gold, one, CANDIDATES) for one in table]))
    worst, mean = _gold_of_pick(gold, table.min(0), CANDIDATES), _gold_of_pick(gold, table.mean(0), CANDIDATES)
    cautious = _gold_of_pick(gold, table.mean(0) - table.std(0), CANDIDATES)
    copies = _gold_of_pick(gold, np.stack([table[0]] * HEADS).mean(0), CANDIDATES) - _gold_of_pick(gold, table[0], CANDIDATES)
    sizes = [2**k for k in range(9)]
    return Trial(
        effect=mean - single,
        control=copies,
        unit="gold reward of the best of 256",
        details={
            "one head": single, "mean of ten": mean, "worst case of ten": worst, "mean minus deviation": cautious,
            "gold optimum": float(gold.max(1).mean()), "random pick": float(gold.mean()),
            "held-out accuracy of one head": _accuracy(world, table, gold),
        },
        curves={
            "one head": [float(np.mean([_gold_of_pick(gold, one, n) for one in table])) for n in sizes],
            "mean of ten": [_gold_of_pick(gold, table.mean(0), n) for n in sizes],
            "worst case of ten": [_gold_of_pick(gold, table.min(0), n) for n in sizes],
        },
    )  # fmt: skip


@experiment(
    systems=[183],
    claim=f"A head on frozen embeddings, trained on a CPU, ranks held-out pairs better than chance and length ({_CLAIM}).",
    seeds=(0, 1, 2),
    seconds=40,
    smoke=0.3,
)
def embedding_head(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Held-out accuracy of an MLP on sentence embeddings minus the better of 1/2 and "longer wins"; control: shuffled pairs.

    The world: which of two sentences is closer, by a gold direction in the space of the embeddings, to what it asks for.
    """
    from plaudit.learned import Head, TextFeatures, Training, train, training_pairs
    from plaudit.types import Pair, Sample

    random = np.random.default_rng([seed, 11])
    samples = [Sample("Tell me something.", text) for text in _sentences(round(600 * scale), random)]
    features = TextFeatures()
    vectors = features.rows(samples).whole
    progress("embedded", 0.5)
    gold = vectors[:, : vectors.shape[1] // 3] @ random.standard_normal(vectors.shape[1] // 3)
    order = random.permutation(len(samples))
    pairs = []
    for a, b in order[: len(order) // 2 * 2].reshape(-1, 2):
        better, worse = (a, b) if gold[a] > gold[b] else (b, a)
        pairs.append(Pair("Tell me something.", samples[better].response, samples[worse].response))
    swapped = [Pair(p.prompt, p.rejected, p.chosen) if random.random() < 0.5 else p for p in pairs]
    accuracies, length = [], 0.5
    for rows in (pairs, swapped):
        model = train(training_pairs(rows), features, Head("mlp"), Training(seed=seed), holdout=0.3)
        accuracies.append(model.measured[0].value)
        length = max(length, model.measured[1].value) if rows is pairs else length
    return Trial(
        effect=accuracies[0] - length,
        control=accuracies[1] - 0.5,
        unit="accuracy on held-out pairs",
        details={
            "accuracy": accuracies[0],
            "longer wins": length,
            "accuracy on shuffled pairs": accuracies[1],
            "pairs": len(pairs),
        },
    )


@dataclass(frozen=True, eq=False)
class _World:
    """Synthetic embeddings with a gold reward: linear along one direction, with a bump along another."""

    random: np.random.Generator
    d: int = 32

    def __post_init__(self) -> None:
        directions = np.linalg.qr(self.random.standard_normal((self.d, 2)))[0].T
        object.__setattr__(self, "directions", directions)

    def points(self, n: int) -> NDArray[np.float32]:
        return self.random.standard_normal((n, self.d)).astype(np.float32)

    def gold(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        linear, across = (x @ self.directions.T).T.astype(np.float64)  # type: ignore[attr-defined]
        return np.asarray(linear + 2.0 * np.exp(-((across - 1.0) ** 2)))

    def noisy_pairs(self, x: NDArray[np.float32], wrong: float) -> NDArray[np.int64]:
        pairs = np.arange(len(x), dtype=np.int64).reshape(-1, 2)
        gold = self.gold(x)
        flip = (gold[pairs[:, 0]] < gold[pairs[:, 1]]) ^ (self.random.random(len(pairs)) < wrong)
        return np.where(flip[:, None], pairs[:, ::-1], pairs)


def _standard(scores: NDArray[np.float64], training: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of one head on the scale of its own training scores, so that heads can be compared."""
    return np.asarray((scores - training.mean()) / training.std())


def _gold_of_pick(gold: NDArray[np.float64], scores: NDArray[np.float64], n: int) -> float:
    """The mean gold reward of the first n candidates' best one by score."""
    picks = scores[:, :n].argmax(1)
    return float(gold[np.arange(len(gold)), picks].mean())


def _accuracy(world: _World, table: NDArray[np.float64], gold: NDArray[np.float64]) -> float:
    """How often one head orders two candidates as the gold reward does."""
    return float(np.mean([(np.diff(one[:, :2]) > 0) == (np.diff(gold[:, :2]) > 0) for one in table]))


_SUBJECTS = (
    "The old sailor",
    "A small dog",
    "My neighbour",
    "The judge",
    "Our teacher",
    "A tired nurse",
    "The robot",
    "Her brother",
)
_VERBS = ("painted", "lost", "bought", "studied", "repaired", "forgot", "described", "hid", "admired", "sold")
_OBJECTS = (
    "the wooden boat", "a letter", "three apples", "the theorem", "an old clock", "the city map", "a violin",
    "the broken chair", "some bread", "a garden",
)  # fmt: skip
_PLACES = (
    "by the sea",
    "in the morning",
    "at school",
    "after the storm",
    "without a word",
    "in Paris",
    "for a friend",
    "last winter",
)


def _sentences(n: int, random: np.random.Generator) -> list[str]:
    """n different short sentences."""
    lists = (_SUBJECTS, _VERBS, _OBJECTS, _PLACES)
    total = int(np.prod([len(words) for words in lists]))
    places = np.unravel_index(random.choice(total, n, replace=False), [len(words) for words in lists])
    return [" ".join(words[k] for words, k in zip(lists, row, strict=True)) + "." for row in zip(*places, strict=True)]
