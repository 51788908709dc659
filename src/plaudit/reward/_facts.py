"""What a reward says of itself: the facts that the runner relies on and `check_reward` puts to the test."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Literal

from plaudit.errors import ContractError

Range = tuple[float, float]
Scope = Literal["sample", "group", "batch"]
Lane = Literal["inline", "cpu", "io", "gpu"]

SCOPES: tuple[Scope, ...] = ("sample", "group", "batch")
LANES: tuple[Lane, ...] = ("inline", "cpu", "io", "gpu")
SAMPLE_FIELDS = frozenset(
    {"prompt", "response", "reference", "group", "group_size", "tokens", "logprobs", "tools", "finish", "meta", "id"}
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared facts of a reward; they follow from its fields.

    Fields:
        range: (lo, hi) that every value lies in; None = undeclared, infinities = unbounded.
        scope: what a value depends on: the sample, its whole group, or the whole batch.
        reads: names of the Sample fields it looks at (``"meta.NAME"`` for a column), of models
            (``"models.NAME"``) and of the context (``"context.step"``).
        parts: names of the parts that every verdict has; constant.
        deterministic: the same sample gives the same verdict.
        stateful: it owns numbers that change between calls (`Stateful`).
        lane: where it runs: inline (microseconds, in the caller), cpu (worker processes), io (event loop), gpu (batches).
        version: changes whenever the numbers change.
        systems: numbers of the published systems it stands for.
        timeout: seconds that one sample may take on the cpu or io lane; None = no limit.
        batch_size: samples a gpu batch holds; None = the lane's default.
        max_in_flight: samples in flight on the io lane; None = the lane's default.
        partial_groups: group scope that can work on an incomplete group.

    Raises ContractError for a value outside these.

    >>> Facts(range=(0, 1)).bottom
    0.0
    """

    range: Range | None = None
    scope: Scope = "sample"
    reads: frozenset[str] = frozenset({"prompt", "response", "reference"})
    parts: tuple[str, ...] = ()
    deterministic: bool = True
    stateful: bool = False
    lane: Lane = "inline"
    version: str = "1"
    systems: tuple[int, ...] = ()
    timeout: float | None = None
    batch_size: int | None = None
    max_in_flight: int | None = None
    partial_groups: bool = False

    def __post_init__(self) -> None:
        if self.range is not None:
            lo, hi = float(self.range[0]), float(self.range[1])
            if isnan(lo) or isnan(hi) or lo > hi or lo == inf or hi == -inf:
                raise ContractError(f"Facts.range is {self.range}: expected (lo, hi) with lo <= hi")
            object.__setattr__(self, "range", (lo, hi))
        if self.scope not in SCOPES:
            raise ContractError(f"Facts.scope is {self.scope!r}: expected one of {SCOPES}")
        if self.lane not in LANES:
            raise ContractError(f"Facts.lane is {self.lane!r}: expected one of {LANES}")
        object.__setattr__(self, "reads", frozenset(self.reads))
        for name in self.reads:
            if name not in SAMPLE_FIELDS and not name.startswith(("meta.", "models.", "context.")):
                raise ContractError(
                    f"Facts.reads names {name!r}: expected a field of Sample, 'meta.COLUMN', 'models.NAME' or 'context.FIELD'"
                )
        for name in ("timeout", "batch_size", "max_in_flight"):
            number = getattr(self, name)
            if number is not None and not number > 0:
                raise ContractError(f"Facts.{name} is {number!r}: expected a positive number, or None")

    @property
    def bottom(self) -> float | None:
        """The lowest value of the range; None when there is none (undeclared or unbounded below)."""
        return self.range[0] if self.range is not None and isfinite(self.range[0]) else None


def widest(scopes: list[Scope]) -> Scope:
    """The scope of a value that depends on values of these scopes.

    >>> widest(["sample", "group"])
    'group'
    """
    return max(scopes, key=SCOPES.index, default="sample")
