"""The few distribution functions that intervals and tests need, so that they need numpy alone."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_MOST_STEPS = 20_000
_EXACT_COINS = 500  # throws up to which whole numbers are counted


def normal_cdf(z: float) -> float:
    """P(Z <= z) of the standard normal distribution."""
    # erfc keeps its digits far in the tail, where 1 + erf has none left.
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p; infinite at 0 and 1."""
    if p <= 0.0 or p >= 1.0:
        return -math.inf if p <= 0.0 else math.inf
    return _NORMAL.inv_cdf(p)


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method).

    >>> round(beta_cdf(0.5, 2, 3), 4)
    0.6875
    """
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    # The fraction converges quickly on one side of the mean only; the other side is the mirror image.
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MOST_STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 + numerator * d
            c = 1.0 + numerator / c
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            step = c * d
            value *= step
        if abs(step - 1.0) < 1e-15:
            break
    return value


def student_cdf(t: float, df: float) -> float:
    """P(T <= t) of Student's t distribution with df degrees of freedom.

    >>> round(student_cdf(2.0, 3), 4)
    0.9303
    """
    if t * t < 1.0:  # near the middle, where 1 - df / (df + t * t) has few digits left
        half = 0.5 * beta_cdf(t * t / (df + t * t), 0.5, df / 2.0)
        return 0.5 + half if t > 0 else 0.5 - half
    tail = 0.5 * beta_cdf(df / (df + t * t), df / 2.0, 0.5)
    return 1.0 - tail if t > 0 else tail


@lru_cache(maxsize=256)
def student_quantile(p: float, df: float) -> float:
    """The t with P(T <= t) = p, by bisection.

    >>> round(student_quantile(0.975, 2), 4)
    4.3027
    """
    if p < 0.5:
        return -student_quantile(1.0 - p, df)
    low, high = 0.0, 1.0
    while student_cdf(high, df) < p:
        low, high = high, 2.0 * high
        if high > 1e150:
            return math.inf
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if student_cdf(middle, df) < p else (low, middle)
    return 0.5 * (low + high)


def binomial_half_cdf(k: int, n: int) -> float:
    """P(X <= k) of a fair coin thrown n times.

    >>> binomial_half_cdf(1, 3)
    0.5
    """
    if k < 0 or k >= n:
        return 0.0 if k < 0 else 1.0
    if n <= _EXACT_COINS:
        return sum(math.comb(n, i) for i in range(k + 1)) / (1 << n)
    return beta_cdf(0.5, n - k, k + 1)


def binomial_half_pmf(k: int, n: int) -> float:
    """P(X = k) of a fair coin thrown n times."""
    if n <= _EXACT_COINS:
        return math.comb(n, k) / (1 << n)
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2.0))
