"""Several objectives without weights: who is beaten in everything, and multipliers that hold each objective at its point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._grouped import GroupNumber, group_combined, group_rows, index_of
from plaudit.compose._parts import (
    GROUP,
    Floats,
    Mask,
    checked_number,
    facts_with,
    floats,
    frozen_numbers,
    frozen_parts,
    matrix,
    stacked,
)  # fmt: skip
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward, Stateful, combined
from plaudit.types import Context, Sample, Verdicts


def pareto_front(values: ArrayLike, groups: Sequence[Any] | NDArray[Any] | None = None, tolerance: float = 0.0) -> Mask:
    """Which samples no other one of their group beats: at least as good in everything and better in something.

    Invariant under any increasing change of scale of a single objective, unlike a weighted sum. With many objectives
    (five or more) nearly nothing is beaten.

    Args:
        values: (n, k) rewards; a row with a NaN is not scored: False, and beats nothing.
        groups: (n,) labels; None = all are one group.
        tolerance: another sample counts as at least as good when it is worse by no more than this in an objective, and as
            better when it is better by more than this in one.

    Returns (n,) bool. Takes O(m² k) for a group of m. Raises DataError for shapes, infinities or a negative tolerance.
    Source: "Parrot: Pareto-optimal Multi-Reward Reinforcement Learning Framework for Text-to-Image Generation".

    >>> pareto_front([[1.0, 0.0], [0.0, 1.0], [0.5, -1.0], [1.0, 0.0]])
    array([ True,  True, False,  True])
    """
    v = matrix("values", values)
    if not tolerance >= 0:
        raise DataError(f"tolerance is {tolerance}: expected a number >= 0")
    index = np.zeros(len(v), dtype=np.intp) if groups is None else group_rows(groups, len(v))
    scored: Mask = np.asarray(~np.isnan(v).any(axis=1))
    front = np.zeros(len(v), dtype=bool)
    for rows in np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1]) if len(v) else []:
        known = rows[scored[rows]]
        points = v[known]
        for i, point in zip(known.tolist(), points, strict=True):  # one row at a time: memory stays linear in the group
            gap = points - point
            front[i] = not ((gap >= -tolerance).all(axis=1) & (gap > tolerance).any(axis=1)).any()
    return front


@dataclass(frozen=True)
class ParetoFront(Combinator):
    """1 for a response that no other one of its group beats in every objective, else 0. See `pareto_front`.

    Use it as a gate or a filter: only responses on the front are learned from, whatever the scales of the objectives.

    Fields:
        parts: the objectives by name, at least two.
        tolerance: in their unit.

    Where a part ABSTAINED the sample is; where one FAILED it is; an incomplete group is FAILED ``group_incomplete``.
    Raises ContractError for fewer than two parts or a negative tolerance.
    Source: "Parrot: Pareto-optimal Multi-Reward Reinforcement Learning Framework for Text-to-Image Generation".

    >>> from plaudit import Sample
    >>> from plaudit.reward import reward
    >>> vowels = reward(lambda response: float(response.count("a")), range=(0, 99)).named("vowels")
    >>> brief = reward(lambda response: -float(len(response)), range=(-99, 0)).named("brief")
    >>> ParetoFront({"vowels": vowels, "brief": brief})([Sample("p", r) for r in ("aa", "b", "ccc")])
    array([1., 1., 0.])
    """

    parts: Mapping[str, Reward]
    tolerance: float = 0.0

    example: ClassVar[Mapping[str, Any]] = {"parts": {"exact": {"use": "verify.exact"}, "f1": {"use": "verify.f1"}}}

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", frozen_parts("compose.pareto_front", self.parts, least=2))
        checked_number("compose.pareto_front", "tolerance", self.tolerance, low=0.0)

    @property
    def facts(self) -> Facts:
        """Range (0, 1); group scope."""
        return facts_with(self.operands(), (0.0, 1.0), (96,))

    def operands(self) -> Mapping[str, Reward]:
        """The parts and the group."""
        return {**self.parts, GROUP: GroupNumber()}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the front."""
        values, here = stacked(operands, list(self.parts))
        front = pareto_front(np.where(here, values, np.nan).T, index_of(operands[GROUP]), self.tolerance)
        return group_combined(operands, front.astype(np.float64), np.asarray(here.all(axis=0)))


