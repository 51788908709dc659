"""What a confined process does: run a script, answer calls into it, or test one that runs behind another wall."""

from __future__ import annotations

import atexit
import builtins
import os
import site
import socket
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any, TextIO

from . import testing, values

_MODULES = (
    "array", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq",
    "io", "itertools", "json", "linecache", "math", "operator", "queue", "random", "re", "statistics", "string", "textwrap",
    "time", "traceback", "typing",
)  # fmt: skip

CHANNEL = 3
"""Descriptor of the socket on which calls come in or go out."""


def preload() -> None:
    """Import what most programs import, once, so that a run does not pay for it."""
    for name in _MODULES:
        __import__(name)
    site.setquit()  # exit() and quit(), which Python without site-packages lacks


def play(job: dict[str, Any]) -> int:
    """Do what the job says; returns the exit code."""
    sys.setrecursionlimit(job["recursion"])
    role = job["role"]
    if role == "command":
        with open(os.path.join(job["limits"]["folder"], job["file"]), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(job["source"])
        os.execve(job["command"][0], job["command"], job["environment"])
    streams = _text_streams()
    if role == "script":
        return _script(job["source"], job["argv"], streams)
    if role == "tests":
        return testing.run_tests(job)
    return _served(job["source"])


def _text_streams() -> list[TextIO]:
    """Streams of the run's own: those of the warm process have other buffers."""
    made: list[TextIO] = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = os.fdopen(
            number,
            "w" if number else "r",
            encoding="utf-8",
            errors="backslashreplace" if number == 2 else "surrogateescape",
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
        made.append(stream)
    return made


def _module(source: str, argv: list[str]) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = ["solution.py", *argv]
    return module


def _script(source: str, argv: list[str], streams: Sequence[TextIO]) -> int:
    """Run the source as a program and end it as Python does: threads, exit functions, buffers; its exit code as Python's."""
    import traceback

    module = _module(source, argv)
    code = 0
    try:
        exec(compile(source, "solution.py", "exec"), module.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = int(end.code or 0) & 0xFF
        else:
            print(end.code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc(limit=20)
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    # The program may have put other streams in the place of its own; what either holds is written.
    unwritten = [stream for stream in (sys.stdout, sys.stderr, *streams[1:]) if stream is not None]
    module.__dict__.clear()  # files that it left open are closed and with that written
    for stream in unwritten:
        try:
            if not stream.closed:
                stream.flush()
        except Exception:  # the output limit, or an object of the program that is no stream
            code = code or 1
    return code


def _served(source: str) -> int:
    """Load the source, then answer calls into it until the channel closes."""
    channel = socket.socket(fileno=os.dup(CHANNEL))
    lines = channel.makefile("rb")
    kept: list[Any] = []

    def handle(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    module = _module(source, [])
    module.__name__ = "solution"  # the part under `if __name__ == "__main__"` is not wanted here
    try:
        exec(compile(source, "solution.py", "exec"), module.__dict__)
        channel.sendall(b'["ready"]\n')
    except BaseException as error:
        channel.sendall(_reply("error", _said(error)))
        return 1
    while line := lines.readline(2 * values.SIZE):
        channel.sendall(_answer(module, kept, handle, line))
    return 0


def _answer(module: types.ModuleType, kept: list[Any], handle: Any, line: bytes) -> bytes:
    """One call: its value and its arguments as they are afterwards, or the exception."""
    try:
        target, name, args, kwargs = values.decode(line, lambda kind, number: kept[number])
        owner = module.__dict__ if target is None else None
        if owner is not None and name == "Solution." + name.partition(".")[2]:
            function = getattr(owner["Solution"](), name.partition(".")[2])
        elif owner is not None:
            function = owner[name]
        else:
            function = getattr(kept[target], name)
        result = function(*args, **kwargs) if args is not None else function
        return _reply("value", [result, args], handle)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: they are the call's own
        return _reply("error", _said(error))


def _said(error: BaseException) -> list[str]:
    try:
        return [type(error).__name__[:100], str(error)[:500]]
    except BaseException:
        return ["Exception", "its text cannot be made"]


def _reply(kind: str, body: Any, handle: Any = None) -> bytes:
    try:
        text = values.encode(body, handle)
    except BaseException as error:
        kind, text = "error", values.encode(_said(error))
    return b'["' + kind.encode() + b'", ' + text.encode() + b"]\n"
