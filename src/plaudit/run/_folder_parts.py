"""The columns of a run as Parquet parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RunError

BASE = ("row", "id", "value", "status", "reason", "answer", "explanation")
_SURROGATE = re.compile("[\ud800-\udfff]")


def base_types() -> dict[str, Any]:
    """The Arrow types of the columns that have one from the start: the first part may hold nothing but null in them."""
    import pyarrow as pa

    text = pa.string()
    return dict(zip(BASE, (pa.int64(), text, pa.float64(), text, text, text, text), strict=True))


def encode_part(columns: Mapping[str, Sequence[Any] | NDArray[Any]], schema: Any) -> Any:
    """Columns of one length as an Arrow table; NaN and None become null, half a surrogate pair the replacement character.

    `schema` is the one of the run's earlier parts, None for the first. Raises RunError when columns or types do not fit it.
    """
    import pyarrow as pa

    lengths = {name: len(values) for name, values in columns.items()}
    if "row" not in lengths or len(set(lengths.values())) != 1:
        raise RunError(f"a part needs a column 'row' and columns of one length, got {lengths}")
    if schema is not None and set(schema.names) != set(lengths):
        missing, new = sorted(set(schema.names) - set(lengths)), sorted(set(lengths) - set(schema.names))
        raise RunError(f"the part's columns are not those of the run's earlier parts: missing {missing}, new {new}")
    known = base_types() if schema is None else {field.name: field.type for field in schema}
    names = list(columns) if schema is None else schema.names
    arrays = [_array(name, columns[name], known.get(name)) for name in names]
    return pa.table(arrays, names=names)


def part_bytes(table: Any) -> memoryview:
    """A table as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return memoryview(sink.getvalue())


def read_part(path: Path, columns: Sequence[str] | None = None) -> Any:
    """A part as an Arrow table; raises RunError when it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=None if columns is None else list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path} cannot be read ({reason}): delete it and resume, its rows are then scored again") from error


def part_schema(path: Path) -> Any:
    """The names and types of a part's columns."""
    import pyarrow.parquet as pq

    return pq.read_schema(path)


def rows_of(table: Any) -> NDArray[np.int64]:
    """(n,) the row numbers of a part."""
    return np.asarray(table.column("row").to_numpy(), dtype=np.int64)


def _array(name: str, values: Sequence[Any] | NDArray[Any], kind: Any) -> Any:
    import pyarrow as pa

    kind = _type_of(values) if kind is None else kind
    try:
        if kind == pa.float64():
            return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)
        if kind == pa.string():
            return _texts(list(values))
        return pa.array(np.asarray(values) if isinstance(values, np.ndarray) else list(values), type=kind)
    except (TypeError, ValueError) as error:  # Arrow's own errors are among these
        raise RunError(f"column {name!r} cannot be written as {kind}: {error}") from error


def _type_of(values: Sequence[Any] | NDArray[Any]) -> Any:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return pa.int64()
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bool | np.bool_):
        return pa.bool_()
    return pa.string() if isinstance(first, str) else pa.float64()


def _texts(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, type=pa.string())
    except UnicodeEncodeError:
        return pa.array([_SURROGATE.sub("\ufffd", v) if isinstance(v, str) else v for v in values], type=pa.string())
