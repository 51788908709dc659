"""Unreadable rows on their way to ``rejected.jsonl``, however many there are."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from plaudit.errors import RunError
from plaudit.records import Rejected, write_rejected


class RejectedRows:
    """Collects rejected rows in a temporary file, so that memory holds none of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Rejected | None = None
        self._file: BinaryIO | None = None  # made with the first row

    def add(self, rejected: Rejected) -> None:
        """Take one in."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="plaudit-")  # noqa: SIM115 (lives as long as this object)
            self.first = rejected
        pickle.dump(rejected, self._file)
        self.count += 1

    def write(self, folder: Path) -> None:
        """Write ``rejected.jsonl``, which replaces that of an earlier call. Raises RunError when the disk is full."""
        if self.count == 0 and not (folder / "rejected.jsonl").exists():
            return
        try:
            write_rejected(folder, self._all())
        except OSError as error:
            raise RunError(f"{folder / 'rejected.jsonl'} cannot be written: {error.strerror or error}") from error

    def _all(self) -> Iterator[Rejected]:
        if self._file is None:
            return
        self._file.seek(0)
        for _ in range(self.count):
            yield pickle.load(self._file)
