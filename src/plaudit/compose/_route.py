"""Routing: each sample is scored by the reward of its own task, and by no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from plaudit.compose._parts import RunOperand, facts_with, frozen_parts, joined_range
from plaudit.errors import ContractError
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.run import together
from plaudit.types import ABSTAINED, FAILED, SCORED, Context, Sample, Verdict, Verdicts

ROUTE = "route"


@dataclass(frozen=True)
class Category(Reward):
    """Which of the given words stands in a column, as its number; it tells `Route` where a sample belongs.

    A sample without the column is FAILED ``column_missing``. A word that is not listed is number -1 where there is another
    route for it, FAILED ``column_missing`` with ``other="fail"``, ABSTAINED ``not_applicable`` with ``other="abstain"``.

    >>> Category("task", ("math", "chat")).one("p", "r", meta={"task": "chat"}).value
    1.0
    """

    column: str
    categories: tuple[str, ...]
    other: Literal["fail", "abstain", "number"] = "fail"

    @property
    def name(self) -> str:
        """``"route"``."""
        return ROUTE

    @property
    def facts(self) -> Facts:
        """The numbers of the categories; reads the column; inline."""
        return Facts(range=(-1.0, float(len(self.categories))), reads=frozenset({f"meta.{self.column}"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        word = sample.meta.get(self.column)
        if word is None:
            return Verdict.failed("column_missing", f"compose.route: the sample has no column {self.column!r}")
        if word in self.categories:
            return Verdict(float(self.categories.index(word)))
        said = f"{self.column} is {str(word)[:80]!r}: the routes are {', '.join(self.categories)}"
        if self.other == "number":
            return Verdict(-1.0)
        return Verdict.abstained("not_applicable", said) if self.other == "abstain" else Verdict.failed("column_missing", said)


@dataclass(frozen=True)
class Route(Combinator):
    """The reward of the sample's task or data source, by a column; the other rewards are not run on it.

    Unlike a sum of rewards that abstain, a route is exclusive: no sample earns from two checkers, and one that nobody is named
    for is seen.

    Fields:
        column: the column of `Sample.meta` that says where a sample belongs, such as ``task`` or ``data_source``.
        routes: rewards by the column's words.
        other: a reward for every other word; or ``"fail"``: such a sample is FAILED ``column_missing``; or ``"abstain"``.

    The whole has the status of the reward that the sample went to. A sample without the column is FAILED ``column_missing``
    below ``route``. Raises ContractError for no routes, or a route that is called ``route`` or ``other``.
    Source: "Mixed-R1: Unified Reward Perspective For Reasoning Capability in Multimodal Large Language Models"; "Hybrid
    multi-aspect rewards" of "HARMO".

    >>> from plaudit.verify import Exact, Math
    >>> mixed = Route("task", {"math": Math(), "word": Exact()})
    >>> mixed.one("1/2 + 1/2", "1.0", "1", meta={"task": "math"}).value
    1.0
    >>> mixed.one("opposite of up", "1.0", "down", meta={"task": "word"}).value
    0.0
    """

    column: str
    routes: Mapping[str, Reward]
    other: Literal["fail", "abstain"] | Reward = "fail"

    example: ClassVar[Mapping[str, Any]] = {
        "column": "task",
        "routes": {"math": {"use": "verify.math"}, "word": {"use": "verify.exact"}},
        "other": {"use": "verify.f1"},
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "routes", frozen_parts("compose.route", self.routes, reserved=(ROUTE, "other")))
        if not isinstance(self.other, Reward) and self.other not in ("fail", "abstain"):
            raise ContractError(f"compose.route: other is {self.other!r}: expected a reward, 'fail' or 'abstain'")

    @property
    def _rewards(self) -> dict[str, Reward]:
        return {**self.routes, "other": self.other} if isinstance(self.other, Reward) else dict(self.routes)

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top of the routes."""
        return facts_with(self.operands(), joined_range(list(self._rewards.values())), (98, 199))

    def identity(self) -> Mapping[str, Any]:
        """Which words lead where; their order does not count."""
        return {"column": self.column, "routes": dict(self.routes), "other": self.other}

    def operands(self) -> Mapping[str, Reward]:
        """``route``, the routes and, where it is a reward, ``other``."""
        other: Literal["fail", "abstain", "number"] = "number" if isinstance(self.other, Reward) else self.other
        return {ROUTE: Category(self.column, tuple(sorted(self.routes)), other), **self._rewards}

    def _number(self, name: str) -> int:
        return sorted(self.routes).index(name) if name in self.routes else -1

    async def evaluate(self, run: RunOperand) -> Verdicts:
        """Run the column, then each route on its own samples."""
        operands = dict(self.operands())
        where = await run(operands.pop(ROUTE), None)
        masks = {name: (where.codes == SCORED) & (where.values == self._number(name)) for name in operands}
        columns = await together(*(run(reward, masks[name]) for name, reward in operands.items()))  # type: ignore[arg-type]
        return self.combine({ROUTE: where, **dict(zip(operands, columns, strict=True))})

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the reward that each sample went to."""
        where = operands[ROUTE]
        values, codes = np.full(len(where), np.nan), where.codes.copy()
        reasons: list[str | None] = ["part_failed:route" if code == FAILED else "all_abstained" for code in codes]
        codes[codes == SCORED] = ABSTAINED  # a route that is not run leaves nothing
        for name in self._rewards:
            part = operands[name]
            rows = np.flatnonzero((where.codes == SCORED) & (where.values == self._number(name)))
            values[rows], codes[rows] = part.values[rows], part.codes[rows]
            for i in rows.tolist():
                code = part.codes[i]
                reasons[i] = part.reason[i] if code == SCORED else f"part_failed:{name}" if code == FAILED else "all_abstained"
        return combined(operands, values, codes == SCORED, codes=codes, reason=reasons)
