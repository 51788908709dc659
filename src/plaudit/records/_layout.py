"""Which column of a row is which field of a sample or a pair."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit.errors import DataError
from plaudit.records._decode import check_name, kind_of, shape_of
from plaudit.records._rejected import RowError

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt",),
    "completion": ("completion", "response"),
    "completions": ("completions",),
    "labels": ("labels",),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "messages": ("messages",),
    "reference": ("reference", "answer", "solution", "ground_truth", "reward_model.ground_truth"),
    "id": ("id",),
    "group": ("group",),
    "group_size": ("group_size",),
    "tokens": ("tokens",),
    "logprobs": ("logprobs",),
    "tools": ("tools",),
    "finish": ("finish",),
}
_PAIR_SPELLINGS: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt",), "chosen": ("chosen",), "rejected": ("rejected",),
    "margin": ("margin",), "tie": ("tie",), "annotator": ("annotator",),
}  # fmt: skip
_SOURCES = (
    frozenset({"completion"}),
    frozenset({"completions", "labels"}),
    frozenset({"chosen", "rejected"}),
    frozenset({"messages"}),
)  # the ways in which a row holds responses
_PLANS = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What the columns of one kind of row mean.

    Fields:
        paths: for each field the paths that may hold it, the first that is not null counts.
        rest: the columns that no field claims.
        simple: the columns (prompt, completion, reference, id) when there is nothing else to look at, else None.
    """

    paths: Mapping[str, tuple[tuple[str, ...], ...]]
    rest: tuple[str, ...]
    simple: tuple[str, str, str | None, str | None] | None


class Layout:
    """The columns of a file; `columns` says where a field stands when it is not under its own name.

    A name with dots reaches into a column that holds an object (``{"completion": "output.text"}``). Raises DataError for a field
    that does not exist.
    """

    def __init__(self, columns: Mapping[str, str] | None = None, *, pairs: bool = False) -> None:
        self._spellings = dict(_PAIR_SPELLINGS if pairs else _SPELLINGS)
        self._asked: dict[str, str] = {}
        for field, column in (columns or {}).items():
            name = "completion" if field == "response" and not pairs else field
            if name not in self._spellings:
                near = difflib.get_close_matches(field, self._spellings, 1)
                hint = f": did you mean {near[0]!r}?" if near else f": expected one of {', '.join(self._spellings)}"
                raise DataError(f"columns names {field!r}, which is no field{hint}")
            if not isinstance(column, str) or not column:
                raise DataError(f"columns[{field!r}] is {column!r}: expected the name of a column")
            self._spellings[name] = (column,)
            self._asked[name] = column
        asked = [source for source in _SOURCES if not source.isdisjoint(self._asked)]
        if asked and not pairs:  # who says where the response stands does not mean another column
            for field in frozenset[str]().union(*_SOURCES) - frozenset[str]().union(*asked):
                del self._spellings[field]
        self._plans: dict[tuple[str, ...], Plan] = {}

    def plan(self, row: dict[str, Any]) -> Plan:
        """The plan for rows with these columns; raises RowError when a name is unusable or a column that was named is missing."""
        names = tuple(row)
        plan = self._plans.get(names)
        if plan is None:
            plan = self._make(row)
            if len(self._plans) >= _PLANS:  # a file whose every row has other columns must not fill the memory
                self._plans.clear()
            self._plans[names] = plan
        return plan

    def _make(self, row: dict[str, Any]) -> Plan:
        for name in row:
            check_name(name)
        paths: dict[str, tuple[tuple[str, ...], ...]] = {}
        for field, spellings in self._spellings.items():
            found = [(s,) if s in row else tuple(s.split(".")) for s in spellings if s in row or s.partition(".")[0] in row]
            if found:
                paths[field] = tuple(found)
            elif field in self._asked:
                raise RowError(field, f"there is no column {self._asked[field]!r} as columns says; the row has {shape_of(row)}")
        claimed = {path[0] for found in paths.values() for path in found if len(path) == 1}
        rest = tuple(name for name in row if name not in claimed)
        return Plan(paths, rest, _simple(paths))


