"""Several opinions on the same thing: worst case, lower confidence bound, discount for disagreement, contrast of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, all_needed, checked_number, facts_with, floats, frozen_parts, joined_range, matrix
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import Verdicts

Aggregate = Literal["mean", "median", "minimum", "lower_bound", "discount"]
AGGREGATES: tuple[Aggregate, ...] = ("mean", "median", "minimum", "lower_bound", "discount")


def ensemble(scores: ArrayLike, aggregate: Aggregate = "lower_bound", caution: float = 1.0) -> tuple[Floats, Floats]:
    """One value from the scores of k members, and their standard deviation.

    - ``"mean"``, ``"median"``, ``"minimum"`` (the worst case).
    - ``"lower_bound"``: mean - caution · std.
    - ``"discount"``: mean · exp(-caution · variance): towards 0 where members disagree.

    Members that share a blind spot agree in it: none of these repairs that.

    Args:
        scores: (n, k) on one scale; NaN = that member did not score, left out.
        aggregate: see above.
        caution: >= 0, for the last two.

    Returns (n,) values and (n,) standard deviations (divided by the number of members that scored), NaN where none did.
    Raises DataError for shapes, infinities, an unknown aggregate or a negative caution.
    Source: "Helping or Herding? Reward Model Ensembles Mitigate but do not Eliminate Reward Hacking"; discount: "Ctrl-U: Robust
    Conditional Image Generation via Uncertainty-aware Reward Modeling", its weight exp(-u), here for scalar rewards.

    >>> ensemble([[1.0, 3.0], [2.0, np.nan]])
    (array([1., 2.]), array([1., 0.]))
    """
    s = matrix("scores", scores)
    if aggregate not in AGGREGATES or not caution >= 0:
        raise DataError(f"ensemble: aggregate is {aggregate!r}, caution {caution}: expected {', '.join(AGGREGATES)}, and >= 0")
    some = ~np.isnan(s).all(axis=1)
    value, std = np.full(len(s), np.nan), np.full(len(s), np.nan)
    if some.any():
        rows = s[some]
        mean = np.nanmean(rows, axis=1)
        std[some] = np.nanstd(rows, axis=1)
        found = {
            "mean": mean,
            "median": np.nanmedian(rows, axis=1),
            "minimum": np.nanmin(rows, axis=1),
            "lower_bound": mean - caution * std[some],
            "discount": mean * np.exp(-caution * std[some] ** 2),
        }
        value[some] = found[aggregate]
    return value, std


def variance_weighted_penalty(log_ratio: ArrayLike, variance: ArrayLike, beta: float, floor: float = 1e-3) -> Floats:
    """``-β max(σ², floor) log(π / π₀)``: a KL cost that is dear where the reward is uncertain, and cheap where it is known.

    Add it to the mean of an ensemble: for a slowly changing variance the best policy is ``π₀ exp(r / (β σ²))``, so uncertain
    answers keep the weight that they had.

    Args:
        log_ratio: (n,) log-probability of the response under the policy minus that under the reference; NaN = not known.
        variance: (n,) >= 0, of the reward.
        beta: >= 0.
        floor: > 0, the least variance.

    Returns (n,) float64, NaN where either is. Raises DataError for numbers outside these.
    Source: "Uncertainty-aware RLHF" ("Overcoming Reward Model Noise ... Variance-Aware Policy Optimization"); this per-sample
    form is derived from its problem, not taken from code.

    >>> variance_weighted_penalty([1.0, 1.0], [0.0, 4.0], beta=0.5, floor=0.5)
    array([-0.25, -2.  ])
    """
    ratio = floats("log_ratio", log_ratio)
    spread = floats("variance", variance, len(ratio))
    if (spread < 0).any() or not beta >= 0 or not floor > 0:
        raise DataError(f"variance_weighted_penalty: expected variances and beta >= 0 and floor > 0, got {beta} and {floor}")
    return np.asarray(-beta * np.maximum(spread, floor) * ratio)


def prompt_confidence(values: ArrayLike, contrast: ArrayLike, temperature: float = 1.0) -> Floats:
    """The softmax share of the response's reward under its own prompt against those under near-miss prompts.

    Whatever a reward adds for the response alone (beauty, length) stands in every term and cancels.

    Args:
        values: (n,) rewards under the own prompt; NaN = not scored.
        contrast: (n, k) rewards of the same response under k other prompts; NaN = there are fewer.
        temperature: > 0.

    Returns (n,) float64 in (0, 1], NaN where the value or all contrasts are. Raises DataError for
    shapes or numbers outside these.
    Source: "Confidence-aware Reward Optimization for Fine-tuning Text-to-Image Models" (TextNorm).

    >>> prompt_confidence([1.0, 101.0], [[1.0, 1.0], [101.0, np.nan]]).round(3)
    array([0.333, 0.5  ])
    """
    other = matrix("contrast", contrast)
    r = floats("values", values, len(other))
    if not temperature > 0:
        raise DataError(f"temperature is {temperature}: expected a positive number")
    known = ~np.isnan(r) & ~np.isnan(other).all(axis=1)
    distance = np.where(np.isnan(other), -np.inf, other - r[:, None]) / temperature
    return np.where(known, np.exp(-np.logaddexp(0.0, np.logaddexp.reduce(distance, axis=1))), np.nan)


@dataclass(frozen=True)
class Ensemble(Combinator):
    """Several reward models as one that trusts what they agree on; `Verdict.std` is their disagreement. See `ensemble`.

    An optimiser finds what a single model overrates; the worst case over models that err independently does not.

    Fields:
        parts: the members; bring them to one scale first (`Standardize`), since reward models have free offsets.
        aggregate: ``"mean"``, ``"median"``, ``"minimum"``, ``"lower_bound"`` or ``"discount"``.
        caution: how much disagreement costs in the last two, >= 0.

    ABSTAINED members are left out; a FAILED one makes the whole FAILED.
    Raises ContractError for fewer than two members, an unknown aggregate or a negative caution.
    Source: "Helping or Herding? Reward Model Ensembles Mitigate but do not Eliminate Reward Hacking"; "Ctrl-U: Robust Conditional
    Image Generation via Uncertainty-aware Reward Modeling" (discount).

    >>> from plaudit.reward import reward
    >>> a = reward(lambda response: 1.0, range=(0, 1)).named("a")
    >>> b = reward(lambda response: 0.5, range=(0, 1)).named("b")
    >>> verdict = Ensemble({"a": a, "b": b}, "minimum").one("p", "r")
    >>> verdict.value, verdict.std
    (0.5, 0.25)
    """

    parts: Mapping[str, Reward]
    aggregate: Aggregate = "lower_bound"
    caution: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {"exact": {"use": "verify.exact"}, "f1": {"use": "verify.f1"}},
        "aggregate": "minimum",
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", frozen_parts("compose.ensemble", self.parts, least=2))
        if self.aggregate not in AGGREGATES:
            raise ContractError(f"compose.ensemble: aggregate is {self.aggregate!r}: expected one of {', '.join(AGGREGATES)}")
        checked_number("compose.ensemble", "caution", self.caution, low=0.0)

    @property
    def facts(self) -> Facts:
        """The members' joint range; lower by caution · half its width for a lower bound, drawn to 0 for a discount."""
        found = joined_range(list(self.parts.values()))
        if found is not None and self.aggregate == "lower_bound" and self.caution:
            # No standard deviation exceeds half the width.
            found = (found[0] - self.caution * (found[1] - found[0]) / 2, found[1])
        elif found is not None and self.aggregate == "discount":
            found = (min(found[0], 0.0), max(found[1], 0.0))
        return facts_with(self.operands(), found, (83, 102) if self.aggregate == "discount" else (83,))

    def operands(self) -> Mapping[str, Reward]:
        """The members."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the aggregate."""
        values, std = ensemble(np.stack([operands[n].values for n in self.parts], axis=1), self.aggregate, self.caution)
        whole = combined(operands, values, ~np.isnan(values))
        whole.std = [float(s) if code == 0 else None for s, code in zip(std, whole.codes.tolist(), strict=True)]
        return whole


