"""Aspects behind a holistic score: polishing counts only once the whole is good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import (
    GROUP,
    Floats,
    bounded,
    checked_number,
    facts_with,
    floats,
    frozen_parts,
    frozen_weights,
    matrix,
    stacked,
)
from plaudit.errors import DataError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import FAILED, SCORED, Verdicts


def hierarchical(holistic: ArrayLike, aspects: ArrayLike, weights: ArrayLike, threshold: float, softness: float = 0.0) -> Floats:
    """``h + g Σ w a``: aspects count only where the holistic score h has reached the threshold.

    Args:
        holistic: (n,) scores; NaN = not scored.
        aspects: (n, k) rewards >= 0, so that passing the threshold is always a gain; NaN = not scored, adds nothing.
        weights: (k,) numbers >= 0.
        threshold: the level of h from which g = 1, else 0.
        softness: > 0 replaces the step by ``sigmoid((h - threshold) / softness)``.

    Returns (n,) float64. Raises DataError for shapes, negative aspects or weights.
    Source: "ALaRM: Align Language Models via Hierarchical Rewards Modeling".

    >>> hierarchical([0.2, 0.9], [[1.0], [1.0]], [0.5], threshold=0.6)
    array([0.2, 1.4])
    """
    a = matrix("aspects", aspects)
    h = floats("holistic", holistic, len(a))
    w = floats("weights", weights, a.shape[1])
    if (a < 0).any() or not (w >= 0).all() or not softness >= 0:
        raise DataError("hierarchical: expected aspects, weights and softness that are not negative")
    bonus = (np.where(np.isnan(a), 0.0, a) * w).sum(axis=1)
    if softness:
        with np.errstate(over="ignore"):  # a tiny softness is a step
            return np.asarray(h + bonus * (1.0 + np.tanh((h - threshold) / (2 * softness))) / 2)
    return np.asarray(h + np.where(h >= threshold, bonus, 0.0))


def inconsistency(holistic: ArrayLike, aspect: ArrayLike, pairs: ArrayLike) -> float:
    """The share of pairs that an aspect orders otherwise than the holistic score; ties of either are left out.

    Aspects with a low share are fit to stand behind a holistic score.

    Args:
        holistic, aspect: (n,) scores; NaN = not scored, its pairs are left out.
        pairs: (m, 2) rows of two responses to one prompt.

    Returns a number in [0, 1]; NaN when no pair is left. Raises DataError for shapes or rows outside the scores.
    Source: "ALaRM: Align Language Models via Hierarchical Rewards Modeling".

    >>> inconsistency([0.1, 0.5, 0.9], [0.0, 1.0, 0.5], [[0, 1], [0, 2], [1, 2]])
    0.3333333333333333
    """
    h, index = floats("holistic", holistic), np.asarray(pairs)
    a = floats("aspect", aspect, len(h))
    if index.ndim != 2 or index.shape[1] != 2 or index.dtype.kind not in "iu" or (index >= len(h)).any() or (index < 0).any():
        raise DataError(f"pairs: expected (m, 2) row numbers below {len(h)}, got shape {index.shape} of {index.dtype}")
    product = np.sign(h[index[:, 0]] - h[index[:, 1]]) * np.sign(a[index[:, 0]] - a[index[:, 1]])
    decided = product[~np.isnan(product) & (product != 0)]
    return float((decided < 0).mean()) if len(decided) else float("nan")


@dataclass(frozen=True)
class Hierarchical(Combinator):
    """A holistic reward always, aspects on top only where the holistic reward is good already. See `hierarchical`.

    While the response is bad on the whole, only the whole is worth improving; polishing an aspect of it earns nothing.

    Fields:
        holistic: the reward of the whole response; standardize it, so that the threshold means something.
        aspects: rewards by name, whose declared ranges do not go below 0. `inconsistency` says which ones are fit for it.
        threshold: in the unit of the holistic reward.
        weights: numbers >= 0 by aspect; an aspect without one has the weight 1.
        softness: 0 = a step at the threshold; above, a sigmoid of that width.

    The whole has the status of the holistic reward, an ABSTAINED aspect adds nothing, a FAILED one makes it FAILED.
    Raises ContractError for an aspect that may be negative: passing the threshold could then cost reward.
    Source: "ALaRM: Align Language Models via Hierarchical Rewards Modeling".

    >>> from plaudit.reward import reward
    >>> good = reward(lambda response: len(response) / 10, range=(0, 1)).named("good")
    >>> neat = reward(lambda response: float("!" not in response), range=(0, 1)).named("neat")
    >>> both = Hierarchical(good, {"neat": neat}, threshold=0.5)
    >>> [both.one("p", text).value for text in ("abc", "abcde", "abcd!")]
    [0.3, 1.5, 0.5]
    """

    holistic: Reward
    aspects: Mapping[str, Reward]
    threshold: float = 0.6
    weights: Mapping[str, float] = field(default_factory=dict)
    softness: float = 0.0

    example: ClassVar[Mapping[str, Any]] = {
        "holistic": {"use": "verify.f1"},
        "aspects": {"exact": {"use": "verify.exact"}},
        "threshold": 0.5,
    }

    def __post_init__(self) -> None:
        where = "compose.hierarchical"
        object.__setattr__(self, "aspects", frozen_parts(where, self.aspects, reserved=(GROUP, "holistic")))
        object.__setattr__(self, "weights", frozen_weights(where, self.weights, list(self.aspects)))
        checked_number(where, "threshold", self.threshold)
        checked_number(where, "softness", self.softness, low=0.0)
        for part in self.aspects.values():
            bounded(where, part, low=0.0)

    @property
    def facts(self) -> Facts:
        """From the holistic bottom to its top plus the weighted tops of the aspects."""
        found = self.holistic.facts.range
        bonus = sum(w * bounded("compose.hierarchical", self.aspects[n])[1] for n, w in self.weights.items() if w)
        span = None if found is None else (found[0], found[1] + bonus)
        return facts_with(self.operands(), span, (176,))

    def operands(self) -> Mapping[str, Reward]:
        """``holistic`` and the aspects."""
        return {"holistic": self.holistic, **self.aspects}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the whole."""
        values, here = stacked(operands, list(self.aspects))
        holistic = operands["holistic"]
        weights = list(self.weights.values())
        clean = np.where(here, np.maximum(values, 0.0), np.nan).T
        total = hierarchical(holistic.values, clean, weights, self.threshold, self.softness)
        return combined(operands, total, (holistic.codes == SCORED) | (holistic.codes == FAILED))
