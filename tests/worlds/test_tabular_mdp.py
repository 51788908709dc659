"""The tabular world against brute force: every policy of small processes, long rollouts, sampled episodes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.worlds import TabularMdp, evaluate_soft, random_mdp, sample_trajectories, solve_mdp, solve_soft_mdp

processes = st.builds(
    random_mdp,
    seed=st.integers(0, 10_000),
    states=st.integers(2, 6),
    actions=st.integers(1, 3),
    branching=st.integers(1, 2),
    discount=st.sampled_from([0.0, 0.5, 0.9, 0.97]),
    rewards=st.sampled_from(["dense", "sparse"]),
    terminal=st.integers(0, 1),
)


def random_policy(mdp, seed=0):
    chances = np.random.default_rng(seed).random((mdp.n_states, mdp.n_actions)) + 0.05
    return chances / chances.sum(axis=1, keepdims=True)


def rolled_out(mdp, policy, steps=1_500):
    """(S,) values by adding up expected rewards step by step, and (S, A) discounted visits from the start."""
    reward = (policy * mdp.expected_rewards).sum(axis=1)
    moves = np.einsum("sa,sat->st", policy, mdp.transitions)
    values, visits, at = np.zeros(mdp.n_states), np.zeros(mdp.n_states), mdp.start.copy()
    reach = np.eye(mdp.n_states)
    for t in range(steps):
        values += mdp.discount**t * reach @ reward
        visits += mdp.discount**t * at
        reach, at = reach @ moves, at @ moves
    return values, visits[:, None] * policy * ~mdp.terminal[:, None]


@settings(max_examples=40)
@given(processes, st.integers(0, 100))
def test_values_and_occupancy_are_those_of_long_rollouts(mdp, seed):
    policy = random_policy(mdp, seed)
    values, visits = rolled_out(mdp, policy)
    solved = mdp.evaluate(policy)
    np.testing.assert_allclose(solved.v, values, atol=1e-9)
    np.testing.assert_allclose(mdp.occupancy(policy), visits, atol=1e-9)
    np.testing.assert_allclose((policy * solved.q).sum(axis=1), solved.v, atol=1e-9)
    assert mdp.expected_return(policy) == pytest.approx((visits * mdp.expected_rewards).sum(), abs=1e-8)


@given(processes)
def test_policy_iteration_and_value_iteration_agree(mdp):
    exact, iterated = solve_mdp(mdp), solve_mdp(mdp, "value_iteration")
    np.testing.assert_allclose(exact.v, iterated.v, atol=1e-8)
    np.testing.assert_allclose(exact.q, iterated.q, atol=1e-8)
    np.testing.assert_array_equal(exact.policy, iterated.policy)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(0, 1), st.sampled_from(["dense", "sparse"]))
def test_no_deterministic_policy_of_three_states_beats_the_optimum_anywhere(seed, branching, terminal, rewards):
    mdp = random_mdp(seed, 3, 3, branching=branching, discount=0.9, rewards=rewards, terminal=terminal)
    every = np.array([mdp.evaluate(np.array(actions)).v for actions in product(range(3), repeat=3)])
    best = solve_mdp(mdp)
    np.testing.assert_allclose(best.v, every.max(axis=0), atol=1e-9)
    np.testing.assert_allclose(mdp.evaluate(best.actions).v, best.v, atol=1e-9)


@given(processes, st.sampled_from([0.01, 0.3, 5.0]), st.booleans(), st.integers(0, 100))
def test_the_soft_optimum_solves_its_equation_and_no_other_policy_does_better(mdp, temperature, near, seed):
    reference = random_policy(mdp, 7) if near else None
    best = solve_soft_mdp(mdp, temperature, reference)
    base = np.ones_like(best.q) if reference is None else reference
    top = best.q.max(axis=1, keepdims=True)
    backup = top[:, 0] + temperature * np.log((base * np.exp((best.q - top) / temperature)).sum(axis=1))
    np.testing.assert_allclose(best.v, np.where(mdp.terminal, 0.0, backup), atol=1e-8)
    np.testing.assert_allclose(best.q, mdp.action_values(best.v), atol=1e-9)
    for policy in (random_policy(mdp, seed), solve_mdp(mdp).policy):
        assert (evaluate_soft(mdp, policy, temperature, reference).v <= best.v + 1e-8).all()
    np.testing.assert_allclose(evaluate_soft(mdp, best.policy, temperature, reference).v, best.v, atol=1e-8)


def test_a_high_temperature_leads_to_the_reference_and_a_low_one_to_the_optimum():
    mdp, reference = random_mdp(3, 6, 3), random_policy(random_mdp(3, 6, 3))
    np.testing.assert_allclose(solve_soft_mdp(mdp, 1e5, reference).policy, reference, atol=1e-3)
    np.testing.assert_allclose(solve_soft_mdp(mdp, 1e5).policy, 1 / 3, atol=1e-3)
    np.testing.assert_allclose(solve_soft_mdp(mdp, 1e-3).policy, solve_mdp(mdp).policy, atol=1e-3)


def test_a_reference_that_never_takes_an_action_forbids_it():
    mdp = random_mdp(0, 5, 3)
    never = np.tile([0.5, 0.5, 0.0], (5, 1))
    best = solve_soft_mdp(mdp, 0.1, never)
    assert (best.policy[:, 2] == 0).all()
    with pytest.raises(DataError, match="infinite"):
        evaluate_soft(mdp, np.full(5, 2), 0.1, never)


@given(processes, st.integers(0, 100))
def test_a_potential_moves_all_values_and_no_decision(mdp, seed):
    potential = np.random.default_rng(seed).standard_normal(mdp.n_states) * 3
    shaped, policy = mdp.shaped(potential), random_policy(mdp, seed)
    height = np.where(mdp.terminal, 0.0, potential)
    np.testing.assert_allclose(shaped.evaluate(policy).v, mdp.evaluate(policy).v - height, atol=1e-9)
    np.testing.assert_allclose(solve_mdp(shaped).v, solve_mdp(mdp).v - height, atol=1e-8)


def test_a_bonus_that_is_no_potential_does_change_decisions():
    mdp = random_mdp(0, 8, 3)
    other = mdp.with_rewards(mdp.expected_rewards + np.random.default_rng(0).standard_normal((8, 3)) * 3)
    assert (solve_mdp(other).actions != solve_mdp(mdp).actions).any()


def test_sampled_episodes_have_the_expected_return_and_visits():
    mdp = random_mdp(5, 6, 3, discount=0.8, terminal=1)
    policy = random_policy(mdp)
    drawn = sample_trajectories(mdp, policy, n=20_000, horizon=60, seed=1)
    returns = drawn.returns(mdp.discount)
    error = returns.std() / np.sqrt(len(returns))
    assert abs(returns.mean() - mdp.expected_return(policy)) < 4 * error
    weights = mdp.discount ** np.arange(60)
    visits = np.zeros((6, 3))
    steps = drawn.actions >= 0
    np.add.at(visits, (drawn.states[:, :-1][steps], drawn.actions[steps]), np.broadcast_to(weights, steps.shape)[steps] / 20_000)
    np.testing.assert_allclose(visits, mdp.occupancy(policy), atol=0.03)


@given(processes, st.integers(0, 20), st.integers(0, 12))
def test_episodes_follow_the_process_and_end_where_it_ends(mdp, n, horizon):
    policy = random_policy(mdp)
    drawn = sample_trajectories(mdp, policy, n, horizon, seed=2)
    again = sample_trajectories(mdp, policy, n, horizon, seed=2)
    np.testing.assert_array_equal(drawn.states, again.states)
    for k in range(n):
        length = drawn.lengths[k]
        states, actions = drawn.states[k], drawn.actions[k]
        for t in range(length):
            assert mdp.transitions[states[t], actions[t], states[t + 1]] > 0
            assert not mdp.terminal[states[t]]
            assert drawn.rewards[k, t] == mdp.rewards[states[t], actions[t], states[t + 1]]
        assert drawn.ended[k] == mdp.terminal[states[length]]
        assert drawn.ended[k] or length == horizon
        assert (states[length + 1 :] == -1).all()
        assert (actions[length:] == -1).all()


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 4), st.data())
def test_a_random_process_has_the_branching_and_ends_it_was_asked_for(seed, states, actions, data):
    branching = data.draw(st.integers(1, states))
    terminal = data.draw(st.integers(0, states - 1))
    mdp = random_mdp(seed, states, actions, branching=branching, terminal=terminal)
    assert mdp.terminal.sum() == terminal
    assert ((mdp.transitions[~mdp.terminal] > 0).sum(axis=2) == branching).all()
    same = random_mdp(seed, states, actions, branching=branching, terminal=terminal)
    np.testing.assert_array_equal(mdp.transitions, same.transitions)
    np.testing.assert_array_equal(mdp.rewards, same.rewards)


def test_sparse_rewards_are_few_and_paid_on_arrival():
    mdp = random_mdp(0, 40, 3, rewards="sparse", terminal=2)
    paying = mdp.rewards.max(axis=(0, 1)) > 0
    assert paying.sum() == 4
    assert paying[mdp.terminal].all()
    assert set(np.unique(mdp.rewards)) == {0.0, 1.0}


def test_a_discount_of_one_is_for_processes_that_always_end():
    chain = np.zeros((3, 2, 3))
    chain[0, :, 1] = chain[1, :, 2] = chain[2, :, 2] = 1
    mdp = TabularMdp(chain, np.array([[1.0, 0.0], [2.0, 5.0], [0, 0]]), discount=1.0, terminal=[False, False, True])
    assert solve_mdp(mdp).v.tolist() == solve_mdp(mdp, "value_iteration").v.tolist() == [6.0, 5.0, 0.0]
    chain[1, 1] = [1, 0, 0]
    with pytest.raises(DataError, match="2 states for ever"):
        TabularMdp(chain, np.zeros((3, 2)), discount=1.0, terminal=[False, False, True])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transitions": np.ones((2, 1, 3))}, "shape"),
        ({"transitions": np.full((2, 1, 2), 0.6)}, "add up to 1"),
        ({"transitions": np.array([[[1.5, -0.5]], [[0, 1]]])}, "from 0 on"),
        ({"rewards": np.zeros(2)}, "rewards has the shape"),
        ({"rewards": np.array([[np.nan], [0]])}, "not finite"),
        ({"start": np.array([0.5, 0.6])}, "add up to 1"),
        ({"start": np.array([1.0])}, "start has the shape"),
        ({"terminal": [True, False]}, "must lead to itself"),
        ({"terminal": [False, True], "rewards": np.array([[0.0], [1.0]])}, "with reward 0"),
        ({"discount": 1.1}, "discount"),
        ({"discount": float("nan")}, "discount"),
    ],
)
def test_arrays_that_are_no_process_are_refused(changes, message):
    whole = {"transitions": np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), "rewards": np.zeros((2, 1)), **changes}
    with pytest.raises(DataError, match=message):
        TabularMdp(**whole)


@pytest.mark.parametrize(
    "policy", [np.array([0, 3]), np.array([0.5, 0.5]), np.full((2, 2), 0.4), np.zeros((3, 2)), np.array([-1, 0])]
)
def test_what_is_no_policy_is_refused(policy):
    with pytest.raises(DataError, match="policy"):
        random_mdp(0, 2, 2, branching=1).evaluate(policy)


def test_a_process_cannot_be_changed_behind_its_back():
    given = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
    mdp = TabularMdp(given, np.zeros((2, 1)))
    given[0, 0] = [9, 9]
    assert mdp.transitions[0, 0].tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="read-only"):
        mdp.transitions[0, 0, 0] = 1
