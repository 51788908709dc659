"""Rewards made of several others: sums, products, minimum, lexicographic order.

What each does with a part that has no value is the status table of the contract: a sum counts an ABSTAINED part as nothing,
the others leave it out; all abstain: ABSTAINED. A FAILED part makes the whole FAILED with ``part_failed:NAME``, unless a sum
was told ``on_failure="drop"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward._base import Combinator, Reward
from plaudit.reward._columns import combined, n_rows
from plaudit.reward._facts import Facts, Range
from plaudit.reward._operands import joint_facts, need_range
from plaudit.types import SCORED, Verdicts


@dataclass(frozen=True)
class Sum(Combinator):
    """A weighted sum: bias + Σ weight × part; weights are not negative, costs are rewards that are never positive.

    `on_failure`: ``"fail"`` makes the whole FAILED when a part is; ``"drop"`` counts such a part as nothing.
    Raises ContractError for a negative or missing weight.
    """

    parts: Mapping[str, Reward]
    weights: Mapping[str, float] = field(default_factory=dict)
    bias: float = 0.0
    on_failure: Literal["fail", "drop"] = "fail"

    def __post_init__(self) -> None:
        _freeze_parts(self)
        object.__setattr__(self, "bias", float(self.bias))
        if not isfinite(self.bias):
            raise ContractError(f"sum: the constant is {self.bias}: expected a finite number")
        unknown = set(self.weights) - set(self.parts)
        if unknown:
            raise ContractError(f"sum: weights name {sorted(unknown)}, parts are {list(self.parts)}")
        weights = {name: float(self.weights.get(name, 1.0)) for name in self.parts}
        for name, weight in weights.items():
            if not (isfinite(weight) and weight >= 0):
                raise ContractError(
                    f"sum: the weight of {name!r} is {weight}: expected a number >= 0; a cost is a reward that is never positive"
                )
        object.__setattr__(self, "weights", MappingProxyType(weights))

    @property
    def facts(self) -> Facts:
        """The range is the interval sum; a part that may abstain counts as 0."""
        ranges = [(w, self.parts[name].facts.range) for name, w in self.weights.items()]
        known = [(w, r) for w, r in ranges if r is not None]
        if len(known) < len(ranges):
            return joint_facts(self.parts, None)
        single = len(known) == 1
        lows = [(r[0] if single else min(0.0, r[0])) * w if w else 0.0 for w, r in known]
        highs = [(r[1] if single else max(0.0, r[1])) * w if w else 0.0 for w, r in known]
        return joint_facts(self.parts, (sum(lows) + self.bias, sum(highs) + self.bias))

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def linear_weights(self) -> Mapping[str, float]:
        return self.weights

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        total = np.full(n_rows(operands), self.bias)
        scored = np.zeros(len(total), dtype=bool)
        for name, part in operands.items():
            here = part.codes == SCORED
            scored |= here
            with np.errstate(over="ignore", invalid="ignore"):  # `combined` makes an overflow FAILED
                total += np.where(here, self.weights[name] * part.values, 0.0)
        return combined(operands, total, scored, drop_failures=self.on_failure == "drop")


@dataclass(frozen=True)
class Product(Combinator):
    """The product of the parts; ABSTAINED parts are left out, a FAILED part makes the whole FAILED."""

    parts: Mapping[str, Reward]

    def __post_init__(self) -> None:
        _freeze_parts(self)

    @property
    def facts(self) -> Facts:
        """The range is the interval product, where a part that is left out counts as 1."""
        ranges = [reward.facts.range for reward in self.parts.values()]
        known = [r for r in ranges if r is not None]
        if len(known) < len(ranges):
            return joint_facts(self.parts, None)
        result: Range = (1.0, 1.0) if len(known) > 1 else known[0]
        for lo, hi in known if len(known) > 1 else []:
            corners = [a * b if a and b else 0.0 for a in result for b in (min(lo, 1.0), max(hi, 1.0))]
            result = (min(corners), max(corners))
        return joint_facts(self.parts, result)

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        return _fold(operands, np.multiply, 1.0)


@dataclass(frozen=True)
class Minimum(Combinator):
    """The smallest part; ABSTAINED parts are left out, a FAILED part makes the whole FAILED."""

    parts: Mapping[str, Reward]

    def __post_init__(self) -> None:
        _freeze_parts(self)

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top: the part with the lowest top may abstain."""
        ranges = [reward.facts.range for reward in self.parts.values()]
        known = [r for r in ranges if r is not None]
        range = (min(r[0] for r in known), max(r[1] for r in known)) if len(known) == len(ranges) else None
        return joint_facts(self.parts, range)

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        return _fold(operands, np.minimum, np.inf)


