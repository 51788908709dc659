"""plaudit: the reward layer for language-model training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plaudit.reward import Comparator, Facts, Reward, Stateful, check_reward, explain, from_spec, lexicographic, minimum
    from plaudit.run import using
    from plaudit.types import Context, Cost, Dense, Pair, Preference, Sample, Status, Verdict, Verdicts

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(
        ("Comparator", "Facts", "Reward", "Stateful", "check_reward", "explain", "from_spec", "lexicographic", "minimum"),
        "plaudit.reward",
    ),
    **dict.fromkeys(
        ("Context", "Cost", "Dense", "Pair", "Preference", "Sample", "Status", "Verdict", "Verdicts"), "plaudit.types"
    ),
    "using": "plaudit.run",
}

__all__ = [
    "Comparator",
    "Context",
    "Cost",
    "Dense",
    "Facts",
    "Pair",
    "Preference",
    "Reward",
    "Sample",
    "Stateful",
    "Status",
    "Verdict",
    "Verdicts",
    "check_reward",
    "explain",
    "from_spec",
    "lexicographic",
    "minimum",
    "using",
]


def __getattr__(name: str) -> Any:
    # Rooms load on first use: `import plaudit` stays fast however many of them there are.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'plaudit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
