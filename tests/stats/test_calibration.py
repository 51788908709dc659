"""Calibration: errors by hand, against scikit-learn, and parts that add up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.errors import DataError
from plaudit.stats import brier_parts, brier_score, calibration_error, reliability_bins

forecasts = st.lists(st.tuples(st.sampled_from([0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.999, 1]), st.booleans()), min_size=1, max_size=60)


def drawn(n: int, bend: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and outcomes that come true with their `bend`-th power."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(size=n)
    return confidence, random.uniform(size=n) < confidence**bend


@pytest.mark.parametrize("by", ["width", "mass"])
def test_a_calibrated_forecaster_has_no_error_and_an_overconfident_one_has(by):
    assert calibration_error(*drawn(50_000, 1), by=by) < 0.02
    # E|c - c^2| over uniform c is 1/6
    assert_allclose(calibration_error(*drawn(50_000, 2), by=by), 1 / 6, atol=0.01)


@pytest.mark.parametrize(("by", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_the_bins_agree_with_scikit_learn(by, strategy):
    calibration = pytest.importorskip("sklearn.calibration")
    confidence, right = drawn(1000, 1.5)
    accuracy, mean = calibration.calibration_curve(right, confidence, n_bins=10, strategy=strategy)
    found = reliability_bins(confidence, right, 10, by)
    assert_allclose(found.accuracy, accuracy, atol=0.011)  # one row may fall on the other side of a quantile
    assert_allclose(found.confidence, mean, atol=0.002)
    assert found.count.sum() == 1000


def test_edges_belong_to_the_bin_below_and_0_to_the_first():
    found = reliability_bins([0.0, 0.5, 0.500001, 1.0], [0, 1, 0, 1], bins=2)
    assert found.count.tolist() == [2, 2]


def test_an_empty_bin_has_no_accuracy():
    found = reliability_bins([0.1, 0.9], [0, 1], bins=3)
    assert found.count.tolist() == [1, 0, 1]
    assert math.isnan(found.accuracy[1])


@given(forecasts, st.integers(1, 12), st.randoms())
def test_bins_of_equal_mass_do_not_depend_on_the_order_of_the_rows(rows, bins, random):
    shuffled = rows[:]
    random.shuffle(shuffled)
    first, second = (reliability_bins(*zip(*each, strict=True), bins, "mass") for each in (rows, shuffled))
    assert first.count.tolist() == second.count.tolist()
    assert_allclose(first.accuracy, second.accuracy)
    assert len(first.count) <= bins
    assert (first.count > 0).all()
    assert (first.low[1:] > first.high[:-1]).all()


def test_bins_of_equal_mass_are_of_equal_mass():
    found = reliability_bins(*drawn(1000, 1), 8, "mass")
    assert found.count.tolist() == [125] * 8


@given(forecasts)
def test_the_brier_score_agrees_with_scikit_learn(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    confidence, right = zip(*rows, strict=True)
    assert_allclose(brier_score(confidence, right), metrics.brier_score_loss(right, confidence, pos_label=True), atol=1e-12)


@given(forecasts, st.none() | st.integers(1, 12), st.sampled_from(["width", "mass"]))
def test_the_parts_of_the_brier_score_add_up(rows, bins, by):
    confidence, right = zip(*rows, strict=True)
    parts = brier_parts(confidence, right, bins, by)
    assert_allclose(parts.score, parts.reliability - parts.resolution + parts.uncertainty + parts.within, atol=1e-12)
    assert_allclose(parts.score, brier_score(confidence, right), atol=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0
    assert parts.resolution <= parts.uncertainty + 1e-12


def test_a_forecaster_who_always_says_the_base_rate_is_calibrated_and_useless():
    parts = brier_parts([0.25] * 4, [1, 0, 0, 0])
    assert (parts.reliability, parts.resolution) == (0, 0)
    assert parts.score == parts.uncertainty == 0.1875


@pytest.mark.parametrize(
    ("confidence", "right", "bins", "message"),
    [
        ([1.5], [1], 10, "holds 1.5"),
        ([-0.1], [1], 10, "holds -0.1"),
        ([math.nan], [1], 10, "NaN"),
        ([0.5], [0.5], 10, "holds 0.5"),
        ([0.5, 0.5], [1], 10, "one length"),
        ([], [], 10, "at least 1"),
        ([0.5], [1], 0, "bins"),
        ([0.5], [1], 10**9, "bins"),
    ],
)
def test_forecasts_that_cannot_be_are_refused(confidence, right, bins, message):
    with pytest.raises(DataError, match=message):
        calibration_error(confidence, right, bins)


def test_an_unknown_binning_is_refused():
    with pytest.raises(DataError, match="'width' or 'mass'"):
        calibration_error([0.5], [1], by="quantile")