@dataclass(frozen=True)
class Lexicographic(Combinator):
    """The first part decides; a later one decides only between values that the earlier ones call equal.

    Every part but the last is rounded down to one of 1/`resolution` levels of its range; two values in one level are equal.
    The value lies in [0, 1]. An ABSTAINED part is left out (it decides nothing).
    Raises ContractError when a part has no bounded range, or more levels are asked for than a float64 can tell apart.
    """

    parts: Mapping[str, Reward]
    resolution: float = 0.01

    def __post_init__(self) -> None:
        _freeze_parts(self)
        for name, reward in self.parts.items():
            lo, hi = need_range(reward, f"lexicographic, part {name!r}")
            if not (isfinite(lo) and isfinite(hi)):
                raise ContractError(f"lexicographic: {name!r} ranges over ({lo}, {hi}): expected a bounded range; clip it")
        if not 0 < self.resolution <= 1:
            raise ContractError(f"lexicographic: resolution is {self.resolution}: expected a number in (0, 1]")
        if self._base ** len(self.parts) > 2**52:
            raise ContractError(f"lexicographic: {len(self.parts)} parts at resolution {self.resolution} do not fit a float64")

    def identity(self) -> Mapping[str, Any]:
        """The order of the parts counts, which a mapping alone would not say."""
        return {"parts": list(self.parts.items()), "resolution": self.resolution}

    @property
    def _base(self) -> int:
        return round(1 / self.resolution) + 1

    @property
    def facts(self) -> Facts:
        """The range is (0, 1)."""
        return joint_facts(self.parts, (0.0, 1.0))

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        total, present = np.zeros(n_rows(operands)), np.zeros(n_rows(operands))
        here = np.stack([part.codes == SCORED for part in operands.values()])
        last = len(here) - 1 - np.argmax(here[::-1], axis=0)
        levels = self._base - 1
        for k, (name, part) in enumerate(operands.items()):
            lo, hi = need_range(self.parts[name], "lexicographic")
            share = np.where(here[k], (part.values - lo) / (hi - lo) if hi > lo else 0.0, 0.0).clip(0.0, 1.0)
            # The last part that is there is not rounded. A value on a level's edge must not fall below it by a rounding error.
            digit = np.where(last == k, share * levels, np.floor(share * levels + 1e-9))
            total = np.where(here[k], total * self._base + digit, total)
            present += here[k]
        # Without its ABSTAINED parts the order is that of the others alone, over the whole of [0, 1].
        return combined(operands, total / np.maximum(self._base**present - 1, 1), present > 0)


def _freeze_parts(node: Sum | Product | Minimum | Lexicographic) -> None:
    if not node.parts:
        raise ContractError(f"{node.name}: expected at least one part")
    for name, part in node.parts.items():
        if not isinstance(part, Reward):
            raise ContractError(f"{node.name}: part {name!r} is {type(part).__name__}: expected a reward")
    object.__setattr__(node, "parts", MappingProxyType(dict(node.parts)))


def _fold(operands: Mapping[str, Verdicts], step: Callable[..., NDArray[np.float64]], neutral: float) -> Verdicts:
    total = np.full(n_rows(operands), neutral)
    scored = np.zeros(len(total), dtype=bool)
    for part in operands.values():
        here = part.codes == SCORED
        scored |= here
        with np.errstate(over="ignore", invalid="ignore"):  # `combined` makes an overflow FAILED
            total = step(total, np.where(here, part.values, neutral))
    return combined(operands, total, scored)
