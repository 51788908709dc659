"""Curves: several series over one axis, each with the interval it may lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.report._html import Html, nothing
from plaudit.report._scale import FORMATS, Axis, Format, ScaleKind, axis, fit, number, text_width
from plaudit.report._svg import DASHES, MARKERS, N_COLOURS, Svg, figure, frame, label, legend_of, size_kind
from plaudit.report._table import table

_BUCKETS = 400
_MARKED = 24  # points up to which each has a mark of its own
_LISTED = 200  # points of a series up to which the numbers are listed below


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One curve, or one cloud of points.

    Fields:
        name: what stands beside it.
        y: (n,) values; NaN = a gap.
        x: (n,) places; None = 0, 1, 2, …, or those that the plot was given.
        low, high: (n,) ends of the interval of each value; None = there is none.

    Raises DataError when the lengths differ.

    >>> Series("accuracy", [0.4, 0.6]).x.tolist()
    [0.0, 1.0]
    """

    name: str
    y: Any
    x: Any = None
    low: Any = None
    high: Any = None

    def __post_init__(self) -> None:
        y = _column(self.name, "y", self.y)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "x", np.arange(len(y), dtype=np.float64) if self.x is None else _column(self.name, "x", self.x))
        if (self.low is None) != (self.high is None):
            raise DataError(f"series {self.name!r} has one end of an interval: expected both, low and high")
        for field in ("low", "high"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, _column(self.name, field, getattr(self, field)))
        for field in ("x", "low", "high"):
            column = getattr(self, field)
            if column is not None and len(column) != len(y):
                raise DataError(f"series {self.name!r}: {field} has {len(column)} entries, y {len(y)}")


def line_plot(
    series: Sequence[Series], title: str = "", *, x_label: str = "", y_label: str = "", y_format: Format = "number",
    x_format: Format = "number", x_scale: ScaleKind = "linear", x_ticks: Sequence[float] | None = None,
    include: Sequence[float] = (), note: str = "", description: str = "",
) -> Html:  # fmt: skip
    """Curves with the intervals around them, each named where it ends.

    Args:
        series: the curves; NaN is a gap, long ones are thinned to what a screen can show, with every peak kept.
        x_scale: ``"log"`` for steps such as N = 1, 2, 4, 8.
        x_ticks: where the ticks of x stand; None = at round numbers.
        include: values that the y axis must show, such as 0.
        note: what stands under the title; say there what the intervals are.

    Without a finite value it is a box that says so. Raises DataError for a log axis over numbers that are not positive.

    >>> "<svg" in line_plot([Series("policy", [0.1, 0.4, 0.5])], "Accuracy")
    True
    """
    drawn = [s for s in series if bool(np.any(np.isfinite(s.y) & np.isfinite(s.x)))]
    if not drawn:
        return nothing(title, "Nothing to draw: no series has a finite value.")
    thin = [_thinned(_sorted(s)) for s in drawn]
    said = description or _description(drawn, y_format)

    def draw(width: float, narrow: bool) -> Html:
        names = [label(s.name) for s in thin]
        direct = not narrow and len(thin) > 1
        margin = min(max(text_width(name, 14.5) for name in names) + 18, 210.0) if direct else 16.0
        height = 250.0 if narrow else 330.0
        svg = Svg(width, height)
        ys = [a for s in thin for a in (s.y, s.low, s.high) if a is not None]
        bottom = height - (46 if x_label else 28)
        y = axis(ys, bottom, 28 if y_label else 12, form=y_format, include=include)
        left = max(text_width(y.write(t), 12) for t in y.ticks) + 12
        x = axis(
            [s.x for s in thin],
            left,
            width - margin,
            kind=x_scale,
            form=x_format,
            at=x_ticks,
            about=4 if narrow else 7,
            tight=True,
        )
        frame(svg, x, y, x_label, y_label)
        for k, s in enumerate(thin):
            if s.low is not None:
                svg.band(x(s.x), y(s.low), y(s.high), f"band s{k % N_COLOURS}")
        for k, s in enumerate(thin):
            _curve(svg, s, k, x, y)
        if direct:
            _end_labels(svg, thin, names, x, y, width - margin + 10, margin - 12)
        return svg.draw(title or "Curves", said, size_kind(narrow))

    key = legend_of([label(s.name) for s in thin], narrow_only=True) if len(thin) > 1 else None
    return figure(title, draw, note=note, legend=key, numbers=_numbers(drawn, x_label, x_format, y_format))


def _curve(svg: Svg, s: Series, k: int, x: Axis, y: Axis) -> None:
    colour = f"s{k % N_COLOURS}"
    px, py = x(s.x), y(s.y)
    svg.path(px, py, f"series {colour}", DASHES[k % N_COLOURS])
    here = np.isfinite(px) & np.isfinite(py)
    if np.count_nonzero(here) > _MARKED:
        return
    for i in np.flatnonzero(here).tolist():
        tip = f"{s.name}\n{x.write(float(s.x[i]))}: {y.write(float(s.y[i]))}"
        if s.low is not None and np.isfinite(s.low[i]) and np.isfinite(s.high[i]):
            tip += f"  [{y.write(float(s.low[i]))}, {y.write(float(s.high[i]))}]"
        svg.marker(float(px[i]), float(py[i]), f"point {colour}", MARKERS[k % N_COLOURS], tip)


