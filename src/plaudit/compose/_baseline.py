"""Rewards measured against a baseline of the same prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, all_needed, checked_number, facts_with, floats, matrix
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward
from plaudit.types import Verdicts

Center = Literal["mean", "median", "quantile"]


def contrastive_baseline(
    values: ArrayLike, offline: ArrayLike, center: Center = "mean", *, quantile: float = 0.5, scaled: bool = False,
    epsilon: float = 1e-6,
) -> Floats:  # fmt: skip
    """Each reward minus that of offline responses to the same prompt: what is paid is beating the start policy.

    A constant that a noisy reward adds for a prompt cancels, and the order within a prompt stays.

    Args:
        values: (n,) rewards; NaN = not scored.
        offline: (n, k) rewards of k stored responses to each sample's prompt, in the same unit; NaN = there are fewer.
        center: what of them is subtracted.
        quantile: which one, for ``"quantile"``.
        scaled: divide by their standard deviation (by k) plus `epsilon`.

    Returns (n,) float64, NaN where the value or every offline reward is. Raises DataError for shapes, infinities, or an unknown
    center.
    Source: "Improving Reinforcement Learning from Human Feedback Using Contrastive Rewards".

    >>> contrastive_baseline([3.0, 3.0], [[1.0, 3.0], [4.0, np.nan]])
    array([ 1., -1.])
    """
    stored = matrix("offline", offline)
    r = floats("values", values, len(stored))
    if center not in ("mean", "median", "quantile") or not 0 <= quantile <= 1:
        raise DataError(f"center is {center!r}, quantile {quantile}: expected mean, median or quantile, and a number in [0, 1]")
    known = ~np.isnan(stored).all(axis=1)
    base, spread = np.full(len(r), np.nan), np.full(len(r), np.nan)
    if known.any():
        rows = stored[known]
        base[known] = (
            np.nanmean(rows, axis=1)
            if center == "mean"
            else np.nanquantile(rows, 0.5 if center == "median" else quantile, axis=1)
        )
        spread[known] = np.nanstd(rows, axis=1)
    return np.asarray((r - base) / (spread + epsilon) if scaled else r - base)


@dataclass(frozen=True)
class Baseline(Combinator):
    """A reward minus a baseline for the sample's prompt, optionally in units of a scale.

    Fields:
        reward: the reward.
        baseline: a reward that gives the baseline, such as ``Column("offline_rewards", "mean")``: rewards of the start policy's
            responses to the prompt, stored beforehand.
        scale: a reward that gives a positive scale, such as ``Column("offline_rewards", "std")``; None = no division.
        epsilon: added to the scale.

    FAILED or ABSTAINED where one of them is; FAILED ``invalid_value`` where the scale plus `epsilon` is not positive. Raises
    ContractError for a negative `epsilon`, or a reward that is called ``baseline`` or ``scale``.
    Source: "Improving Reinforcement Learning from Human Feedback Using Contrastive Rewards".

    >>> from plaudit.compose import Column
    >>> from plaudit.reward import reward
    >>> model = reward(lambda response: float(len(response)), range=(0, 100)).named("model")
    >>> better = Baseline(model, Column("offline", "mean", low=0, high=100))
    >>> better.one("p", "abcd", meta={"offline": [1, 2, 3]}).value
    2.0
    """

    reward: Reward
    baseline: Reward
    scale: Reward | None = None
    epsilon: float = 1e-6

    example: ClassVar[Mapping[str, Any]] = {
        "reward": {"use": "verify.exact"},
        "baseline": {"use": "compose.column", "column": "offline", "statistic": "mean", "low": 0.0, "high": 1.0},
    }

    def __post_init__(self) -> None:
        if self.reward.name in ("baseline", "scale"):
            raise ContractError(f"compose.baseline: the reward cannot be called {self.reward.name!r}: rename it with named()")
        checked_number("compose.baseline", "epsilon", self.epsilon, low=0.0)

    @property
    def facts(self) -> Facts:
        """The interval difference without a scale; unbounded with one."""
        r, b = self.reward.facts.range, self.baseline.facts.range
        if r is None or b is None:
            return facts_with(self.operands(), None, (197,))
        span = (r[0] - b[1], r[1] - b[0]) if self.scale is None else (-np.inf, np.inf)
        return facts_with(self.operands(), span, (197,))

    def operands(self) -> Mapping[str, Reward]:
        """The reward, ``baseline`` and, where there is one, ``scale``."""
        own = {self.reward.name: self.reward, "baseline": self.baseline}
        return own if self.scale is None else own | {"scale": self.scale}

    def linear_weights(self) -> Mapping[str, float] | None:
        """1 and -1 without a scale."""
        return {self.reward.name: 1.0, "baseline": -1.0} if self.scale is None else None

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the difference."""
        over = operands[self.reward.name].values - operands["baseline"].values
        if self.scale is not None:
            scale = operands["scale"].values + self.epsilon
            # No scale to speak in: `combined` makes the infinity FAILED.
            over = np.where(scale > 0, over / np.where(scale > 0, scale, 1.0), np.inf)
        return all_needed(operands, over)
