"""Preference pairs out of the rows of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from plaudit.records._conversations import split_pair
from plaudit.records._decode import kind_of, shape_of
from plaudit.records._layout import Fields, Layout, label
from plaudit.records._rejected import OnReject, RowError, refuse, rejected
from plaudit.records._source import Format, Source, open_source
from plaudit.types import Pair


def read_pairs(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    on_reject: OnReject | None = None,
    format: Format | None = None,
    max_row_mb: float = 256.0,
) -> Iterator[Pair]:
    """Read preference pairs one by one: columns `prompt`, `chosen`, `rejected`, and `margin`, `tie`, `annotator` where they are.

    Without a prompt (or when chosen and rejected are whole chats) the prompt is what the two have in common: leading messages, or
    text up to the last shared "Assistant:" turn; plain texts without such turns are compared whole, with an empty prompt. Other
    columns go to `meta`. Files, `columns`, `on_reject` and errors are those of `read_samples`.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "pairs.jsonl")
    ...     _ = path.write_text('{"prompt": "2+2?", "chosen": "4", "rejected": "5", "margin": 1}\\n')
    ...     [(pair.chosen, pair.rejected, pair.margin) for pair in read_pairs(path)]
    [('4', '5', 1.0)]
    """
    return _pairs(open_source(path, format, max_row_mb), Layout(columns, pairs=True), on_reject or refuse)


def _pairs(source: Source, layout: Layout, on_reject: OnReject) -> Iterator[Pair]:
    for line, row, wrong, raw in source:
        try:
            if row is None:
                raise wrong or RowError(None, "cannot be read")
            pair = _pair(Fields(row, layout.plan(row)), row)
        except RowError as error:
            on_reject(rejected(source.path, line, row, error, raw))
        else:
            yield pair


def _pair(fields: Fields, row: dict[str, Any]) -> Pair:
    for side in ("chosen", "rejected"):
        if not fields.has(side):
            raise RowError(
                side, f"the column is missing or null; the row has {shape_of(row)}; columns={{{side!r}: NAME}} says which it is"
            )
    prompt, chosen, other = fields.take("prompt"), fields.take("chosen"), fields.take("rejected")
    names = (fields.name("prompt"), fields.name("chosen"), fields.name("rejected"))
    split = split_pair(prompt, chosen, other, names)
    if not split.prompt_used:
        fields.give_back("prompt")
    margin, tie = _margin(fields), fields.take("tie")
    if tie is not None and type(tie) is not bool:
        raise RowError(fields.name("tie"), f"holds {kind_of(tie)}: expected true or false")
    annotator = label(fields.name("annotator"), fields.take("annotator"))
    return Pair(split.prompt, split.chosen, split.rejected, margin, bool(tie), annotator, fields.meta())


def _margin(fields: Fields) -> float | None:
    value = fields.take("margin")
    if value is None:
        return None
    if type(value) not in (int, float):
        raise RowError(fields.name("margin"), f"holds {kind_of(value)}: expected a number")
    try:
        margin = float(value)
    except OverflowError:
        margin = float("inf")
    if not isfinite(margin):
        raise RowError(fields.name("margin"), "is too large for a float")
    return margin
