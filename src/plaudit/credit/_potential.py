"""Potential-based shaping: rewards inside an episode that leave the best policy as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plaudit.credit._ragged import Bools, Floats, numbers, rows_of
from plaudit.errors import DataError
from plaudit.worlds import TabularMdp, solve_mdp


def shaped_rewards(
    rewards: ArrayLike, potentials: ArrayLike, offsets: ArrayLike, discount: float = 1.0, final: ArrayLike | None = None
) -> Floats:
    """Rewards of steps with ``discount * potential(after) - potential(before)`` added.

    The discounted sum of an episode of T steps changes by ``discount**T * final - potential of the first state``: nothing that
    the policy does in between can farm it. With a final potential of 0 no policy gains on another. (The plain difference
    ``potential(after) - potential(before)`` pays, when discounted, for staying where the potential is high.)

    Args:
        rewards: (n,) of the steps; NaN = not scored, and so is the result.
        potentials: (n,) of the state before each step, in the unit of the rewards, finite.
        offsets: (b + 1,) where each episode begins, and n.
        discount: in [0, 1], the one that the policy is trained with.
        final: (b,) potential after the last step; None = 0, as it must be for an episode that ended. Give it where an episode was
            cut off.

    Returns (n,) in the unit of the rewards.

    Raises DataError for shapes that do not fit, potentials that are not finite and a discount outside [0, 1].

    Source: "Policy invariance under reward transformations: Theory and application to reward shaping".

    >>> shaped_rewards([0.0, 0.0, 1.0], [0.0, 0.5, 0.75], [0, 3])
    array([0.5 , 0.25, 0.25])
    """
    if not 0 <= discount <= 1:
        raise DataError(f"discount is {discount!r}: expected a number from 0 to 1")
    values = numbers(rewards, "rewards")
    height = numbers(potentials, "potentials", length=len(values), of="reward", complete=True)
    rows = rows_of(offsets, len(values), of="rewards")
    after = rows.shifted(height, 1, 0.0)
    if final is not None:
        ends = numbers(final, "final", length=rows.count, of="episode", complete=True)
        after[rows.last] = ends[rows.lengths > 0]
    return values + discount * after - height


def optimal_actions(mdp: TabularMdp, tolerance: float = 1e-8) -> Bools:
    """(S, A) which actions are among the best, exactly solved; all of them in terminal states.

    Two rewards for the same process order the best policies alike when these tables are equal: the check of a shaping term.

    Args:
        tolerance: values this close, times one plus the larger of them, are taken as equal.

    Source: "Policy invariance under reward transformations: Theory and application to reward shaping".

    >>> from plaudit.worlds import random_mdp
    >>> mdp = random_mdp(0, states=5, actions=3)
    >>> bool((optimal_actions(mdp) == optimal_actions(mdp.shaped(np.arange(5.0)))).all())
    True
    """
    q = solve_mdp(mdp).q
    best = q.max(axis=1, keepdims=True)
    found: Bools = (q >= best - tolerance * (1 + np.abs(best))) | mdp.terminal[:, None]
    return found


def fuse_progress(
    hops: ArrayLike, from_start: ArrayLike, to_goal: ArrayLike, offsets: ArrayLike, first: float = 0.0
) -> tuple[Floats, Floats]:
    """The progress of a task after each step, out of three readings of a model that compares two states.

    A hop is the progress between two states, relative to what is left (forward) or to what was reached (backward). The step hops
    H give ``P + (1 - P) * H`` or, where H is negative, ``P + P * H``; the hop from the start gives the progress itself; the one
    from the goal, plus 1. The three are averaged.

    Args:
        hops: (n,) from the state before each step to the one after, in [-1, 1].
        from_start: (n,) from the first state, in [-1, 1]. to_goal: (n,) from the goal, in [-1, 1].
        offsets: (b + 1,) where each episode begins, and n. first: progress before the first step, in [0, 1].

    Returns (n,) progress in [0, 1] after each step, and (n,) how far apart the readings from start and goal are. `shaped_rewards`
    makes rewards of it.

    Raises DataError for NaN, hops outside [-1, 1] (with their index) and shapes that do not fit.

    Source: "Robo-Dopamine: General Process Reward Modeling for High-Precision Robotic Manipulation".

    >>> fuse_progress([0.5, 0.5], [0.5, 0.75], [-0.5, -0.25], [0, 2])[0]
    array([0.5 , 0.75])
    """
    if not 0 <= first <= 1:
        raise DataError(f"first is {first!r}: expected a number from 0 to 1")
    columns: list[Floats] = []
    for name, column in (("hops", hops), ("from_start", from_start), ("to_goal", to_goal)):
        array = numbers(column, name, complete=True, length=len(columns[0]) if columns else None, of="step")
        far = np.flatnonzero(np.abs(array) > 1)
        if far.size:
            raise DataError(f"{name}[{int(far[0])}] is {array[far[0]]}: expected a number from -1 to 1")
        columns.append(array)
    step_hops, forward, goal = columns
    rows = rows_of(offsets, len(step_hops), of="hops")
    # Each hop is the map P -> kept * P + added; maps are composed over 1, 2, 4, … steps at a time.
    kept, added, step = 1 - np.abs(step_hops), np.maximum(step_hops, 0.0), 1
    while step < int(rows.lengths.max(initial=0)):
        added = kept * rows.shifted(added, -step, 0.0) + added
        kept = kept * rows.shifted(kept, -step, 1.0)
        step *= 2
    stepwise = kept * first + added
    backward = 1 + goal
    return np.clip((stepwise + forward + backward) / 3, 0.0, 1.0), np.abs(forward - backward)
