"""Coroutines that wait for the lanes' futures, driven from plain code or from any event loop.

Evaluating a reward is written once, as coroutines whose only way to wait is `completed`. `drive` runs them in the calling
thread, so that inline rewards stay there; `adrive` runs them inside the caller's event loop. Neither needs a loop of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
Waiting = Sequence["Future[Any]"]
Steps = Coroutine[Waiting, None, T]


class _Completed:
    """Awaiting it hands the futures to whoever drives, and goes on when at least one of them is done."""

    __slots__ = ("futures",)

    def __init__(self, futures: Waiting) -> None:
        self.futures = futures

    def __await__(self) -> Generator[Waiting, None, None]:
        yield self.futures


async def completed(future: Future[T]) -> T:
    """Wait for a lane's future and return its result."""
    while not future.done():
        await _Completed([future])
    return future.result()


async def any_completed(futures: Waiting) -> None:
    """Wait until at least one of the futures is done."""
    await _Completed(futures)


async def together(*steps: Steps[Any]) -> list[Any]:
    """Run coroutines side by side and return their results in order; the first error closes the others."""
    results: list[Any] = [None] * len(steps)
    waiting: dict[int, Waiting] = {}
    due = list(range(len(steps)))
    try:
        while True:
            for i in due:
                waiting.pop(i, None)
                try:
                    waiting[i] = steps[i].send(None)
                except StopIteration as stop:
                    results[i] = stop.value
            if not waiting:
                return results
            await _Completed([future for futures in waiting.values() for future in futures])
            due = [i for i, futures in waiting.items() if any(future.done() for future in futures)]
    finally:
        for step in steps:
            step.close()


def drive(steps: Steps[T]) -> T:
    """Run to the end in the calling thread, blocking while the lanes work."""
    try:
        while True:
            wait(steps.send(None), return_when=FIRST_COMPLETED)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        steps.close()


async def adrive(steps: Steps[T]) -> T:
    """Run to the end inside the caller's event loop, yielding to it while the lanes work."""
    try:
        while True:
            futures = steps.send(None)
            # asyncio.wait does not cancel what it waits for: a cancelled caller closes `steps`, which cancels the lanes' work.
            await asyncio.wait([asyncio.wrap_future(future) for future in futures], return_when=asyncio.FIRST_COMPLETED)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        steps.close()
