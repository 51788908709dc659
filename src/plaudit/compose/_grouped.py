"""Statistics inside groups, and the operand through which a combinator learns which samples belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.compose._parts import GROUP, Floats, Mask
from plaudit.errors import DataError
from plaudit.records import group_digest
from plaudit.reward import Facts, Reward, combined
from plaudit.types import FAILED, SCORED, Context, Sample, Verdicts

Index = NDArray[np.intp]


@dataclass(frozen=True)
class GroupNumber(Reward):
    """A number that is the same for samples of one group and different between groups; its part ``size`` counts the samples.

    It is no reward of its own: a combinator that works inside groups takes it as an operand, so that it sees whole groups only
    and an incomplete group is FAILED. The number is 53 bits of a digest of the group's name.

    >>> numbers = GroupNumber()([Sample("a", "1"), Sample("b", "1"), Sample("a", "2")])
    >>> bool(numbers[0] == numbers[2] != numbers[1])
    True
    """

    @property
    def name(self) -> str:
        """``"group"``."""
        return GROUP

    @property
    def facts(self) -> Facts:
        """Group scope; inline."""
        reads = frozenset({"prompt", "group"})
        return Facts(range=(0.0, 2.0**53), scope="group", reads=reads, parts=("size",))

    def score_batch(self, samples: Sequence[Sample], context: Context) -> Verdicts:
        """The number of each sample's group."""
        names = [group_digest(s.prompt) if s.group is None else s.group for s in samples]
        known = {name: _number(name) for name in set(names)}
        numbers = np.array([known[name] for name in names], dtype=np.float64)
        _, index = np.unique(numbers, return_inverse=True)
        sizes = np.bincount(index)[index].astype(np.float64)
        return Verdicts(numbers, parts={"size": Verdicts(sizes)})


def _number(name: str) -> float:
    return float(int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 11)


def group_rows(groups: Sequence[Any] | NDArray[Any], length: int) -> Index:
    """(n,) group numbers from 0 on, from labels of any kind. Raises DataError when there are not `length` of them."""
    labels = np.asarray(groups)
    if labels.shape != (length,):
        raise DataError(f"groups has shape {labels.shape}: expected ({length},), a label for each sample")
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def group_sum(values: Floats, index: Index, mask: Mask) -> Floats:
    """(n,) the sum over the masked rows of each sample's group, at each sample."""
    if not len(values):
        return np.zeros(0)
    return np.asarray(np.bincount(index, np.where(mask, values, 0.0))[index], dtype=np.float64)


def group_mean(values: Floats, index: Index, mask: Mask) -> Floats:
    """(n,) the mean over the masked rows of each sample's group; NaN = the group has none."""
    count = group_sum(np.ones(len(values)), index, mask)
    return np.where(count > 0, group_sum(values, index, mask) / np.maximum(count, 1.0), np.nan)


def group_std(values: Floats, index: Index, mask: Mask) -> Floats:
    """(n,) the standard deviation (divided by k) over the masked rows of each sample's group; NaN = the group has none.

    Exactly 0 where all masked values of the group are equal, whatever rounding does to their mean.
    """
    mean = group_mean(values, index, mask)
    std = np.sqrt(group_mean((values - mean) ** 2, index, mask))
    if not len(values):
        return std
    low, high = np.full(index.max() + 1, np.inf), np.full(index.max() + 1, -np.inf)
    np.minimum.at(low, index[mask], values[mask])
    np.maximum.at(high, index[mask], values[mask])
    return np.where((low == high)[index] & ~np.isnan(std), 0.0, std)


def group_combined(operands: Mapping[str, Verdicts], values: Floats, scored: Mask) -> Verdicts:
    """Columns of a whole that was worked out inside groups: without its whole group, a sample is FAILED ``group_incomplete``.

    A gate above asks for some rows only. What is computed from them would silently be a value of a smaller group, so such rows
    are refused.
    """
    group = operands[GROUP]
    whole = combined(operands, np.where(scored, values, 0.0), scored)
    cut = np.zeros(len(values), dtype=bool)
    rows = np.flatnonzero(group.codes == SCORED)
    if rows.size:
        _, index, counts = np.unique(group.values[rows], return_inverse=True, return_counts=True)
        cut[rows] = counts[index] < group.parts["size"].values[rows]
    lost = group.codes == FAILED
    if not (cut | lost).any():
        return whole
    whole.codes, whole.values, whole.reason = whole.codes.copy(), whole.values.copy(), list(whole.reason)
    whole.explanation = list(whole.explanation or [None] * len(values))
    whole.codes[cut | lost], whole.values[cut | lost] = FAILED, np.nan
    for i in np.flatnonzero(cut | lost).tolist():
        whole.reason[i] = group.reason[i] if lost[i] else "group_incomplete"
        if cut[i]:
            whole.explanation[i] = "only a part of the group was asked for: put the gate inside this combination, not around it"
    return whole


def index_of(group: Verdicts) -> Index:
    """(n,) group numbers from 0 on from the column of `GroupNumber`; samples without one share a group of their own."""
    return np.unique(np.where(group.codes == SCORED, group.values, -1.0), return_inverse=True)[1].astype(np.intp)
