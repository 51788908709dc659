"""Running counts over the rows of a run."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

COLUMNS = ("id", "value", "status", "reason", "explanation", "seconds")
"""The columns of a part that it reads."""

_SLOWEST = 5


class Tally:
    """Counts by status, sum of values, the slowest rows and the reasons of failures."""

    def __init__(self) -> None:
        self._status: Counter[str] = Counter()
        self._sum = 0.0
        self._slow: list[tuple[float, str]] = []
        self.reasons: Counter[str] = Counter()
        self.first_failed: tuple[str, str] | None = None

    def add(self, columns: Mapping[str, Any]) -> None:
        """Take in the columns of a part."""
        status = columns["status"]
        self._status.update(status)
        values = np.asarray(columns["value"], dtype=np.float64)
        self._sum += float(np.nansum(values))
        if "failed" in status:
            if self.first_failed is None:
                i = status.index("failed")
                self.first_failed = (str(columns["id"][i]), columns["explanation"][i] or columns["reason"][i])
            self.reasons.update(r for r, s in zip(columns["reason"], status, strict=True) if s == "failed")
        seconds = np.nan_to_num(np.asarray(columns["seconds"], dtype=np.float64))
        for i in np.argsort(seconds)[-_SLOWEST:].tolist():
            if seconds[i] > 0:
                heapq.heappush(self._slow, (float(seconds[i]), str(columns["id"][i])))
        while len(self._slow) > _SLOWEST:
            heapq.heappop(self._slow)

    def add_part(self, table: Any) -> None:
        """Take in a part that was committed before, as an Arrow table."""
        numbers = ("value", "seconds")
        self.add({
            name: table.column(name).to_numpy() if name in numbers else table.column(name).to_pylist() for name in COLUMNS
        })  # fmt: skip

    @property
    def scored(self) -> int:
        """Rows with a value."""
        return self._status["scored"]

    @property
    def abstained(self) -> int:
        """Rows that the reward does not apply to."""
        return self._status["abstained"]

    @property
    def failed(self) -> int:
        """Rows that could not be judged."""
        return self._status["failed"]

    @property
    def n(self) -> int:
        """All rows."""
        return self.scored + self.abstained + self.failed

    @property
    def mean(self) -> float:
        """Mean of the values; NaN when there is none."""
        return self._sum / self.scored if self.scored else float("nan")

    @property
    def slowest(self) -> tuple[tuple[float, str], ...]:
        """(seconds, id) of the slowest rows, the slowest first."""
        return tuple(sorted(self._slow, reverse=True))
