"""The share of the experiments whose turn it is."""

from __future__ import annotations

import datetime
import hashlib
import heapq
import math
import subprocess
from collections.abc import Iterable
from pathlib import Path

from plaudit.errors import SpecError
from plaudit.reproduce._experiment import Experiment


def share(experiments: Iterable[Experiment], k: int, n: int, *, smoke: bool = False) -> list[Experiment]:
    """Part k of n of the experiments, by name; the n parts are disjoint, hold them all, and take about equally long.

    Args:
        experiments: all of them.
        k, n: which part, from 1 to n.
        smoke: go by the time of quick runs.

    Raises SpecError for other numbers.

    >>> share([], 1, 3)
    []
    """
    if n < 1 or not 1 <= k <= n:
        raise SpecError(f"share {k}/{n}: expected K/N with 1 <= K <= N, as 2/5")
    all_ = list(experiments)
    length = {each.name: each.smoke_seconds if smoke else each.seconds for each in all_}
    # The longest first, each into the part that is the emptiest so far.
    parts: list[tuple[float, int, list[Experiment]]] = [(0.0, place, []) for place in range(n)]
    for each in sorted(all_, key=lambda each: (-length[each.name], each.name)):
        seconds, place, members = heapq.heappop(parts)
        heapq.heappush(parts, (seconds + length[each.name], place, [*members, each]))
    return sorted(next(members for _, place, members in parts if place == k - 1), key=lambda each: each.name)


def turn(n: int, folder: str | Path | None = None) -> tuple[int, str]:
    """Which of n parts has its turn, from 1 to n, and what decided it.

    The commit that is checked out in `folder` decides, so that a commit always gets the same part and the next one most likely
    another; where there is no git repository, the day does. No folder: the one this process runs in.

    >>> part, why = turn(4, "/")
    >>> 1 <= part <= 4
    True
    """
    if n < 1:
        raise SpecError(f"n is {n}: expected at least one part")
    commit = _commit(folder)
    if commit is None:
        day = datetime.datetime.now(datetime.UTC).date()
        return day.toordinal() % n + 1, f"day {day.isoformat()}"
    digest = hashlib.sha256(commit.encode()).digest()
    return int.from_bytes(digest[:8], "big") % n + 1, f"commit {commit[:12]}"


def quick_share(experiments: Iterable[Experiment], budget: float = 240.0, folder: str | Path | None = None) -> list[Experiment]:
    """The experiments whose quick runs (`run_experiment(..., smoke=True)`) are due now, about `budget` seconds of them.

    There are as many parts as the budget needs for all; `turn` says whose turn it is. An experiment whose quick run alone takes
    longer than the budget is in none: only a full run measures it.

    >>> quick_share([])
    []
    """
    fitting = [each for each in experiments if each.smoke_seconds <= budget]
    n = max(1, math.ceil(sum(each.smoke_seconds for each in fitting) / budget))
    return share(fitting, turn(n, folder)[0], n, smoke=True)


def _commit(folder: str | Path | None) -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit = found.stdout.strip()
    return commit or None
