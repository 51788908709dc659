"""Intervals cover what they should, as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.errors import DataError
from plaudit.stats import (
    Interval,
    bootstrap_interval,
    mean_interval,
    normal_cdf,
    normal_quantile,
    scored,
    student_cdf,
    student_quantile,
    wilson_bounds,
    wilson_interval,
)

floats = st.floats(-1e6, 1e6, allow_nan=False)


def coverage(truth: float, intervals: list[Interval]) -> float:
    return float(np.mean([low <= truth <= high for low, high in intervals]))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (8, 10), (20, 20), (313, 1000)])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_wilson_agrees_with_scipy(successes, n, level):
    stats = pytest.importorskip("scipy.stats")
    peer = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert_allclose(wilson_interval(successes, n, level), peer, atol=1e-12)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_wilson_covers_the_share_as_often_as_it_says(share):
    drawn = np.random.default_rng(0).binomial(100, share, 4000)
    low, high = wilson_bounds(drawn, 100)
    assert 0.92 < np.mean((low <= share) & (share <= high)) < 0.985


@given(st.integers(1, 10**9), st.data())
def test_wilson_holds_the_share_and_stays_within_0_and_1(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = wilson_interval(n - successes, n)
    assert_allclose([low, high], [1 - mirrored.high, 1 - mirrored.low], atol=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (0, 0), (math.nan, 10), (1, math.inf)])
def test_counts_that_cannot_be_are_refused(successes, n):
    with pytest.raises(DataError, match="0 <= successes <= n"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.1, math.nan])
def test_a_level_outside_0_and_1_is_refused(level):
    with pytest.raises(DataError, match="level"):
        mean_interval([1.0, 2.0], level)


@pytest.mark.parametrize("df", [1, 2, 3.5, 10, 1000, 1e6])
@pytest.mark.parametrize("p", [1e-6, 0.025, 0.5, 0.9, 0.995, 0.999999])
def test_students_distribution_agrees_with_scipy(df, p):
    stats = pytest.importorskip("scipy.stats")
    assert_allclose(student_quantile(p, df), stats.t.ppf(p, df), rtol=1e-8, atol=1e-8)
    assert_allclose(student_cdf(stats.t.ppf(p, df), df), p, rtol=1e-9)


@pytest.mark.parametrize("t", [-1e-4, 0.0, 1e-8, 1e-4, 0.999, 1.001])
def test_student_keeps_its_digits_near_the_middle(t):
    stats = pytest.importorskip("scipy.stats")
    assert student_cdf(t, 1000) == pytest.approx(stats.t.cdf(t, 1000), abs=1e-11)


def test_the_normal_distribution_keeps_its_digits_in_the_tail():
    stats = pytest.importorskip("scipy.stats")
    assert_allclose(normal_cdf(-10), stats.norm.cdf(-10), rtol=1e-12)
    assert_allclose(normal_quantile(1e-12), stats.norm.ppf(1e-12), rtol=1e-9)
    assert (normal_quantile(0), normal_quantile(1)) == (-math.inf, math.inf)


def test_the_mean_interval_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).normal(3, 2, 17)
    peer = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert_allclose(mean_interval(values, 0.9), [peer.low, peer.high], rtol=1e-9)


def test_the_mean_interval_of_three_seeds_covers_as_often_as_it_says():
    random = np.random.default_rng(2)
    assert 0.935 < coverage(1.0, [mean_interval(random.normal(1, 5, 3)) for _ in range(3000)]) < 0.965


def test_one_value_says_nothing_about_its_own_spread():
    assert mean_interval([0.4]) == (-math.inf, math.inf)
    assert bootstrap_interval([0.4], method="bca") == (-math.inf, math.inf)
    assert bootstrap_interval([0.4, 0.5], groups=["a", "a"]) == (-math.inf, math.inf)


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.1] * 7) == (0.1, 0.1)
    assert bootstrap_interval([0.1] * 7, method="bca") == (0.1, 0.1)


@pytest.mark.parametrize("function", [mean_interval, bootstrap_interval])
def test_values_that_are_missing_are_never_passed_over(function):
    with pytest.raises(DataError, match="1 NaN"):
        function([1.0, math.nan])
    with pytest.raises(DataError, match="infinity"):
        function([1.0, math.inf])
    with pytest.raises(DataError):
        function([])
    with pytest.raises(DataError):
        function(np.zeros((2, 2, 2)))


def test_rows_are_left_out_together_when_the_caller_says_so():
    a, b = scored([1, math.nan, 3, 4], [5, 6, math.nan, 8])
    assert a.tolist() == [1, 4]
    assert b.tolist() == [5, 8]
    with pytest.raises(DataError, match="one length"):
        scored([1], [1, 2])


def skewness(v):
    d = v - v.mean(-1, keepdims=True)
    return (d**3).mean(-1) / (d**2).mean(-1) ** 1.5


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(
    "statistic",
    [lambda v: v.mean(-1), lambda v: v.std(-1), lambda v: np.median(v, -1), skewness],
    ids=["mean", "std", "median", "skew"],
)
def test_the_bootstrap_agrees_with_scipy(method, statistic):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).gamma(2.0, size=60)
    peer = stats.bootstrap(
        (values,), lambda v, axis: statistic(np.moveaxis(v, axis, -1)), method="BCa" if method == "bca" else method,
        n_resamples=9999, rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    mine = bootstrap_interval(values, statistic, method=method, resamples=9999)
    width = peer.high - peer.low
    assert_allclose(mine, [peer.low, peer.high], atol=0.06 * width)


def test_bca_corrects_the_bias_of_the_spread_of_few_values():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(13).normal(size=10)
    options = {"n_resamples": 20_000, "rng": np.random.default_rng(14), "vectorized": True}
    peer = stats.bootstrap((values,), np.std, method="BCa", **options).confidence_interval
    mine = bootstrap_interval(values, lambda v: v.std(-1), method="bca", resamples=20_000)
    assert_allclose(mine, [peer.low, peer.high], atol=0.03 * (peer.high - peer.low))
    assert mine.high > bootstrap_interval(values, lambda v: v.std(-1), resamples=20_000).high


def test_the_short_way_for_the_mean_is_the_long_way():
    values = np.random.default_rng(5).normal(size=40)
    for method in ("percentile", "bca"):
        assert_allclose(
            bootstrap_interval(values, method=method), bootstrap_interval(values, lambda v: v.mean(-1), method=method), rtol=1e-9
        )


def test_bca_covers_the_mean_of_skewed_values_more_often_than_the_percentile_interval():
    random = np.random.default_rng(6)
    samples = random.lognormal(0, 1, (600, 30))
    truth = math.exp(0.5)
    bca = coverage(truth, [bootstrap_interval(s, method="bca", resamples=800) for s in samples])
    percentile = coverage(truth, [bootstrap_interval(s, resamples=800) for s in samples])
    assert bca > percentile
    assert bca > 0.86


def test_groups_are_drawn_whole_and_their_interval_covers():
    """Eight answers to each of 25 prompts: rows alone look far more certain than they are."""
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(25), 8)
    by_group, by_row = [], []
    for _ in range(300):
        values = np.repeat(random.normal(size=25), 8) + random.normal(0, 0.3, 200)
        by_group.append(bootstrap_interval(values, groups=groups, resamples=500))
        by_row.append(bootstrap_interval(values, resamples=500))
    assert 0.88 < coverage(0.0, by_group) < 0.98
    assert coverage(0.0, by_row) < 0.7


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [1, 5, 2, 4]])
def test_grouped_resamples_hold_whole_groups_only(sizes):
    groups = np.repeat(["a", "b", "c", "d"], sizes)
    values = np.repeat([1.0, 10.0, 100.0, 1000.0], sizes)
    shuffled = np.random.default_rng(8).permutation(len(values))
    seen = set()

    def statistic(resample):
        for value, size in zip((1.0, 10.0, 100.0, 1000.0), sizes, strict=True):
            assert np.count_nonzero(resample == value) % size == 0
        seen.add(len(resample))
        return resample.sum()

    bootstrap_interval(values[shuffled], statistic, groups=groups[shuffled], vectorised=False, resamples=200)
    assert len(seen) == (1 if len(set(sizes)) == 1 else len(seen))
    assert len(seen) > 1 or len(set(sizes)) == 1


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_groups_of_one_are_no_groups(method):
    values = np.random.default_rng(9).normal(size=30)
    alone = bootstrap_interval(values, lambda v: v.std(-1), method=method)
    assert_allclose(bootstrap_interval(values, lambda v: v.std(-1), groups=np.arange(30), method=method), alone)
    assert_allclose(bootstrap_interval(values, groups=np.arange(30), method=method), bootstrap_interval(values, method=method))


def test_unequal_groups_agree_between_the_mean_and_any_statistic():
    random = np.random.default_rng(10)
    groups = random.integers(0, 12, 80)
    values = random.normal(size=80) + groups
    for method in ("percentile", "bca"):
        short = bootstrap_interval(values, groups=groups, method=method, resamples=500)
        long = bootstrap_interval(values, lambda v: v.mean(-1), groups=groups, method=method, resamples=500)
        assert_allclose(short, long, rtol=1e-9)


def test_columns_are_drawn_together():
    x = np.random.default_rng(11).normal(size=50)
    pairs = np.stack([x, 2 * x + 1], axis=1)

    def correlation(v):
        return np.array([np.corrcoef(rows[:, 0], rows[:, 1])[0, 1] for rows in v])

    assert_allclose(bootstrap_interval(pairs, correlation, resamples=200), [1, 1])


def test_the_seed_decides_and_memory_stays_bounded():
    values = np.random.default_rng(12).normal(size=300_000)
    first = bootstrap_interval(values, resamples=40, seed=1)
    assert first == bootstrap_interval(values, resamples=40, seed=1)
    assert first != bootstrap_interval(values, resamples=40, seed=2)


def test_resamples_without_a_value_are_left_out():
    low, high = bootstrap_interval([0.0, 0.0, 0.0, 1.0], lambda v: np.where(v.std(-1) > 0, v.mean(-1), math.nan))
    assert low > 0
    assert high < 1
    assert all(map(math.isnan, bootstrap_interval([1.0, 2.0], lambda v: np.full(len(v), math.nan))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": 0}, "resamples"),
        ({"method": "basic"}, "method"),
        ({"groups": [1]}, "groups"),
        ({"statistic": lambda v: v}, "shape"),
        ({"statistic": lambda v: v.mean()}, "vectorised"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        bootstrap_interval([1.0, 2.0, 3.0], **options)


@pytest.mark.parametrize("scale", [1e-300, 1e-110, 1e100])
def test_bca_works_at_any_scale(scale):
    values = np.random.default_rng(15).gamma(2.0, size=20)
    assert_allclose(
        np.array(bootstrap_interval(values * scale, method="bca")) / scale, bootstrap_interval(values, method="bca"), rtol=1e-9
    )


@given(st.lists(floats, min_size=2, max_size=30), st.sampled_from(["percentile", "bca"]))
def test_a_bootstrap_interval_of_the_mean_stays_within_the_values(values, method):
    low, high = bootstrap_interval(values, method=method, resamples=50)
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert min(values) - slack <= low <= high <= max(values) + slack
