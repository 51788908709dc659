"""Rewards that change with the training step: weights that rise or fade, and stages that grow stricter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._grouped import GroupNumber, group_combined, group_mean, group_rows, index_of
from plaudit.compose._parts import GROUP, Floats, RunOperand, bounded, checked_number, facts_with, floats, joined_range
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import ABSTAINED, FAILED, SCORED, Context, Sample, Status, Verdict, Verdicts, declare_reason

declare_reason("step_missing", Status.FAILED, "The reward follows the training step, and the context has none.")

Curve = Literal["linear", "cosine", "exponential"]


def scheduled_weight(
    step: int, start: float = 1.0, end: float = 0.0, steps: int = 1000, curve: Curve = "linear", after: int = 0
) -> float:
    """A number on its way from `start` to `end` over training.

    Args:
        step: >= 0.
        start, end: its values up to step `after`, and in the end.
        steps: how many steps the way takes; for ``"exponential"`` the time constant: ``end + (start - end) exp(-t / steps)``.
        curve: ``"linear"``, ``"cosine"`` (slow at both ends) or ``"exponential"``.
        after: the step at which it sets out.

    Raises DataError for a negative step, `steps` below 1 or an unknown curve.
    Source: none of its own; annealing.

    >>> [scheduled_weight(t, 1.0, 0.0, 100) for t in (0, 25, 1000)]
    [1.0, 0.75, 0.0]
    """
    if step < 0 or steps < 1 or after < 0 or curve not in ("linear", "cosine", "exponential"):
        raise DataError(
            f"schedule: step {step}, steps {steps}, after {after}, curve {curve!r}: expected numbers >= 0, steps >= 1"
        )
    t = max(step - after, 0) / steps
    way = min(t, 1.0)
    left = {"linear": 1 - way, "cosine": (1 + cos(pi * way)) / 2, "exponential": exp(-t)}[curve]
    return end + (start - end) * left


@dataclass(frozen=True)
class Schedule(Reward):
    """A weight that depends on the training step alone: multiply a reward by it to fade the reward out or in.

    ``correct + 0.3 * (Schedule(steps=500, curve="exponential") * thinking)``. See `scheduled_weight`.

    Fields:
        start, end: not negative, since a weight never turns a reward round.
        steps, curve, after: as in `scheduled_weight`.
        unknown: the weight outside training, where `Context.step` is None; None = FAILED ``step_missing``.

    Raises ContractError for numbers outside these.
    Source: none of its own; annealing.

    >>> from plaudit import Context, Sample
    >>> Schedule(steps=100).score([Sample("p", "r")], Context(step=25)).values
    array([0.75])
    """

    start: float = 1.0
    end: float = 0.0
    steps: int = 1000
    curve: Curve = "linear"
    after: int = 0
    unknown: float | None = None

    example: ClassVar[Mapping[str, Any]] = {"unknown": 1.0}

    def __post_init__(self) -> None:
        for name in ("start", "end", "unknown"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checked_number("compose.schedule", name, getattr(self, name), low=0.0))
        try:
            scheduled_weight(0, self.start, self.end, self.steps, self.curve, self.after)
        except DataError as error:
            raise ContractError(f"compose.{error}") from error

    @property
    def facts(self) -> Facts:
        """From the smallest to the largest weight; reads the step."""
        ends = [x for x in (self.start, self.end, self.unknown) if x is not None]
        return Facts(range=(min(ends), max(ends)), reads=frozenset({"context.step"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The weight at the context's step."""
        if context.step is not None:
            weight = scheduled_weight(context.step, self.start, self.end, self.steps, self.curve, self.after)
            return Verdict(min(max(weight, min(self.start, self.end)), max(self.start, self.end)))
        if self.unknown is not None:
            return Verdict(self.unknown)
        return Verdict.failed("step_missing", "give Context(step=...), or the schedule's field unknown")


