"""The warm process inside the sandbox: it forks a confined process for each run, watches it, and kills it in time.

It never reads a job: what it forks would find it in its memory, and with it an expected answer or another program's source.
Requests come as packets over the socket on descriptor 0: ``run SECONDS`` with the run's descriptors, of which the first holds the
job as JSON, or ``stop``, which ends the run that is under way. The answer to ``run`` is one packet of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from typing import Any

from . import confine, roles

_JOB = 64 << 20


def main() -> None:
    """Serve requests until the other side closes."""
    control = socket.socket(fileno=os.dup(0))
    os.set_inheritable(control.fileno(), False)
    namespaces = sys.argv[1] == "namespaces"
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC) if namespaces else -1
    if not namespaces:
        confine.call("prctl", 36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    roles.preload()
    control.send(b'{"ready": true}')
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 16, 8)
        if not word:
            return
        if word.startswith(b"run "):
            answer = _run(float(word[4:]), descriptors, namespaces, own, control)
            control.send(json.dumps(answer).encode())
        # A `stop` that comes when the run has ended already is of no use any more.
        for descriptor in descriptors:
            os.close(descriptor)


def _run(wall: float, descriptors: list[int], namespaces: bool, own: int, control: socket.socket) -> dict[str, Any]:
    began = time.monotonic()
    # Without a file system of its own, a run has at least a folder of its own.
    folder = "/tmp" if namespaces else tempfile.mkdtemp(prefix="plaudit-")
    if namespaces:
        confine.call("unshare", confine.NEW_PIDS)  # the next child is the first process of a namespace of its own
    child = os.fork()
    if child == 0:
        _become(descriptors, namespaces, folder)
    if namespaces:
        confine.call("setns", own, confine.NEW_PIDS)
    stopped, late, waited = _watch(child, began + wall, control)
    if not namespaces:
        _kill_group(child)
    _, status, used = os.wait4(child, 0)
    if not namespaces:
        _kill_rest()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "late": late,
        "stopped": stopped,
        "waited": waited,
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
    }


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended before it had a group
        os.killpg(leader, signal.SIGKILL)


def _kill_rest() -> None:
    """What left the group came to this process when its parent ended; no namespace ends it here."""
    for _ in range(100):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                left = [int(number) for number in file.read().split()]
        except OSError:  # a kernel without this list
            return
        if not left:
            return
        for number in left:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)


def _become(descriptors: list[int], namespaces: bool, folder: str) -> None:
    """The confined process; it never returns."""
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # The run's own descriptors come first, in the order in which they were sent.
        job = json.loads(os.pread(descriptors[0], _JOB, 0))
        job["limits"]["folder"] = folder
        high = [os.dup2(descriptor, 200 + k) for k, descriptor in enumerate(descriptors[1:])]
        for k, descriptor in enumerate(high):
            os.dup2(descriptor, k, inheritable=True)
        confine.confine(job["limits"], namespaces, len(high))
        code = roles.play(job)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace")[:2000])
    finally:
        os._exit(code)


def _watch(child: int, deadline: float, control: socket.socket) -> tuple[bool, bool, float]:
    """Wait for the child's end; kill it, and with it all that it started, at the deadline or when it is to stop.

    Returns whether it was stopped, whether it was killed for its time, and the seconds that it had waited for a processor.
    """
    pidfd = os.pidfd_open(child)
    try:
        events = select.poll()
        events.register(pidfd, select.POLLIN)
        events.register(control, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in events.poll(max(0.0, deadline - time.monotonic()) * 1000 + 1)}
            if pidfd in ready:
                return False, False, _waited(child)
            if ready or time.monotonic() >= deadline:
                if ready:
                    control.recv(16)  # "stop", or nothing when the other side is gone
                waited = _waited(child)
                os.kill(child, signal.SIGKILL)
                return bool(ready), not ready, waited
    finally:
        os.close(pidfd)


def _waited(child: int) -> float:
    try:
        with open(f"/proc/{child}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0  # a kernel without these statistics
