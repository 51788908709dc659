"""The four lanes: where a list of items goes through a plain function, and what comes back for each of them.

inline: one after another in the caller. cpu: a pool of disposable worker processes. io: coroutines on the background event
loop. gpu: one after another on one background thread, so that batches never compete for the device.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from plaudit.run._drive import completed
from plaudit.run._loop import event_loop
from plaudit.run._pool import CpuPool, Ending, Outcome, shared_cpu_pool

T = TypeVar("T")
R = TypeVar("R")


class _Late(Enum):
    LATE = "late"


@dataclass(slots=True)
class Results(Generic[R]):
    """What a lane made of n items.

    Fields:
        values: n results; None where there is none.
        seconds: n wall seconds.
        failures: outcomes by index of the items that have no result.
    """

    values: list[R | None]
    seconds: list[float]
    failures: dict[int, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Before(Generic[T, R]):
    """Calls the function unless the deadline, an instant of time.monotonic(), has passed."""

    function: Callable[[T], R]
    deadline: float

    def __call__(self, item: T) -> R | _Late:
        # The monotonic clock counts from the boot of the machine: workers read the same one.
        return _Late.LATE if time.monotonic() > self.deadline else self.function(item)


async def run_lane(
    lane: str,
    function: Callable[[T], R] | Callable[[T], Awaitable[R]],
    items: Sequence[T],
    *,
    timeout: float | None = None,
    deadline: float | None = None,
    pool: CpuPool | None = None,
    max_in_flight: int = 64,
) -> Results[R]:
    """Put items through a function on a lane; nothing is raised for a single item, every item gets a result or an outcome.

    `timeout` is seconds for one item (cpu and io lanes), `deadline` an instant of time.monotonic() after which nothing new
    is started (outcome CANCELLED). Await it only under `drive` or `adrive`.
    """
    if lane == "io":
        return await _io(function, items, timeout, deadline, max_in_flight)  # type: ignore[arg-type]
    plain: Callable[[Any], Any] = function if deadline is None else _Before(function, deadline)
    if lane == "cpu":
        results = await _cpu(plain, items, timeout, pool)
    elif lane == "gpu":
        # A batch reward that scores another one is on the thread already, and would wait for itself.
        nested = threading.current_thread().name.startswith(_GPU_THREAD)
        results = (
            run_inline(plain, items) if nested else await _completed_or_cancelled(_gpu_thread().submit(run_inline, plain, items))
        )
    else:
        results = run_inline(plain, items)
    if deadline is not None:
        for i, value in enumerate(results.values):
            if value is _Late.LATE:
                results.values[i] = None
                results.failures[i] = Outcome(Ending.CANCELLED, detail="the call's deadline had passed")
    return results


def run_inline(function: Callable[[T], R], items: Sequence[T]) -> Results[R]:
    """Call the function on each item in this thread; an exception becomes that item's outcome."""
    values: list[R | None] = [None] * len(items)
    seconds = [0.0] * len(items)
    failures: dict[int, Outcome] = {}
    clock = time.perf_counter
    before = clock()
    for i, item in enumerate(items):
        try:
            values[i] = function(item)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # some libraries derive their own timeouts from BaseException
            failures[i] = raised(error)
        now = clock()
        seconds[i] = now - before
        before = now
    return Results(values, seconds, failures)


def raised(error: BaseException) -> Outcome:
    """The outcome of an item whose function raised; `detail` ends with the place that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno} in {frames[-1].name}" if frames else "?"
    return Outcome(Ending.RAISED, error=error, detail=f"{type(error).__name__} at {place}")


async def _cpu(function: Callable[[Any], Any], items: Sequence[Any], timeout: float | None, pool: CpuPool | None) -> Results[Any]:
    outcomes = await _completed_or_cancelled((pool or shared_cpu_pool()).submit(function, items, timeout=timeout))
    failures = {i: outcome for i, outcome in enumerate(outcomes) if outcome.ending is not Ending.DONE}
    return Results([o.value for o in outcomes], [o.seconds for o in outcomes], failures)


async def _completed_or_cancelled(future: Future[T]) -> T:
    try:
        return await completed(future)
    except CancelledError:
        raise
    except BaseException:
        future.cancel()
        raise


async def _io(
    function: Callable[[Any], Awaitable[Any]],
    items: Sequence[Any],
    timeout: float | None,
    deadline: float | None,
    max_in_flight: int,
) -> Results[Any]:
    results: Results[Any] = Results([None] * len(items), [0.0] * len(items))
    queue = iter(range(len(items)))

    async def worker() -> None:
        for i in queue:
            before = time.monotonic()
            left = None if deadline is None else deadline - before
            if left is not None and left <= 0:
                results.failures[i] = Outcome(Ending.CANCELLED, detail="the call's deadline had passed")
                continue
            try:
                limit = timeout if left is None else left if timeout is None else min(timeout, left)
                async with asyncio.timeout(limit) as scope:
                    results.values[i] = await function(items[i])
            except GeneratorExit:
                raise
            except BaseException as error:  # also a leaf's own SystemExit: no Ctrl-C arrives on this thread
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise  # this call is cancelled; one that a library let slip costs its own item alone
                mine = isinstance(error, TimeoutError) and scope.expired()
                results.failures[i] = Outcome(Ending.OVERRAN, detail=f"no answer within {limit:.3g} s") if mine else raised(error)
            results.seconds[i] = time.monotonic() - before

    async def all_items() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max_in_flight, len(items))):
                group.create_task(worker())

    await _completed_or_cancelled(event_loop().submit(all_items()))
    return results


_GPU_THREAD = "plaudit-gpu"
_gpu: tuple[int, ThreadPoolExecutor] | None = None


def _gpu_thread() -> ThreadPoolExecutor:
    global _gpu
    if _gpu is None or _gpu[0] != os.getpid():
        _gpu = (os.getpid(), ThreadPoolExecutor(max_workers=1, thread_name_prefix=_GPU_THREAD))
    return _gpu[1]
