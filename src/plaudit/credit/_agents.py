"""Credit among the agents, messages and events of a run by several agents."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import ArrayLike

from plaudit.credit._ragged import Floats, numbers
from plaudit.errors import DataError

MOST_AGENTS = 20


def shapley_credit(values: ArrayLike) -> Floats:
    """Each agent's share of a team's reward: what it adds to a team, averaged over all orders of joining.

    Args:
        values: (2**k,) or (b, 2**k) reward of every team of k agents, up to 20; agent i is in team t when bit i of t is set, and
            team 0 is nobody. Finite.

    Returns (k,) or (b, k) in the unit of the rewards; a row adds up to the reward of all minus that of nobody. An agent that
    never changes a reward gets 0, and two that are exchangeable the same.

    Raises DataError for another shape, more agents and numbers that are not finite.

    Source: "A Value for n-Person Games"; message- and agent-level credit of "Awesome LLM multi-agent reinforcement learning:
    orchestration traces".

    >>> shapley_credit([0.0, 1.0, 0.0, 3.0])
    array([2., 1.])
    """
    table = np.asarray(values, np.float64)
    size = table.shape[-1] if table.ndim in (1, 2) else 0
    agents = size.bit_length() - 1
    if size < 2 or size != 1 << agents or agents > MOST_AGENTS:
        raise DataError(f"values have shape {table.shape}: expected (2**k,) or (b, 2**k), a team each, 1 to {MOST_AGENTS} agents")
    if not np.isfinite(table).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise DataError(f"values{list(place)} is {table[place]}: expected a finite reward for every team")
    teams = np.arange(size)
    members = sum((teams >> i) & 1 for i in range(agents))
    weight = np.array([1 / (agents * math.comb(agents - 1, m)) for m in range(agents)])
    found = np.empty((*table.shape[:-1], agents))
    for i in range(agents):
        without = teams[(teams >> i) & 1 == 0]
        found[..., i] = (table[..., without | 1 << i] - table[..., without]) @ weight[np.asarray(members)[without]]
    return found


def counterfactual_credit(reward: float, without: ArrayLike) -> Floats:
    """What each message of a run is worth: the reward minus that of the run played again without it.

    Args:
        reward: of the run, finite. without: (m,) reward of the run without each message; NaN = not played.

    Returns (m,); NaN where it was not played. They need not add up to the reward: two messages that say the same are each worth
    nothing (`shapley_credit` shares).

    Raises DataError for a reward that is not finite and infinite ones among the others.

    Source: the counterfactual message credit of "Awesome LLM multi-agent reinforcement learning: orchestration traces".

    >>> counterfactual_credit(1.0, [1.0, 0.25])
    array([0.  , 0.75])
    """
    if not math.isfinite(reward):
        raise DataError(f"reward is {reward!r}: expected a finite number")
    return reward - numbers(without, "without")


def critical_path(seconds: ArrayLike, edges: ArrayLike) -> tuple[float, float]:
    """How long a run takes at least when what can run side by side does, and how much faster that is than one after the other.

    Args:
        seconds: (n,) of each event, from 0 on. edges: (m, 2) event that must end, event that waits for it.

    Returns the seconds of the longest chain, and all seconds divided by them (1 where both are 0).

    Raises DataError for negative seconds, events outside 0 to n - 1 and a circle of events that wait for each other.

    Source: the parallel speed-up of "Awesome LLM multi-agent reinforcement learning: orchestration traces".

    >>> critical_path([1.0, 2.0, 2.0, 1.0], [[0, 1], [0, 2], [1, 3], [2, 3]])
    (4.0, 1.5)
    """
    times = numbers(seconds, "seconds", complete=True)
    if (times < 0).any():
        raise DataError(f"seconds[{int(times.argmin())}] is {times.min()}: expected a number from 0 on")
    pairs = np.asarray(edges)
    pairs = pairs.reshape(0, 2) if pairs.size == 0 else pairs
    if pairs.ndim != 2 or pairs.shape[1] != 2 or (len(pairs) and pairs.dtype.kind not in "iu"):
        raise DataError(f"edges have shape {pairs.shape} and type {pairs.dtype}: expected (m, 2) integers")
    outside = np.flatnonzero(((pairs < 0) | (pairs >= len(times))).any(axis=1))
    if outside.size:
        raise DataError(f"edges[{int(outside[0])}] is {pairs[outside[0]].tolist()}: expected events from 0 to {len(times) - 1}")
    waits = np.bincount(pairs[:, 1].astype(np.int64), minlength=len(times)).tolist()
    after: list[list[int]] = [[] for _ in waits]
    for source, target in pairs.tolist():
        after[source].append(target)
    ends = times.tolist()
    ready, done = deque(i for i, count in enumerate(waits) if not count), 0
    begins = [0.0] * len(ends)
    while ready:
        i = ready.popleft()
        done, ends[i] = done + 1, begins[i] + ends[i]
        for j in after[i]:
            begins[j], waits[j] = max(begins[j], ends[i]), waits[j] - 1
            if not waits[j]:
                ready.append(j)
    if done < len(ends):
        raise DataError(
            f"event {next(i for i, count in enumerate(waits) if count)} waits in a circle: expected a run without one"
        )
    longest = max(ends, default=0.0)
    return longest, float(times.sum()) / longest if longest > 0 else 1.0
