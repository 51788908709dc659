"""Advantages of samples among those of the same prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError

Normalization = Literal["std", "mean", "leave_one_out", "batch_std"]

LARGEST = 1e100
"""The largest reward, regardless of sign: squares of differences stay finite."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupReport:
    """What was found in each of g groups; groups are in the order of their labels.

    Fields:
        index: (n,) int64 number of each sample's group.
        size: (g,) int64 samples of the group.
        scored: (g,) int64 those that have a reward.
        mean: (g,) float64 mean of the scored rewards; NaN = none is scored.
        std: (g,) float64 their standard deviation, by the `ddof` of the call; NaN = fewer than 1 + ddof are scored.
        flat: (g,) bool: at least one sample is scored and all scored rewards are equal, so nothing can be learned from it.
    """

    index: NDArray[np.int64]
    size: NDArray[np.int64]
    scored: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    flat: NDArray[np.bool_]

    @property
    def flat_share(self) -> float:
        """The share of the groups with a reward that have no variance; NaN = no group has one."""
        groups = int(np.count_nonzero(self.scored))
        return float(np.count_nonzero(self.flat) / groups) if groups else float("nan")

    @property
    def flat_samples(self) -> NDArray[np.bool_]:
        """(n,) whether the sample's group is flat."""
        return self.flat[self.index]


