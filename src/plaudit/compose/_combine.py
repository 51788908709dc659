"""Several rewards as one: power means, and sums of parts that were made comparable first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._grouped import GroupNumber, group_combined, group_mean, group_rows, group_std, index_of
from plaudit.compose._parts import (
    GROUP,
    Floats,
    bounded,
    checked_number,
    facts_with,
    floats,
    frozen_parts,
    frozen_weights,
    joined_range,
    matrix,
)
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import Verdicts


def power_mean(values: ArrayLike, weights: ArrayLike, power: float = -1.0) -> Floats:
    """The weighted power mean ``(Σ w v^p / Σ w)^(1/p)``: p = 1 the mean, 0 the geometric, -1 the harmonic mean, -inf the minimum.

    The smaller p, the less a good part makes up for a bad one; for p <= 0 a part that is 0 makes the whole 0.

    Args:
        values: (n, k) rewards >= 0; NaN = not scored, left out with its weight.
        weights: (k,) numbers >= 0; a part of weight 0 does not count.
        power: p <= 1.

    Returns (n,) float64, NaN where no part with a weight is scored. Raises DataError for negative values or weights, or p > 1.
    Source (harmonic): "Subject-driven Text-to-Image Generation via Preference-based Reinforcement Learning".

    >>> power_mean([[0.2, 0.8], [0.0, 1.0], [np.nan, 0.5]], [1, 1]).round(3)
    array([0.32, 0.  , 0.5 ])
    """
    v = matrix("values", values)
    w = floats("weights", weights, v.shape[1])
    if (v < 0).any() or not (w >= 0).all() or isnan(power) or power > 1:
        raise DataError(f"power_mean: expected values and weights >= 0 and a power <= 1, got power {power}, weights {w}")
    counts = ~np.isnan(v) & (w > 0)
    some = counts.any(axis=1)
    low = np.where(counts, v, np.inf).min(axis=1, initial=np.inf)
    high = np.where(counts, v, 0.0).max(axis=1, initial=0.0)
    share = np.where(counts, w, 0.0)
    share = share / np.where(some, share.sum(axis=1), 1.0)[:, None]
    # Relative to a part of the row: no power of a small number leaves the range of floats.
    unit = np.where(some & (low > 0), low if power <= 0 else high, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.where(counts & (v > 0), v, 1.0) / unit[:, None]
        if power == -np.inf:
            mean = unit.copy()
        elif power == 0:
            mean = np.exp((share * np.log(np.where(counts & (v > 0), v, 1.0))).sum(axis=1))
        elif power < 0:
            mean = unit * (share * ratio**power).sum(axis=1) ** (1 / power)
        else:
            unit = np.where(some & (high > 0), high, 1.0)
            mean = unit * (share * (np.where(counts, v, 0.0) / unit[:, None]) ** power).sum(axis=1) ** (1 / power)
    if power <= 0:
        mean = np.where(low == 0, 0.0, mean)
    # A mean lies between the smallest and the largest part; rounding must not carry it out.
    return np.where(some, np.clip(mean, np.where(some, low, 0.0), high), np.nan)


@dataclass(frozen=True)
class PowerMean(Combinator):
    """A weighted power mean of the parts that apply: with power 0 geometric, with power -1 harmonic. See `power_mean`.

    Between the mean (a good part pays for a bad one) and the minimum (only the worst part counts, so that the others give no
    signal). Never above `Mean` of the same parts.

    Fields:
        parts: rewards whose declared ranges do not go below 0.
        weights: numbers >= 0 by part; a part without one has the weight 1. For two parts and weights (λ, 1 - λ), power -1 is
            the λ-harmonic reward.
        power: <= 1.

    ABSTAINED parts are left out and the other weights grow to fill their place; a FAILED part makes the whole FAILED.
    Raises ContractError for a range below 0, a power above 1, or weights that mean nothing.
    Source: "Subject-driven Text-to-Image Generation via Preference-based Reinforcement Learning" (RPO, the harmonic mean).

    >>> from plaudit.reward import reward
    >>> subject = reward(lambda response: 1.0, range=(0, 1)).named("subject")
    >>> prompt = reward(lambda response: 0.25, range=(0, 1)).named("prompt")
    >>> parts = {"subject": subject, "prompt": prompt}
    >>> [PowerMean(parts, power=p).one("p", "r").value for p in (1, 0, -1)]
    [0.625, 0.5, 0.4]
    """

    parts: Mapping[str, Reward]
    weights: Mapping[str, float] = field(default_factory=dict)
    power: float = -1.0

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {"right": {"use": "verify.exact"}, "close": {"use": "verify.f1"}},
        "weights": {"right": 0.3, "close": 0.7},
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", frozen_parts("compose.power_mean", self.parts))
        object.__setattr__(self, "weights", frozen_weights("compose.power_mean", self.weights, list(self.parts)))
        for part in self.parts.values():
            bounded("compose.power_mean", part, low=0.0)
        if isnan(self.power) or self.power > 1:
            raise ContractError(f"compose.power_mean: power is {self.power}: expected a number <= 1")

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top of the parts that have a weight."""
        return facts_with(self.parts, joined_range([p for n, p in self.parts.items() if self.weights[n]]), (92,))

    def operands(self) -> Mapping[str, Reward]:
        """The parts."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the mean."""
        values = np.stack([operands[name].values for name in self.parts], axis=1)
        mean = power_mean(np.maximum(values, 0.0), list(self.weights.values()), self.power)
        return combined(operands, mean, ~np.isnan(mean))


