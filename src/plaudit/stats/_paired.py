"""Tests of two systems on the same items."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from plaudit.errors import DataError
from plaudit.stats._arrays import Floats, booleans, same_length, vector
from plaudit.stats._distributions import binomial_half_cdf, binomial_half_pmf, normal_cdf
from plaudit.stats._rank import ranks

Alternative = Literal["two-sided", "greater", "less"]

_EXACT_FLIPS = 14  # pairs up to which every pattern of signs is tried
_EXACT_RANKS = 50  # pairs up to which the distribution of the rank sum is counted out
_CELLS = 2_000_000


class PairedTest(NamedTuple):
    """The outcome of a paired test.

    Fields:
        statistic: what was tested; the function says which.
        p: the probability of a statistic at least as far out when neither is better.
        n: how many pairs decided; pairs that are equal may say nothing.
    """

    statistic: float
    p: float
    n: int


def mcnemar_test(a: ArrayLike, b: ArrayLike, *, mid_p: bool = False) -> PairedTest:
    """McNemar's exact test: does a get right what b gets wrong more often than the other way round?

    Args:
        a, b: (n,) 0 or 1: right answers of two systems to the same items.
        mid_p: counts half of the observed table's own probability; the exact test is conservative, this is nearly calibrated.

    The statistic is (only a right) - (only b right), n the number of items on which they differ; p is 1 when there are none.
    Two-sided. Raises DataError for other values, NaN, different lengths.

    Source: "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages" (McNemar);
    "The McNemar Test for Binary Matched-Pairs Data: Mid-p and Asymptotic Are Better Than Exact Conditional" (Fagerland et al.).

    >>> mcnemar_test([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    PairedTest(statistic=5.0, p=0.0625, n=5)
    """
    first, second = booleans(a, "a"), booleans(b, "b")
    same_length(first, second)
    return _count_test(int((first & ~second).sum()), int((second & ~first).sum()), mid_p, "two-sided")


def sign_test(a: ArrayLike, b: ArrayLike | None = None, *, alternative: Alternative = "two-sided") -> PairedTest:
    """The sign test: is a above b more often than below?

    Args:
        a, b: (n,) paired values, infinities allowed; without b, a holds the differences.
        alternative: "greater" asks whether a is above b.

    The statistic is (pairs above) - (pairs below), n the number of pairs that differ. Raises DataError for NaN and different
    lengths.

    >>> sign_test([3, 4, 5, 6], [1, 1, 1, 9]).p
    0.625
    """
    above, below = _signs(a, b)
    return _count_test(above, below, False, alternative)


def permutation_test(
    a: ArrayLike,
    b: ArrayLike | None = None,
    *,
    alternative: Alternative = "two-sided",
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """The paired permutation test of a mean difference: every pair may have been the other way round.

    Args:
        a, b: (n,) paired finite values; without b, a holds the differences.
        alternative: "greater" asks whether a is above b.
        resamples: patterns of signs that are drawn; with at most 14 pairs all are tried instead.
        seed: the same seed gives the same p.

    The statistic is the mean difference a - b. Drawn patterns count the observed one, so p is never 0. Raises DataError for NaN
    and different lengths.

    Source: "The Design of Experiments" (Fisher).

    >>> permutation_test([2.0, 3.0, 4.0], [1.0, 1.0, 1.0])
    PairedTest(statistic=2.0, p=0.25, n=3)
    """
    differences = _differences(a, b)
    n = len(differences)
    observed = float(differences.sum())
    slack = 1e-9 * float(np.abs(differences).sum())  # sums in another order round differently
    exact = n <= _EXACT_FLIPS
    total = 2**n if exact else resamples
    if total < 1:
        raise DataError(f"resamples is {resamples}: expected at least 1")
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // n)
    far = 0
    for start in range(0, total, step):
        rows = min(step, total - start)
        if exact:
            flips = (np.arange(start, start + rows)[:, None] >> np.arange(n)) & 1
        else:
            flips = random.integers(0, 2, (rows, n), dtype=np.int8)
        sums = observed - 2 * (flips @ differences)
        far += int(_far(sums, observed, slack, alternative).sum())
    p = far / total if exact else (far + 1) / (total + 1)
    return PairedTest(observed / n, p, n)


def wilcoxon_test(a: ArrayLike, b: ArrayLike | None = None, *, alternative: Alternative = "two-sided") -> PairedTest:
    """Wilcoxon's signed-rank test: are the differences symmetric about 0?

    Args:
        a, b: (n,) paired finite values; without b, a holds the differences. Equal pairs are left out.
        alternative: "greater" asks whether a is above b.

    The statistic is the sum of the ranks of the positive differences, n the number of pairs that differ. Up to 50 pairs without
    ties the distribution is exact; else it is normal, corrected for ties, without continuity correction. p is 1 when no pair
    differs. Raises DataError for NaN and different lengths.

    Source: "Individual Comparisons by Ranking Methods" (Wilcoxon).

    >>> wilcoxon_test([1.0, 2.0, 3.0, 4.0, 5.0])
    PairedTest(statistic=15.0, p=0.0625, n=5)
    """
    differences = _differences(a, b)
    differences = differences[differences != 0]
    n = len(differences)
    if n == 0:
        return PairedTest(0.0, 1.0, 0)
    order = ranks(np.abs(differences))
    statistic = float(order[differences > 0].sum())
    ties = np.unique(order, return_counts=True)[1].astype(np.float64)
    if n <= _EXACT_RANKS and (ties == 1).all():
        counts = _rank_sum_counts(n)
        k = round(statistic)
        below, above = float(counts[: k + 1].sum() / counts.sum()), float(counts[k:].sum() / counts.sum())
    else:
        variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties**3 - ties).sum()) / 48
        z = (statistic - n * (n + 1) / 4) / math.sqrt(variance)
        below, above = normal_cdf(z), normal_cdf(-z)
    return PairedTest(statistic, _p(below, above, alternative), n)


def _rank_sum_counts(n: int) -> Floats:
    """In how many ways signs can be given to the ranks 1 to n so that the positive ones sum to k, for each k."""
    counts = np.ones(1)
    for rank in range(1, n + 1):
        counts = np.concatenate([counts, np.zeros(rank)]) + np.concatenate([np.zeros(rank), counts])
    return counts


def _count_test(above: int, below: int, mid_p: bool, alternative: Alternative) -> PairedTest:
    n = above + below
    statistic = float(above - below)
    if n == 0:
        return PairedTest(statistic, 1.0, 0)
    half = binomial_half_pmf(above, n) / 2 if mid_p else 0.0
    p = _p(binomial_half_cdf(above, n) - half, binomial_half_cdf(below, n) - half, alternative)
    return PairedTest(statistic, p, n)


def _p(below: float, above: float, alternative: Alternative) -> float:
    """p from P(at most what was seen) and P(at least what was seen)."""
    if alternative == "two-sided":
        return min(1.0, 2 * min(below, above))
    if alternative in ("greater", "less"):
        return min(1.0, above if alternative == "greater" else below)
    raise DataError(f"alternative is {alternative!r}: expected 'two-sided', 'greater' or 'less'")


def _far(sums: Floats, observed: float, slack: float, alternative: Alternative) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if alternative == "two-sided":
        return np.asarray(np.abs(sums) >= abs(observed) - slack)
    if alternative == "greater":
        return np.asarray(sums >= observed - slack)
    if alternative == "less":
        return np.asarray(sums <= observed + slack)
    raise DataError(f"alternative is {alternative!r}: expected 'two-sided', 'greater' or 'less'")


def _signs(a: ArrayLike, b: ArrayLike | None) -> tuple[int, int]:
    first = vector(a, "a", finite=False)
    second = np.zeros_like(first) if b is None else vector(b, "b", finite=False)
    same_length(first, second)
    return int((first > second).sum()), int((first < second).sum())


def _differences(a: ArrayLike, b: ArrayLike | None) -> Floats:
    first = vector(a, "a")
    if b is None:
        return first
    second = vector(b, "b")
    same_length(first, second)
    return first - second
