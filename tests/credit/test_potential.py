"""Shaping: what it adds telescopes, and on random processes, exactly solved, it leaves the best actions as they are."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import fuse_progress, optimal_actions, shaped_rewards
from plaudit.errors import DataError
from plaudit.worlds import TabularMdp, random_mdp, sample_trajectories, solve_mdp

episodes = st.lists(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=6), min_size=1, max_size=5)


def split(batch):
    values = np.array([r for row in batch for r, _ in row])
    heights = np.array([p for row in batch for _, p in row])
    return values, heights, np.concatenate([[0], np.cumsum([len(row) for row in batch])]).astype(int)


@given(episodes, st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.booleans())
def test_the_discounted_sum_changes_by_the_potentials_at_both_ends(batch, discount, cut):
    rewards, heights, offsets = split(batch)
    final = np.arange(len(batch)) - 1.5 if cut else None
    found = shaped_rewards(rewards, heights, offsets, discount, final)
    for i, (a, b) in enumerate(itertools.pairwise(offsets)):
        powers = discount ** np.arange(b - a)
        end = discount ** (b - a) * final[i] if cut else 0.0
        assert powers @ found[a:b] - powers @ rewards[a:b] == pytest.approx(end - heights[a], abs=1e-9)


@given(st.integers(0, 200), st.sampled_from([0.5, 0.9, 0.99]), st.sampled_from([0, 2]))
def test_shaping_leaves_the_best_actions_of_a_random_process(seed, discount, terminal):
    mdp = random_mdp(seed, states=8, actions=3, discount=discount, terminal=terminal)
    potential = np.random.default_rng(seed).normal(size=8) * 5
    assert (optimal_actions(mdp) == optimal_actions(mdp.shaped(potential))).all()


def test_a_bonus_that_is_no_difference_of_potentials_does_change_them():
    changed = 0
    for seed in range(20):
        mdp = random_mdp(seed, states=8, actions=3, discount=0.9)
        bonus = np.random.default_rng(seed).normal(size=8)
        changed += bool((optimal_actions(mdp) != optimal_actions(mdp.with_rewards(mdp.rewards + bonus[None, None, :]))).any())
    assert changed > 10


def test_shaped_rewards_of_drawn_episodes_are_those_of_the_shaped_process():
    mdp = random_mdp(3, states=6, actions=2, discount=0.9)
    drawn = sample_trajectories(mdp, np.zeros(6, int), n=5, horizon=7, seed=0)
    potential = np.random.default_rng(0).normal(size=6)
    states, actions = drawn.states, drawn.actions
    rewards = mdp.rewards[states[:, :-1], actions, states[:, 1:]].ravel()
    found = shaped_rewards(rewards, potential[states[:, :-1]].ravel(), np.arange(0, 36, 7), 0.9, potential[states[:, -1]])
    wanted = mdp.shaped(potential).rewards[states[:, :-1], actions, states[:, 1:]].ravel()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def chain(bonus):
    """Places in a row, the goal last; walk on, or stay. `bonus(before, after)` comes on top; the end has potential 0."""
    places, progress = 6, np.linspace(0, 1, 6)
    moves, rewards = np.zeros((places, 2, places)), np.zeros((places, 2, places))
    for s in range(places - 1):
        moves[s, 0, s + 1] = moves[s, 1, s] = 1.0
        for a, t in ((0, s + 1), (1, s)):
            rewards[s, a, t] = 0.05 * (t == places - 1) + bonus(progress[s], progress[t] if t < places - 1 else 0.0)
    moves[-1, :, -1] = 1.0
    return TabularMdp(moves, rewards, 0.9, terminal=[False] * 5 + [True])


def test_undiscounted_differences_park_before_the_goal_and_shaping_does_not():
    naive = solve_mdp(chain(lambda before, after: after - before)).policy
    shaped = solve_mdp(chain(lambda before, after: 0.9 * after - before)).policy
    assert shaped[:5, 0].tolist() == [1.0] * 5
    assert naive[4, 1] == 1.0


@given(st.lists(st.lists(st.tuples(*[st.floats(-1, 1)] * 3), max_size=9), max_size=4), st.sampled_from([0.0, 0.3]))
def test_fused_progress_equals_walking_hop_by_hop(batch, first):
    hops, forward, goal = (np.array([s[i] for row in batch for s in row], float) for i in range(3))
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in batch])]).astype(int)
    found, apart = fuse_progress(hops, forward, goal, offsets, first)
    wanted = []
    for row in batch:
        progress = first
        for hop, begin, end in row:
            progress = progress + (1 - progress) * hop if hop >= 0 else progress + progress * hop
            wanted.append(min(max((progress + begin + 1 + end) / 3, 0.0), 1.0))
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    np.testing.assert_allclose(apart, np.abs(forward - 1 - goal), atol=1e-12)


def test_three_noisy_readings_are_nearer_the_truth_than_any_one():
    rng = np.random.default_rng(0)
    truth = np.tile(np.linspace(0.1, 1, 10), 200)
    before = np.tile(np.linspace(0.0, 0.9, 10), 200)

    def noisy(x):
        return np.clip(x + 0.1 * rng.normal(size=x.shape), -1, 1)

    hops, forward, goal = noisy((truth - before) / (1 - before)), noisy(truth), noisy(truth - 1)
    found, _ = fuse_progress(hops, forward, goal, np.arange(0, 2001, 10))
    error = np.abs(found - truth).mean()
    assert error < np.abs(forward - truth).mean()
    assert error < np.abs(1 + goal - truth).mean()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: shaped_rewards([1.0], [float("nan")], [0, 1]), r"potentials\[0\] is nan"),
        (lambda: shaped_rewards([1.0], [1.0], [0, 1], 1.1), "discount is 1.1"),
        (lambda: shaped_rewards([1.0], [1.0, 2.0], [0, 1]), "one for each reward"),
        (lambda: shaped_rewards([1.0], [1.0], [0, 1], final=[1.0, 2.0]), "one for each episode"),
        (lambda: fuse_progress([1.5], [0.0], [0.0], [0, 1]), r"hops\[0\] is 1.5"),
        (lambda: fuse_progress([0.5], [float("nan")], [0.0], [0, 1]), r"from_start\[0\] is nan"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
