"""Reward functions of verl, called as its reward managers call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.errors import ContractError
from plaudit.reward._foreign_form import ForeignFunction, listed, plain, with_details
from plaudit.reward._function import to_verdict
from plaudit.text import final_text
from plaudit.types import Context, Sample, Verdict


@dataclass(frozen=True)
class VerlFunction(ForeignFunction):
    """A reward function of verl: ``compute_score(data_source, solution_str, ground_truth, extra_info) -> number | dict``."""

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        return _verl_verdict(self._call(**_verl_row(sample)))


@dataclass(frozen=True)
class VerlFunctionAsync(ForeignFunction):
    """An async reward function of verl."""

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        return _verl_verdict(await self._call(**_verl_row(sample)))


@dataclass(frozen=True)
class VerlFunctionBatch(ForeignFunction):
    """A batch reward function of verl: ``compute_score(data_sources, solution_strs, ground_truths, extra_infos) -> list``."""

    def score_batch(self, samples: Sequence[Sample], context: Context) -> Sequence[Verdict]:
        return _verl_verdicts(self.name, self._call(**_verl_lists(samples)), len(samples))


@dataclass(frozen=True)
class VerlFunctionBatchAsync(ForeignFunction):
    """An async batch reward function of verl."""

    async def ascore_batch(self, samples: Sequence[Sample], context: Context) -> Sequence[Verdict]:
        return _verl_verdicts(self.name, await self._call(**_verl_lists(samples)), len(samples))


def _verl_row(sample: Sample) -> dict[str, Any]:
    given = sample.meta.get("extra_info")
    return {
        "data_source": str(sample.meta.get("data_source", "")),
        "solution_str": final_text(sample, read="whole"),
        "ground_truth": sample.reference,
        "extra_info": dict(given if isinstance(given, Mapping) else sample.meta),
    }


def _verl_lists(samples: Sequence[Sample]) -> dict[str, list[Any]]:
    rows = [_verl_row(sample) for sample in samples]
    return {plural: [row[name] for row in rows] for name, plural in _PLURALS.items()}


_PLURALS = {
    "data_source": "data_sources", "solution_str": "solution_strs", "ground_truth": "ground_truths", "extra_info": "extra_infos",
}  # fmt: skip


def _verl_verdicts(name: str, values: Any, n: int) -> list[Verdict]:
    rows = listed(values)
    if rows is None or len(rows) != n:
        got = type(values).__name__ if rows is None else f"{len(rows)} values"
        raise ContractError(f"{name} returned {got} for {n} samples: expected a list with one score for each")
    return [_verl_verdict(row) for row in rows]


def _verl_verdict(result: Any) -> Verdict:
    """A number, or a dict whose ``score`` is the value, whose ``pred`` is the answer and whose other keys are details."""
    if not isinstance(result, Mapping):
        return to_verdict(result)
    if "score" not in result:
        raise ContractError(f"the function returned a dict with keys {list(result)}: verl wants one called 'score'")
    verdict = to_verdict(plain(result["score"]))
    details = {str(key): plain(value) for key, value in result.items() if key != "score"}
    answer = details.get("pred")
    return with_details(verdict, details, None if answer is None else str(answer))
