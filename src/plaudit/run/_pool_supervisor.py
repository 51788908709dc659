"""The thread that feeds the workers, keeps their deadlines, and replaces those that it kills or loses."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic_ns

from plaudit.errors import RunError
from plaudit.run import _pool_wire as wire
from plaudit.run._pool_dispatch import Dispatch
from plaudit.run._pool_jobs import Job
from plaudit.run._pool_outcome import Ending, Outcome
from plaudit.run._pool_process import Message, WorkerProcess, Zygote

LOAD_LIMIT_NS = 120_000_000_000  # to import what a function needs; not counted against any item
RECALL_AFTER_NS = 3_000_000  # a worker this silent gives its waiting items to one that has none
RETRY_FORK_NS = 100_000_000
ZYGOTES = 3  # in a row that end before a worker is born: the machine cannot run any


class Supervisor:
    """All that happens to jobs and workers happens on its thread; other threads only leave commands."""

    def __init__(self, workers: int, memory_bytes: int, preload: Sequence[str]) -> None:
        self.limit = workers
        self.spares = 1 + workers // 8  # idle and forked already: a replacement answers at once
        self.memory_bytes = memory_bytes
        self.preload = list(preload)
        self.started = self.killed = self.lost = 0
        self.workers: dict[int, WorkerProcess] = {}
        self._dispatch = Dispatch(workers, memory_bytes)
        self._queue = self._dispatch.queue
        self._zygote: Zygote | None = None
        self._failures = 0  # zygotes in a row that ended before any worker was born
        self._unborn = 0  # workers asked for
        self._size = 0  # the most workers ever wanted at once
        self._retry_ns = 0
        self._wake_ns: int | None = None
        self._waiting_for_warmth: list[threading.Event] = []
        self._commands: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self.thread = threading.Thread(target=self._run, name="plaudit-cpu-pool", daemon=True)
        self.thread.start()

    # From any thread

    def call(self, command: Callable[[], None]) -> bool:
        """Have the thread run a command; False when it has ended."""
        with self._lock:
            if self._ended:
                return False
            self._commands.append(command)
            with contextlib.suppress(BlockingIOError):  # full of earlier calls: it is awake
                self._wake.send(b"\0", wire.NO_SIGPIPE)
        return True

    def stop(self) -> None:
        """End the thread and all processes; items that have not ended are CANCELLED."""
        self.call(self._end)
        for thread in (self.thread, self._dispatch.delivery.thread):
            if thread is not threading.current_thread():
                thread.join(10)

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent, without touching its processes."""
        self._selector.close()
        self._woken.close()
        self._wake.close()
        for worker in self.workers.values():
            worker.close()
        if self._zygote is not None:
            self._zygote.abandon()

    # Commands, run on the thread

    def admit(self, job: Job) -> None:
        self._queue.jobs.append(job)
        for worker in self.workers.values():  # spares too: a replacement has loaded what it needs before it is needed
            self._teach(worker, job)

    def cancel(self, job: Job) -> None:
        """Drop a job whose future was cancelled, and kill the workers that are on it."""
        job.future.set_running_or_notify_cancel()
        self._dispatch.drop(job)
        for worker in self.workers.values():
            if any(owner is job for owner, _ in worker.given.values()):
                worker.recall(monotonic_ns())  # what it runs a moment later is what it was running

    def warm(self, ready: threading.Event) -> None:
        self._size = self.limit
        self._waiting_for_warmth.append(ready)

    def import_modules(self, names: Sequence[str]) -> None:
        """Have later workers forked with these modules."""
        new = [name for name in names if name not in self.preload]
        self.preload += new
        if new and self._zygote is not None:
            self._zygote.tell(wire.IMPORT, 0, " ".join(new).encode())

    def _end(self) -> None:
        with self._lock:
            self._ended = True

    # The thread

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while not self._ended:
                self._turn()
        except BaseException as caught:  # a defect of ours must not leave anybody waiting
            error = caught
        self._end()
        while self._commands:  # left by threads that came just before the end
            self._commands.popleft()()
        self._fail(error)
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()
        if self._zygote is not None:
            self._zygote.close(patience=5)
        self._dispatch.delivery.put(None)
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def _turn(self) -> None:
        patience = None if self._wake_ns is None else max(0.0, (self._wake_ns - monotonic_ns()) * 1e-9)
        for key, mask in self._selector.select(patience):
            key.data(mask)
        while self._commands:
            self._commands.popleft()()
        now = monotonic_ns()
        self._wake_ns = None
        for worker in list(self.workers.values()):
            if worker.check_ns is not None and now >= worker.check_ns:
                self._check(worker, now)
            if worker.recall_ns is not None and now >= worker.recall_ns:
                self._take_back(worker)
        self._feed(now)
        self._recruit(now)
        for worker in self.workers.values():
            self._wake_by(worker.check_ns)
            self._wake_by(worker.recall_ns)

    def _wake_by(self, moment: int | None) -> None:
        if moment is not None and (self._wake_ns is None or moment < self._wake_ns):
            self._wake_ns = moment

    def _on_wake(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _fail(self, error: BaseException | None) -> None:
        """End all jobs: with an error, or CANCELLED."""
        for job in list(self._queue.jobs):
            self._dispatch.cut_short(job, Outcome(Ending.CANCELLED, detail="the pool was closed"), error)
        for ready in self._waiting_for_warmth:
            ready.set()

    # Feeding and deadlines

    def _feed(self, now: int) -> None:
        busy = sum(1 for worker in self.workers.values() if worker.given)
        for worker in self.workers.values():
            idle = not worker.given
            if worker.ended or (idle and busy >= self.limit):
                continue
            self._dispatch.give(worker, now)
            busy += idle and bool(worker.given)
            self._watch(worker)
        if busy < min(self.limit, len(self.workers)):
            if self._queue.pending:
                self._wake_by(now)  # items could not be pickled: look for others
            else:
                self._rebalance(now)

    def _rebalance(self, now: int) -> None:
        """Recall what waits behind a slow item, because another worker has nothing to do."""
        for worker in self.workers.values():
            if len(worker.given) > 1 and worker.recall_ns is None:
                due = worker.heard_ns + RECALL_AFTER_NS
                if now >= due:
                    worker.recall(now)
                else:
                    self._wake_by(due)

    def _take_back(self, worker: WorkerProcess) -> None:
        """Share out what a recalled worker holds; kill it if the item that it is on was cancelled."""
        worker.recall_ns = None
        if not self._receive(worker):
            return
        ticket, _, _ = worker.position()
        current = worker.given.pop(ticket, None)
        if current is None:  # between two items, it skips the others and says so
            return
        if current[0].dropped:
            self.killed += 1
            self._discard(worker)
            return
        self._dispatch.take_back(worker, alone=False)
        worker.given[ticket] = current
        worker.heard_ns = monotonic_ns()

    def _check(self, worker: WorkerProcess, now: int) -> None:
        """Kill a worker whose item, or whose loading of a function, is over its deadline; else note when to look again."""
        if not self._receive(worker):
            return
        ticket, start, _ = worker.position()
        worker.check_ns = None if worker.shortest_ns is None else now + worker.shortest_ns
        if ticket < 0:
            if now - start >= LOAD_LIMIT_NS:
                self._dispatch.blame_function(-ticket, f"still loading after {LOAD_LIMIT_NS // 10**9} s")
                self.killed += 1
                self._discard(worker)
            else:
                worker.check_by(start + LOAD_LIMIT_NS)
        elif ticket in worker.given:
            limit = worker.given[ticket][0].timeout_ns
            if limit is None:
                return
            if now - start < limit:
                worker.check_by(start + limit)
                return
            self._dispatch.overran(worker, ticket, now)
            self.killed += 1
            self._discard(worker, alone=True)

    # The life of workers

    def _teach(self, worker: WorkerProcess, job: Job) -> None:
        worker.learn(job)
        worker.check_by(monotonic_ns() + LOAD_LIMIT_NS)
        self._watch(worker)

    def _watch(self, worker: WorkerProcess) -> None:
        """Wait for room in the stream of a worker while there is something to send."""
        if worker.unsent != worker.writing and not worker.ended:
            worker.writing = worker.unsent
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.writing else 0)
            self._selector.modify(worker, events, partial(self._on_worker, worker))

    def _on_worker(self, worker: WorkerProcess, mask: int) -> None:
        if self.workers.get(worker.pid) is not worker or worker.ended:
            return
        if mask & selectors.EVENT_WRITE:
            worker.flush()
            self._watch(worker)
        if mask & selectors.EVENT_READ:
            self._receive(worker)

    def _receive(self, worker: WorkerProcess, *, everything: bool = False) -> bool:
        """Take in what a worker sent; False when it left or was discarded."""
        ended = worker.ended
        answers = worker.receive(everything=everything)
        if not self._dispatch.settle(worker, answers, monotonic_ns()):  # it retires, and exits by itself
            self._discard(worker)
            return False
        if worker.ended and not ended:  # the zygote will tell how it died; an item may also have closed the stream
            self._selector.unregister(worker)
            worker.kill(self._zygote)
        return not worker.ended

    def _discard(self, worker: WorkerProcess, *, alone: bool = False) -> None:
        """Kill a worker and put what it held back in the queue."""
        del self.workers[worker.pid]
        self._dispatch.take_back(worker, alone=alone)
        if not worker.ended:
            self._selector.unregister(worker)
        worker.kill(self._zygote)
        worker.close()

    def _died(self, worker: WorkerProcess, how: str) -> None:
        """A worker ended by itself: the item that it was on is to blame."""
        self._receive(worker, everything=True)
        if worker.pid not in self.workers:  # it was retiring
            return
        self.lost += 1
        ticket, start, _ = worker.position()
        if ticket < 0:
            self._dispatch.blame_function(-ticket, how)
        job, index = worker.given.pop(ticket, (None, 0))
        if job is not None and not job.dropped:
            self._dispatch.blame(job, index, how, (monotonic_ns() - start) * 1e-9)
        self._dispatch.take_back(worker, alone=True, died=True)
        self._discard(worker)

    def _recruit(self, now: int) -> None:
        """Ask for the workers that are missing, starting the zygote if need be."""
        busy = sum(1 for worker in self.workers.values() if worker.given)
        self._size = max(self._size, min(self.limit, busy + self._queue.pending))
        if self._size == 0:
            return
        alive = sum(1 for worker in self.workers.values() if not worker.ended)
        if alive >= self._size + self.spares:
            while self._waiting_for_warmth:
                self._waiting_for_warmth.pop().set()
        missing = self._size + self.spares - alive - self._unborn
        if missing > 0 and now < self._retry_ns:
            self._wake_by(self._retry_ns)
        elif missing > 0 and self._start_zygote():
            for _ in range(missing):
                self._unborn += self._zygote is not None and self._zygote.tell(wire.SPAWN)

    def _start_zygote(self) -> bool:
        if self._zygote is not None:
            return True
        try:
            self._zygote = Zygote(self.memory_bytes, self.preload)
        except OSError as error:  # no process, no descriptor or no memory left
            self._zygote_failed(f"{type(error).__name__}: {error}")
            return False
        self._selector.register(self._zygote, selectors.EVENT_READ, self._on_zygote)
        return True

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
            self._selector.unregister(zygote)
            self._zygote = None
            self._unborn = 0
            zygote.close(patience=1)
            for worker in list(self.workers.values()):
                worker.kill_orphaned_group()
                self._died(worker, "the death of its parent process")
            self._zygote_failed(f"exit status {zygote.process.returncode}")

    def _born(self, zygote: Zygote, message: Message) -> None:
        self._unborn -= 1
        self._failures = 0
        if len(message.descriptors) < 2:  # this process may open no more files
            zygote.tell(wire.KILL, message.pid)
            self._retry_ns = monotonic_ns() + RETRY_FORK_NS
            return
        worker = WorkerProcess(message.pid, message.descriptors)
        self.started += 1
        self.workers[worker.pid] = worker
        self._selector.register(worker, selectors.EVENT_READ, partial(self._on_worker, worker))
        for job in self._queue.jobs:
            self._teach(worker, job)

    def _zygote_failed(self, how: str) -> None:
        self._failures += 1
        self._retry_ns = monotonic_ns() + RETRY_FORK_NS * (self._failures - 1)
        if self._failures >= ZYGOTES:
            self._fail(RunError(f"worker processes cannot be started ({how}); what they print is on standard error"))
            self._size = self._failures = 0


def _manner(status: int) -> str:
    """Put the exit status of a worker, or minus its signal, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"signal {-status}"
