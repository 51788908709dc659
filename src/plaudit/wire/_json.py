"""JSON bodies, read strictly: what is not exactly what the format says is an error that names the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from plaudit.errors import PlauditError


class WireError(PlauditError, ValueError):
    """A body is not what its format says; `field` names the place, the values themselves are not repeated.

    >>> str(WireError("choices[0].index", "a number", "text of 3 characters"))
    'choices[0].index: expected a number, got text of 3 characters'
    """

    def __init__(self, field: str, expected: str, given: str) -> None:
        super().__init__(f"{field}: expected {expected}, got {given}")
        self.field = field
        self.expected = expected
        self.given = given

    def __reduce__(self) -> tuple[type[WireError], tuple[str, str, str]]:
        return WireError, (self.field, self.expected, self.given)


class _DuplicateError(ValueError):
    """A JSON object names the same member twice."""


def encode_json(value: Any) -> bytes:
    """The UTF-8 bytes of a JSON body; a lone surrogate, which UTF-8 cannot hold, is sent as U+FFFD.

    Raises WireError for NaN, infinities and objects that JSON does not have.

    >>> encode_json({"text": "é"}).decode()
    '{"text":"é"}'
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError("body", "JSON values", f"something else ({error})") from error
    return well_formed(text).encode()


def well_formed(text: str) -> str:
    r"""The text with each lone surrogate replaced by U+FFFD; a pair of surrogates becomes its character.

    >>> well_formed("a\ud800b") == "a\ufffdb"
    True
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def decode_json(body: bytes, field: str = "body") -> Any:
    """The value of a JSON body.

    Raises WireError for bytes that are not UTF-8, text that is not one whole JSON value, NaN and infinities, members named
    twice, and nesting or numbers too large to read.

    >>> decode_json(b'{"a": 1}')
    {'a': 1}
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise WireError(field, "UTF-8 text", f"byte {body[error.start]:#04x} at {error.start}") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        given = f"{len(text)} characters that break off or go wrong at {error.pos}"
        raise WireError(field, "one whole JSON value", given) from error
    except _DuplicateError as error:
        raise WireError(field, "each member once", str(error)) from error
    except (RecursionError, ValueError) as error:
        raise WireError(field, "numbers and nesting of sane size", "a value too deep or too long to read") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _DuplicateError("an object with the same member twice")
    return members


def describe(value: Any) -> str:
    """What kind of JSON value this is, without its content: bodies may hold secrets and megabytes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return f"a Python {type(value).__name__}"


def need_object(value: Any, field: str) -> Mapping[str, Any]:
    """The value, which must be an object."""
    if not isinstance(value, Mapping):
        raise WireError(field, "an object", describe(value))
    return value


def need_list(value: Any, field: str, at_least: int = 0) -> list[Any] | tuple[Any, ...]:
    """The value, which must be a list with so many entries."""
    if not isinstance(value, (list, tuple)) or len(value) < at_least:
        raise WireError(field, "a list" if not at_least else f"a list of at least {at_least}", describe(value))
    return value


def need_text(value: Any, field: str) -> str:
    """The value, which must be text; lone surrogates become U+FFFD."""
    if not isinstance(value, str):
        raise WireError(field, "text", describe(value))
    return well_formed(value)


def optional_text(value: Any, field: str) -> str | None:
    """The value, which must be text or null."""
    return None if value is None else need_text(value, field)


def need_count(value: Any, field: str, at_least: int = 0) -> int:
    """The value, which must be a whole number; true and 3.0 are not."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise WireError(field, f"a whole number of at least {at_least}", describe(value))
    return value


def need_number(value: Any, field: str) -> float:
    """The value, which must be a finite number; true is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise WireError(field, "a finite number", describe(value))
    return float(value)


def need_flag(value: Any, field: str) -> bool:
    """The value, which must be true or false."""
    if not isinstance(value, bool):
        raise WireError(field, "true or false", describe(value))
    return value
