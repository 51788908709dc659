"""Markov decision processes small enough to be solved exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError

Floats = NDArray[np.float64]
Policy = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]
"""(S,) an action for each state, or (S, A) probabilities."""


@dataclass(frozen=True, eq=False)
class TabularMdp:
    """A finite Markov decision process with S states and A actions, all actions possible everywhere.

    Terminal states are absorbing and give no reward; their value is 0.

    Fields:
        transitions: (S, A, S) probability of the next state; rows add up to 1.
        rewards: (S, A, S) reward of a transition, or (S, A).
        discount: in [0, 1]; 1 only where every policy comes to a terminal state.
        start: (S,) probabilities of the first state; empty = equal for all that are not terminal.
        terminal: (S,) which states end an episode; empty = none.

    Raises DataError for arrays of another shape, numbers that are not finite or no probabilities, a terminal state that can be
    left or rewarded, and a discount of 1 under which a policy may go on for ever.

    Source: "Markov Decision Processes: Discrete Stochastic Dynamic Programming".

    >>> coin = TabularMdp([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], discount=1.0, terminal=[False, True])
    >>> coin.evaluate(np.zeros(2, int)).v
    array([2., 0.])
    """

    transitions: Floats
    rewards: Floats
    discount: float = 0.95
    start: Floats = field(default_factory=lambda: np.empty(0))
    terminal: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def __post_init__(self) -> None:
        transitions = np.array(self.transitions, np.float64)
        if transitions.ndim != 3 or transitions.shape[0] != transitions.shape[2] or 0 in transitions.shape:
            raise DataError(f"TabularMdp: transitions has the shape {transitions.shape}: expected (states, actions, states)")
        states, actions, _ = transitions.shape
        rewards = np.array(self.rewards, np.float64)
        if rewards.shape == (states, actions):
            rewards = np.repeat(rewards[:, :, None], states, axis=2)
        terminal = np.array(self.terminal, np.bool_) if len(self.terminal) else np.zeros(states, np.bool_)
        for name, array, shape in (("rewards", rewards, transitions.shape), ("terminal", terminal, (states,))):
            if array.shape != shape:
                raise DataError(f"TabularMdp: {name} has the shape {array.shape}: expected {shape}")
        running = (~terminal).astype(np.float64)
        start = np.array(self.start if len(self.start) else running / max(1.0, running.sum()), np.float64)
        if start.shape != (states,):
            raise DataError(f"TabularMdp: start has the shape {start.shape}: expected {(states,)}")
        for name, array in (("transitions", transitions), ("rewards", rewards), ("start", start)):
            if not np.isfinite(array).all():
                raise DataError(f"TabularMdp: {name} holds numbers that are not finite")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        terminal.setflags(write=False)
        object.__setattr__(self, "terminal", terminal)
        self._check()

    def _check(self) -> None:
        check_probabilities("TabularMdp: transitions", self.transitions)
        check_probabilities("TabularMdp: start", self.start)
        ends = np.flatnonzero(self.terminal)
        if (self.transitions[ends, :, ends] < 1).any() or self.expected_rewards[ends].any():
            raise DataError("TabularMdp: a terminal state must lead to itself, under every action, with reward 0")
        if not 0 <= self.discount <= 1:
            raise DataError(f"TabularMdp: discount is {self.discount}: expected a number from 0 to 1")
        if self.discount == 1 and (stays := self._can_stay()).any():
            raise DataError(
                f"TabularMdp: with discount 1 every policy must come to an end, and one can stay in {stays.sum()} states "
                f"for ever, for example in state {int(np.flatnonzero(stays)[0])}: take a discount below 1"
            )

    @property
    def n_states(self) -> int:
        """S."""
        return int(self.transitions.shape[0])

    @property
    def n_actions(self) -> int:
        """A."""
        return int(self.transitions.shape[1])

    @property
    def expected_rewards(self) -> Floats:
        """(S, A) mean reward of an action."""
        expected: Floats = np.einsum("sat,sat->sa", self.transitions, self.rewards)
        return expected

    def probabilities(self, policy: ArrayLike) -> Floats:
        """(S, A) action probabilities of a policy given as (S,) actions or as probabilities.

        Raises DataError for another shape, an action that there is not, or rows that are no probabilities.
        """
        given = np.asarray(policy)
        if given.shape == (self.n_states,) and np.issubdtype(given.dtype, np.integer):
            if given.min() < 0 or given.max() >= self.n_actions:
                raise DataError(f"policy: actions from {given.min()} to {given.max()}: expected 0 to {self.n_actions - 1}")
            certain: Floats = np.eye(self.n_actions)[given]
            return certain
        if given.shape != (self.n_states, self.n_actions):
            expected = f"({self.n_states},) whole numbers or ({self.n_states}, {self.n_actions}) probabilities"
            raise DataError(f"policy: an array of the shape {given.shape} and type {given.dtype}: expected {expected}")
        chances = given.astype(np.float64)
        check_probabilities("policy", chances)
        return chances

    def action_values(self, v: ArrayLike) -> Floats:
        """(S, A) expected reward of an action plus the discounted value (S,) of where it leads: one Bellman backup."""
        backed: Floats = self.expected_rewards + self.discount * self.transitions @ np.asarray(v, np.float64)
        return backed

    def evaluate(self, policy: ArrayLike, bonus: ArrayLike | None = None) -> Values:
        """The exact values of a policy, by one linear solve.

        Args:
            policy: (S,) actions or (S, A) probabilities.
            bonus: (S,) added to the reward of every visit of a state that is not terminal; None = nothing.
        """
        chances = self.probabilities(policy)
        rewards = np.einsum("sa,sa->s", chances, self.expected_rewards)
        if bonus is not None:
            rewards = rewards + np.where(self.terminal, 0.0, np.asarray(bonus, np.float64))
        v = np.zeros(self.n_states)
        on = ~self.terminal
        moves = np.einsum("sa,sat->st", chances, self.transitions)[np.ix_(on, on)]
        v[on] = np.linalg.solve(np.eye(len(moves)) - self.discount * moves, rewards[on])
        return Values(v, self.action_values(v))

    def occupancy(self, policy: ArrayLike) -> Floats:
        """(S, A) expected discounted number of times that an action is taken in a state; terminal states count 0.

        ``(occupancy * expected_rewards).sum()`` is the expected return; where nothing is terminal, all add up to
        ``1 / (1 - discount)``.
        """
        chances = self.probabilities(policy)
        on = ~self.terminal
        moves = np.einsum("sa,sat->st", chances, self.transitions)[np.ix_(on, on)]
        visits = np.zeros(self.n_states)
        visits[on] = np.linalg.solve(np.eye(len(moves)) - self.discount * moves.T, self.start[on])
        return visits[:, None] * chances

    def expected_return(self, policy: ArrayLike) -> float:
        """The expected discounted sum of rewards from the start."""
        return float(self.start @ self.evaluate(policy).v)

    def shaped(self, potential: ArrayLike) -> TabularMdp:
        """The same process with ``discount * potential(s') - potential(s)`` added to every reward; the potential of ends is 0.

        Every policy's values fall by the potential, and the best policies stay the same.

        Source: "Policy invariance under reward transformations: Theory and application to reward shaping".
        """
        given = np.asarray(potential, np.float64)
        if given.shape != (self.n_states,) or not np.isfinite(given).all():
            raise DataError(f"potential: expected ({self.n_states},) finite numbers, got the shape {given.shape}")
        height = np.where(self.terminal, 0.0, given)
        added = self.discount * height[None, None, :] - height[:, None, None]
        return self.with_rewards(self.rewards + np.where(self.terminal[:, None, None], 0.0, added))

    def with_rewards(self, rewards: ArrayLike) -> TabularMdp:
        """The same process with other rewards, (S, A, S) or (S, A)."""
        return replace(self, rewards=np.asarray(rewards, np.float64))

    def _can_stay(self) -> NDArray[np.bool_]:
        """(S,) states in which some policy can keep away from all ends for ever."""
        stays = ~self.terminal
        while True:
            within = (self.transitions[:, :, ~stays].sum(axis=2) == 0).any(axis=1) & stays
            if (within == stays).all():
                return stays
            stays = within


@dataclass(frozen=True, eq=False)
class Values:
    """(S,) state values `v` and (S, A) action values `q`."""

    v: Floats
    q: Floats


def check_probabilities(name: str, rows: Floats) -> None:
    """Raise DataError unless the last axis of an array adds up to 1, without a negative number."""
    if not (rows >= 0).all() or not np.allclose(rows.sum(axis=-1), 1.0, rtol=0, atol=1e-9):
        raise DataError(f"{name}: expected numbers from 0 on that add up to 1 along the last axis")
