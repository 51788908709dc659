"""The host's hold on the other processes: one zygote, many workers."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaudit.run import _pool_wire as wire
from plaudit.run._pool_outcome import Answer

if TYPE_CHECKING:
    from plaudit.run._pool_jobs import Job

RECEIVE_BYTES = 256 << 10
JOIN_BYTES = 1 << 20
RECALL_SEEN_NS = 1_000_000  # long enough for a word in shared memory to reach another core
KNOWN_FUNCTIONS = 8  # that a worker keeps
BOOT = (
    "import sys, json; fd = int(sys.argv[1]); config = json.loads(sys.argv[2]); del sys.argv[1:]; "
    "sys.path[:] = config['path']; from plaudit.run._zygote import serve; serve(fd, config)"
)
# A worker is one core's worth of the machine; a numerical library that starts a thread per core would starve the others.
ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")


class WorkerProcess:
    """One worker: its stream, its slot in shared memory, and what it was given."""

    def __init__(self, pid: int, descriptors: Sequence[int]) -> None:
        stream, slot, *pidfd = descriptors
        self.pid = pid
        self.stream = socket.socket(fileno=stream)
        self.stream.setblocking(False)
        self.pidfd = pidfd[0] if pidfd else None
        self.map = mmap.mmap(slot, wire.SLOT_BYTES)
        os.close(slot)
        self.slot = memoryview(self.map).cast("q")
        self.given: dict[int, tuple[Job, int]] = {}  # ticket -> item
        self.functions: dict[int, None] = {}
        self.next_ticket = 1
        self.backlog = 0.0  # seconds of work, estimated
        self.alone = False  # its only item must have no company
        self.shortest_ns: int | None = None  # shortest deadline among what it was given
        self.check_ns: int | None = None  # when to look at its slot next
        self.recall_ns: int | None = None  # when a recall has certainly been seen
        self.heard_ns = 0
        self.ended = False  # its stream is closed
        self.writing = False  # the selector waits for room in its stream
        self._received = bytearray()
        self._unsent: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self.stream.fileno()

    def position(self) -> tuple[int, int, int]:
        """Return (ticket, start ns, CPU wait ns at start); ticket 0 = between items, negative = loading that function."""
        while True:
            ticket, start, waited = self.slot[wire.TICKET], self.slot[wire.START_NS], self.slot[wire.WAITED_NS]
            if self.slot[wire.TICKET] == ticket:
                return ticket, start, waited

    def recall(self, now: int) -> None:
        """Have the worker skip all that it has not started."""
        self.slot[wire.RECALLED] = self.next_ticket - 1
        self.recall_ns = now + RECALL_SEEN_NS

    def check_by(self, moment: int) -> None:
        self.check_ns = moment if self.check_ns is None else min(self.check_ns, moment)

    def rest(self) -> None:
        """Forget what concerned the items that it had."""
        self.backlog = 0.0
        self.alone = False
        self.shortest_ns = self.check_ns = self.recall_ns = None

    def learn(self, job: Job) -> None:
        """Send a function unless the worker has it."""
        if job.function in self.functions:
            return
        if len(self.functions) >= KNOWN_FUNCTIONS:
            oldest = next(iter(self.functions))
            del self.functions[oldest]
            self.send(wire.FRAME.pack(wire.FORGET, oldest, 0))
        self.functions[job.function] = None
        self.send(job.frame)

    def give(self, job: Job, items: list[tuple[int, bytes]]) -> None:
        """Send items, as (index, pickled)."""
        self.learn(job)
        payloads = [payload for _, payload in items]
        lengths = b"".join(wire.LENGTH.pack(len(payload)) for payload in payloads)
        size = wire.CHUNK_HEAD.size + len(lengths) + sum(map(len, payloads))
        head = wire.FRAME.pack(wire.CHUNK, len(items), size) + wire.CHUNK_HEAD.pack(job.function, self.next_ticket) + lengths
        for ticket, (index, _) in enumerate(items, self.next_ticket):
            self.given[ticket] = (job, index)
        self.next_ticket += len(items)
        if size <= JOIN_BYTES:
            self.send(head + b"".join(payloads))
        else:  # joining would copy a large item once more
            self.send(head, *payloads)

    def send(self, *parts: bytes) -> None:
        self._unsent.extend(memoryview(part) for part in parts if part)
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            part = self._unsent[0]
            try:
                count = self.stream.send(part, wire.NO_SIGPIPE)
            except BlockingIOError:
                return
            except OSError:  # it died: the reading side and the zygote report that
                self._unsent.clear()
                return
            if count < len(part):
                self._unsent[0] = part[count:]
            else:
                self._unsent.popleft()

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self, *, everything: bool = False) -> list[tuple[int, float, Answer]]:
        """Return (ticket, CPU wait in seconds, answer) for all complete frames; never blocks."""
        while not self.ended:
            try:
                part = self.stream.recv(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            self._received += part
            self.ended = not part
            if len(part) < RECEIVE_BYTES and not everything:
                break
        return self._parse()

    def _parse(self) -> list[tuple[int, float, Answer]]:
        answers: list[tuple[int, float, Answer]] = []
        start = 0
        with memoryview(self._received) as data:
            while len(data) - start >= wire.FRAME.size:
                kind, count, size = wire.FRAME.unpack_from(data, start)
                if kind != wire.REPLY or size > wire.BODY_LIMIT or count * wire.RECORD.size > size:
                    self.ended = True  # an item wrote into our stream: the worker is of no use any more
                    break
                table = start + wire.FRAME.size
                if len(data) - table < size:
                    break
                at = table + count * wire.RECORD.size
                for ticket, code, seconds, waited, length in wire.RECORD.iter_unpack(data[table:at]):
                    answers.append((ticket, waited, Answer(code, seconds, bytes(data[at : at + length]))))
                    at += length
                start = table + size
        del self._received[:start]
        return answers

    def cpu_wait_ns(self) -> int:
        """Nanoseconds it spent so far runnable without a CPU; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/schedstat", "rb") as file:
                return wire.cpu_wait_ns(file.read())
        except OSError:
            return 0

    def kill(self, zygote: Zygote | None) -> None:
        """Kill it; the zygote then kills its process group and reaps it."""
        if self.pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        elif zygote is not None:  # only its parent can use its number safely
            zygote.tell(wire.KILL, self.pid)

    def kill_orphaned_group(self) -> None:
        """Kill what it started, once the zygote that would have done so is dead.

        Its number stays taken while its group has members, so it is ours unless a process of that number exists and is not the
        one that our descriptor refers to.
        """
        if self.pidfd is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                if os.path.exists(f"/proc/{self.pid}"):
                    return
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self.stream.close()
        self.slot.release()
        self.map.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None


