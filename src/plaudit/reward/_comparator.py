"""`Comparator`: what says which of two responses is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from plaudit.errors import ContractError
from plaudit.reward._base import _absent
from plaudit.reward._call import batches, call_each, call_units, failure, halves, method_of
from plaudit.reward._configured import Configured
from plaudit.reward._facts import Facts
from plaudit.run import Outcome, adrive, drive, event_loop, settings
from plaudit.types import Context, Preference, Sample, Status

SamplePair = tuple[Sample, Sample]


class Comparator(Configured):
    """Something that compares pairs of responses to one prompt.

    Like a `Reward` it is a frozen dataclass with facts, spec and fingerprint, and writes exactly one of `compare_one`,
    `acompare_one`, `compare_batch`, `acompare_batch`.

    >>> from dataclasses import dataclass
    >>> from plaudit.reward import Facts
    >>> @dataclass(frozen=True)
    ... class Shorter(Comparator):
    ...     @property
    ...     def facts(self):
    ...         return Facts(reads={"response"})
    ...     def compare_one(self, pair, context):
    ...         return Preference(float(len(pair[0].response) < len(pair[1].response)))
    >>> Shorter().compare([(Sample("hi", "yo"), Sample("hi", "hello"))])[0].p
    1.0
    """

    LEAVES: ClassVar[tuple[str, ...]] = ("compare_one", "acompare_one", "compare_batch", "acompare_batch")

    @_absent
    def compare_one(self, pair: SamplePair, context: Context) -> Preference:
        """Compare one pair (inline or cpu lane)."""
        raise ContractError(f"{type(self).__name__} does not write compare_one")

    @_absent
    async def acompare_one(self, pair: SamplePair, context: Context) -> Preference:
        """Compare one pair (io lane)."""
        raise ContractError(f"{type(self).__name__} does not write acompare_one")

    @_absent
    def compare_batch(self, pairs: Sequence[SamplePair], context: Context) -> Sequence[Preference]:
        """Compare many pairs (inline, cpu or gpu lane)."""
        raise ContractError(f"{type(self).__name__} does not write compare_batch")

    @_absent
    async def acompare_batch(self, pairs: Sequence[SamplePair], context: Context) -> Sequence[Preference]:
        """Compare many pairs on the io lane."""
        raise ContractError(f"{type(self).__name__} does not write acompare_batch")

    def compare(self, pairs: Sequence[SamplePair], context: Context | None = None) -> list[Preference]:
        """Preferences of n pairs, in their order; blocks, from any thread.

        Raises the comparator's own error when every pair of a batch raises the same one; otherwise such a pair is FAILED.
        """
        if event_loop().is_current and self.facts.lane != "inline":
            raise ContractError(
                f"{self.name}: compare() would block plaudit's event loop; inside an async method use 'await acompare()'"
            )
        return drive(_compare(self, pairs, context or Context()))

    async def acompare(self, pairs: Sequence[SamplePair], context: Context | None = None) -> list[Preference]:
        """Preferences of n pairs, without blocking the caller's event loop."""
        return await adrive(_compare(self, pairs, context or Context()))


async def _compare(comparator: Comparator, pairs: Sequence[SamplePair], context: Context) -> list[Preference]:
    facts, use = comparator.facts, settings()
    method = method_of(comparator, facts)
    found: list[Preference | None] = [None] * len(pairs)
    for i, pair in enumerate(pairs):
        if len(pair) != 2 or not all(isinstance(s, Sample) for s in pair):
            raise ContractError(f"pairs[{i}]: expected two samples")
        if any(s.finish == "error" for s in pair):
            found[i] = Preference(None, Status.FAILED, "rollout_failed")
    rows = [i for i, p in enumerate(found) if p is None]
    if rows and method.endswith("_one"):
        results = await call_each(comparator, method, facts, [pairs[i] for i in rows], context, use, len(pairs))
        for k, i in enumerate(rows):
            outcome = results.failures.get(k)
            found[i] = _priced(
                _typed(comparator, results.values[k]) if outcome is None else _failed(outcome, facts), results.seconds[k]
            )
    elif rows:
        sizes = [len(pairs[i][0].response) + len(pairs[i][1].response) for i in rows]
        limit = facts.batch_size or use.batch_size
        units = list(batches(rows, sizes, limit)) if facts.lane == "gpu" else [rows]
        for unit, result, seconds in await call_units(comparator, method, facts, list(pairs), units, halves, context, use):
            for k, i in enumerate(unit):
                found[i] = _priced(
                    _failed(result, facts) if isinstance(result, Outcome) else _typed(comparator, result[k]), seconds
                )
    return [p for p in found if p is not None]


def _typed(comparator: Comparator, value: Any) -> Preference:
    if not isinstance(value, Preference):
        raise ContractError(f"{comparator.name} returned {type(value).__name__}: expected a Preference")
    return value


def _failed(outcome: Outcome, facts: Facts) -> Preference:
    # No single response is at fault for a pair, so nothing is scored at a bottom here.
    _, reason, explanation = failure(outcome, replace(facts, range=None), alone=False)
    return Preference(None, Status.FAILED, reason, explanation=explanation)


def _priced(preference: Preference, seconds: float) -> Preference:
    if preference.cost.seconds:
        return preference
    return replace(preference, cost=replace(preference.cost, seconds=seconds))
