"""Intervals with a formula: of a share, of a mean."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from plaudit.errors import DataError
from plaudit.stats._arrays import Floats, level_of, vector
from plaudit.stats._distributions import normal_quantile, student_quantile


class Interval(NamedTuple):
    """A confidence interval, in the unit of what was measured; infinite on a side about which the data say nothing.

    >>> Interval(0.1, 0.3).high
    0.3
    """

    low: float
    high: float


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """The Wilson score interval of a share.

    Args:
        successes: how many of the n; from 0 to n.
        n: how many in all, at least 1.
        level: the confidence level.

    Raises DataError for counts that cannot be.

    Source: "Probable Inference, the Law of Succession, and Statistical Inference" (Wilson).

    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    low, high = wilson_bounds(successes, n, level)
    return Interval(float(low), float(high))


def wilson_bounds(successes: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson score intervals of many shares at once: (low, high), in the shape of the counts, which broadcast.

    Raises DataError for counts that cannot be.

    >>> wilson_bounds([0, 10], 10)[0].round(3)
    array([0.   , 0.722])
    """
    s, n = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not ((n >= 1) & np.isfinite(n) & (s >= 0) & (s <= n)).all():
        raise DataError("expected counts with 0 <= successes <= n and n >= 1")
    z2 = normal_quantile(0.5 + level_of(level) / 2) ** 2
    share = s / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    return np.where(s == 0, 0.0, middle - half), np.where(s == n, 1.0, middle + half)


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of n independent values.

    Args:
        values: (n,) finite. One value says nothing about its own spread: the interval is then infinite. Equal values give an
            interval without width.
        level: the confidence level.

    Raises DataError for an empty array and for NaN.

    Source: "The Probable Error of a Mean" (Student).

    >>> low, high = mean_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    v = vector(values)
    level = level_of(level)
    if len(v) == 1:
        return Interval(-math.inf, math.inf)
    if np.ptp(v) == 0:  # rounding in the mean must not invent a spread
        return Interval(float(v[0]), float(v[0]))
    mean, error = float(v.mean()), float(v.std(ddof=1)) / math.sqrt(len(v))
    half = student_quantile(0.5 + level / 2, len(v) - 1) * error
    return Interval(mean - half, mean + half)
