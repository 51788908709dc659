"""What can be asked of the sandbox, and what comes back."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from plaudit.run.sandbox.inside.values import Undecodable, decode

MIB = 1 << 20

TIMEOUT = "out of time"
"""Error of the reply that did not come in time."""

End = Literal["exit", "timeout", "memory", "output", "signal", "starved"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

    Fields:
        wall: seconds from its start to its kill.
        cpu: whole seconds of processor time, all threads together; None = `wall`, rounded up, and one more.
        memory: MiB of address space of each process.
        disk: MiB that it may write into its own /tmp, which is gone afterwards.
        output: MiB of any one file and of each output stream.
        threads: threads and processes together.
        files: open files.
        processes: whether it may start other programs; otherwise fork and execute are refused.
    """

    wall: float = 6.0
    cpu: int | None = None
    memory: int = 512
    disk: int = 16
    output: int = 4
    threads: int = 64
    files: int = 64
    processes: bool = False

    @property
    def processor_seconds(self) -> int:
        """`cpu`, or what stands for None."""
        return self.cpu or math.ceil(self.wall) + 1

    def to_job(self) -> dict[str, Any]:
        """As the inside takes them, in bytes."""
        row = asdict(self)
        row.update(
            memory=self.memory * MIB,
            disk=self.disk * MIB,
            file=self.output * MIB,
            cpu=self.processor_seconds,
        )
        return row


@dataclass(frozen=True, slots=True)
class Program:
    """An untrusted program.

    Fields:
        source: Python source; or, with a command, what stands in `file`.
        command: None = Python in the warm process; else arguments that start with an absolute path inside the sandbox, started in
            /tmp. The limits must allow processes.
        file: name of the source's file in /tmp.
        argv: arguments of a Python program.
        recursion: Python's recursion limit.
    """

    source: str
    command: Sequence[str] | None = None
    file: str = "solution"
    argv: Sequence[str] = ()
    recursion: int = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Fields:
        end: "exit" = by itself; "timeout", "memory", "output" = at a limit; "signal" = it crashed or was killed; "starved" = it
            waited for a processor for over half of its time, so its lateness says nothing about it.
        code: exit code; negative = the signal's number. An exit code proves nothing about correctness.
        stdout, stderr: what it wrote, cut at the limit.
        seconds, cpu: wall and processor seconds.
        waited: seconds in which it could have run and no processor was free.
        memory: bytes at most in memory.
    """

    end: End
    code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    cpu: float
    memory: int
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one call: `error` is None when it returned."""

    value: Any
    error: str | None


class Session:
    """The replies of a loaded program."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._read = bytearray()

    def read(self, deadline: float) -> Reply:
        """The next reply. Raises TimeoutError at the deadline (monotonic seconds), EOFError when the program ended."""
        end = self._read.find(b"\n")
        while end < 0:
            # The whole line has one deadline: a program may send a byte now and then.
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._channel.recv(1 << 16)
            if not part or len(self._read) > 4 * MIB:
                raise EOFError("the program ended")
            if time.monotonic() > deadline:
                raise TimeoutError
            at = len(self._read)
            self._read += part
            end = self._read.find(b"\n", at)
        line = bytes(self._read[: end + 1])
        del self._read[: end + 1]
        if line == b'["ready"]\n':
            return Reply(None, None)
        return parse_reply(line)


def parse_reply(line: bytes) -> Reply:
    """One line of a program's channel; what cannot be read is an error of the program."""
    for kind in (b"value", b"error"):
        head = b'["' + kind + b'", '
        if line.startswith(head) and line.endswith(b"]\n"):
            try:
                body = decode(line[len(head) : -2])
            except Undecodable as error:
                return Reply(None, f"unreadable reply: {error}")
            if kind == b"error":
                return Reply(None, ": ".join(map(str, body)) if isinstance(body, list) else "error")
            if isinstance(body, list) and len(body) == 2:
                return Reply(body[0], None)
    return Reply(None, "the program wrote something else on its channel")
