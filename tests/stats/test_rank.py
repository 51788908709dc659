"""Rank statistics with ties, by the definition and by the standard implementations."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.errors import DataError
from plaudit.stats import auc, cliff_delta, kendall, pearson, ranks, spearman

few = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=40)


def kendall_by_definition(x, y):
    sign_x, sign_y = (np.sign(np.subtract.outer(v, v)) for v in (np.asarray(x), np.asarray(y)))
    untied = math.sqrt(np.abs(sign_x).sum() * np.abs(sign_y).sum())
    return (sign_x * sign_y).sum() / untied if untied else math.nan


@given(few)
def test_kendall_is_its_definition(pairs):
    x, y = zip(*pairs, strict=True)
    assert_allclose(kendall(x, y), kendall_by_definition(x, y), atol=1e-12)


@given(few)
def test_spearman_and_kendall_agree_with_scipy(pairs):
    stats = pytest.importorskip("scipy.stats")
    x, y = map(list, zip(*pairs, strict=True))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(spearman(x, y))
        assert math.isnan(kendall(x, y))
        return
    assert_allclose(spearman(x, y), stats.spearmanr(x, y).statistic, atol=1e-12)
    assert_allclose(kendall(x, y), stats.kendalltau(x, y).statistic, atol=1e-12)


@pytest.mark.parametrize("distinct", [3, 50, 10**9])
def test_kendall_of_many_agrees_with_scipy(distinct):
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(distinct)
    x = random.integers(0, distinct, 5000)
    y = x // 2 + random.integers(0, distinct, 5000)
    assert_allclose(kendall(x, y), stats.kendalltau(x, y).statistic, rtol=1e-10)


def test_kendall_grows_no_faster_than_n_log_n():
    random = np.random.default_rng(0)

    def seconds(n):
        x, y = random.normal(size=(2, n))
        start = time.perf_counter()
        kendall(x, y)
        return time.perf_counter() - start

    assert min(seconds(200_000) for _ in range(2)) < 60 * min(seconds(10_000) for _ in range(3))


@given(st.lists(st.floats(allow_nan=False), max_size=40))
def test_ranks_agree_with_scipy(values):
    stats = pytest.importorskip("scipy.stats")
    assert_allclose(ranks(values), stats.rankdata(values))


@given(few)
def test_rank_correlations_see_order_only(pairs):
    x, y = (np.array(v, dtype=float) for v in zip(*pairs, strict=True))
    stretched = x**3 * 7 + 2
    for correlation in (spearman, kendall):
        assert_allclose(correlation(stretched, y), correlation(x, y), atol=1e-12)
        assert_allclose(correlation(-x, y), -correlation(x, y), atol=1e-12)
        assert_allclose(correlation(y, x), correlation(x, y), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=50))
def test_auc_agrees_with_scikit_learn_and_with_its_definition(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = (np.array(v) for v in zip(*rows, strict=True))
    if labels.all() or not labels.any():
        assert math.isnan(auc(scores, labels))
        return
    assert_allclose(auc(scores, labels), metrics.roc_auc_score(labels, scores))
    wins = np.sign(np.subtract.outer(scores[labels], scores[~labels]))
    assert_allclose(auc(scores, labels), (wins.mean() + 1) / 2)
    assert_allclose(cliff_delta(scores[labels], scores[~labels]), wins.mean(), atol=1e-12)


def test_infinite_scores_have_their_place():
    assert auc([-math.inf, 0, math.inf], [0, 1, 1]) == 1
    assert spearman([-math.inf, 0, math.inf], [1, 2, 3]) == 1
    assert kendall([-math.inf, 0, math.inf], [3, 2, 1]) == -1


def test_pearson_survives_numbers_whose_squares_do_not():
    x = np.array([1.0, 2.0, 4.0, 3.0])
    expected = np.corrcoef(x, x**2)[0, 1]
    assert_allclose(pearson(x * 1e200, x**2 * 1e-200), expected)
    assert math.isnan(pearson([5, 5], [1, 2]))


@pytest.mark.parametrize("correlation", [pearson, spearman, kendall])
def test_what_cannot_be_correlated_is_refused(correlation):
    with pytest.raises(DataError, match="NaN"):
        correlation([1, math.nan], [1, 2])
    with pytest.raises(DataError, match="one length"):
        correlation([1, 2, 3], [1, 2])


def test_labels_other_than_0_and_1_are_refused():
    with pytest.raises(DataError, match="holds 2"):
        auc([1, 2], [0, 2])
