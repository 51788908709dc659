"""Paired tests: the p-values of the standard implementations, and no more false alarms than promised."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.errors import DataError
from plaudit.stats import mcnemar_test, permutation_test, sign_test, wilcoxon_test

ALTERNATIVES = ["two-sided", "greater", "less"]
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def table(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    return a, b


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (5, 0), (9, 2), (40, 41), (700, 640)])
def test_mcnemar_is_the_exact_binomial_test_of_the_items_on_which_they_differ(only_a, only_b):
    stats = pytest.importorskip("scipy.stats")
    found = mcnemar_test(*table(10, only_a, only_b, 3))
    assert_allclose(found.p, stats.binomtest(only_a, only_a + only_b).pvalue, rtol=1e-9)
    assert (found.statistic, found.n) == (only_a - only_b, only_a + only_b)


def test_mid_p_takes_half_of_the_observed_table_away():
    exact, mid = mcnemar_test(*table(0, 9, 2, 0)), mcnemar_test(*table(0, 9, 2, 0), mid_p=True)
    assert_allclose(exact.p - mid.p, math.comb(11, 2) / 2**11)


def test_the_exact_test_is_conservative_and_mid_p_nearly_calibrated():
    random = np.random.default_rng(0)
    above = random.binomial(12, 0.5, 4000)
    outcomes = {only_a: mcnemar_test(*table(0, only_a, 12 - only_a, 0)).p for only_a in range(13)}
    mids = {only_a: mcnemar_test(*table(0, only_a, 12 - only_a, 0), mid_p=True).p for only_a in range(13)}
    exact = np.mean([outcomes[k] <= 0.05 for k in above])
    mid = np.mean([mids[k] <= 0.05 for k in above])
    assert exact <= mid
    assert exact < 0.05
    assert mid < 0.055


@given(pairs)
def test_mcnemar_does_not_mind_which_system_is_first(rows):
    a, b = np.array(rows).T
    for mid_p in (False, True):
        one, other = mcnemar_test(a, b, mid_p=mid_p), mcnemar_test(b, a, mid_p=mid_p)
        assert one.p == pytest.approx(other.p)
        assert one.statistic == -other.statistic
        assert 0 < one.p <= 1


def test_systems_that_never_differ_give_p_1():
    assert mcnemar_test([1, 0], [1, 0]) == (0.0, 1.0, 0)
    assert sign_test([1, 2], [1, 2]) == (0.0, 1.0, 0)
    assert wilcoxon_test([1, 2], [1, 2]) == (0.0, 1.0, 0)
    assert permutation_test([1, 2], [1, 2]).p == 1.0


def test_a_large_table_takes_no_time_and_keeps_its_digits():
    stats = pytest.importorskip("scipy.stats")
    found = mcnemar_test(*table(0, 101_000, 100_000, 0))
    assert_allclose(found.p, stats.binomtest(101_000, 201_000).pvalue, rtol=1e-6)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [3, 9, 14])
def test_the_permutation_test_of_few_pairs_tries_every_sign(alternative, n):
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(n)
    a, b = random.integers(0, 6, n).astype(float), random.integers(0, 5, n).astype(float)
    peer = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=10**6,
        vectorized=True,
    )
    found = permutation_test(a, b, alternative=alternative)
    extreme = {"two-sided": None, "greater": peer.null_distribution >= peer.statistic - 1e-9}.get(
        alternative, peer.null_distribution <= peer.statistic + 1e-9
    )
    # scipy doubles the smaller tail; by the distance from 0 is the same for a symmetric distribution, but for ties in the middle.
    expected = np.mean(np.abs(peer.null_distribution) >= abs(peer.statistic) - 1e-9) if extreme is None else np.mean(extreme)
    assert_allclose(found.p, expected, atol=1e-12)
    assert_allclose(found.statistic, (a - b).mean())


def test_the_permutation_test_of_many_pairs_draws_signs_and_comes_near_the_t_test():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(1)
    a = random.normal(0.25, 1, 80)
    assert_allclose(permutation_test(a, resamples=20_000).p, stats.ttest_1samp(a, 0).pvalue, atol=0.01)


def test_a_drawn_p_is_never_0():
    found = permutation_test(np.ones(200), resamples=99)
    assert found.p == 1 / 100


def test_the_permutation_test_raises_no_more_false_alarms_than_promised():
    random = np.random.default_rng(2)
    alarms = np.mean([permutation_test(random.standard_t(3, 20), resamples=300, seed=k).p <= 0.05 for k in range(600)])
    assert alarms < 0.07


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("n", "decimals"), [(5, 6), (20, 6), (50, 6), (51, 6), (60, 0), (200, 1)])
def test_wilcoxon_agrees_with_scipy(alternative, n, decimals):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(n).normal(0.2, 1, n).round(decimals)
    tied = len(np.unique(np.abs(values[values != 0]))) < np.count_nonzero(values)
    method = "exact" if n <= 50 and not tied else "asymptotic"
    peer = stats.wilcoxon(values, zero_method="wilcox", correction=False, alternative=alternative, method=method)
    found = wilcoxon_test(values, alternative=alternative)
    assert_allclose(found.p, peer.pvalue, rtol=1e-9)
    assert found.n == np.count_nonzero(values)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_sign_test_is_the_binomial_test_of_the_signs(alternative):
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array([1, 2, 3, 4, 5, 9.0, math.inf]), np.array([0, 0, 0, 0, 0, 10.0, math.inf])
    found = sign_test(a, b, alternative=alternative)
    assert_allclose(found.p, stats.binomtest(5, 6, alternative=alternative).pvalue)
    assert found.n == 6


@pytest.mark.parametrize("test", [permutation_test, sign_test, wilcoxon_test])
def test_pairs_that_cannot_be_are_refused(test):
    with pytest.raises(DataError, match="NaN"):
        test([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(DataError, match="one length"):
        test([1.0], [1.0, 2.0])
    with pytest.raises(DataError, match="at least 1"):
        test([])
    with pytest.raises(DataError, match="alternative"):
        test([1.0, 2.0], [0.0, 1.0], alternative="above")


def test_mcnemar_wants_right_and_wrong():
    with pytest.raises(DataError, match=r"holds 0\.5"):
        mcnemar_test([0.5, 1], [0, 1])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=10))
def test_the_two_one_sided_tests_mirror_each_other(values):
    for test in (permutation_test, sign_test, wilcoxon_test):
        above = test(values, alternative="greater").p
        below = test([-v for v in values], alternative="less").p
        assert above == pytest.approx(below)
