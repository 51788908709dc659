"""Samples back into a file."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from plaudit.errors import DataError
from plaudit.records._whole import replace_file
from plaudit.types import Sample

_ESCAPED = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})
_GOLD = ("answer", "solution", "ground_truth", "reward_model")
_FIELDS = ("reference", "id", "group", "group_size", "tokens", "logprobs", "tools", "finish")


def sample_columns(sample: Sample) -> dict[str, Any]:
    """A sample as one row: the columns that `read_samples` reads, fields that are not set left out.

    Raises DataError when a column of `meta` has the name of a field that it would hide.

    >>> sample_columns(Sample("2+2?", "4", reference="4", meta={"level": 1}))
    {'prompt': '2+2?', 'completion': '4', 'reference': '4', 'level': 1}
    """
    row: dict[str, Any] = {"prompt": sample.prompt, "completion": sample.response}
    for name in _FIELDS:
        value = getattr(sample, name)
        if value is not None and not (name == "tools" and len(value) == 0):
            row[name] = value
    for name, value in sample.meta.items():
        if name in row or name in _FIELDS:
            raise DataError(f"sample {sample.id!r}: meta has a column {name!r}, which is a field: rename the column")
        row[name] = value
    hidden = [name for name in _GOLD if sample.reference is None and sample.meta.get(name) is not None]
    if hidden:
        raise DataError(f"sample {sample.id!r}: has no reference, but its column {hidden[0]!r} would be read as one: rename it")
    return row


def write_samples(path: str | os.PathLike[str], samples: Iterable[Sample]) -> int:
    """Write samples as JSON lines (gzip when the name ends in ``.gz``), whole or not at all; return how many.

    Line separators inside texts are escaped, so that readers that split on them find one row per line too. Raises DataError for a
    sample that is not JSON or holds a lone surrogate, OSError when the file cannot be written.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_samples(pathlib.Path(folder, "answers.jsonl"), [Sample("2+2?", "4")])
    1
    """
    target = Path(path)
    if not target.name.endswith((".jsonl", ".jsonl.gz")):
        raise DataError(f"{target}: expected a name that ends in .jsonl or .jsonl.gz")
    count = 0
    with replace_file(target) as file:
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) if target.suffix == ".gz" else None
        out = cast(BinaryIO, packed or file)
        for sample in samples:
            out.write(_line(sample))
            count += 1
        if packed is not None:
            packed.close()
    return count


def _line(sample: Sample) -> bytes:
    try:
        text = json.dumps(sample_columns(sample), ensure_ascii=False, allow_nan=False, default=_plain)
        return (text if text.isascii() else text.translate(_ESCAPED)).encode("utf-8") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"sample {sample.id!r} cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
