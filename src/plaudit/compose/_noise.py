"""Rewards from a checker that is wrong at known rates, corrected so that the expected policy gradient is that of the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, all_needed, bounded, checked_number, facts_with, floats
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward
from plaudit.types import Verdicts

Form = Literal["backward", "forward"]


def _rates(values: Floats, false_positive: ArrayLike, false_negative: ArrayLike) -> tuple[Floats, Floats]:
    positive = np.broadcast_to(np.asarray(false_positive, dtype=np.float64), values.shape)
    negative = np.broadcast_to(np.asarray(false_negative, dtype=np.float64), values.shape)
    if (positive < 0).any() or (negative < 0).any() or (positive + negative >= 1).any():
        raise DataError(
            "rates: expected false positives and false negatives >= 0 whose sum is below 1: such a checker knows nothing"
        )
    return positive, negative


def backward_correction(values: ArrayLike, false_positive: ArrayLike, false_negative: ArrayLike) -> Floats:
    """``(r - ρ0) / (1 - ρ0 - ρ1)``: a reward whose expectation, whatever the checker's errors, is the true one.

    Args:
        values: (n,) what the checker said, in [0, 1]; NaN = not scored.
        false_positive: (n,) or a number, ρ0: the probability of 1 for a wrong answer.
        false_negative: (n,) or a number, ρ1: the probability of 0 for a right answer; ρ0 + ρ1 < 1.

    Its variance is that of r divided by ``(1 - ρ0 - ρ1)²``. Dividing by a group's standard deviation afterwards undoes the
    correction where the rates are the same for all: subtract the mean only.

    Returns (n,) float64. Raises DataError for values outside [0, 1] or rates that add up to 1 or more.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers".

    >>> backward_correction([1.0, 0.0], 0.25, 0.25)
    array([ 1.5, -0.5])
    """
    r = _zero_to_one(values)
    positive, negative = _rates(r, false_positive, false_negative)
    return np.asarray((r - positive) / (1.0 - positive - negative))


def forward_correction(values: ArrayLike, false_negative: ArrayLike) -> Floats:
    """``r - (1 - ρ1)``: a weight in place of the reward, under which the expected gradient keeps the true direction.

    It is 0 in expectation for a right answer and ``-(1 - ρ0 - ρ1)`` for a wrong one: the true reward minus 1, made smaller by
    that factor. Only the rate of false negatives is needed, and nothing is divided by a small number.

    Args:
        values: (n,) what the checker said, in [0, 1]; NaN = not scored.
        false_negative: (n,) or a number, ρ1 in [0, 1).

    Returns (n,) float64: ρ1 for 1, ρ1 - 1 for 0. Raises DataError for numbers outside these.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers".

    >>> forward_correction([1.0, 0.0], 0.25)
    array([ 0.25, -0.75])
    """
    r = _zero_to_one(values)
    _, negative = _rates(r, 0.0, false_negative)
    return np.asarray(r - (1.0 - negative))


def _zero_to_one(values: ArrayLike) -> Floats:
    r = floats("values", values)
    if ((r < 0) | (r > 1)).any():
        raise DataError("values: expected what a checker said, between 0 and 1")
    return r


def appeal_rate(verdicts: ArrayLike, appealed: ArrayLike) -> float:
    """The rate of false negatives, from appeals of some of the checker's noes to a second judge.

    The share of the appealed noes that were overturned is taken to hold for all noes; with f such false negatives beside p
    yeses, the rate is ``f / (f + p)``. Yeses are taken to be right.

    Args:
        verdicts: (n,) what the checker said, 0 or 1; NaN = not scored.
        appealed: (n,) what the second judge said of it, 0 or 1; NaN = not appealed. Only noes count.

    Returns a number in [0, 1]; NaN when no no was appealed, or there is neither a yes nor an overturned no.
    Raises DataError for shapes, or values other than 0 and 1.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers" (appeals).

    >>> appeal_rate([1, 1, 0, 0, 0, 0], [np.nan, np.nan, 1, 0, np.nan, np.nan])
    0.5
    """
    said = floats("verdicts", verdicts)
    second = floats("appealed", appealed, len(said))
    for name, column in (("verdicts", said), ("appealed", second)):
        if not np.isin(column[~np.isnan(column)], (0.0, 1.0)).all():
            raise DataError(f"{name}: expected 0, 1 or NaN everywhere")
    noes = said == 0
    asked = noes & ~np.isnan(second)
    if not asked.any():
        return float("nan")
    overturned = float(second[asked].mean()) * int(noes.sum())
    total = overturned + int((said == 1).sum())
    return overturned / total if total else float("nan")


def flip_groups(
    values: ArrayLike, groups: ArrayLike, rate: float, generator: np.random.Generator, *, by: Literal["group", "sample"] = "group"
) -> Floats:
    """Rewards with a share of them turned into 1 - r: for whole groups at once, or sample by sample. To test what noise does.

    Flipping a whole group turns the direction of its gradient round, so that noise of 40 % leaves a fifth of the signal;
    flipping samples makes the same mean gradient out of noise inside each group.

    Args:
        values: (n,) rewards in [0, 1]; NaN = not scored, stays.
        groups: (n,) labels.
        rate: the probability of a flip.
        generator: where the draws come from.

    Returns (n,) float64. Raises DataError for values or a rate outside [0, 1].
    Source: "The Climb Carves Wisdom Deeper Than the Summit: On the Noisy Rewards in Learning to Reason".

    >>> flip_groups([1.0, 0.0, 1.0], ["a", "a", "b"], 1.0, np.random.default_rng(0))
    array([0., 1., 0.])
    """
    r = _zero_to_one(values)
    if not 0 <= rate <= 1:
        raise DataError(f"rate is {rate}: expected a probability")
    labels = np.asarray(groups)
    if labels.shape != r.shape:
        raise DataError(f"groups has shape {labels.shape}: expected {r.shape}")
    if by == "sample":
        return np.where(generator.random(len(r)) < rate, 1.0 - r, r)
    names, index = np.unique(labels, return_inverse=True)
    return np.where((generator.random(len(names)) < rate)[index], 1.0 - r, r)


@dataclass(frozen=True)
class NoiseCorrected(Combinator):
    """A checker's reward, corrected for the rates at which it says yes to wrong and no to right answers.

    Where the rates differ between kinds of answers or prompts, the uncorrected reward prefers what the checker likes to pass;
    the corrected one does not, in expectation. See `backward_correction` and `forward_correction`.

    Fields:
        reward: a checker in [0, 1].
        false_positive: a number, or a reward that gives it for each sample (``Column("false_positive_rate")``).
        false_negative: the same; `appeal_rate` estimates it. The two add up to less than 1.
        form: ``"backward"``: unbiased. ``"forward"``: bounded, needs the false negatives only, scaled by 1 - ρ0 - ρ1.

    FAILED or ABSTAINED where one of its operands is; FAILED ``invalid_value`` where rates of a sample add up to 1 or more.
    Raises ContractError for numbers outside these, a reward that may leave [0, 1], or false positives with ``"forward"``.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers".

    >>> from plaudit.verify import Exact
    >>> fair = NoiseCorrected(Exact(), false_positive=0.25, false_negative=0.25)
    >>> fair.one("2+2", "4", "4").value, fair.one("2+2", "5", "4").value
    (1.5, -0.5)
    """

    reward: Reward
    false_positive: float | Reward = 0.0
    false_negative: float | Reward = 0.0
    form: Form = "backward"

    example: ClassVar[Mapping[str, Any]] = {
        "reward": {"use": "verify.exact"},
        "false_positive": 0.05,
        "false_negative": 0.2,
    }

    def __post_init__(self) -> None:
        where = "compose.noise_corrected"
        bounded(where, self.reward, 0.0, 1.0)
        if self.form not in ("backward", "forward"):
            raise ContractError(f"{where}: form is {self.form!r}: expected 'backward' or 'forward'")
        if self.reward.name in ("false_positive", "false_negative"):
            raise ContractError(f"{where}: the reward cannot be called {self.reward.name!r}: rename it with named()")
        fixed = 0.0
        for name in ("false_positive", "false_negative"):
            rate = getattr(self, name)
            if isinstance(rate, Reward):
                bounded(where, rate, 0.0, 1.0)
            else:
                object.__setattr__(self, name, checked_number(where, name, rate, 0.0, 1.0))
                fixed += rate
        if fixed >= 1:
            raise ContractError(f"{where}: the rates add up to {fixed}: expected less than 1; such a checker knows nothing")
        if self.form == "forward" and (isinstance(self.false_positive, Reward) or self.false_positive):
            raise ContractError(f"{where}: the forward form does not need false_positive: leave it out, or use 'backward'")

    @property
    def facts(self) -> Facts:
        """From what a no is worth to what a yes is; unbounded when the rates vary and the form is backward."""
        positive, negative = self.false_positive, self.false_negative
        if self.form == "forward":
            rate = bounded("", negative) if isinstance(negative, Reward) else (negative, negative)
            return facts_with(self.operands(), (rate[0] - 1.0, rate[1]), (43,))
        if isinstance(positive, Reward) or isinstance(negative, Reward):
            return facts_with(self.operands(), (-inf, inf), (43,))
        scale = 1.0 - positive - negative
        return facts_with(self.operands(), (-positive / scale, (1.0 - positive) / scale), (43,))

    def operands(self) -> Mapping[str, Reward]:
        """The reward, and the rates that are rewards."""
        rates = {"false_positive": self.false_positive, "false_negative": self.false_negative}
        return {self.reward.name: self.reward} | {n: rate for n, rate in rates.items() if isinstance(rate, Reward)}

    def linear_weights(self) -> Mapping[str, float] | None:
        """The factor of the correction where the rates are numbers."""
        if isinstance(self.false_positive, Reward) or isinstance(self.false_negative, Reward):
            return None
        return {self.reward.name: 1.0 if self.form == "forward" else 1.0 / (1.0 - self.false_positive - self.false_negative)}

    def _rate(self, operands: Mapping[str, Verdicts], name: str) -> Floats:
        n = len(operands[self.reward.name])
        found = np.nan_to_num(operands[name].values) if name in operands else np.full(n, float(getattr(self, name)))
        return np.asarray(np.clip(found, 0.0, 1.0))

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the corrected reward."""
        values = np.clip(operands[self.reward.name].values, 0.0, 1.0)
        positive, negative = self._rate(operands, "false_positive"), self._rate(operands, "false_negative")
        known = positive + negative < 1
        positive, negative = np.where(known, positive, 0.0), np.where(known, negative, 0.0)
        backward = self.form == "backward"
        fair = backward_correction(values, positive, negative) if backward else forward_correction(values, negative)
        return all_needed(operands, np.where(known, fair, inf))