@dataclass(frozen=True, slots=True)
class Message:
    """What the zygote reports: BORN with descriptors, EXITED with a status, UNBORN."""

    kind: int
    pid: int
    value: int
    descriptors: tuple[int, ...]


class Zygote:
    """The process that forks the workers."""

    def __init__(self, memory_bytes: int, preload: Sequence[str]) -> None:
        self.control, theirs = socket.socketpair()
        path = [entry for entry in sys.path if isinstance(entry, str)]
        config = {"path": path, "host": os.getpid(), "memory_bytes": memory_bytes, "preload": ["numpy", *preload]}
        errors = 2 if _is_open(2) else subprocess.DEVNULL
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BOOT, str(theirs.fileno()), json.dumps(config)],
                stdin=subprocess.DEVNULL,
                stdout=errors,  # what items print must not mix with the host's own output
                stderr=errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C at the terminal is the host's to handle
                env={**os.environ, **{f"{name}_NUM_THREADS": "1" for name in ONE_THREAD}, "VECLIB_MAXIMUM_THREADS": "1"},
            )
        self.control.setblocking(False)
        self.ended = False

    def fileno(self) -> int:
        return self.control.fileno()

    def tell(self, kind: int, pid: int = 0, body: bytes = b"") -> bool:
        """Send a request; False when there is no room for it now."""
        try:
            self.control.send(wire.MESSAGE.pack(kind, pid, len(body)) + body, wire.NO_SIGPIPE)
        except BlockingIOError:
            return False
        except OSError:  # it died: the reading side reports that
            return False
        return True

    def receive(self) -> list[Message]:
        messages = []
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        while not self.ended:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.control, wire.MESSAGE.size, 4, flags)
            except BlockingIOError:
                break
            except OSError:
                data, descriptors = b"", []
            if len(data) < wire.MESSAGE.size:  # messages are written whole, so this is the end
                self.ended = True
                break
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            messages.append(Message(*wire.MESSAGE.unpack(data), tuple(descriptors)))
        return messages

    def abandon(self) -> None:
        """In a forked child: close the socket, and neither wait for a process that is not its own nor warn about it."""
        self.control.close()
        self.process.returncode = 0

    def close(self, patience: float) -> None:
        """Close the control socket, which ends it and its workers, and reap it; kill it after `patience` seconds."""
        self.control.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
