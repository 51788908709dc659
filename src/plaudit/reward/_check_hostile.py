"""Hostile responses: each must be judged, in bounded time, and the response's own fault must not end in FAILED."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from plaudit.reward._check_inputs import FEW_HOSTILE, HOSTILE, HOSTILE_CHATS, with_response
from plaudit.reward._check_report import Finding
from plaudit.reward._check_trial import Scoring, Trial
from plaudit.reward._check_verdicts import failure_codes, problems
from plaudit.reward._groups import Groups
from plaudit.run import Ending, shared_cpu_pool
from plaudit.types import ABSTAINED, SCORED, Sample, Verdicts

Response = str | list[dict[str, Any]]

OWN_FAULT = frozenset(
    {"reward_error", "invalid_value", "out_of_range", "no_bottom", "reference_missing", "reference_unreadable", "column_missing"}
)
"""Reasons of FAILED that a response alone must not bring about."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a reward made of one hostile response: verdicts, or the reason why there are none."""

    verdicts: Verdicts | None
    seconds: float
    fault: str = ""


def hostile_findings(trial: Trial) -> Iterator[Finding]:
    """Send every hostile response in place of a sample's own, and look at what comes back."""
    texts = HOSTILE if trial.thorough else {name: HOSTILE[name] for name in FEW_HOSTILE}
    tried: list[tuple[str, int, Response]] = []
    for code in (SCORED, ABSTAINED):
        for chat in (False, True):
            row = _first(trial, code, chat)
            if row is not None:
                tried += [(name, row, text) for name, text in texts.items()]
                tried += [(name, row, turns) for name, turns in HOSTILE_CHATS.items() if chat]
    batches = [_batch(trial, row, response) for _, row, response in tried]
    for (name, row, _), (batch, place), answer in zip(tried, batches, _answers(trial, [b for b, _ in batches]), strict=True):
        yield from _judged(trial, name, row, batch, place, answer)
    if not tried:
        yield Finding("hostile", "skipped", "no sample was scored: a hostile response has nothing to be compared with")
    else:
        yield Finding("hostile", "ok", f"{len(tried)} hostile responses were judged, each within {trial.seconds:g} s")
        yield Finding("fault", "ok", "no hostile response made a verdict FAILED by its own fault")


def _first(trial: Trial, code: int, chat: bool) -> int | None:
    of = (i for i, s in enumerate(trial.samples) if trial.base.codes[i] == code and isinstance(s.response, str) != chat)
    return next(of, None)


def _batch(trial: Trial, row: int, response: Response) -> tuple[list[Sample], int]:
    """The samples that must be scored together with the changed one, and its place among them."""
    samples = list(trial.samples)
    samples[row] = with_response(samples[row], response)
    if trial.facts.scope == "batch":
        return samples, row
    groups = Groups(trial.samples)
    rows = [row] if trial.facts.scope == "sample" else groups.members[groups.index[row]].tolist()
    return [samples[i] for i in rows], rows.index(row)


def _judged(trial: Trial, name: str, row: int, batch: list[Sample], place: int, answer: _Answer) -> Iterator[Finding]:
    if answer.verdicts is None:
        yield Finding("hostile", "failed", f"{name!r}: {answer.fault}")
        return
    verdicts = answer.verdicts
    if answer.seconds > _limit(trial) + 1:
        yield Finding("hostile", "failed", f"{name!r}: took {answer.seconds:.1f} s, more than {_limit(trial):g}")
    for check, _, sentence in problems(verdicts, batch, trial.facts):
        yield Finding(check, "failed", f"hostile response {name!r}: {sentence}")
    abstained = int(verdicts.codes[place]) == ABSTAINED
    if abstained != (int(trial.base.codes[row]) == ABSTAINED):
        became = "makes the verdict ABSTAINED" if abstained else "ends the abstention"
        yield Finding("abstention", "failed", f"hostile response {name!r} {became}: abstaining must not depend on the response")
    codes = failure_codes(verdicts, place)
    known = failure_codes(trial.base, row)
    if (own := (codes & OWN_FAULT) - known) and trial.base.codes[row] == SCORED:
        said = verdicts.explanation[place] if verdicts.explanation is not None else None
        yield Finding(
            "fault", "failed",
            f"hostile response {name!r} ends in FAILED {', '.join(sorted(own))}: the response's own fault is SCORED at the "
            f"bottom of the range ({str(said)[:200]})",
        )  # fmt: skip


def _answers(trial: Trial, batches: list[list[Sample]]) -> Iterator[_Answer]:
    # An inline reward that hangs cannot be stopped in this process; in a worker it can.
    scoring = Scoring(trial.reward, trial.context)
    if trial.facts.lane == "inline" and not (trial.context.models or trial.context.environments) and _travels(scoring):
        pool, limit = shared_cpu_pool(), trial.seconds
        # The first one pays for what the worker has to import.
        warm, *outcomes = pool.submit(scoring, [trial.samples[:0], *batches], timeout=limit).result()
        if warm.ending is Ending.DONE:
            for outcome in outcomes:
                if outcome.ending is Ending.DONE:
                    yield _Answer(outcome.value, outcome.seconds)
                else:
                    yield _Answer(None, outcome.seconds, _FAULTS[outcome.ending].format(limit=limit, detail=outcome.detail))
            return
    limit = _limit(trial)
    for batch in batches:
        before = time.perf_counter()
        try:
            verdicts = _scored_within(trial, batch, limit)
        except TimeoutError:
            yield _Answer(None, time.perf_counter() - before, _FAULTS[Ending.OVERRAN].format(limit=limit))
        except Exception as error:
            yield _Answer(None, time.perf_counter() - before, f"raises {type(error).__name__}: {error}")
        else:
            yield _Answer(verdicts, time.perf_counter() - before)


def _limit(trial: Trial) -> float:
    return max(trial.seconds, 2 * (trial.facts.timeout or 0.0))


def _scored_within(trial: Trial, batch: list[Sample], limit: float) -> Verdicts:
    """Score on the lanes, which are cancelled after `limit` seconds. Raises TimeoutError, and what the reward raises."""

    async def waiting() -> Verdicts:
        return await asyncio.wait_for(trial.reward.ascore(batch, trial.context), limit)

    # In a thread, since the caller may be inside an event loop; with its settings, which are a context variable.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, waiting()).result()


_FAULTS = {
    Ending.RAISED: "raises {detail}",
    Ending.OVERRAN: "is not judged within {limit:g} s",
    Ending.OUT_OF_MEMORY: "takes more memory than a worker has",
    Ending.LOST: "kills the process that judges it ({detail})",
    Ending.STARVED: "could not be tried: the machine is too busy",
    Ending.CANCELLED: "could not be tried: cancelled",
}


def _travels(scoring: Scoring) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(scoring)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
        return False
    return True
