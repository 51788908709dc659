"""What a reward says of one sample: a value, or that it does not know, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.types._display import Displayed, shown
from plaudit.types._reasons import Status, reason

Level = Literal["token", "span", "step", "turn"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cost:
    """What a verdict cost: wall seconds, model calls, tokens, money (in the unit of the price list).

    >>> Cost(seconds=1.0, calls=1) + Cost(calls=2)
    Cost(seconds=1.0, calls=3, tokens=0, money=0.0)
    """

    seconds: float = 0.0
    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.calls + other.calls, self.tokens + other.tokens, self.money + other.money)


_FREE = Cost()


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Reward placed inside a response: k values, each with the place it belongs to.

    Fields:
        level: ``"token"`` counts tokens of `Sample.tokens`; every other level counts characters.
        values: (k,) float64, NaN = not scored.
        start, end: (k,) int64, half-open.
        message: (k,) int64 index of the response message; None when the response is a str.

    Raises ValueError when the arrays differ in length or an interval ends before it starts.

    >>> Dense("step", [1.0, float("nan")], [0, 10], [10, 25]).values.shape
    (2,)
    """

    level: Level
    values: NDArray[np.float64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    message: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.level not in ("token", "span", "step", "turn"):
            raise ValueError(f"Dense.level is {self.level!r}: expected 'token', 'span', 'step' or 'turn'")
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        for name in ("start", "end") if self.message is None else ("start", "end", "message"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
            if getattr(self, name).shape != self.values.shape or self.values.ndim != 1:
                raise ValueError(f"Dense.{name} has shape {getattr(self, name).shape}, values {self.values.shape}: expected (k,)")
        if bool(np.any(self.start < 0)) or bool(np.any(self.end < self.start)):
            raise ValueError("Dense: expected 0 <= start <= end in every row")


def check_outcome(name: str, value: float | None, status: Status, code: str | None) -> None:
    """Raise ValueError unless a number is there exactly when `status` is SCORED, and `code` belongs to that status."""
    if status is Status.SCORED:
        if value is None or not isfinite(value):
            raise ValueError(f"{name} is {value!r} and status is SCORED: expected a finite number")
    elif value is not None:
        raise ValueError(f"{name} is {value!r} and status is {status.name}: expected None")
    elif code is None:
        raise ValueError(f"status is {status.name} and reason is None: expected a code of plaudit.types.REASONS")
    if code is not None and reason(code).status is not status:
        raise ValueError(f"reason {code!r} belongs to {reason(code).status.name}, but status is {status.name}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verdict(Displayed):
    """A reward's opinion on one sample. A failure is never a silent 0.

    Fields:
        value: the reward, higher is better; None unless SCORED.
        status: SCORED, ABSTAINED (does not apply) or FAILED (our fault).
        reason: a code of `REASONS`; None only when SCORED.
        parts: verdicts of the parts by constant name.
        dense: reward placed inside the response; None = only the whole was judged.
        std: standard deviation of value, in its unit; None = not known.
        confidence: probability that value is right; None = not known.
        answer: what was read out of the response; None = nothing was.
        explanation: one or more sentences for people.
        details: JSON: per-test results, a judge's transcript, the stage that decided.
        cost: seconds, calls, tokens, money.

    Raises ValueError when value, status and reason do not fit each other.

    >>> Verdict(1.0, answer="4").status.value, Verdict.failed("reference_missing").value
    ('scored', None)
    """

    value: float | None
    status: Status = Status.SCORED
    reason: str | None = None
    parts: Mapping[str, Verdict] = field(default_factory=lambda: _NOTHING)
    dense: Dense | None = None
    std: float | None = None
    confidence: float | None = None
    answer: str | None = None
    explanation: str | None = None
    details: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    cost: Cost = _FREE

    def __post_init__(self) -> None:
        if self.status is not Status.SCORED or self.reason is not None or self.value is None or not isfinite(self.value):
            check_outcome("Verdict.value", self.value, self.status, self.reason)

    @classmethod
    def failed(cls, reason: str, explanation: str | None = None, **fields: Any) -> Verdict:
        """A verdict that says that we could not judge.

        >>> Verdict.failed("worker_lost").status.value
        'failed'
        """
        return cls(None, Status.FAILED, reason, explanation=explanation, **fields)

    @classmethod
    def abstained(cls, reason: str = "not_applicable", explanation: str | None = None, **fields: Any) -> Verdict:
        """A verdict that says that the reward does not apply.

        >>> Verdict.abstained().reason
        'not_applicable'
        """
        return cls(None, Status.ABSTAINED, reason, explanation=explanation, **fields)

    def __repr__(self) -> str:
        words = [f"{self.value:.6g}" if self.value is not None else self.status.name]
        words += [repr(self.reason)] if self.reason is not None else []
        if self.parts:
            few = list(self.parts.items())[:6]
            said = [f"{name}={part.value:.4g}" if part.value is not None else f"{name}={part.status.name}" for name, part in few]
            words.append(f"parts({', '.join(said)}{', …' if len(self.parts) > len(few) else ''})")
        words += [f"{len(self.dense.values)} {self.dense.level}s"] if self.dense is not None else []
        for name in ("std", "confidence"):
            words += [f"{name}={getattr(self, name):.4g}"] if getattr(self, name) is not None else []
        for name in ("answer", "explanation"):
            words += [f"{name}={shown(getattr(self, name))}"] if getattr(self, name) is not None else []
        return f"Verdict({', '.join(words)})"

    def __float__(self) -> float:
        return float("nan") if self.value is None else float(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Verdict, (
            self.value, self.status, self.reason, dict(self.parts), self.dense, self.std, self.confidence,
            self.answer, self.explanation, dict(self.details), self.cost,
        )  # fmt: skip
