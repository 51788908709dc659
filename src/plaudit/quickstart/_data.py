"""The quickstart on a user's own candidates: score them, train a reward model on text, pick with it, fool it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from plaudit.errors import DataError
from plaudit.learned import Head, RewardModel, TextFeatures, training_labels
from plaudit.learned import Training as HeadTraining
from plaudit.quickstart._fooling import fool
from plaudit.quickstart._results import Picking, Quickstart, Say, Scored, silent
from plaudit.records import Rejected, read_samples, write_rejected
from plaudit.reward import Reward
from plaudit.search import selection_curve
from plaudit.stress import PROSE_EDITS, any_of
from plaudit.types import Sample, Verdicts

MOST_ANSWERS = 16


def quickstart_on(
    data: str | Path,
    reward: Reward,
    folder: str | Path,
    *,
    spec: str = "reward.yaml",
    encoder: str = "encoder:minilm",
    seed: int = 0,
    say: Say = silent,
) -> Quickstart:
    """Score candidates, train a reward model on the text of half of the prompts, pick and fool on the other half.

    Args:
        data: rows of candidates, several to a prompt.
        reward: what they are worth.
        folder: ``reward-model/``, ``rejected.jsonl`` and the report are written there.
        spec: how a command names the reward.
        encoder: address of the text encoder.

    Raises DataError when fewer than four prompts have two candidates that were scored.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    say("Scoring", None, str(data))
    rejected: list[Rejected] = []
    samples = [row.sample for row in read_samples(data, on_reject=rejected.append)]
    notes = []
    if rejected:
        write_rejected(folder, rejected)
        rows = "1 row" if len(rejected) == 1 else f"{len(rejected):,} rows"
        notes.append(f"{rows} could not be read: see {folder / 'rejected.jsonl'}, which says what was expected.")
    kept, verdicts, left_out = _equal_groups(samples, reward.score(samples))
    if left_out:
        rest = "1 candidate is" if left_out == 1 else f"{left_out:,} candidates are"
        notes.append(f"{rest} left out: not scored, or more or fewer to their prompt than to most.")
    n = len(kept) // len(dict.fromkeys(sample.group for sample in kept))
    found = Quickstart(folder, Scored(kept, n, verdicts, reward, spec), notes=notes)
    found.seconds["scoring"] = time.monotonic() - began
    began = time.monotonic()
    found.picking = _picking(found.scored, folder, encoder, seed, say)
    found.seconds["reward model"] = time.monotonic() - began
    began = time.monotonic()
    say("Fooling the reward model", None, "edits of worse answers")
    found.fooling = fool(found.picking, reward, found.scored, PROSE_EDITS, any_of(PROSE_EDITS), (), seed)
    found.seconds["fooling"] = time.monotonic() - began
    return found


def _equal_groups(samples: Sequence[Sample], verdicts: Verdicts) -> tuple[list[Sample], Verdicts, int]:
    """Whole groups of one size, those of a group behind one another; and how many samples are left out."""
    groups: dict[str, list[int]] = {}
    for k, sample in enumerate(samples):
        if np.isfinite(verdicts.values[k]):
            groups.setdefault(sample.group if sample.group is not None else str(sample.prompt), []).append(k)
    sizes = Counter(min(len(members), MOST_ANSWERS) for members in groups.values() if len(members) > 1)
    if sum(sizes.values()) < 4:
        raise DataError(
            f"{len(groups):,} prompts were scored, {sum(sizes.values())} of them with two candidates or more: expected at least "
            "4 prompts with several candidates each, as rows of one prompt or as `completions`"
        )
    # The size that keeps most candidates.
    n = max(range(2, MOST_ANSWERS + 1), key=lambda size: size * sum(count for s, count in sizes.items() if s >= size))
    places = [k for members in groups.values() if len(members) >= n for k in members[:n]]
    names = {k: name for name, members in groups.items() for k in members}
    kept = [replace(samples[k], group=names[k]) for k in places]
    return kept, verdicts.take(np.array(places)), len(samples) - len(kept)


def _picking(scored: Scored, folder: Path, encoder: str, seed: int, say: Say) -> Picking:
    began = time.monotonic()
    n = scored.per_group
    groups = np.random.default_rng(seed).permutation(len(scored.samples) // n)
    half = len(groups) // 2
    seen, test = ((np.sort(part)[:, None] * n + np.arange(n)).ravel() for part in (groups[:half], groups[half:]))
    say("Training a reward model", None, f"on the text of {len(seen):,} candidates")
    values = scored.verdicts.values
    low, high = values.min(), values.max()
    labels = (values - low) / (high - low) if high > low else np.zeros_like(values)
    data = training_labels([scored.samples[k] for k in seen.tolist()], labels[seen].tolist(), seed=seed)
    trained = RewardModel.fit(data, TextFeatures(encoder), Head("mlp"), HeadTraining(seed=seed))
    trained.save(folder / "reward-model", overwrite=True)
    model = RewardModel.load(folder / "reward-model")
    say("Picking the best of N", None, f"among the candidates of the other {len(test) // n} prompts")
    held = [scored.samples[k] for k in test.tolist()]
    scores = model.score(held).values.reshape(-1, n)
    odds = RewardModel.load(folder / "reward-model", output="probability").score(held).values.reshape(-1, n)
    answers = [[scored.verdicts[k].answer or _text(scored.samples[k]) for k in row] for row in test.reshape(-1, n).tolist()]
    curves = selection_curve(
        values[test].reshape(-1, n), answers, {"reward model": scores}, {"weighted": odds},
        ns=sorted({*(2**k for k in range(5) if 2**k <= n), n}), seed=seed,
    )  # fmt: skip
    measured = [(m.name, m.value, m.low, m.high) for m in trained.measured]
    words, took, shares = (
        f"an MLP on sentence embeddings ({encoder})",
        time.monotonic() - began,
        bool(np.isin(values, (0, 1)).all()),
    )
    return Picking(model, words, curves, measured, test, took, shares)


def _text(sample: Sample) -> str | None:
    return sample.response.strip() or None if isinstance(sample.response, str) else None
