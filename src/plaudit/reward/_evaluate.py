"""Scoring a tree of rewards: each distinct leaf runs once on the rows that need it, then columns flow up the tree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward._base import Combinator, Mask, Reward
from plaudit.reward._groups import Groups
from plaudit.reward._leaf import LeafTable
from plaudit.reward._stamp import stamp_of
from plaudit.reward._wrappers import Named
from plaudit.run import any_completed, settings
from plaudit.types import FAILED, Context, Sample, Verdicts

_PLAIN_CONTEXT = Context()


async def evaluate(reward: Reward, samples: Sequence[Sample], context: Context | None) -> Verdicts:
    """Verdicts of a reward on n samples; await it only under `plaudit.run.drive` or `adrive`."""
    evaluation = Evaluation(samples, context or _PLAIN_CONTEXT)
    if reward.facts.range is None:
        for name in set(_undeclared(reward)) - _warned:
            _warned.add(name)  # once for each name and process
            warnings.warn(
                f"{name} declares no range: write @reward(range=(lo, hi)), or Facts(range=(lo, hi)) in a class; "
                "(-inf, inf) says that it has none",
                stacklevel=4,  # whoever called score()
            )
    verdicts = await evaluation.run(reward, None)
    if isinstance(reward, Combinator):
        verdicts.cost = evaluation.cost()
        # The reason of the whole is the rollout itself, not the first part that could not judge it.
        lost = [i for i, sample in enumerate(evaluation.samples) if sample.finish == "error"]
        if lost:
            verdicts.reason = [*verdicts.reason]
            verdicts.codes, verdicts.values = verdicts.codes.copy(), verdicts.values.copy()
            verdicts.codes[lost], verdicts.values[lost] = FAILED, np.nan
            for i in lost:
                verdicts.reason[i] = "rollout_failed"
    verdicts.stamp = stamp_of(reward)
    return verdicts


def _undeclared(reward: Reward) -> Iterator[str]:
    """Names of the leaves that leave the range of the whole open."""
    if isinstance(reward, Combinator) and not (isinstance(reward, Named) and not isinstance(reward.reward, Combinator)):
        for operand in reward.operands().values():
            if operand.facts.range is None:
                yield from _undeclared(operand)
    elif reward.facts.range is None:
        yield reward.name


_warned: set[str] = set()


class Evaluation:
    """One call of `score`: the samples, and a table for each distinct leaf."""

    def __init__(self, samples: Sequence[Sample], context: Context) -> None:
        if isinstance(samples, Sample):
            raise ContractError("score() takes a list of samples, not one: write [sample], or use .one(prompt, response)")
        self.samples = list(samples)
        for i, sample in enumerate(self.samples):
            if type(sample) is not Sample and not isinstance(sample, Sample):
                raise ContractError(f"samples[{i}] is {type(sample).__name__}: expected plaudit.Sample")
        self.context = context
        self.settings = settings()
        self.groups = Groups(self.samples)
        self._tables: dict[Any, LeafTable] = {}

    async def run(self, reward: Reward, mask: Mask | None) -> Verdicts:
        """Columns of a reward on the rows of the mask (None = all); other rows are ABSTAINED ``not_run``."""
        if not isinstance(reward, Combinator):
            return await self._leaf(reward, mask)

        async def run_operand(operand: Reward, inner: Mask | None) -> Verdicts:
            return await self.run(operand, inner if mask is None else mask if inner is None else mask & inner)

        return await reward.evaluate(run_operand)

    async def _leaf(self, reward: Reward, mask: Mask | None) -> Verdicts:
        # A leaf with unversioned parts is only equal to itself: two closures over two models share a fingerprint. So do
        # two stateful leaves that have learned different numbers.
        key = id(reward) if reward.unversioned or reward.facts.stateful else reward.fingerprint
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = LeafTable(reward, self.samples, self.groups, self.context, self.settings)
        rows = table.missing(mask)
        if rows.size:
            # Another branch that needs the same rows meanwhile waits for this future instead of running them again.
            arrival: Future[None] = Future()
            table.start(rows, arrival)
            try:
                table.fill(rows, await table.compute(rows))
            finally:
                arrival.set_result(None)
        while pending := table.pending(mask):
            await any_completed(pending)
        return table.columns(mask)

    def cost(self) -> NDArray[np.float64] | None:
        """(n, 4) cost of all leaves together, each counted once."""
        costs = [c for table in self._tables.values() if (c := table.columns().cost) is not None]
        return np.sum(costs, axis=0) if costs else None
