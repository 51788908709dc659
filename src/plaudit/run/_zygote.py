"""The zygote: a clean, single-threaded process that forks warm workers for the host and buries them.

It is the parent of every worker, so only here is a process id safe to use: it stays taken until this process reaps it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from plaudit.run import _pool_wire as wire
from plaudit.run._worker import PR_SET_PDEATHSIG, run_worker

PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"


def serve(control: int, config: dict[str, Any]) -> NoReturn:
    """Run the zygote on the host's control socket until the host is gone, then kill everything below."""
    zygote = Zygote(socket.socket(fileno=control), config["host"], config["memory_bytes"])
    try:
        zygote.preload(config["preload"])
        zygote.run()
    except (BrokenPipeError, ConnectionResetError):  # the host went while this process was writing to it
        zygote.kill_all()
    except BaseException:
        traceback.print_exc()
    finally:
        zygote.kill_all()
        os._exit(0)


class Zygote:
    """The loop of the zygote and the workers that it forked."""

    def __init__(self, control: socket.socket, host: int, memory_bytes: int) -> None:
        self.control = control
        self.host = host
        self.memory_bytes = memory_bytes
        self.workers: set[int] = set()
        self.libc = ctypes.CDLL(None, use_errno=True) if LINUX else None
        self._prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a worker leaves behind becomes a child of this process
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only so that the wake-up descriptor is written
        self.woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if LINUX else _nonblocking_pipe()
        self.wake = wake
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.control, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        self.host_fd = _pidfd(host)
        if self.host_fd >= 0:  # a fork of the host may keep the socket open: its death is watched as well
            self.selector.register(self.host_fd, selectors.EVENT_READ)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # workers end without flushing

    def preload(self, modules: Sequence[str]) -> None:
        """Import modules so that later workers are forked with them; one that fails is named on standard error."""
        self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a hanging import would not see that the host is gone
        self._exit_if_orphan()
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception as error:
                print(f"plaudit: workers start without {name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if LINUX and len(os.listdir("/proc/self/task")) > 1:
            print(f"plaudit: importing {', '.join(modules)} started threads; forked workers lack them", file=sys.stderr)
        self._prctl(PR_SET_PDEATHSIG, 0)  # from here on the host's death is an orderly end
        self._exit_if_orphan()
        gc.collect()
        gc.freeze()  # keep the collector from touching, and so copying, pages that the workers share

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select(None if self.host_fd >= 0 else 1.0):
                if key.fd == self.host_fd:
                    return
                if key.fd == self.woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.woken, 4096)
                elif not self._obey():
                    return
            self._bury()
            self._exit_if_orphan()

    def _obey(self) -> bool:
        """Carry out one request; False when the host closed the socket."""
        head = self._read(wire.MESSAGE.size)
        if len(head) < wire.MESSAGE.size:
            return False
        kind, pid, value = wire.MESSAGE.unpack(head)
        if kind == wire.SPAWN:
            self._fork()
        elif kind == wire.KILL and pid in self.workers:
            os.kill(pid, signal.SIGKILL)
        elif kind == wire.IMPORT:
            self.preload(self._read(value).decode().split())
        return True

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        slot = wire.shared_slot()
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no memory or no process left: the host asks again
            ours.close()
            theirs.close()
            os.close(slot)
            self._tell(wire.UNBORN, 0, 0)
            return
        if pid == 0:
            self._become_worker(ours)
            run_worker(theirs, slot, parent, self.memory_bytes)
        self.workers.add(pid)
        pidfd = _pidfd(pid)
        descriptors = [ours.fileno(), slot, pidfd] if pidfd >= 0 else [ours.fileno(), slot]
        socket.send_fds(self.control, [wire.MESSAGE.pack(wire.BORN, pid, 0)], descriptors)
        ours.close()
        theirs.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)

    def _become_worker(self, ours: socket.socket) -> None:
        """Drop, in the child, all that belongs to the zygote."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        self.control.close()
        ours.close()
        for descriptor in (self.woken, self.wake, self.host_fd):
            if descriptor >= 0:
                os.close(descriptor)

    def _bury(self) -> None:
        """Reap the dead, and kill what a dead worker left running."""
        buried = False
        while (dead := _dead_child()) is not None:
            pid, status = dead
            if pid in self.workers:
                _kill_group(pid)  # before reaping: until then nobody else can carry this number
            os.waitpid(pid, 0)
            buried = True
            if pid in self.workers:
                self.workers.remove(pid)
                self._tell(wire.EXITED, pid, status)
        if buried:
            self._sweep()

    def _sweep(self) -> None:
        """Kill orphans, except those of a living worker: its current item may still want them."""
        for pid in _children() - self.workers:
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) not in self.workers and _starter(pid) not in self.workers:
                    os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill and reap all workers and all their descendants; gives up after two seconds on one that the kernel holds."""
        deadline = time.monotonic() + 2
        while (alive := self.workers | _children()) and time.monotonic() < deadline:
            for pid in alive:
                _kill_group(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while (dead := _dead_child()) is not None:
                os.waitpid(dead[0], 0)
                self.workers.discard(dead[0])
            time.sleep(0.001)

    def _tell(self, kind: int, pid: int, value: int) -> None:
        self.control.sendall(wire.MESSAGE.pack(kind, pid, value))

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length and (part := self.control.recv(length - len(data))):
            data += part
        return data

    def _exit_if_orphan(self) -> None:
        if os.getppid() != self.host:
            self.kill_all()
            os._exit(0)

    def _prctl(self, option: int, value: int) -> None:
        if self.libc is not None:
            self.libc.prctl(option, value, 0, 0, 0)


def _pidfd(pid: int) -> int:
    """A descriptor of a process, -1 where there is no such thing: not Linux, before 5.3, forbidden in a container."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _dead_child() -> tuple[int, int] | None:
    """Return (pid, status) of a child that ended, without reaping it; status is the exit code, or minus the signal."""
    try:
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if info is None:
        return None
    return info.si_pid, info.si_status if info.si_code == os.CLD_EXITED else -info.si_status


def _children() -> set[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return {int(pid) for pid in file.read().split()}
    except OSError:  # not Linux, or a kernel built without it: the process groups are all we know
        return set()


def _starter(pid: int) -> int | None:
    """The worker whose item started a process, by the mark in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            marks = [entry for entry in file.read().split(b"\0") if entry.startswith(wire.WORKER_MARK.encode() + b"=")]
    except OSError:
        return None
    number = marks[0].partition(b"=")[2] if marks else b""
    return int(number) if number.isdigit() else None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # none left, or (macOS) only the dead leader
        os.killpg(pid, signal.SIGKILL)


def _nonblocking_pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write
