"""Which worker gets which items, and what their answers mean."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from time import monotonic_ns

from plaudit.run import _pool_wire as wire
from plaudit.run._pool_jobs import Job, JobQueue
from plaudit.run._pool_outcome import Answer, Ending, Outcome
from plaudit.run._pool_process import WorkerProcess

DEPTH_S = 0.02  # seconds of work that a worker holds, so that it never waits for the host
CHUNK_BYTES = 1 << 20
LOAD_LIMIT_NS = 120_000_000_000  # to import what a function needs; not counted against any item
PICKLE_NS = 2_000_000  # the longest that items are pickled before somebody looks at the deadlines again
BATCH = 256  # answers that are unpickled in one go
DEATHS = 2  # of its worker while it ran: the item is LOST
COMEBACKS = 5  # of an item from workers that died around it, or that could not load it


class Dispatch:
    """Moves items between the queue, the workers and the delivery; lives on the supervisor's thread."""

    def __init__(self, workers: int, memory_bytes: int) -> None:
        self.limit = workers
        self.memory_bytes = memory_bytes
        self.queue = JobQueue()
        self.delivery = Delivery()

    def give(self, worker: WorkerProcess, now: int) -> None:
        """Send a worker what it should do next, unless it has enough."""
        idle = not worker.given
        if idle and (suspect := self.queue.suspect()):
            job, index = suspect
            if job.function not in worker.functions:
                job.alone.appendleft(index)
                worker.learn(job, now + LOAD_LIMIT_NS)
                return
            self._send(worker, job, self._pickled(job, index), now)
            worker.alone = bool(worker.given)
        elif not worker.alone and worker.backlog <= DEPTH_S / 2 and not self.queue.has_suspects:
            turn = self.queue.next_job(DEPTH_S - worker.backlog, idle, self.limit)
            if turn is None:
                return
            job, count = turn
            if job.function in worker.functions:
                self._send(worker, job, self._next_items(job, count), now)
            else:
                worker.learn(job, now + LOAD_LIMIT_NS)

    def _next_items(self, job: Job, count: int) -> list[tuple[int, bytes]]:
        items: list[tuple[int, bytes]] = []
        size = 0
        begun = monotonic_ns()
        for _ in range(min(count, job.waiting)):
            found = self._pickled(job, job.next_index())
            items += found
            size += sum(len(payload) for _, payload in found)
            if size > CHUNK_BYTES or monotonic_ns() - begun > PICKLE_NS:
                break
        return items

    def _pickled(self, job: Job, index: int) -> list[tuple[int, bytes]]:
        """Return [(index, pickled item)], or [] when the item ends here: it cannot be pickled, or it cannot fit."""
        try:
            payload = job.dump_item(index)
        except BaseException as error:  # user code runs here: a __getstate__
            detail = f"item {index} cannot be pickled: {error}"
            self.end(job, index, Outcome(Ending.RAISED, error=error.with_traceback(None), detail=detail))
            return []
        if len(payload) > self.memory_bytes // 2:
            detail = f"item {index} takes {len(payload) / 1e6:.0f} MB pickled, more than half of a worker's memory"
            self.end(job, index, Outcome(Ending.OUT_OF_MEMORY, detail=detail))
            return []
        return [(index, payload)]

    def _send(self, worker: WorkerProcess, job: Job, items: list[tuple[int, bytes]], now: int) -> None:
        if not items:
            return
        if not worker.given:
            worker.heard_ns = now
        if job.timeout_ns is not None:
            worker.shortest_ns = min(worker.shortest_ns or job.timeout_ns, job.timeout_ns)
        worker.check_by(now + (worker.shortest_ns or LOAD_LIMIT_NS))
        worker.backlog += len(items) * (job.seconds or 0.0)
        worker.give(job, items)

    def settle(self, worker: WorkerProcess, answers: list[tuple[int, float, Answer]], now: int) -> bool:
        """Take a worker's answers; False when it says that it is retiring."""
        if not answers:
            return True
        held = len(worker.given)
        paces: dict[Job, tuple[float, int]] = {}
        stays = True
        for ticket, waited, answer in answers:
            stays = stays and answer.code != wire.RETIRING
            if answer.code == wire.LOADED:
                worker.loading.pop(ticket, None)
                continue
            job, index = worker.given.pop(ticket, (None, 0))
            if job is not None and not job.dropped:
                self._settle(job, index, waited, answer)
                if answer.code in (wire.DONE, wire.RAISED):
                    seconds, count = paces.get(job, (0.0, 0))
                    paces[job] = seconds + answer.seconds, count + 1
        for job, (seconds, count) in paces.items():
            job.measured(seconds, count)
        worker.heard_ns = now
        worker.backlog *= len(worker.given) / max(held, 1)
        if not worker.given:
            worker.rest()
            if worker.loading:
                worker.check_by(now + LOAD_LIMIT_NS)
        return stays

    def _settle(self, job: Job, index: int, waited: float, answer: Answer) -> None:
        if answer.code == wire.SKIPPED or (answer.code == wire.UNLOADABLE and self._sent_by_value(job, index, answer)):
            job.again.append(index)
        elif _late(job, answer) and not _starved(job, waited * 1e9):
            # The worker ended before anybody looked; whether a host is busy must not decide what an answer is worth.
            self.end(job, index, Outcome(Ending.OVERRAN, detail=_took(answer.seconds), seconds=answer.seconds))
        else:
            job.answers.append((index, answer))
            job.remaining -= 1
            self._deliver(job)

    def _sent_by_value(self, job: Job, index: int, answer: Answer) -> bool:
        """Try again with a module's contents pickled by value, if the worker lacks a module that this process has."""
        missing = answer.missing_module()
        job.comebacks[index] = tries = job.comebacks.get(index, 0) + 1
        if missing not in sys.modules or tries > COMEBACKS:
            return False
        try:
            job.send_by_value(missing)
        except Exception:  # the first error, the missing module, says more than that its source cannot be pickled
            return False
        return True

    def overran(self, worker: WorkerProcess, ticket: int, seconds: float, waited: int) -> None:
        """End the item whose deadline passed: STARVED if the machine kept its worker from running.

        `waited` is how many nanoseconds the worker had waited for a CPU when the item began.
        """
        job, index = worker.given.pop(ticket)
        wait_ns = worker.cpu_wait_ns() - waited
        if _starved(job, wait_ns):
            detail = f"waited {wait_ns * 1e-9:.2f} s for a CPU; {_took(seconds)}"
            self.end(job, index, Outcome(Ending.STARVED, detail=detail, seconds=seconds))
        else:
            self.end(job, index, Outcome(Ending.OVERRAN, detail=_took(seconds), seconds=seconds))

    def blame(self, worker: WorkerProcess, ticket: int, how: str, seconds: float) -> None:
        """Record that a worker died on an item: it runs once more alone, then it is LOST."""
        job, index = worker.given.pop(ticket)
        if job.dropped:
            return
        job.deaths[index] = deaths = job.deaths.get(index, 0) + 1
        if deaths >= DEATHS:
            detail = f"its worker died {DEATHS} times on it, the last time by {how}"
            self.end(job, index, Outcome(Ending.LOST, detail=detail, seconds=seconds))
        else:
            job.alone.append(index)

    def blame_function(self, function: int, how: str) -> bool:
        """Record that a worker died or hung while it loaded a function; True when its jobs are LOST, after two such deaths."""
        blamed = [job for job in self.queue.jobs if job.function == function]
        for job in blamed:
            job.load_deaths += 1
            if job.load_deaths >= DEATHS:
                self.cut_short(job, Outcome(Ending.LOST, detail=f"workers die loading the function, the last time by {how}"))
        return all(job.dropped for job in blamed)

    def take_back(self, worker: WorkerProcess, *, alone: bool, died: bool = False) -> None:
        """Put all that a worker was given back in the queue."""
        for job, index in worker.given.values():
            if job.dropped:
                continue
            if died:  # bounds what an item can do that kills its worker only after it ended
                job.comebacks[index] = job.comebacks.get(index, 0) + 1
            if job.comebacks.get(index, 0) > COMEBACKS:
                self.end(job, index, Outcome(Ending.LOST, detail=f"its worker died {COMEBACKS} times while it waited its turn"))
            else:
                (job.alone if alone else job.again).append(index)
        worker.given.clear()

    def end(self, job: Job, index: int, outcome: Outcome) -> None:
        if not job.dropped:
            job.results[index] = outcome
            job.remaining -= 1
            self._deliver(job)

    def drop(self, job: Job) -> None:
        """Forget a job and what becomes of its items."""
        job.dropped = True
        if job in self.queue.jobs:
            self.queue.jobs.remove(job)

    def cut_short(self, job: Job, absent: Outcome, error: BaseException | None = None) -> None:
        """Resolve a job now: with an error, or with the outcomes that there are and `absent` for the others."""
        self.drop(job)
        self.delivery.put(partial(job.unpickle, job.answers))
        self.delivery.put(partial(job.deliver, absent, error))

    def _deliver(self, job: Job) -> None:
        if job.remaining == 0 or len(job.answers) >= BATCH:
            answers, job.answers = job.answers, []
            self.delivery.put(partial(job.unpickle, answers))
        if job.remaining == 0:
            self.queue.jobs.remove(job)
            self.delivery.put(job.deliver)


class Delivery:
    """The thread that unpickles answers and resolves futures: both run user code, which must not delay a deadline."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="plaudit-cpu-pool-delivery", daemon=True)
        self.thread.start()

    def put(self, task: Callable[[], None] | None) -> None:
        """Queue a task; None ends the thread."""
        self._queue.put(task)

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except BaseException:  # a callback of the user's raised SystemExit or the like: other jobs wait behind it
                traceback.print_exc()
            del task  # it holds a job, whose future holds the pool


def _late(job: Job, answer: Answer) -> bool:
    timed = answer.code in (wire.DONE, wire.RAISED)
    return timed and job.timeout_ns is not None and answer.seconds * 1e9 > job.timeout_ns


def _starved(job: Job, wait_ns: float) -> bool:
    return job.timeout_ns is not None and 2 * wait_ns > job.timeout_ns


def _took(seconds: float) -> str:
    return f"stopped after {seconds:.3f} s"
