"""Starting the warm process, inside bubblewrap or, when asked for by name, with weaker walls."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Literal

from plaudit.errors import RunError

Isolation = Literal["bubblewrap", "process"]
"""``"bubblewrap"``: namespaces, an empty root file system, no network, rlimits, seccomp. ``"process"``: rlimits and seccomp only;
the program reads every file that you can read."""

_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONHASHSEED": "0"}
_INSIDE = Path(__file__).parent / "inside"
_START = "import sys; sys.path.insert(0, {path!r}); from inside import zygote; zygote.main()"


class SandboxError(RunError):
    """The sandbox itself does not work; nothing was learnt about the program."""


@cache
def isolation_available(isolation: Isolation) -> str | None:
    """None when this machine can give that isolation, else what is missing.

    >>> isolation_available("process") is None or sys.platform != "linux"
    True
    """
    if sys.platform != "linux":
        return "the sandbox needs Linux"
    if isolation == "process":
        return None
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian's package bubblewrap)"
    command = [*_bubblewrap(), "--", _python(), "-I", "-S", "-c", "pass"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"[:300]
    if tried.returncode != 0:
        return f"bubblewrap cannot make namespaces here: {tried.stderr.strip()[:300]}"
    return None


def start(isolation: Isolation, binds: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A warm process and the socket on which it takes requests; the caller waits for its first line.

    Raises SandboxError where the isolation asked for cannot be had: nothing weaker is used in its place.
    """
    missing = isolation_available(isolation)
    if missing is not None:
        raise SandboxError(
            f"isolation {isolation!r}: {missing}; weaker layers must be asked for by name, for example isolation='process'"
        )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if isolation == "bubblewrap":
        command = [*_bubblewrap(binds), "--", _python(), "-I", "-S", "-c", _START.format(path="/box"), "namespaces"]
    else:
        command = [_python(), "-I", "-S", "-c", _START.format(path=str(_INSIDE.parent)), "bare"]
    try:
        process = _STARTER.start(command, theirs.fileno())
    except OSError as error:
        ours.close()
        raise SandboxError(f"the sandbox cannot be started: {error}") from error
    finally:
        theirs.close()
    return process, ours


class _Starter:
    """A thread that starts the warm processes and lives as long as this process.

    bubblewrap's ``--die-with-parent`` goes by the thread that started it: started by a worker thread, a sandbox would be killed
    with it, however many other threads use it.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: the thread did not come along."""
        self._orders: queue.SimpleQueue[tuple[Sequence[str], int, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, command: Sequence[str], stdin: int) -> subprocess.Popen[bytes]:
        """The process, started. Raises OSError."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="plaudit-sandbox-starter", daemon=True)
                self._thread.start()
        found: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((command, stdin, found))
        return found.result()

    def _serve(self) -> None:
        null = subprocess.DEVNULL
        while True:
            command, stdin, found = self._orders.get()
            try:
                process = subprocess.Popen(
                    command, stdin=stdin, stdout=null, stderr=null, env=_ENVIRONMENT, start_new_session=True, cwd="/"
                )
            except BaseException as error:
                found.set_exception(error)
            else:
                found.set_result(process)


_STARTER = _Starter()
if sys.platform == "linux":
    os.register_at_fork(after_in_child=_STARTER.forget)


def _python() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


def _bubblewrap(binds: tuple[str, ...] = ()) -> list[str]:
    """The walls: an empty root that holds the interpreter, its libraries and this folder, all read-only; no network."""
    prefix = os.path.realpath(sys.base_prefix)
    command = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-all", "--uid", "65534", "--gid", "65534", "--cap-add", "CAP_SYS_ADMIN", "--die-with-parent",
        "--new-session", "--clearenv", "--hostname", "sandbox",
        *(part for name, value in _ENVIRONMENT.items() for part in ("--setenv", name, value)),
    ]  # fmt: skip
    folders = [] if prefix == "/usr" else [prefix]
    folders += [path for path in ("/usr/lib", "/usr/lib64", "/lib", "/lib64") if os.path.isdir(path)]
    folders += ["/usr/bin", f"/usr/include/python{sys.version_info.major}.{sys.version_info.minor}"] if prefix == "/usr" else []
    for folder in [*folders, *binds]:
        if os.path.exists(folder):
            command += ["--ro-bind", folder, folder]
    for device in ("null", "zero", "urandom", "random"):
        command += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    command += [
        "--ro-bind",
        str(_INSIDE),
        "/box/inside",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp",
    ]
    return command
