"""Transforms of one reward's values: increasing maps with stored numbers, so that order is kept and scale becomes comparable."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, checked_number, facts_with, floats
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Range, Reward, combined
from plaudit.types import SCORED, Verdicts

Shape = Literal["sigmoid", "tanh", "ramp"]


def squash(values: ArrayLike, shape: Shape = "sigmoid", low: float = -1.0, high: float = 1.0) -> Floats:
    """An increasing map of rewards to a bounded interval.

    - ``"sigmoid"``: ``1 / (1 + exp(-4 (r - c) / w))``, with the centre c and the width w of (low, high): into (0, 1), with
      the slope 1 / w in the middle.
    - ``"tanh"``: twice that, minus 1.
    - ``"ramp"``: 0 below `low`, 1 above `high`, r itself between them: values near either end count as lost and as won.

    Args:
        values: (n,) rewards; NaN = not scored.
        low, high: the interval of the reward that is to be told apart; low < high; for ``"ramp"`` inside [0, 1].

    Returns (n,) float64. Raises DataError for an infinity, an empty interval or an unknown shape.
    Source (ramp): "Vision-R1: Evolving Human-Free Alignment in Large Vision-Language Models via Vision-Guided Reinforcement
    Learning".

    >>> squash([0.4, 0.6, 0.8], "ramp", 0.5, 0.75)
    array([0. , 0.6, 1. ])
    """
    r = floats("values", values)
    _check_shape(shape, low, high, DataError)
    if shape == "ramp":
        return np.where(np.isnan(r), np.nan, np.where(r < low, 0.0, np.where(r > high, 1.0, r)))
    # tanh(x) = 2 sigmoid(2 x) - 1 does not overflow.
    bent = np.tanh(2.0 * (r - (low + high) / 2) / (high - low))
    return np.asarray(bent if shape == "tanh" else (1.0 + bent) / 2)


def _check_shape(shape: str, low: float, high: float, error: type[ContractError] | type[DataError]) -> None:
    if shape not in ("sigmoid", "tanh", "ramp"):
        raise error(f"squash: shape is {shape!r}: expected 'sigmoid', 'tanh' or 'ramp'")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise error(f"squash: low is {low}, high {high}: expected finite numbers with low < high")
    if shape == "ramp" and not (low >= 0 and high <= 1):
        raise error(f"squash: a ramp from {low} to {high} would not be increasing: expected 0 <= low < high <= 1")


def quantile_map(values: ArrayLike, reference: ArrayLike) -> Floats:
    """Where each value lies among stored ones: their share below it, with straight lines between; increasing, in [0, 1].

    Args:
        values: (n,) rewards; NaN = not scored.
        reference: (m,) stored rewards, m >= 2, in any order.

    Returns (n,) float64: 0 at the smallest stored value and below, 1 at the largest and above, (mean rank - 1) / (m - 1) at
    a stored value between them. Raises DataError for an infinity, fewer than 2 stored values, or stored values all equal.
    Source: none of its own; the probability integral transform.

    >>> quantile_map([0.0, 2.5, 9.0], [1, 2, 3, 4])
    array([0. , 0.5, 1. ])
    """
    stored = floats("reference", reference)
    if len(stored) < 2 or np.isnan(stored).any():
        raise DataError(f"reference holds {len(stored)} values: expected at least 2, none of them NaN")
    levels, counts = np.unique(stored, return_counts=True)
    if len(levels) < 2:
        raise DataError(f"reference: all {len(stored)} values are {levels[0]:g}: expected different ones")
    last = np.cumsum(counts)
    heights = (last - (counts + 1) / 2) / (len(stored) - 1)
    heights[0], heights[-1] = 0.0, 1.0
    r = np.clip(floats("values", values), levels[0], levels[-1])
    # By hand: the slopes of np.interp overflow where stored values are nearly equal.
    below = np.clip(np.searchsorted(levels, r, side="right") - 1, 0, len(levels) - 2)
    share = (r - levels[below]) / (levels[below + 1] - levels[below])
    return np.asarray(heights[below] + share * (heights[below + 1] - heights[below]))


class _Map(Combinator):
    """One operand, mapped value by value by an increasing function."""

    reward: Reward

    SYSTEMS: ClassVar[tuple[int, ...]] = ()

    @abstractmethod
    def _mapped(self, values: Floats) -> Floats:
        """(n,) mapped values of (n,) finite ones."""

    def _range(self) -> Range | None:
        found = self.reward.facts.range
        if found is None:
            return None
        ends = np.array([max(found[0], -1e300), min(found[1], 1e300)])
        lo, hi = self._mapped(ends).tolist()
        return (lo, hi)

    @property
    def name(self) -> str:
        """The operand's name."""
        return self.reward.name

    @property
    def facts(self) -> Facts:
        """The operand's range, mapped; undeclared where it is."""
        return facts_with(self.operands(), self._range(), self.SYSTEMS)

    def operands(self) -> Mapping[str, Reward]:
        """The reward."""
        return {self.reward.name: self.reward}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the mapped reward."""
        (inner,) = operands.values()
        return combined(operands, self._mapped(inner.values), inner.codes == SCORED, keep_reason=True)


@dataclass(frozen=True)
class Squash(_Map):
    """A reward bent into a bounded interval: ``"sigmoid"`` and ``"ramp"`` into [0, 1], ``"tanh"`` into [-1, 1]. See `squash`.

    A reward without a range gets one here; very large values stop counting for more.

    Fields:
        reward: the reward.
        shape: ``"sigmoid"``, ``"tanh"``, or ``"ramp"``.
        low, high: the interval of the reward's values that is to be told apart.

    Raises ContractError for an empty interval or an unknown shape.

    >>> from plaudit.reward import reward
    >>> model = reward(lambda response: float(len(response)), range=(0, 100)).named("model")
    >>> Squash(model, low=0, high=4).one("p", "ab").value
    0.5
    """

    reward: Reward
    shape: Shape = "sigmoid"
    low: float = -1.0
    high: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {"reward": {"use": "verify.exact"}, "shape": "ramp", "low": 0.25, "high": 0.75}

    def __post_init__(self) -> None:
        _check_shape(self.shape, self.low, self.high, ContractError)

    def _range(self) -> Range | None:
        whole = (-1.0, 1.0) if self.shape == "tanh" else (0.0, 1.0)
        return whole if self.reward.facts.range is None else super()._range()

    def _mapped(self, values: Floats) -> Floats:
        return squash(values, self.shape, self.low, self.high)


@dataclass(frozen=True)
class Standardize(_Map):
    """The z-score ``(r - mean) / std`` with stored numbers, optionally limited to ``[-limit, limit]``.

    The numbers are constants, so a verdict does not depend on the batch it was made in. `Standardize.fit` takes them from
    rewards of reference responses.

    Fields:
        reward: the reward.
        mean, std: in its unit; std > 0.
        limit: in standard deviations; None = none.

    Raises ContractError for numbers outside these.
    Source: none of its own; z-scores.

    >>> from plaudit.reward import reward
    >>> model = reward(lambda response: float(len(response)), range=(0, 100)).named("model")
    >>> Standardize.fit(model, [1.0, 3.0, float("nan")], limit=5).one("p", "abcd").value
    2.0
    """

    reward: Reward
    mean: float = 0.0
    std: float = 1.0
    limit: float | None = None

    example: ClassVar[Mapping[str, Any]] = {"reward": {"use": "verify.exact"}, "mean": 0.5, "std": 0.5}

    def __post_init__(self) -> None:
        checked_number("compose.standardize", "mean", self.mean)
        checked_number("compose.standardize", "std", self.std, low=np.nextafter(0, 1))
        if self.limit is not None:
            checked_number("compose.standardize", "limit", self.limit, low=np.nextafter(0, 1))

    @classmethod
    def fit(cls, reward: Reward, values: ArrayLike, limit: float | None = None) -> Self:
        """With mean and std (divided by m) of (m,) rewards of reference responses; NaN is left out.

        Raises DataError for fewer than two values, or values that are all equal.
        """
        known = floats("values", values)
        known = known[~np.isnan(known)]
        if len(known) < 2 or np.ptp(known) == 0:
            raise DataError(f"standardize: {len(known)} scored values: expected at least two different ones")
        return cls(reward, float(known.mean()), float(known.std()), limit)

    def linear_weights(self) -> Mapping[str, float] | None:
        """A weight of 1 / std, unless values are limited."""
        return None if self.limit is not None else {self.reward.name: 1.0 / self.std}

    def _range(self) -> Range | None:
        if self.reward.facts.range is not None and self.limit is None:
            lo, hi = self.reward.facts.range
            return ((lo - self.mean) / self.std, (hi - self.mean) / self.std)
        return super()._range() or (None if self.limit is None else (-self.limit, self.limit))

    def _mapped(self, values: Floats) -> Floats:
        scores = (values - self.mean) / self.std
        return scores if self.limit is None else np.clip(scores, -self.limit, self.limit)


@dataclass(frozen=True)
class QuantileMap(_Map):
    """Where the reward lies among stored rewards of reference responses, in [0, 1]. See `quantile_map`.

    Two rewards of whatever scale become comparable, and no value counts for more than "better than all that were stored".

    Fields:
        reward: the reward.
        reference: two or more stored values, in its unit, not all equal.

    Raises ContractError for fewer.

    >>> from plaudit.reward import reward
    >>> model = reward(lambda response: float(len(response)), range=(0, 100)).named("model")
    >>> QuantileMap(model, (1, 2, 3, 4, 5)).one("p", "abcd").value
    0.75
    """

    reward: Reward
    reference: tuple[float, ...]

    example: ClassVar[Mapping[str, Any]] = {"reward": {"use": "verify.exact"}, "reference": [0.0, 0.5, 1.0]}

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", tuple(float(x) for x in self.reference))
        try:
            quantile_map([], self.reference)
        except DataError as error:
            raise ContractError(f"compose.quantile_map: {error}") from error

    @classmethod
    def fit(cls, reward: Reward, values: ArrayLike, points: int = 101) -> Self:
        """With `points` evenly spaced quantiles of (m,) rewards of reference responses; NaN is left out."""
        known = floats("values", values)
        known = known[~np.isnan(known)]
        if len(known) < 2 or points < 2:
            raise DataError(f"quantile_map: {len(known)} scored values, {points} points: expected at least two of each")
        return cls(reward, tuple(np.quantile(known, np.linspace(0, 1, points)).tolist()))

    def _range(self) -> Range | None:
        return (0.0, 1.0) if self.reward.facts.range is None else super()._range()

    def _mapped(self, values: Floats) -> Floats:
        return quantile_map(values, self.reference)
