"""The thread that feeds the workers and keeps their deadlines."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic_ns

from plaudit.errors import RunError
from plaudit.run import _pool_wire as wire
from plaudit.run._pool_dispatch import DEPTH_S, LOAD_LIMIT_NS, Dispatch
from plaudit.run._pool_jobs import Job
from plaudit.run._pool_outcome import Ending, Outcome
from plaudit.run._pool_process import WorkerProcess
from plaudit.run._pool_workforce import Workforce

RECALL_AFTER_NS = 3_000_000  # a worker this silent gives its waiting items to one that has none


class Supervisor:
    """All that happens to jobs and workers happens on its thread; other threads only leave commands."""

    def __init__(self, workers: int, memory_bytes: int, preload: Sequence[str]) -> None:
        self._commands: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._wake_ns: int | None = None
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._dispatch = Dispatch(workers, memory_bytes)
        self.workforce = Workforce(self._dispatch, self._selector, preload)
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
        self.workforce.abandon()

    # Commands, run on the thread

    def admit(self, job: Job) -> None:
        self._dispatch.queue.jobs.append(job)
        for worker in self.workforce.workers.values():
            self.workforce.teach(worker, job)

    def cancel(self, job: Job) -> None:
        """Drop a job whose future was cancelled, and have the workers that are on it killed."""
        job.future.set_running_or_notify_cancel()
        self._dispatch.drop(job)
        for worker in self.workforce.workers.values():
            if any(owner is job for owner, _ in worker.given.values()):
                worker.recall(monotonic_ns())  # once it surely starts nothing new, what it is on decides

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
        self._cut_short(error)
        self.workforce.close()
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
        for due in (self._check, self._take_back):
            for worker in list(self.workforce.workers.values()):
                if self.workforce.employs(worker):  # one check may end several
                    due(worker, now)
        self._feed(now)
        self._wake_by(self.workforce.recruit(now))
        if self.workforce.failure is not None:
            self._cut_short(RunError(f"no worker process can be started ({self.workforce.failure}); see standard error"))
            self.workforce.failure = None
        for worker in self.workforce.workers.values():
            self._wake_by(worker.check_ns)
            self._wake_by(worker.recall_ns)

    def _wake_by(self, moment: int | None) -> None:
        if moment is not None and (self._wake_ns is None or moment < self._wake_ns):
            self._wake_ns = moment

    def _on_wake(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)

    def _cut_short(self, error: BaseException | None) -> None:
        """End all jobs: with an error, or CANCELLED."""
        for job in list(self._dispatch.queue.jobs):
            self._dispatch.cut_short(job, Outcome(Ending.CANCELLED, detail="the pool was closed"), error)
        self.workforce.release_waiting()

    def _feed(self, now: int) -> None:
        """Give every worker enough to do, but no more workers than may run at once."""
        busy = self.workforce.busy
        idle = False
        for worker in self.workforce.workers.values():
            resting = not worker.given
            if worker.ended or worker.loading or (resting and busy >= self._dispatch.limit):
                continue
            self._dispatch.give(worker, now)
            self.workforce.watch(worker)
            busy += resting and bool(worker.given)
            idle = idle or not (worker.given or worker.loading)
        if idle and self._dispatch.queue.pending:
            self._wake_by(now)  # the items that were its share could not be pickled: give it others
        elif idle:
            self._rebalance(now)

    def _rebalance(self, now: int) -> None:
        """Recall what waits behind a slow item, because another worker has nothing to do."""
        for worker in self.workforce.workers.values():
            if len(worker.given) > 1 and worker.recall_ns is None:
                due = worker.heard_ns + RECALL_AFTER_NS
                if now >= due:
                    worker.recall(now)
                else:
                    self._wake_by(due)

    def _take_back(self, worker: WorkerProcess, now: int) -> None:
        """Share out what a recalled worker holds; kill it if the item that it is on was cancelled."""
        if worker.recall_ns is None or now < worker.recall_ns:
            return
        worker.recall_ns = None
        if not self.workforce.receive(worker):
            return
        ticket, _, _ = worker.position()
        current = worker.given.get(ticket)
        if current is None:  # between two items: it skips the others and says so
            return
        if current[0].dropped:
            self.workforce.kill(worker)
            return
        del worker.given[ticket]
        self._dispatch.take_back(worker, alone=False)
        worker.given[ticket] = current
        worker.backlog = DEPTH_S  # it gets nothing more until it answers

    def _check(self, worker: WorkerProcess, now: int) -> None:
        """Kill a worker whose item, or whose loading of a function, is over its deadline; else note when to look again."""
        if worker.check_ns is None or now < worker.check_ns:
            return
        if not self.workforce.receive(worker):
            return
        ticket, start, waited = worker.position()
        worker.check_ns = None if worker.shortest_ns is None else now + worker.shortest_ns
        if ticket < 0:
            if now - start < LOAD_LIMIT_NS:
                worker.check_by(start + LOAD_LIMIT_NS)
                return
            self.workforce.kill(worker)
            self.workforce.blame_function(-ticket, f"still loading after {LOAD_LIMIT_NS / 1e9:.0f} s")
        elif ticket in worker.given:
            limit = worker.given[ticket][0].timeout_ns
            if limit is None:
                return
            if now - start < limit:
                worker.check_by(start + limit)
                return
            self._dispatch.overran(worker, ticket, (now - start) * 1e-9, waited)
            self.workforce.kill(worker, alone=True)
