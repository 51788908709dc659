"""Transforms keep order; a sum of log-sigmoids means AND; baselines cancel what is common to a prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.compose import (
    Baseline,
    Column,
    LogSigmoid,
    QuantileMap,
    Squash,
    Standardize,
    contrastive_baseline,
    log_sigmoid,
    prompt_confidence,
    quantile_map,
    squash,
)
from plaudit.errors import ContractError, DataError
from plaudit.reward import check_reward, from_spec

numbers = st.floats(-1e3, 1e3)
several = st.lists(numbers, min_size=1, max_size=6)


@given(numbers, numbers, numbers, st.floats(0.01, 100))
def test_the_log_sigmoid_grows_with_the_reward_and_never_passes_zero(a, b, reference, temperature):
    low, high = log_sigmoid([min(a, b), max(a, b)], reference, temperature)
    assert low <= high <= 0


@given(several, numbers)
def test_a_sum_of_log_sigmoids_never_exceeds_its_smallest_term_so_it_means_and(rewards, reference):
    terms = log_sigmoid(rewards, reference)
    assert terms.sum() <= terms.min() + 1e-9
    assert np.exp(terms.sum()) <= np.exp(terms).min() + 1e-12


@given(st.floats(-30, 30), st.floats(-5, 5))
def test_its_slope_is_one_far_below_the_reference_and_fades_above(reward, reference):
    step = 1e-4
    slope = np.diff(log_sigmoid([reward - step, reward + step], reference))[0] / (2 * step)
    assert slope == pytest.approx(1 / (1 + np.exp(reward - reference)), abs=1e-5)


def test_a_sum_of_log_sigmoids_picks_what_is_good_on_both_where_a_plain_sum_picks_an_extreme():
    helpful, harmless = np.array([8.0, 1.0, -6.0]), np.array([-4.0, 1.0, 8.0])
    assert np.argmax(helpful + harmless) == 0
    assert np.argmax(log_sigmoid(helpful) + log_sigmoid(harmless)) == 1


def test_the_reference_may_be_a_quantile_of_stored_rewards_for_the_prompt(told, rows):
    offline = list(range(101))
    reward = LogSigmoid(told("r"), Column("offline", "quantile", quantile=0.85))
    verdicts = reward.score(rows({"r": [85.0, 1.0, None, "fail", 1.0], "offline": [offline] * 4 + [None]}))
    assert verdicts.values[0] == pytest.approx(np.log(0.5))
    assert verdicts.status.tolist() == ["scored", "scored", "abstained", "failed", "failed"]
    assert [verdicts.reason[3], verdicts.reason[4]] == ["part_failed:r", "part_failed:reference"]


@given(st.lists(numbers, min_size=2, max_size=8, unique=True), st.lists(numbers, min_size=2, max_size=8))
def test_a_quantile_map_is_increasing_bounded_and_reaches_both_ends(reference, values):
    found = quantile_map(np.sort(values), reference)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert quantile_map([min(reference), max(reference)], reference).tolist() == [0, 1]


@given(st.lists(numbers, min_size=2, max_size=8), st.sampled_from(["sigmoid", "tanh"]))
def test_squashing_keeps_order_and_stays_inside(values, shape):
    found = squash(np.sort(values), shape, -2, 3)
    assert (np.diff(found) >= 0).all()
    assert ((found >= (-1 if shape == "tanh" else 0)) & (found <= 1)).all()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 0.5), st.floats(0.6, 1))
def test_a_ramp_keeps_order(values, low, high):
    assert (np.diff(squash(np.sort(values), "ramp", low, high)) >= 0).all()


@given(st.lists(numbers, min_size=2, max_size=20).filter(lambda v: np.std(v) > 1e-3))
def test_a_fitted_z_score_has_mean_zero_and_deviation_one_on_what_it_was_fitted_on(values):
    from plaudit.reward import reward

    fitted = Standardize.fit(reward(lambda response: 0.0, range=(0, 1)), values)
    scores = (np.array(values) - fitted.mean) / fitted.std
    assert (scores.mean(), scores.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))


@given(st.lists(numbers, min_size=2, max_size=5), st.lists(numbers, min_size=1, max_size=5), st.floats(-100, 100))
def test_a_constant_that_a_reward_adds_for_a_prompt_cancels_against_the_baseline(values, offline, constant):
    stored = np.tile(offline, (len(values), 1))
    plain = contrastive_baseline(values, stored)
    assert contrastive_baseline(np.add(values, constant), stored + constant) == pytest.approx(plain, abs=1e-6)
    assert np.diff(plain) == pytest.approx(np.diff(values), abs=1e-6)


def test_a_baseline_as_a_reward_agrees_with_the_function_and_a_missing_scale_is_no_infinity(told, rows):
    offline = [[1.0, 3.0], [2.0, 2.0]]
    samples = rows({"r": [4.0, 4.0], "offline": offline})
    assert Baseline(told("r"), Column("offline", "mean"))(samples).tolist() == contrastive_baseline([4.0, 4.0], offline).tolist()
    scaled = Baseline(told("r"), Column("offline", "mean"), Column("offline", "std"), epsilon=0.0).score(samples)
    assert (scaled.values[0], scaled.reason[1]) == (2.0, "invalid_value")


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5), st.floats(-20, 20), st.floats(-500, 500))
def test_what_a_reward_adds_for_the_response_alone_cancels_in_the_prompt_confidence(others, own, bias):
    plain = prompt_confidence([own], [others])
    assert prompt_confidence([own + bias], [np.add(others, bias)]) == pytest.approx(plain, abs=1e-9)
    assert plain[0] == pytest.approx(np.exp(own) / (np.exp(own) + np.exp(others).sum()), abs=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda r: LogSigmoid(r, temperature=0),
        lambda r: LogSigmoid(r, reference=float("nan")),
        lambda r: LogSigmoid(r.named("reference"), reference=r),
        lambda r: Squash(r, "ramp", -1, 2),
        lambda r: Squash(r, low=1, high=1),
        lambda r: Squash(r, "cube"),
        lambda r: Standardize(r, std=0),
        lambda r: QuantileMap(r, (1.0,)),
        lambda r: QuantileMap(r, (1.0, 1.0)),
        lambda r: Baseline(r, r, epsilon=-1),
        lambda r: Column("x", "quantile", quantile=2),
        lambda r: Column("x", low=1, high=0),
    ],
)
def test_transforms_that_mean_nothing_are_refused(make, told):
    with pytest.raises(ContractError):
        make(told("r"))


@pytest.mark.parametrize(
    "call", [lambda: log_sigmoid([np.inf]), lambda: squash([[1.0]]), lambda: quantile_map([0.0], [1, np.nan])]
)
def test_arrays_that_do_not_fit_are_refused_by_name(call):
    with pytest.raises(DataError):
        call()


def test_specs_come_back_with_the_same_fingerprint_and_keep_the_contract():
    for spec in (
        {"use": "compose.log_sigmoid", "reward": {"use": "verify.exact"}, "reference": {"use": "compose.column", "column": "c"}},
        {"use": "compose.quantile_map", "reward": {"use": "verify.f1"}, "reference": [0, 0.5, 1]},
    ):
        built = from_spec(spec)
        assert from_spec(built.to_yaml()).fingerprint == built.fingerprint
    assert check_reward(from_spec("{use: compose.squash, reward: {use: verify.f1}, low: 0, high: 1}")).ok
