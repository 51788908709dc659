"""Rows that cannot be used: said with file, line and field, and kept aside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import DataError
from plaudit.records._whole import replace_file

RAW_LIMIT = 400
"""Characters of a bad row that are kept."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was put aside.

    Fields:
        path: the file it stands in.
        line: its line (JSON lines) or row (Parquet, JSON array) in that file, counted from 1.
        field: the column that is wrong; None = the whole row is.
        message: what was found, what was expected, what to do.
        raw: the beginning of the row, at most 400 characters, always encodable as UTF-8.

    >>> print(Rejected("a.jsonl", 3, "prompt", "the column is missing"))
    a.jsonl, row 3, prompt: the column is missing
    """

    path: str
    line: int
    field: str | None
    message: str
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.path}, row {self.line}{f', {self.field}' if self.field else ''}: {self.message}"


OnReject = Callable[[Rejected], None]


class RowError(Exception):
    """A row cannot be used; the reader turns it into a `Rejected`."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def refuse(rejected: Rejected) -> None:
    """What happens to a bad row when the caller named no place for it: DataError, so that none is dropped in silence."""
    raise DataError(f"{rejected} (give on_reject=… to put such rows aside and read on)")


def rejected(path: str, line: int, row: Mapping[str, Any] | None, error: RowError, raw: bytes | str | None) -> Rejected:
    """A row's error as the caller gets it."""
    shown = raw if raw is not None else _sketch(row)
    field = None if error.field is None else printable(error.field)
    return Rejected(path, line, field, printable(error.message), printable(shown))


def _sketch(row: Mapping[str, Any] | None) -> str:
    cut = {name: value[:RAW_LIMIT] if isinstance(value, str) else value for name, value in (row or {}).items()}
    return repr(cut) if cut else ""


def printable(raw: bytes | str) -> str:
    """The beginning of a row as text that any encoder accepts: bytes that are not UTF-8 and lone surrogates are escaped."""
    if isinstance(raw, str):
        return raw[:RAW_LIMIT].encode("utf-8", "backslashreplace").decode("utf-8")
    return bytes(raw[: 4 * RAW_LIMIT]).decode("utf-8", "backslashreplace")[:RAW_LIMIT]


def write_rejected(folder: str | os.PathLike[str], rejected: Iterable[Rejected]) -> Path:
    """Write the rows that were put aside to ``rejected.jsonl`` in a folder, whole or not at all; return its path.

    Each line is ``{"path", "line", "field", "message", "raw"}``; no rows give an empty file. Raises OSError when the folder
    cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_rejected(folder, [Rejected("a.jsonl", 3, "prompt", "the column is missing")]).read_text())
    {"path": "a.jsonl", "line": 3, "field": "prompt", "message": "the column is missing", "raw": ""}
    """
    path = Path(folder) / "rejected.jsonl"
    with replace_file(path) as file:
        for bad in rejected:
            row = {"path": bad.path, "line": bad.line, "field": bad.field, "message": bad.message, "raw": bad.raw}
            file.write(json.dumps(row).encode("ascii") + b"\n")
    return path
