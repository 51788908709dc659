"""The smaller pieces of a report: large figures, commands to copy, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plaudit.report._html import Html, escape, long_text
from plaudit.report._scale import percent
from plaudit.report._table import table
from plaudit.types import REASONS


def tiles(figures: Sequence[tuple[str, str] | tuple[str, str, str]]) -> Html:
    """A few figures, large: (what it is, the figure), or with ``"bad"`` as third where it should be seen.

    >>> "0.396" in tiles([("mean", "0.396")])
    True
    """
    boxes = (
        f'<div class="tile{" bad" if kind and kind[0] == "bad" else ""}"><b>{escape(shown)}</b><span>{escape(name)}</span></div>'
        for name, shown, *kind in figures
    )
    return Html(f'<div class="tiles">{"".join(boxes)}</div>')


def commands(lines: Sequence[str | tuple[str, str]]) -> Html:
    """Command lines, each with a button that copies it; a pair is (what it does, the command).

    >>> "plaudit score" in commands([("Scores the rows again.", "plaudit score reward.yaml answers.jsonl")])
    True
    """
    parts = []
    for line in lines:
        does, command = ("", line) if isinstance(line, str) else line
        said = f'<p class="does">{escape(does)}</p>' if does else ""
        parts.append(f'{said}<div class="command"><pre><code>{escape(command)}</code></pre></div>')
    return Html("".join(parts))


def reasons_table(counts: Mapping[tuple[str, str | None], int], caption: str = "") -> Html:
    """How often each reason came, the most frequent first, with its sentence.

    Args:
        counts: by (status, reason); a reason of None is a value that needed none.

    >>> "does not agree" in reasons_table({("scored", "response_wrong"): 3})
    True
    """
    total = sum(counts.values())
    rows = [
        [status_mark(status), code(reason) if reason is not None else "–", n, share(n / total), sentence_of(reason)]
        for (status, reason), n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    ]
    return table(["status", "reason", "rows", "share", "what it means"], rows, caption=caption)


def sentence_of(reason: str | None) -> str:
    """What a reason code means; nothing for one that nobody declared here."""
    if reason is None:
        return ""
    base, _, name = reason.partition(":")
    known = REASONS.get(base)
    return "" if known is None else known.sentence.replace("(its name follows the colon)", f"({name})" if name else "").strip()


def code(text: str) -> Html:
    """A code that is not broken into lines while it is short."""
    return Html(f'<span class="nowrap">{escape(text)}</span>') if len(text) <= 40 else long_text(text, 200)


def status_mark(status: str) -> Html:
    """A status in the page's style."""
    return Html(f'<span class="status-{escape(status)}">{escape(status)}</span>')


def share(value: float) -> Html:
    """A share as a small bar with its number; NaN is a dash."""
    if value != value:
        return Html("–")
    width = min(max(value, 0.0), 1.0)
    meter = f'<span class="meter" aria-hidden="true"><i style="width:{width:.1%}"></i></span>'
    return Html(f'<span class="nowrap">{meter}{escape(percent(value))}</span>')
