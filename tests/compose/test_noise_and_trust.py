"""Corrections are unbiased by enumeration; honesty is the best policy; filtrations; ensembles; multipliers hold points."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plaudit import Context
from plaudit.compose import (
    FILTRATIONS,
    Column,
    CorrectnessBrier,
    Ensemble,
    Lagrangian,
    NoiseCorrected,
    Saturated,
    appeal_rate,
    backward_correction,
    correctness_brier,
    draw_filtered,
    ensemble,
    filtration,
    filtration_r2,
    filtration_weights,
    flip_groups,
    forward_correction,
    select_filtration,
    variance_weighted_penalty,
)
from plaudit.errors import ContractError, DataError
from plaudit.reward import from_spec
from plaudit.verify import Exact

rates = st.tuples(st.floats(0, 0.95), st.floats(0, 0.95)).filter(lambda r: sum(r) < 0.95)


def channel(truth, positive, negative):
    """The probabilities that the checker says 0 and 1 of an answer that is wrong (0) or right (1)."""
    return np.array([1 - positive, positive]) if truth == 0 else np.array([negative, 1 - negative])


@given(rates)
def test_the_backward_correction_is_unbiased_by_enumeration(pair):
    said = backward_correction([0.0, 1.0], *pair)
    for truth in (0, 1):
        assert channel(truth, *pair) @ said == pytest.approx(truth, abs=1e-9)


@given(rates)
def test_the_forward_correction_is_the_truth_minus_one_scaled_by_enumeration(pair):
    said = forward_correction([0.0, 1.0], pair[1])
    for truth in (0, 1):
        assert channel(truth, *pair) @ said == pytest.approx((1 - sum(pair)) * (truth - 1), abs=1e-9)


def test_the_expected_gradient_of_a_bandit_is_the_clean_one_by_enumeration():
    # Three arms with chances to be right, and errors of the checker that differ by arm.
    right, positive, negative = np.array([0.9, 0.5, 0.1]), np.array([0.05, 0.1, 0.6]), np.array([0.5, 0.1, 0.05])
    policy = np.array([0.2, 0.3, 0.5])

    def gradient(expected):
        return policy * (expected - policy @ expected)

    def expected(values):
        return np.array([sum(
            (right[a] if truth else 1 - right[a]) * channel(truth, positive[a], negative[a]) @ values(a) for truth in (0, 1)
        ) for a in range(3)])  # fmt: skip

    clean = gradient(right)
    assert gradient(expected(lambda a: backward_correction([0.0, 1.0], positive[a], negative[a]))) == pytest.approx(clean)
    raw = gradient(expected(lambda a: np.array([0.0, 1.0])))
    assert np.argmax(raw) != np.argmax(clean), "uncorrected, the checker's favourite wins"


def test_rates_may_stand_in_columns_and_impossible_ones_fail_their_row(told, rows):
    fair = NoiseCorrected(told("r", 0, 1), Column("fp", low=0, high=1), Column("fn", low=0, high=1))
    verdicts = fair.score(rows({"r": [1, 0, 1, None], "fp": [0.25, 0.25, 0.6, 0.0], "fn": [0.25, 0.25, 0.6, 0.0]}))
    assert verdicts.values[:2].tolist() == [1.5, -0.5]
    assert verdicts.reason[2:] == ["invalid_value", "all_abstained"]


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 30))
def test_appeals_of_every_no_give_the_exact_rate(yes, false_noes, true_noes):
    assume(false_noes + true_noes)
    said = [1] * yes + [0] * (false_noes + true_noes)
    second = [np.nan] * yes + [1] * false_noes + [0] * true_noes
    assert appeal_rate(said, second) == pytest.approx(false_noes / (false_noes + yes))


def test_group_flips_scale_the_mean_gradient_by_one_minus_twice_the_rate():
    generator = np.random.default_rng(0)
    values, groups = np.tile([1.0, 0.0, 0.0, 1.0], 20_000), np.repeat(np.arange(20_000), 4)
    for by in ("group", "sample"):
        flipped = flip_groups(values, groups, 0.4, generator, by=by)
        assert np.mean((flipped - 0.5) * (values - 0.5)) / 0.25 == pytest.approx(0.2, abs=0.03)
    flipped = flip_groups(values, groups, 0.4, generator).reshape(-1, 4)
    assert set(map(tuple, flipped.tolist())) == {(1, 0, 0, 1), (0, 1, 1, 0)}


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_honest_confidence_is_the_best_one_and_its_worth_grows_with_the_chance(p, q, weight):
    def worth(chance, stated):
        return chance * correctness_brier([1], [stated], weight)[0] + (1 - chance) * correctness_brier([0], [stated], weight)[0]

    assert worth(p, q) <= worth(p, p) + 1e-12
    better = min(p + 0.01, 1.0)
    assert worth(better, better) >= worth(p, p) - 1e-12
    assert worth(p, p) == pytest.approx(p - weight * p * (1 - p))


def test_correctness_and_brier_need_both(told, rows):
    honest = CorrectnessBrier(told("c", 0, 1), told("q", 0, 1))
    verdicts = honest.score(rows({"c": [1, 1, None, "fail"], "q": [0.5, "fail", 0.5, 0.5]}))
    assert verdicts.status.tolist() == ["scored", "failed", "abstained", "failed"]


@given(st.lists(st.integers(0, 5) | st.none(), min_size=1, max_size=12), st.sampled_from(FILTRATIONS), st.randoms())
def test_a_filtration_gives_every_group_one_in_all_and_does_not_depend_on_order(values, kind, random):
    rewards = np.array([np.nan if v is None else v for v in values], dtype=float)
    groups = np.arange(len(values)) % 3
    picked = filtration(rewards, groups, kind)
    for g in set(groups.tolist()):
        scored = ~np.isnan(rewards[groups == g])
        assert picked[groups == g].sum() == pytest.approx(float(scored.any()))
    assert (picked[np.isnan(rewards)] == 0).all()
    order = list(range(len(values)))
    random.shuffle(order)
    assert filtration(rewards[order], groups[order], kind) == pytest.approx(picked[order])
    assert sum(filtration_weights(kind, len(values))) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_alone_has_the_poorest_r2_for_want_of_contrast_and_the_selector_takes_the_highest(seed):
    # Rewards that say little in the middle. That the best and the worst together beat all ranks does not come out here.
    generator = np.random.default_rng(seed)
    rewards, groups = generator.random(2000), np.repeat(np.arange(400), 5)
    actual = rewards + np.where(np.abs(rewards - 0.5) < 0.3, 1.0, 0.1) * generator.standard_normal(2000)
    best, found = select_filtration(rewards, actual, groups)
    assert min(found, key=found.get) == "best"
    assert found[best] == max(found.values())
    assert np.isnan(filtration_r2(rewards, np.ones(2000), groups, "all"))


def test_a_draw_keeps_as_many_of_a_group_as_may_be_picked():
    picked = filtration([3, 2, 1, 5, 4], ["a", "a", "a", "b", "b"], "best_worst")
    assert draw_filtered(picked, ["a", "a", "a", "b", "b"], 2, np.random.default_rng(0)).tolist() == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert draw_filtered([], [], 1, np.random.default_rng(0)).tolist() == []


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6), st.floats(0, 3))
def test_no_cautious_ensemble_is_above_the_mean_and_without_caution_it_is_the_mean(scores, caution):
    mean = np.mean(scores)
    assert ensemble([scores], "lower_bound", caution)[0][0] <= mean + 1e-9
    assert ensemble([scores], "minimum")[0][0] == min(scores)
    assert abs(ensemble([scores], "discount", caution)[0][0]) <= abs(mean) + 1e-9
    for aggregate in ("lower_bound", "discount"):
        assert ensemble([scores], aggregate, 0.0)[0][0] == pytest.approx(mean)


def test_the_worst_case_resists_independent_errors_and_not_a_shared_one():
    generator = np.random.default_rng(0)
    gold = generator.standard_normal(5000)
    independent = gold + 2 * generator.standard_normal((5, 5000))
    shared = gold + 2 * generator.standard_normal(5000) + 0.1 * generator.standard_normal((5, 5000))

    def picked(scores, aggregate):
        value = scores[0] if aggregate is None else ensemble(scores.T, aggregate)[0]
        return gold[np.argsort(value)[-50:]].mean()

    assert picked(independent, "minimum") > picked(independent, None) + 0.3
    assert picked(shared, "minimum") < picked(shared, None) + 0.3


def test_an_ensemble_says_its_disagreement_and_leaves_out_who_abstains(told, rows):
    verdicts = Ensemble({"a": told("a"), "b": told("b")}).score(rows({"a": [1, 1, 1], "b": [3, None, "fail"]}))
    assert verdicts.values[:2].tolist() == [1.0, 1.0]
    assert verdicts.std == [1.0, 0.0, None]
    assert verdicts.status[2] == "failed"


def test_moving_towards_an_uncertain_answer_costs_more():
    certain, uncertain = variance_weighted_penalty([1.0, 1.0], [0.1, 2.0], beta=0.5)
    assert uncertain < certain < 0


def test_multipliers_hold_rewards_at_their_points_where_a_fixed_sum_runs_past_them(told, rows):
    held = Lagrangian({"a": told("a"), "b": told("b")}, {"a": 1.0, "b": 2.0}, kind="equal", rate=0.2)
    place = np.zeros(2)
    for _ in range(3000):
        weights = np.array(list(held.weights.values()))
        place = place + 0.05 * (weights - 0.05 * place)  # the policy follows the weights, and a KL cost pulls it back
        samples = rows({"a": [place[0]], "b": [place[1]]})
        held.update(samples, held.score(samples), Context())
    assert place == pytest.approx([1.0, 2.0], abs=0.15)
    assert 2 * place.max() < 1 / 0.05, "with weights of 1 it would have gone to 20"


def test_the_state_of_the_multipliers_is_stamped_saved_and_refused_for_other_parts(told, rows):
    held, other = (Lagrangian({"a": told("a")}, {"a": 1.0}) for _ in range(2))
    samples = rows({"a": [0.0, None, "fail"]})
    before = held.score(samples)
    assert before.status.tolist() == ["scored", "abstained", "failed"]
    held.update(samples, before, Context())
    assert held.score(samples).stamp != before.stamp
    other.load_state_dict(held.state_dict())
    assert other.score(samples).stamp == held.score(samples).stamp
    assert held.weights["a"] > 0.5, "below its point a reward gains weight"
    with pytest.raises(DataError, match="expected verdicts with parts"):
        held.update(samples, told("a").score(samples), Context())
    with pytest.raises(ValueError, match="expected the state"):
        Lagrangian({"b": told("b")}, {"b": 1.0}).load_state_dict(held.state_dict())


def test_a_saturated_sum_counts_up_to_its_points(told, rows):
    assert Saturated({"a": told("a"), "b": told("b")}, {"a": 1.0})(rows({"a": [5, None], "b": [7, 7]})).tolist() == [8.0, 7.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda t: NoiseCorrected(t("a")),
        lambda t: NoiseCorrected(t("a", 0, 1), 0.5, 0.5),
        lambda t: NoiseCorrected(t("a", 0, 1), 0.1, form="forward"),
        lambda t: CorrectnessBrier(t("a")),
        lambda t: CorrectnessBrier(Exact(), weight=2),
        lambda t: Ensemble({"a": t("a")}),
        lambda t: Ensemble({"a": t("a"), "b": t("b")}, "best"),
        lambda t: Lagrangian({"a": t("a")}, {}),
        lambda t: Lagrangian({"a": t("a")}, {"a": 1.0}, rate=0),
        lambda t: Saturated({"a": t("a")}, {"b": 1.0}),
    ],
)
def test_what_means_nothing_is_refused(make, told):
    with pytest.raises(ContractError):
        make(told)


@pytest.mark.parametrize(
    "call",
    [
        lambda: backward_correction([1.0], 0.5, 0.5),
        lambda: backward_correction([2.0], 0.1, 0.1),
        lambda: appeal_rate([0.5], [1]),
        lambda: filtration([1.0], ["a", "b"], "all"),
        lambda: filtration([np.inf], ["a"], "all"),
        lambda: filtration_weights("some", 3),
        lambda: correctness_brier([1], [1.5]),
        lambda: ensemble([1.0]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call):
    with pytest.raises(DataError):
        call()


def test_specs_come_back():
    tree = NoiseCorrected(Exact(), 0.1, Column("fn", low=0, high=0.5))
    assert from_spec(tree.to_yaml()).fingerprint == tree.fingerprint