@dataclass(frozen=True)
class Stage(Reward):
    """Which stage the training step lies in, as a number from 0 on; it tells `Progressive` which reward is in force."""

    starts: tuple[int, ...]
    unknown: Literal["last", "fail"] = "last"

    @property
    def name(self) -> str:
        """``"stage"``."""
        return "stage"

    @property
    def facts(self) -> Facts:
        """The numbers of the stages; reads the step."""
        return Facts(range=(0.0, float(len(self.starts))), reads=frozenset({"context.step"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The stage at the context's step."""
        if context.step is None:
            if self.unknown == "last":
                return Verdict(float(len(self.starts)))
            return Verdict.failed("step_missing", "give Context(step=...), or unknown='last'")
        return Verdict(float(sum(context.step >= start for start in self.starts)))


@dataclass(frozen=True)
class Progressive(Combinator):
    """One reward after another as training goes on, such as thresholds that tighten once the loose ones are met.

    A strict rule from the start gives a weak policy nothing to learn from; a loose one to the end leaves it there.

    Fields:
        stages: rewards in their order; only the one in force is run.
        starts: the steps at which the second and later stages begin, increasing; one fewer than stages.
        unknown: outside training, where `Context.step` is None: ``"last"`` = the strictest stage, ``"fail"`` = FAILED
            ``step_missing``.

    The whole has the status of the stage in force. Raises ContractError for starts that do not fit.
    Source: "Vision-R1: Evolving Human-Free Alignment in Large Vision-Language Models via Vision-Guided Reinforcement Learning"
    (progressive rule refinement).

    >>> from plaudit import Context, Sample
    >>> from plaudit.compose import Column, Squash
    >>> iou = Column("iou", low=0, high=1)
    >>> rule = Progressive((Squash(iou, "ramp", 0.5, 0.75), Squash(iou, "ramp", 0.75, 0.9)), starts=(1500,))
    >>> [rule.score([Sample("p", "r", meta={"iou": 0.8})], Context(step=t)).values[0].item() for t in (0, 1500)]
    [1.0, 0.8]
    """

    stages: tuple[Reward, ...]
    starts: tuple[int, ...]
    unknown: Literal["last", "fail"] = "last"

    example: ClassVar[Mapping[str, Any]] = {"stages": [{"use": "verify.f1"}, {"use": "verify.exact"}], "starts": [100]}

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        object.__setattr__(self, "starts", tuple(self.starts))
        if not self.stages or not all(isinstance(stage, Reward) for stage in self.stages):
            raise ContractError("compose.progressive: expected one or more rewards as stages")
        rising = all(a < b for a, b in zip((0, *self.starts), self.starts, strict=False))
        if len(self.starts) != len(self.stages) - 1 or not rising:
            raise ContractError(
                f"compose.progressive: {len(self.stages)} stages and starts {self.starts}: expected a rising step > 0 for each "
                "stage but the first"
            )
        if self.unknown not in ("last", "fail"):
            raise ContractError(f"compose.progressive: unknown is {self.unknown!r}: expected 'last' or 'fail'")

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top of the stages."""
        return facts_with(self.operands(), joined_range(self.stages), (10,))

    def operands(self) -> Mapping[str, Reward]:
        """``stage``, and the stages as ``stage_1``, ``stage_2``, …"""
        return {"stage": Stage(self.starts, self.unknown)} | {f"stage_{k}": s for k, s in enumerate(self.stages, 1)}

    async def evaluate(self, run: RunOperand) -> Verdicts:
        """Run the stage in force."""
        operands = dict(self.operands())
        stage = await run(operands.pop("stage"), None)
        columns = {"stage": stage}
        for k, (name, reward) in enumerate(operands.items()):
            columns[name] = await run(reward, (stage.codes == SCORED) & (stage.values == k))
        return self.combine(columns)

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the stage in force."""
        stage = operands["stage"]
        values = np.full(len(stage), np.nan)
        codes = np.where(stage.codes == SCORED, ABSTAINED, stage.codes).astype(np.int8)
        reasons: list[str | None] = [stage.reason[i] if code == FAILED else "not_run" for i, code in enumerate(stage.codes)]
        for k, name in enumerate(list(operands)[1:]):
            part = operands[name]
            rows = np.flatnonzero((stage.codes == SCORED) & (stage.values == k))
            values[rows], codes[rows] = part.values[rows], part.codes[rows]
            for i in rows.tolist():
                reasons[i] = f"part_failed:{name}" if part.codes[i] == FAILED else part.reason[i]
        return combined(operands, values, codes == SCORED, codes=codes, reason=reasons)


def thinking_trust(
    thinking: ArrayLike, correct: ArrayLike, groups: Sequence[Any] | NDArray[Any], right_from: float = 0.5
) -> Floats:
    """How far a judge's scores of the thinking can be trusted in each group: whether it likes right answers' thinking better.

    With the mean scores m_c and m_w of right and wrong answers: 1 where ``m_c >= m_w``, else ``exp(m_c - m_w)``; 0 in a group
    without a right or without a wrong answer, where nothing says whether the judge agrees.

    Args:
        thinking: (n,) scores; NaN = not scored.
        correct: (n,) rewards; right from `right_from` on; NaN = not scored, in neither mean.
        groups: (n,) labels.

    Returns (n,) float64 in [0, 1]. Raises DataError for shapes or infinities.
    Source: "SophiaVL-R1: Reinforcing MLLMs Reasoning with Thinking Reward" (Trust-GRPO).

    >>> thinking_trust([0.2, 0.7, 0.9, 0.1], [1, 0, 1, 0], ["a", "a", "b", "b"]).round(3)
    array([0.607, 0.607, 1.   , 1.   ])
    """
    t = floats("thinking", thinking)
    c = floats("correct", correct, len(t))
    index = group_rows(groups, len(t))
    scored = ~np.isnan(t) & ~np.isnan(c)
    gap = group_mean(t, index, scored & (c >= right_from)) - group_mean(t, index, scored & (c < right_from))
    return np.where(np.isnan(gap), 0.0, np.exp(np.minimum(np.nan_to_num(gap), 0.0)))


@dataclass(frozen=True)
class TrustedThinking(Combinator):
    """Correctness plus a judge's score of the thinking, weighted by whether the judge agrees with correctness in the group.

    ``correct + weight · trust · schedule · thinking``, see `thinking_trust`: a judge that likes the thinking behind wrong
    answers better counts for less there, and in a group that is all right or all wrong for nothing.

    Fields:
        correct: the outcome reward; right from `right_from` on.
        thinking: the judge's score, in a declared range that does not go below 0; score right and wrong answers alike.
        weight: >= 0.
        schedule: a weight that fades the thinking reward out, such as ``Schedule(steps=500, curve="exponential")``; None = none.
        right_from: as in `correct`.

    Where the thinking abstains it adds nothing; ABSTAINED where `correct` is; FAILED where any is; an incomplete group is FAILED
    ``group_incomplete``. Raises ContractError for ranges or numbers outside these.
    Source: "SophiaVL-R1: Reinforcing MLLMs Reasoning with Thinking Reward" (Trust-GRPO).

    >>> from plaudit import Sample
    >>> from plaudit.compose import Column
    >>> from plaudit.verify import Exact
    >>> both = TrustedThinking(Exact(), Column("judge", low=0, high=1), weight=0.5)
    >>> both([Sample("2+2", "4", "4", meta={"judge": 1.0}), Sample("2+2", "5", "4", meta={"judge": 0.5})])
    array([1.5 , 0.25])
    """

    correct: Reward
    thinking: Reward
    weight: float = 0.3
    schedule: Reward | None = None
    right_from: float = 0.5

    example: ClassVar[Mapping[str, Any]] = {"correct": {"use": "verify.exact"}, "thinking": {"use": "verify.f1"}}

    def __post_init__(self) -> None:
        where = "compose.trusted_thinking"
        checked_number(where, "weight", self.weight, low=0.0)
        checked_number(where, "right_from", self.right_from)
        bounded(where, self.thinking, low=0.0)
        if self.schedule is not None:
            bounded(where, self.schedule, low=0.0)

    @property
    def facts(self) -> Facts:
        """The range of `correct`, up by what thinking may add; group scope."""
        found, (_, top) = self.correct.facts.range, bounded("", self.thinking)
        most = 1.0 if self.schedule is None else bounded("", self.schedule)[1]
        extra = self.weight * top * most if self.weight and top and most else 0.0
        return facts_with(self.operands(), None if found is None else (found[0], found[1] + extra), (82,))

    def operands(self) -> Mapping[str, Reward]:
        """``correct``, ``thinking``, the group, and ``schedule`` where there is one."""
        own = {"correct": self.correct, "thinking": self.thinking, GROUP: GroupNumber()}
        return own if self.schedule is None else own | {"schedule": self.schedule}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the sum."""
        correct, thinking = operands["correct"].values, np.maximum(operands["thinking"].values, 0.0)
        trust = thinking_trust(thinking, correct, index_of(operands[GROUP]), self.right_from)
        faded = np.nan_to_num(operands["schedule"].values) if "schedule" in operands else 1.0
        total = correct + self.weight * trust * faded * np.nan_to_num(thinking)
        return group_combined(operands, total, ~np.isnan(correct))
