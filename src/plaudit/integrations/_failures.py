"""Failures during training: said aloud once for each reason, and the run stopped when there are too many of them."""

from __future__ import annotations

import logging
from collections import Counter, deque
from threading import Lock
from typing import Any

from plaudit.errors import ContractError, TooManyFailures
from plaudit.types import FAILED, Verdicts


class FailureGuard:
    """Watches the share of FAILED samples among the last ones.

    Fields:
        limit: highest share that is let through; None = any.
        window: samples that it is measured on; nothing is judged before so many were seen.

    Raises ContractError for a limit outside [0, 1] or a window below 1.

    >>> guard = FailureGuard("reward", limit=0.5, window=2)
    >>> guard.watch(Counter({None: 1, "judge_unreachable": 1}))
    >>> guard.watch(Counter({"judge_unreachable": 2}))
    Traceback (most recent call last):
    plaudit.errors.TooManyFailures: reward: 2 of the last 2 samples FAILED (100%, max_failure_rate is 50%): ...
    """

    def __init__(self, name: str, limit: float | None, window: int, logger: logging.Logger | None = None) -> None:
        if limit is not None and not 0 <= limit <= 1:
            raise ContractError(f"max_failure_rate is {limit}: expected a share in [0, 1], or None")
        if window < 1:
            raise ContractError(f"failure_window is {window}: expected at least one sample")
        self.name, self.limit, self.window = name, limit, window
        self._logger = logger or logging.getLogger("plaudit.integrations")
        self._seen: deque[Counter[str | None]] = deque()
        self._sum: Counter[str | None] = Counter()
        self._told: set[str] = set()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def tell(self, verdicts: Verdicts) -> None:
        """Log a warning with one example for each reason of failure that comes for the first time."""
        for i in (verdicts.codes == FAILED).nonzero()[0].tolist():
            reason = str(verdicts.reason[i])
            with self._lock:
                if reason in self._told:
                    continue
                self._told.add(reason)
            said = verdicts.explanation[i] if verdicts.explanation is not None else None
            self._logger.warning(
                "%s: a sample FAILED with %s%s; it has no reward", self.name, reason, f": {said}" if said else ""
            )

    def watch(self, reasons: Counter[str | None]) -> None:
        """Count a call's samples: reasons of the FAILED ones, None for the others. Raises TooManyFailures."""
        if self.limit is None:
            return
        with self._lock:
            self._seen.append(reasons)
            self._sum.update(reasons)
            while (total := self._sum.total()) - self._seen[0].total() >= self.window:
                self._sum.subtract(self._seen.popleft())
            failures = Counter({reason: k for reason, k in self._sum.items() if reason is not None and k})
        failed = failures.total()
        if total >= self.window and failed > self.limit * total:
            most = ", ".join(f"{reason} {k} times" for reason, k in failures.most_common(3))
            raise TooManyFailures(
                f"{self.name}: {failed} of the last {total} samples FAILED ({failed / total:.0%}, max_failure_rate is "
                f"{self.limit:.0%}): {most}"
            )


def failure_reasons(verdicts: Verdicts) -> Counter[str | None]:
    """How many samples FAILED for each reason; None counts the others."""
    return Counter(
        reason if code == FAILED else None for code, reason in zip(verdicts.codes.tolist(), verdicts.reason, strict=True)
    )
