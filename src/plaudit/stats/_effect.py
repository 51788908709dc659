"""How large something is: effect sizes, pass@k, growth exponents."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from plaudit.errors import DataError
from plaudit.stats._arrays import Floats, level_of, same_length, vector
from plaudit.stats._distributions import student_quantile
from plaudit.stats._intervals import Interval
from plaudit.stats._rank import ranks


def cohen_d(a: ArrayLike, b: ArrayLike, *, paired: bool = False) -> float:
    """Cohen's d: the difference of two means in units of their standard deviation; positive when a is higher.

    Args:
        a, b: (n,) and (m,) finite, at least two each.
        paired: divide by the standard deviation of the differences (then n = m) instead of the pooled one.

    0 when both are equal constants, infinite when they are different constants. Raises DataError for NaN and too few values.

    Source: "Statistical Power Analysis for the Behavioral Sciences" (Cohen).

    >>> round(cohen_d([2, 4, 6], [1, 3, 5]), 3)
    0.5
    """
    x, y = vector(a, "a", least=2), vector(b, "b", least=2)
    if paired:
        same_length(x, y)
        spread = float((x - y).std(ddof=1)) if np.ptp(x - y) > 0 else 0.0
    else:
        squares = sum(float(((v - v.mean()) ** 2).sum()) if np.ptp(v) > 0 else 0.0 for v in (x, y))
        spread = math.sqrt(squares / (len(x) + len(y) - 2))
    difference = float(x.mean() - y.mean())
    if spread > 0:
        return difference / spread
    return math.copysign(math.inf, difference) if x[0] != y[0] else 0.0


def cliff_delta(a: ArrayLike, b: ArrayLike) -> float:
    """Cliff's delta: P(a > b) - P(a < b) of a value of each; from -1 to 1, and 0 when neither tends to be higher.

    Args:
        a, b: (n,) and (m,), infinities allowed.

    Takes O(n log n). Raises DataError for NaN and empty arrays.

    Source: "Dominance Statistics: Ordinal Analyses to Answer Ordinal Questions" (Cliff).

    >>> cliff_delta([3, 4, 5], [1, 2, 4])
    0.6666666666666667
    """
    x, y = vector(a, "a", finite=False), vector(b, "b", finite=False)
    n, m = len(x), len(y)
    wins = ranks(np.concatenate([x, y]))[:n].sum() - n * (n + 1) / 2
    return float(2 * wins / (n * m) - 1)


def pass_at_k(n: ArrayLike, right: ArrayLike, k: int) -> Floats:
    """The unbiased estimate of pass@k: how likely one of k answers is right, drawn from n of which some are.

    Args:
        n: answers to each problem, at least k; broadcasts with `right`.
        right: how many of them are right.
        k: answers that are drawn, without putting back.

    Returns the estimate for each problem, in the shape of the counts; its mean is pass@k of the set. Raises DataError for counts
    that cannot be.

    Source: "Evaluating Large Language Models Trained on Code" (Chen et al.).

    >>> pass_at_k(8, [0, 4, 8], 1)
    array([0. , 0.5, 1. ])
    """
    total, c = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(right, dtype=np.float64))
    whole = (total == np.floor(total)) & (c == np.floor(c))
    if k < 1 or not (whole & (total >= k) & (c >= 0) & (c <= total)).all():
        raise DataError(f"k is {k}: expected whole counts with 1 <= k <= n and 0 <= right <= n")
    miss = np.ones(total.shape)
    for j in range(k):
        # Fewer wrong answers than draws: one of the factors is 0, and none may be negative.
        miss = miss * (np.maximum(total - c - j, 0.0) / (total - j))
    return 1.0 - miss


class Growth(NamedTuple):
    """How y grows with x: ``y = factor * x ** exponent``.

    Fields:
        exponent: the slope in logarithms; 1 is linear, 2 quadratic.
        interval: its confidence interval; infinite for two points.
        factor: y at x = 1.
        r2: the share of the variance of log y that the line explains; NaN when y is constant.
    """

    exponent: float
    interval: Interval
    factor: float
    r2: float


def growth_exponent(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Growth:
    """The exponent with which y grows, by least squares on the logarithms.

    Args:
        x, y: (n,) positive, at least two different x.
        level: the confidence level of the interval (Student's t with n - 2 degrees of freedom).

    Raises DataError for numbers that are not positive, NaN, or one x only.

    >>> round(growth_exponent([1, 2, 4, 8], [3, 12, 48, 192]).exponent, 6)
    2.0
    """
    a, b = vector(x, "x", least=2), vector(y, "y", least=2)
    same_length(a, b)
    if (a <= 0).any() or (b <= 0).any():
        raise DataError("x and y must be positive: a growth exponent is a slope in logarithms")
    log_x, log_y = np.log(a), np.log(b)
    if np.ptp(a) == 0:
        raise DataError(f"every x is {a[0]:g}: expected at least two different ones")
    dx, dy = log_x - log_x.mean(), log_y - log_y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual = float(((dy - slope * dx) ** 2).sum())
    half = math.inf
    if len(a) > 2:
        half = student_quantile(0.5 + level_of(level) / 2, len(a) - 2) * math.sqrt(residual / (len(a) - 2) / float(dx @ dx))
    r2 = 1 - residual / float(dy @ dy) if np.ptp(b) > 0 else math.nan
    return Growth(slope, Interval(slope - half, slope + half), math.exp(float(log_y.mean() - slope * log_x.mean())), r2)
