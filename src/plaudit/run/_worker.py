"""The worker process: runs the items of one chunk after another and answers; it is killed rather than asked to stop."""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, NoReturn

from plaudit.run import _pool_wire as wire

FLUSH_NS = 10_000_000  # answers wait at most this long while a chunk is still running
FLUSH_BYTES = 256 << 10
PROBE_NS = 1_000_000  # /proc is read at most this often: cheaper than an item, finer than any deadline
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function as the worker holds it, with the surroundings of the call that sent it."""

    call: Callable[[Any], Any] | None
    error: BaseException | None
    cwd: str | None
    path: list[str]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; Linux only, elsewhere the end of the socket does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)


def run_worker(stream: socket.socket, slot: int, zygote: int, memory_bytes: int) -> NoReturn:
    """Take over a freshly forked process and never return."""
    try:
        os.setsid()
        die_with_parent(zygote)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ[wire.WORKER_MARK] = str(os.getpid())
        random = sys.modules.get("numpy.random")
        if random is not None:
            random.seed()  # or all workers would draw the same numbers
        Worker(stream, slot, memory_bytes).serve()
    except BrokenPipeError:  # the host is gone or has no use for this worker
        os._exit(0)
    except OSError as error:  # an item closed descriptors that are not its own
        print(f"plaudit: a worker lost its connection ({error}); another takes its place", file=sys.stderr)
    except BaseException:  # e.g. an alarm that an item left behind: this process is spoilt, the host starts another
        traceback.print_exc()
    os._exit(70)


class Worker:
    """The loop of a worker and what it keeps between items."""

    def __init__(self, stream: socket.socket, slot: int, memory_bytes: int) -> None:
        self.stream = stream
        self.slot = memoryview(mmap.mmap(slot, wire.SLOT_BYTES)).cast("q")
        os.close(slot)
        self.pid = os.getpid()
        self.functions: dict[int, Loaded] = {}
        self.current: Loaded | None = None
        self.records: list[bytes] = []
        self.payloads: list[bytes] = []
        self.unsent = 0
        self.flushed_ns = self.probed_ns = 0
        self.waited_ns = 0
        self.schedstat = _open_proc("schedstat")
        self.statm = _open_proc("statm")
        self.retiring = False
        self.memory_bytes = memory_bytes
        self.base = self._size()  # bytes of address space that no item is charged for
        self._cap(self.base + memory_bytes)

    def serve(self) -> NoReturn:
        while True:
            kind, number, length = wire.FRAME.unpack(self._read(wire.FRAME.size))
            body = self._read(length)
            if kind == wire.FUNCTION:
                self._learn(number, body)
            elif kind == wire.FORGET:
                self.functions.pop(number, None)
            else:
                self._run_chunk(number, memoryview(body))
            if self.retiring:
                self._note(0, wire.RETIRING, 0, b"")
                self._flush()
                os._exit(0)

    def _learn(self, function: int, body: bytearray) -> None:
        self.slot[wire.START_NS] = monotonic_ns()
        self.slot[wire.TICKET] = -function  # loading may import, hang or crash: the host must see who is to blame
        before = self._size()
        self._cap(None)
        cwd, path, blob = pickle.loads(body)
        sys.path[:] = path
        _enter(cwd)
        try:
            loaded = Loaded(pickle.loads(blob), None, cwd, path)
        except BaseException as error:  # a module that is missing here or raises on import
            loaded = Loaded(None, error, cwd, path)
        self.base += max(0, self._size() - before)  # libraries and weights that the function brings are not an item's memory
        self._cap(self.base + self.memory_bytes)
        self.functions[function] = self.current = loaded
        self.slot[wire.TICKET] = 0
        self._note(function, wire.LOADED, 0, b"")
        self._flush()

    def _run_chunk(self, count: int, body: memoryview) -> None:
        function, ticket = wire.CHUNK_HEAD.unpack_from(body)
        loaded = self.functions[function]
        if loaded is not self.current:
            sys.path[:] = loaded.path
            self.current = loaded
        at = wire.CHUNK_HEAD.size
        lengths = body[at : at + count * 8].cast("Q")
        at += count * 8
        self.flushed_ns = now = monotonic_ns()
        self._probe(now)
        for length in lengths:
            self._run_item(ticket, loaded, body[at : at + length])
            if self.retiring:
                return
            at += length
            ticket += 1
        self._flush()

    def _run_item(self, ticket: int, loaded: Loaded, item: memoryview) -> None:
        slot = self.slot
        start = monotonic_ns()
        slot[wire.START_NS] = start
        slot[wire.WAITED_NS] = waited = self.waited_ns
        slot[wire.TICKET] = ticket  # written before RECALLED is read: the host writes and reads them in the other order
        if ticket <= slot[wire.RECALLED]:
            code, payload = wire.SKIPPED, b""
        else:
            code, payload = self._attempt(loaded, item)
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm that the item left behind must not hit its neighbour
        if os.getpid() != self.pid:  # the item forked and its child came back here
            os._exit(0)
        slot[wire.TICKET] = 0
        end = monotonic_ns()
        if end - self.probed_ns > PROBE_NS:
            self._probe(end)
        self._note(ticket, code, (end - start) * 1e-9, payload, (self.waited_ns - waited) * 1e-9)
        if end - self.flushed_ns > FLUSH_NS or self.unsent > FLUSH_BYTES:
            self._flush()
            self.flushed_ns = end

    def _attempt(self, loaded: Loaded, item: memoryview) -> tuple[int, bytes]:
        """Run one item; whatever it raises is its own answer."""
        try:
            if loaded.call is None:
                return wire.UNLOADABLE, _error_payload(loaded.error, "the function cannot be loaded in the worker")
            try:
                argument = pickle.loads(item)
            except MemoryError:
                raise
            except BaseException as error:
                return wire.UNLOADABLE, _error_payload(error, "the item cannot be loaded in the worker")
            _enter(loaded.cwd)
            payload = wire.dump(loaded.call(argument))
            if len(payload) > wire.RESULT_LIMIT:
                raise ValueError(
                    f"the result takes {len(payload) / 1e6:.0f} MB pickled, more than {wire.RESULT_LIMIT >> 20} MiB: "
                    "write it to a file and return the path"
                )
            return wire.DONE, payload
        except MemoryError:
            self.retiring = True  # a heap that ran full once is fragmented: the next item gets a fresh one
        except BaseException as error:
            return wire.RAISED, _error_payload(error, "")
        return wire.OUT_OF_MEMORY, b""

    def _note(self, ticket: int, code: int, seconds: float, payload: bytes, waited: float = 0.0) -> None:
        self.records.append(wire.RECORD.pack(ticket, code, seconds, waited, len(payload)))
        self.payloads.append(payload)
        self.unsent += len(payload)

    def _flush(self) -> None:
        if not self.records:
            return
        size = self.unsent + wire.RECORD.size * len(self.records)
        head = [wire.FRAME.pack(wire.REPLY, len(self.records), size), *self.records]
        if size <= 1 << 20:
            self.stream.sendall(b"".join(head + self.payloads))
        else:  # joining would copy tens of megabytes
            self.stream.sendall(b"".join(head))
            for payload in self.payloads:
                self.stream.sendall(payload)
        self.records.clear()
        self.payloads.clear()
        self.unsent = 0

    def _read(self, length: int) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self.stream.recv_into(view)
            if count == 0:  # the host is gone or has no use for this worker
                os._exit(0)
            view = view[count:]
        return data

    def _probe(self, now: int) -> None:
        """Read how long this process waited for a CPU, and retire if items left so much memory behind that others lack it."""
        self.probed_ns = now
        self.waited_ns = wire.cpu_wait_ns(_read_proc(self.schedstat))
        if self._size() > self.base + self.memory_bytes // 2:
            self.retiring = True

    def _cap(self, size: int | None) -> None:
        """Limit the address space to `size` bytes; None = as far as the system lets it."""
        if self.statm is not None:
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            unlimited = hard == resource.RLIM_INFINITY
            soft = hard if size is None else size if unlimited else min(size, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    def _size(self) -> int:
        """Bytes of address space in use, 0 when unknown."""
        fields = _read_proc(self.statm).split()
        return int(fields[0]) * mmap.PAGESIZE if fields and fields[0].isdigit() else 0


def _open_proc(name: str) -> int | None:
    try:
        return os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # not Linux, or a kernel built without it
        return None


def _read_proc(descriptor: int | None) -> bytes:
    if descriptor is None:
        return b""
    try:
        return os.pread(descriptor, 256, 0)
    except OSError:  # an item closed it
        return b""


def _enter(cwd: str | None) -> None:
    if cwd is not None:
        try:
            os.chdir(cwd)
        except OSError:  # the folder was deleted meanwhile: the host itself would stand in it all the same
            return


def _error_payload(error: BaseException | None, prefix: str) -> bytes:
    """Pickle (pickled error or None, type name, message, traceback, missing module) so that the host can always read it."""
    trace = error.__traceback__.tb_next if error is not None and error.__traceback__ is not None else None
    try:
        text = "".join(traceback.format_exception(None if error is None else type(error), error, trace, limit=-20))[-8000:]
    except Exception:
        text = "(the traceback could not be printed)"
    try:
        message = f"{prefix}: {error}" if prefix else str(error)
    except Exception:
        message = prefix or "(its message could not be printed)"
    try:
        blob = wire.dump(error)
    except Exception:  # holds a socket, a lock, a frame: the host makes a stand-in from the name and the message
        blob = None
    if blob is not None and len(blob) > wire.RESULT_LIMIT:
        blob = None
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return pickle.dumps((blob, type(error).__qualname__, message[:8000], text, missing), 5)