def _simple(paths: Mapping[str, tuple[tuple[str, ...], ...]]) -> tuple[str, str, str | None, str | None] | None:
    """The columns (prompt, completion, reference, id) of a row that has no other field and each of these in one place."""
    if not {"prompt", "completion"} <= paths.keys() <= {"prompt", "completion", "reference", "id"}:
        return None
    if any(len(found) > 1 or len(found[0]) > 1 for found in paths.values()):
        return None
    names = {field: found[0][0] for field, found in paths.items()}
    return names["prompt"], names["completion"], names.get("reference"), names.get("id")


class Fields:
    """The fields of one row: each column is handed out once, what was not asked for stays for `meta`."""

    __slots__ = ("_plan", "_row", "_used", "names")

    def __init__(self, row: dict[str, Any], plan: Plan) -> None:
        self._row, self._plan = row, plan
        self._used: set[str] = set()
        self.names: dict[str, str] = {}

    def take(self, field: str) -> Any:
        """The field's value, None when it is missing or null; `names` then says which column it came from."""
        for path in self._plan.paths.get(field, ()):
            if (value := self._at(path)) is not None:
                self.names[field] = ".".join(path)
                if len(path) == 1:
                    self._used.add(path[0])
                return value
        return None

    def _at(self, path: tuple[str, ...]) -> Any:
        value: Any = self._row
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def peek(self, field: str) -> Any:
        """The field's value without taking it; None when it is missing or null."""
        return next((value for path in self._plan.paths.get(field, ()) if (value := self._at(path)) is not None), None)

    def has(self, *fields: str) -> bool:
        """Whether all these fields are there and not null."""
        return all(self.peek(field) is not None for field in fields)

    def give_back(self, field: str) -> None:
        """Leave a column to `meta` after all."""
        self._used.discard(self.names.pop(field, ""))

    def name(self, field: str) -> str:
        """The column that a field came from, for messages."""
        return self.names.get(field, field)

    def meta(self) -> dict[str, Any]:
        """The columns that no field took; a column of a known name that is null is left out."""
        row, rest = self._row, self._plan.rest
        if len(rest) == len(row) - len(self._used):
            return {name: row[name] for name in rest}
        kept = set(rest)
        return {name: value for name, value in row.items() if name in kept or (name not in self._used and value is not None)}


def text_or_messages(name: str, value: Any) -> Any:
    """A prompt or a response: text, messages, or one message (then a list of it). Raises RowError."""
    if type(value) is str:
        return value
    if type(value) is dict and "role" in value:
        value = [value]
    if type(value) is not list:
        raise RowError(name, f"holds {kind_of(value)}: expected text, or a list of messages")
    return messages(name, value)


def messages(name: str, value: Any) -> list[dict[str, Any]]:
    """A list of chat messages; raises RowError naming the message that is not one."""
    if type(value) is not list:
        raise RowError(name, f"holds {kind_of(value)}: expected a list of messages")
    for k, message in enumerate(value):
        if type(message) is not dict:
            raise RowError(
                name, f'message {k} is {kind_of(message)}: expected an object such as {{"role": "user", "content": …}}'
            )
        if type(message.get("role")) is not str:
            raise RowError(name, f"message {k} has no 'role': expected 'system', 'user', 'assistant' or 'tool'")
        content = message.get("content")
        parts = type(content) is list and all(type(part) is dict or type(part) is str for part in content)
        if content is not None and type(content) is not str and not parts:
            raise RowError(name, f"message {k} has {kind_of(content)} as content: expected text, a list of parts or null")
    return value


def label(name: str, value: Any) -> str | None:
    """An id, a group, an annotator: text or a whole number, as text; None stays None. Raises RowError."""
    if value is None:
        return None
    if type(value) is float and value.is_integer():  # a table with one missing number holds them all as floats
        value = int(value)
    if type(value) is int:
        return str(value)
    if type(value) is not str or not value:
        shown = "is empty" if value == "" else f"holds {kind_of(value)}"
        raise RowError(name, f"{shown}: expected text or a whole number")
    return value
