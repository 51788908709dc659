"""The trusted side of a test: assertions run here, and every call into the untrusted program goes through a socket.

What comes back is plain data of exact types, so that an object that claims to equal everything cannot be made.
"""

from __future__ import annotations

import builtins
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from . import values

CHANNEL, VERDICTS = 3, 4


class CallFailed(Exception):
    """The program raised, died, or sent something that cannot be read."""


class _Enough(BaseException):
    """An assertion failed and no further one is wanted."""


class Link:
    """Calls into the program behind the wall."""

    def __init__(self) -> None:
        self._channel = socket.socket(fileno=os.dup(CHANNEL))
        self._lines = self._channel.makefile("rb")
        self.broken: str | None = None

    def greet(self) -> None:
        """Wait until the program is loaded. Raises CallFailed when it cannot be."""
        self._reply()

    def call(self, target: int | None, name: str, args: list[Any] | None, kwargs: dict[str, Any]) -> Any:
        """The value of a call or, with args None, of a name."""
        try:
            self._channel.sendall(values.encode((target, name, args, kwargs), _number).encode() + b"\n")
        except OSError as error:
            raise CallFailed(self.broken or f"the program ended: {error}") from error
        result, after = self._reply()
        if args is not None:
            for before, now in zip(args, after, strict=False):
                _write_back(before, now)
        return result

    def _reply(self) -> Any:
        line = self._lines.readline(2 * values.SIZE)
        if not line.endswith(b"\n"):
            self.broken = self.broken or "the program ended"
            raise CallFailed(self.broken)
        if line == b'["ready"]\n':
            return None
        kind, body = _split(line)
        answer = values.decode(body, lambda name, number: Remote(self, name, number))
        if kind == "error":
            raise _raised(answer)
        return answer


class Remote:
    """An object of the program that is no plain data: its methods are called over there, and it equals only itself."""

    def __init__(self, link: Link, kind: str, number: int | None) -> None:
        self._link, self._kind, self._number = link, kind, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.call(self._number, name, None, {})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The call, over there."""
        return self._link.call(self._number, "__call__", list(args), kwargs)

    def __len__(self) -> int:
        try:
            return int(self._link.call(self._number, "__len__", [], {}))
        except AttributeError as error:  # what Python says of objects without a length, and what list() looks past
            raise TypeError(f"object of type {self._kind!r} has no len()") from error

    def __bool__(self) -> bool:
        try:
            return len(self) > 0
        except TypeError:
            return True

    def __iter__(self) -> Iterator[Any]:
        inside = self._link.call(self._number, "__iter__", [], {})
        while isinstance(inside, Remote):
            try:
                value = self._link.call(inside._number, "__next__", [], {})
            except StopIteration:
                return
            yield value

    def __getitem__(self, key: Any) -> Any:
        return self._link.call(self._number, "__getitem__", [key], {})

    def __repr__(self) -> str:
        return f"<{self._kind} of the program>"


def _raised(answer: Any) -> Exception:
    """The program's exception: a built-in one by its own type, so that tests can expect it, every other one as CallFailed."""
    name, text = answer if isinstance(answer, list) and len(answer) == 2 else ("", "an error")
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(str(text))
        except TypeError:  # one that takes more than a text
            pass
    return CallFailed(f"{name}: {text}")


def _number(value: Any) -> int | None:
    return value._number if isinstance(value, Remote) else None


def _split(line: bytes) -> tuple[str, bytes]:
    """Kind and encoded body of a reply ``["value", BODY]``."""
    for kind in ("value", "error"):
        head = b'["' + kind.encode() + b'", '
        if line.startswith(head) and line.endswith(b"]\n"):
            return kind, line[len(head) : -2]
    raise CallFailed("the program wrote something else on its channel")


def _write_back(before: Any, now: Any) -> None:
    """A list, dict or set that the program changed in place is changed here as well."""
    if type(before) is not type(now):
        return
    if isinstance(before, list):
        before[:] = now
    elif isinstance(before, (dict, set)):
        before.clear()
        before.update(now)


def run_tests(job: dict[str, Any]) -> int:
    """Run the tests of a job and report each assertion; returns the exit code.

    A report is one JSON line ``[number, passed, text]``; the last line is ``["end"]``. What is not reported did not pass.
    """
    verdicts = os.fdopen(os.dup(VERDICTS), "w", encoding="utf-8")

    def report(*row: Any) -> None:
        verdicts.write(json.dumps(row) + "\n")
        verdicts.flush()

    link = Link()

    def record(number: int, claim: Callable[[], Any]) -> None:
        try:
            passed, text = bool(claim()), ""
        except _Enough:
            raise
        except Exception as error:
            passed, text = False, f"{type(error).__name__}: {error}"[:300]
        report(number, passed, text)
        if not passed and job["early_stop"]:
            raise _Enough

    try:
        link.greet()
    except Exception as error:  # the program's own, or what cannot be read
        report("load", False, str(error)[:300])
        return 0
    names: dict[str, Any] = {"__name__": "tests", job["record"]: record}
    try:
        exec(compile(job["setup"], "setup.py", "exec"), names)
        for name in job["names"]:
            # A method of a new Solution goes by its own name as well.
            names[name] = names[name.rpartition(".")[2]] = _stub(link, name)
        if job["entry_point"]:
            names["candidate"] = names[job["entry_point"]]
        exec(compile(job["tests"], "tests.py", "exec"), names)
    except _Enough:
        pass
    except BaseException as error:
        report("error", False, f"{type(error).__name__}: {error}"[:300])
        traceback.print_exc(limit=5, file=sys.stderr)
    report("end")
    return 0


def _stub(link: Link, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return link.call(None, name, list(args), kwargs)

    call.__name__ = name
    return call