def normalized_sum(
    values: ArrayLike, weights: ArrayLike, groups: NDArray[Any] | None = None, *, means: ArrayLike = 0.0, stds: ArrayLike = 1.0
) -> Floats:
    """Σ w (v - mean) / std: every part in units of its own spread before it is weighted, so that a wide part does not rule.

    Args:
        values: (n, k) rewards; NaN = not scored, adds nothing and enters no mean.
        weights: (k,) numbers >= 0.
        groups: (n,) labels; each part is normalised inside its group, by the scored rewards there (std divided by their
            number); a part without variance in the group adds 0. None = by `means` and `stds`.
        means, stds: (k,) stored numbers, stds > 0.

    Returns (n,) float64, NaN where no part is scored. Raises DataError for shapes, infinities, or a std that is not positive.
    Source (inside groups): "GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization".

    >>> normalized_sum([[0.0, 100.0], [1.0, 300.0]], [1, 1], np.array(["a", "a"]))
    array([-2.,  2.])
    """
    v = matrix("values", values)
    n, k = v.shape
    w = floats("weights", weights, k)
    here = ~np.isnan(v)
    if groups is None:
        mean = np.broadcast_to(np.asarray(means, dtype=np.float64), (k,))
        std = np.broadcast_to(np.asarray(stds, dtype=np.float64), (k,))
        if not (std > 0).all():
            raise DataError(f"stds are {std}: expected positive numbers")
        scores = (v - mean) / std
    else:
        index = group_rows(groups, n)
        scores = np.zeros((n, k))
        for j in range(k):
            spread = group_std(np.where(here[:, j], v[:, j], 0.0), index, here[:, j])
            center = group_mean(v[:, j], index, here[:, j])
            scores[:, j] = np.where(spread > 0, (v[:, j] - center) / np.where(spread > 0, spread, 1.0), 0.0)
    return np.where(here.any(axis=1), (np.where(here, scores, 0.0) * w).sum(axis=1), np.nan)


