"""One submitted call (a job), how its function and items are pickled, and the fair queue of jobs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any

import cloudpickle

from plaudit.run import _pool_wire as wire
from plaudit.run._pool_outcome import Answer, Ending, Outcome

MAX_CHUNK = 4096
SEARCHED_BYTES = 1 << 20

_by_value_lock = threading.Lock()


class JobFuture(Future[list[Outcome]]):
    """The future of a job; cancel() works until the last item has ended, and kills the workers on the job's items."""

    pool: object = None  # keeps the pool alive while somebody waits

    def result(self, timeout: float | None = None) -> list[Outcome]:
        """Wait for the outcomes, in the order of the items; an interrupted wait cancels the job."""
        try:
            return super().result(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise


class Job:
    """A function, its items, and how far they are."""

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any], timeout: float | None) -> None:
        self.call = function
        self.items = list(items)
        self.timeout_ns = None if timeout is None else max(1, int(timeout * 1e9))
        self.future = JobFuture()
        self.by_value: set[str] = set()
        self.function, self.frame = pickled_function(function, self.by_value)
        self.results: list[Outcome | None] = [None] * len(self.items)
        self.answers: list[tuple[int, Answer]] = []  # not handed to the delivering thread yet
        self.remaining = len(self.items)
        self.dropped = False  # cancelled, or ended as a whole: its items are of no interest any more
        self.fresh = 0  # items from here on were never dispatched
        self.again: deque[int] = deque()  # came back through no fault of theirs
        self.alone: deque[int] = deque()  # were on a worker that died: each runs with nothing else on its worker
        self.deaths: dict[int, int] = {}  # of workers on that item
        self.comebacks: dict[int, int] = {}  # from workers that died, or could not load it
        self.load_deaths = 0  # of workers that were loading the function
        self.seconds: float | None = None  # per item, measured

    @property
    def waiting(self) -> int:
        """How many items may be sent in one chunk with others."""
        return len(self.items) - self.fresh + len(self.again)

    @property
    def pending(self) -> int:
        return self.waiting + len(self.alone)

    def next_index(self) -> int:
        if self.again:
            return self.again.popleft()
        self.fresh += 1
        return self.fresh - 1

    def dump_item(self, index: int) -> bytes:
        """Pickle one item; raises whatever its type raises."""
        return pickled(self.items[index], self.by_value)

    def measured(self, seconds: float, count: int) -> None:
        mean = seconds / count
        self.seconds = mean if self.seconds is None else (self.seconds + mean) / 2

    def send_by_value(self, module: str) -> None:
        """Pickle all that comes from a module by value from now on, because workers cannot import it."""
        if module not in self.by_value:
            self.by_value.add(module)
            self.function, self.frame = pickled_function(self.call, self.by_value)

    def unpickle(self, answers: list[tuple[int, Answer]]) -> None:
        """Turn answers into outcomes; on the delivering thread."""
        for index, answer in answers:
            self.results[index] = answer.outcome()

    def deliver(self, absent: Outcome | None = None, error: BaseException | None = None) -> None:
        """Resolve the future, with `absent` for items that did not end; on the delivering thread."""
        self.items.clear()
        self.frame = b""
        absent = absent or Outcome(Ending.LOST, detail="its answer could not be read")
        outcomes = [result or absent for result in self.results]
        with contextlib.suppress(InvalidStateError):  # cancelled a moment ago
            if error is None:
                self.future.set_result(outcomes)
            else:
                self.future.set_exception(error)


class JobQueue:
    """The jobs that are not finished, served in turn so that a small one does not wait for a large one."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()

    @property
    def pending(self) -> int:
        return sum(job.pending for job in self.jobs)

    def suspect(self) -> tuple[Job, int] | None:
        """Take the next item that must run alone."""
        for job in self.jobs:
            if job.alone:
                return job, job.alone.popleft()
        return None

    @property
    def has_suspects(self) -> bool:
        return any(job.alone for job in self.jobs)

    def next_job(self, room: float, idle: bool, workers: int) -> tuple[Job, int] | None:
        """Choose whose turn it is and how many items: about `room` seconds of work, fewer when little is left.

        A job whose pace is unknown gets one item per idle worker.
        """
        for _ in range(len(self.jobs)):
            job = self.jobs[0]
            self.jobs.rotate(-1)
            if not job.waiting or (job.seconds is None and not idle):
                continue
            if job.seconds is None:
                return job, 1
            finished = len(job.items) - job.remaining
            fair = -(-job.waiting // (2 * workers))
            return job, max(1, min(int(room / max(job.seconds, 1e-7)), fair, 2 * finished, MAX_CHUNK))
        return None


def pickled(value: Any, by_value: set[str]) -> bytes:
    """Pickle by reference where a worker can import the type, else by value."""
    if not by_value:
        try:
            blob = pickle.dumps(value, 5)
        except Exception:  # cloudpickle knows more types, and its error is the better one
            blob = None
        if blob is not None and b"__main__" not in blob:  # the worker's __main__ is not ours
            return blob
    with _modules_by_value(by_value):
        data: bytes = cloudpickle.dumps(value, 5)
        return data


def pickled_function(function: Callable[[Any], Any], by_value: set[str]) -> tuple[int, bytes]:
    """Return (function id, frame for the worker); the id is a digest, so the same call is sent to a worker only once."""
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = None
    path = [entry for entry in sys.path if isinstance(entry, str)]
    body = pickle.dumps((cwd, path, pickled(function, by_value)), 5)
    digest = int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big")
    function_id = (digest >> 1) or 1  # positive in a signed word
    return function_id, wire.FRAME.pack(wire.FUNCTION, function_id, len(body)) + body


def modules_named(frame: bytes) -> list[str]:
    """Modules of plaudit that a pickled function refers to."""
    names = {name.decode() for name in re.findall(rb"plaudit(?:\.\w+)+", frame[:SEARCHED_BYTES])}
    return sorted(names & sys.modules.keys())


@contextlib.contextmanager
def _modules_by_value(names: set[str]) -> Iterator[None]:
    with _by_value_lock:
        known = cloudpickle.list_registry_pickle_by_value()
        modules = [sys.modules[name] for name in names if name in sys.modules and name not in known]
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)
