"""Comparisons: a comparator's opinion on two responses, and a labelled row of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plaudit.types._reasons import Status
from plaudit.types._sample import Message
from plaudit.types._verdict import Cost, check_outcome

_NO_COST = Cost()


@dataclass(frozen=True, slots=True, eq=False)
class Preference:
    """What a comparator says of a pair (a, b).

    Fields:
        p: probability that a beats b, in [0, 1]; None unless SCORED.
        status, reason: as in a `Verdict`.
        confidence: probability that this preference is right; None = not known.
        explanation: for people; None = none given.
        cost: seconds, calls, tokens, money.

    Raises ValueError when p and status do not fit each other.

    >>> Preference(0.8).status
    <Status.SCORED: 'scored'>
    """

    p: float | None
    status: Status = Status.SCORED
    reason: str | None = None
    confidence: float | None = None
    explanation: str | None = None
    cost: Cost = _NO_COST

    def __post_init__(self) -> None:
        check_outcome("Preference.p", self.p, self.status, self.reason)
        if self.p is not None and not 0.0 <= self.p <= 1.0:
            raise ValueError(f"Preference.p is {self.p}: expected a probability in [0, 1]")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A labelled comparison, a row of preference data.

    Fields:
        prompt: text or messages that both responses answer.
        chosen, rejected: the better and the worse response.
        margin: by how much, in the annotator's unit; None = not said.
        tie: the annotator found them equal; chosen and rejected then have no meaning of better and worse.
        annotator: who said so; None = unknown.
        meta: other columns, JSON values.
    """

    prompt: str | Sequence[Message]
    chosen: str | Sequence[Message]
    rejected: str | Sequence[Message]
    margin: float | None = None
    tie: bool = False
    annotator: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
