"""Byte formats that the two ends of the pool share: host and worker, host and zygote, and the slot in shared memory."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import sys
import tempfile
from typing import Any

import cloudpickle

# Host <-> worker is a byte stream of frames: kind, number, bytes that follow.
FRAME = struct.Struct("<B7xQQ")
FUNCTION, CHUNK, FORGET, REPLY = range(1, 5)

# FUNCTION: number = function id, body = pickle of (cwd, sys.path, pickled function).
# FORGET:   number = function id, no body.
# CHUNK:    number = items, body = CHUNK_HEAD, one LENGTH per item, the pickled items. Tickets are consecutive.
CHUNK_HEAD = struct.Struct("<QQ")  # function id, first ticket
LENGTH = struct.Struct("<Q")

# REPLY:    number = records, body = one RECORD per item, then their payloads.
RECORD = struct.Struct("<QB7xddQ")  # ticket (for LOADED: function id), code, seconds, seconds waited for a CPU, payload bytes
DONE, RAISED, OUT_OF_MEMORY, SKIPPED, UNLOADABLE, LOADED, RETIRING = range(7)

RESULT_LIMIT = 64 << 20  # bytes of one pickled result
BODY_LIMIT = 2 * RESULT_LIMIT  # a reply above this is not one of ours

# Host <-> zygote: fixed messages, followed by a body only for IMPORT. File descriptors ride on BORN.
MESSAGE = struct.Struct("<IIq")  # kind, pid, value
SPAWN, KILL, IMPORT, BORN, EXITED, UNBORN = range(1, 7)

# The slot: 8-byte words that both ends map. The worker writes the first three before each item, so the host knows what a hung
# worker is doing without a message per item; the host writes RECALLED, so a worker skips tickets that were given to another.
TICKET, START_NS, WAITED_NS, RECALLED = range(4)
SLOT_BYTES = 4096

NO_SIGPIPE = getattr(socket, "MSG_NOSIGNAL", 0)  # a host may have set SIGPIPE to its default: to die of a broken pipe


WORKER_MARK = "PLAUDIT_WORKER"  # in the environment of what an item starts: the worker's process id


def shared_slot() -> int:
    """Return the descriptor of a fresh zeroed file of SLOT_BYTES that lives in memory only."""
    if sys.platform == "linux":
        slot = os.memfd_create("plaudit-slot")
    else:
        slot, path = tempfile.mkstemp(prefix="plaudit-slot-")
        os.unlink(path)
    os.ftruncate(slot, SLOT_BYTES)
    return slot


def dump(value: Any) -> bytes:
    """Pickle a value, by value where its type cannot be imported; raises what cloudpickle raises."""
    try:
        return pickle.dumps(value, 5)
    except Exception:  # cloudpickle knows more types, and its error names what it could not pickle
        blob: bytes = cloudpickle.dumps(value, 5)
        return blob


def cpu_wait_ns(schedstat: bytes) -> int:
    """Nanoseconds that a task spent runnable without a CPU, from the text of /proc/PID/schedstat; 0 when it cannot be read."""
    fields = schedstat.split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