@dataclass(frozen=True)
class NormalizedSum(Combinator):
    """A weighted sum of parts that are each brought to mean 0 and standard deviation 1 first. See `normalized_sum`.

    In a plain sum the part with the largest spread decides, whatever the weights say; here weights are weights.

    Fields:
        parts: rewards by name.
        weights: numbers >= 0 by part; a part without one has the weight 1.
        within: ``"group"``: by the mean and standard deviation of the scored values in the sample's own group. ``"stored"``: by
            `means` and `stds`, so that a verdict does not depend on what it was scored with.
        means, stds: by part, in its unit; 0 and 1 where none is given.

    An ABSTAINED part adds nothing; a FAILED one makes the sample FAILED. Within groups, an incomplete group is FAILED
    ``group_incomplete``. Raises ContractError for weights that mean nothing or a std that is not positive.
    Source (within groups): "GDPO: Group reward-Decoupled Normalization Policy Optimization for Multi-reward RL Optimization".

    >>> from plaudit.reward import reward
    >>> right = reward(lambda response: float(response == "4"), range=(0, 1)).named("right")
    >>> short = reward(lambda response: -100.0 * len(response), range=(-1000, 0)).named("short")
    >>> from plaudit import Sample
    >>> NormalizedSum({"right": right, "short": short})([Sample("2+2", "4"), Sample("2+2", "four")])
    array([ 2., -2.])
    """

    parts: Mapping[str, Reward]
    weights: Mapping[str, float] = field(default_factory=dict)
    within: Literal["group", "stored"] = "group"
    means: Mapping[str, float] = field(default_factory=dict)
    stds: Mapping[str, float] = field(default_factory=dict)

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {"right": {"use": "verify.exact"}, "close": {"use": "verify.f1"}},
        "within": "stored",
        "means": {"close": 0.5},
        "stds": {"close": 0.25},
    }

    def __post_init__(self) -> None:
        where = "compose.normalized_sum"
        object.__setattr__(self, "parts", frozen_parts(where, self.parts))
        object.__setattr__(self, "weights", frozen_weights(where, self.weights, list(self.parts)))
        if self.within not in ("group", "stored"):
            raise ContractError(f"{where}: within is {self.within!r}: expected 'group' or 'stored'")
        if self.within == "group" and (self.means or self.stds):
            raise ContractError(f"{where}: means and stds are for within='stored'; groups have their own")
        for name, least in (("means", -np.inf), ("stds", np.nextafter(0, 1))):
            given = getattr(self, name)
            if unknown := sorted(set(given) - set(self.parts)):
                raise ContractError(f"{where}: {name} names {unknown}, parts are {list(self.parts)}")
            numbers = {part: checked_number(where, f"{name}[{part!r}]", given[part], low=least) for part in given}
            object.__setattr__(self, name, MappingProxyType(numbers))

    def _stored(self) -> tuple[list[float], list[float]]:
        return [self.means.get(name, 0.0) for name in self.parts], [self.stds.get(name, 1.0) for name in self.parts]

    @property
    def facts(self) -> Facts:
        """The interval sum with stored numbers; unbounded within groups."""
        ranges = [part.facts.range for part in self.parts.values()]
        known = [r for r in ranges if r is not None]
        if self.within == "group":
            return facts_with(self.operands(), (-np.inf, np.inf))
        if len(known) < len(ranges):
            return facts_with(self.operands(), None)
        ends = [
            (w * (r[0] - m) / s, w * (r[1] - m) / s) if w else (0.0, 0.0)
            for w, r, m, s in zip(self.weights.values(), known, *self._stored(), strict=True)
        ]
        # Beside another part, one that abstains adds 0.
        lows, highs = (
            zip(*ends, strict=True) if len(ends) == 1 else zip(*[(min(a, 0.0), max(b, 0.0)) for a, b in ends], strict=True)
        )
        return facts_with(self.operands(), (sum(lows), sum(highs)))

    def operands(self) -> Mapping[str, Reward]:
        """The parts and, within groups, the group."""
        return self.parts if self.within == "stored" else {**self.parts, GROUP: GroupNumber()}

    def linear_weights(self) -> Mapping[str, float] | None:
        """Weights divided by the stored standard deviations; None within groups."""
        if self.within == "group":
            return None
        return {name: self.weights[name] / self.stds.get(name, 1.0) for name in self.parts}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the sum."""
        values = np.stack([operands[name].values for name in self.parts], axis=1)
        weights = list(self.weights.values())
        if self.within == "stored":
            means, stds = self._stored()
            total = normalized_sum(values, weights, means=means, stds=stds)
            return combined(operands, total, ~np.isnan(total))
        total = normalized_sum(values, weights, index_of(operands[GROUP]))
        return group_combined(operands, total, ~np.isnan(total))
