"""The pool of warm processes: one run at a time in each, as many at once as there are processors."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from plaudit.errors import SpecError
from plaudit.run.sandbox._request import MIB, TIMEOUT, End, Limits, Outcome, Program, Reply, Session
from plaudit.run.sandbox._start import Isolation, SandboxError, start
from plaudit.run.sandbox.inside.values import encode

__all__ = ["Sandbox", "SandboxError"]

_GRACE = 5.0
"""Seconds beyond a run's own limit after which the warm process itself is given up."""

_Side = Literal["program", "tests"]


class _Warm:
    """One warm process."""

    def __init__(self, isolation: Isolation, binds: tuple[str, ...]) -> None:
        self._process, self._control = start(isolation, binds)
        self._control.settimeout(30.0)
        try:
            self._receive()
        except BaseException:
            self.close()
            raise
        _WARM.add(self)

    def begin(self, job: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Start a run; `end` waits for it."""
        with _memory("job") as written:
            _write(written, json.dumps(job).encode())
            try:
                # Only the forked process reads the job: what the warm one had read, later programs would find in its memory.
                socket.send_fds(self._control, [b"run %r" % float(job["limits"]["wall"])], [written, *descriptors])
            except OSError as error:
                raise SandboxError(f"the sandbox's process is gone: {error}") from error

    def alive(self) -> bool:
        """Whether it waits for a run: one that has ended, or says something unasked, can be read from."""
        ready = select.poll()
        ready.register(self._control, select.POLLIN)
        return not ready.poll(0)

    def disown(self) -> None:
        """In a forked child: the process is the parent's, and must not outlive it for a copy of the socket."""
        self._control.close()

    def stop(self) -> None:
        """End the run that was begun now."""
        try:
            self._control.send(b"stop")
        except OSError as error:
            raise SandboxError(f"the sandbox's process is gone: {error}") from error

    def end(self, seconds: float) -> dict[str, Any]:
        """The answer to the run that was begun; waits that long and the grace period."""
        self._control.settimeout(seconds + _GRACE)
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        try:
            data = self._control.recv(1 << 16)
        except OSError as error:
            raise SandboxError(f"the sandbox's process does not answer: {error}") from error
        if not data:
            raise SandboxError("the sandbox's process ended")
        answer: dict[str, Any] = json.loads(data)
        return answer

    def close(self) -> None:
        """End it and everything inside."""
        self._control.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)


_WARM: weakref.WeakSet[_Warm] = weakref.WeakSet()


