"""What became of one item of the cpu lane."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from plaudit.errors import PlauditError
from plaudit.run import _pool_wire as wire


class Ending(StrEnum):
    """How an item ended; the first four are the item's own doing, the others are ours."""

    DONE = auto()
    RAISED = auto()
    OVERRAN = auto()
    OUT_OF_MEMORY = auto()
    LOST = auto()
    STARVED = auto()
    CANCELLED = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ending of one item: its value when DONE, its error when RAISED, seconds of wall time on the worker."""

    ending: Ending
    value: Any = None
    error: BaseException | None = None
    detail: str | None = None
    seconds: float = 0.0


class RemoteError(PlauditError):
    """Stands in for an exception that cannot travel between processes; type_name and message are the original's."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message

    def __reduce__(self) -> tuple[type[RemoteError], tuple[str, str]]:
        return RemoteError, (self.type_name, self.message)


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer to one item, not unpickled yet: that may run user code, which has its own thread."""

    code: int
    seconds: float
    payload: bytes

    def outcome(self) -> Outcome:
        if self.code == wire.DONE:
            return _done(self)
        if self.code == wire.OUT_OF_MEMORY:
            return Outcome(Ending.OUT_OF_MEMORY, detail="the worker's memory limit was reached", seconds=self.seconds)
        blob, type_name, message, detail, _ = pickle.loads(self.payload)
        return Outcome(Ending.RAISED, error=_error(blob, type_name, message), detail=detail, seconds=self.seconds)

    def missing_module(self) -> str | None:
        """Name of the module that an UNLOADABLE answer found missing."""
        missing = pickle.loads(self.payload)[4]
        return missing if isinstance(missing, str) else None


def _done(answer: Answer) -> Outcome:
    try:
        return Outcome(Ending.DONE, pickle.loads(answer.payload), seconds=answer.seconds)
    except BaseException as error:  # user code runs here: a __setstate__, an import
        return Outcome(
            Ending.RAISED,
            error=RemoteError(type(error).__qualname__, f"the result cannot be loaded in this process: {error}"),
            seconds=answer.seconds,
        )


def _error(blob: bytes | None, type_name: str, message: str) -> BaseException:
    if blob is not None:
        try:
            error = pickle.loads(blob)
        except BaseException:  # many exceptions pickle but do not unpickle: an __init__ with other arguments
            error = None
        if isinstance(error, BaseException):
            return error
    return RemoteError(type_name, message)
