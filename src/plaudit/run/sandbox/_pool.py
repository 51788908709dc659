"""The pool of warm processes: one run at a time in each, as many at once as there are processors."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from plaudit.run.sandbox._request import MIB, End, Limits, Outcome, Program, Reply, Session
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
        self._receive()

    def begin(self, job: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Start a run; `end` waits for it."""
        with _memory("job") as written:
            _write(written, json.dumps(job).encode())
            try:
                socket.send_fds(self._control, [b"run"], [written, *descriptors])
            except OSError as error:
                raise SandboxError(f"the sandbox's process is gone: {error}") from error

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


class Sandbox:
    """Runs untrusted programs; safe to share between threads.

    Args:
        workers: runs at the same time; None = one for each processor.
        isolation: what stands between the program and this machine; a weaker one than asked for is never used.
        binds: further folders that programs may read, at their own paths.

    Raises SandboxError at the first use where the isolation is not to be had.

    >>> from plaudit.run.sandbox import Limits, Program, isolation_available
    >>> with Sandbox(workers=1, isolation="process") as sandbox:
    ...     sandbox.run(Program("print(int(input()) + 1)"), b"41", Limits(wall=5)).stdout
    b'42\\n'
    """

    def __init__(self, workers: int | None = None, isolation: Isolation = "bubblewrap", binds: Sequence[str] = ()) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self.isolation: Isolation = isolation
        self._binds = tuple(binds)
        self._idle: dict[_Side, list[_Warm]] = {"program": [], "tests": []}
        self._lock = threading.Lock()
        self._places = {side: threading.BoundedSemaphore(self.workers) for side in self._idle}
        self._finalizer = weakref.finalize(self, _close_all, self._idle, self._lock)

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
            each: seconds for one call; None = only the limit of all.

        Returns one reply for each call that was answered or timed out; behind a program that ended or a call that took too long
        there are none. The values are plain data of exact types; what they should be is for the caller to compare.
        """
        limits = limits or Limits()
        ours, theirs = socket.socketpair()
        job = {"role": "served", "source": program.source, "recursion": program.recursion, "limits": limits.to_job()}
        replies: list[Reply] = []
        with ours, _streams(b"") as streams, self._warm("program") as warm:
            with theirs:
                warm.begin(job, [*streams, theirs.fileno()])
            session, deadline = Session(ours), time.monotonic() + limits.wall
            with contextlib.suppress(EOFError, OSError):
                _timed(ours, deadline)
                loaded = session.read()
                if loaded.error is not None:
                    replies.append(loaded)
                for name, arguments in calls if loaded.error is None else ():
                    ours.sendall(encode((None, name, list(arguments), {})).encode() + b"\n")
                    _timed(ours, min(deadline, time.monotonic() + each) if each is not None else deadline)
                    try:
                        replies.append(session.read())
                    except TimeoutError:
                        replies.append(Reply(None, "timeout"))
                        break
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
            _streams(b"") as streams, _streams(b"") as notes, _memory("verdicts") as verdicts,
            self._warm("tests") as judge, self._warm("program") as warm,
        ):  # fmt: skip
            with left, right:
                warm.begin(served, [*streams, right.fileno()])
                judge.begin(judged, [*notes, left.fileno(), verdicts])
            tested = _outcome(judge.end(limits.wall), notes, limits)
            warm.stop()
            outcome = _outcome(warm.end(limits.wall), streams, limits)
            return _reports(_content(verdicts, 4 * MIB)), outcome, tested

    @contextlib.contextmanager
    def _warm(self, side: _Side) -> Iterator[_Warm]:
        with self._places[side]:
            with self._lock:
                warm = self._idle[side].pop() if self._idle[side] else None
            warm = warm or _Warm(self.isolation, self._binds)
            try:
                yield warm
            except BaseException:
                # Nothing is known of a process whose answer was not awaited.
                warm.close()
                raise
            with self._lock:
                self._idle[side].append(warm)


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
    if answer["late"] or code == -24:  # SIGXCPU
        end = "starved" if answer["waited"] > answer["seconds"] / 2 else "timeout"
    elif len(stdout) >= cap or os.fstat(streams[2]).st_size >= cap or code == -25:  # SIGXFSZ
        end = "output"
    elif code != 0 and not answer["stopped"] and (b"MemoryError" in stderr[-2000:] or code == -9):
        end = "memory"
    return Outcome(end, code, stdout, stderr, answer["seconds"], answer["cpu"], answer["memory"])


def _timed(channel: socket.socket, deadline: float) -> None:
    channel.settimeout(max(0.001, deadline - time.monotonic()))


def _reports(text: bytes) -> list[list[Any]]:
    """The complete lines of the tests' report."""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]
