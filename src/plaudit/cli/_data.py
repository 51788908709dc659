"""From what stands in the place of DATA to rows."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from plaudit.errors import DataError

if TYPE_CHECKING:
    from plaudit.records import OnReject, Rejected, Row

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Data:
    """A file of rows with the names of its columns; it can be read more than once.

    Fields:
        path: the file that is read.
        name: how messages and manifests call it.
        columns: where a field stands under another name.
    """

    path: str
    name: str
    columns: dict[str, str]

    def check(self) -> None:
        """Raise DataError unless the file is there and the columns that were named are fields."""
        from plaudit.records import read_samples

        with self._under_its_name():
            read_samples(self.path, columns=self.columns or None)

    def rows(self, on_reject: OnReject | None = None) -> Iterator[Row]:
        """The rows from the start. Raises DataError when there is nothing to read."""
        from plaudit.records import read_samples

        def renamed(bad: Rejected) -> None:
            if on_reject is not None:
                on_reject(replace(bad, path=self.name))

        with self._under_its_name():
            yield from read_samples(self.path, columns=self.columns or None, on_reject=on_reject and renamed)

    @contextmanager
    def _under_its_name(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            if self.path == self.name:
                raise
            raise DataError(str(error).replace(self.path, self.name)) from error

    def count_lines(self) -> int | None:
        """How many rows the file seems to hold, for a progress bar; None = that would take too long to find out."""
        path = Path(self.path)
        if path.suffix == ".parquet":
            from pyarrow import parquet

            try:
                return int(parquet.read_metadata(path).num_rows)
            except (OSError, ValueError):
                return None
        if path.suffix not in (".jsonl", ".ndjson"):
            return None
        lines, last = 0, b"\n"
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n")


def open_data(text: str, columns: Sequence[str] = ()) -> Data:
    """The rows that a command line argument names; standard input is kept in a temporary file, to be read more than once.

    Raises DataError for a column option that cannot be understood; a file is opened when its rows are read.
    """
    names = {}
    for option in columns:
        field, equals, name = option.partition("=")
        if not equals or not name:
            raise DataError(f"--column {option}: expected FIELD=NAME, for example --column prompt=question")
        names[field] = name
    if text != "-":
        return Data(text, text, names)
    return Data(_standard_input(), "standard input", names)


def _standard_input() -> str:
    # Kept open, and so alive, until the process ends; the name is gone with it.
    file = tempfile.NamedTemporaryFile(prefix="plaudit-", suffix=".jsonl")  # noqa: SIM115
    _kept.append(file)
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("standard input is a terminal: pipe rows in (… | plaudit score REWARD -), or name a file")
    while block := sys.stdin.buffer.read(_BLOCK):
        file.write(block)
    file.flush()
    return file.name


_kept: list[object] = []
