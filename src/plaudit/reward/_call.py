"""Calling the one method that a leaf writes, on its lane; the same for rewards and comparators."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plaudit.errors import ContractError, SetupError
from plaudit.reward._configured import Configured
from plaudit.reward._facts import Facts
from plaudit.run import Ending, Outcome, Results, Settings, run_lane, settings
from plaudit.types import Context


class WrongCountError(ContractError):
    """A batch method gave more or fewer results than it got items: called again with fewer it would only seem right."""


@dataclass(frozen=True, slots=True)
class Call:
    """A leaf's method bound to a context; picklable, so that it travels to a worker.

    Called with an item, or for the batch methods with a list of items.
    """

    leaf: Configured
    method: str
    context: Context

    def __call__(self, item: Any) -> Any:
        return getattr(self.leaf, self.method)(item, self.context)


def method_of(leaf: Configured, facts: Facts) -> str:
    """The method that the leaf writes. Raises ContractError when there is none or it does not fit its lane."""
    method = leaf.leaf
    if method is None:
        raise ContractError(f"{type(leaf).__name__} writes none of {', '.join(leaf.LEAVES)}")
    is_async = method.startswith("a")
    if is_async != (facts.lane == "io"):
        raise ContractError(f"{leaf.name} writes {method} and declares lane {facts.lane!r}: async methods live on the io lane")
    if facts.scope != "sample" and not method.endswith("_batch"):
        raise ContractError(
            f"{leaf.name} declares scope {facts.scope!r} and writes {method}: a {facts.scope} needs a batch method"
        )
    return method


async def call_each(
    leaf: Configured, method: str, facts: Facts, items: Sequence[Any], context: Context, use: Settings, of: int
) -> Results[Any]:
    """One call for each item; raises the common error when the items are all `of` the call, several, and each raised it."""
    function = _bound(leaf, method, facts, context)
    results = await run_lane(
        facts.lane, function, items, timeout=facts.timeout, deadline=context.deadline,
        pool=use.workers if facts.lane == "cpu" else None, max_in_flight=facts.max_in_flight or use.max_in_flight,
    )  # fmt: skip
    raise_setup(results.failures.values())
    if of > 1 and len(results.failures) == of:
        raise_common(list(results.failures.values()))
    return results


Unit = Sequence[int]


async def call_units(
    leaf: Configured, method: str, facts: Facts, items: Sequence[Any], units: Sequence[Unit], split: Callable[[Unit], list[Unit]],
    context: Context, use: Settings,
) -> list[tuple[Unit, Any, float]]:  # fmt: skip
    """One call for each unit (indices into `items`); returns (unit, result or Outcome, seconds), units possibly split.

    A unit that raises is run again in the parts that `split` gives, so that only the culprit is lost; `split` returns no
    parts for a unit that must stay whole. Raises the common error when every item raises the same one; when all units raise,
    a few items from all over them are tried first, so that a broken leaf is not called for each item.
    """
    function = _bound(leaf, method, facts, context)
    everything = len(items) > 1 and sum(len(unit) for unit in units) == len(items)
    done: list[tuple[Unit, Any, float]] = []
    due = units
    while due:
        results = await run_lane(
            facts.lane, function, [[items[i] for i in unit] for unit in due], timeout=facts.timeout, deadline=context.deadline,
            pool=use.workers if facts.lane == "cpu" else None, max_in_flight=facts.max_in_flight or use.max_in_flight,
        )  # fmt: skip
        raise_setup(results.failures.values())
        again: list[Unit] = []
        broken = [outcome for outcome in results.failures.values() if outcome.ending is Ending.RAISED]
        if everything and due is units and len(broken) == len(due) and len(pieces := _pieces(due, split)) > 1:
            probes = await run_lane(
                facts.lane, function, [[items[i] for i in piece] for piece in pieces], timeout=facts.timeout,
                deadline=context.deadline, pool=use.workers if facts.lane == "cpu" else None,
            )  # fmt: skip
            if len(probes.failures) == len(pieces):
                raise_common([*broken, *probes.failures.values()])
        for k, unit in enumerate(due):
            outcome = results.failures.get(k)
            if outcome is not None and isinstance(outcome.error, WrongCountError):
                raise outcome.error
            parts = split(unit) if outcome is not None and outcome.ending in _WORTH_SPLITTING else []
            if parts:
                again += parts
            else:
                result = outcome if outcome is not None else _checked(leaf, method, results.values[k], len(unit))
                done.append((unit, result, results.seconds[k] / max(len(unit), 1)))
        due = again
    if everything and all(isinstance(result, Outcome) for _, result, _ in done):
        raise_common([result for _, result, _ in done])
    return done


def _pieces(units: Sequence[Unit], split: Callable[[Unit], list[Unit]], most: int = 8) -> list[Unit]:
    """At most `most` of the smallest units that `split` leads to, from all over the given ones."""
    smallest = [p for unit in units for p in ([[i] for i in unit] if split is halves else split(unit) or [unit])]
    # By chance, not evenly: rows often come in groups of equal size, of which every first one may be bad.
    return random.Random(0).sample(smallest, min(most, len(smallest)))


_WORTH_SPLITTING = (Ending.RAISED, Ending.OVERRAN, Ending.OUT_OF_MEMORY, Ending.LOST)


def _bound(leaf: Configured, method: str, facts: Facts, context: Context) -> Callable[[Any], Any]:
    if facts.lane == "cpu":
        return Call(leaf, method, context)
    bound = getattr(leaf, method)
    return lambda item: bound(item, context)


def _checked(leaf: Configured, method: str, result: Any, n: int) -> Any:
    try:
        size = len(result)
    except TypeError:
        raise WrongCountError(
            f"{leaf.name}.{method} returned {type(result).__name__}: expected {n} results, one for each item"
        ) from None
    if size != n:
        raise WrongCountError(
            f"{leaf.name}.{method} returned {size} results for {n} items: expected one for each, in their order"
        )
    return result


def raise_setup(outcomes: Iterable[Outcome]) -> None:
    """Raise what no sample can change, such as a missing key or library, however many samples met it."""
    for outcome in outcomes:
        if isinstance(outcome.error, SetupError):
            raise outcome.error


def raise_common(outcomes: Sequence[Outcome]) -> None:
    """Raise the first error when every outcome is an exception of the same type from the same place."""
    first = outcomes[0]
    if first.error is None or isinstance(first.error, asyncio.CancelledError) or not settings().raise_common:
        return
    place, kind = _place(first), type(first.error)
    if all(o.ending is Ending.RAISED and type(o.error) is kind and _place(o) == place for o in outcomes):
        if first.error.__traceback__ is None and first.detail:
            first.error.add_note(f"raised in a worker process: {first.detail}")
        raise first.error


def _place(outcome: Outcome) -> str:
    """Where an exception was raised; a worker sends the whole traceback, whose last frame says it."""
    frames = re.findall(r'^  File "(.*)", line (\d+), in (.*)$', outcome.detail or "", re.MULTILINE)
    if not frames:
        return outcome.detail or ""
    file, line, function = frames[-1]
    return f"{type(outcome.error).__name__} at {os.path.basename(file)}:{line} in {function}"


def halves(unit: Unit) -> list[Unit]:
    """The two halves of a unit; nothing for a single item."""
    middle = len(unit) // 2
    return [unit[:middle], unit[middle:]] if middle else []


def batches(rows: Sequence[int], sizes: Sequence[int], limit: int) -> Iterator[Unit]:
    """Rows in batches of at most `limit`, ordered by size, so that a batch pads little."""
    order = [rows[k] for k in np.argsort(np.asarray(sizes), kind="stable").tolist()]
    for start in range(0, len(order), limit):
        yield order[start : start + limit]


def failure(outcome: Outcome, facts: Facts, alone: bool) -> tuple[float | None, str, str | None]:
    """(value, reason, explanation) of an item without a result: whose fault it was decides.

    An overrun or an exhausted memory of one item alone on the cpu lane is the response's own fault and scores at the bottom.
    """
    said = outcome.detail
    if outcome.ending is Ending.RAISED:
        place = _place(outcome)
        return None, "reward_error", f"{type(outcome.error).__name__}: {outcome.error}" + (f" ({place})" if place else "")
    if outcome.ending in (Ending.OVERRAN, Ending.OUT_OF_MEMORY) and facts.lane == "cpu" and alone:
        reason = "response_timeout" if outcome.ending is Ending.OVERRAN else "response_memory"
        if facts.bottom is None:
            return None, "no_bottom", f"{reason}: {said}"
        return facts.bottom, reason, said
    if outcome.ending is Ending.OUT_OF_MEMORY:
        return None, "worker_lost", said or "out of memory"
    reason = {
        Ending.OVERRAN: "timed_out",
        Ending.CANCELLED: "deadline_passed",
        Ending.STARVED: "worker_starved",
    }.get(outcome.ending, "worker_lost")
    return None, reason, said
