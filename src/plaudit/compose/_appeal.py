"""Appeals: a judge looks again at what a rule turned down, and at nothing else; what it overturns tells the rule's blind spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import floor
from typing import Any, ClassVar

import numpy as np

from plaudit.compose._noise import appeal_rate
from plaudit.compose._parts import Mask, RunOperand, bounded, checked_number, facts_with
from plaudit.errors import ContractError, DataError
from plaudit.records import group_digest
from plaudit.reward import Combinator, Facts, Reward, combined
from plaudit.types import ABSTAINED, FAILED, SCORED, Context, Sample, Verdict, Verdicts

RULE, JUDGE, DRAW = "rule", "judge", "draw"


@dataclass(frozen=True)
class AppealDraw(Reward):
    """A number in [0, 1) from the sample's prompt and response alone: who appeals first when not all may.

    >>> AppealDraw(0).one("p", "r").value == AppealDraw(0).one("p", "r").value != AppealDraw(1).one("p", "r").value
    True
    """

    seed: int = 0

    @property
    def name(self) -> str:
        """``"draw"``."""
        return DRAW

    @property
    def facts(self) -> Facts:
        """Reads the prompt and the response; inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The number of one sample: the same in every process and among any other samples."""
        key = f"{self.seed} {group_digest(sample.prompt)} {group_digest(sample.response)}"
        return Verdict((int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 11) / 2**53)


@dataclass(frozen=True)
class Appeal(Combinator):
    """A rule whose noes a judge may turn into yeses: it keeps the rule's precision where it says yes and mends its recall.

    The judge is run on no sample that the rule passed, and never lowers a value.

    Fields:
        rule: the checker; a declared range.
        judge: scores one sample at a time, on the rule's scale; its top is not above the rule's.
        negative: the rule said no where its value is at or below this.
        accept: what the judge must reach to overturn a no; above `negative`. The sample then gets the judge's value.
        budget: the share of the rule's noes in one call that is asked at most, in [0, 1], rounded down.
        at_most: how many noes of one call are asked at most; None = no limit but the budget.
        seed: which noes are asked where not all are: those with the smallest draw from the seed, the prompt and the response.

    Status and reason are the rule's; the judge's reason where it overturned. Where the judge FAILED or ABSTAINED, or was not
    asked, the rule's value stands. ``details["appeal"]`` of every no is ``"overturned"``, ``"upheld"``, ``"failed"``,
    ``"abstained"`` or ``"not_asked"``; `appeal_outcomes` counts them. With a budget below 1 or an `at_most` the scope is the
    batch: who is asked depends on the other noes of the call.
    Raises ContractError for numbers outside these, a `negative` below all that the rule can say, an `accept` that the judge
    cannot reach, or a judge of groups or batches, which would have to be run on what the rule passed.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers" (appeals); "Pitfalls of Rule-
    and Model-based Verifiers" (the hybrid verifier).

    >>> from plaudit.verify import F1, Exact
    >>> both = Appeal(Exact(), F1(), accept=0.9)
    >>> said = both.score([Sample("p", text, "red house") for text in ("red house", "house, red", "blue house")])
    >>> said.values, said[1].details["appeal"]
    (array([1., 1., 0.]), 'overturned')
    """

    rule: Reward
    judge: Reward
    negative: float = 0.0
    accept: float = 0.5
    budget: float = 1.0
    at_most: int | None = None
    seed: int = 0

    example: ClassVar[Mapping[str, Any]] = {"rule": {"use": "verify.exact"}, "judge": {"use": "verify.f1"}, "accept": 0.9}

    def __post_init__(self) -> None:
        where = "compose.appeal"
        low, high = bounded(where, self.rule)
        _, top = bounded(where, self.judge)
        for name, least, most in (("negative", -np.inf, np.inf), ("accept", -np.inf, np.inf), ("budget", 0.0, 1.0)):
            object.__setattr__(self, name, checked_number(where, name, getattr(self, name), least, most))
        if self.at_most is not None and (not isinstance(self.at_most, int) or isinstance(self.at_most, bool) or self.at_most < 0):
            raise ContractError(f"{where}: at_most is {self.at_most!r}: expected a whole number >= 0, or None for no limit")
        if self.negative < low:
            raise ContractError(f"{where}: negative is {self.negative}, the rule never goes below {low}: nothing to appeal")
        if not self.negative < self.accept <= top:
            raise ContractError(
                f"{where}: accept is {self.accept}: expected above negative ({self.negative}), within reach of the judge ({top})"
            )
        if top > high:
            raise ContractError(
                f"{where}: the judge goes up to {top}, the rule to {high}: an appeal would earn more than a yes; scale or clip it"
            )
        if self.judge.facts.scope != "sample":
            raise ContractError(
                f"{where}: the judge looks at a whole {self.judge.facts.scope}: expected one that scores single samples"
            )

    @property
    def _limited(self) -> bool:
        return self.budget < 1 or self.at_most is not None

    @property
    def facts(self) -> Facts:
        """The rule's range; batch scope where not every no may be asked."""
        return facts_with(self.operands(), self.rule.facts.range, (43, 59), "batch" if self._limited else None)

    def operands(self) -> Mapping[str, Reward]:
        """``rule``, ``judge`` and, where not every no may be asked, ``draw``."""
        return {RULE: self.rule, JUDGE: self.judge} | ({DRAW: AppealDraw(self.seed)} if self._limited else {})

    def _noes(self, rule: Verdicts) -> Mask:
        return np.asarray((rule.codes == SCORED) & (np.nan_to_num(rule.values, nan=np.inf) <= self.negative))

    def _allowed(self, noes: int) -> int:
        # 0.29 of 100 is 28.999… in floating point, and means 29.
        share = floor(self.budget * noes + 1e-9)
        return share if self.at_most is None else min(share, self.at_most)

    async def evaluate(self, run: RunOperand) -> Verdicts:
        """Run the rule, then the judge on the noes that are allowed to appeal."""
        operands = self.operands()
        columns = {RULE: await run(self.rule, None)}
        asked = self._noes(columns[RULE])
        if self._limited:
            columns[DRAW] = await run(operands[DRAW], asked)
            able = asked & (columns[DRAW].codes == SCORED)
            rows = np.flatnonzero(able)
            first = rows[np.argsort(columns[DRAW].values[rows], kind="stable")]
            allowed = self._allowed(int(asked.sum()))
            asked = np.zeros(len(asked), dtype=bool)
            asked[first[:allowed]] = True
        columns[JUDGE] = await run(self.judge, asked)
        return self.combine({name: columns[name] for name in operands})

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the rule, with the judge's value where it overturned a no."""
        rule, judge = operands[RULE], operands[JUDGE]
        noes = self._noes(rule)
        overturned = noes & (judge.codes == SCORED) & (np.nan_to_num(judge.values, nan=-np.inf) >= self.accept)
        details: list[Mapping[str, Any] | None] = [None] * len(rule)
        for i in np.flatnonzero(noes).tolist():
            details[i] = {"appeal": "overturned" if overturned[i] else _outcome(judge, i)}
        # The part of a FAILED rule is named, as everywhere; a no that the judge overturned has the judge's reason.
        reasons = [
            judge.reason[i] if overturned[i] else _reason(code, rule.reason[i]) for i, code in enumerate(rule.codes.tolist())
        ]
        values = np.where(overturned, judge.values, rule.values)
        verdicts = combined(operands, values, rule.codes == SCORED, codes=rule.codes, reason=reasons)
        verdicts.details = details if noes.any() else None
        return verdicts


