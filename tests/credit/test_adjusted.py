"""Advantages adjusted by budget, difficulty, outliers and consistency."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import (
    budget_advantage,
    clipped_ratio,
    consistency_bonus,
    difficulty_scale,
    filter_outliers,
    group_advantage,
)
from plaudit.errors import DataError

NAN = float("nan")
tables = st.integers(1, 4).flatmap(
    lambda s: st.lists(
        st.tuples(st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), min_size=s, max_size=s), st.integers(0, 2)), min_size=1
    )
)


@given(tables, st.sampled_from(["equal", "linear", "last"]))
def test_budget_advantages_equal_the_formula_read_literally(batch, shape):
    size = len(batch[0][0])
    prior = {"equal": None, "linear": list(range(1, size + 1)), "last": [0.0] * (size - 1) + [1.0]}[shape]
    weights = np.array(prior if prior else [1.0] * size, float)
    weights = weights / weights.sum()
    found, _ = budget_advantage([row for row, _ in batch], [g for _, g in batch], prior)

    def to_come(row, s):
        return math.fsum(weights[j] * row[j] for j in range(s, size))

    for x, (row, group) in zip(found, batch, strict=True):
        peers = [r for r, g in batch if g == group and not any(map(math.isnan, r))]
        for s in range(size):
            if any(map(math.isnan, row)):
                assert math.isnan(x[s])
                continue
            reached = sum(2**j * row[j] for j in range(s)) / (2**s - 1) * weights[s:].sum() if s else 0.0
            mean = statistics.fmean(to_come(peer, s) for peer in peers)
            assert x[s] == pytest.approx(to_come(row, s) - s / size * reached - (size - s) / size * mean, abs=1e-9)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, NAN]), st.integers(0, 2)), min_size=1))
def test_one_budget_is_the_centred_reward(batch):
    rewards, groups = np.array([r for r, _ in batch]), [g for _, g in batch]
    found, _ = budget_advantage(rewards[:, None], groups)
    np.testing.assert_allclose(found[:, 0], group_advantage(rewards, groups, "mean")[0], atol=1e-12)


def test_the_mixed_baseline_has_less_variance_than_the_past_of_the_thought_alone():
    # Thoughts whose accuracy climbs to a height of their own.
    rng = np.random.default_rng(0)
    prompts, size, budgets = 400, 8, 4
    height = np.clip(rng.uniform(0, 1, (prompts, 1, 1)) + 0.25 * rng.normal(size=(prompts, size, 1)), 0, 1)
    climb = np.array([0.3, 0.6, 0.9, 1.0])
    accuracies = (rng.binomial(8, height * climb) / 8).reshape(-1, budgets)
    groups = np.repeat(np.arange(prompts), size)
    mixed, _ = budget_advantage(accuracies, groups)
    left = np.array([1.0, 0.75, 0.5, 0.25])
    to_come = np.cumsum(accuracies[:, ::-1] / 4, axis=1)[:, ::-1]
    powers = 2.0 ** np.arange(budgets)
    reached = np.stack(
        [
            (accuracies[:, :s] * powers[:s]).sum(1) / max(powers[:s].sum(), 1) * left[s] if s else np.zeros(len(groups))
            for s in range(4)
        ],
        axis=1,
    )
    own_only = to_come - reached
    assert (mixed**2).mean() < 0.8 * (own_only**2).mean()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


prompts = st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.sampled_from("ab")), min_size=1, max_size=8)


@given(prompts)
def test_difficulty_equals_the_ratio_of_sigmoids_within_bounds(batch):
    hardness, gap, classes = [h for h, _, _ in batch], [g for _, g, _ in batch], [c for *_, c in batch]
    found = difficulty_scale(hardness, gap, classes)
    for x, (h, g, c) in zip(found, batch, strict=True):
        means = (statistics.fmean(row[i] for row in batch if row[2] == c) for i in (0, 1))
        wanted = sigmoid(h) / sigmoid(next(means)) * sigmoid(g) / sigmoid(next(means))
        assert x == pytest.approx(min(max(wanted, 0.5), 2.0), rel=1e-6)
        assert 0.5 <= x <= 2


def test_a_class_of_like_prompts_and_one_that_is_not_known_give_grpo():
    assert difficulty_scale([0.3, 0.3], [-5.0, -5.0], ["a", "a"]).tolist() == [1, 1]
    assert difficulty_scale([NAN, NAN], [NAN, NAN], ["a", "a"]).tolist() == [1, 1]
    assert difficulty_scale([-1e5, -1e5], [1e5, 1e5], ["a", "a"]).tolist() == [1, 1]


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(NAN)), max_size=30), st.sampled_from([0.5, 1.0, 3.0]))
def test_no_advantage_is_left_beyond_the_limit(values, limit):
    found, outliers = filter_outliers(values, limit)
    assert np.array_equal(np.isnan(found), np.isnan(np.array(values, float)))
    assert (np.abs(found[~np.isnan(found)]) <= limit).all()
    assert (found[outliers] == 0).all()


def test_one_broken_advantage_among_many_is_taken_out():
    found, outliers = filter_outliers([*np.linspace(-1, 1, 99), 1e6])
    assert outliers.nonzero()[0].tolist() == [99]
    assert found[99] == 0


@given(st.lists(st.tuples(st.floats(-2000, 0), st.floats(-2000, 0)), max_size=20))
def test_ratios_are_finite_and_right_inside_their_bounds(pairs):
    new, old = [a for a, _ in pairs], [b for _, b in pairs]
    found = clipped_ratio(new, old)
    for x, (a, b) in zip(found, pairs, strict=True):
        assert x == pytest.approx(math.exp(min(max(a - b, math.log(1e-3)), math.log(1e3))))


samples = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 0.5, 1.0, NAN]), st.one_of(st.floats(-4, 0), st.just(NAN)), st.integers(0, 2)),
    max_size=14,
)


@given(samples)
def test_the_bonus_equals_the_rule_read_literally(batch):
    accuracies, sure, groups = [a for a, _, _ in batch], [s for _, s, _ in batch], [g for *_, g in batch]
    found = consistency_bonus(accuracies, sure, groups)
    for x, (accuracy, own, group) in zip(found, batch, strict=True):
        if math.isnan(accuracy):
            assert math.isnan(x)
            continue
        scored = [(a, s) for a, s, g in batch if g == group and not math.isnan(a)]
        mean = statistics.fmean(a for a, _ in scored)
        peers = [min(math.exp(s), 0.95) for a, s in scored if a > 0.1 and a >= mean - 1e-12 and not math.isnan(s)]
        right = accuracy > 0.1 and accuracy >= mean - 1e-12 and not math.isnan(own)
        paid = right and min(math.exp(own), 0.95) >= statistics.fmean(peers) - 0.01
        assert x == pytest.approx(0.5 * accuracy if paid else 0.0)


def test_edges_of_the_bonus():
    assert consistency_bonus([0.0, 0.0], [-0.1, -0.1], ["a", "a"]).tolist() == [0, 0]  # none is right
    assert consistency_bonus([1.0, 0.0], [-9.0, -0.1], ["a", "a"]).tolist() == [0.5, 0]  # one is, and is its own measure
    assert consistency_bonus([1.0, 1.0], [-0.001, -0.04], ["a", "a"]).tolist() == [0.5, 0.5]  # no pay beyond the ceiling


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: budget_advantage([[1.5]], ["a"]), r"accuracies\[0\] is 1.5"),
        (lambda: budget_advantage([[1.0]], ["a"], [0.0]), "not all 0"),
        (lambda: budget_advantage([1.0], ["a"]), "accuracies have shape"),
        (lambda: difficulty_scale([0.0], [0.0], ["a"], low=1.5), "low is 1.5"),
        (lambda: difficulty_scale([0.0, 0.0], [0.0], ["a"]), "one for each label"),
        (lambda: filter_outliers([float("inf")]), r"advantages\[0\] is inf"),
        (lambda: filter_outliers([1.0], 0.0), "limit is 0.0"),
        (lambda: clipped_ratio([1.0], [1.0, 2.0]), "one for each log-probability"),
        (lambda: consistency_bonus([1.0], [0.5], ["a"]), r"answer_logprobs\[0\] is 0.5"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
