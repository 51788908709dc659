"""What functions written for other trainers share: the name they go by, the keywords they take, the forms they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from plaudit.reward._function import Function
from plaudit.types import Verdict


@dataclass(frozen=True)
class ForeignFunction(Function):
    """What the three conventions share: the name as TRL shows it, and a call with the keywords that the signature takes."""

    @property
    def name(self) -> str:
        """The function's name; of a partial, the name of what it wraps; of a callable object without one, its class's."""
        function = self.function
        while isinstance(function, partial):
            function = function.func
        name = getattr(function, "__name__", type(function).__name__)
        return "function" if name == "<lambda>" else name

    @cached_property
    def _reads(self) -> frozenset[str]:
        return frozenset({"prompt", "response", "reference", "meta"})

    def _call(self, **given: Any) -> Any:
        if not self._takes_all:
            given = {keyword: value for keyword, value in given.items() if keyword in self._parameters}
        return self.function(**given)


def plain(value: Any) -> Any:
    """Tensors and arrays as lists and numbers; nobody here imports their libraries."""
    return value.tolist() if hasattr(value, "tolist") else value


def listed(values: Any) -> list[Any] | None:
    """A list, tuple, array or tensor as a list; None for anything else."""
    values = plain(values)
    return [plain(value) for value in values] if isinstance(values, (list, tuple)) else None


def with_details(verdict: Verdict, details: Mapping[str, Any], answer: str | None = None) -> Verdict:
    """The verdict with further details, and with an answer where one was read."""
    if not details and answer is None:
        return verdict
    return Verdict(
        verdict.value, verdict.status, verdict.reason, verdict.parts, verdict.dense, verdict.std, verdict.confidence,
        answer if answer is not None else verdict.answer, verdict.explanation, {**verdict.details, **details}, verdict.cost,
    )  # fmt: skip
