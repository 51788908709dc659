"""The lines of a script: canned answers, what they answer, and what goes wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from plaudit.catalog import nearest
from plaudit.errors import DataError, SpecError
from plaudit.lm._errors import (
    BudgetSpent,
    CallError,
    DeadlinePassed,
    ModelRateLimited,
    ModelRejected,
    ModelReplyError,
    ModelUnreachable,
)
from plaudit.wire import WireError, decode_json

_LARGEST_FILE = 64 * 2**20
FAILURES: Mapping[str, type[CallError]] = {
    "unreachable": ModelUnreachable,
    "rejected": ModelRejected,
    "rate_limited": ModelRateLimited,
    "reply": ModelReplyError,
    "budget": BudgetSpent,
    "deadline": DeadlinePassed,
}
_FINISH = ("stop", "length", "tool", "error")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a script: an answer or a failure, for the prompts that it matches.

    Fields:
        answer: a text, or a JSON value that is written out; None where the line fails.
        exact, contains, regex: at most one: the conversation's whole text, a part of it, a pattern that is searched in it. A
            conversation's text is its messages' contents, joined by line breaks. None of them = the line is used in its turn.
        times: how often it is used; None = without end where it matches prompts, once where it waits for its turn.
        finish, reasoning: as in `Completion`.
        logprobs, tokens: of the sampled tokens, as many of both; None = the script does not give them.
        usage: tokens of the prompt and of the completion.
        latency: seconds until the answer, or the failure, is there.
        status: an HTTP status that becomes the failure it would be from an endpoint (429, 500, 401).
        failure: ``"unreachable"``, ``"rejected"``, ``"rate_limited"``, ``"reply"``, ``"budget"`` or ``"deadline"``.
        message: what the failure says.

    Raises SpecError for fields that do not fit.
    """

    answer: Any = None
    exact: str | None = None
    contains: str | None = None
    regex: str | None = None
    times: int | None = None
    finish: Literal["stop", "length", "tool", "error"] = "stop"
    reasoning: str | None = None
    logprobs: tuple[float, ...] | None = None
    tokens: tuple[int, ...] | None = None
    usage: tuple[int, int] = (0, 0)
    latency: float = 0.0
    status: int | None = None
    failure: str | None = None
    message: str = "as the script says"

    def __post_init__(self) -> None:
        if len([m for m in (self.exact, self.contains, self.regex) if m is not None]) > 1:
            raise SpecError("exact, contains and regex exclude each other: give at most one")
        for name in ("exact", "contains", "regex", "reasoning", "failure"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise SpecError(f"{name} is {getattr(self, name)!r}: expected text")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except (re.error, RecursionError, OverflowError) as error:
                raise SpecError(f"regex {self.regex!r} is no pattern: {error}") from error
        if self.failure is not None and self.failure not in FAILURES:
            raise SpecError(f"failure is {self.failure!r}: expected one of {', '.join(FAILURES)}")
        if self.status is not None and not (_is_whole(self.status) and 300 <= self.status < 600):
            raise SpecError(f"status is {self.status!r}: expected an HTTP status from 300 to 599, of a failure")
        if (self.answer is None) == (self.error is None):
            raise SpecError("expected an answer, or a status or failure, and not both")
        if self.finish not in _FINISH:
            raise SpecError(f"finish is {self.finish!r}: expected one of {', '.join(_FINISH)}")
        if not (self.times is None or (_is_whole(self.times) and self.times >= 1)):
            raise SpecError(f"times is {self.times!r}: expected a whole number of at least 1")
        if not (_is_number(self.latency) and self.latency >= 0):
            raise SpecError(f"latency is {self.latency!r}: expected seconds of at least 0")
        self._check_lists()

    def _check_lists(self) -> None:
        for name, fits, kind in (("logprobs", _is_number, "numbers"), ("tokens", _is_whole, "whole numbers"),
                                 ("usage", _is_whole, "whole numbers")):  # fmt: skip
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, (list, tuple)) or not all(map(fits, value)):
                raise SpecError(f"{name} is {value!r}: expected a list of {kind}")
            object.__setattr__(self, name, tuple(value))
        if self.tokens is not None and (self.logprobs is None or len(self.tokens) != len(self.logprobs)):
            raise SpecError("tokens: expected as many as there are logprobs")
        if len(self.usage) != 2:
            raise SpecError("usage: expected two numbers, for the prompt and the completion")

    @property
    def matcher(self) -> bool:
        """Whether it looks at the prompt; else it waits for its turn."""
        return any(m is not None for m in (self.exact, self.contains, self.regex))

    @property
    def uses(self) -> int | None:
        """How often it is used; None = without end."""
        return self.times if self.times is not None or self.matcher else 1

    @property
    def error(self) -> type[CallError] | None:
        """The error that it raises; None = it answers."""
        if self.failure is not None:
            return FAILURES[self.failure]
        if self.status is None:
            return None
        if self.status in (429, 529):
            return ModelRateLimited
        return ModelUnreachable if self.status >= 500 or self.status in (408, 425) else ModelRejected

    @property
    def text(self) -> str:
        """The answer as text."""
        return self.answer if isinstance(self.answer, str) else json.dumps(self.answer, ensure_ascii=False)

    def matches(self, text: str) -> bool:
        """Whether it answers a conversation with that text."""
        if self.exact is not None:
            return self.exact == text
        if self.contains is not None:
            return self.contains in text
        return self.regex is not None and re.search(self.regex, text) is not None


_KNOWN = {f.name for f in fields(Entry)}


def entry_of(given: Any) -> Entry:
    """The entry that a text or the members of a line stand for. Raises SpecError.

    >>> entry_of("4").uses, entry_of({"contains": "2+2", "answer": "4"}).uses
    (1, None)
    """
    if isinstance(given, Entry):
        return given
    if isinstance(given, str):
        return Entry(given)
    if not isinstance(given, Mapping):
        raise SpecError(f"expected a text or an object with 'answer', got {type(given).__name__}")
    unknown = sorted(set(given) - _KNOWN, key=str)
    if unknown:
        raise SpecError(f"unknown member {unknown[0]!r}{nearest(str(unknown[0]), sorted(_KNOWN))}")
    return Entry(**given)


def read_script(path: Path) -> list[Entry]:
    """The entries of a JSONL file, one for each line; empty lines are passed over.

    Raises DataError that names the file and the line, SpecError for a file that is not there or above 64 MiB.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SpecError(f"script {path}: larger than {_LARGEST_FILE:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(f"script {path} cannot be read ({error.strerror}): expected 'scripted:FILE' with a JSONL file") from error
    entries = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entries.append(entry_of(decode_json(line, "line")))
        except (SpecError, WireError) as error:
            raise DataError(f"{path}, line {number}: {error}") from error
    return entries


def digest(entries: Iterable[Entry]) -> str:
    """16 hex digits of what the entries say."""
    said = [[getattr(entry, f.name) for f in fields(Entry)] for entry in entries]
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
