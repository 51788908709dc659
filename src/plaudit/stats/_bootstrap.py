"""Bootstrap intervals of any statistic, over rows or over groups of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError
from plaudit.stats._arrays import Floats, level_of, matrix
from plaudit.stats._distributions import normal_cdf, normal_quantile
from plaudit.stats._intervals import Interval

Statistic = Callable[[Floats], ArrayLike]

_CELLS = 2_000_000  # numbers held at a time: resamples are drawn in windows of this size
_MOST_BLOCKS = 1_000  # of the jackknife


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic | Literal["mean"] = "mean",
    *,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
    groups: ArrayLike | None = None,
    resamples: int = 2_000,
    vectorised: bool = True,
    seed: int = 0,
) -> Interval:
    """The bootstrap interval of a statistic of n rows.

    Args:
        values: (n,) or (n, k) finite; rows are drawn together, so columns may be paired (a score and its label).
        statistic: "mean" (of one column), or a function of resamples (r, n) or (r, n, k) that gives (r,).
        level: the confidence level.
        method: "percentile", or "bca" (bias-corrected and accelerated), which stays right for skewed statistics.
        groups: (n,) labels; rows of one label are drawn together, for values that are not independent (answers to one prompt).
        resamples: how many times it is drawn anew.
        vectorised: False when `statistic` takes one resample, (n,) or (n, k), and gives one number.
        seed: the same seed gives the same interval.

    One row, or one group, says nothing about its own spread: the interval is then infinite. A resample whose statistic is NaN (a
    correlation of constants) is left out; when all are, the interval is NaN. Raises DataError for an empty array, NaN, and a
    statistic of the wrong shape.

    Source: "Better Bootstrap Confidence Intervals" (Efron); "An Introduction to the Bootstrap" (Efron and Tibshirani).

    >>> bootstrap_interval([0.5, 0.5, 0.5])
    Interval(low=0.5, high=0.5)
    >>> low, high = bootstrap_interval(np.arange(100.0), lambda v: np.median(v, axis=-1), method="bca")
    >>> low < 49.5 < high
    True
    """
    data = matrix(values)
    level = level_of(level)
    if resamples < 1:
        raise DataError(f"resamples is {resamples}: expected at least 1")
    if method not in ("percentile", "bca"):
        raise DataError(f"method is {method!r}: expected 'percentile' or 'bca'")
    units = _Mean(data, groups) if statistic == "mean" else _Rows(data, groups, statistic, vectorised)
    if units.n == 1:
        return Interval(-math.inf, math.inf)
    drawn = np.sort(units.draw(resamples, np.random.default_rng(seed)))
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        return Interval(math.nan, math.nan)
    ends = (0.5 - level / 2, 0.5 + level / 2)
    if method == "bca":
        ends = _corrected(ends, drawn, units.estimate, units.jackknife())
    low, high = np.quantile(drawn, ends)
    return Interval(float(low), float(high))


def _corrected(ends: tuple[float, float], drawn: Floats, estimate: float, jackknife: Floats) -> tuple[float, float]:
    """The ends at which BCa reads the resamples."""
    # Half of the ties count as below. An estimate outside every resample would be infinitely far: half a resample is the limit.
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn == estimate) / 2) / len(drawn)
    bias = normal_quantile(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    spread = jackknife.mean() - jackknife
    largest = float(np.abs(spread).max(initial=0.0))
    spread = spread / largest if largest > 0 else spread  # third powers of very small numbers are 0
    acceleration = float((spread**3).sum()) / (6 * float((spread**2).sum()) ** 1.5) if largest > 0 else 0.0
    corrected = []
    for end in ends:
        z = bias + normal_quantile(end)
        scale = 1 - acceleration * z
        corrected.append(normal_cdf(bias + z / scale) if scale > 0 else float(z > 0))
    return corrected[0], corrected[1]


def _grouped(n: int, groups: ArrayLike | None) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """(order of the rows by group, size of each group); None without groups."""
    if groups is None:
        return None
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise DataError(f"groups has shape {labels.shape}: expected one label for each of {n} rows")
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.argsort(inverse, kind="stable"), sizes


class _Mean:
    """The mean of one column: sums and counts of units are enough."""

    def __init__(self, data: Floats, groups: ArrayLike | None) -> None:
        if data.ndim != 1:
            raise DataError(f"values has shape {data.shape}: expected (n,) for the mean")
        found = _grouped(len(data), groups)
        if found is None:
            self.sums, self.counts = data, np.ones(len(data))
        else:
            order, sizes = found
            self.sums = np.add.reduceat(data[order], np.cumsum(sizes) - sizes)
            self.counts = sizes.astype(np.float64)
        self.n = len(self.sums)
        self.equal = bool((self.counts == self.counts[0]).all())
        # Sums of equal numbers round: no interval must come out around a constant, or beside it.
        self.constant = float(data[0]) if np.ptp(data) == 0 else None
        self.estimate = float(self.sums.sum() / self.counts.sum()) if self.constant is None else self.constant

    def draw(self, resamples: int, random: np.random.Generator) -> Floats:
        if self.constant is not None:
            return np.full(resamples, self.constant)
        drawn = []
        for rows in _windows(resamples, self.n):
            places = random.integers(0, self.n, (rows, self.n))
            totals = self.counts.sum() if self.equal else self.counts[places].sum(axis=1)
            drawn.append(self.sums[places].sum(axis=1) / totals)
        return np.concatenate(drawn)

    def jackknife(self) -> Floats:
        return np.asarray((self.sums.sum() - self.sums) / (self.counts.sum() - self.counts))


class _Rows:
    """Any statistic of rows, or of groups of rows."""

    def __init__(self, data: Floats, groups: ArrayLike | None, statistic: Statistic, vectorised: bool) -> None:
        found = _grouped(len(data), groups)
        self.statistic, self.vectorised = statistic, vectorised
        self.data = data if found is None else data[found[0]]
        self.sizes = np.ones(len(data), dtype=np.intp) if found is None else found[1]
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.n = len(self.sizes)
        self.estimate = float(self._apply(self.data[None])[0])

    def draw(self, resamples: int, random: np.random.Generator) -> Floats:
        n, longest = self.n, int(self.sizes.max())
        equal = bool((self.sizes == longest).all())
        drawn = []
        for rows in _windows(resamples, self.data.size):
            units = random.integers(0, n, (rows, n))
            if equal:
                places = (self.starts[units][:, :, None] + np.arange(longest)).reshape(rows, n * longest)
                drawn.append(self._apply(self.data[places]))
            else:  # resamples of different lengths cannot stand in one array
                drawn.extend(self._apply(self.data[self._places(row)][None]) for row in units)
        return np.concatenate(drawn)

    def jackknife(self) -> Floats:
        kept = np.ones(len(self.data), dtype=bool)
        values = []
        # With many rows, blocks are left out instead: the skewness that is read off them is nearly the same.
        for block in np.array_split(np.arange(self.n), min(self.n, _MOST_BLOCKS)):
            first, last = self.starts[block[0]], self.starts[block[-1]] + self.sizes[block[-1]]
            kept[first:last] = False
            values.append(self._apply(self.data[kept][None]))
            kept[first:last] = True
        found = np.concatenate(values)
        return found[~np.isnan(found)]

    def _places(self, units: NDArray[np.intp]) -> NDArray[np.intp]:
        sizes = self.sizes[units]
        ends = np.cumsum(sizes)
        return np.asarray(np.repeat(self.starts[units] - (ends - sizes), sizes) + np.arange(ends[-1]), dtype=np.intp)

    def _apply(self, samples: Floats) -> Floats:
        if not self.vectorised:
            return np.array([float(np.asarray(self.statistic(sample))) for sample in samples])
        values = np.asarray(self.statistic(samples), dtype=np.float64)
        if values.shape != samples.shape[:1]:
            raise DataError(
                f"the statistic gave shape {values.shape} for resamples {samples.shape}: expected {samples.shape[:1]}, one "
                "number for each resample; or pass vectorised=False"
            )
        return values


def _windows(resamples: int, size: int) -> Iterator[int]:
    """How many resamples to draw at a time, so that memory stays bounded."""
    step = max(1, _CELLS // max(size, 1))
    for start in range(0, resamples, step):
        yield min(step, resamples - start)
