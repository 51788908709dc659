"""The control call: can this judge's reply to a harmless response be read at all?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass

CONTROL_PROMPT = "What is 17 + 25? Reply with the number only."
CONTROL_RESPONSE = "42"
CONTROL_REFERENCE = "42"
_KEPT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Control:
    """The outcome of a control call: why its reply could not be read; None = it could."""

    problem: str | None


class ControlCalls:
    """Asks at most one control call at a time, from whatever thread or event loop, and keeps its outcome for five minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Hashable, tuple[float, Control]] = {}
        self._running: dict[Hashable, Future[Control | None]] = {}

    async def outcome(self, model: Hashable, ask: Callable[[], Awaitable[Control]]) -> Control:
        """What is known of the model, or what `ask` finds out. Raises what `ask` raises."""
        while True:
            with self._lock:
                until, known = self._known.get(model, (0.0, None))
                if known is not None and time.monotonic() < until:
                    return known
                running = self._running.get(model)
                if running is None:
                    mine: Future[Control | None] = Future()
                    self._running[model] = mine
                    break
            # Shielded: who waits may be cancelled without cancelling the call that others wait for.
            found = await asyncio.shield(asyncio.wrap_future(running))
            if found is not None:
                return found
        return await self._ask(model, ask, mine)

    async def _ask(self, model: Hashable, ask: Callable[[], Awaitable[Control]], mine: Future[Control | None]) -> Control:
        found: Control | None = None
        error: BaseException | None = None
        try:
            found = await ask()
            return found
        except Exception as caught:
            error = caught
            raise
        finally:
            with self._lock:
                del self._running[model]
                if found is not None:
                    self._known = {model: (time.monotonic() + _KEPT_SECONDS, found)}
            if error is not None:
                mine.set_exception(error)
            else:
                mine.set_result(found)  # None: this call was cancelled, somebody else asks
