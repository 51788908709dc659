"""Scoring windows of rows, several under way at once, all driven from the calling thread.

The inline lane runs in this thread, the other lanes work meanwhile: a slow call at the end of one window does not hold up the
next. An interrupt at any moment cancels what is under way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

from plaudit.records import Row
from plaudit.reward._base import Reward
from plaudit.reward._evaluate import evaluate
from plaudit.reward._tree import leaves
from plaudit.run import settings, using
from plaudit.types import Context, Verdicts

_IN_FLIGHT = {"inline": 1, "gpu": 2, "cpu": 3, "io": 4}


def score_windows(
    reward: Reward,
    windows: Iterable[list[Row]],
    *,
    context: Context | None = None,
    in_flight: int | None = None,
    proven: bool = False,
) -> Generator[tuple[list[Row], Verdicts], None, None]:
    """Verdicts of windows of rows in the order in which they are done, at most `in_flight` windows under way at once.

    A window in which every row raises the same error raises it only while no row of any window came through (`proven` says
    that one did before): later such rows are FAILED, so that two bad rows at the end do not undo a run.
    """
    limit = in_flight or default_in_flight(reward)
    share = max(1, settings().max_in_flight // limit)
    source, again = iter(windows), list[list[Row]]()
    flights: list[_Flight] = []
    refused: list[_Flight] = []
    more = True
    try:
        while True:
            due = [f for f in flights if f.has_news]
            # Refused windows keep their places until another one proves the reward: as many are tried as may be under way.
            while len(flights) + len(refused) < limit and not due and (again or more):
                rows = again.pop() if again else next(source, None)
                if rows is None:
                    more = False
                elif rows:
                    flights.append(_Flight(reward, rows, context, share, strict=not proven))
                    due = [flights[-1]]
            for flight in due:
                flight.step()
                if flight.done:
                    flights.remove(flight)
                if flight.error is not None:
                    refused.append(flight)
                elif flight.verdicts is not None:
                    proven = proven or flight.verdicts.n_failed < len(flight.verdicts)
                    yield flight.rows, flight.verdicts
            if proven and refused:
                again += [flight.rows for flight in refused]
                refused.clear()
            if due or again:
                continue
            if flights:
                wait([future for f in flights for future in f.waiting], return_when=FIRST_COMPLETED)
            elif refused:
                raise refused[0].error or AssertionError
            else:
                return
    finally:
        for flight in flights:
            flight.close()


def default_in_flight(reward: Reward) -> int:
    """How many windows of a reward are best under way at once."""
    facts = reward.facts
    if facts.stateful or facts.scope == "batch":
        return 1
    # A limit that a leaf sets itself holds for each window: only one at a time keeps it.
    if any(leaf.reward.facts.max_in_flight is not None for leaf in leaves(reward)):
        return 1
    return max(_IN_FLIGHT[lane] for lane in lanes_of(reward))


class _Flight:
    """One window under way."""

    def __init__(self, reward: Reward, rows: list[Row], context: Context | None, max_in_flight: int, strict: bool) -> None:
        self.rows = rows
        self.verdicts: Verdicts | None = None
        self.error: Exception | None = None
        self.waiting: Any = ()
        self._strict, self._max_in_flight = strict, max_in_flight
        self._steps = evaluate(reward, [row.sample for row in rows], context)

    @property
    def done(self) -> bool:
        return self.verdicts is not None or self.error is not None

    @property
    def has_news(self) -> bool:
        """Whether something that it waits for has come."""
        return any(future.done() for future in self.waiting)

    def step(self) -> None:
        """Go on until it waits for a lane again, or is done. Raises what only a mistake in the reward's class can raise."""
        try:
            with using(raise_common=self._strict, max_in_flight=self._max_in_flight):
                self.waiting = self._steps.send(None)
        except StopIteration as stop:
            self.verdicts = stop.value
        except Exception as error:
            if not self._strict:
                raise
            self.error = error

    def close(self) -> None:
        """Cancel what the lanes still do for it."""
        self._steps.close()


def lanes_of(reward: Reward) -> set[str]:
    """The lanes that the leaves of a reward run on."""
    return {leaf.reward.facts.lane for leaf in leaves(reward)}
