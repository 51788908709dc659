"""Gates: what may count only when something else holds, softly or level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from plaudit.compose._parts import Floats, bounded, checked_number, facts_with, floats, frozen_numbers, frozen_parts
from plaudit.compose._parts import matrix as matrix_of
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import Verdicts


def gated_accumulation(values: ArrayLike, gates: ArrayLike, keep_penalties: bool = False) -> Floats:
    """``R1 + Σ R_l`` over the levels l above which every level has reached its gate: no level makes up for an earlier one.

    Args:
        values: (n, k) rewards, the most important level first; NaN = not scored: adds nothing, and holds its gate open.
        gates: (k - 1,) what levels 1 to k - 1 must reach for the next one to count.
        keep_penalties: negative rewards count behind a shut gate too, so that passing it never costs reward.

    Returns (n,) float64, NaN where no level is scored. Raises DataError for shapes or infinities.
    Source: "Gated Reward Accumulation" of "Improving Long-Horizon Software Engineering Agents" (G-RA).

    >>> gated_accumulation([[0.0, 5.0], [1.0, 5.0]], [0.5])
    array([0., 6.])
    """
    v = matrix_of("values", values)
    g = floats("gates", gates, v.shape[1] - 1)
    here = ~np.isnan(v)
    passed = np.where(here[:, :-1], np.where(here[:, :-1], v[:, :-1], 0.0) >= g, True)
    is_open = np.concatenate([np.ones((len(v), 1), dtype=bool), np.logical_and.accumulate(passed, axis=1)], axis=1)
    counted = here & (is_open | (keep_penalties & (v < 0)))
    return np.where(here.any(axis=1), np.where(counted, v, 0.0).sum(axis=1), np.nan)


@dataclass(frozen=True)
class GatedAccumulation(Combinator):
    """Levels of reward in order of importance: a level counts only when all levels above have reached their gates.

    In a plain sum a policy farms the cheap steps and never finishes; behind a gate on the outcome they are worth nothing.

    Fields:
        parts: rewards by name, the most important first.
        gates: what a part must reach for those after it to count, by name; every part but the last needs one.
        keep_penalties: negative values count behind a shut gate too.

    An ABSTAINED part adds nothing and leaves its gate open; a FAILED one makes the whole FAILED. Every part is run.
    Raises ContractError for a missing gate, one for the last part, or a later part that may be negative without
    `keep_penalties`: passing the gate could then cost reward.
    Source: "Gated Reward Accumulation" (G-RA), for long-horizon software engineering agents.

    >>> from plaudit.reward import reward
    >>> done = reward(lambda response: float("done" in response), range=(0, 1)).named("done")
    >>> steps = reward(lambda response: 0.1 * response.count("step"), range=(0, 100)).named("steps")
    >>> both = GatedAccumulation({"done": done, "steps": steps}, {"done": 0.5})
    >>> [both.one("p", text).value for text in ("step step", "step done")]
    [0.0, 1.1]
    """

    parts: Mapping[str, Reward]
    gates: Mapping[str, float] = field(default_factory=dict)
    keep_penalties: bool = False

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {"right": {"use": "verify.exact"}, "close": {"use": "verify.f1"}},
        "gates": {"right": 0.5},
    }

    def __post_init__(self) -> None:
        where = "compose.gated_accumulation"
        object.__setattr__(self, "parts", frozen_parts(where, self.parts, least=2))
        names = list(self.parts)
        object.__setattr__(self, "gates", frozen_numbers(where, "gates", self.gates, names[:-1]))
        if missing := [name for name in names[:-1] if name not in self.gates]:
            raise ContractError(f"{where}: expected a gate for {', '.join(missing)}: the level that lets the next part count")
        for name in names[1:]:
            lo, _ = bounded(where, self.parts[name])
            if lo < 0 and not self.keep_penalties:
                raise ContractError(
                    f"{where}: {name!r} goes down to {lo}: passing the gate could cost reward; clip it, or keep_penalties"
                )

    def identity(self) -> Mapping[str, Any]:
        """The order of the parts counts."""
        return {"parts": list(self.parts.items()), "gates": dict(self.gates), "keep_penalties": self.keep_penalties}

    @property
    def facts(self) -> Facts:
        """The first part's range, widened by what later parts may add."""
        found = [part.facts.range for part in self.parts.values()]
        known = [r for r in found if r is not None]
        if len(known) < len(found):
            return facts_with(self.operands(), None, (48,))
        # The first part may abstain: it then adds 0.
        lo, hi = sum(min(r[0], 0.0) for r in known), sum(max(r[1], 0.0) for r in known)
        return facts_with(self.operands(), (lo, hi), (48,))

    def operands(self) -> Mapping[str, Reward]:
        """The parts."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the gated sum."""
        values = np.stack([operands[name].values for name in self.parts], axis=1)
        total = gated_accumulation(values, list(self.gates.values()), self.keep_penalties)
        return combined(operands, total, ~np.isnan(total))


