"""A seccomp filter that refuses the system calls that no pure computation needs.

This file runs inside the sandbox and imports nothing of plaudit.
"""

from __future__ import annotations

import ctypes
import os
import struct

# Numbers of the two architectures that wheels of torch exist for; -1 = the call does not exist there.
_CALLS = {
    #                   x86_64 aarch64
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "personality": (135, 92),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "pidfd_getfd": (438, 438),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    "memfd_secret": (447, 447),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    # Memory that no limit of address space counts once it is no longer mapped.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
}
_PROCESS_CALLS = {"fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281)}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_CLONE_THREAD = 0x00010000

_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38

_Instruction = tuple[int, int, int, int]


def install(processes: bool) -> None:
    """Confine the calling thread and all it starts for good; with `processes` programs may fork and execute others.

    Raises OSError where the kernel or the architecture has no such filters.
    """
    names = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
    machine = os.uname().machine
    if machine not in names:
        raise OSError(f"no system call table for {machine}")
    column, architecture = names[machine]
    program = _program(column, architecture, processes)
    code = b"".join(struct.pack("<HBBI", op, yes, no, value) for op, yes, no, value in program)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp filter refused")


def _program(column: int, architecture: int, processes: bool) -> list[_Instruction]:
    refused = {**_CALLS, **({} if processes else _PROCESS_CALLS)}
    numbers = sorted(row[column] for row in refused.values() if row[column] >= 0)
    lines: list[_Instruction] = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
    ]
    if column == 0:
        lines += [(_ABOVE, 0, 1, 0x3FFFFFFF), (_RETURN, 0, 0, _KILL)]  # the x32 interface has numbers of its own
    # glibc falls back to clone, whose flags can be looked at, when clone3 does not exist.
    lines += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _REFUSE | _ENOSYS)]
    for number in numbers:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | _EPERM)]
    if not processes:
        lines += [
            (_EQUAL, 0, 3, _CLONE[column]),
            (_LOAD, 0, 0, 16),  # low word of the first argument: the flags
            (_ANY_BIT, 1, 0, _CLONE_THREAD),
            (_RETURN, 0, 0, _REFUSE | _EPERM),
        ]
    else:
        lines += [
            (_EQUAL, 0, 3, _CLONE[column]),
            (_LOAD, 0, 0, 16),
            (_ANY_BIT, 0, 1, 0x7E020000),  # no new namespace by way of clone
            (_RETURN, 0, 0, _REFUSE | _EPERM),
        ]
    return [*lines, (_RETURN, 0, 0, _ALLOW)]