def _end_labels(svg: Svg, series: Sequence[Series], names: Sequence[str], x: Axis, y: Axis, left: float, room: float) -> None:
    """Each name beside its curve's last point, moved apart where they would lie on each other."""
    ends = []
    for s in series:
        last = int(np.flatnonzero(np.isfinite(s.y) & np.isfinite(s.x))[-1])
        ends.append((float(x(s.x[last])), float(y(s.y[last]))))
    places = spread([end[1] for end in ends], 17.0, 14.0, svg.height - 12)
    for k, (name, (end_x, end_y), place) in enumerate(zip(names, ends, places, strict=True)):
        colour = f"s{k % N_COLOURS}"
        svg.path(np.array([end_x + 5, left - 3]), np.array([end_y, place]), f"leader {colour}")
        svg.text(left, place + 4, fit(name, room, 14.5), f"end {colour}")


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in their order, at least `gap` apart and, where they fit, in [low, high].

    >>> spread([10.0, 12.0, 50.0], 10.0, 0.0, 100.0)
    [6.0, 16.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    # Blocks of labels that touch: each sits where the sum of squared moves is smallest.
    blocks: list[list[float]] = []  # [first place, number of labels]
    for i in order:
        blocks.append([wanted[i], 1.0])
        while len(blocks) > 1 and blocks[-2][0] + gap * blocks[-2][1] > blocks[-1][0]:
            place, n = blocks.pop()
            before, m = blocks[-1]
            blocks[-1] = [(before * m + (place - gap * m) * n) / (m + n), m + n]
    places = [place + gap * k for place, n in blocks for k in range(int(n))]
    result = [0.0] * len(wanted)
    for k, (place, i) in enumerate(zip(places, order, strict=True)):
        # Both limits are a gap further for each next label, so that keeping them keeps the gaps.
        result[i] = max(min(place, high - gap * (len(places) - 1 - k)), low + gap * k)
    return result


def _sorted(s: Series) -> Series:
    order = np.argsort(s.x, kind="stable")
    if bool(np.all(order == np.arange(len(order)))):
        return s
    return _take(s, order)


def _take(s: Series, rows: NDArray[np.intp]) -> Series:
    low, high = (None if c is None else c[rows] for c in (s.low, s.high))
    return Series(s.name, s.y[rows], s.x[rows], low, high)


def _thinned(s: Series) -> Series:
    """At most a few points for each pixel, the lowest and the highest among them."""
    n = len(s.y)
    if n <= 4 * _BUCKETS:
        return s
    per = -(-n // _BUCKETS)
    padded = np.full(per * _BUCKETS, np.nan)
    kept = [np.array([0, n - 1])]
    for column, lowest in ((s.y, True), (s.y, False), (s.low, True), (s.high, False)):
        if column is None:
            continue
        padded[:n] = column
        rows = padded.reshape(_BUCKETS, per)
        filled = np.where(np.isfinite(rows), rows, np.inf if lowest else -np.inf)
        kept.append((filled.argmin(axis=1) if lowest else filled.argmax(axis=1)) + np.arange(_BUCKETS) * per)
    rows = np.unique(np.concatenate(kept))
    return _take(s, rows[rows < n])


def _numbers(series: Sequence[Series], x_label: str, x_format: Format, y_format: Format) -> Html | None:
    if max(len(s.y) for s in series) > _LISTED:
        return None
    places = sorted({float(v) for s in series for v in s.x if np.isfinite(v)})
    at = [{float(v): i for i, v in enumerate(s.x)} for s in series]
    rows = [
        [FORMATS[x_format](p), *(_cell(s, rows.get(p), y_format) for s, rows in zip(series, at, strict=True))] for p in places
    ]
    return table([x_label or "x", *(label(s.name) for s in series)], rows, sortable=False)


def _cell(s: Series, i: int | None, form: Format) -> str:
    if i is None or not np.isfinite(s.y[i]):
        return "–"
    write = FORMATS[form]
    text = write(float(s.y[i]))
    if s.low is not None and np.isfinite(s.low[i]):
        text += f" [{write(float(s.low[i]))}, {write(float(s.high[i]))}]"
    return text


def _description(series: Sequence[Series], form: Format) -> str:
    write = FORMATS[form]
    parts = []
    for s in series[:12]:
        here = s.y[np.isfinite(s.y)]
        parts.append(
            f"{s.name}: {number(len(here))} points from {write(float(here[0]))} to {write(float(here[-1]))}, "
            f"lowest {write(float(here.min()))}, highest {write(float(here.max()))}."
        )
    return " ".join(parts)


def _column(name: str, field: str, values: Any) -> NDArray[np.float64]:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"series {name!r}: {field} are not numbers: {error}") from error
    if column.ndim != 1:
        raise DataError(f"series {name!r}: {field} has the shape {column.shape}: expected (n,)")
    # Infinities cannot be drawn either, and nobody sees what lies beyond 1e300.
    return np.clip(np.where(np.isfinite(column), column, np.nan), -1e300, 1e300)
