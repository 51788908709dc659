"""The best policies of a tabular process, plain and with an entropy or Kullback-Leibler term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError
from plaudit.worlds._tabular_mdp import Floats, TabularMdp, Values

_MOST_ROUNDS = 100_000


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best that can be done.

    Fields:
        v: (S,) values. q: (S, A) action values.
        policy: (S, A) probabilities; without regularisation 1 for the first of the best actions.
        rounds: iterations it took.
    """

    v: Floats
    q: Floats
    policy: Floats
    rounds: int

    @property
    def actions(self) -> NDArray[np.int64]:
        """(S,) the likeliest action of each state."""
        likeliest: NDArray[np.int64] = self.policy.argmax(axis=1)
        return likeliest


def solve_mdp(mdp: TabularMdp, method: Literal["policy_iteration", "value_iteration"] = "policy_iteration") -> Optimum:
    """The optimal values and a deterministic optimal policy.

    Policy iteration is exact up to rounding. Value iteration stops when its values are within 1e-10 of the truth (by the bound of
    the discount; with discount 1, when they no longer change).

    Raises DataError for another method, or when 100,000 rounds of value iteration are not enough.

    Source: "Dynamic Programming and Markov Processes".

    >>> from plaudit.worlds import random_mdp
    >>> mdp = random_mdp(0, states=5, actions=2)
    >>> bool(np.allclose(solve_mdp(mdp).v, solve_mdp(mdp, "value_iteration").v))
    True
    """
    if method == "value_iteration":
        return _value_iteration(mdp)
    if method != "policy_iteration":
        raise DataError(f"solve_mdp: method is {method!r}: expected 'policy_iteration' or 'value_iteration'")
    actions = mdp.expected_rewards.argmax(axis=1)
    for rounds in range(1, _MOST_ROUNDS):
        values = mdp.evaluate(actions)
        now = values.q[np.arange(mdp.n_states), actions]
        # An action is left only for one that is better by more than rounding, or two equal ones would take turns for ever.
        better = values.q.max(axis=1) > now + 1e-11 * (1 + np.abs(now))
        if not better.any():
            return Optimum(values.v, values.q, mdp.probabilities(_first_best(values.q)), rounds)
        actions = np.where(better, values.q.argmax(axis=1), actions)
    raise DataError("solve_mdp: policy iteration did not end")


def solve_soft_mdp(mdp: TabularMdp, temperature: float, reference: ArrayLike | None = None) -> Optimum:
    """The best policy for the return plus `temperature` times its entropy, or minus its Kullback-Leibler divergence from another.

    ``v(s) = temperature * log sum_a reference(a|s) exp(q(s, a) / temperature)``, with a reference of 1 for the entropy form.
    Found by soft policy iteration, each round of which is one linear solve; terminal states have no term.

    Args:
        mdp: the process.
        temperature: above 0.
        reference: (S,) or (S, A) policy to stay near; None = entropy.

    Raises DataError for a temperature that is not above 0.

    Source: "Reinforcement Learning with Deep Energy-Based Policies" (the soft Bellman equation).

    >>> from plaudit.worlds import random_mdp
    >>> mdp = random_mdp(0, states=5, actions=2)
    >>> bool(np.allclose(solve_soft_mdp(mdp, 1e-3).policy.round(), solve_mdp(mdp).policy))
    True
    """
    if not 0 < temperature < np.inf:
        raise DataError(f"solve_soft_mdp: temperature is {temperature}: expected a number above 0")
    base = np.ones((mdp.n_states, mdp.n_actions)) if reference is None else mdp.probabilities(reference)
    policy = base / base.sum(axis=1, keepdims=True)
    before = np.full(mdp.n_states, -np.inf)
    for rounds in range(1, _MOST_ROUNDS):
        values = evaluate_soft(mdp, policy, temperature, reference)
        policy, v = _softmax(values.q, base, temperature)
        v = np.where(mdp.terminal, 0.0, v)
        change = np.abs(v - before).max()
        if change <= 1e-13 * (1 + np.abs(v).max()) or (rounds > 50 and change <= 1e-10 * (1 + np.abs(v).max())):
            return Optimum(v, mdp.action_values(v), policy, rounds)
        before = v
    raise DataError("solve_soft_mdp: soft policy iteration did not end")


def evaluate_soft(mdp: TabularMdp, policy: ArrayLike, temperature: float, reference: ArrayLike | None = None) -> Values:
    """Values of a policy that include its entropy bonus, or its divergence from the reference, at every state to come.

    `q` leaves out the term of the state itself. Minus infinity where the policy does what the reference never does.

    >>> from plaudit.worlds import random_mdp
    >>> mdp = random_mdp(0, states=5, actions=2)
    >>> best = solve_soft_mdp(mdp, 0.5)
    >>> bool(np.allclose(evaluate_soft(mdp, best.policy, 0.5).v, best.v))
    True
    """
    chances = mdp.probabilities(policy)
    base = np.ones_like(chances) if reference is None else mdp.probabilities(reference)
    if ((chances > 0) & (base == 0))[~mdp.terminal].any():
        raise DataError("evaluate_soft: the policy takes an action that the reference never takes: its divergence is infinite")
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(chances > 0, chances * (np.log(base) - np.log(chances)), 0.0)
    return mdp.evaluate(chances, temperature * terms.sum(axis=1))


def _softmax(q: Floats, base: Floats, temperature: float) -> tuple[Floats, Floats]:
    """(S, A) base * exp(q / temperature), normalised, and (S,) temperature times the logarithm of what it was divided by."""
    top = np.where(base > 0, q, -np.inf).max(axis=1, keepdims=True)
    weights = base * np.exp(np.minimum(q - top, 0.0) / temperature)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, (top + temperature * np.log(total))[:, 0]


def _value_iteration(mdp: TabularMdp) -> Optimum:
    v = np.zeros(mdp.n_states)
    # The remaining error is at most discount / (1 - discount) times the last change.
    enough = 1e-10 * (1 - mdp.discount) / max(mdp.discount, 1e-12) if mdp.discount < 1 else 1e-14
    for rounds in range(1, _MOST_ROUNDS):
        q = mdp.action_values(v)
        new = q.max(axis=1)
        change = np.abs(new - v).max()
        v = new
        if change <= max(enough, 4 * np.finfo(float).eps * np.abs(v).max()):
            q = mdp.action_values(v)
            return Optimum(v, q, mdp.probabilities(_first_best(q)), rounds)
    raise DataError(f"solve_mdp: {_MOST_ROUNDS:,} rounds of value iteration are not enough: use policy_iteration")


def _first_best(q: Floats) -> NDArray[np.int64]:
    """(S,) the first action that is within rounding of the best, so that both methods name the same one."""
    best = q.max(axis=1, keepdims=True)
    first: NDArray[np.int64] = (q >= best - 1e-9 * (1 + np.abs(best))).argmax(axis=1)
    return first
