"""One leaf on the samples of one call: which rows it must run on, what it said of them, and what became of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward._base import Mask, Reward
from plaudit.reward._call import Unit, batches, call_each, call_units, failure, halves, method_of
from plaudit.reward._facts import Facts
from plaudit.reward._groups import Groups
from plaudit.reward._memo import Memo
from plaudit.run import Outcome, Settings
from plaudit.types import FAILED, SCORED, Context, Sample, Verdict, Verdicts, concatenate

Rows = NDArray[np.intp]

_NOT_RUN = Verdict.abstained("not_run")


class LeafTable:
    """What one leaf has said so far of n samples."""

    def __init__(self, reward: Reward, samples: list[Sample], groups: Groups, context: Context, use: Settings) -> None:
        self.reward = reward
        self.facts = reward.facts
        self.method = method_of(reward, self.facts)
        self.samples, self.groups, self.context, self.settings = samples, groups, context, use
        self._asked = np.zeros(len(samples), dtype=bool)
        self._ran = np.zeros(len(samples), dtype=bool)
        self._arrivals: list[tuple[Rows, Future[None]]] = []
        self._blocks: list[tuple[Rows, Verdicts]] = []
        self._columns: Verdicts | None = None

    def missing(self, mask: Mask | None) -> Rows:
        """Rows of the mask that nobody has asked for yet; whole groups, or the whole batch, where the scope needs them."""
        wanted = np.ones(len(self.samples), dtype=bool) if mask is None else mask
        if mask is not None and self.facts.scope == "group":
            wanted = self.groups.widen(mask)
        elif mask is not None and self.facts.scope == "batch" and mask.any():
            wanted = np.ones(len(self.samples), dtype=bool)
        return np.flatnonzero(wanted & ~self._asked)

    def start(self, rows: Rows, arrival: Future[None]) -> None:
        """Note that rows are under way."""
        self._asked[rows] = True
        self._arrivals.append((rows, arrival))

    def pending(self, mask: Mask | None) -> list[Future[None]]:
        """Futures of rows of the mask that are still under way."""
        return [f for rows, f in self._arrivals if not f.done() and (mask is None or bool(mask[rows].any()))]

    def fill(self, rows: Rows, verdicts: Verdicts) -> None:
        """Enter the verdicts of rows."""
        self._blocks.append((rows, verdicts))
        self._ran[rows] = True
        self._columns = None

    def columns(self, mask: Mask | None = None) -> Verdicts:
        """Columns of all n rows; rows outside the mask, and rows that were not run, are ABSTAINED ``not_run``.

        What another branch of the tree had run outside the mask does not show: it would depend on which came first.
        """
        whole = self._whole_columns()
        hidden = np.zeros(len(whole), dtype=bool) if mask is None else ~mask & self._ran
        if not hidden.any():
            return whole
        blank = _declared_parts(Verdicts.full(1, _NOT_RUN), self.reward, self.facts)
        return concatenate([whole, blank]).take(np.where(hidden, len(whole), np.arange(len(whole))))

    def _whole_columns(self) -> Verdicts:
        if self._columns is None:
            blocks = list(self._blocks)
            # Rows that are still under way for another branch count as not run: that branch waits for them.
            rest = np.flatnonzero(~self._ran)
            if rest.size or not blocks:
                blocks.append((rest, _declared_parts(Verdicts.full(len(rest), _NOT_RUN), self.reward, self.facts)))
            whole = concatenate([verdicts for _, verdicts in blocks])
            order = np.concatenate([rows for rows, _ in blocks])
            in_place = len(blocks) == 1 and bool((order[:-1] < order[1:]).all())
            self._columns = whole if in_place else whole.take(np.argsort(order, kind="stable"))
        return self._columns

    async def compute(self, rows: Rows) -> Verdicts:
        """Verdicts of rows: broken rollouts and incomplete groups FAILED, known ones from the cache, the others by the leaf."""
        refused = {i: Verdict.failed("rollout_failed") for i in rows.tolist() if self.samples[i].finish == "error"}
        if self.facts.scope == "group" and not self.facts.partial_groups:
            complete = self.groups.complete
            for i in rows.tolist():
                if not complete[i]:
                    refused.setdefault(i, Verdict.failed("group_incomplete", self._incomplete(i)))
                elif i in refused:
                    # A group-relative value of the others would silently be one of a smaller group.
                    for k in self.groups.members[self.groups.index[i]].tolist():
                        refused.setdefault(k, Verdict.failed("group_incomplete", "a rollout of the group failed"))
        runnable = rows if not refused else np.array([i for i in rows.tolist() if i not in refused], dtype=np.intp)
        blocks: list[tuple[Rows, Verdicts]] = []
        if refused:
            blocks.append((np.array(list(refused), dtype=np.intp), Verdicts.of(list(refused.values()))))
        memo = Memo.of(self.reward, self.facts, self.samples, self.groups, self.context, self.settings, frozenset(refused))
        if memo is not None and runnable.size:
            known = memo.look_up(runnable)
            if known.rows.size:
                blocks.append((known.rows, known.verdicts))
                runnable = np.setdiff1d(runnable, known.rows)
        if runnable.size:
            fresh_rows, fresh = await self._call(runnable)
            fresh = _in_range(fresh, self.facts)  # before it is kept: a failure may not last
            if memo is not None:
                memo.keep(fresh_rows, fresh)
            blocks.append((fresh_rows, fresh))
        return self._joined(rows, blocks)

    def _joined(self, rows: Rows, blocks: list[tuple[Rows, Verdicts]]) -> Verdicts:
        whole = concatenate([_declared_parts(verdicts, self.reward, self.facts) for _, verdicts in blocks])
        order = np.concatenate([found for found, _ in blocks])
        if len(order) != len(rows) or not np.array_equal(order, rows):
            whole = whole.take(np.argsort(order, kind="stable"))
        return whole

    def _incomplete(self, i: int) -> str:
        members = self.groups.members[self.groups.index[i]]
        sizes = sorted({str(self.samples[k].group_size) for k in members.tolist()})
        return f"{len(members)} samples of the group are here, group_size says {', '.join(sizes)}"

    async def _call(self, rows: Rows) -> tuple[Rows, Verdicts]:
        if self.method.endswith("_one"):
            items = [self.samples[i] for i in rows.tolist()]
            results = await call_each(self.reward, self.method, self.facts, items, self.context, self.settings, len(self.samples))
            values: list[Any] = results.values
            for k, outcome in results.failures.items():
                values[k] = _failed(outcome, self.facts, alone=True)
            return rows, _timed(Verdicts.of(_typed(self.reward, self.method, values)), results.seconds)
        units = list(self._units(rows))
        split = self._groups_of if self.facts.scope == "group" else halves if self.facts.scope == "sample" else _whole
        done = await call_units(
            self.reward, self.method, self.facts, self.samples, units, split, self.context, self.settings
        )  # fmt: skip
        order = np.array([i for unit, _, _ in done for i in unit], dtype=np.intp)
        blocks = [self._block(unit, result) for unit, result, _ in done]
        blocks = [_declared_parts(block, self.reward, self.facts) for block in blocks]
        return order, _timed(concatenate(blocks), [s for unit, _, s in done for _ in unit])

    def _block(self, unit: Unit, result: Any) -> Verdicts:
        if isinstance(result, Outcome):
            return Verdicts.full(len(unit), _failed(result, self.facts, alone=len(unit) == 1))
        if isinstance(result, Verdicts):
            return result.take(slice(None))  # a copy: the columns below are completed in place
        return Verdicts.of(_typed(self.reward, self.method, list(result)))

    def _units(self, rows: Rows) -> Sequence[Unit]:
        """The calls of a batch method: by length on the gpu lane, whole groups for group scope, else everything at once."""
        if self.facts.scope == "batch" or (self.facts.scope == "sample" and self.facts.lane == "inline"):
            return [rows.tolist()]
        limit = self.facts.batch_size or self.settings.batch_size
        if self.facts.scope == "sample":
            sizes = [_size(self.samples[i]) for i in rows.tolist()]
            return list(batches(rows.tolist(), sizes, limit))
        groups = self._groups_of(rows.tolist()) or [rows.tolist()]
        if self.facts.lane == "inline":
            return [[i for group in groups for i in group]]
        if self.facts.lane != "gpu":
            return groups
        packed: list[list[int]] = []
        for group in groups:
            if packed and len(packed[-1]) + len(group) <= limit:
                packed[-1] += group
            else:
                packed.append(list(group))
        return packed

    def _groups_of(self, unit: Unit) -> list[Unit]:
        """The groups inside a unit; nothing when it is a single group."""
        found: dict[int, list[int]] = {}
        for i in unit:
            found.setdefault(int(self.groups.index[i]), []).append(i)
        return list(found.values()) if len(found) > 1 else []


def _whole(unit: Unit) -> list[Unit]:
    return []


def _size(sample: Sample) -> int:
    return len(sample.prompt) + len(sample.response)


def _failed(outcome: Outcome, facts: Facts, alone: bool) -> Verdict:
    value, reason, explanation = failure(outcome, facts, alone)
    if value is not None:
        return Verdict(value, reason=reason, explanation=explanation)
    return Verdict.failed(reason, explanation)


def _typed(reward: Reward, method: str, values: list[Any]) -> list[Verdict]:
    for k, value in enumerate(values):
        if type(value) is not Verdict:
            raise ContractError(f"{reward.name}.{method} returned {type(value).__name__} for item {k}: expected a Verdict")
    return values


def _timed(verdicts: Verdicts, seconds: list[float]) -> Verdicts:
    """Enter wall seconds where the leaf did not measure its own."""
    if verdicts.cost is None:
        verdicts.cost = np.zeros((len(verdicts), 4))
    column = verdicts.cost[:, 0]
    np.copyto(column, seconds, where=column == 0)
    return verdicts


def _declared_parts(verdicts: Verdicts, reward: Reward, facts: Facts) -> Verdicts:
    """The parts in their declared order, ABSTAINED where a verdict has none. Raises ContractError for an undeclared one."""
    if not facts.parts and not verdicts.parts:
        return verdicts
    unknown = set(verdicts.parts) - set(facts.parts)
    if unknown:
        raise ContractError(f"{reward.name} gave parts {sorted(unknown)}, facts.parts declares {list(facts.parts)}")
    absent = Verdicts.full(len(verdicts), _NOT_RUN)
    # A part that is missing because the whole FAILED is FAILED too: alone, it must not look as if it did not apply. A response
    # that overran its limits has no parts, and a part has no bottom of its own to score it at.
    lost = {i: verdicts.reason[i] or "reward_error" for i in np.flatnonzero(verdicts.codes == FAILED).tolist()}
    lost |= {i: "no_bottom" for i, code in enumerate(verdicts.reason) if code in ("response_timeout", "response_memory")}
    verdicts.parts = {name: _lost_with_the_whole(verdicts.parts.get(name, absent), lost) for name in facts.parts}
    return verdicts


def _lost_with_the_whole(part: Verdicts, lost: Mapping[int, str]) -> Verdicts:
    rows = [i for i in lost if part.reason[i] == "not_run"]
    if not rows:
        return part
    part = part.take(slice(None))
    part.reason = [lost[i] if i in lost and code == "not_run" else code for i, code in enumerate(part.reason)]
    part.codes[rows] = FAILED
    return part


def _in_range(verdicts: Verdicts, facts: Facts) -> Verdicts:
    """FAILED ``out_of_range`` where a value lies outside the declared range by more than rounding."""
    if facts.range is None:
        return verdicts
    lo, hi = facts.range
    slack = 1e-6 * max(1.0, *(abs(x) for x in (lo, hi) if np.isfinite(x)), 0.0)
    outside = np.flatnonzero((verdicts.codes == SCORED) & ((verdicts.values < lo - slack) | (verdicts.values > hi + slack)))
    if outside.size:
        verdicts.reason = list(verdicts.reason)
        verdicts.explanation = list(verdicts.explanation or [None] * len(verdicts))
        for i in outside.tolist():
            verdicts.reason[i] = "out_of_range"
            verdicts.explanation[i] = f"{verdicts.values[i]:.6g} lies outside the declared range ({lo:.6g}, {hi:.6g})"
        verdicts.codes[outside] = FAILED
        verdicts.values[outside] = np.nan
    return verdicts
