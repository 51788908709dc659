"""Two runs row by row: what changed, how well they agree, who wins."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.report._run import RunColumns, read_run
from plaudit.stats import mean_interval, pearson, spearman


@dataclass(eq=False)
class RunDiff:
    """Two runs joined by row id.

    Fields:
        a, b: the runs.
        rows_a, rows_b: (m,) places of the rows that both have.
        only_a, only_b: rows that only one has.
        tolerance: values that differ by no more are the same.
    """

    a: RunColumns
    b: RunColumns
    rows_a: NDArray[np.intp]
    rows_b: NDArray[np.intp]
    tolerance: float

    @classmethod
    def read(cls, a: str | os.PathLike[str], b: str | os.PathLike[str], tolerance: float = 1e-9) -> RunDiff:
        """Join two run folders; ids that come more than once are joined in their order. Raises RunError."""
        first, second = read_run(a), read_run(b)
        rows_a, rows_b = joined(first.column("id"), second.column("id"))
        return cls(first, second, rows_a, rows_b, tolerance)

    @cached_property
    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(m,) the values of both on the rows that both have; NaN = not scored."""
        return self.a.values[self.rows_a], self.b.values[self.rows_b]

    @cached_property
    def statuses(self) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
        """(m,) the statuses of both."""
        return self.a.status[self.rows_a], self.b.status[self.rows_b]

    @property
    def only_a(self) -> int:
        """Rows that only the first has."""
        return len(self.a) - len(self.rows_a)

    @property
    def only_b(self) -> int:
        """Rows that only the second has."""
        return len(self.b) - len(self.rows_b)

    @cached_property
    def change(self) -> NDArray[np.float64]:
        """(m,) second minus first, 0 within the tolerance; NaN where one of them has no value."""
        x, y = self.values
        delta = y - x
        return np.where(np.abs(delta) <= self.tolerance, 0.0, delta)

    @cached_property
    def changed(self) -> NDArray[np.bool_]:
        """(m,) whether value or status differ."""
        s, t = self.statuses
        return np.asarray((np.nan_to_num(self.change) != 0) | (s != t), dtype=np.bool_)

    @property
    def same(self) -> bool:
        """Whether both have the same rows with the same values and statuses."""
        return not (self.only_a or self.only_b or bool(self.changed.any()))

    def moves(self) -> Counter[tuple[str, str]]:
        """Rows by their status before and after."""
        s, t = self.statuses
        return Counter(zip(s.tolist(), t.tolist(), strict=True))

    def leaf_changes(self) -> list[tuple[str, float, float, int]]:
        """(leaf, mean before, mean after, rows that changed) of the leaves that both have."""
        found = []
        for name in self.a.leaves:
            if name in self.b.leaves:
                x, y = self.a.leaves[name][self.rows_a], self.b.leaves[name][self.rows_b]
                gap = np.isfinite(x) != np.isfinite(y)
                moved = int(np.count_nonzero(gap | (np.abs(np.nan_to_num(y - x)) > self.tolerance)))
                found.append((name, _mean(x), _mean(y), moved))
        return found

    def largest(self, k: int) -> list[int]:
        """Places in the joined rows of the largest changes: of value first, then those of status alone."""
        size = np.where(np.isfinite(self.change), np.abs(self.change), 0.0)
        order = np.lexsort((np.arange(len(size)), ~self.changed, -size))
        return [int(i) for i in order[:k] if self.changed[i]]

    def figures(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        x, y = self.values
        both = np.isfinite(x) & np.isfinite(y)
        delta = self.change[both]
        low, high = mean_interval(delta) if delta.size > 1 else (float("nan"), float("nan"))
        return {
            "a": str(self.a.path), "b": str(self.b.path), "both": len(self.rows_a), "only_a": self.only_a, "only_b": self.only_b,
            "scored_in_both": int(both.sum()), "changed": int(self.changed.sum()), "same": self.same,
            "wins": int((delta > 0).sum()), "losses": int((delta < 0).sum()), "ties": int((delta == 0).sum()),
            "agreement": float((delta == 0).mean()) if delta.size else None,
            "mean_a": _mean(x[both]), "mean_b": _mean(y[both]), "mean_change": _mean(delta), "mean_change_low": low,
            "mean_change_high": high,
            "correlation": pearson(x[both], y[both]) if delta.size > 1 else None,
            "rank_correlation": spearman(x[both], y[both]) if delta.size > 1 else None,
            "status_changed": sum(n for (s, t), n in self.moves().items() if s != t),
            "statuses": [{"a": s, "b": t, "n": n} for (s, t), n in sorted(self.moves().items())],
            "same_reward": self.a.manifest.get("fingerprint") == self.b.manifest.get("fingerprint"),
            "same_data": self.a.manifest.get("data_sha256") == self.b.manifest.get("data_sha256"),
            "leaves": [{"name": n, "mean_a": p, "mean_b": q, "changed": k} for n, p, q, k in self.leaf_changes()],
        }  # fmt: skip


def joined(a: Sequence[str | None], b: Sequence[str | None]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of equal ids in two columns; an id that comes more than once is joined in its order.

    >>> [rows.tolist() for rows in joined(["x", "y", "x"], ["x", "x", "z"])]
    [[0, 2], [0, 1]]
    """
    if list(a) == list(b):
        return np.arange(len(a)), np.arange(len(a))
    places: dict[str | None, list[int]] = defaultdict(list)
    for i, name in enumerate(b):
        places[name].append(i)
    taken: Counter[str | None] = Counter()
    pairs: list[tuple[int, int]] = []
    for i, name in enumerate(a):
        if name in places and taken[name] < len(places[name]):
            pairs.append((i, places[name][taken[name]]))
            taken[name] += 1
    both = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _mean(values: NDArray[np.float64]) -> float:
    here = values[np.isfinite(values)]
    return float(here.mean()) if here.size else float("nan")
