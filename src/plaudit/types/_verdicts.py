"""Many verdicts as columns; one verdict is a view on a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from plaudit.types._display import Displayed
from plaudit.types._reasons import Status
from plaudit.types._verdict import Cost, Dense, Verdict

SCORED, ABSTAINED, FAILED = range(3)
"""The codes of `Verdicts.codes`."""

_STATUSES = (Status.SCORED, Status.ABSTAINED, Status.FAILED)
_CODES = {status: code for code, status in enumerate(_STATUSES)}
_NAMES = np.array([status.value for status in _STATUSES])
_NO_PARTS: Mapping[str, Any] = MappingProxyType({})
_SPARSE = ("dense", "std", "confidence", "answer", "explanation", "details")


class Verdicts(Displayed, Sequence[Verdict]):
    """The verdicts of n samples, held as columns.

    Fields:
        values: (n,) float64, NaN = not scored.
        codes: (n,) int8, 0 SCORED, 1 ABSTAINED, 2 FAILED.
        reason: n codes of `REASONS` or None.
        parts: columns of the parts by name, each of length n.
        cost: (n, 4) float64: seconds, calls, tokens, money; None = nothing was measured.
        dense, std, confidence, answer, explanation, details: n entries each; None = no row has one.
        stamp: ``fingerprint`` or ``fingerprint@state`` of the reward that said so; None = made by hand.

    Raises ValueError when a column has another length than `values`, or a value and its status do not fit.

    >>> Verdicts.of([Verdict(1.0), Verdict.abstained()]).values
    array([ 1., nan])
    """

    __slots__ = ("answer", "codes", "confidence", "cost", "dense", "details", "explanation", "parts", "reason", "stamp", "std",
                 "values")  # fmt: skip

    def __init__(
        self,
        values: NDArray[np.float64],
        codes: NDArray[np.int8] | None = None,
        reason: Sequence[str | None] | None = None,
        *,
        parts: Mapping[str, Verdicts] = _NO_PARTS,
        cost: NDArray[np.float64] | None = None,
        dense: Sequence[Dense | None] | None = None,
        std: Sequence[float | None] | None = None,
        confidence: Sequence[float | None] | None = None,
        answer: Sequence[str | None] | None = None,
        explanation: Sequence[str | None] | None = None,
        details: Sequence[Mapping[str, Any] | None] | None = None,
        stamp: str | None = None,
    ) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        n = len(self.values)
        self.codes = np.zeros(n, dtype=np.int8) if codes is None else np.asarray(codes, dtype=np.int8)
        self.reason: Sequence[str | None] = [None] * n if reason is None else reason
        self.parts = dict(parts)
        self.cost = cost
        self.dense = dense
        self.std = std
        self.confidence = confidence
        self.answer = answer
        self.explanation = explanation
        self.details = details
        self.stamp = stamp
        if self.values.ndim != 1 or not np.array_equal(np.isfinite(self.values), self.codes == SCORED):
            raise ValueError("Verdicts: expected (n,) values, finite exactly where the status is SCORED")
        if n and (self.codes.max() > FAILED or self.codes.min() < SCORED):
            raise ValueError("Verdicts.codes: expected 0 (SCORED), 1 (ABSTAINED) or 2 (FAILED)")
        for name in ("codes", "reason", "cost", *_SPARSE):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ValueError(f"Verdicts.{name} has {len(column)} entries, values {n}")
        bare = [i for i in np.flatnonzero(self.codes).tolist() if self.reason[i] is None]
        if bare:
            raise ValueError(
                f"Verdicts.reason: row {bare[0]} has no value and no reason: expected a code of plaudit.types.REASONS"
            )
        for name, part in parts.items():
            if len(part) != n:
                raise ValueError(f"Verdicts.parts[{name!r}] has {len(part)} entries, values {n}")

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], stamp: str | None = None) -> Verdicts:
        """Columns of single verdicts; a part that one row lacks is ABSTAINED ``not_run`` there."""
        n = len(verdicts)
        parts: dict[str, Verdicts] = {}
        names = dict.fromkeys(name for v in verdicts if v.parts for name in v.parts)
        if names:
            absent = Verdict.abstained("not_run")
            parts = {name: cls.of([v.parts.get(name, absent) for v in verdicts]) for name in names}
        sparse: dict[str, Any] = {}
        for name in _SPARSE:
            column = [(v.details or None) if name == "details" else getattr(v, name) for v in verdicts]
            if any(x is not None for x in column):
                sparse[name] = column
        costs = [v.cost for v in verdicts]
        first = costs[0] if costs else None
        cost = None
        if any(c is not first for c in costs) or (first is not None and first != Cost()):
            cost = np.array([(c.seconds, c.calls, c.tokens, c.money) for c in costs], dtype=np.float64)
        values = np.array([v.value for v in verdicts], dtype=np.float64)
        codes = np.fromiter((_CODES[v.status] for v in verdicts), np.int8, n)
        return cls(values, codes, [v.reason for v in verdicts], parts=parts, cost=cost, stamp=stamp, **sparse)

    @classmethod
    def full(cls, n: int, verdict: Verdict) -> Verdicts:
        """The same verdict n times."""
        return cls.of([verdict]).take(np.zeros(n, dtype=np.intp))

    @property
    def status(self) -> NDArray[np.str_]:
        """(n,) the status of each row as text: ``"scored"``, ``"abstained"`` or ``"failed"``."""
        return _NAMES[self.codes]

    @property
    def n_scored(self) -> int:
        """Rows that have a value."""
        return int(np.count_nonzero(self.codes == SCORED))

    @property
    def n_abstained(self) -> int:
        """Rows that the reward does not apply to."""
        return int(np.count_nonzero(self.codes == ABSTAINED))

    @property
    def n_failed(self) -> int:
        """Rows that we could not judge."""
        return int(np.count_nonzero(self.codes == FAILED))

    def mean(self) -> float:
        """Mean of the scored values; NaN when nothing was scored."""
        return float(self.values[self.codes == SCORED].mean()) if self.n_scored else float("nan")

    def matrix(self) -> NDArray[np.float64]:
        """(n, k) values of the k parts in their declared order, NaN = not scored; (n, 0) without parts."""
        if not self.parts:
            return np.empty((len(self), 0))
        return np.stack([part.values for part in self.parts.values()], axis=1)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | Sequence[int] | slice) -> Verdicts:
        """The given rows, in the given order; or those where an (n,) mask is true."""
        asked = rows if isinstance(rows, slice) else np.asarray(rows)
        picks = isinstance(asked, slice) or asked.dtype == bool
        index = np.arange(len(self))[asked] if picks else np.asarray(asked, dtype=np.intp)
        picked = index.tolist()
        sparse = {name: None if (c := getattr(self, name)) is None else [c[i] for i in picked] for name in _SPARSE}
        return Verdicts(
            self.values[index], self.codes[index], [self.reason[i] for i in picked],
            parts={name: part.take(index) for name, part in self.parts.items()},
            cost=None if self.cost is None else self.cost[index], stamp=self.stamp, **sparse,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Verdict]:
        return (self._row(i) for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> Verdicts: ...
    def __getitem__(self, index: int | slice) -> Verdict | Verdicts:
        if isinstance(index, slice):
            return self.take(index)
        i = int(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"row {i} of {len(self)} verdicts")
        return self._row(i % len(self))

    def _row(self, i: int) -> Verdict:
        status = _STATUSES[self.codes[i]]
        cost = Cost()
        if self.cost is not None:
            seconds, calls, tokens, money = self.cost[i].tolist()
            cost = Cost(seconds, int(calls), int(tokens), money)
        return Verdict(
            float(self.values[i]) if status is Status.SCORED else None,
            status,
            self.reason[i],
            {name: part._row(i) for name, part in self.parts.items()},
            None if self.dense is None else self.dense[i],
            None if self.std is None else self.std[i],
            None if self.confidence is None else self.confidence[i],
            None if self.answer is None else self.answer[i],
            None if self.explanation is None else self.explanation[i],
            (self.details[i] or {}) if self.details is not None else {},
            cost,
        )

    def __repr__(self) -> str:
        return (
            f"Verdicts(n={len(self)}, scored={self.n_scored}, abstained={self.n_abstained}, failed={self.n_failed}, "
            f"mean={self.mean():.4g})"
        )


def concatenate(blocks: Sequence[Verdicts]) -> Verdicts:
    """Stack blocks of verdicts of the same reward; the parts must have the same names in every block.

    Raises ValueError when the parts' names differ.

    >>> len(concatenate([Verdicts.of([Verdict(1.0)]), Verdicts.of([Verdict(0.0)])]))
    2
    """
    if len(blocks) == 1:
        return blocks[0]
    names = list(blocks[0].parts) if blocks else []
    for block in blocks:
        if list(block.parts) != names:
            raise ValueError(f"the parts differ between blocks: {names} and {list(block.parts)}")
    columns: dict[str, Any] = {}
    for name in _SPARSE:
        if any(getattr(b, name) is not None for b in blocks):
            columns[name] = [x for b in blocks for x in (getattr(b, name) or [None] * len(b))]
    cost = None
    if any(b.cost is not None for b in blocks):
        cost = np.concatenate([np.zeros((len(b), 4)) if b.cost is None else b.cost for b in blocks])
    stamps = {b.stamp for b in blocks}
    return Verdicts(
        np.concatenate([b.values for b in blocks]) if blocks else np.empty(0),
        np.concatenate([b.codes for b in blocks]) if blocks else None,
        [r for b in blocks for r in b.reason],
        parts={name: concatenate([b.parts[name] for b in blocks]) for name in names},
        cost=cost, stamp=stamps.pop() if len(stamps) == 1 else None, **columns,
    )  # fmt: skip
