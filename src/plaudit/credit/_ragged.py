"""Ragged batches: values one after the other, with the offsets at which each row begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import LARGEST
from plaudit.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LONG = 64
"""From this length on a row is worth a call of its own: 15,000 calls at most for a million values."""

BLOCK = 1 << 15
"""Values worked on at a time: what is made on the way stays in a core's cache, which is most of the time of a large batch."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The layout of b rows with n values: row i has ``values[offsets[i] : offsets[i + 1]]``.

    Fields:
        offsets: (b + 1,) int64. lengths: (b,) int64.
    """

    offsets: Ints
    lengths: Ints

    @cached_property
    def row(self) -> Ints:
        """(n,) row of each value."""
        return np.repeat(np.arange(self.count, dtype=np.int64), self.lengths)

    @property
    def count(self) -> int:
        return len(self.lengths)

    @property
    def size(self) -> int:
        return int(self.offsets[-1])

    @property
    def place(self) -> Ints:
        """(n,) place of each value in its row, from 0."""
        found: Ints = np.arange(self.size, dtype=np.int64) - self.spread(self.offsets[:-1])
        return found

    @property
    def first(self) -> Ints:
        """Index of the first value of each row that has one."""
        return self.offsets[:-1][self.lengths > 0]

    @property
    def last(self) -> Ints:
        """Index of the last value of each row that has one."""
        return self.offsets[1:][self.lengths > 0] - 1

    def spread(self, column: NDArray[Any]) -> NDArray[Any]:
        """(n,) a column of the rows, at each value."""
        return np.repeat(column, self.lengths)

    def reduce(self, ufunc: np.ufunc, values: NDArray[Any], empty: float = 0.0) -> NDArray[Any]:
        """(b,) sum, minimum, maximum, product of each row; `empty` where it has no values."""
        has = self.lengths > 0
        found = np.full(self.count, empty, values.dtype)
        if has.any():
            # Empty rows are left out: reduceat would give them the value that comes next.
            found[has] = ufunc.reduceat(values, self.offsets[:-1][has])
        return found

    def mean(self, values: Floats) -> Floats:
        """(b,) mean of each row; NaN where it has no values."""
        means = np.full(self.count, np.nan)
        np.divide(self.reduce(np.add, values), self.lengths, out=means, where=self.lengths > 0)
        return means

    def accumulate(self, ufunc: np.ufunc, values: NDArray[Any], reverse: bool = False) -> NDArray[Any]:
        """(n,) running sum, minimum, maximum of each row, from its begin or (`reverse`) from its end.

        Every row is accumulated by itself: a difference of sums over the whole batch would carry the rounding of large
        values from one row into all that follow.
        """
        out = np.empty_like(values)
        for i in np.flatnonzero(self.lengths >= LONG).tolist():
            begin, end = self.offsets[i], self.offsets[i + 1]
            if reverse:
                ufunc.accumulate(values[begin:end][::-1], out=out[begin:end][::-1])
            else:
                ufunc.accumulate(values[begin:end], out=out[begin:end])
        for rows, width in self._short():
            steps = np.arange(width)
            at = self.offsets[rows + 1][:, None] - 1 - steps if reverse else self.offsets[rows][:, None] + steps
            # What is read beyond a short row comes after all its own values, and is never written.
            with np.errstate(over="ignore", invalid="ignore"):
                table = ufunc.accumulate(values[np.clip(at, 0, self.size - 1)], axis=1)
            own = steps < self.lengths[rows][:, None]
            out[at[own]] = table[own]
        return out

    def shifted(self, values: NDArray[Any], by: int, fill: float) -> NDArray[Any]:
        """(n,) the value `by` places later in the same row (earlier, if negative); `fill` where the row has none."""
        if by == -1 and self.size:
            out = np.empty_like(values)
            out[1:] = values[:-1]
            out[self.first] = fill
            return out
        out = np.full(self.size, fill, values.dtype)
        if 0 < abs(by) < self.size:
            low, high = slice(None, -abs(by)), slice(abs(by), None)
            to, source = (low, high) if by > 0 else (high, low)
            out[to] = np.where(self.row[to] == self.row[source], values[source], fill)
        return out

    def in_blocks(
        self, of_rows: Callable[..., Floats], columns: tuple[NDArray[Any], ...], rows: tuple[NDArray[Any], ...] = ()
    ) -> Floats:
        """(n,) what a function that treats every row by itself gives, called on blocks of whole rows.

        Args:
            of_rows: takes the layout of a block, its part of each of the (n,) `columns` and of each of the (b,) `rows`.
        """
        out = np.empty(self.size)
        i = 0
        while i < self.count:
            # At least one row, and else as many as fit.
            j = max(i + 1, int(np.searchsorted(self.offsets, self.offsets[i] + BLOCK, "right")) - 1)
            begin, end = int(self.offsets[i]), int(self.offsets[j])
            block = Rows(self.offsets[i : j + 1] - begin, self.lengths[i:j])
            out[begin:end] = of_rows(block, *(c[begin:end] for c in columns), *(r[i:j] for r in rows))
            i = j
        return out

    def _short(self) -> Iterator[tuple[Ints, int]]:
        """Rows below LONG, by power of two of their length, so that a table of them is at least half full."""
        width = 2
        while width <= LONG:
            rows = np.flatnonzero((self.lengths >= width // 2) & (self.lengths < width))
            if rows.size:
                yield rows, int(self.lengths[rows].max())
            width *= 2


def rows_of(offsets: ArrayLike, n: int, name: str = "offsets", of: str = "values") -> Rows:
    """The layout behind offsets; raises DataError unless they run from 0 to n without a step back."""
    try:
        starts = np.asarray(offsets)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are no numbers ({error}): expected (rows + 1,) integers") from error
    if starts.ndim != 1 or len(starts) < 1 or starts.dtype.kind not in "iu":
        raise DataError(f"{name} have shape {starts.shape} and type {starts.dtype}: expected (rows + 1,) integers")
    starts = starts.astype(np.int64)
    if starts[0] != 0 or starts[-1] != n:
        raise DataError(f"{name} run from {starts[0]} to {starts[-1]}: expected 0 to {n}, the number of {of}")
    lengths = np.diff(starts)
    back = np.flatnonzero(lengths < 0)
    if back.size:
        i = int(back[0])
        raise DataError(f"{name}[{i}:{i + 2}] are {starts[i]} and {starts[i + 1]}: row {i} would end before it begins")
    return Rows(starts, lengths)


def numbers(values: ArrayLike, name: str, *, length: int | None = None, of: str = "", complete: bool = False) -> Floats:
    """(n,) float64; raises DataError for another shape or length, infinities, and NaN where it must be `complete`."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are no numbers ({error}): expected (n,) floats") from error
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "(n,)" if length is None else f"({length},), one for each {of}"
        raise DataError(f"{name} have shape {array.shape}: expected {wanted}")
    if not array.size or (array.max() <= LARGEST and array.min() >= -LARGEST):
        return array  # without a pass that makes arrays: NaN fails both comparisons
    bad = np.flatnonzero(~(np.abs(array) <= LARGEST) if complete else np.abs(array) > LARGEST)
    if bad.size:
        also = "" if complete else ", or NaN where there is none"
        raise DataError(f"{name}[{int(bad[0])}] is {array[bad[0]]}: expected a number up to {LARGEST:g}{also}")
    return array


