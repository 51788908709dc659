"""One line of a file into one row of JSON values, or the reason why not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn

from plaudit.records._rejected import RowError

_SPACE = " \t\r\n"

MAX_DEPTH = 64
"""Levels of nesting that a column may have: deeper values would break whoever walks them later."""


def decode_line(raw: bytes) -> dict[str, Any]:
    """The row on one line of a JSON-lines file.

    Stricter than the standard reader where that one would pass on data that cannot be written again or that hides a loss: NaN and
    Infinity, a name that stands twice in one object, text that is not UTF-8. Raises RowError.
    """
    try:
        text = raw.decode("utf-8")
        row, end = _scan(text, 0)
    except UnicodeDecodeError as error:
        raise RowError(None, f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8") from None
    except (StopIteration, ValueError, RecursionError):  # wrong, or space before the row: the slow way says which
        start = len(text) - len(text.lstrip(_SPACE))
        row, end = decode_prefix(text, start)
    if end != len(text) and text[end:] != "\n" and (rest := text[end:].lstrip(_SPACE)):
        end = len(text) - len(rest)
        raise RowError(None, f"not JSON: something follows at column {end + 1}: each row stands on a line of its own")
    if type(row) is not dict:
        raise RowError(None, f'the line holds {kind_of(row)}: expected an object with named columns, {{"prompt": …}}')
    return row


def decode_prefix(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and where it ends; raises RowError."""
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise RowError(None, f"not JSON: expected a value at column {stop.value + 1}{_cut(text)}") from None
    except json.JSONDecodeError as error:
        raise RowError(None, f"not JSON: {error.msg} at column {error.pos + 1}{_cut(text)}") from None
    except RecursionError:
        raise RowError(None, f"nested too deeply: at most {MAX_DEPTH} levels can be read") from None
    except ValueError as error:  # the interpreter refuses to convert a whole number of thousands of digits
        raise RowError(None, str(error)) from None
    return value, end


def _cut(text: str) -> str:
    text = text.rstrip(_SPACE)
    return "" if text[-1:] in "]}" else " (the line is cut off)" if text[:1] in "[{" else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in row if names.count(name) > 1)
        raise RowError(twice[:80], f"the name {twice[:80]!r} stands twice in one object: keep one")
    return row


def _constant(name: str) -> NoReturn:
    raise RowError(None, f"{name} is not JSON: write null, or leave the column out")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)
_scan: Callable[[str, int], tuple[Any, int]] = vars(_decoder)["scan_once"]  # what `loads` calls, without its search for space


def check_values(row: dict[str, Any]) -> None:
    """Raise RowError unless every value of a row can be written as UTF-8 and as JSON again, and none is nested too deeply."""
    for name, value in row.items():
        kind = type(value)
        if kind is str:
            if not value.isascii():
                _check_text(name, value)
        elif kind is list or kind is dict:
            _check_inside(name, value, 1)
        elif kind is float and not isfinite(value):
            raise RowError(name, f"the number is too large for a float ({value})")


def _check_inside(name: str, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RowError(name, f"nested deeper than {MAX_DEPTH} levels")
    if type(value) is dict:
        for key in value:
            if not key.isascii():
                _check_text(name, key)
        value = value.values()
    for item in value:
        kind = type(item)
        if kind is str:
            if not item.isascii():
                _check_text(name, item)
        elif kind is list or kind is dict:
            _check_inside(name, item, depth + 1)
        elif kind is float and not isfinite(item):
            raise RowError(name, f"a number is too large for a float ({item})")


def _check_text(name: str, text: str) -> None:
    # Only an escape such as \ud83d can smuggle half a surrogate pair into a str; it would break hashing and Parquet later.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(text[error.start]):04x}"
        message = (
            f"character {error.start + 1} is the lone surrogate {code} (half a character, text cut in two): repair or drop it"
        )
        raise RowError(name.encode("utf-8", "backslashreplace").decode("utf-8"), message) from None


def check_name(name: str) -> None:
    """Raise RowError when the name of a column cannot be written as UTF-8."""
    if not name.isascii():
        _check_text(name, name)


def plain(value: Any) -> Any:
    """A Parquet value as the JSON value it stands for.

    NaN becomes None (how tables write "nothing"), dates their ISO text, decimals their text, bytes ``{"base64": …}``, a map a
    list of its pairs.
    """
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is float:
        return value if value == value else None
    if kind is dict:
        return {str(name): plain(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def without_padding(value: Any) -> Any:
    """The same messages without the None that Parquet writes into every struct for names that a message does not have."""
    if type(value) is dict:
        return {name: without_padding(item) for name, item in value.items() if item is not None}
    return [without_padding(item) for item in value] if type(value) is list else value


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's own words.

    >>> kind_of([1]), kind_of(None), kind_of(True)
    ('a list', 'null', 'true or false')
    """
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def shape_of(row: dict[str, Any]) -> str:
    """The columns of a row with what they hold, for messages.

    >>> shape_of({"question": "2+2?", "label": True})
    'question (text), label (true or false)'
    """
    shown = [f"{name[:40]} ({kind_of(value)})" for name, value in list(row.items())[:8]]
    return ", ".join(shown) + (f" and {len(row) - 8} more" if len(row) > 8 else "") if row else "none"
