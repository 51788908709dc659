"""The host's hold on one worker: its stream, its slot in shared memory, what it was given."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plaudit.run import _pool_wire as wire
from plaudit.run._pool_outcome import Answer

if TYPE_CHECKING:
    from plaudit.run._pool_jobs import Job
    from plaudit.run._pool_zygote import Zygote

RECEIVE_BYTES = 256 << 10
JOIN_BYTES = 1 << 20
RECALL_SEEN_NS = 1_000_000  # long enough for a word in shared memory to reach another core
KNOWN_FUNCTIONS = 8  # that a worker keeps


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
        self.loading: dict[int, None] = {}  # functions that it was sent but has not confirmed: it gets no items meanwhile
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

    def learn(self, job: Job, deadline: int) -> None:
        """Send a function that the worker does not have; it must be loaded by the deadline."""
        if len(self.functions) >= KNOWN_FUNCTIONS:
            oldest = next(iter(self.functions))
            del self.functions[oldest]
            self.send(wire.FRAME.pack(wire.FORGET, oldest, 0))
        self.functions[job.function] = self.loading[job.function] = None
        self.check_by(deadline)
        self.send(job.frame)

    def give(self, job: Job, items: list[tuple[int, bytes]]) -> None:
        """Send items, as (index, pickled)."""
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
