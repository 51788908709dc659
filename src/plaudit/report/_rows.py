"""Bars and dots that lie on their side: one row for each name, which is read without turning the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.report._html import Html, nothing
from plaudit.report._lines import Series
from plaudit.report._scale import FORMATS, Axis, Format, axis, fit, text_width
from plaudit.report._svg import Svg, figure, label, size_kind

_MOST_ROWS = 60


def bar_plot(
    names: Sequence[str], values: Any, title: str = "", *, low: Any = None, high: Any = None, form: Format = "number",
    x_label: str = "", include: Sequence[float] = (), note: str = "", colours: Sequence[int] | None = None,
) -> Html:  # fmt: skip
    """A bar from zero for each name, its number beside it; `low` and `high` are ends of intervals, drawn as whiskers.

    Args:
        values: (k,); NaN has no bar and says so.
        colours: (k,) which colour each bar has; None = all the same.

    >>> bar_plot(["correct", "format"], [0.8, 0.2], "Shares", form="percent").count("80%") >= 2
    True
    """
    return _rows(names, values, low, high, title, form, x_label, [0.0, *include], note, None, colours)


def interval_plot(
    names: Sequence[str], values: Any, title: str = "", *, low: Any = None, high: Any = None, form: Format = "number",
    x_label: str = "", include: Sequence[float] = (), reference: float | None = None, note: str = "",
    colours: Sequence[int] | None = None,
) -> Html:  # fmt: skip
    """A dot with whiskers for each name; `reference` is a value to compare them with, drawn as a line.

    >>> "<svg" in interval_plot(["gain"], [0.1], "Effect", low=[0.05], high=[0.15], reference=0.0)
    True
    """
    extra = [*include, *([] if reference is None else [reference])]
    return _rows(names, values, low, high, title, form, x_label, extra, note, (reference,), colours)


def _rows(
    names: Sequence[str], values: Any, low: Any, high: Any, title: str, form: Format, x_label: str, include: Sequence[float],
    note: str, dots: tuple[float | None] | None, colours: Sequence[int] | None,
) -> Html:  # fmt: skip
    data = Series(title or "values", values, None, low, high)
    if len(names) != len(data.y):
        raise DataError(f"{title or 'plot'}: {len(names)} names and {len(data.y)} values: expected as many")
    if not bool(np.any(np.isfinite(data.y))):
        return nothing(title, "Nothing to draw: there is no value.")
    if len(names) > _MOST_ROWS:
        note = f"{note}{' ' if note else ''}The first {_MOST_ROWS} of {len(names):,} rows."
        names = names[:_MOST_ROWS]
    labels = [label(name) for name in names]
    shown = _shown(data, len(labels), form)

    def draw(width: float, narrow: bool) -> Html:
        # On a phone the name stands above its bar, else to the left of it.
        pitch, top = (46.0, 22.0) if narrow else (30.0, 4.0)
        height = top + pitch * len(labels) + (46 if x_label else 26)
        svg = Svg(width, height)
        left = 8.0 if narrow else min(max(text_width(name, 14) for name in labels) + 14, 230.0)
        right = width - min(max(text_width(text, 12) for text in shown) + 14, width * 0.3)
        ends = [c[: len(labels)] for c in (data.y, data.low, data.high) if c is not None]
        x = axis(ends, left, right, form=form, include=include, about=4 if narrow else 6)
        bottom = top + pitch * len(labels) - (8 if narrow else 0)
        _grid(svg, x, bottom, x_label)
        if dots and dots[0] is not None:
            at = float(x(dots[0]))
            svg.line(at, 0, at, bottom, "reference")
        for k, name in enumerate(labels):
            middle = top + pitch * k + (14 if narrow else pitch / 2)
            if narrow:
                svg.text(left, middle - 15, fit(name, width - 12, 14), "row")
            else:
                svg.text(left - 10, middle + 4, fit(name, left - 12, 14), "row", "end")
            colour = f"s{colours[k] if colours is not None else 0}"
            end = _row(svg, x, data, k, middle, colour, dots is not None, f"{name}\n{shown[k]}")
            svg.text(end + 8, middle + 4, shown[k], "value")
        said = "; ".join(f"{name}: {text}" for name, text in zip(labels[:20], shown[:20], strict=True))
        return svg.draw(title or "Values", said, size_kind(narrow))

    return figure(title, draw, note=note)


def _row(svg: Svg, x: Axis, data: Series, k: int, middle: float, colour: str, dot: bool, tip: str) -> float:
    """One bar or dot with its whiskers; returns where it ends on the right."""
    zero = float(x(min(max(0.0, x.low), x.high)))
    if not np.isfinite(data.y[k]):
        return zero
    at = float(x(data.y[k]))
    end = max(at, zero) if not dot else at + 4
    if not dot:
        svg.rect(min(at, zero), middle - 8, max(abs(at - zero), 1.0), 16, f"bar {colour}", tip)
    if data.low is not None and np.isfinite(data.low[k]) and np.isfinite(data.high[k]):
        a, b = float(x(data.low[k])), float(x(data.high[k]))
        kind = f"whisker {colour}" if dot else "whisker ink"
        svg.line(a, middle, b, middle, kind)
        svg.line(a, middle - 4, a, middle + 4, kind)
        svg.line(b, middle - 4, b, middle + 4, kind)
        end = max(end, b)
    if dot:
        svg.marker(at, middle, f"point {colour}", "circle", tip, 5.0)
    return end


def _grid(svg: Svg, x: Axis, bottom: float, x_label: str) -> None:
    last = -1e9
    for value, at in zip(x.ticks, x(list(x.ticks)).tolist(), strict=True):
        svg.line(at, 0, at, bottom, "axis" if value == 0 else "grid")
        text = x.write(value)
        half = text_width(text, 12) / 2
        if at - half > last + 6:
            svg.text(max(at, half), bottom + 16, text, "tick", "middle")
            last = at + half
    if x_label:
        svg.text((x.start + x.end) / 2, bottom + 36, x_label, "name", "middle")


def _shown(data: Series, n: int, form: Format) -> list[str]:
    write = FORMATS[form]
    y: NDArray[np.float64] = data.y
    return [write(float(v)) if np.isfinite(v) else "no value" for v in y[:n]]
