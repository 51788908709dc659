"""Contextual bandits: exact values, regrets and gradients against arithmetic by hand and by differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.worlds import ContextualBandit, random_bandit

bandits = st.builds(
    random_bandit,
    st.integers(0, 1000),
    contexts=st.integers(1, 5),
    arms=st.integers(1, 4),
    noise=st.sampled_from(["gaussian", "bernoulli"]),
)


@given(bandits, st.integers(0, 100))
def test_the_gradient_is_that_of_the_value_by_differences(bandit, seed):
    logits = np.random.default_rng(seed).standard_normal(bandit.means.shape)
    exact, step = bandit.gradient(logits), 1e-6
    for place in np.ndindex(*logits.shape):
        up, down = logits.copy(), logits.copy()
        up[place] += step
        down[place] -= step
        slope = (bandit.value(bandit.softmax(up)) - bandit.value(bandit.softmax(down))) / (2 * step)
        assert exact[place] == pytest.approx(slope, abs=1e-8)


@given(bandits)
def test_only_the_best_arms_have_no_regret(bandit):
    assert not bandit.regret(bandit.best_arms).any()
    for arm in range(bandit.means.shape[1]):
        arms = np.full(len(bandit.means), arm)
        np.testing.assert_allclose(bandit.regret(arms), bandit.means.max(axis=1) - bandit.means[:, arm])
        lost = bandit.contexts @ bandit.regret(arms)
        assert bandit.value(bandit.best_arms) - bandit.value(arms) == pytest.approx(lost, abs=1e-12)


@pytest.mark.parametrize("noise", ["gaussian", "bernoulli"])
def test_rewards_have_the_means_that_the_feedback_says(noise):
    bandit = random_bandit(1, contexts=2, arms=3, noise=noise)
    contexts, arms = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    many = [np.tile(each, 20_000) for each in (contexts, arms)]

    def means(**how):
        return bandit.pull(*many, seed=5, **how).reshape(-1, 6).mean(axis=0)

    truth = bandit.means.ravel()
    mirror = 1 if noise == "bernoulli" else np.repeat(2 * bandit.means.mean(axis=1), 3)
    np.testing.assert_allclose(means(), truth, atol=0.04)
    np.testing.assert_allclose(means(feedback="flipped"), mirror - truth, atol=0.04)
    np.testing.assert_allclose(means(feedback="random"), np.repeat(bandit.means.mean(axis=1), 3), atol=0.04)
    np.testing.assert_allclose(means(flip_rate=0.25), 0.75 * truth + 0.25 * (mirror - truth), atol=0.04)
    np.testing.assert_allclose(means(feedback="flipped", flip_rate=1.0), truth, atol=0.04)


def test_flipping_turns_the_order_of_arms_around_in_every_context():
    bandit = random_bandit(2, contexts=4, arms=3, std=0.0)
    contexts, arms = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    flipped = bandit.pull(contexts, arms, feedback="flipped").reshape(4, 3)
    np.testing.assert_array_equal(flipped.argmax(axis=1), bandit.means.argmin(axis=1))


def test_climbing_the_exact_gradient_finds_the_best_arms():
    bandit = random_bandit(3, contexts=6, arms=4)
    logits = np.zeros((6, 4))
    for _ in range(3_000):
        logits += 5.0 * bandit.gradient(logits)
    assert (bandit.softmax(logits).argmax(axis=1) == bandit.best_arms).all()
    assert bandit.regret(bandit.softmax(logits)).max() < 0.02


def test_contexts_are_drawn_by_their_probabilities_and_by_seed():
    bandit = ContextualBandit(np.zeros((3, 2)), contexts=np.array([0.7, 0.2, 0.1]))
    drawn = bandit.draw_contexts(20_000, seed=3)
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, [0.7, 0.2, 0.1], atol=0.02)
    np.testing.assert_array_equal(drawn, bandit.draw_contexts(20_000, seed=3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ContextualBandit(np.zeros(3)), "shape"),
        (lambda: ContextualBandit([[np.inf]]), "finite"),
        (lambda: ContextualBandit([[1.5]], noise="bernoulli"), "probabilities"),
        (lambda: ContextualBandit([[0.5]], noise="cauchy"), "'gaussian' or 'bernoulli'"),
        (lambda: ContextualBandit([[0.5]], std=-1.0), "std"),
        (lambda: ContextualBandit([[0.5]], contexts=np.array([0.5])), "add up to 1"),
        (lambda: random_bandit(0).value(np.zeros(3, int)), "policy"),
        (lambda: random_bandit(0).gradient(np.zeros((2, 2))), "logits"),
        (lambda: random_bandit(0).pull([0], [5]), "arms"),
        (lambda: random_bandit(0).pull([0, 1], [0]), "arms"),
        (lambda: random_bandit(0).pull([0.5], [0]), "contexts"),
        (lambda: random_bandit(0).pull([0], [0], flip_rate=2), "flip_rate"),
        (lambda: random_bandit(0).pull([0], [0], feedback="wrong"), "feedback"),
        (lambda: random_bandit(0, arms=0), "at least one"),
    ],
)
def test_what_is_no_bandit_arm_or_policy_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()