def _outcome(judge: Verdicts, row: int) -> str:
    if judge.codes[row] == SCORED:
        return "upheld"
    if judge.codes[row] == FAILED:
        return "failed"
    return "not_asked" if judge.reason[row] == "not_run" else "abstained"


def _reason(code: int, own: str | None) -> str | None:
    if code == FAILED:
        return f"part_failed:{RULE}"
    return "all_abstained" if code == ABSTAINED and own != "not_run" else own


@dataclass(frozen=True)
class AppealOutcomes:
    """What became of a rule's noes in one or more calls of `Appeal`; the counts of several calls add up with ``+``.

    Fields:
        positives: samples that the rule passed.
        negatives: samples that the rule turned down.
        asked: noes that went to the judge.
        overturned: noes that it turned into yeses.
        unanswered: noes that it was asked about and FAILED or ABSTAINED.
    """

    positives: int = 0
    negatives: int = 0
    asked: int = 0
    overturned: int = 0
    unanswered: int = 0

    def __add__(self, other: AppealOutcomes) -> AppealOutcomes:
        return AppealOutcomes(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))

    @property
    def false_negative(self) -> float:
        """The rule's own rate of false negatives, by `appeal_rate`; NaN when no appeal was answered or nothing is right."""
        answered = self.asked - self.unanswered
        said = np.repeat([1.0, 0.0], [self.positives, self.negatives])
        second = np.full(len(said), np.nan)
        second[self.positives : self.positives + answered] = 0.0
        second[self.positives : self.positives + self.overturned] = 1.0
        return appeal_rate(said, second)

    @property
    def remaining(self) -> float:
        """The rate that is left in the values of `Appeal` itself, its upgrades made: what `NoiseCorrected` around it needs.

        With every no asked and answered it is 0; NaN where `false_negative` is.
        """
        answered = self.asked - self.unanswered
        wrong = self.overturned / answered * self.negatives if answered else np.nan
        total = wrong + self.positives
        return float((wrong - self.overturned) / total) if total else float("nan")


def appeal_outcomes(verdicts: Verdicts) -> AppealOutcomes:
    """Counts of what `Appeal` asked and was told, from its verdicts.

    Args:
        verdicts: n verdicts of `Appeal`. Rows that are not scored count nowhere.

    Raises DataError for verdicts without the parts ``rule`` and ``judge``.
    Source: "Reinforcement Learning with Verifiable yet Noisy Rewards under Imperfect Verifiers" (appeals).

    >>> from plaudit.verify import F1, Exact
    >>> said = Appeal(Exact(), F1()).score([Sample("p", text, "red house") for text in ("red house", "house red", "no")])
    >>> found = appeal_outcomes(said)
    >>> found.negatives, found.asked, found.overturned, found.false_negative
    (2, 2, 1, 0.5)
    """
    if not {RULE, JUDGE} <= set(verdicts.parts):
        raise DataError(f"the verdicts have the parts {list(verdicts.parts)}: expected those of compose.appeal, rule and judge")
    rows = verdicts.details or [None] * len(verdicts)
    outcomes = [row.get("appeal") if row else None for row in rows]
    scored = verdicts.codes == SCORED
    found = [outcome for outcome, here in zip(outcomes, scored.tolist(), strict=True) if here and outcome is not None]
    return AppealOutcomes(
        positives=int(scored.sum()) - len(found),
        negatives=len(found),
        asked=len(found) - found.count("not_asked"),
        overturned=found.count("overturned"),
        unanswered=found.count("failed") + found.count("abstained"),
    )
