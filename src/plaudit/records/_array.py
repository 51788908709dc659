"""Rows of a file that holds one JSON array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plaudit.records._decode import check_values, decode_prefix, kind_of
from plaudit.records._rejected import RowError

_SPACE = " \t\r\n"


def array_rows(raw: bytes) -> Iterator[tuple[int, dict[str, Any] | None, RowError | None, str]]:
    """The elements of a JSON array one by one, counted from 1; what follows a break is one rejected row."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        yield 1, None, RowError(None, f"byte {error.start + 1} of the file is not UTF-8: save the file as UTF-8"), ""
        return
    number, position = 1, _skip(text, text.index("[") + 1)
    if text[position : position + 1] == "]":
        return
    while True:
        try:
            value, end = decode_prefix(text, position)
            shown = text[position : min(end, position + 2000)]
            position = _skip(text, end)
            mark = text[position : position + 1]
            if mark not in (",", "]"):
                raise RowError(
                    None, f"not JSON: expected ',' or ']' at character {position + 1} of the file: later rows are lost"
                )
        except RowError as error:
            yield number, None, error, text[position : position + 2000]
            return
        yield (number, *_checked(value), shown)
        if mark == "]":
            return
        position = _skip(text, position + 1)
        number += 1


def _checked(value: Any) -> tuple[dict[str, Any] | None, RowError | None]:
    if type(value) is not dict:
        return None, RowError(None, f"the array holds {kind_of(value)} here: expected an object with named columns")
    try:
        check_values(value)
    except RowError as error:
        return None, error
    return value, None


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] and text[position] in _SPACE:
        position += 1
    return position
