"""Clouds of points, and how often each value comes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.report._html import Html, nothing
from plaudit.report._lines import Series
from plaudit.report._scale import Format, axis, number, percent, text_width
from plaudit.report._svg import MARKERS, N_COLOURS, Svg, figure, frame, label, legend_of, size_kind

_CELLS = (180, 110)  # places of a scatter plot that are told apart
_FEW = 150  # points up to which each has a mark and a tip of its own
_DISTINCT = 12  # distinct values up to which a histogram has one bar for each
_MOST_BINS = 40


def scatter(
    series: Sequence[Series], title: str = "", *, x_label: str = "", y_label: str = "", x_format: Format = "number",
    y_format: Format = "number", diagonal: bool = False, note: str = "", tips: Sequence[str] | None = None,
) -> Html:  # fmt: skip
    """Points; where many lie on each other the dot grows.

    Args:
        series: the clouds; NaN points are left out, and counted in the note.
        diagonal: draws the line y = x, and gives both axes the same ends.
        tips: a text for each point of a single series, shown when it is pointed at.

    >>> "<svg" in scatter([Series("runs", y=[1.0, 2.0], x=[1.0, 2.0])], "Agreement")
    True
    """
    here = [np.isfinite(s.x) & np.isfinite(s.y) for s in series]
    left_out = sum(int(np.count_nonzero(~h)) for h in here)
    if tips is not None and (len(series) != 1 or len(tips) != len(series[0].y)):
        raise DataError("scatter: expected one series and a tip for each of its points")
    if not any(bool(h.any()) for h in here):
        return nothing(title, "Nothing to draw: no point has two finite coordinates.")
    if left_out:
        note = f"{note}{' ' if note else ''}{left_out:,} point{'s' if left_out > 1 else ''} without both values left out."

    def draw(width: float, narrow: bool) -> Html:
        height = 320.0 if narrow else 400.0
        svg = Svg(width, height)
        xs, ys = [s.x for s in series], [s.y for s in series]
        both = [*xs, *ys] if diagonal else []
        y = axis(both or ys, height - (46 if x_label else 28), 28 if y_label else 12, form=y_format)
        left = max(text_width(y.write(t), 12) for t in y.ticks) + 12
        x = axis(both or xs, left, width - 14, form=x_format, about=4 if narrow else 6)
        frame(svg, x, y, x_label, y_label)
        if diagonal:
            ends = np.array([max(x.low, y.low), min(x.high, y.high)])
            svg.path(x(ends), y(ends), "reference")
        for k, (s, h) in enumerate(zip(series, here, strict=True)):
            px, py = x(s.x[h]), y(s.y[h])
            if len(px) <= _FEW:
                words = [tips[i] for i in np.flatnonzero(h).tolist()] if tips is not None else [s.name] * len(px)
                for a, b, vx, vy, word in zip(px.tolist(), py.tolist(), s.x[h].tolist(), s.y[h].tolist(), words, strict=True):
                    tip = f"{word}\n{x.write(vx)}, {y.write(vy)}"
                    svg.marker(a, b, f"point cloud s{k % N_COLOURS}", MARKERS[k % N_COLOURS], tip)
            else:
                svg.dots(*_merged(px, py, width, height), f"cloud s{k % N_COLOURS}")
        count = sum(int(h.sum()) for h in here)
        return svg.draw(title or "Points", f"{count:,} points, {x_label or 'x'} against {y_label or 'y'}.", size_kind(narrow))

    key = legend_of([label(s.name) for s in series], narrow_only=False, lines=False) if len(series) > 1 else None
    return figure(title, draw, note=note, legend=key)


def _merged(
    px: NDArray[np.float64], py: NDArray[np.float64], width: float, height: float
) -> tuple[list[float], list[float], list[float]]:
    """One dot for each cell that holds points, its area growing with the logarithm of their number."""
    i = np.clip((px / width * _CELLS[0]).astype(np.int64), 0, _CELLS[0])
    j = np.clip((py / height * _CELLS[1]).astype(np.int64), 0, _CELLS[1])
    cell, first, n = np.unique(i * (_CELLS[1] + 1) + j, return_index=True, return_counts=True)
    del cell
    radius = 2.0 + 1.1 * np.log2(n)
    return px[first].tolist(), py[first].tolist(), np.minimum(radius, 14).tolist()


def histogram(
    values: Any, title: str = "", *, x_label: str = "", x_format: Format = "number", bins: int | None = None, note: str = "",
) -> Html:  # fmt: skip
    """How often each value comes: a bar for each of a few distinct values, else bins of equal width.

    Args:
        values: (n,); NaN is left out, and counted in the note.
        bins: how many; None = by the spread of the data (Freedman and Diaconis), at most 40.

    >>> histogram([0.0, 1.0, 1.0], "Rewards").count("<rect") >= 2
    True
    """
    column = Series(title or "values", values).y
    kept = column[np.isfinite(column)]
    if not kept.size:
        why = (
            "Nothing to draw: there is no value."
            if not column.size
            else f"Nothing to draw: none of {column.size:,} rows has a value."
        )
        return nothing(title, why)
    missing = column.size - kept.size
    if missing:
        note = f"{note}{' ' if note else ''}{missing:,} row{'s' if missing > 1 else ''} without a value left out."
    distinct, counts = np.unique(kept, return_counts=True)
    few = bins is None and len(distinct) <= _DISTINCT and not (np.ptp(distinct) > 0 and _crowded(distinct))

    def draw(width: float, narrow: bool) -> Html:
        height = 230.0 if narrow else 280.0
        svg = Svg(width, height)
        edges = None if few else _edges(kept, bins, 20 if narrow else _MOST_BINS)
        tall = counts if edges is None else np.histogram(kept, edges)[0]
        bottom = height - (46 if x_label else 28)
        y = axis([tall], bottom, 28, include=[0], about=4)
        left = max(text_width(y.write(t), 12) for t in y.ticks) + 12
        shown = distinct if edges is None else edges
        gap = float(np.diff(distinct).min()) if len(distinct) > 1 else abs(float(distinct[0])) / 2 or 1.0
        reach = [distinct[0] - gap * 0.7, distinct[-1] + gap * 0.7] if edges is None else [edges[0], edges[-1]]
        ticks = distinct.tolist() if edges is None and len(distinct) <= (6 if narrow else _DISTINCT) else None
        x = axis([reach], left, width - 14, form=x_format, at=None, about=4 if narrow else 8, tight=True)
        if ticks is not None:
            x = axis([reach], left, width - 14, form=x_format, at=ticks, tight=True)
        frame(svg, x, y, x_label, "rows")
        if edges is None:
            half = min(22.0, max(float(x(distinct[0] + gap) - x(distinct[0])) * 0.35, 1.0))
            spans = [(float(p) - half, float(p) + half) for p in x(shown).tolist()]
            names = [x.write(v) for v in distinct.tolist()]
        else:
            places = x(shown).tolist()
            spans = [(a + 0.75, b - 0.75) for a, b in pairwise(places)]
            names = [f"{x.write(a)} to {x.write(b)}" for a, b in pairwise(edges.tolist())]
        for (a, b), n, name in zip(spans, tall.tolist(), names, strict=True):
            if n:
                top = float(y(n))
                svg.rect(a, top, b - a, bottom - top, "bar s0", f"{name}\n{n:,} rows, {percent(n / kept.size)}")
        mean = float(kept.mean())
        at = float(x(mean))
        svg.line(at, 26, at, bottom, "reference")
        right = at < width * 0.6
        svg.text(at + (5 if right else -5), 24, f"mean {number(mean)}", "tick", "start" if right else "end")
        said = f"{kept.size:,} values from {number(float(kept.min()))} to {number(float(kept.max()))}, mean {number(mean)}."
        return svg.draw(title or "Histogram", said, size_kind(narrow))

    return figure(title, draw, note=note)


def _crowded(distinct: NDArray[np.float64]) -> bool:
    """Whether two of a few values lie so close that their bars would."""
    return bool(np.diff(distinct).min() < np.ptp(distinct) / 40)


def _edges(values: NDArray[np.float64], bins: int | None, most: int) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        room = abs(low) / 2 or 0.5
        return np.array([low - room, low + room])
    if bins is None:
        q1, q3 = np.percentile(values, [25, 75])
        width = 2 * float(q3 - q1) / len(values) ** (1 / 3)
        # The rule is made for one hump; rewards often have two, and a few bins would hide them.
        bins = max(round(min((high - low) / width, most)) if width > 0 else 0, 24 if len(values) >= 100 else 12)
    return np.linspace(low, high, min(max(bins, 5), most) + 1)
