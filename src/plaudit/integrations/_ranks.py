"""The processes of a distributed training run: what each has to say, known to all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from plaudit.errors import RunError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among those that train together.

    Fields:
        rank: its number.
        size: how many can talk to each other.
        connected: False where there are more processes than these.
    """

    rank: int = 0
    size: int = 1
    connected: bool = True

    @classmethod
    def current(cls) -> Ranks:
        """From torch.distributed where it is initialised, else from WORLD_SIZE; torch is not imported for that."""
        torch = sys.modules.get("torch")
        if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls(connected=os.environ.get("WORLD_SIZE", "1") in ("", "0", "1"))

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in their order, on every rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        sys.modules["torch"].distributed.all_gather_object(found, value)
        return found

    def together(self, work: Callable[[], T]) -> list[T]:
        """Do `work` on every rank and give all of them every result.

        An error on one rank is raised on all of them: the others would otherwise wait for it for ever.
        Raises the rank's own error, or RunError that repeats another rank's.
        """
        error: Exception | None = None
        result: T | None = None
        try:
            result = work()
        except Exception as raised:
            if self.size == 1:
                raise
            error = raised
        said = self.gather((None if error is None else f"{type(error).__name__}: {error}", result))
        if error is not None:
            raise error
        for rank, (problem, _) in enumerate(said):
            if problem is not None:
                raise RunError(f"scoring failed on rank {rank}: {problem}")
        return [value for _, value in said]  # type: ignore[misc]
