"""The log-sigmoid transform: rewards as log-probabilities of being good enough, so that a sum means AND."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, all_needed, checked_number, facts_with, floats
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward
from plaudit.types import Verdicts


def log_sigmoid(values: ArrayLike, reference: ArrayLike = 0.0, temperature: float = 1.0) -> Floats:
    """``log sigmoid((r - reference) / temperature)``: the log-probability that the response beats the reference.

    Increasing in r, below 0, and of slope 1 far below the reference and 0 far above it: what is good enough earns no more.
    The sum over several rewards is the logarithm of the probability that all are good, if their judgements are independent,
    so it never exceeds the smallest of them.

    Args:
        values: (n,) rewards on the scale of log-odds; NaN = not scored.
        reference: (n,) or a number, in the same unit; NaN makes the row NaN.
        temperature: > 0, divides; 1 for a calibrated Bradley-Terry reward.

    Returns (n,) float64. Raises DataError for an infinity or a temperature that is not positive.
    Source: "Transforming and Combining Rewards for Aligning Large Language Models".

    >>> log_sigmoid([-10.0, 0.0]).round(3)
    array([-10.   ,  -0.693])
    """
    r = floats("values", values)
    reference = np.broadcast_to(np.asarray(reference, dtype=np.float64), r.shape)
    if not temperature > 0:
        raise DataError(f"temperature is {temperature}: expected a positive number")
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # NaN = not scored; a tiny temperature: -inf, which is what the formula says
        return np.asarray(-np.logaddexp(0.0, -(r - floats("reference", reference)) / temperature))


@dataclass(frozen=True)
class LogSigmoid(Combinator):
    """The log-probability that a response beats a reference: ``log sigmoid((r - reference) / temperature)``.

    A sum of such rewards means AND: a response that fails one of them cannot make up for it with the others. See `log_sigmoid`.

    Fields:
        reward: a reward on the scale of log-odds, such as a Bradley-Terry reward model.
        reference: what is good enough: a number, or a reward that gives it for each sample, such as
            ``Column("offline_rewards", "quantile", quantile=0.85)``, a quantile of the start policy's rewards for the prompt.
        temperature: > 0; what the reward is divided by when it is not calibrated.

    FAILED or ABSTAINED where the reward or the reference is. Raises ContractError for a temperature that is not positive.
    Source: "Transforming and Combining Rewards for Aligning Large Language Models".

    >>> from plaudit.reward import reward
    >>> model = reward(lambda response: float(len(response)), range=(0, 100)).named("model")
    >>> round(LogSigmoid(model, reference=2.0).one("p", "ab").value, 4)
    -0.6931
    """

    reward: Reward
    reference: float | Reward = 0.0
    temperature: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {"reward": {"use": "verify.exact"}, "reference": 0.85, "temperature": 0.25}

    def __post_init__(self) -> None:
        if not isinstance(self.reference, Reward):
            object.__setattr__(self, "reference", checked_number("compose.log_sigmoid", "reference", self.reference))
        elif self.reward.name == "reference":
            raise ContractError("compose.log_sigmoid: the reward cannot be called 'reference': rename it with named()")
        checked_number("compose.log_sigmoid", "temperature", self.temperature, low=np.nextafter(0, 1))

    @property
    def facts(self) -> Facts:
        """Never above 0; the bottom follows from the ranges of the reward and the reference."""
        r = self.reward.facts.range
        c = self.reference.facts.range if isinstance(self.reference, Reward) else (self.reference, self.reference)
        if r is None or c is None:
            return facts_with(self.operands(), None, (64,))
        with np.errstate(over="ignore"):
            lo, hi = (-float(np.logaddexp(0.0, -d / self.temperature)) for d in (r[0] - c[1], r[1] - c[0]))
        return facts_with(self.operands(), (lo, hi), (64,))

    def operands(self) -> Mapping[str, Reward]:
        """The reward, and ``reference`` where it is one."""
        own = {self.reward.name: self.reward}
        return own | {"reference": self.reference} if isinstance(self.reference, Reward) else own

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the transform."""
        inner = operands[self.reward.name].values
        reference = operands["reference"].values if "reference" in operands else self.reference
        return all_needed(operands, log_sigmoid(inner, reference, self.temperature))  # type: ignore[arg-type]
