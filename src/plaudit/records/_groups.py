"""Groups: the samples of one prompt, and windows of rows that keep them together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from plaudit.errors import DataError

if TYPE_CHECKING:
    from plaudit.records._samples import Row
    from plaudit.types import Message


def group_digest(prompt: str | Sequence[Message]) -> str:
    """The name of a group that has none: a digest of its prompt, 32 hexadecimal digits, the same in every process.

    Equal texts, and equal messages whatever the order of their keys, have equal digests; a text and a message that holds it have
    not. Raises DataError for messages that hold something other than JSON values.

    >>> group_digest("2+2?")
    '327f3af38fa392bfc1d8f6146af75772'
    """
    if type(prompt) is str:
        return blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    try:
        text = _canonical(prompt)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the prompt's digest cannot be made ({error}): give the sample a group") from error
    return blake2b(text.encode("ascii"), digest_size=16, person=b"messages").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return list(value)
    raise TypeError(f"a message holds {type(value).__name__}, which is no JSON value")


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain).encode


def group_of(row: Row) -> str:
    """The group a row belongs to: the one it names, else its prompt's digest."""
    return row.sample.group if row.sample.group is not None else group_digest(row.sample.prompt)


def count_groups(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows each group has: the first of the two readings that `iter_windows` with whole groups needs."""
    return dict(Counter(map(group_of, rows)))


def iter_windows(
    rows: Iterable[Row], size: int, *, whole_groups: bool = False, counts: Mapping[str, int] | None = None
) -> Iterator[list[Row]]:
    """Cut rows into windows of about `size` rows, in order.

    With `whole_groups` no group is split: a group joins a window when its last row has come, and a group above `size` makes a
    window of its own. `counts` (of `count_groups`, from a first reading of the same rows) says when that is; memory then holds
    one window and the groups still open, which is little where a group's rows stand together. Without `counts` all rows are held.

    Raises DataError when a group has not the rows that `counts` says, ValueError when size is below 1.

    >>> from plaudit.records import Row
    >>> from plaudit.types import Sample
    >>> rows = [Row(Sample(p, "…", group=p), k, k + 1, None) for k, p in enumerate("aabbb")]
    >>> [[row.row for row in window] for window in iter_windows(rows, 3, whole_groups=True)]
    [[0, 1], [2, 3, 4]]
    """
    if size < 1:
        raise ValueError(f"size is {size}: expected at least one row in a window")
    return _by_group(rows, size, counts) if whole_groups else _by_size(rows, size)


def _by_size(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    window: list[Row] = []
    for row in rows:
        window.append(row)
        if len(window) >= size:
            yield window
            window = []
    if window:
        yield window


def _by_group(rows: Iterable[Row], size: int, counts: Mapping[str, int] | None) -> Iterator[list[Row]]:
    if counts is None:
        rows = list(rows)
        counts = count_groups(rows)
    missing = dict(counts)
    window: list[Row] = []
    pending: dict[str, list[Row]] = {}
    for row in rows:
        name = group_of(row)
        group = pending.setdefault(name, [])
        group.append(row)
        if name not in missing:  # never counted, or complete already
            raise _changed(name, row)
        if len(group) < missing[name]:
            continue
        del pending[name], missing[name]
        if window and len(window) + len(group) > size:
            yield window
            window = []
        window.extend(group)
        if len(window) >= size:
            yield window
            window = []
    if window:
        yield window
    for name, group in pending.items():
        raise _changed(name, group[-1])


def _changed(name: str, row: Row) -> DataError:
    return DataError(
        f"group {name[:80]!r} (row {row.line}, {row.sample.id!r}) has other rows than when they were counted: "
        "the file changed while it was being read, or other rows were counted"
    )