def group_advantage(
    rewards: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    normalize: Normalization = "std",
    *,
    ddof: Literal[0, 1] = 1,
    epsilon: float = 1e-6,
) -> tuple[NDArray[np.float64], GroupReport]:
    """How much better each sample is than the others of its group, and what was found in the groups.

    With r the reward, m and s the mean and standard deviation of the scored rewards of its group, k of them:

    - ``"std"``: ``(r - m) / (s + epsilon)`` (GRPO).
    - ``"mean"``: ``r - m`` (Dr. GRPO: no weight on prompts that are nearly always or nearly never solved).
    - ``"leave_one_out"``: r minus the mean of the *other* scored rewards, ``(r - m) * k / (k - 1)`` (RLOO).
    - ``"batch_std"``: ``(r - m) / (S + epsilon)``, S the standard deviation of all scored rewards of the call.

    A sample that is not scored enters no mean, standard deviation or baseline. A group without variance (also one with a single
    scored sample) gives 0 everywhere, exactly, whatever rounding does to its mean.

    Args:
        rewards: (n,) one for each sample, in any unit; NaN = not scored.
        groups: (n,) labels, numbers or text; groups may be of any sizes, and in any order.
        normalize: see above.
        ddof: 1 = the standard deviation of a sample (divides by k - 1), as trainers take it; 0 = divides by k.
        epsilon: added to a standard deviation, in the unit of the rewards.

    Returns (n,) float64 advantages, NaN where the sample is not scored, and the report.

    Raises DataError for shapes that do not fit, an infinite reward (with its row) or an unknown normalization.

    Source: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models" (GRPO); "Understanding
    R1-Zero-Like Training: A Critical Perspective" (Dr. GRPO); "Back to Basics: Revisiting REINFORCE Style Optimization for
    Learning from Human Feedback in LLMs" (RLOO).

    >>> advantages, report = group_advantage([1.0, 0.0, np.nan, 0.5, 0.5], ["a", "a", "a", "b", "b"], "mean")
    >>> advantages, report.flat
    (array([ 0.5, -0.5, nan, 0. , 0. ]), array([False, True]))
    """
    values, index = _checked(rewards, groups)
    if normalize not in NORMALIZATIONS:
        raise DataError(f"normalize is {normalize!r}: expected one of {', '.join(NORMALIZATIONS)}")
    if ddof not in (0, 1) or not epsilon >= 0:
        raise DataError(f"ddof is {ddof!r}, epsilon {epsilon!r}: expected 0 or 1, and a number from 0 on")
    table = _table(values, index, ddof)
    advantages = NORMALIZATIONS[normalize](table, epsilon)
    advantages[table.report.flat_samples] = 0.0
    advantages[~table.is_scored] = np.nan
    return advantages, table.report


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Rewards beside what their groups came to.

    Fields:
        values: (n,) rewards, 0 where there is none. is_scored: (n,). centred: (n,) rewards minus their group's mean.
    """

    values: NDArray[np.float64]
    is_scored: NDArray[np.bool_]
    centred: NDArray[np.float64]
    report: GroupReport
    ddof: int

    def of_sample(self, column: NDArray[Any]) -> NDArray[Any]:
        """(n,) a column of the groups, at each sample."""
        return column[self.report.index]


def _by_std(table: _Table, epsilon: float) -> NDArray[np.float64]:
    return _divided(table.centred, table.of_sample(table.report.std) + epsilon)


def _by_nothing(table: _Table, epsilon: float) -> NDArray[np.float64]:
    return table.centred.copy()


def _by_the_others(table: _Table, epsilon: float) -> NDArray[np.float64]:
    scored = table.of_sample(table.report.scored).astype(np.float64)
    return _divided(table.centred * scored, scored - 1)


def _by_batch_std(table: _Table, epsilon: float) -> NDArray[np.float64]:
    scored = table.values[table.is_scored]
    spread = float(scored.std(ddof=table.ddof)) if len(scored) > table.ddof else 0.0
    return _divided(table.centred, np.full(len(table.values), spread + epsilon))


NORMALIZATIONS: dict[str, Callable[[_Table, float], NDArray[np.float64]]] = {
    "std": _by_std,
    "mean": _by_nothing,
    "leave_one_out": _by_the_others,
    "batch_std": _by_batch_std,
}
"""The ways to normalize, by name: from the rewards and their groups to advantages; flat and unscored rows are filled in after."""


def _divided(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    # Rows with nothing below belong to flat groups, or their rewards are so close that squares of differences vanish.
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _table(values: NDArray[np.float64], index: NDArray[np.int64], ddof: int) -> _Table:
    g = int(index.max()) + 1 if len(index) else 0
    is_scored = ~np.isnan(values)
    filled = np.where(is_scored, values, 0.0)
    size, scored = np.bincount(index, minlength=g), np.bincount(index, is_scored, minlength=g).astype(np.int64)
    low, high = np.full(g, np.inf), np.full(g, -np.inf)
    np.minimum.at(low, index, np.where(is_scored, values, np.inf))
    np.maximum.at(high, index, np.where(is_scored, values, -np.inf))
    # Equal rewards, found as such: their mean is rounded, and the tiny differences to it would be blown up.
    flat = (scored > 0) & (low == high)
    mean = np.full(g, np.nan)
    np.divide(np.bincount(index, filled, minlength=g), scored, out=mean, where=scored > 0)
    centred = np.where(is_scored, filled - mean[index], 0.0)
    std = np.full(g, np.nan)
    np.divide(np.bincount(index, centred * centred, minlength=g), scored - ddof, out=std, where=scored > ddof)
    std = np.where(flat & (scored > ddof), 0.0, np.sqrt(std))
    return _Table(filled, is_scored, centred, GroupReport(index, size, scored, mean, std, flat), ddof)


def _checked(rewards: ArrayLike, groups: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The rewards as float64, and the number of each sample's group."""
    try:
        values = np.asarray(rewards, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"rewards are no numbers ({error}): expected (n,) floats, NaN = not scored") from error
    labels = np.asarray(groups)
    if values.ndim != 1 or labels.shape != values.shape:
        raise DataError(f"rewards have shape {values.shape}, groups {labels.shape}: expected (n,) and (n,)")
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if large.size:
        row = int(large[0])
        raise DataError(f"rewards[{row}] is {values[row]}: expected a number up to {LARGEST:g}, or NaN for a sample without one")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise DataError(f"groups[{int(np.flatnonzero(np.isnan(labels))[0])}] is NaN: expected a label for every sample")
    if labels.dtype.kind not in "iufbU" and len(labels):
        row = next((k for k, label in enumerate(labels.tolist()) if not isinstance(label, str)), 0)
        raise DataError(f"groups[{row}] is {labels[row]!r:.80}: expected a number or text as the label of every sample")
    return values, _numbered(labels)


def _numbered(labels: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) place of each label among the distinct ones in order."""
    if labels.dtype.kind == "U":
        # A dictionary finds equal texts several times faster than sorting all of them does.
        names = labels.tolist()
        numbers = {name: k for k, name in enumerate(sorted(set(names)))}
        return np.fromiter((numbers[name] for name in names), np.int64, len(names))
    if labels.dtype.kind in "iu" and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if high - low < 4 * len(labels) + 16:
            # Dense numbers need no sort: half the time of a million samples.
            shifted = labels.astype(np.int64) - low
            place = np.cumsum(np.bincount(shifted) > 0) - 1
            return np.asarray(place[shifted], dtype=np.int64)
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64).reshape(len(labels))