def multipliers(state: ArrayLike, kind: Literal["at_least", "equal"]) -> Floats:
    """(k,) multipliers from (k,) free numbers: ``sigmoid(u)`` in [0, 1] for "at least", ``tanh(u)`` in [-1, 1] for "equal".

    Source: "Confronting Reward Model Overoptimization with Constrained RLHF".

    >>> multipliers([0.0], "at_least"), multipliers([0.0], "equal")
    (array([0.5]), array([0.]))
    """
    u = floats("state", state)
    return np.asarray(np.tanh(u) if kind == "equal" else (1.0 + np.tanh(u / 2)) / 2)


def dual_step(state: ArrayLike, means: ArrayLike, points: ArrayLike, rate: float) -> Floats:
    """``u + rate (point - mean)``: a multiplier grows while its reward is below its point, and shrinks above it.

    Args:
        state: (k,) free numbers behind `multipliers`.
        means: (k,) mean rewards of the batch; NaN = none was scored: that number stays.
        points: (k,) where each reward is to be held.
        rate: > 0.

    Source: "Confronting Reward Model Overoptimization with Constrained RLHF".

    >>> dual_step([0.0, 0.0], [0.2, np.nan], [0.7, 0.5], rate=2.0)
    array([1., 0.])
    """
    u = floats("state", state)
    gap = floats("points", points, len(u)) - floats("means", means, len(u))
    return np.asarray(u + rate * np.where(np.isnan(gap), 0.0, gap))


