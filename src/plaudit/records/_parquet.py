"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plaudit.errors import DataError
from plaudit.records._decode import plain, without_padding
from plaudit.records._rejected import RowError

_BATCH = 256
_PADDED = ("prompt", "completion", "completions", "response", "chosen", "rejected", "messages", "tools")


def parquet_rows(path: str) -> Iterator[tuple[dict[str, Any] | None, RowError | None]]:
    """The rows of a Parquet file as JSON values; a row that Arrow cannot turn into Python values is rejected alone.

    Raises DataError when the file is not Parquet or breaks while being read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
                try:
                    rows = batch.to_pylist()
                except (ValueError, OverflowError):  # text that is not UTF-8, a date beyond the year 9999
                    yield from (_alone(batch.slice(k, 1)) for k in range(batch.num_rows))
                else:
                    yield from ((_row(row), None) for row in rows)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot be read as Parquet ({reason}): write the file again") from error


def _alone(batch: Any) -> tuple[dict[str, Any] | None, RowError | None]:
    row: dict[str, Any] = {}
    for name in batch.schema.names:
        try:
            row[name] = batch.column(name)[0].as_py()
        except (ValueError, OverflowError) as error:
            return None, RowError(name, f"the value cannot be read ({error}): repair or drop it")
    return _row(row), None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: without_padding(plain(value)) if name in _PADDED else plain(value) for name, value in row.items()}
