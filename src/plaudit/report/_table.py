"""Tables: numbers to the right, headers that sort when there is a script, wide ones that scroll in their own box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from plaudit.errors import DataError
from plaudit.report._html import Html, escape, long_text
from plaudit.report._scale import FORMATS, Format

_CELL = 400  # characters of a text in a cell


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "", sortable: bool = True, limit: int = 500,
    formats: Mapping[str, Format] | None = None,
) -> Html:  # fmt: skip
    """A table of numbers, texts and fragments.

    Args:
        columns: the headers.
        rows: the cells; a number is written for people and stands to the right, None and NaN are ``–``, text is cut at 400
            characters, `Html` stands as it is.
        caption: what the table is; screen readers say it, and it names the box that scrolls.
        sortable: a click or a key on a header sorts by it, numbers by value, with rows without a value last.
        limit: rows that are shown; a line says how many are not.
        formats: how the numbers of a column are written, by its name.

    Raises DataError when a row has another length than `columns`.

    >>> "1,234" in table(["n"], [[1234]])
    True
    """
    for k, row in enumerate(rows):
        if len(row) != len(columns):
            raise DataError(f"table: row {k} has {len(row)} cells, {len(columns)} columns")
    shown = rows[:limit]
    writers = [FORMATS[(formats or {}).get(name, "number")] for name in columns]
    numeric = [_is_numeric([row[k] for row in shown]) for k in range(len(columns))]
    head = "".join(_header(name, right, sortable and len(shown) > 1) for name, right in zip(columns, numeric, strict=True))
    body = "".join(
        "<tr>" + "".join(_cell(v, right, write) for v, right, write in zip(row, numeric, writers, strict=True)) + "</tr>"
        for row in shown
    )
    below = "" if len(rows) <= limit else f'<p class="more">The first {limit:,} of {len(rows):,} rows.</p>'
    if not rows:
        body = f'<tr><td class="none" colspan="{len(columns)}">no rows</td></tr>'
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    name = f' aria-label="{escape(caption)}"' if caption else ' aria-label="table"'
    kind = ' class="sortable"' if sortable and len(shown) > 1 else ""
    return Html(
        f'<div class="scroll" tabindex="0" role="region"{name}><table{kind}>{said}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{below}"
    )


def fields(pairs: Mapping[str, Any]) -> Html:
    """Names and what they are, one pair a line; None is left out.

    >>> "fingerprint" in fields({"fingerprint": "3a78", "seed": None})
    True
    """
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{_value(value)}</dd>" for name, value in pairs.items() if value is not None)
    return Html(f'<dl class="fields">{rows}</dl>')


def _value(value: Any) -> Html:
    if isinstance(value, Html):
        return value
    if _is_number(value):
        return escape(FORMATS["number"](float(value)))
    return long_text(str(value), _CELL)


def _header(name: str, right: bool, sortable: bool) -> str:
    order = ' aria-sort="none"' if sortable else ""
    inner = f'<button type="button">{escape(name)}</button>' if sortable else escape(name)
    return f'<th scope="col"{_kind(right)}{order}>{inner}</th>'


def _kind(right: bool) -> str:
    return ' class="num"' if right else ""


def _cell(value: Any, right: bool, write: Any) -> str:
    if _is_number(value):
        number = float(value)
        key = f' data-v="{number!r}"' if isfinite(number) else ' data-v=""'
        return f'<td class="num"{key}>{escape(write(number))}</td>'
    if value is None:
        return f'<td{_kind(right)} data-v="">–</td>'
    inner = value if isinstance(value, Html) else long_text(str(value), _CELL)
    return f"<td{_kind(right)}>{inner}</td>"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_numeric(cells: Sequence[Any]) -> bool:
    """Whether a column holds numbers and nothing else but gaps."""
    there = [c for c in cells if c is not None]
    return bool(there) and all(_is_number(c) for c in there)
