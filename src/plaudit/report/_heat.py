"""Heat maps on text: rewards of tokens, spans, steps and turns where they stand in the response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.report._html import LONG, Html, cut_mark, escape
from plaudit.report._scale import number
from plaudit.text import message_text
from plaudit.types import Dense, Sample

_NUMBERED = 80  # places up to which each shows its number
_MOST_PLACES = 4000


@dataclass(frozen=True, slots=True)
class HeatScale:
    """From values to colours: orange at `low`, the colour of the paper at `middle`, blue at `high`.

    Raises DataError unless low <= middle <= high, all finite.

    >>> HeatScale(0.0, 0.5, 1.0).share([0.5, 0.25, 2.0]).tolist()
    [0.0, -0.5, 1.0]
    """

    low: float
    middle: float
    high: float

    def __post_init__(self) -> None:
        if not (self.low <= self.middle <= self.high and np.isfinite([self.low, self.high]).all()):
            raise DataError(f"heat scale from {self.low} over {self.middle} to {self.high}: expected finite, rising numbers")

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> HeatScale:
        """The scale that suits some values: [0, 1] around 0.5 for those in it, else around 0, as far to both sides."""
        here = values[np.isfinite(values)]
        if not here.size or (here.min() >= 0 and here.max() <= 1):
            return cls(0.0, 0.5, 1.0)
        if here.max() <= 0 and here.min() >= -1:
            return cls(-1.0, 0.0, 1.0)
        reach = float(np.abs(here).max())
        return cls(-reach, 0.0, reach)

    def share(self, values: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
        """(k,) from -1 (`low`) over 0 (`middle`) to 1 (`high`); NaN stays."""
        v = np.asarray(values, dtype=np.float64)
        below, above = (self.middle - self.low) or np.inf, (self.high - self.middle) or np.inf
        return np.clip(np.where(v < self.middle, (v - self.middle) / below, (v - self.middle) / above), -1.0, 1.0)


def heat_text(
    sample: Sample, dense: Dense, *, title: str = "", scale: HeatScale | None = None, token_text: Sequence[str] | None = None,
    numbers: bool | None = None, limit: int = LONG, note: str = "",
) -> Html:  # fmt: skip
    """A response with each place coloured by its reward; the number shows when it is pointed at or reached by key.

    Args:
        sample: whose response it is.
        dense: the rewards; NaN is hatched. Characters are counted as Python counts them, in a message as `text.message_text`
            gives it.
        scale: from values to colours; None = by the values.
        token_text: (T,) the text of each token, for level ``"token"``; without it a token shows its id.
        numbers: whether each place also shows its number; None = where there are at most 80 places.
        limit: characters of the response that are shown; the rest is counted.

    Raises DataError when places overlap, lie outside the response, or name a message that is not there.

    >>> sample = Sample("2+2?", "2+2=4. So 4.")
    >>> "So 4." in heat_text(sample, Dense("step", [1.0, 0.0], [0, 7], [6, 12]))
    True
    """
    chosen = scale if scale is not None else HeatScale.of(dense.values)
    numbers = len(dense.values) <= _NUMBERED if numbers is None else numbers
    shares = chosen.share(dense.values)
    if dense.level == "token":
        body = _tokens(sample, dense, shares, token_text, numbers, limit)
    elif isinstance(sample.response, str):
        if dense.message is not None and bool(np.any(dense.message != 0)):
            raise DataError("heat_text: dense.message names messages, and the response is a str")
        body = f'<div class="heat">{_marked(sample.response, dense, np.arange(len(shares)), shares, numbers, limit)}</div>'
    else:
        body = _chat(sample.response, dense, shares, numbers, limit)
    head = f"<figcaption>{escape(title)}{_span('note', note)}</figcaption>" if title or note else ""
    return Html(f'<figure class="figure heatmap">{head}{body}{_legend(chosen, bool(np.isnan(dense.values).any()))}</figure>')


def _marked(
    text: str, dense: Dense, rows: NDArray[np.intp], shares: NDArray[np.float64], numbers: bool, limit: int
) -> str:  # fmt: skip
    """A text with the places of some rows of `dense` marked in it."""
    order = rows[np.lexsort((dense.end[rows], dense.start[rows]))]
    starts, ends = dense.start[order], dense.end[order]
    if ends.size and int(ends.max()) > len(text):
        raise DataError(f"heat_text: a {dense.level} ends at character {int(ends.max())}, and the text has {len(text)}")
    clash = np.flatnonzero(starts[1:] < ends[:-1])
    if clash.size:
        k = int(clash[0])
        raise DataError(
            f"heat_text: {dense.level}s overlap: [{starts[k]}, {ends[k]}) and [{starts[k + 1]}, {ends[k + 1]}); draw them apart"
        )
    shown = text[:limit]
    kept = int(np.searchsorted(starts, len(shown))) if len(text) > limit else len(order)
    kept = min(kept, _MOST_PLACES)
    parts: list[str] = []
    at = 0
    for k in range(kept):
        start, end = int(starts[k]), min(int(ends[k]), len(shown))
        if start > at:
            parts.append(escape(shown[at:start]))
        parts.append(_place(shown[start:end], dense, int(order[k]), shares, numbers, f"{dense.level} {k + 1}"))
        at = max(at, end)
    parts += [escape(shown[at:]), cut_mark(len(text) - len(shown))]
    if kept < len(order):
        parts.append(f'<span class="cut"> {len(order) - kept:,} more {dense.level}s are not shown</span>')
    return "".join(parts)


def _place(text: str, dense: Dense, row: int, shares: NDArray[np.float64], numbers: bool, name: str) -> str:
    value, share = float(dense.values[row]), float(shares[row])
    said = "not scored" if np.isnan(value) else number(value)
    kind = "nan" if np.isnan(share) else "hi" if share > 0 else "lo" if share < 0 else "mid"
    strength = "" if np.isnan(share) else f' style="--t:{abs(share):.2f}"'
    shown = f'<span class="n" aria-hidden="true">{escape(said if kind != "nan" else "–")}</span>' if numbers else ""
    inner = escape(text) if text else '<span class="empty">∅</span>'
    return f'<mark class="{kind}"{strength} tabindex="-1" title="{escape(name)}: {escape(said)}">{inner}{shown}</mark>'


def _tokens(
    sample: Sample, dense: Dense, shares: NDArray[np.float64], token_text: Sequence[str] | None, numbers: bool, limit: int
) -> str:  # fmt: skip
    if token_text is None:
        if sample.tokens is None:
            raise DataError("heat_text: level 'token' counts Sample.tokens, which are not there; give them, or token_text")
        token_text = [f"⟨{token}⟩" for token in sample.tokens.tolist()]
    if sample.tokens is not None and len(token_text) != len(sample.tokens):
        raise DataError(f"heat_text: token_text has {len(token_text)} entries, Sample.tokens {len(sample.tokens)}")
    if dense.end.size and int(dense.end.max()) > len(token_text):
        raise DataError(f"heat_text: a place ends at token {int(dense.end.max())}, and there are {len(token_text)}")
    # From tokens to characters of the joined text, where everything else is the same.
    edges = np.concatenate([[0], np.cumsum([len(piece) for piece in token_text])]).astype(np.int64)
    placed = Dense("token", dense.values, edges[dense.start], edges[dense.end])
    inner = _marked("".join(token_text), placed, np.arange(len(shares)), shares, numbers, limit)
    return f'<div class="heat tokens">{inner}</div>'


def _chat(response: Sequence[object], dense: Dense, shares: NDArray[np.float64], numbers: bool, limit: int) -> str:
    if dense.message is None:
        raise DataError("heat_text: the response is messages, and dense.message does not say which message a place is in")
    if dense.message.size and not 0 <= int(dense.message.min()) <= int(dense.message.max()) < len(response):
        raise DataError(f"heat_text: dense.message names message {int(dense.message.max())}, and there are {len(response)}")
    return "".join(_messages(response, dense, shares, numbers, limit))


def _messages(
    response: Sequence[object], dense: Dense, shares: NDArray[np.float64], numbers: bool, limit: int
) -> Iterator[str]:  # fmt: skip
    assert dense.message is not None
    left = limit
    for k, message in enumerate(response):
        rows = np.flatnonzero(dense.message == k)
        text = message_text(message)  # type: ignore[arg-type]
        inner = _marked(text, dense, rows, shares, numbers, max(left, 0))
        left -= len(text)
        role = str(message["role"])  # type: ignore[index]
        yield f'<div class="message"><span class="role">{escape(role)}</span><div class="heat">{inner}</div></div>'


def _legend(scale: HeatScale, has_nan: bool) -> str:
    # The same colours as the places have: a share of the two ends over the paper.
    shares = [-1.0, -0.5, 0.0, 0.5, 1.0]
    values = [scale.low, (scale.low + scale.middle) / 2, scale.middle, (scale.middle + scale.high) / 2, scale.high]
    boxes = "".join(
        f'<li><mark class="{kind}" style="--t:{abs(s):.2f}">{escape(number(v, 3))}</mark></li>'
        for s, v, kind in zip(shares, values, ("lo", "lo", "mid", "hi", "hi"), strict=True)
    )
    hatched = '<li><mark class="nan">not scored</mark></li>' if has_nan else ""
    return f'<ul class="scale" aria-label="colours from low to high">{boxes}{hatched}</ul>'


def _span(kind: str, text: str) -> str:
    return f'<span class="{kind}">{escape(text)}</span>' if text else ""
