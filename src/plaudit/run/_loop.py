"""The one background thread with one event loop that the io lane lives on."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoop:
    """An event loop on a daemon thread, started on first use; `submit` works from any thread.

    >>> async def four() -> int:
    ...     return 4
    >>> event_loop().submit(four()).result()
    4
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                ready = threading.Event()
                loop.call_soon(ready.set)
                self._thread = threading.Thread(target=_run, args=(loop,), name="plaudit-io", daemon=True)
                self._thread.start()
                ready.wait()
                self._loop = loop
            return self._loop

    @property
    def is_current(self) -> bool:
        """Whether the caller already runs on this loop's thread, where blocking on it would never end."""
        return self._thread is threading.current_thread()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def wait_for(self, coroutine: Coroutine[Any, Any, T], refusal: Exception) -> T:
        """The coroutine's result, blocking the caller; an interrupted wait cancels it.

        Raises `refusal` on the loop's own thread, where the wait would never end.
        """
        if self.is_current:
            coroutine.close()
            raise refusal
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Keep the loop running: a task that raises SystemExit leaves `run_forever`, and every later call would wait for good."""
    while not loop.is_closed():
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            traceback.print_exc()


_current = EventLoop()


def event_loop() -> EventLoop:
    """The process's event loop thread; a forked child gets its own."""
    return _current


def _renew_after_fork() -> None:
    global _current
    _current = EventLoop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
