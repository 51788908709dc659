"""Files of rows, read one row at a time in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from plaudit.errors import DataError
from plaudit.records._decode import check_values, decode_line
from plaudit.records._rejected import RowError

if TYPE_CHECKING:
    _Bytes = io.BufferedReader[Any]

Format = Literal["jsonl", "json", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonl.gz": "jsonl", ".ndjson.gz": "jsonl", ".json": "json", ".json.gz": "json",
    ".parquet": "parquet",
}  # fmt: skip
_STDIN = "-"
_BLOCK = 1 << 20
_BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


RawRow = tuple[int, dict[str, Any] | None, RowError | None, bytes | str | None]
"""A row before its columns mean anything: its number from 1, its values or what is wrong with it, and how it looks.

A plain tuple, because one is made for every row of a file.
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was found and whose format is known; iterating reads it from the start.

    Raises DataError when it cannot be opened, breaks while being read, or has no row at all.
    """

    path: str
    format: Format
    max_row_bytes: int

    def __iter__(self) -> Iterator[RawRow]:
        rows = _parquet(self.path) if self.format == "parquet" else self._text_rows()
        empty = True
        try:
            for row in rows:
                empty = False
                yield row
        except (OSError, *_BROKEN_GZIP) as error:
            raise DataError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if empty:
            raise DataError(f"{self.path}: has no rows: expected at least one row with a prompt and a response")

    def _text_rows(self) -> Iterator[RawRow]:
        with _opened(self.path) as file:
            if self.format == "json" and file.peek(1).lstrip()[:1] == b"[":
                yield from self._array(file)
            else:
                yield from _lines(file, self.max_row_bytes)

    def _array(self, file: _Bytes) -> Iterator[RawRow]:
        from plaudit.records._array import array_rows

        raw = file.read(self.max_row_bytes + 1)
        if len(raw) > self.max_row_bytes:
            raise DataError(
                f"{self.path}: is one JSON array of more than {self.max_row_bytes:,} bytes, which must be read whole: "
                "write one row per line (.jsonl), or raise max_row_mb"
            )
        yield from array_rows(raw)


def open_source(path: str | os.PathLike[str], format: Format | None = None, max_row_mb: float = 256.0) -> Source:
    """Find a data file and its format; ``-`` is the standard input as JSON lines. Raises DataError."""
    name = os.fspath(path)
    limit = int(max_row_mb * 2**20)
    if limit < 1:
        raise DataError(f"max_row_mb is {max_row_mb}: expected a size above 0")
    if name == _STDIN:
        if format == "parquet":
            raise DataError("standard input: Parquet needs a file that can be searched: write it to one and name that")
        return Source(name, format or "jsonl", limit)
    found = Path(name)
    if not os.path.exists(name):  # unlike Path.exists, False also where a folder above may not be searched
        raise DataError(f"{name}: there is no such file (looked in {found.absolute().parent})")
    if found.is_dir():
        inside = sorted(p.name for p in found.iterdir() if _format_of(p.name))[:3]
        raise DataError(f"{name}: is a folder: name a file{f' in it, such as {inside[0]}' if inside else ''}")
    known = format or _format_of(found.name)
    if known is None:
        raise DataError(f"{name}: the format is not known by its ending: expected {', '.join(_ENDINGS)}, or format='jsonl'")
    if not os.access(name, os.R_OK):
        raise DataError(f"{name}: may not be read by this user: change its permissions")
    if found.is_file() and found.stat().st_size == 0:
        raise DataError(f"{name}: is empty: expected at least one row with a prompt and a response")
    return Source(name, known, limit)


def digest_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits: what a run's manifest says of its data. Raises DataError."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from error


def _format_of(name: str) -> Format | None:
    return next((known for ending, known in _ENDINGS.items() if name.lower().endswith(ending)), None)


@contextmanager
def _opened(path: str) -> Iterator[_Bytes]:
    """The bytes of a text file, unpacked when they are gzip, past a byte-order mark; the standard input stays open."""
    plain: Any = sys.stdin.buffer if path == _STDIN else Path(path).open("rb", buffering=_BLOCK)  # noqa: SIM115 (closed below)
    try:
        file: _Bytes = plain if isinstance(plain, io.BufferedReader) else io.BufferedReader(plain)
        head = file.peek(4)[:4]
        if head[:2] == b"\x1f\x8b":
            file = io.BufferedReader(_Unpacked(file), _BLOCK)
            head = _peek_gzip(file)
        if head[:4] == b"PAR1":
            raise DataError(f"{path}: is a Parquet file: name it .parquet, or give format='parquet'")
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{path}: is UTF-16 text: save it as UTF-8")
        if head[:3] == b"\xef\xbb\xbf":
            file.read(3)
        yield file
    finally:
        if path != _STDIN:
            plain.close()


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzip file as they come, so that all before a break in it are handed out."""

    def __init__(self, packed: _Bytes) -> None:
        self._file = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _peek_gzip(file: _Bytes) -> bytes:
    try:
        return file.peek(4)[:4]
    except _BROKEN_GZIP:
        return b""  # the first read meets the same break and reports it as a row


def _lines(file: _Bytes, limit: int) -> Iterator[RawRow]:
    """Rows of JSON lines, split on ``\\n`` only; a line above the limit is refused without being held in memory."""
    readline = file.readline
    number = 0
    while True:
        number += 1
        try:
            raw = readline(limit + 1)
            if not raw:
                return
            if len(raw) > limit and raw[-1] != 10:
                raw = raw[:4096]
                while (rest := readline(_BLOCK)) and rest[-1] != 10:
                    pass
                yield (number, None, RowError(None, f"the line is longer than {limit:,} bytes: raise max_row_mb"), raw)
                continue
        except _BROKEN_GZIP as error:
            yield (number, None, RowError(None, f"the gzip file breaks off here ({error}): copy it again"), None)
            return
        if raw.isspace():
            continue
        try:
            row = decode_line(raw)
            check_values(row)
        except RowError as error:
            yield (number, None, error, raw)
        else:
            yield (number, row, None, raw)


def _parquet(path: str) -> Iterator[RawRow]:
    from plaudit.records._parquet import parquet_rows

    for number, (row, error) in enumerate(parquet_rows(path), 1):
        if row is not None:
            try:
                check_values(row)
            except RowError as found:
                yield (number, None, found, None)
                continue
        yield (number, row, error, None)
