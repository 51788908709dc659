"""The cpu lane: a warm pool of disposable worker processes that runs plain callables under a deadline and a memory cap.

A worker that overruns is killed and replaced, and only the item that it was on is lost. Works from any thread, any event loop and
any forked child, whatever the process holds (threads, locks, CUDA): workers are forked from a clean process of their own.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeVar

from plaudit.errors import RunError
from plaudit.run._pool_jobs import Job, modules_named
from plaudit.run._pool_outcome import Ending, Outcome, RemoteError
from plaudit.run._pool_supervisor import Supervisor

__all__ = ["CpuPool", "Ending", "Outcome", "PoolStats", "RemoteError", "available_cpus", "shared_cpu_pool"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Counts of worker processes: alive now; started, killed by the pool and lost (died by themselves) so far."""

    alive: int
    started: int
    killed: int
    lost: int


class CpuPool:
    """A pool of worker processes; nothing starts before the first call, and nothing outlives this process.

    `workers` is how many items run at once (default: the CPUs this process may use); a few more processes wait as replacements.
    `memory_mb` is how many MiB of address space items may add to what a worker needs to hold their function; each process that
    they start inherits the limit, and a worker in which items left half of it behind is replaced, so an item has at least half.
    `preload` names modules that workers are born with.

    Workers see the `sys.path` and working directory that this process has when it submits, and the environment variables that it
    had when the pool started. What items print goes to standard error. An item may run twice if a neighbour kills their worker.

    >>> with CpuPool(workers=1) as pool:
    ...     [outcome.value for outcome in pool.submit(abs, [-1, 2], timeout=5).result()]
    [1, 2]
    """

    def __init__(self, workers: int | None = None, memory_mb: int = 2048, preload: Sequence[str] = ()) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1, or None for one per CPU")
        if memory_mb < 64:
            raise ValueError(f"memory_mb is {memory_mb}, expected at least 64: a worker needs that much to import anything")
        if isinstance(preload, str):
            raise TypeError(f"preload is the string {preload!r}, expected a sequence of module names: [{preload!r}]")
        if not hasattr(os, "fork"):
            raise RunError("the cpu lane forks its workers, which this system cannot; run on Linux, macOS or WSL")
        self.workers = workers or available_cpus()
        self.memory_mb = memory_mb
        self._preload = list(preload)
        self._lock = threading.Lock()
        self._supervisor: Supervisor | None = None
        self._finalizer: weakref.finalize[[], CpuPool] | None = None
        self._closed = False
        _pools.add(self)

    def submit(self, function: Callable[[T], R], items: Sequence[T], *, timeout: float | None = None) -> Future[list[Outcome]]:
        """Run `function(item)` for each item; the future holds one Outcome per item, in order.

        `timeout` is in seconds, per item, and starts when a worker picks the item up; None = no limit. The items are pickled
        when a worker is ready for them: do not change them meanwhile. `cancel()` on the future works at any time before the last
        item has ended, and so does interrupting `result()`; `running()` is never true; a callback must not wait for another call
        of this pool. Raises what pickling the function raises, and RunError when the pool is closed.
        """
        if timeout is not None and not 0 < timeout < float("inf"):
            raise ValueError(f"timeout is {timeout}, expected a positive number of seconds, or None for no limit")
        job = Job(function, items, timeout)
        if not job.items:
            job.future.set_result([])
            return job.future
        self.preload(*modules_named(job.frame))
        job.future.pool = self
        supervisor = self._command(lambda it: it.call(partial(it.admit, job)))
        job.future.add_done_callback(partial(_cancel, supervisor, job))
        return job.future

    def warm(self, timeout: float = 60.0) -> None:
        """Start all workers and wait until they are ready, at most `timeout` seconds."""
        ready = threading.Event()
        self._command(lambda it: it.call(partial(it.workforce.warm, ready)))
        ready.wait(timeout)

    def preload(self, *modules: str) -> None:
        """Have workers that start from now on born with these modules imported; starts nothing itself."""
        with self._lock:
            new = [module for module in modules if module not in self._preload]
            self._preload += new
            if new and self._supervisor is not None:
                self._supervisor.call(partial(self._supervisor.workforce.import_modules, new))

    def close(self) -> None:
        """Kill all workers; items that have not ended are CANCELLED. May be called twice."""
        with self._lock:
            self._closed = True
            finalizer, self._finalizer, self._supervisor = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    @property
    def stats(self) -> PoolStats:
        """How many worker processes there are and were."""
        supervisor = self._supervisor
        if supervisor is None:
            return PoolStats(0, 0, 0, 0)
        force = supervisor.workforce
        return PoolStats(len(force.workers), force.started, force.killed, force.lost)

    def __enter__(self) -> CpuPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _command(self, command: Callable[[Supervisor], bool]) -> Supervisor:
        """Pass a command to the supervisor, starting one if there is none or it ended; returns it."""
        with self._lock:
            if self._closed:
                raise RunError("this CpuPool is closed; make a new one")
            if self._supervisor is None or not command(self._supervisor):
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._supervisor = Supervisor(self.workers, self.memory_mb << 20, self._preload)
                self._finalizer = weakref.finalize(self, self._supervisor.stop)  # at exit too
                command(self._supervisor)
            return self._supervisor

    def _after_fork(self) -> None:
        """In a forked child: start over, leaving the parent's processes alone."""
        self._lock = threading.Lock()
        supervisor, self._supervisor = self._supervisor, None
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        if supervisor is not None:
            supervisor.abandon()


def shared_cpu_pool() -> CpuPool:
    """Return the pool that all of this process uses, with one worker per CPU; it is made on first use and closed at exit."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared._closed:
            _shared = CpuPool()
        return _shared


def available_cpus() -> int:
    """How many CPUs this process may keep busy: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):  # no control group, or an old kind
        return count
    return count if quota == "max" else max(1, min(count, round(int(quota) / int(period))))


def _cancel(supervisor: Supervisor, job: Job, future: Future[list[Outcome]]) -> None:
    if future.cancelled() and not supervisor.call(partial(supervisor.cancel, job)):
        future.set_running_or_notify_cancel()  # the pool ended in the same moment; waiters want to be told all the same


_pools: weakref.WeakSet[CpuPool] = weakref.WeakSet()
_shared: CpuPool | None = None
_shared_lock = threading.Lock()


def _after_fork_in_child() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for pool in list(_pools):
        pool._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
