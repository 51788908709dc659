"""Rewards around one other, or one behind another: clips, gates, names, parts.

A closed gate is SCORED `closed`; a gate whose condition abstains is its body; a gate whose condition FAILED is FAILED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Any

import numpy as np

from plaudit.errors import ContractError
from plaudit.reward._base import Combinator, Reward, RunOperand
from plaudit.reward._columns import combined
from plaudit.reward._facts import Facts
from plaudit.reward._operands import joint_facts, need_range, unique_names
from plaudit.types import ABSTAINED, FAILED, SCORED, Verdicts


@dataclass(frozen=True)
class Clip(Combinator):
    """The value limited to [low, high]; None = no limit on that side."""

    reward: Reward
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for side in ("low", "high"):
            limit = getattr(self, side)
            if limit is not None:
                object.__setattr__(self, side, float(limit))
                if isnan(limit):
                    raise ContractError(f"clip: {side} is {limit}: expected a number, or None for no limit")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ContractError(f"clip: low is {self.low}, high {self.high}: expected low <= high")

    @property
    def facts(self) -> Facts:
        """The operand's range, cut; clipping on both sides gives a range to a reward that declares none."""
        inner = self.reward.facts.range
        if inner is None and (self.low is None or self.high is None):
            return joint_facts(self.operands(), None)
        lo, hi = inner or (-np.inf, np.inf)
        return joint_facts(self.operands(), (float(self._cut(lo)), float(self._cut(hi))))

    @property
    def name(self) -> str:
        """The operand's name."""
        return self.reward.name

    def _cut(self, values: Any) -> Any:
        return np.minimum(
            np.maximum(values, -np.inf if self.low is None else self.low), np.inf if self.high is None else self.high
        )

    def operands(self) -> Mapping[str, Reward]:
        return {self.reward.name: self.reward}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (inner,) = operands.values()
        return combined(operands, self._cut(inner.values), inner.codes == SCORED, keep_reason=True)


@dataclass(frozen=True)
class Gate(Combinator):
    """`body` where `cond` is positive, else `closed`; the body is not run where the gate is closed.

    A condition that abstains leaves the body alone; a FAILED one makes the whole FAILED.
    Raises ContractError when the body's range is undeclared or goes below `closed`: passing the gate could then cost reward.
    """

    cond: Reward
    body: Reward
    closed: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "closed", float(self.closed))
        if not isfinite(self.closed):
            raise ContractError(f"gate: closed is {self.closed}: expected a finite number")
        lo, _ = need_range(self.body, "the body of a gate")
        if lo < self.closed:
            raise ContractError(
                f"gate: the body {self.body.name!r} goes down to {lo}, below closed={self.closed}: passing the gate could cost "
                f"reward. Raise the body (clip(low={self.closed})), lower closed, or add the cost outside the gate"
            )

    @property
    def facts(self) -> Facts:
        """From `closed` to the body's top."""
        _, hi = need_range(self.body, "the body of a gate")
        return joint_facts(self.operands(), (self.closed, max(self.closed, hi)))

    def operands(self) -> Mapping[str, Reward]:
        return unique_names([self.cond, self.body])

    async def evaluate(self, run: RunOperand) -> Verdicts:
        (cond_name, cond), (body_name, body) = self.operands().items()
        decided = await run(cond, None)
        is_open = (decided.codes == ABSTAINED) | ((decided.codes == SCORED) & (decided.values > 0))
        return self.combine({cond_name: decided, body_name: await run(body, is_open)})

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (cond_name, cond), (body_name, body) = operands.items()
        shut = (cond.codes == SCORED) & ~(cond.values > 0)
        broken = cond.codes == FAILED
        total = np.where(shut, self.closed, body.values)
        codes = np.where(broken, FAILED, np.where(shut, SCORED, body.codes)).astype(np.int8)
        labels = np.where(broken, f"part_failed:{cond_name}", np.where(shut, "closed", "")).tolist()
        body_failed = f"part_failed:{body_name}"
        reason = [
            label or (body_failed if code == FAILED else None if code == SCORED else "all_abstained")
            for label, code in zip(labels, codes.tolist(), strict=True)
        ]
        return combined(operands, total, codes == SCORED, codes=codes, reason=reason)


@dataclass(frozen=True)
class Named(Combinator):
    """The same reward under another name."""

    reward: Reward
    label: str

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label or "/" in self.label or "\n" in self.label:
            raise ContractError(f"named: {self.label!r}: expected a non-empty name without '/' and line breaks")
        if isinstance(self.reward, Named):
            object.__setattr__(self, "reward", self.reward.reward)

    @property
    def name(self) -> str:
        """The given name."""
        return self.label

    @property
    def facts(self) -> Facts:
        """Those of the reward itself."""
        return self.reward.facts

    def operands(self) -> Mapping[str, Reward]:
        return {self.label: self.reward}

    def linear_weights(self) -> Mapping[str, float]:
        return {self.label: 1.0}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (inner,) = operands.values()
        return inner


@dataclass(frozen=True)
class Part(Combinator):
    """One named part of a reward, as a reward of its own over the same pass.

    Raises ContractError when the reward has no part of that name.
    """

    reward: Reward
    part: str

    def __post_init__(self) -> None:
        if self.part not in self.reward.facts.parts:
            raise ContractError(f"{self.reward.name} has no part {self.part!r}: its parts are {list(self.reward.facts.parts)}")

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part

    @property
    def facts(self) -> Facts:
        """Those of the operand where the reward is a combination; else the reward's own without a declared range."""
        whole = _denoted(self.reward)
        if isinstance(whole, Combinator) and not isinstance(whole, Part):
            return whole.operands()[self.part].facts
        return replace(whole.facts, range=None, parts=())

    def operands(self) -> Mapping[str, Reward]:
        return {self.reward.name: self.reward}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (whole,) = operands.values()
        return whole.parts[self.part]


def _denoted(reward: Reward) -> Reward:
    """The reward that names and parts of combinations stand for."""
    while True:
        if isinstance(reward, Named):
            reward = reward.reward
        elif (
            isinstance(reward, Part) and isinstance(whole := _denoted(reward.reward), Combinator) and not isinstance(whole, Part)
        ):
            reward = whole.operands()[reward.part]
        else:
            return reward
