"""Rewards that make honesty about one's own chances the best policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, all_needed, bounded, checked_number, facts_with, floats
from plaudit.compose._sources import StatedConfidence
from plaudit.errors import DataError
from plaudit.reward import Combinator, Facts, Reward
from plaudit.types import Verdicts


def correctness_brier(correct: ArrayLike, confidence: ArrayLike, weight: float = 1.0) -> Floats:
    """``c - weight (q - c)^2``: correctness minus the squared error of the stated probability.

    For an answer that is right with probability p the best statement is q = p, and its expected value grows with p for every
    weight up to 1: the answer that is likeliest to be right stays the best one to give.

    Args:
        correct: (n,) in [0, 1]; NaN = not scored.
        confidence: (n,) in [0, 1]; NaN = not scored.
        weight: in [0, 1].

    Returns (n,) float64 in [-weight, 1], NaN where either is. Raises DataError for values outside these.
    Source: "Beyond Binary Rewards: Training LMs to Reason About Their Uncertainty" (RLCR).

    >>> correctness_brier([1, 1, 0, 0], [1.0, 0.0, 0.0, 1.0])
    array([ 1.,  0.,  0., -1.])
    """
    c = floats("correct", correct)
    q = floats("confidence", confidence, len(c))
    if ((c < 0) | (c > 1) | (q < 0) | (q > 1)).any() or not 0 <= weight <= 1:
        raise DataError(f"correctness_brier: expected correct, confidence and weight in [0, 1]; weight is {weight}")
    return np.asarray(c - weight * (q - c) ** 2)


@dataclass(frozen=True)
class CorrectnessBrier(Combinator):
    """Correctness minus the squared error of the confidence that the response states. See `correctness_brier`.

    Correctness alone pays the same for a lucky guess and for knowledge, so trained models become sure of everything.

    Fields:
        correct: a reward in [0, 1].
        confidence: a reward in [0, 1], read off the response: `StatedConfidence` by default.
        weight: in [0, 1]; above 1 a surely wrong answer, stated as such, could be worth more than a try.

    FAILED or ABSTAINED where one of them is. Raises ContractError for ranges or a weight outside [0, 1].
    Source: "Beyond Binary Rewards: Training LMs to Reason About Their Uncertainty" (RLCR).

    >>> from plaudit.reward import reward
    >>> honest = CorrectnessBrier(reward(lambda response: float(response.startswith("4")), range=(0, 1)))
    >>> [honest.one("2+2", f"{a} <confidence>{q}</confidence>").value for a, q in ((4, 1.0), (4, 0.5), (5, 0.5), (5, 1.0))]
    [1.0, 0.75, -0.25, -1.0]
    """

    correct: Reward
    confidence: Reward = field(default_factory=StatedConfidence)
    weight: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {"correct": {"use": "verify.exact"}}

    def __post_init__(self) -> None:
        bounded("compose.correctness_brier", self.correct, 0.0, 1.0)
        bounded("compose.correctness_brier", self.confidence, 0.0, 1.0)
        checked_number("compose.correctness_brier", "weight", self.weight, 0.0, 1.0)

    @property
    def facts(self) -> Facts:
        """Range (-weight, 1)."""
        return facts_with(self.operands(), (-self.weight, 1.0), (61,))

    def operands(self) -> Mapping[str, Reward]:
        """``correct`` and ``confidence``."""
        return {"correct": self.correct, "confidence": self.confidence}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the difference."""
        # Ranges let a rounding error of one part in a million through.
        correct, stated = (np.clip(operands[name].values, 0.0, 1.0) for name in ("correct", "confidence"))
        return all_needed(operands, correctness_brier(correct, stated, self.weight))
