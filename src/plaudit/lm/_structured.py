"""JSON out of a model's text: asked for by schema, read leniently, checked strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from plaudit.errors import SpecError
from plaudit.lm._errors import SchemaMismatch
from plaudit.types import Message

_LONGEST_TEXT = 1_000_000  # characters
_MOST_OBJECTS = 64
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*(?:json|JSON)?[ \t]*\n(.*)\n[ \t]*\1", re.DOTALL)
_OBJECT = re.compile(r"\{(?=\s{0,1000}[\"'])")


def ask_for_json(messages: Sequence[Message], schema: Mapping[str, Any]) -> list[Message]:
    """The messages with the schema written out at the end, for an endpoint that takes no ``response_format``.

    >>> ask_for_json([{"role": "user", "content": "Age?"}], {"type": "integer"})[-1]["content"].splitlines()[0]
    'Age?'
    """
    text = "Reply with one JSON value and nothing else. It must satisfy this JSON schema:\n" + json.dumps(
        schema, ensure_ascii=False
    )
    last = messages[-1]
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{text}"}]
    return [*messages, {"role": "user", "content": text}]


def read_json(text: str, schema: Mapping[str, Any]) -> Any:
    """The one JSON value in a model's reply that satisfies the schema.

    The reply may be that value alone, also in a code fence, or hold it as an object in running text, after a ``<think>``
    part. A reply may quote what it judges, so nothing is chosen when objects in it contradict each other: every object that
    has one of the schema's required members must satisfy the schema, and they must be equal.

    Raises SchemaMismatch that says why nothing can be read, SpecError for a schema with a keyword that is not checked.

    >>> read_json('Sure: {"score": 3}.', {"type": "object", "required": ["score"]})
    {'score': 3}
    """
    check_schema(schema)
    if len(text) > _LONGEST_TEXT:
        raise SchemaMismatch(f"the reply has {len(text)} characters, more than the {_LONGEST_TEXT} that are read")
    _, thought, text = text.rpartition("</think>")
    if not thought and "<think>" in text:
        raise SchemaMismatch("the reply ends inside its thinking part")
    text = text.strip()
    fence = _FENCE.fullmatch(text)
    alone = fence[2].strip() if fence else text
    value, end = _decode(alone)
    if not isinstance(value, _Problem) and end == len(alone):
        problem = check(value, schema)
        if problem is None:
            return value
        raise SchemaMismatch(f"the reply is JSON of another form: {problem}")
    return _only_object(text, schema)


def _only_object(text: str, schema: Mapping[str, Any]) -> Any:
    found: list[Any] = []
    for value in _objects(text):
        if isinstance(value, _Problem):
            raise SchemaMismatch(f"a JSON object in the reply is broken: {value}")
        problem = check(value, schema)
        if problem is None and value not in found:
            found.append(value)
        elif problem is not None and set(schema.get("required", ())) & set(value):
            raise SchemaMismatch(f"a JSON object in the reply has another form: {problem}")
    if len(found) != 1:
        given = f"{len(found)} different ones" if found else "none"
        raise SchemaMismatch(f"expected one JSON value of the asked form in the reply, found {given}")
    return found[0]


class _Problem(str):
    """Why a candidate could not be read."""


def _decode(text: str, start: int = 0) -> tuple[Any, int]:
    """The value that starts there and where it ends; a `_Problem` and the start when there is none."""
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    try:
        return decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return _Problem(f"{error.msg} at character {error.pos}"), start
    except (ValueError, RecursionError) as error:
        return _Problem(str(error)), start


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _objects(text: str) -> Iterator[Any]:
    """Every outermost JSON object, a `_Problem` for what begins like one and is none; other braces are passed over."""
    start = _OBJECT.search(text)
    for _ in range(_MOST_OBJECTS):
        if start is None:
            return
        value, end = _decode(text, start.start())
        yield value
        start = _OBJECT.search(text, max(end, start.end()))
    if start is not None:
        raise SchemaMismatch(f"the reply holds more than {_MOST_OBJECTS} JSON objects")


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, Mapping),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v == v // 1,
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
_ANNOTATIONS = {"title", "description", "$schema"}
_KEYWORDS = {"type", "enum", "properties", "required", "additionalProperties", "items", "minimum", "maximum", "minLength"}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise SpecError for a schema with a keyword that `check` does not know: what is not checked must not look checked.

    Known are type, enum, properties, required, additionalProperties (true or false), items, minimum, maximum, minLength.
    """
    unknown = set(schema) - _KEYWORDS - _ANNOTATIONS
    if unknown:
        raise SpecError(f"JSON schema keyword {min(unknown)!r} is not checked here; known: {', '.join(sorted(_KEYWORDS))}")
    for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        check_schema(part)


def check(value: Any, schema: Mapping[str, Any], place: str = "the value") -> str | None:
    """What is wrong with a value under a JSON schema, in one sentence; None = nothing.

    The schema must have passed `check_schema`.

    >>> check({"score": "3"}, {"type": "object", "properties": {"score": {"type": "integer"}}})
    'the value.score is not of type integer'
    """
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind or []
    if kinds and not any(_TYPES[name](value) for name in kinds):
        return f"{place} is not of type {' or '.join(kinds)}"
    if "enum" in schema and not any(type(value) is not bool and value == known for known in schema["enum"]):
        return f"{place} is not one of the allowed values"
    if isinstance(value, Mapping):
        return _check_object(value, schema, place)
    if isinstance(value, list) and "items" in schema:
        return next((p for k, v in enumerate(value) if (p := check(v, schema["items"], f"{place}[{k}]"))), None)
    return _check_bounds(value, schema, place)


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], place: str) -> str | None:
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{place} lacks {missing[0]!r}"
    properties = schema.get("properties", {})
    further = [name for name in value if name not in properties]
    if further and schema.get("additionalProperties") is False:
        return f"{place} has a member that is not asked for"
    return next(
        (p for name, v in value.items() if name in properties and (p := check(v, properties[name], f"{place}.{name}"))), None
    )


def _check_bounds(value: Any, schema: Mapping[str, Any], place: str) -> str | None:
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        return f"{place} is shorter than {schema['minLength']} characters"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            return f"{place} is below {schema['minimum']}"
        if value > schema.get("maximum", value):
            return f"{place} is above {schema['maximum']}"
    return None
