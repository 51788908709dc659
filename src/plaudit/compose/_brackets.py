"""Who plays whom: round robin, knockout, Swiss and merge sort, as plans that ask for outcomes round by round."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Literal

import numpy as np

from plaudit.compose._parts import Floats
from plaudit.errors import DataError

Plan = Literal["round_robin", "knockout", "swiss", "merge_sort"]
Games = list[tuple[int, int]]
Rounds = Generator[Games, Floats, Floats]
"""Yields the games of a round, is sent their outcomes (NaN = none), and returns (m,) places, 0 = best, ties shared."""


def round_robin(m: int) -> Rounds:
    """Everybody against everybody, m (m - 1) / 2 games; places by the mean outcome."""
    games = [(a, b) for a in range(m) for b in range(a + 1, m)]
    p = (yield games) if games else np.zeros(0)
    return _places(_points(m, games, p))


def knockout(m: int) -> Rounds:
    """Winners go on, m - 1 games; the first players sit out a round where the field is no power of two.

    Player 0 is seeded best, m - 1 worst: the best seeds meet as late as they can. Places by the round in which one was out.
    A tie, or a game without an outcome, goes to the better seed.
    """
    size = 1
    while size < m:
        size *= 2
    field: list[int | None] = [k if k < m else None for k in _seeded(size)]
    out = np.zeros(m)
    while len(field) > 1:
        matches = [(field[k], field[k + 1]) for k in range(0, len(field), 2)]
        games = [(min(a, b), max(a, b)) for a, b in matches if a is not None and b is not None]
        p = (yield games) if games else np.zeros(0)
        lost = {(b if not won < 0.5 else a) for (a, b), won in zip(games, p.tolist(), strict=True)}
        field = [a if b is None or (a is not None and a not in lost) else b for a, b in matches]
        out[[k for k in field if k is not None]] += 1
    return _places(out)


def _seeded(size: int) -> list[int]:
    order = [0]
    while len(order) < size:
        order = [x for seed in order for x in (seed, 2 * len(order) - 1 - seed)]
    return order


def swiss(m: int, rounds: int | None = None) -> Rounds:
    """In each round players of like points meet who have not met before; ceil(log2 m) + 1 rounds unless told otherwise."""
    wanted = min(rounds or int(np.ceil(np.log2(max(m, 2)))) + 1, max(m - 1, 0) + m % 2)
    points, met = np.zeros(m), set[tuple[int, int]]()
    rested: set[int] = set()
    for _ in range(wanted):
        order = np.lexsort((np.arange(m), -points)).tolist()
        if m % 2:
            # One sits out with half a point: the last of those who have not yet.
            free = next((k for k in reversed(order) if k not in rested), order[-1])
            rested.add(free)
            order.remove(free)
            points[free] += 0.5
        games: Games = []
        while order:
            a = order.pop(0)
            k = next((k for k, b in enumerate(order) if (min(a, b), max(a, b)) not in met), None)
            if k is None:
                points[a] += 0.5  # has met all who are left
                continue
            b = order.pop(k)
            games.append((min(a, b), max(a, b)))
        met.update(games)
        p = (yield games) if games else np.zeros(0)
        for (a, b), won in zip(games, np.where(np.isnan(p), 0.5, p).tolist(), strict=True):
            points[a] += won
            points[b] += 1 - won
    return _places(points)


def merge_sort(m: int) -> Rounds:
    """Sorting by comparisons, at most m ceil(log2 m) games; merges of one level run side by side.

    A tie, or a game without an outcome, leaves the order of the players as it was. Nothing is asked twice, so no error is ever
    noticed.
    """
    runs = [[k] for k in range(m)]
    while len(runs) > 1:
        merges = [(runs[k], runs[k + 1], list[int]()) for k in range(0, len(runs) - 1, 2)]
        rest = runs[len(merges) * 2 :]
        while any(a and b for a, b, _ in merges):
            active = [merge for merge in merges if merge[0] and merge[1]]
            p = yield [(a[0], b[0]) for a, b, _ in active]
            for (a, b, merged), won in zip(active, p.tolist(), strict=True):
                merged.append(b.pop(0) if won < 0.5 else a.pop(0))
        runs = [merged + a + b for a, b, merged in merges] + rest
    places = np.zeros(m)
    places[runs[0] if runs else []] = np.arange(m)
    return places


def _points(m: int, games: Games, p: Floats) -> Floats:
    points, played = np.zeros(m), np.zeros(m)
    for (a, b), won in zip(games, p.tolist(), strict=True):
        if not np.isnan(won):
            points[a] += won
            points[b] += 1 - won
            played[[a, b]] += 1
    return np.where(played > 0, points / np.maximum(played, 1), 0.5)


def _places(points: Floats) -> Floats:
    """(m,) places from points, most points first; equal points share the mean of their places."""
    _, inverse, counts = np.unique(-points, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - 1 - (counts - 1) / 2)[inverse], dtype=np.float64)


def rounds_of(plan: Plan, m: int, rounds: int | None = None) -> Rounds:
    """The rounds of a plan. Raises DataError for an unknown one."""
    if plan not in ("round_robin", "knockout", "swiss", "merge_sort"):
        raise DataError(f"plan is {plan!r}: expected round_robin, knockout, swiss or merge_sort")
    return (
        swiss(m, rounds)
        if plan == "swiss"
        else {"round_robin": round_robin, "knockout": knockout, "merge_sort": merge_sort}[plan](m)
    )


def play(plan: Plan, m: int, compare: Callable[[Games], Floats], rounds: int | None = None) -> tuple[Floats, Games, Floats]:
    """Play a tournament of m players with a plain function as comparator.

    Args:
        plan: ``"round_robin"``, ``"knockout"``, ``"swiss"`` or ``"merge_sort"``.
        m: number of players; player 0 is seeded best.
        compare: takes g games (a, b) and gives (g,) probabilities that a wins; NaN = no outcome.
        rounds: of a Swiss tournament; None = ceil(log2 m) + 1.

    Returns (m,) places (0 = best, ties shared), all games, and (g,) their outcomes. Raises DataError for an unknown plan.

    >>> places, games, _ = play("merge_sort", 4, lambda games: np.array([float(a > b) for a, b in games]))
    >>> places, len(games)
    (array([3., 2., 1., 0.]), 4)
    """
    plan_of = rounds_of(plan, m, rounds)
    played: Games = []
    outcomes: list[Floats] = []
    try:
        games = next(plan_of)
        while True:
            p = np.asarray(compare(games), dtype=np.float64)
            if p.shape != (len(games),):
                raise DataError(f"compare gave shape {p.shape} for {len(games)} games")
            played += games
            outcomes.append(p)
            games = plan_of.send(p)
    except StopIteration as stop:
        return stop.value, played, np.concatenate(outcomes) if outcomes else np.zeros(0)
