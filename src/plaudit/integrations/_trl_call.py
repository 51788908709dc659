"""One call of a TRL trainer, as samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from plaudit.errors import ContractError, DataError
from plaudit.types import Context, Sample

REFERENCES = ("reference", "answer", "solution", "ground_truth")
_FIELDS = ("reference", "id", "group")


@dataclass(frozen=True, slots=True)
class Call:
    """What a trainer passed: n prompts with their completions, and n values of every other column."""

    prompts: Sequence[Any]
    completions: Sequence[Any]
    columns: Mapping[str, Sequence[Any]]
    completion_ids: Sequence[Any] | None = None
    environments: Sequence[Any] | None = None
    step: int | None = None

    def same_as(self, other: Call) -> bool:
        """Whether both are the same batch of the same step: the same lists, or equal ones."""
        return (
            self.step == other.step
            and self.columns.keys() == other.columns.keys()
            and _same(self.completions, other.completions)
            and _same(self.prompts, other.prompts)
            and _same(self.completion_ids, other.completion_ids)
            and all(_same(column, other.columns[name]) for name, column in self.columns.items())
        )

    @property
    def context(self) -> Context:
        """The trainer's step, and the environments by sample id."""
        handles = {str(k): environment for k, environment in enumerate(self.environments or ())}
        return Context(step=self.step, environments=handles)

    def samples(self, mapping: Mapping[str, str], group_size: int | None) -> list[Sample]:
        """The n samples. Raises DataError when lists differ in length or a column that `mapping` names is not there."""
        n = len(self.prompts)
        for name, values in (("completions", self.completions), ("completion_ids", self.completion_ids)):
            if values is not None and len(values) != n:
                raise DataError(f"the trainer passed {n} prompts and {len(values)} {name}: expected one for each")
        columns = {name: values for name, values in self.columns.items() if _is_column(values, n)}
        found = {field: self._field(field, mapping, columns) for field in _FIELDS}
        rest = {name: values for name, values in columns.items() if name not in found.values()}
        names, lists = list(rest), list(rest.values())
        nothing = [None] * n
        reference, id_, group = (nothing if (where := found[field]) is None else columns[where] for field in _FIELDS)
        tokens = nothing if self.completion_ids is None else self.completion_ids
        return [
            Sample(
                self.prompts[k], self.completions[k], reference[k], self._id(k, id_[k]), _text(group[k]), group_size,
                None if tokens[k] is None else np.asarray(tokens[k], dtype=np.int64),
                meta=dict(zip(names, [values[k] for values in lists], strict=True)),
            )
            for k in range(n)
        ]  # fmt: skip

    def _id(self, k: int, given: Any) -> str | None:
        # Environments are found by id, and the rows of one group share the id of their prompt.
        return str(k) if self.environments is not None else _text(given)

    def _field(self, field: str, mapping: Mapping[str, str], columns: Mapping[str, Any]) -> str | None:
        if field in mapping:
            if mapping[field] not in columns:
                given = ", ".join(columns) or "none"
                raise DataError(f"columns says that the {field} stands in {mapping[field]!r}; the trainer passed {given}")
            return mapping[field]
        candidates = REFERENCES if field == "reference" else (field,)
        return next((name for name in candidates if name in columns), None)


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Raises ContractError when a mapping of columns names something that is no field."""
    unknown = sorted(set(mapping) - set(_FIELDS))
    if unknown:
        raise ContractError(f"columns: unknown {', '.join(unknown)}; known: {', '.join(_FIELDS)}. All other columns go to meta")


def in_groups(samples: Sequence[Sample], num_generations: int | None, connected: bool) -> list[Sample]:
    """The samples with `group` and `group_size`: TRL lays the completions of a prompt side by side.

    `samples` are those of all processes, in their order. Without `num_generations` the size is read off the runs of equal
    prompts. Raises DataError when the groups cannot be known: runs of different lengths, prompts that differ within a group,
    or processes that cannot be asked for the rest of a group.
    """
    runs = [len(list(run)) for _, run in groupby(samples, key=lambda sample: sample.prompt)]
    size = num_generations or (runs[0] if runs else 1)
    if num_generations is None and (not connected or len(set(runs)) > 1):
        why = f"equal prompts come in runs of {sorted(set(runs))}" if connected else "the other processes cannot be asked"
        raise DataError(
            f"the groups of {len(samples)} samples cannot be known ({why}): give num_generations, the number in GRPOConfig"
        )
    blocks = [samples[k : k + size] for k in range(0, len(samples), size)]
    if any(len(block) != size or any(sample.prompt != block[0].prompt for sample in block) for block in blocks):
        raise DataError(
            f"{len(samples)} samples are not groups of {size} with one prompt each (equal prompts come in runs of "
            f"{sorted(set(runs))}): a reward of group scope needs whole groups. num_generations must be the trainer's; where "
            "evaluation draws another number, score with a reward made for it"
        )
    return [replace(sample, group=str(k // size), group_size=size) for k, sample in enumerate(samples)]


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        return bool(a == b)
    except (ValueError, TypeError, RuntimeError):  # arrays and tensors do not say whether they are equal
        return False


def _is_column(values: Any, n: int) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, (str, bytes)) and len(values) == n


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
