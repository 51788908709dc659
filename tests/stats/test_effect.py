"""Effect sizes, pass@k and growth exponents."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.errors import DataError
from plaudit.stats import cliff_delta, cohen_d, growth_exponent, pass_at_k


@given(st.integers(1, 8), st.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k_with_a_right_answer(n, data):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    choices = list(itertools.combinations([1] * right + [0] * (n - right), k))
    assert_allclose(pass_at_k(n, right, k), np.mean([any(choice) for choice in choices]), atol=1e-12)


def test_pass_at_k_is_unbiased_where_the_plug_in_estimate_is_not():
    truth = 1 - 0.9**8
    right = np.random.default_rng(0).binomial(16, 0.1, 20_000)
    assert_allclose(pass_at_k(16, right, 8).mean(), truth, atol=0.01)
    assert (1 - (1 - right / 16) ** 8).mean() < truth - 0.02


def test_pass_at_k_takes_counts_that_differ_from_problem_to_problem():
    assert pass_at_k([4, 8], [4, 0], 2).tolist() == [1, 0]


def test_pass_at_k_of_many_answers_stays_exact():
    assert_allclose(pass_at_k(100_000, 50_000, 3), 1 - math.comb(50_000, 3) / math.comb(100_000, 3), rtol=1e-12)


@pytest.mark.parametrize(("n", "right", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0), (4, 1.5, 1), (4, math.nan, 1)])
def test_counts_that_cannot_be_are_refused(n, right, k):
    with pytest.raises(DataError, match="1 <= k <= n"):
        pass_at_k(n, right, k)


def test_cohens_d_is_the_gap_in_standard_deviations():
    random = np.random.default_rng(1)
    assert_allclose(cohen_d(random.normal(3, 2, 20_000), random.normal(2, 2, 20_000)), 0.5, atol=0.04)
    a = random.normal(0, 5, 2000)
    assert_allclose(cohen_d(a + random.normal(1, 0.5, 2000), a, paired=True), 2, atol=0.15)


def test_constants_differ_infinitely_or_not_at_all():
    assert cohen_d([0.1, 0.1, 0.1], [0.1, 0.1]) == 0
    assert cohen_d([2, 2], [1, 1]) == math.inf
    assert cohen_d([1, 1], [2, 2], paired=True) == -math.inf


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_cliffs_delta_is_its_definition_and_turns_with_the_order(a, b):
    expected = np.sign(np.subtract.outer(np.array(a), np.array(b))).mean()
    assert_allclose(cliff_delta(a, b), expected, atol=1e-12)
    assert_allclose(cliff_delta(b, a), -expected, atol=1e-12)


@given(st.floats(-3, 3), st.floats(0.01, 100))
def test_a_power_law_gives_its_exponent(exponent, factor):
    x = np.array([1.0, 2, 5, 10, 100])
    found = growth_exponent(x, factor * x**exponent)
    assert_allclose([found.exponent, found.factor], [exponent, factor], atol=1e-6, rtol=1e-6)
    assert found.interval.low <= found.exponent <= found.interval.high


def test_the_growth_interval_agrees_with_scipy_and_covers():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(2)
    x = np.array([1.0, 2, 4, 8, 16, 32])
    inside = []
    for _ in range(1000):
        y = 3 * x**1.5 * np.exp(random.normal(0, 0.2, 6))
        inside.append(growth_exponent(x, y).interval.low <= 1.5 <= growth_exponent(x, y).interval.high)
    assert 0.92 < np.mean(inside) < 0.97
    peer = stats.linregress(np.log(x), np.log(y))
    found = growth_exponent(x, y)
    assert_allclose([found.exponent, found.r2], [peer.slope, peer.rvalue**2])
    assert_allclose(found.interval.high - found.exponent, peer.stderr * stats.t.ppf(0.975, 4))


def test_two_points_have_an_exponent_and_no_interval():
    assert growth_exponent([1, 2], [1, 4]).interval == (-math.inf, math.inf)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [0, 1]), ([-1, 2], [1, 1]), ([2, 2], [1, 3]), ([1], [1]), ([1, math.nan], [1, 1])])
def test_points_without_an_exponent_are_refused(x, y):
    with pytest.raises(DataError):
        growth_exponent(x, y)
