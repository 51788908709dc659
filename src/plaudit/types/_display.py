"""How an object of the contract shows itself: in a line at the prompt, as HTML in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

GROUP, NAME = "plaudit.display", "html"
SHOWN = 60
"""Characters of a text that a line shows."""


class Displayed:
    """Objects that notebooks show as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html_of(self)


def html_of(thing: Any) -> str:
    """An object as a fragment of HTML.

    The entry point ``html`` of the group ``plaudit.display`` draws it; without one, or where it cannot be imported, it is the
    object's line, escaped.

    >>> from plaudit.types import Verdict
    >>> "0.5" in html_of(Verdict(0.5))
    True
    """
    draw = _renderer()
    if draw is not None:
        return draw(thing)
    from html import escape

    return f"<pre>{escape(repr(thing))}</pre>"


@lru_cache(maxsize=1)
def _renderer() -> Callable[[Any], str] | None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=NAME):
        try:
            found: Callable[[Any], str] = point.load()
        except (ImportError, AttributeError):  # a part of plaudit that is not installed
            continue
        return found
    return None


def shown(value: Any, limit: int = SHOWN) -> str:
    """A value for a line: its repr, cut where it is long.

    >>> shown("a" * 100, limit=10)
    "'aaaaaaaa…"
    """
    if isinstance(value, str):
        # Cut first: the repr of a text of a megabyte is another megabyte.
        value = value[: limit + 1]
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
