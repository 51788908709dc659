"""Checks of the fields that say where and how often an endpoint is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from plaudit.errors import SpecError


def check_number(thing: Any, name: str, *, above: float | None = None, at_least: float | None = None) -> None:
    """Raise SpecError unless that field of a dataclass is a number within the bound, or None where that is its default."""
    value, default = getattr(thing, name), next(f.default for f in fields(thing) if f.name == name)
    if value is None and default is None:
        return
    whole = isinstance(default, int) or name in ("budget_calls", "budget_tokens")
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    if not fits or (above is not None and not value > above) or (at_least is not None and not value >= at_least):
        bound = f"above {above:g}" if above is not None else f"of at least {at_least:g}"
        raise SpecError(f"{name} is {value!r}: expected a {'whole ' if whole else ''}number {bound}")


def check_word(thing: Any, name: str, words: Sequence[str]) -> None:
    """Raise SpecError unless that field of an object is one of the words."""
    value = getattr(thing, name)
    if value not in words:
        raise SpecError(f"{name} is {value!r}: expected {', '.join(map(repr, words[:-1]))} or {words[-1]!r}")


def check_base_url(url: Any, name: str) -> None:
    """Raise SpecError unless it is an http or https URL without secrets, query and fragment.

    >>> check_base_url("http://localhost:8000/v1", "base_url")
    """
    problem = None
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port is not None and parts.port < 1):
            problem = "expected http://HOST:PORT/v1 or https://HOST/v1"
        elif parts.username is not None or parts.password is not None:
            problem = "it holds a name or password: put the secret into the environment variable that api_key_env names"
        elif parts.query or parts.fragment or any(c.isspace() for c in url):
            problem = "expected no spaces, '?' or '#' in it"
    except (ValueError, AttributeError, TypeError):
        problem = "it is no URL"
    if problem is not None:
        shown = repr(url) if "@" not in str(url) else "given"
        raise SpecError(f"{name} is {shown}: {problem}")
