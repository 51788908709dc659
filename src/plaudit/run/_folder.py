"""A run is a folder: what was run, its verdicts part by part, and how it ended."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RunError
from plaudit.records import replace_file
from plaudit.run._folder_files import (
    MANIFEST,
    PARTS,
    SUMMARY,
    claim_folder,
    close_lock,
    committed_parts,
    disk_failure,
    lock_folder,
    plain_json,
    read_json,
    write_json,
)
from plaudit.run._folder_parts import base_types, encode_part, part_bytes, part_schema, read_part, rows_of

_MOST_ROWS = 10**11


class RunFolder:
    """The verdicts of one reward on one data file, committed part by part.

    ``manifest.json`` says what was run, ``verdicts/part-NNNNN.parquet`` hold the rows, ``summary.json`` stands there when the
    run has ended. Every file is written whole and then renamed: whenever the process dies, what was committed can be read, and a
    resume does the rest. `RunFolder(path)` reads a run, also while it is being written; `RunFolder.open` writes one.

    Fields:
        path: the folder.
        manifest: what `open` was given when the run began.

    Raises RunError when the folder holds no run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RunFolder.open(f"{folder}/run", {"fingerprint": "f", "data_sha256": "d"}) as run:
    ...         run.append({"row": [1, 0], "id": ["b", "a"], "value": [0.5, None], "status": ["scored", "failed"],
    ...                     "reason": [None, "worker_lost"], "answer": [None, None]})
    ...     RunFolder(f"{folder}/run").read(["id", "value"]).to_pylist()
    [{'id': 'a', 'value': None}, {'id': 'b', 'value': 0.5}]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = read_json(self.path / MANIFEST)
        self._descriptor: int | None = None
        self._release: weakref.finalize[..., RunFolder] | None = None
        self._next = 0
        self._done = np.zeros(0, dtype=bool)
        self._schema: Any = None
        self._pending: tuple[Path, NDArray[np.int64], Any] | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        manifest: Mapping[str, Any],
        *,
        resume: bool = True,
        overwrite: bool = False,
        identity: Sequence[str] = ("fingerprint", "data_sha256"),
    ) -> RunFolder:
        """Open a folder for writing: a new one, or one whose run is to go on.

        `manifest` holds JSON values; a run goes on only when its values under `identity` are the same. `resume=False` refuses a
        folder that holds a run, `overwrite` deletes the run in it first. The folder is locked until it is closed or the process
        ends, however it ends.

        Raises RunError when another process writes it, when it holds another run or something else, or cannot be written.
        """
        folder = Path(path)
        wanted = plain_json(manifest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_failure(folder, error) from error
        descriptor = lock_folder(folder)
        try:
            claim_folder(folder, wanted, resume, overwrite, tuple(identity))
            run = cls(folder)
            run._resume()
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                raise disk_failure(folder, error) from error
            raise
        run._descriptor = descriptor
        run._release = weakref.finalize(run, close_lock, descriptor, os.getpid())
        _writers.add(run)
        return run

    @property
    def committed(self) -> NDArray[np.int64]:
        """(k,) the row numbers that are on disk, ascending: what a resume leaves out. Only of a folder opened for writing."""
        self._settle()
        return np.flatnonzero(self._done).astype(np.int64)

    @property
    def summary(self) -> dict[str, Any] | None:
        """What `finish` was given; None while the run has not ended."""
        path = self.path / SUMMARY
        return read_json(path) if path.exists() else None

    def append(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
        """Commit rows: when this returns they are all on disk, when it raises RunError none of them is.

        `columns` holds `row` (whole numbers from 0, each once in a run) and further columns of the same length and, after the
        first part, of the same names. `id`, `status`, `reason`, `answer` and `explanation` are text, `value` is float64; of
        others whole-number arrays stay so, numbers become float64, strings text. NaN and None are null. No rows commit nothing.

        Raises RunError when the folder is not open for writing, a row is committed already, columns do not fit, or the disk is
        full (then the message says how much space is left).
        """
        self._refuse_reader()
        self._settle()
        table = encode_part(columns, self._schema)
        if table.num_rows == 0:
            return
        rows = self._checked(rows_of(table))
        number, self._next = self._next, self._next + 1  # a number is used once, also when writing is interrupted
        target = self.path / PARTS / f"part-{number:05d}.parquet"
        data = part_bytes(table)
        self._pending = (target, rows, table.schema)
        try:
            (self.path / SUMMARY).unlink(missing_ok=True)  # a run that goes on has not ended
            with replace_file(target) as file:
                file.write(data)
        except OSError as error:
            raise disk_failure(target, error) from error
        finally:
            self._settle()

    def _settle(self) -> None:
        """Note the rows of the part under way if it is on disk; may be interrupted anywhere, and is then done again."""
        if self._pending is not None:
            target, rows, schema = self._pending
            if target.exists():  # an interrupt may come after the renaming
                self._done[rows] = True
                self._schema = schema if self._schema is None else self._schema
            self._pending = None

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Say that the run has ended, and how. Raises RunError."""
        self._refuse_reader()
        write_json(self.path / SUMMARY, plain_json(summary))

    def read(self, columns: Sequence[str] | None = None) -> Any:
        """The committed rows as one Arrow table in the order of `row`; None = all columns. Raises RunError."""
        import pyarrow as pa

        wanted = None if columns is None else list(dict.fromkeys(["row", *columns]))
        tables = list(self.iter_parts(wanted))
        if not tables:
            table = pa.schema(list(base_types().items())).empty_table()
        else:
            table = pa.concat_tables(tables)
            table = table.take(pa.array(np.argsort(rows_of(table), kind="stable")))
        unknown = [name for name in columns or () if name not in table.column_names]
        if unknown:
            known = next((part_schema(part).names for _, part in committed_parts(self.path)), table.column_names)
            raise RunError(f"the run {self.path} has no column {unknown[0]!r}: it has {', '.join(known)}")
        return table if columns is None else table.select(list(columns))

    def iter_parts(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """The committed parts as Arrow tables in the order in which they were written. Raises RunError."""
        for _, part in committed_parts(self.path):
            yield read_part(part, columns)

    def close(self) -> None:
        """Give up the lock; what is committed stays."""
        if self._release is not None:
            self._release()
        self._descriptor = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _refuse_reader(self) -> None:
        if self._descriptor is None:
            raise RunError(f"the run folder {self.path} is not open for writing in this process: use RunFolder.open")

    def _resume(self) -> None:
        """Find out which rows are committed, and the columns that later parts must have."""
        for number, part in committed_parts(self.path):
            table = read_part(part, ["row"])
            rows = rows_of(table)
            try:
                self._checked(rows)
            except RunError as error:
                raise RunError(f"{part}: {error}: delete this part and resume, its rows are then scored again") from error
            self._done[rows] = True
            self._next = number + 1
        if self._next:
            self._schema = part_schema(part)

    def _checked(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows, after making room for them; raises RunError when one is negative, stands twice or is committed."""
        if rows.size and int(rows.min()) < 0:
            raise RunError(f"row {int(rows.min())} is negative")
        if np.unique(rows).size != rows.size:
            raise RunError("a row stands twice in one part")
        needed = int(rows.max(initial=-1)) + 1
        if needed > _MOST_ROWS:
            raise RunError(f"row {needed - 1} is beyond {_MOST_ROWS:,} rows")
        if needed > self._done.size:
            self._done = np.concatenate([self._done, np.zeros(max(needed, 2 * self._done.size) - self._done.size, dtype=bool)])
        if bool(self._done[rows].any()):
            raise RunError(f"row {int(rows[self._done[rows]][0])} is committed already")
        return rows


_writers: weakref.WeakSet[RunFolder] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A child would keep the lock alive after its parent was killed: it lets go of it, which leaves the parent's hold intact.
    for run in list(_writers):
        if run._descriptor is not None and run._release is not None:
            run._release.detach()
            os.close(run._descriptor)
            run._descriptor = run._release = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
