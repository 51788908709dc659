"""The worker processes from birth to death: the zygote that forks them, their streams, their replacements."""

from __future__ import annotations

import os
import selectors
import signal
import threading
from collections.abc import Sequence
from functools import partial
from time import monotonic_ns

from plaudit.run import _pool_wire as wire
from plaudit.run._pool_dispatch import LOAD_LIMIT_NS, Dispatch
from plaudit.run._pool_jobs import Job
from plaudit.run._pool_process import WorkerProcess
from plaudit.run._pool_zygote import Message, Zygote

RETRY_FORK_NS = 100_000_000
ZYGOTES = 3  # in a row that end before a worker is born: the machine cannot run any


class Workforce:
    """Keeps as many workers alive as are wanted, and some to spare; lives on the supervisor's thread."""

    def __init__(self, dispatch: Dispatch, selector: selectors.BaseSelector, preload: Sequence[str]) -> None:
        self.dispatch = dispatch
        self.selector = selector
        self.preload = list(preload)
        self.spares = 1 + dispatch.limit // 8  # idle and forked already: a replacement answers at once
        self.workers: dict[int, WorkerProcess] = {}
        self.started = self.killed = self.lost = 0
        self.failure: str | None = None  # why no worker can be started
        self._zygote: Zygote | None = None
        self._failures = 0
        self._unborn = 0  # workers asked for
        self._size = 0  # the most workers ever wanted at once
        self._retry_ns = 0
        self._waiting: list[threading.Event] = []

    @property
    def busy(self) -> int:
        return sum(1 for worker in self.workers.values() if worker.given)

    def employs(self, worker: WorkerProcess) -> bool:
        return self.workers.get(worker.pid) is worker

    def warm(self, ready: threading.Event) -> None:
        """Want all workers, and set the event once they are there."""
        self._size = self.dispatch.limit
        self._waiting.append(ready)

    def release_waiting(self) -> None:
        while self._waiting:
            self._waiting.pop().set()

    def import_modules(self, names: Sequence[str]) -> None:
        """Have later workers forked with these modules."""
        self.preload += names
        if self._zygote is not None:
            self._zygote.tell(wire.IMPORT, 0, " ".join(names).encode())

    def recruit(self, now: int) -> int | None:
        """Ask for the workers that are missing; returns when to try again."""
        self._size = max(self._size, min(self.dispatch.limit, self.busy + self.dispatch.queue.pending))
        if self._size == 0:
            return None
        wanted = self._size + self.spares
        alive = sum(1 for worker in self.workers.values() if not worker.ended)
        if alive >= wanted:
            self.release_waiting()
        missing = wanted - alive - self._unborn
        if missing > 0 and now < self._retry_ns:
            return self._retry_ns
        if missing > 0 and (zygote := self._running_zygote()):
            for _ in range(missing):
                self._unborn += zygote.tell(wire.SPAWN)
        return None

    def teach(self, worker: WorkerProcess, job: Job) -> None:
        """Send a job's function, so that a spare has loaded it before it is needed."""
        if job.function not in worker.functions:
            worker.learn(job, monotonic_ns() + LOAD_LIMIT_NS)
            self.watch(worker)

    def watch(self, worker: WorkerProcess) -> None:
        """Wait for room in a worker's stream while there is something to send."""
        if worker.unsent != worker.writing and not worker.ended:
            worker.writing = worker.unsent
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.writing else 0)
            self.selector.modify(worker, events, partial(self._on_worker, worker))

    def receive(self, worker: WorkerProcess, *, everything: bool = False) -> bool:
        """Take in what a worker sent; False when it left."""
        ended = worker.ended
        answers = worker.receive(everything=everything)
        if worker.ended and not ended:
            self.selector.unregister(worker)
        if not self.dispatch.settle(worker, answers, monotonic_ns()):  # it retires, and exits by itself
            self._discard(worker)
            return False
        if worker.ended and not ended:  # it died, and the zygote will tell how; or an item closed the stream
            worker.kill(self._zygote)
        return not worker.ended

    def kill(self, worker: WorkerProcess, *, alone: bool = False) -> None:
        """Kill a worker and put what it still holds back in the queue, to run alone or not."""
        self.killed += 1
        self._discard(worker, alone=alone)

    def blame_function(self, function: int, how: str) -> None:
        """Record that loading a function killed a worker or hung it; once it is given up, nobody goes on loading it."""
        if self.dispatch.blame_function(function, how):
            for worker in list(self.workers.values()):
                if function in worker.loading and not worker.ended:
                    self.kill(worker)

    def close(self) -> None:
        """Kill all workers and wait for the zygote to end."""
        self.release_waiting()
        for worker in self.workers.values():
            worker.kill(self._zygote)
            worker.close()
        self.workers.clear()
        if self._zygote is not None:
            self._zygote.close(patience=5)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's processes."""
        for worker in self.workers.values():
            worker.close()
        if self._zygote is not None:
            self._zygote.abandon()

    def _discard(self, worker: WorkerProcess, *, alone: bool = False) -> None:
        del self.workers[worker.pid]
        self.dispatch.take_back(worker, alone=alone)
        if not worker.ended:
            self.selector.unregister(worker)
        worker.kill(self._zygote)
        worker.close()

    def _on_worker(self, worker: WorkerProcess, mask: int) -> None:
        if worker.ended or not self.employs(worker):
            return
        if mask & selectors.EVENT_WRITE:
            worker.flush()
            self.watch(worker)
        if mask & selectors.EVENT_READ:
            self.receive(worker)

    def _running_zygote(self) -> Zygote | None:
        if self._zygote is None:
            try:
                self._zygote = Zygote(self.dispatch.memory_bytes, self.preload)
            except OSError as error:  # no process, no descriptor or no memory left
                self._zygote_failed(f"{type(error).__name__}: {error}")
            else:
                self.selector.register(self._zygote, selectors.EVENT_READ, self._on_zygote)
        return self._zygote

    def _on_zygote(self, _: int) -> None:
        zygote = self._zygote
        if zygote is None:
            return
        for message in zygote.receive():
            if message.kind == wire.BORN:
                self._born(zygote, message)
            elif message.kind == wire.UNBORN:
                self._unborn -= 1
                self._retry_ns = monotonic_ns() + RETRY_FORK_NS
            elif message.pid in self.workers:
                self._died(self.workers[message.pid], _manner(message.value))
        if zygote.ended:
            self.selector.unregister(zygote)
            self._zygote = None
            self._unborn = 0
            zygote.close(patience=1)
            for worker in list(self.workers.values()):
                worker.kill_orphaned_group()
                self._died(worker, "the death of its parent process")
            zygote.kill_strays()
            self._zygote_failed(f"exit status {zygote.process.returncode}")

    def _born(self, zygote: Zygote, message: Message) -> None:
        self._unborn -= 1
        self._failures = 0
        if len(message.descriptors) < 2:  # this process may open no more files
            for descriptor in message.descriptors:
                os.close(descriptor)
            zygote.tell(wire.KILL, message.pid)
            self._retry_ns = monotonic_ns() + RETRY_FORK_NS
            return
        worker = WorkerProcess(message.pid, message.descriptors)
        self.started += 1
        self.workers[worker.pid] = worker
        self.selector.register(worker, selectors.EVENT_READ, partial(self._on_worker, worker))
        for job in self.dispatch.queue.jobs:
            self.teach(worker, job)

    def _died(self, worker: WorkerProcess, how: str) -> None:
        """A worker ended by itself: the item that it was on, or the function that it was loading, is to blame."""
        if self.employs(worker):
            self.receive(worker, everything=True)
        if not self.employs(worker):  # it was retiring, or given up together with another
            return
        self.lost += 1
        ticket, start, _ = worker.position()
        if ticket in worker.given:
            self.dispatch.blame(worker, ticket, how, (monotonic_ns() - start) * 1e-9)
        self.dispatch.take_back(worker, alone=True, died=True)
        self._discard(worker)
        if ticket < 0:
            self.blame_function(-ticket, how)

    def _zygote_failed(self, how: str) -> None:
        self._failures += 1
        self._retry_ns = monotonic_ns() + RETRY_FORK_NS * (self._failures - 1)
        if self._failures >= ZYGOTES:
            self.failure = how
            self._size = self._failures = 0


def _manner(status: int) -> str:
    """Put the exit status of a worker, or minus its signal, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"signal {-status}"
