"""How good scores are on held-out data, beside what a rule without a model gets there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.learned._fit import Targets, pair_accuracy
from plaudit.stats import auc, bootstrap_interval, wilson_interval
from plaudit.text import final_text
from plaudit.types import Sample


@dataclass(frozen=True, slots=True)
class Measured:
    """How often the better response scored more.

    Fields:
        name: of the scores: ``"reward model"``, ``"longer wins"``, ``"prompt-blind"``.
        metric: ``"accuracy"`` on pairs (a tie counts 1/2), or ``"auc"`` on labels where no prompt has both.
        value: between 0 and 1; 0.5 = chance.
        low, high: 95% bootstrap interval over prompts.
        n: pairs or responses.
        prompts: prompts that they belong to.
    """

    name: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    prompts: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def measure(name: str, scores: NDArray[np.float64], targets: Targets) -> Measured | None:
    """Accuracy on the pairs, or AUC on the labels where there are no pairs; None when there is nothing to compare.

    >>> from plaudit.learned._fit import targets_of_pairs
    >>> measure("coin", np.array([1.0, 0.0]), targets_of_pairs(np.array([[0, 1]]), 2)).value
    1.0
    """
    if len(targets.pairs):
        right = pair_accuracy(scores, targets.pairs)
        group = targets.group[targets.pairs[:, 0]]
        low, high = _interval(right, group)
        return Measured(name, "accuracy", float(right.mean()), low, high, len(right), len(np.unique(group)))
    there = np.isfinite(targets.labels)
    good = targets.labels[there] > 0.5
    if good.all() or not good.any():
        return None
    table = np.stack([scores[there], good.astype(np.float64)], axis=1)
    group = targets.group[there]

    def statistic(rows: NDArray[np.float64]) -> float:
        one = rows[:, 1] > 0.5
        return float("nan") if one.all() or not one.any() else float(auc(rows[:, 0], one))

    low, high = np.clip(bootstrap_interval(table, statistic, groups=group, vectorised=False, resamples=500), 0.0, 1.0).tolist()
    return Measured(name, "auc", statistic(table), low, high, len(table), len(np.unique(group)))


def _interval(right: NDArray[np.float64], group: NDArray[np.int64]) -> tuple[float, float]:
    """95% interval of a share, bootstrapped over prompts; where all are alike, which a bootstrap cannot widen, Wilson's."""
    value, prompts = float(right.mean()), len(np.unique(group))
    if value in (0.0, 1.0):
        return tuple(wilson_interval(round(value * prompts), prompts))  # type: ignore[return-value]
    low, high = np.clip(bootstrap_interval(right, groups=group), 0.0, 1.0).tolist()  # one prompt alone says nothing
    return low, high


def lengths_of(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(n,) characters of the responses' final texts: the scores of "longer wins"."""
    return np.array([len(final_text(sample) or "") for sample in samples], dtype=np.float64)


def components(pairs: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """(n,) a number for each response, the same for responses that pairs connect.

    >>> components(np.array([[0, 1], [2, 3], [1, 4]]), 5).tolist()
    [0, 0, 2, 2, 0]
    """
    parent = list(range(n))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for a, b in pairs.tolist():
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    return np.array([root(k) for k in range(n)], dtype=np.int64)
