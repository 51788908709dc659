"""Fragments of HTML, and text of unknown origin made safe to stand in them."""

from __future__ import annotations

import re
from functools import cache
from html import escape as _escape
from pathlib import Path
from typing import Any

LONG = 20_000
"""Characters of one text that are shown unless a function says otherwise."""

# Control characters and the marks that reorder or hide what stands beside them are spelt out: a response must not draw a false
# picture of itself. Half a surrogate pair cannot be written as UTF-8 at all.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


class Html(str):
    """A fragment of HTML that may be put into a page as it stands; a plain str is escaped there.

    In a notebook it shows itself, style included.

    >>> Html("<b>bold</b>")._repr_html_().endswith("<b>bold</b></div>")
    True
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        return standalone(self)


def standalone(fragment: str) -> str:
    """A fragment with the style that it needs, for a place that is not one of our pages."""
    return f'<style>{asset("page.css")}</style><div class="plaudit fragment">{fragment}</div>'


@cache
def asset(name: str) -> str:
    """The text of a file that ships beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def visible(text: str) -> str:
    r"""Text with its invisible characters spelt out; line feeds and tabs stay.

    >>> visible("a\x00b\u202ec")
    'a\\x00b\\u202ec'
    """
    return _HIDDEN.sub(lambda match: _spelt(ord(match[0])), text)


def _spelt(code: int) -> str:
    if code == 0x0D:
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: Any) -> Html:
    """Text of unknown origin for HTML; what is `Html` already passes.

    >>> escape("<script>"), escape(Html("<b>"))
    ('&lt;script&gt;', '<b>')
    """
    return text if isinstance(text, Html) else Html(_escape(visible(str(text)), quote=True))


def shorten(text: str, limit: int) -> str:
    """The beginning of a text on one line, at most `limit` characters.

    >>> shorten("one\\n two three", 8)
    'one two…'
    """
    line = " ".join(text[: 8 * limit].split())
    return line if len(line) <= limit and len(text) <= 8 * limit else line[: max(limit - 1, 0)].rstrip() + "…"


def long_text(text: str, limit: int = LONG) -> Html:
    """A text with its line breaks; past `limit` characters it is cut, and says how much is missing.

    >>> long_text("abcdef", limit=4)
    '<span class="text">abcd<span class="cut">… 2 more characters</span></span>'
    """
    return Html(f'<span class="text">{escape(text[:limit])}{cut_mark(len(text) - limit)}</span>')


def cut_mark(missing: int) -> Html:
    """What stands where a text was cut; nothing when nothing is missing."""
    if missing <= 0:
        return Html()
    return Html(f'<span class="cut">… {missing:,} more character{"" if missing == 1 else "s"}</span>')


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph of text."""
    return Html(f"<p{_class(kind)}>{escape(text)}</p>")


def nothing(title: str, why: str) -> Html:
    """The box that stands where a figure or table would, when there is nothing to draw."""
    head = f"<figcaption>{escape(title)}</figcaption>" if title else ""
    return Html(f'<figure class="figure">{head}<div class="nothing">{escape(why)}</div></figure>')


def block(kind: str, *parts: str) -> Html:
    """Parts in a box of the page's style."""
    return Html(f"<div{_class(kind)}>{''.join(escape(part) for part in parts)}</div>")


def disclosure(summary: str, *parts: str, opened: bool = False) -> Html:
    """Parts that are unfolded by a click or a key."""
    inner = "".join(escape(part) for part in parts)
    return Html(f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{inner}</details>")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
