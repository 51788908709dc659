"""Advantages for right and wrong: special cases, enumeration, and simulated policies."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import (
    beta_advantage,
    beta_parameters,
    decomposed_advantage,
    group_advantage,
    pass_at_k_bonus,
    unlikeliness_rewards,
)
from plaudit.errors import DataError

NAN = float("nan")
batches = st.lists(st.tuples(st.sampled_from([0.0, 1.0, NAN]), st.integers(0, 3)), max_size=24)


def split(batch):
    return np.array([r for r, _ in batch], float), np.array([g for _, g in batch], int)


@given(batches)
def test_beta_with_parameters_1_is_the_centred_reward(batch):
    rewards, groups = split(batch)
    found, _ = beta_advantage(rewards, groups, parameters=(1.0, 1.0))
    np.testing.assert_array_equal(found, group_advantage(rewards, groups, "mean")[0])


@given(batches)
def test_beta_with_parameters_three_halves_is_grpo_up_to_a_constant(batch):
    rewards, groups = split(batch)
    found, _ = beta_advantage(rewards, groups, parameters=(1.5, 1.5), largest_weight=1e6)
    grpo, _ = group_advantage(rewards, groups, ddof=0, epsilon=0.0)
    np.testing.assert_allclose(found, grpo * math.pi / 8, atol=1e-6)


def density(p, a, b):
    return p ** (a - 1) * (1 - p) ** (b - 1) * math.gamma(a + b) / math.gamma(a) / math.gamma(b)


@given(batches)
def test_beta_equals_the_formula_read_literally(batch):
    rewards, groups = split(batch)
    means = {g: statistics.fmean(x) for g in set(groups.tolist()) if (x := [r for r, h in batch if h == g and not math.isnan(r)])}
    a = b = 1.0
    if len(means) > 1 and statistics.variance(means.values()) > 1e-12:
        m, v = statistics.fmean(means.values()), statistics.variance(means.values())
        a, b = max(1.0, 1 + (m * (1 - m) / v - 1) * m / 3), max(1.0, 1 + (m * (1 - m) / v - 1) * (1 - m) / 3)
    assert beta_parameters(list(means.values())) == pytest.approx((a, b))
    found, _ = beta_advantage(rewards, groups)
    for x, (reward, group) in zip(found, batch, strict=True):
        if math.isnan(reward):
            assert math.isnan(x)
        elif means[group] in (0.0, 1.0):
            assert x == 0
        else:
            p = means[group]
            assert x == pytest.approx((reward - p) * min(10.0, 1 / density(p, a, b)), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(4.0, 2.0), (1.0, 1.0), (0.5, 3.0)])
def test_the_fitted_density_gives_the_least_second_moment_of_the_advantage(a, b):
    # What the paper minimises, success rates drawn from Beta(a, b): E[(r - p)^2 / f(p)^2] = E[p (1 - p) / f(p)^2].
    p = (np.arange(20_000) + 0.5) / 20_000
    weight = p**a * (1 - p) ** b

    def moment(alpha, beta):
        with np.errstate(over="ignore", divide="ignore"):
            found = np.array(weight / density(p, alpha, beta) ** 2)
        return found.mean()

    # The density found from a sample of the rates is the one the theorem names.
    alpha, beta = beta_parameters(np.random.default_rng(0).beta(a, b, 200_000))
    assert (alpha, beta) == pytest.approx((1 + a / 3, 1 + b / 3), rel=0.02)
    least = moment(alpha, beta)
    others = [(1.0, 1.0), (1.5, 1.5), (alpha + 0.2, beta), (alpha - 0.1, beta), (alpha, beta + 0.2), (alpha, beta - 0.1)]
    assert all(least < moment(*other) for other in others if min(other) >= 1)


def test_parts_are_normalised_each_by_itself_and_averaged():
    parts, groups = np.array([[1.0, 0.0], [0.0, 100.0], [1.0, NAN]]), ["a"] * 3
    found, reports = decomposed_advantage(parts, groups, group_advantage)
    first, second = (group_advantage(column, groups)[0] for column in parts.T)
    np.testing.assert_allclose(found, [(first[0] + second[0]) / 2, (first[1] + second[1]) / 2, first[2]])
    assert len(reports) == 2
    assert np.isnan(decomposed_advantage([[NAN, NAN]], ["a"], group_advantage)[0]).all()


ranked = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, NAN]), st.sampled_from([-3.0, -2.0, -1.0]), st.integers(0, 2)), max_size=16
)


@given(ranked, st.sampled_from([0.0, 0.25, 0.9]))
def test_unlikeliness_equals_counting_the_less_likely(batch, strength):
    rewards, logprobs, groups = (np.array([row[i] for row in batch], int if i == 2 else float) for i in range(3))
    found = unlikeliness_rewards(rewards, logprobs, groups, strength)
    for x, (reward, logprob, group) in zip(found, batch, strict=True):
        if math.isnan(reward):
            assert math.isnan(x)
            continue
        peers = [p for r, p, g in batch if g == group and not math.isnan(r)]
        rank = sum(p < logprob for p in peers) + (peers.count(logprob) - 1) / 2
        assert x == pytest.approx(reward * (1 - strength * rank / len(peers)))
        assert (x > 0) == (reward > 0)  # the right stay above the wrong


def learned(strength):
    """A categorical policy with two right answers of unequal probability among five, after expected group updates."""
    rng = np.random.default_rng(0)
    logits = np.log([0.5, 0.1, 0.2, 0.1, 0.1])
    for _ in range(400):
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        drawn = rng.choice(5, size=32, p=chances)
        rewards = unlikeliness_rewards((drawn < 2).astype(float), np.log(chances)[drawn], np.zeros(32, int), strength)
        advantages, _ = group_advantage(rewards, np.zeros(32, int))
        # Equal answers have equal likelihood, so ties are common here: the rare right answer ranks below the common one.
        step = np.bincount(drawn, advantages, minlength=5) / 32
        logits = logits + 0.1 * (step - chances * advantages.mean())
    return chances


def test_rare_right_answers_survive_only_where_the_unlikely_is_paid():
    plain, paid = learned(0.0), learned(0.25)
    assert plain[:2].sum() > 0.9
    assert paid[:2].sum() > 0.9
    assert min(paid[:2]) > min(plain[:2]) + 0.1


@given(batches, st.integers(1, 5))
def test_the_pass_at_k_bonus_equals_enumerating_all_sets(batch, k):
    hits, groups = split(batch[:14])
    found = pass_at_k_bonus(hits, groups, k, epsilon=1e-6)
    for i in range(len(hits)):
        peers = [j for j in range(len(hits)) if groups[j] == groups[i] and not math.isnan(hits[j])]
        sets = list(itertools.combinations(peers, k))
        rho = statistics.fmean(any(hits[j] for j in s) for s in sets) if sets else 1.0
        if math.isnan(hits[i]):
            assert math.isnan(found[i])
        elif rho in (0.0, 1.0):
            assert found[i] == 0
        else:
            own = statistics.fmean(any(hits[j] for j in s) - rho for s in sets if i in s)
            assert found[i] == pytest.approx(own / (math.sqrt(rho * (1 - rho)) + 1e-6), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: beta_advantage([0.5, 2.0], ["a", "a"]), r"rewards\[1\] is 2.0"),
        (lambda: beta_advantage([0.5], ["a"], parameters=(0.5, 1.0)), "from 1 on"),
        (lambda: unlikeliness_rewards([1.0], [NAN], ["a"]), "row 0 has reward 1.0, log-probability nan"),
        (lambda: unlikeliness_rewards([-1.0], [0.0], ["a"]), "row 0 has reward -1.0"),
        (lambda: unlikeliness_rewards([1.0], [0.0], ["a"], strength=1.0), "strength is 1.0"),
        (lambda: pass_at_k_bonus([0.5], ["a"], 1), r"hits\[0\] is 0.5"),
        (lambda: pass_at_k_bonus([1.0], ["a"], 0), "k is 0"),
        (lambda: decomposed_advantage([1.0], ["a"]), "parts have shape"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