class Sandbox:
    """Runs untrusted programs; safe to share between threads, and a forked child starts processes of its own.

    Args:
        workers: runs at the same time; None = one for each processor.
        isolation: what stands between the program and this machine; a weaker one than asked for is never used.
        binds: further folders that programs may read, at their own paths.

    Raises SpecError for folders under /tmp, SandboxError at the first use where the isolation is not to be had.

    >>> from plaudit.run.sandbox import Limits, Program, isolation_available
    >>> with Sandbox(workers=1, isolation="process") as sandbox:
    ...     sandbox.run(Program("print(int(input()) + 1)"), b"41", Limits(wall=5)).stdout
    b'42\\n'
    """

    def __init__(self, workers: int | None = None, isolation: Isolation = "bubblewrap", binds: Sequence[str] = ()) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self.isolation: Isolation = isolation
        self._binds = tuple(binds)
        for folder in self._binds:
            if os.path.realpath(folder).split("/")[1] == "tmp":
                raise SpecError(
                    f"the sandbox's binds hold {folder}: every run has a /tmp of its own that hides it; use another place"
                )
        self._start_over()
        _SANDBOXES.add(self)

    def _start_over(self) -> None:
        self._idle: dict[_Side, list[_Warm]] = {"program": [], "tests": []}
        self._lock = threading.Lock()
        self._places = {side: threading.BoundedSemaphore(self.workers) for side in self._idle}
        self._finalizer = weakref.finalize(self, _close_all, self._idle, self._lock)

    def _forget(self) -> None:
        self._finalizer.detach()
        self._start_over()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all warm processes; the next run starts new ones."""
        _close_all(self._idle, self._lock)

    def run(self, program: Program, stdin: bytes = b"", limits: Limits | None = None) -> Outcome:
        """Run a program once with an input, in a namespace of its own."""
        limits = limits or Limits()
        if program.command is None:
            job = {"role": "script", "source": program.source, "argv": list(program.argv), "recursion": program.recursion}
        else:
            job = {"role": "command", "command": list(program.command), "environment": {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}}
            job |= {"source": program.source, "file": program.file, "recursion": program.recursion}
        with _streams(stdin) as streams, self._warm("program") as warm:
            warm.begin({**job, "limits": limits.to_job()}, streams)
            return _outcome(warm.end(limits.wall), streams, limits)

    def call(
        self,
        program: Program,
        calls: Sequence[tuple[str, Sequence[Any]]],
        limits: Limits | None = None,
        each: float | None = None,
    ) -> tuple[list[Reply], Outcome]:
        """Load a program once and call its functions in turn.

        Args:
            program: Python source; what stands under ``if __name__ == "__main__"`` is not run.
            calls: function names (``Solution.NAME`` = a method of a new Solution) with arguments that are plain data.
            limits: of all calls together.
            each: seconds for one call, and for loading the program; None = only the limit of all.

        Returns the reply to loading the program and then one for each call that was answered or timed out; behind a program that
        ended or took too long there are none. The values are plain data of exact types; what they should be is for the caller to
        compare.
        """
        limits = limits or Limits()
        ours, theirs = socket.socketpair()
        job = {"role": "served", "source": program.source, "recursion": program.recursion, "limits": limits.to_job()}
        replies: list[Reply] = []
        with ours, theirs, _streams(b"") as streams, self._warm("program") as warm:
            warm.begin(job, [*streams, theirs.fileno()])
            theirs.close()  # or a program that ended would not be noticed
            session, deadline = Session(ours), time.monotonic() + limits.wall
            try:
                replies.append(session.read(_sooner(deadline, each)))
                for name, arguments in calls if replies[0].error is None else ():
                    by = _sooner(deadline, each)
                    ours.settimeout(max(0.001, by - time.monotonic()))
                    ours.sendall(encode((None, name, list(arguments), {})).encode() + b"\n")
                    replies.append(session.read(by))
            except TimeoutError:
                replies.append(Reply(None, TIMEOUT))
            except (EOFError, OSError):
                pass  # it ended; the outcome says how
            warm.stop()
            return replies, _outcome(warm.end(limits.wall), streams, limits)

    def test(
        self, program: Program, tests: Mapping[str, Any], limits: Limits | None = None
    ) -> tuple[list[list[Any]], Outcome, Outcome]:
        """Run tests in one sandbox against a program in another; the program never holds what is expected of it.

        tests: source `tests` that calls the function named `record` with a number and a claim, source `setup` that is run before,
        `names` of the program that the tests may call, `entry_point` (also bound to ``candidate``), `early_stop`.

        Returns the reports ``[number, passed, text]`` of the tests' side, and how the program and the tests ended.
        """
        limits = limits or Limits()
        left, right = socket.socketpair()
        served = {"role": "served", "source": program.source, "recursion": program.recursion, "limits": limits.to_job()}
        judged = {"role": "tests", "recursion": 2_000, "limits": limits.to_job(), **tests}
        with (
            left, right, _streams(b"") as streams, _streams(b"") as notes, _memory("verdicts") as verdicts,
            self._warm("tests") as judge, self._warm("program") as warm,
        ):  # fmt: skip
            warm.begin(served, [*streams, right.fileno()])
            judge.begin(judged, [*notes, left.fileno(), verdicts])
            left.close()  # or neither side would notice the other's end
            right.close()
            tested = _outcome(judge.end(limits.wall), notes, limits)
            warm.stop()
            outcome = _outcome(warm.end(limits.wall), streams, limits)
            return _reports(_content(verdicts, 4 * MIB)), outcome, tested

    @contextlib.contextmanager
    def _warm(self, side: _Side) -> Iterator[_Warm]:
        with self._places[side]:
            warm = self._idle_one(side) or _Warm(self.isolation, self._binds)
            try:
                yield warm
            except BaseException:
                # Nothing is known of a process whose answer was not awaited.
                warm.close()
                raise
            with self._lock:
                self._idle[side].append(warm)

    def _idle_one(self, side: _Side) -> _Warm | None:
        while True:
            with self._lock:
                warm = self._idle[side].pop() if self._idle[side] else None
            if warm is None or warm.alive():
                return warm
            warm.close()  # something killed it while it was idle


_SANDBOXES: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _forget_all() -> None:
    """In a forked child: two processes that talk to one sandbox would get each other's answers."""
    for warm in list(_WARM):
        warm.disown()
    for sandbox in list(_SANDBOXES):
        sandbox._forget()


if sys.platform == "linux":
    os.register_at_fork(after_in_child=_forget_all)


def _close_all(idle: dict[_Side, list[_Warm]], lock: threading.Lock) -> None:
    with lock:
        every = [warm for warms in idle.values() for warm in warms]
        for warms in idle.values():
            warms.clear()
    for warm in every:
        warm.close()


@contextlib.contextmanager
def _memory(name: str) -> Iterator[int]:
    descriptor = os.memfd_create(name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _streams(stdin: bytes) -> Iterator[list[int]]:
    """Files in memory for the three standard streams: no pipe that a stray process could hold open."""
    with _memory("stdin") as given, _memory("stdout") as out, _memory("stderr") as err:
        _write(given, stdin)
        yield [given, out, err]


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)


def _content(descriptor: int, limit: int) -> bytes:
    parts, at = [], 0
    while at < limit and (part := os.pread(descriptor, min(limit - at, 1 << 20), at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _outcome(answer: Mapping[str, Any], streams: Sequence[int], limits: Limits) -> Outcome:
    cap = limits.output * MIB
    stdout, stderr = _content(streams[1], cap), _content(streams[2], min(cap, MIB))
    code = int(answer["code"])
    end: End = "exit" if code >= 0 or answer["stopped"] else "signal"
    killed = code == -9 and not answer["stopped"]
    if answer["late"]:
        # Only the first thread's waiting is known: one that waits for the program's own other threads is not starved.
        end = "starved" if answer["waited"] > answer["seconds"] / 2 > answer["cpu"] else "timeout"
    elif killed and answer["cpu"] > limits.processor_seconds - 0.5:
        end = "timeout"
    elif len(stdout) >= cap or os.fstat(streams[2]).st_size >= cap or code == -25:  # SIGXFSZ
        end = "output"
    elif killed or (code != 0 and not answer["stopped"] and b"MemoryError" in stderr[-2000:]):
        end = "memory"
    return Outcome(end, code, stdout, stderr, answer["seconds"], answer["cpu"], answer["memory"], answer["waited"])


def _sooner(deadline: float, seconds: float | None) -> float:
    return deadline if seconds is None else min(deadline, time.monotonic() + seconds)


def _reports(text: bytes) -> list[list[Any]]:
    """The complete lines of the tests' report."""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]
