"""The host's hold on the zygote, the process that forks the workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.run import _pool_wire as wire

BOOT = (
    "import sys, json; fd = int(sys.argv[1]); config = json.loads(sys.argv[2]); del sys.argv[1:]; "
    "sys.path[:] = config['path']; from plaudit.run._zygote import serve; serve(fd, config)"
)
# A worker is one core's worth of the machine; a numerical library that starts a thread per core would starve the others.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")} | {
    "VECLIB_MAXIMUM_THREADS": "1"
}
MARK = "PLAUDIT_POOL"  # in the environment of the workers and all that they start


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
        self.mark = uuid.uuid4().hex
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
                env={**os.environ, **ONE_THREAD, MARK: self.mark},
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
            kind, pid, value = wire.MESSAGE.unpack(data)
            messages.append(Message(kind, pid, value, tuple(descriptors)))
        return messages

    def kill_strays(self) -> None:
        """Kill what carries this pool's mark, once the zygote that would have done so is dead."""
        mark = f"{MARK}={self.mark}".encode()
        for _ in range(10):  # one that is just forking may be missed once
            killed = [_kill_if_marked(int(pid), mark) for pid in _processes()]
            if not any(killed):
                return

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


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()] if sys.platform == "linux" else []


def _kill_if_marked(pid: int, mark: bytes) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # ended meanwhile
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # read after the descriptor: it is this process, or none
            marked = mark in file.read().split(b"\0")
        if marked:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:  # ended, or belongs to somebody else
        return False
    finally:
        os.close(descriptor)
    return marked


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