@dataclass(frozen=True)
class Lagrangian(Combinator, Stateful):
    """Rewards held at the points up to which they are useful, by multipliers that follow the batches' means.

    ``Σ μ_i r_i``. A fixed weighted sum pushes every reward past the point where it stops agreeing with what is wanted; here a
    reward that has reached its point loses its weight, and with ``"equal"`` is pushed back. The policy's KL cost stays the
    trainer's. `update` makes the dual step, once for each batch; scoring changes nothing.

    Fields:
        parts: rewards by name.
        points: where each is to be held, in its unit; one for every part.
        kind: ``"at_least"``: μ in [0, 1]. ``"equal"``: μ in [-1, 1].
        rate: the size of a dual step.

    An ABSTAINED part adds nothing and does not enter its mean; a FAILED one makes the sample FAILED.
    Raises ContractError for a part without a point or a rate that is not positive; `load_state_dict` ValueError for other parts.
    Source: "Confronting Reward Model Overoptimization with Constrained RLHF" (μ-PPO, ξ-PPO).

    >>> from plaudit import Context, Sample
    >>> from plaudit.verify import Exact
    >>> held = Lagrangian({"exact": Exact()}, {"exact": 0.5}, rate=10.0)
    >>> samples = [Sample("2+2", "4", "4")]
    >>> before = held.score(samples)
    >>> held.update(samples, before, Context())
    >>> bool(before.values[0] > held.score(samples).values[0])
    True
    """

    parts: Mapping[str, Reward]
    points: Mapping[str, float]
    kind: Literal["at_least", "equal"] = "at_least"
    rate: float = 0.1
    _state: dict[str, Floats] = field(default_factory=dict, init=False, compare=False, repr=False)

    example: ClassVar[Mapping[str, Any]] = {
        "parts": {"exact": {"use": "verify.exact"}, "f1": {"use": "verify.f1"}},
        "points": {"exact": 0.9, "f1": 0.5},
    }

    def __post_init__(self) -> None:
        where = "compose.lagrangian"
        object.__setattr__(self, "parts", frozen_parts(where, self.parts))
        object.__setattr__(self, "points", frozen_numbers(where, "points", self.points, list(self.parts)))
        if missing := [name for name in self.parts if name not in self.points]:
            raise ContractError(f"{where}: expected a point for {', '.join(missing)}")
        if self.kind not in ("at_least", "equal"):
            raise ContractError(f"{where}: kind is {self.kind!r}: expected 'at_least' or 'equal'")
        checked_number(where, "rate", self.rate, low=np.nextafter(0, 1))
        self._state["u"] = np.zeros(len(self.parts))

    @property
    def weights(self) -> Mapping[str, float]:
        """The multipliers in force."""
        return dict(zip(self.parts, multipliers(self._state["u"], self.kind).tolist(), strict=True))

    @property
    def facts(self) -> Facts:
        """The interval sum over all multipliers that there may be; stateful."""
        ranges = [part.facts.range for part in self.parts.values()]
        known = [r for r in ranges if r is not None]
        span = None
        if len(known) == len(ranges):
            low = -1.0 if self.kind == "equal" else 0.0
            ends = [[m * x if x else 0.0 for m in (low, 0.0, 1.0) for x in r if m] + [0.0] for r in known]
            span = (sum(min(e) for e in ends), sum(max(e) for e in ends))
        return replace(facts_with(self.operands(), span, (189,)), stateful=True)

    def operands(self) -> Mapping[str, Reward]:
        """The parts."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the weighted sum."""
        values, here = stacked(operands, list(self.parts))
        return combined(operands, multipliers(self._state["u"], self.kind) @ values, np.asarray(here.any(axis=0)))

    def update(self, samples: Sequence[Sample], verdicts: Verdicts, context: Context) -> None:
        """One dual step by the mean of every part over the rows where it is scored.

        Raises DataError when the verdicts are not this reward's own: those of a tree around it have other parts.
        """
        if list(verdicts.parts) != list(self.parts):
            raise DataError(f"compose.lagrangian: expected verdicts with parts {list(self.parts)}, got {list(verdicts.parts)}")
        matrix_ = verdicts.matrix()
        scored = ~np.isnan(matrix_)
        count = scored.sum(axis=0)
        means = np.where(count > 0, np.where(scored, matrix_, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
        self._state["u"] = dual_step(self._state["u"], means, list(self.points.values()), self.rate)

    def state_dict(self) -> Mapping[str, Any]:
        """The free numbers behind the multipliers, by part."""
        return {"parts": list(self.parts), "u": self._state["u"].copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put numbers from `state_dict` back. Raises ValueError when they belong to other parts."""
        u = np.asarray(state.get("u"), dtype=np.float64)
        if list(state.get("parts", ())) != list(self.parts) or u.shape != (len(self.parts),) or not np.isfinite(u).all():
            raise ValueError(f"compose.lagrangian: expected the state of {list(self.parts)}, got {state!r}")
        self._state["u"] = u.copy()


@dataclass(frozen=True)
class Saturated(Combinator):
    """``Σ min(r_i, point_i)``: every reward counts up to the point at which it stops agreeing with what is wanted.

    The constant baseline of `Lagrangian`, without state.

    Fields:
        parts: rewards by name.
        points: where each stops counting, in its unit; a part without one counts without limit.

    An ABSTAINED part adds nothing; a FAILED one makes the sample FAILED. Raises ContractError for a point that names no part.
    Source: "Confronting Reward Model Overoptimization with Constrained RLHF" (PPO-SAT).

    >>> from plaudit.compose import Column
    >>> both = Saturated({"helpful": Column("helpful"), "brief": Column("brief")}, {"helpful": 1.0})
    >>> both.one("p", "r", meta={"helpful": 5.0, "brief": 0.5}).value
    1.5
    """

    parts: Mapping[str, Reward]
    points: Mapping[str, float] = field(default_factory=dict)

    example: ClassVar[Mapping[str, Any]] = {"parts": {"f1": {"use": "verify.f1"}}, "points": {"f1": 0.8}}

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", frozen_parts("compose.saturated", self.parts))
        object.__setattr__(self, "points", frozen_numbers("compose.saturated", "points", self.points, list(self.parts)))

    def _limits(self) -> Floats:
        return np.array([self.points.get(name, np.inf) for name in self.parts])

    @property
    def facts(self) -> Facts:
        """The interval sum of the cut ranges."""
        known = [part.facts.range for part in self.parts.values()]
        ranges = [r for r in known if r is not None]
        if len(ranges) < len(known):
            return facts_with(self.operands(), None, (189,))
        cut = [(min(r[0], top), min(r[1], top)) for r, top in zip(ranges, self._limits().tolist(), strict=True)]
        span = cut[0] if len(cut) == 1 else (sum(min(a, 0.0) for a, _ in cut), sum(max(b, 0.0) for _, b in cut))
        return facts_with(self.operands(), span, (189,))

    def operands(self) -> Mapping[str, Reward]:
        """The parts."""
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the sum."""
        values, here = stacked(operands, list(self.parts))
        return combined(
            operands, np.where(here, np.minimum(values, self._limits()[:, None]), 0.0).sum(axis=0), np.asarray(here.any(axis=0))
        )
