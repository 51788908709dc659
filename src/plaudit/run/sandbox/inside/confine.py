"""What one run gives up before it reads a line of the untrusted program.

This file runs inside the sandbox and imports nothing of plaudit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
from typing import Any

from . import seccomp

NEW_MOUNTS, NEW_IPC, NEW_PIDS = 0x00020000, 0x08000000, 0x20000000
_NOSUID, _NODEV, _READ_ONLY = 2, 4, 1
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    """A libc function that returns 0. Raises OSError with its error number otherwise."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def confine(limits: dict[str, Any], namespaces: bool, inherited: int) -> None:
    """Give up everything that the run does not need, for good; only the first `inherited` descriptors stay open.

    limits: memory, file and output in bytes, cpu in seconds, threads, files, processes (whether it may start any).
    """
    if namespaces:
        call("unshare", NEW_MOUNTS | NEW_IPC)
        size = b"size=%d,nr_inodes=4096,mode=0700" % limits["disk"]
        call("mount", b"tmpfs", b"/tmp", b"tmpfs", _NOSUID | _NODEV, size)
        # The processes outside this run are nobody's business here.
        call("mount", b"tmpfs", b"/proc", b"tmpfs", _NOSUID | _NODEV | _READ_ONLY, b"size=4k")
    os.chdir(limits["folder"])
    os.closerange(inherited, 65_536)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits["file"])
    _limit(resource.RLIMIT_NOFILE, limits["files"])
    _limit(resource.RLIMIT_NPROC, limits["threads"])
    _limit(resource.RLIMIT_SIGPENDING, 256)  # each timer of the kernel holds one, and they cost it memory
    _limit(resource.RLIMIT_CPU, limits["cpu"])
    _limit(resource.RLIMIT_AS, limits["memory"])
    if namespaces:
        _drop_capabilities()
    call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    call("prctl", 4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no other run may look inside
    seccomp.install(limits["processes"])


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _drop_capabilities() -> None:
    for capability in range(64):
        if _libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP fails behind the last one
            break
    with contextlib.suppress(OSError):  # kernels before 4.3 have no ambient set
        call("prctl", 47, 4, 0, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
    header = ctypes.create_string_buffer(struct.pack("<II", 0x20080522, 0))
    call("capset", header, ctypes.create_string_buffer(b"\0" * 24))
