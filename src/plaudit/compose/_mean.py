"""Means of rewards: every part that applies counts with its weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from plaudit.errors import ContractError
from plaudit.reward import Combinator, Facts, Reward, combined, joint_facts
from plaudit.types import SCORED, Verdicts


@dataclass(frozen=True)
class Mean(Combinator):
    """The weighted mean of the parts that apply: an ABSTAINED part is left out, and the other weights grow to fill its place.

    Unlike a sum, it does not grow with the number of parts that apply, so prompts with more criteria earn no more.

    Fields:
        parts: rewards by name; at least one.
        weights: numbers >= 0 by the parts' names, at least one of them above 0; a part without one has the weight 1.
        on_failure: ``"fail"``: a FAILED part makes the whole FAILED ``part_failed:NAME``. ``"drop"``: it is left out like an
            ABSTAINED one; when no other part scored, the whole is FAILED all the same.

    A part of weight 0 is run and shown, and does not count: where only such parts scored, the mean is ABSTAINED.
    Raises ContractError for no parts, a weight that is negative or names no part, or no weight above 0.

    >>> from plaudit.reward import reward
    >>> right = reward(lambda response, reference: reference and float(response == reference), range=(0, 1))
    >>> short = reward(lambda response: 1 / (1 + len(response)), range=(0, 1))
    >>> both = Mean({"right": right, "short": short}, weights={"right": 3})
    >>> both.one("2+2", "4", "4").value, both.one("Write a poem", "4").value
    (0.875, 0.5)
    """

    parts: Mapping[str, Reward]
    weights: Mapping[str, float] = field(default_factory=dict)
    on_failure: Literal["fail", "drop"] = "fail"

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {
            "right": {"use": "verify.exact"},
            "short": {"use": "verify.length", "max_length": 400, "cache": 100, "unit": "characters"},
        },
        "weights": {"right": 2.0, "short": 1.0},
    }

    def __post_init__(self) -> None:
        if not self.parts:
            raise ContractError("compose.mean: expected at least one part")
        for name, part in self.parts.items():
            if not isinstance(part, Reward):
                raise ContractError(f"compose.mean: part {name!r} is {type(part).__name__}: expected a reward")
        unknown = sorted(set(self.weights) - set(self.parts))
        if unknown:
            raise ContractError(f"compose.mean: weights name {unknown}, parts are {list(self.parts)}")
        weights = {name: float(self.weights.get(name, 1.0)) for name in self.parts}
        if not all(isfinite(w) and w >= 0 for w in weights.values()) or not any(weights.values()):
            raise ContractError(f"compose.mean: weights are {weights}: expected numbers >= 0, at least one of them above 0")
        if self.on_failure not in ("fail", "drop"):
            raise ContractError(f"compose.mean: on_failure is {self.on_failure!r}: expected 'fail' or 'drop'")
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        object.__setattr__(self, "weights", MappingProxyType(weights))

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top of the parts that have a weight; undeclared when one of those is."""
        ranges = [part.facts.range for name, part in self.parts.items() if self.weights[name]]
        known = [r for r in ranges if r is not None]
        bounds = (min(r[0] for r in known), max(r[1] for r in known)) if len(known) == len(ranges) else None
        return joint_facts(self.parts, bounds)

    def operands(self) -> Mapping[str, Reward]:
        """The parts."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the mean from columns of the parts."""
        here = np.stack([part.codes == SCORED for part in operands.values()])
        values = np.where(here, np.stack([part.values for part in operands.values()]), 0.0)
        weights = np.where(here, np.array([self.weights[name] for name in operands])[:, None], 0.0)
        weight = weights.sum(axis=0)
        scored = weight > 0
        mean = (weights * values).sum(axis=0) / np.where(scored, weight, 1.0)
        # A mean lies between the smallest and the largest part; rounding must not carry it out of the range.
        counts = weights > 0
        low, high = np.where(counts, values, np.inf).min(axis=0), np.where(counts, values, -np.inf).max(axis=0)
        return combined(operands, np.clip(mean, low, high), scored, drop_failures=self.on_failure == "drop")