@dataclass(frozen=True)
class PromptConfidence(Combinator):
    """How clearly a response fits its own prompt rather than near misses: a softmax share in (0, 1]. See `prompt_confidence`.

    Fields:
        reward: the reward under the own prompt.
        contrast: a reward that gives the logarithm of the summed exponentials of (reward / temperature) under other prompts,
            such as ``Column("contrast_rewards", "logsumexp")`` of stored rewards (that divides by no temperature: store them
            divided).
        temperature: > 0, divides `reward`.

    FAILED or ABSTAINED where one of them is. Raises ContractError for a temperature that is not positive.
    Source: "Confidence-aware Reward Optimization for Fine-tuning Text-to-Image Models" (TextNorm).

    >>> from plaudit.compose import Column
    >>> fits = PromptConfidence(Column("own"), Column("others", "logsumexp"))
    >>> round(fits.one("p", "r", meta={"own": 2.0, "others": [2.0, 2.0]}).value, 3)
    0.333
    """

    reward: Reward
    contrast: Reward
    temperature: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {
        "reward": {"use": "compose.column", "column": "own"},
        "contrast": {"use": "compose.column", "column": "others", "statistic": "logsumexp"},
    }

    def __post_init__(self) -> None:
        if self.reward.name == "contrast":
            raise ContractError("compose.prompt_confidence: the reward cannot be called 'contrast': rename it with named()")
        checked_number("compose.prompt_confidence", "temperature", self.temperature, low=np.nextafter(0, 1))

    @property
    def facts(self) -> Facts:
        """Range (0, 1)."""
        return facts_with(self.operands(), (0.0, 1.0), (138,))

    def operands(self) -> Mapping[str, Reward]:
        """The reward and ``contrast``."""
        return {self.reward.name: self.reward, "contrast": self.contrast}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the share."""
        others = operands["contrast"].values[:, None]
        return all_needed(operands, prompt_confidence(operands[self.reward.name].values / self.temperature, others))
