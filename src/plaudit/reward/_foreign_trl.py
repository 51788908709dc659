"""Reward functions of TRL, called as its trainers call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from plaudit.errors import ContractError
from plaudit.reward._foreign_form import ForeignFunction, listed, with_details
from plaudit.reward._function import to_verdict
from plaudit.types import Context, Sample, Verdict

REFERENCE_COLUMNS = ("reference", "answer", "solution", "ground_truth")
"""Names that a reference has in data files: a function is given it under each of them that it takes."""

_WITHHELD = frozenset({"prompt", "completion", "completion_ids"})  # TRL hands no column of these names on


@dataclass(frozen=True)
class _TrlForm(ForeignFunction):
    """TRL: ``f(prompts, completions, completion_ids, trainer_state, log_extra, log_metric, **columns) -> list[float | None]``."""

    @cached_property
    def _reads(self) -> frozenset[str]:
        # Whatever takes **kwargs may look at the trainer's step and at the environments.
        live = {"trainer_state": "context.step", "environments": "context.environments"}
        reads = {what for keyword, what in live.items() if self._takes_all or keyword in self._parameters}
        return frozenset({"prompt", "response", "reference", "tokens", "meta"} | reads)

    @cached_property
    def _needed(self) -> list[str]:
        """Named parameters without a default."""
        return [keyword for keyword, _, has_default in self._wanted if not has_default]

    def _lacks(self, sample: Sample, context: Context) -> str | None:
        """The column that the function insists on and the sample has not."""
        for keyword in self._needed:
            if keyword == "completion_ids":
                found = sample.tokens is not None
            elif keyword == "environments":
                found = sample.id in context.environments
            else:
                found = keyword in _GIVEN or keyword in REFERENCE_COLUMNS or keyword in sample.meta
            if not found:
                return keyword
        return None

    def _keywords(self, samples: Sequence[Sample], context: Context, notes: _Notes) -> dict[str, Any]:
        columns = dict.fromkeys(name for sample in samples for name in sample.meta if name not in _WITHHELD)
        given: dict[str, Any] = {name: [sample.meta.get(name) for sample in samples] for name in columns}
        for name in REFERENCE_COLUMNS:
            if (name not in given and any(sample.reference is not None for sample in samples)) or name in self._needed:
                given.setdefault(name, [sample.reference for sample in samples])
        if any(sample.tokens is not None for sample in samples):
            given["completion_ids"] = [None if sample.tokens is None else sample.tokens.tolist() for sample in samples]
        if context.environments:
            given["environments"] = [context.environments.get(sample.id or "") for sample in samples]
        pairs = [_trl_pair(sample) for sample in samples]
        given |= {
            "prompts": [prompt for prompt, _ in pairs], "completions": [completion for _, completion in pairs],
            "trainer_state": SimpleNamespace(global_step=context.step or 0), "log_extra": notes.extra, "log_metric": notes.metric,
        }  # fmt: skip
        return given

    def _verdicts(self, samples: Sequence[Sample], values: Any, notes: _Notes) -> list[Verdict]:
        rows = listed(values)
        if rows is None or len(rows) != len(samples):
            got = type(values).__name__ if rows is None else f"{len(rows)} values"
            raise ContractError(f"{self.name} returned {got} for {len(samples)} samples: expected a list with one value for each")
        return [with_details(to_verdict(value), notes.of(k, len(rows))) for k, value in enumerate(rows)]

    def _split(self, samples: Sequence[Sample], context: Context) -> tuple[dict[int, Verdict], list[Sample]]:
        """Verdicts of the samples that lack a column, by index, and the other samples."""
        lost = {i: missing for i, sample in enumerate(samples) if (missing := self._lacks(sample, context)) is not None}
        refused = {i: Verdict.failed("column_missing", f"{self.name} takes {name!r}: the sample has no such column")
                   for i, name in lost.items()}  # fmt: skip
        return refused, [sample for i, sample in enumerate(samples) if i not in lost]


_GIVEN = ("prompts", "completions", "trainer_state", "log_extra", "log_metric")


@dataclass(frozen=True)
class TrlFunction(_TrlForm):
    """A reward function of TRL, called once with lists."""

    def score_batch(self, samples: Sequence[Sample], context: Context) -> Sequence[Verdict]:
        refused, present = self._split(samples, context)
        notes = _Notes()
        with _hint(present):
            values = self._call(**self._keywords(present, context, notes)) if present else []
        given = iter(self._verdicts(present, values, notes))
        return [refused[i] if i in refused else next(given) for i in range(len(samples))]


@dataclass(frozen=True)
class TrlFunctionAsync(_TrlForm):
    """An async reward function of TRL, called once with lists."""

    async def ascore_batch(self, samples: Sequence[Sample], context: Context) -> Sequence[Verdict]:
        refused, present = self._split(samples, context)
        notes = _Notes()
        with _hint(present):
            values = await self._call(**self._keywords(present, context, notes)) if present else []
        given = iter(self._verdicts(present, values, notes))
        return [refused[i] if i in refused else next(given) for i in range(len(samples))]


class _Notes:
    """What a TRL function logs through `log_extra` and `log_metric`; it goes to the verdicts' details."""

    def __init__(self) -> None:
        self._extra: dict[str, list[Any]] = {}
        self._metrics: dict[str, float] = {}

    def extra(self, column: str, values: list[Any]) -> None:
        """TRL's `log_extra`: a column with one value a sample."""
        self._extra[column] = list(values)

    def metric(self, name: str, value: float) -> None:
        """TRL's `log_metric`: one number for the call."""
        self._metrics[name] = float(value)

    def of(self, k: int, n: int) -> dict[str, Any]:
        """What was said of sample k of n."""
        extra = {column: values[k] for column, values in self._extra.items() if len(values) == n}
        return {**({"log_extra": extra} if extra else {}), **({"log_metric": dict(self._metrics)} if self._metrics else {})}


@contextmanager
def _hint(samples: Sequence[Sample]) -> Iterator[None]:
    """Adds to an error of the function what most often is behind it."""
    try:
        yield
    except TypeError as error:
        if "string indices" in str(error) and all(isinstance(s.prompt, str) and isinstance(s.response, str) for s in samples):
            error.add_note("the samples are plain text and the function reads messages: give prompts as chat messages")
        raise


def _trl_pair(sample: Sample) -> tuple[Any, Any]:
    """Prompt and completion, both text or both messages."""
    prompt, response = sample.prompt, sample.response
    if isinstance(prompt, str) and isinstance(response, str):
        return prompt, response
    return (
        [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt],
        [{"role": "assistant", "content": response}] if isinstance(response, str) else [dict(message) for message in response],
    )
