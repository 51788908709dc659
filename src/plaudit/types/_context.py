"""What changes between calls while a reward's configuration does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plaudit.types._models import LanguageModel


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The training step, the seed and the live objects of one call.

    Fields:
        step: the trainer's step; None outside training.
        seed: for rewards that draw random numbers.
        models: language models by name (``"policy"``, ``"reference"``); a spec addresses them as ``policy:``.
        environments: live handles by `Sample.id`.
        deadline: instant of ``time.monotonic()`` after which nothing new is started; None = no deadline.

    >>> Context(step=3).seed
    0
    """

    step: int | None = None
    seed: int = 0
    models: Mapping[str, LanguageModel] = field(default_factory=lambda: MappingProxyType({}))
    environments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    deadline: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Live models and environments stay in the process that holds them: a cpu worker sees the plain numbers only.
        return Context, (self.step, self.seed, {}, {}, self.deadline)
