"""One drawing as SVG, and the figure that holds it in two widths: for a page and for a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from plaudit.report._html import Html, escape, visible
from plaudit.report._scale import Axis, text_width

WIDE, NARROW = 720.0, 344.0

MARKERS = ("circle", "square", "diamond", "triangle", "cross", "plus", "circle", "square")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 3", "10 2 2 2")
N_COLOURS = len(MARKERS)


class Svg:
    """Marks on a drawing area, in the order in which they are drawn; positions grow right and down."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self._parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str, tip: str | None = None) -> None:
        """A filled box."""
        shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="1.5"'
        self._parts.append(_tipped("rect", f'class="{kind}" {shape}', tip))

    def text(self, x: float, y: float, text: str, kind: str = "label", anchor: str = "start") -> None:
        """A line of text; `anchor` is start, middle or end."""
        self._parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def upward(self, x: float, y: float, text: str, kind: str = "label") -> None:
        """A line of text that runs upwards, in the middle of its place."""
        self._parts.append(
            f'<text class="{kind}" transform="translate({x:.1f} {y:.1f}) rotate(-90)" text-anchor="middle">{escape(text)}</text>'
        )

    def path(self, x: NDArray[np.float64], y: NDArray[np.float64], kind: str, dash: str = "") -> None:
        """A line through points; NaN is a gap, and a point alone between gaps is a dot."""
        here = np.isfinite(x) & np.isfinite(y)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], here, [False]]).astype(np.int8)))
        data: list[str] = []
        for a, b in edges.reshape(-1, 2).tolist():
            points = np.char.mod("%.1f", np.stack([x[a:b], y[a:b]], axis=1))
            data.append("M" + "L".join(f"{p} {q}" for p, q in points.tolist()) + ("h0" if b - a == 1 else ""))
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<path class="{kind}" d="{"".join(data)}"{style}/>')

    def band(self, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], kind: str) -> None:
        """The area between two lines; NaN is a gap."""
        here = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], here, [False]]).astype(np.int8)))
        data: list[str] = []
        for a, b in edges.reshape(-1, 2).tolist():
            xs, ys = np.concatenate([x[a:b], x[a:b][::-1]]), np.concatenate([high[a:b], low[a:b][::-1]])
            data.append("M" + "L".join(f"{p:.1f} {q:.1f}" for p, q in zip(xs.tolist(), ys.tolist(), strict=True)) + "Z")
        self._parts.append(f'<path class="{kind}" d="{"".join(data)}"/>')

    def marker(self, x: float, y: float, kind: str, shape: str = "circle", tip: str | None = None, size: float = 3.6) -> None:
        """A small mark at a point; shapes tell series apart where colours cannot."""
        r, d = size, size * 1.3
        paths = {
            "square": f"M{x - r:.1f} {y - r:.1f}h{2 * r:.1f}v{2 * r:.1f}h{-2 * r:.1f}Z",
            "diamond": f"M{x:.1f} {y - d:.1f}L{x + d:.1f} {y:.1f}L{x:.1f} {y + d:.1f}L{x - d:.1f} {y:.1f}Z",
            "triangle": f"M{x:.1f} {y - d:.1f}L{x + d:.1f} {y + r:.1f}H{x - d:.1f}Z",
            "cross": f"M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}M{x - r:.1f} {y + r:.1f}L{x + r:.1f} {y - r:.1f}",
            "plus": f"M{x - d:.1f} {y:.1f}H{x + d:.1f}M{x:.1f} {y - d:.1f}V{y + d:.1f}",
        }
        if shape in paths:
            self._parts.append(_tipped("path", f'class="{kind} mark-{shape}" d="{paths[shape]}"', tip))
        else:
            self._parts.append(_tipped("circle", f'class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"', tip))

    def dots(self, x: Sequence[float], y: Sequence[float], radius: Sequence[float], kind: str) -> None:
        """Many dots without words of their own."""
        circles = (f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{r:.1f}"/>' for a, b, r in zip(x, y, radius, strict=True))
        self._parts.append(f'<g class="{kind}">{"".join(circles)}</g>')

    def draw(self, title: str, description: str, kind: str) -> Html:
        """The whole as one element that a screen reader can name."""
        marks = "".join(self._parts)
        # From the content: the same figure is the same bytes in every page and process.
        key = blake2b(f"{kind}{title}{description}{marks}".encode("utf-8", "replace"), digest_size=6).hexdigest()
        role = "group" if "<title>" in marks else "img"  # marks that can be reached by key are not part of one picture
        return Html(
            f'<svg class="{kind}" viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="{role}" '
            f'aria-labelledby="t{key} d{key}" xmlns="http://www.w3.org/2000/svg">'
            f'<title id="t{key}">{escape(title)}</title><desc id="d{key}">{escape(description)}</desc>{marks}</svg>'
        )


def _tipped(tag: str, attributes: str, tip: str | None) -> str:
    return f"<{tag} {attributes}/>" if tip is None else f"<{tag} {attributes}><title>{escape(tip)}</title></{tag}>"


def frame(svg: Svg, x: Axis, y: Axis, x_label: str, y_label: str) -> None:
    """Grid lines, ticks and the names of both axes; x runs from left to right, y from the bottom up."""
    left, right, bottom = min(x.start, x.end), max(x.start, x.end), max(y.start, y.end)
    for value, at in zip(y.ticks, y(list(y.ticks)).tolist(), strict=True):
        svg.line(left, at, right, at, "axis" if value == 0 else "grid")
        svg.text(left - 7, at + 4, y.write(value), "tick", "end")
    svg.line(left, bottom, right, bottom, "axis")
    last = -1e9
    for value, at in zip(x.ticks, x(list(x.ticks)).tolist(), strict=True):
        label = x.write(value)
        half = text_width(label, 12) / 2
        svg.line(at, bottom, at, bottom + 4, "axis")
        if at - half > last + 6:
            svg.text(at, bottom + 18, label, "tick", "middle")
            last = at + half
    if x_label:
        svg.text((left + right) / 2, bottom + 36, x_label, "name", "middle")
    if y_label:
        # Above the axis, to be read without turning the head.
        svg.text(2, 14, y_label, "name")


def figure(
    title: str, draw: Callable[[float, bool], Html], *, note: str = "", legend: Html | None = None, numbers: Html | None = None,
) -> Html:  # fmt: skip
    """A drawing with its title, drawn for a page and for a phone; `numbers` unfolds below it.

    `draw(width, narrow)` draws it. `legend` stands above the narrow drawing, and above both where the wide one has no labels.
    """
    head = f"<figcaption>{escape(title)}{_note(note)}</figcaption>" if title or note else ""
    below = f'<details class="numbers"><summary>Numbers</summary>{numbers}</details>' if numbers else ""
    return Html(f'<figure class="figure">{head}{legend or ""}{draw(WIDE, False)}{draw(NARROW, True)}{below}</figure>')


def _note(note: str) -> str:
    return f'<span class="note">{escape(note)}</span>' if note else ""


def size_kind(narrow: bool) -> str:
    """The class of the wide or the narrow drawing."""
    return "narrow" if narrow else "wide"


def legend_of(names: Sequence[str], *, narrow_only: bool, lines: bool = True) -> Html:
    """Names beside their colours, dashes and marks."""
    items = []
    for k, name in enumerate(names):
        swatch = Svg(26, 12)
        if lines:
            swatch.path(np.array([1.0, 25.0]), np.array([6.0, 6.0]), f"series s{k % N_COLOURS}", DASHES[k % N_COLOURS])
        swatch.marker(13, 6, f"point s{k % N_COLOURS}", MARKERS[k % N_COLOURS])
        inner = "".join(swatch._parts)
        items.append(f'<li><svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true">{inner}</svg>{escape(name)}</li>')
    return Html(f'<ul class="legend{" narrow-only" if narrow_only else ""}">{"".join(items)}</ul>')


def label(text: str) -> str:
    """A text as a label: on one line, nothing invisible in it."""
    return visible(" ".join(text[:400].split()))
