"""What all verifiers of answers share: references, one or several, and the form of their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from plaudit.text import Answer
from plaudit.types import Verdict

SHOWN = 500
"""Characters of an answer or a reference that a verdict repeats."""

Several = Literal["best", "mean"]
"""``"best"`` = one reference that agrees suffices; ``"mean"`` = the mean over the references."""


def written(reference: Any) -> list[Any] | Verdict:
    """The references of a sample as a list without blanks; FAILED ``reference_missing`` where nothing is written."""
    several = isinstance(reference, Sequence) and not isinstance(reference, (str, bytes))
    items = [item for item in (reference if several else [reference]) if item is not None and item != ""]
    items = [item for item in items if not (isinstance(item, str) and item.isspace())]
    return items or Verdict.failed("reference_missing")


def texts(reference: Any, name: str) -> list[str] | Verdict:
    """The references as texts; numbers and booleans as Python writes them; FAILED where one is something else."""
    items = written(reference)
    if isinstance(items, Verdict):
        return items
    for item in items:
        if not isinstance(item, (str, int, float)):
            return Verdict.failed(
                "reference_unreadable", f"the reference of {name} holds {type(item).__name__}: expected text or a number"
            )
    return [item if isinstance(item, str) else str(item) for item in items]


def shortened(text: str) -> str:
    """A text as a verdict shows it."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def joined(values: Sequence[float], several: Several) -> float:
    """The value over several references."""
    return max(values) if several == "best" else sum(values) / len(values)


def verdict(
    value: float, reason: str, answer: Answer | None = None, stage: str | None = None, why: str | None = None, **details: Any
) -> Verdict:
    """A verdict that says which answer was read by which rule, and what decided."""
    shown = None if answer is None else shortened(answer.text)
    found = {"rule": None if answer is None else answer.rule, "stage": stage, **details}
    return Verdict(value, reason=reason, answer=shown, explanation=why, details=found)


def unreadable(text: str | None, max_chars: int) -> Verdict | None:
    """The verdict on a response that cannot be read at all: an unclosed thought, too much text; None = it can."""
    if text is None:
        return Verdict(0.0, reason="response_unclosed_thought")
    if len(text) > max_chars:
        return Verdict(0.0, reason="response_too_large", explanation=f"{len(text):,} characters, max_chars is {max_chars:,}")
    return None


def nothing(text: str, reason: str = "response_no_answer") -> Verdict:
    """The verdict on a response in which no answer was found."""
    return Verdict(0.0, reason="response_empty" if not text or text.isspace() else reason)


Compare = Callable[[str, str], float]