def probabilities(values: ArrayLike, name: str, *, length: int | None = None, of: str = "") -> Floats:
    """`numbers` that lie in [0, 1], or are NaN."""
    array = numbers(values, name, length=length, of=of)
    bad = np.flatnonzero((array < 0) | (array > 1))
    if bad.size:
        raise DataError(f"{name}[{int(bad[0])}] is {array[bad[0]]}: expected a number from 0 to 1, or NaN where there is none")
    return array


def positive(value: float, name: str, *, zero: bool = False) -> float:
    """A finite number above 0 (or from 0 on)."""
    number = value if isinstance(value, (int, float)) else float("nan")
    if not (0 < number <= LARGEST or (zero and number == 0)):
        raise DataError(f"{name} is {value!r}: expected a finite number {'from 0 on' if zero else 'above 0'}")
    return float(value)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The scored values of a ragged batch, as though the others were not there.

    Fields:
        values: (m,) without NaN. rows: their layout, with the same b rows. kept: (n,) which of all values these are; None = all.
    """

    values: Floats
    rows: Rows
    kept: Bools | None

    @property
    def places(self) -> Bools | slice:
        """What picks the scored ones out of an (n,) array."""
        return slice(None) if self.kept is None else self.kept

    def restore(self, values: Floats) -> Floats:
        """(n,) with NaN at the places that were not scored."""
        if self.kept is None:
            return values
        out = np.full(len(self.kept), np.nan)
        out[self.kept] = values
        return out


def scored_in(values: ArrayLike, offsets: ArrayLike, name: str) -> Scored:
    """Check a ragged batch and take out the values that are not scored."""
    array = numbers(values, name)
    rows = rows_of(offsets, len(array), of=name)
    if not array.size or not np.isnan(array.max()):
        return Scored(array, rows, None)
    kept = ~np.isnan(array)
    places = np.concatenate([[0], np.cumsum(kept)])[rows.offsets]
    left = array[kept]
    return Scored(left, rows_of(places, len(left)), kept)


def returns_to_go(rewards: ArrayLike, offsets: ArrayLike, discount: float = 1.0) -> Floats:
    """What is still to come from each step on: ``G_t = r_t + discount * G_(t+1)``, row by row.

    Args:
        rewards: (n,) of steps or tokens, any unit; NaN = not scored: passed over as though it were not there.
        offsets: (b + 1,) where each row begins, and n.
        discount: in [0, 1].

    Returns (n,) in the unit of the rewards; NaN where the reward is.

    Raises DataError for infinite rewards, offsets that do not fit and a discount outside [0, 1].

    Source: "Reinforcement Learning: An Introduction".

    >>> returns_to_go([1.0, 0.0, 2.0, 5.0], [0, 3, 4])
    array([3., 2., 2., 5.])
    """
    if not 0 <= discount <= 1:
        raise DataError(f"discount is {discount!r}: expected a number from 0 to 1")
    scored = scored_in(rewards, offsets, "rewards")
    rows = scored.rows
    if discount == 1:
        return scored.restore(rows.accumulate(np.add, scored.values, reverse=True))
    # Doubling: after round k a value holds the discounted sum of the 2**k rewards from its place on.
    found, step, weight = scored.values.copy(), 1, float(discount)
    while step < int(rows.lengths.max(initial=0)) and weight > 0:
        found = found + weight * rows.shifted(found, step, 0.0)
        step, weight = 2 * step, weight * weight
    return scored.restore(found)
