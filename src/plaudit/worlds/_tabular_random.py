"""Random tabular processes, and episodes sampled from a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError
from plaudit.worlds._tabular_mdp import Floats, TabularMdp

_LARGEST = 200_000_000


def random_mdp(
    seed: int,
    states: int = 20,
    actions: int = 4,
    *,
    branching: int = 3,
    discount: float = 0.95,
    rewards: Literal["dense", "sparse"] = "dense",
    terminal: int = 0,
) -> TabularMdp:
    """A Garnet: each action leads to `branching` states, drawn without repetition, with probabilities cut at random.

    Args:
        seed: the same seed gives the same process.
        states, actions: S and A, terminal states included.
        branching: how many states an action may lead to; 1 = deterministic.
        discount: below 1.
        rewards: "dense": a standard normal number for each state and action. "sparse": 1 for reaching one of a tenth of the
            states (at least one), among them all terminal ones, else 0.
        terminal: how many states end an episode; they are the last ones.

    Raises DataError for numbers that do not fit together.

    Source: "On the Generation of Markov Decision Processes" (Garnet).

    >>> mdp = random_mdp(0, states=5, actions=2, branching=2)
    >>> (mdp.transitions > 0).sum(axis=2).tolist()
    [[2, 2], [2, 2], [2, 2], [2, 2], [2, 2]]
    """
    if states < 1 or actions < 1 or not 1 <= branching <= states or not 0 <= terminal < states:
        raise DataError(
            f"random_mdp: states={states}, actions={actions}, branching={branching}, terminal={terminal}: expected at least one "
            "state that is not terminal, one action, and a branching from 1 to the number of states"
        )
    if states * states * actions > _LARGEST:
        raise DataError(f"random_mdp: {states:,} states and {actions:,} actions need arrays of more than {_LARGEST:,} numbers")
    if rewards not in ("dense", "sparse"):
        raise DataError(f"random_mdp: rewards is {rewards!r}: expected 'dense' or 'sparse'")
    random = np.random.default_rng([seed, 1])
    next_states = random.random((states, actions, states)).argsort(axis=2)[:, :, :branching]
    cuts = np.sort(random.random((states, actions, branching - 1)), axis=2)
    edges = np.concatenate([np.zeros((states, actions, 1)), cuts, np.ones((states, actions, 1))], axis=2)
    transitions = np.zeros((states, actions, states))
    np.put_along_axis(transitions, next_states, np.diff(edges, axis=2), axis=2)
    ends = np.arange(states) >= states - terminal
    transitions[ends] = np.eye(states)[ends][:, None, :]
    if rewards == "dense":
        table = np.repeat(random.standard_normal((states, actions))[:, :, None], states, axis=2)
    else:
        goal = ends.copy()
        further = max(0, max(1, states // 10) - terminal)
        goal[random.permutation(states - terminal)[:further]] = True
        table = np.broadcast_to(goal.astype(np.float64), (states, actions, states)).copy()
    table[ends] = 0.0
    return TabularMdp(transitions, table, discount, terminal=ends)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """n episodes of at most T steps; what lies behind an episode's end is -1 in `states` and `actions`, 0 in `rewards`.

    Fields:
        states: (n, T + 1) int64, the state before each step and the one behind the last.
        actions: (n, T) int64. rewards: (n, T).
        lengths: (n,) steps of each episode.
        ended: (n,) whether it came to a terminal state; else it was cut.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    rewards: Floats
    lengths: NDArray[np.int64]
    ended: NDArray[np.bool_]

    def returns(self, discount: float) -> Floats:
        """(n,) discounted sum of the rewards of each episode."""
        found: Floats = self.rewards @ discount ** np.arange(self.rewards.shape[1], dtype=np.float64)
        return found


def sample_trajectories(mdp: TabularMdp, policy: ArrayLike, n: int, horizon: int, seed: int = 0) -> Trajectories:
    """n episodes of a policy, each until a terminal state or `horizon` steps; all episodes step together.

    Raises DataError for a policy that does not fit, or negative numbers.

    >>> drawn = sample_trajectories(random_mdp(0, states=5, actions=2), np.zeros(5, int), n=3, horizon=4)
    >>> drawn.states.shape, drawn.actions.shape
    ((3, 5), (3, 4))
    """
    if n < 0 or horizon < 0:
        raise DataError(f"sample_trajectories: n={n}, horizon={horizon}: expected numbers from 0 on")
    chances = _cumulative(mdp.probabilities(policy))
    moves = _cumulative(mdp.transitions)
    random = np.random.default_rng([seed, 2])
    states = np.full((n, horizon + 1), -1, np.int64)
    actions = np.full((n, horizon), -1, np.int64)
    rewards = np.zeros((n, horizon))
    states[:, 0] = _pick(np.broadcast_to(_cumulative(mdp.start), (n, mdp.n_states)), random.random(n))
    running = np.flatnonzero(~mdp.terminal[states[:, 0]])
    for t in range(horizon):
        # Drawn for all rows, so that an episode does not depend on when its neighbours end.
        act, move = random.random((2, n))
        now = states[running, t]
        actions[running, t] = action = _pick(chances[now], act[running])
        states[running, t + 1] = after = _pick(moves[now, action], move[running])
        rewards[running, t] = mdp.rewards[now, action, after]
        running = running[~mdp.terminal[after]]
        if not len(running):
            break
    lengths = (actions >= 0).sum(axis=1)
    return Trajectories(states, actions, rewards, lengths, mdp.terminal[states[np.arange(n), lengths]])


def _cumulative(chances: Floats) -> Floats:
    """Running sums along the last axis that end at exactly 1 from the last possible outcome on."""
    total = chances.cumsum(axis=-1)
    last = chances.shape[-1] - 1 - (chances[..., ::-1] > 0).argmax(axis=-1)
    return np.where(np.arange(chances.shape[-1]) >= last[..., None], 1.0, np.minimum(total, 1.0))


def _pick(cumulative: Floats, uniform: Floats) -> NDArray[np.int64]:
    """(n,) index of the first running sum above a uniform number in [0, 1)."""
    found: NDArray[np.int64] = (cumulative > uniform[:, None]).argmax(axis=1)
    return found
