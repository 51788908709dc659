"""Names resolved to classes and factories through entry points, by string, never by import.

A package adds its own rewards with an entry point in the group ``plaudit.rewards``::

    [project.entry-points."plaudit.rewards"]
    "mine.politeness" = "mine.rewards:Politeness"
"""

from __future__ import annotations

import difflib
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from plaudit.errors import SpecError

REWARDS = "plaudit.rewards"
MODELS = "plaudit.models"
ENCODERS = "plaudit.encoders"


@lru_cache(maxsize=8)
def _table(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def table(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; read again when the import path has changed."""
    return _table(group, tuple(sys.path))


def names(group: str = REWARDS) -> list[str]:
    """All names of a group, sorted.

    >>> "verify.exact" in names()
    True
    """
    return sorted(table(group))


def nearest(name: str, known: list[str]) -> str:
    """A hint that names the nearest known name, or lists them all; empty when there are none.

    >>> nearest("verify.maths", ["verify.math", "verify.exact"])
    "; did you mean 'verify.math'?"
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


def load(group: str, name: str) -> Any:
    """Import what a name stands for.

    Raises SpecError for an unknown name, and when the module behind a known one cannot be imported.

    >>> load("plaudit.rewards", "verify.exact").__name__
    'Exact'
    """
    points = table(group)
    if name not in points:
        raise SpecError(f"{name!r} is not in the catalogue {group}{nearest(name, list(points))}")
    try:
        return points[name].load()
    except Exception as error:  # the code behind a name may be anybody's
        raise SpecError(
            f"{name!r} stands for {points[name].value}, which cannot be imported: {type(error).__name__}: {error}"
        ) from error


def name_of(group: str, cls: type) -> str | None:
    """The name under which a class stands in a group; None when it does not."""
    target = f"{cls.__module__}:{cls.__qualname__}"
    for name, point in table(group).items():
        if point.value == target:
            return name
        module, _, attribute = point.value.partition(":")
        if (
            attribute == cls.__qualname__
            and cls.__module__.startswith(module)
            and getattr(sys.modules.get(module), attribute, None) is cls
        ):
            return name
    return None
