"""The warm process inside the sandbox: it forks a confined process for each run, watches it, and kills it in time.

It never sees an expected answer: what it forks would find it in its memory. Requests come as packets over the socket on
descriptor 0: ``run`` with the run's descriptors, of which the first holds the job as JSON, or ``stop``, which ends the run
that is under way. The answer to ``run`` is one packet of JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
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
    roles.preload()
    control.send(b'{"ready": true}')
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 16, 8)
        if not word:
            return
        if word == b"run":
            job = json.loads(os.pread(descriptors[0], _JOB, 0))
            answer = _run(job, descriptors[1:], namespaces, own, control)
            control.send(json.dumps(answer).encode())
        # A `stop` that comes when the run has ended already is of no use any more.
        for descriptor in descriptors:
            os.close(descriptor)


def _run(job: dict[str, Any], descriptors: list[int], namespaces: bool, own: int, control: socket.socket) -> dict[str, Any]:
    began = time.monotonic()
    if namespaces:
        confine.call("unshare", confine.NEW_PIDS)  # the next child is the first process of a namespace of its own
    child = os.fork()
    if child == 0:
        _become(job, descriptors, namespaces)
    if namespaces:
        confine.call("setns", own, confine.NEW_PIDS)
    stopped, late, waited = _watch(child, began + job["limits"]["wall"], control)
    _, status, used = os.wait4(child, 0)
    return {
        "late": late,
        "stopped": stopped,
        "waited": waited,
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
    }


def _become(job: dict[str, Any], descriptors: list[int], namespaces: bool) -> None:
    """The confined process; it never returns."""
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # The run's own descriptors come first, in the order in which they were sent.
        high = [os.dup2(descriptor, 200 + k) for k, descriptor in enumerate(descriptors)]
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
