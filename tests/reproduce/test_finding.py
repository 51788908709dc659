"""When a claim holds: the effect is there beyond chance, and the control does not show it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plaudit.reproduce import Finding, Seed, Trial, experiment, judge


def found(effects, controls, threshold=0.0, **options):
    @experiment(systems=[99], claim="It is so.", seconds=1, threshold=threshold)
    def some_claim(seed, progress):
        raise AssertionError("judging runs nothing")

    trials = [Trial(e, c, "points") for e, c in zip(effects, controls, strict=True)]
    return judge(some_claim, [Seed(k, trial, 0.5) for k, trial in enumerate(trials)], **options)


def test_an_effect_beyond_chance_beside_a_control_without_one_holds():
    finding = found([0.10, 0.12, 0.11], [0.01, -0.01, 0.0])
    assert finding.holds is True
    assert finding.passed
    assert finding.measured == pytest.approx(0.11)
    assert finding.interval.low < 0.11 < finding.interval.high
    # t with two degrees of freedom: 4.3027 standard errors of 0.01 / sqrt(3)
    assert_allclose(finding.interval.high - 0.11, 4.3027 * 0.01 / 3**0.5, rtol=1e-4)
    assert finding.details["difference"] == pytest.approx(0.11)


@pytest.mark.parametrize(
    ("effects", "controls", "threshold"),
    [
        pytest.param([0.3, 0.1, -0.05], [0, 0, 0], 0, id="the effect may be chance"),
        pytest.param([-0.1, -0.1, -0.11], [0, 0, 0], 0, id="the effect is the other way round"),
        pytest.param([0.1, 0.1, 0.11], [0.02, 0.021, 0.02], 0, id="the control shows it too, if less"),
        pytest.param([0.1, 0.1, 0.11], [0.9, -0.4, 0.3], 0, id="the control wavers around more than the effect"),
        pytest.param([0.1, 0.1, 0.11], [0, 0, 0], 0.2, id="the effect is below the threshold"),
        pytest.param([0.0, 0.0, 0.0], [0, 0, 0], 0, id="nothing happens at all"),
    ],
)
def test_anything_else_does_not_hold(effects, controls, threshold):
    finding = found(effects, controls, threshold)
    assert finding.holds is False
    assert not finding.passed
    assert finding.state == "does not hold"


def test_one_seed_without_items_is_not_judged_but_its_direction_is():
    right, wrong = found([0.1], [0.02]), found([0.1], [0.2])
    assert (right.holds, right.interval, right.passed) == (None, None, True)
    assert (wrong.holds, wrong.passed) == (None, False)


def test_one_seed_with_items_has_a_bootstrap_interval_over_them():
    random = np.random.default_rng(0)

    @experiment(systems=[], claim="It is so.", seconds=1, seeds=(0,))
    def some_claim(seed, progress):
        return Trial(unit="points", effect_samples=random.normal(0.5, 1, 400), control_samples=random.normal(-0.02, 1, 400))

    finding = judge(some_claim, [Seed(0, some_claim(0), 1)])
    assert finding.holds
    assert_allclose(finding.interval.high - finding.interval.low, 2 * 1.96 / 20, rtol=0.15)


def test_items_do_not_stand_in_for_seeds_once_there_are_several():
    """A thousand items that share a seed's luck are one draw of it."""

    @experiment(systems=[], claim="It is so.", seconds=1)
    def some_claim(seed, progress):
        return Trial(unit="points", effect_samples=np.full(1000, (0.5, -0.2, 0.1)[seed]), control_samples=np.zeros(1000))

    assert judge(some_claim, [Seed(k, some_claim(k), 1) for k in range(3)]).holds is False


def test_an_error_leaves_the_claim_undecided_and_does_not_pass():
    finding = found([0.10, 0.12, 0.11], [0, 0, 0], error="Traceback …")
    assert (finding.holds, finding.passed, finding.state) == (None, False, "error")


def test_nothing_measured_is_no_finding_of_nothing():
    finding = found([], [], error="Traceback …")
    assert (finding.measured, finding.interval, finding.control, finding.seeds) == (None, None, None, ())


numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers), max_size=5), st.booleans(), st.none() | st.text())
def test_a_finding_survives_its_json(trials, smoke, error):
    finding = found([e for e, _ in trials], [c for _, c in trials], smoke=smoke, error=error)
    written = json.loads(json.dumps(finding.to_json(), allow_nan=False))
    assert Finding.from_json(written).to_json() == written


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=5), st.floats(0, 1))
def test_what_holds_has_the_right_direction(trials, threshold):
    finding = found([e for e, _ in trials], [c for _, c in trials], threshold)
    if finding.holds:
        assert finding.measured > max(threshold, finding.control)
        assert finding.details["direction"]


def test_a_true_effect_of_nothing_holds_as_rarely_as_it_should():
    random = np.random.default_rng(1)
    holds = [found(random.normal(0, 1, 3), random.normal(0, 1, 3)).holds for _ in range(400)]
    assert np.mean(holds) < 0.05