def reliability_gate(values: ArrayLike, reliability: ArrayLike, neutral: float = 0.0) -> Floats:
    """``neutral + p (r - neutral)``: the less the premise can be relied on, the nearer to "unknown".

    Args:
        values: (n,) rewards; NaN = not scored.
        reliability: (n,) p in [0, 1]; NaN = does not apply: the reward stands as it is.
        neutral: the reward that says nothing.

    Returns (n,) float64. Raises DataError for a reliability outside [0, 1].
    Source: "Explicit Visual Premise Verification" (EVPV-PRM).

    >>> reliability_gate([1.0, -1.0, 1.0], [0.5, 0.5, np.nan])
    array([ 0.5, -0.5,  1. ])
    """
    r = floats("values", values)
    p = floats("reliability", reliability, len(r))
    if ((p < 0) | (p > 1)).any():
        raise DataError("reliability: expected numbers in [0, 1]")
    return np.asarray(neutral + np.where(np.isnan(p), 1.0, p) * (r - neutral))


@dataclass(frozen=True)
class Reliability(Combinator):
    """A reward drawn towards a neutral value by how little its premise can be relied on. See `reliability_gate`.

    A judge that is sure of itself on top of facts that were misread gives confident noise; here both signs of it shrink.

    Fields:
        reward: the reward, such as a step judge's.
        premise: a reward in [0, 1]: how well what was taken for granted agrees with an independent source.
        neutral: the value that says "unknown".

    Where the premise abstains (the reward rests on none) the reward stands as it is; where the reward abstains so does the
    whole; FAILED where either is. Raises ContractError when `premise` may leave [0, 1].
    Source: "Explicit Visual Premise Verification" (EVPV-PRM).

    >>> from plaudit.compose import Column
    >>> both = Reliability(Column("judge", low=-1, high=1), Column("premise", low=0, high=1))
    >>> both.one("p", "r", meta={"judge": -1.0, "premise": 0.25}).value
    -0.25
    """

    reward: Reward
    premise: Reward
    neutral: float = 0.0

    example: ClassVar[Mapping[str, Any]] = {"reward": {"use": "verify.f1"}, "premise": {"use": "verify.exact"}}

    def __post_init__(self) -> None:
        bounded("compose.reliability", self.premise, 0.0, 1.0)
        checked_number("compose.reliability", "neutral", self.neutral)
        if self.reward.name == "premise":
            raise ContractError("compose.reliability: the reward cannot be called 'premise': rename it with named()")

    @property
    def facts(self) -> Facts:
        """The reward's range and the neutral value."""
        r = self.reward.facts.range
        span = None if r is None else (min(r[0], self.neutral), max(r[1], self.neutral))
        return facts_with(self.operands(), span, (229,))

    def operands(self) -> Mapping[str, Reward]:
        """The reward and ``premise``."""
        return {self.reward.name: self.reward, "premise": self.premise}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the gated reward."""
        values = operands[self.reward.name].values
        gated = reliability_gate(values, np.clip(operands["premise"].values, 0.0, 1.0), self.neutral)
        return combined(operands, gated, ~np.isnan(values))
