"""Axes: where the ticks stand, how numbers are written, and from values to positions."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError

Format = Literal["number", "percent", "seconds", "signed"]
ScaleKind = Literal["linear", "log"]


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: thousands in groups, a true minus, ``–`` for none.

    >>> number(0.5), number(-1234567.0), number(float("nan")), number(1e-9)
    ('0.5', '−1,234,567', '–', '1e−9')
    """
    if value is None or not isfinite(value):
        return "–" if value is None or value != value else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if value == 0:
        text = "0"
    elif 1e-4 <= size < 1e15:
        places = max(0, digits - 1 - floor(log10(size)))
        text = f"{value:,.{min(places, 12)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return "0" if text in ("-0", "") else text.replace("-", "−")


def percent(value: float | None, digits: int = 3) -> str:
    """A share as percent.

    >>> percent(0.5), percent(0.12345), percent(None)
    ('50%', '12.3%', '–')
    """
    return "–" if value is None or value != value else f"{number(value * 100, digits)}%"


def seconds(value: float | None) -> str:
    """A duration.

    >>> seconds(0.0002), seconds(0.25), seconds(4.21), seconds(3671)
    ('0.2 ms', '250 ms', '4.21 s', '1 h 1 min')
    """
    if value is None or not isfinite(value):
        return "–"
    if value < 1:
        return f"{number(value * 1000, 3)} ms"
    if value < 60:
        return f"{number(value, 3)} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def signed(value: float | None) -> str:
    """A change with its sign.

    >>> signed(0.5), signed(-2.0), signed(0.0)
    ('+0.5', '−2', '0')
    """
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


_LARGEST = 1e300
"""Where drawings end: sums and differences of what they show stay finite."""

FORMATS: dict[Format, Callable[[float | None], str]] = {
    "number": number,
    "percent": percent,
    "seconds": seconds,
    "signed": signed,
}


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that cover [low, high], about so many.

    >>> ticks(0.0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not (isfinite(low) and isfinite(high)):
        raise DataError(f"an axis from {low} to {high}: expected finite numbers")
    low, high = max(min(low, high), -_LARGEST), min(max(low, high), _LARGEST)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-290):  # as good as equal: ticks between them could not be written
        room = abs(low) / 2 if abs(low) > 1e-200 else 1.0
        low, high = low - room, high + room
    raw = (high - low) / max(about, 1)
    power = 10.0 ** floor(log10(raw))
    step = power * next((m for m in (1, 2, 5) if m * power >= raw * 0.999), 10)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic axis over positive numbers: powers of ten, with 2 and 5 between where they are few.

    >>> log_ticks(1, 90)
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    """
    first, last = floor(log10(low) + 1e-9), ceil(log10(high) - 1e-9)
    if last - first <= 2:
        every = [m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5)]
        below = [t for t in every if t <= low * (1 + 1e-9)]
        above = [t for t in every if t >= high * (1 - 1e-9)]
        return [t for t in every if (not below or t >= below[-1]) and (not above or t <= above[0])]
    return [10.0**k for k in range(first, last + 1, max(1, ceil((last - first) / 6)))]


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to positions, with its ticks.

    Fields:
        low, high: the values at both ends.
        ticks: where the marks stand.
        start, end: positions of `low` and `high`.
        kind: linear, or log.
        form: how numbers are written.
    """

    low: float
    high: float
    ticks: Sequence[float]
    start: float
    end: float
    kind: ScaleKind = "linear"
    form: Format = "number"

    def __call__(self, values: Any) -> NDArray[np.float64]:
        """Positions of values, any shape; NaN stays NaN, what lies far outside stays near the edge."""
        v = np.asarray(values, dtype=np.float64)
        if self.kind == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                share = (np.log(v) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        else:
            share = (np.clip(v, -_LARGEST, _LARGEST) - self.low) / (self.high - self.low)
        return np.asarray(self.start + np.clip(share, -0.5, 1.5) * (self.end - self.start), dtype=np.float64)

    def write(self, value: float) -> str:
        """A value as the axis writes it."""
        return FORMATS[self.form](value)


def axis(
    values: Iterable[Any], start: float, end: float, *, kind: ScaleKind = "linear", form: Format = "number", about: int = 5,
    at: Sequence[float] | None = None, include: Sequence[float] = (), tight: bool = False,
) -> Axis:  # fmt: skip
    """The axis that shows all finite numbers of some arrays; `at` are the ticks where they are known, `include` must be on it.

    `tight` ends it at the data, else it ends on a tick. Raises DataError when there is nothing finite, or a log axis meets a
    number that is not positive.
    """
    arrays = [np.asarray(v, dtype=np.float64).ravel() for v in (*values, list(include))]
    every = np.concatenate(arrays) if arrays else np.empty(0)
    every = np.clip(every[np.isfinite(every)], -_LARGEST, _LARGEST)
    if not every.size:
        raise DataError("an axis needs at least one finite number")
    low, high = float(every.min()), float(every.max())
    if kind == "log" and low <= 0:
        raise DataError(f"a logarithmic axis cannot show {low}: expected positive numbers")
    if form == "percent" and low >= 0 and high <= 1 and high > 0.8:
        high = 1.0
    found = list(at) if at is not None else log_ticks(low, high) if kind == "log" else ticks(low, high, about)
    if kind == "log" and low == high:
        low, high = low / 2, high * 2
    elif tight and low < high:
        found = [t for t in found if low <= t <= high]
    elif at is None or low == high:
        low, high = min(low, found[0]), max(high, found[-1])
        if low == high:
            low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    return Axis(low, high, found, start, end, kind, form)


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide a text is in the page's font, in the unit of `size`.

    >>> 36 < text_width("policy") < 45
    True
    """
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    narrow = sum(c in " .,:;|!'()[]iljtfr" for c in text)
    return size * (wide + 0.36 * narrow + 0.63 * (len(text) - wide - narrow))


def fit(text: str, width: float, size: float = 12.0) -> str:
    """A text cut to a width."""
    if text_width(text, size) <= width:
        return text
    for keep in range(min(len(text), int(width / size * 4)), 0, -1):
        if text_width(text[:keep] + "…", size) <= width:
            return text[:keep].rstrip() + "…"
    return "…"
