"""What must hold for any verdicts, and where two sets of verdicts differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from plaudit.reward._facts import Facts
from plaudit.types import FAILED, SCORED, Sample, Status, Verdicts, reason

Problem = tuple[str, int, str]
"""(check, row, sentence)"""

_STATUS = (Status.SCORED, Status.ABSTAINED, Status.FAILED)


def walk(verdicts: Verdicts, path: str = "") -> Iterator[tuple[str, Verdicts]]:
    """The columns of the whole and of all its parts, each with its path."""
    yield path, verdicts
    for name, part in verdicts.parts.items():
        yield from walk(part, f"{path}.{name}" if path else name)


def failure_codes(verdicts: Verdicts, row: int) -> set[str]:
    """The reasons for which a row FAILED, of the deepest parts that say so."""
    below = [part for part in verdicts.parts.values() if part.codes[row] == FAILED]
    own = {str(verdicts.reason[row])} if verdicts.codes[row] == FAILED and not below else set()
    return own.union(*(failure_codes(part, row) for part in below))


def problems(verdicts: Verdicts, samples: Sequence[Sample], facts: Facts) -> Iterator[Problem]:
    """Where verdicts break what is declared of every verdict: range, parts, reasons, and the columns' own meaning."""
    if tuple(verdicts.parts) != facts.parts and len(verdicts):
        yield "parts", 0, f"gave the parts {list(verdicts.parts)}, facts.parts declares {list(facts.parts)}"
    if facts.range is not None:
        lo, hi = facts.range
        slack = 1e-6 * max(1.0, *(abs(x) for x in (lo, hi) if np.isfinite(x)), 0.0)
        for i in np.flatnonzero((verdicts.values < lo - slack) | (verdicts.values > hi + slack)).tolist():
            yield "range", i, f"{verdicts.values[i]:.6g} lies outside the declared range ({lo:.6g}, {hi:.6g})"
    for path, columns in walk(verdicts):
        of = f" of part {path!r}" if path else ""
        for i in range(len(columns)):
            code = columns.reason[i]
            if code is not None and code.startswith("out_of_range"):
                said = columns.explanation[i] if columns.explanation is not None else None
                yield "range", i, f"a value{of} was refused: {said or code}"
            if (wrong := _wrong_reason(code, int(columns.codes[i]))) is not None:
                yield "reasons", i, wrong + of
            for wrong in _wrong_columns(columns, i, samples[i]):
                yield "verdict", i, wrong + of


def _wrong_reason(code: str | None, status: int) -> str | None:
    if code is None:
        return None if status == SCORED else f"is {_STATUS[status].name} without a reason"
    try:
        row = reason(code)
    except KeyError as error:
        return str(error.args[0])
    return None if row.status is _STATUS[status] else f"is {_STATUS[status].name} with the reason {code!r} of {row.status.name}"


def _wrong_columns(v: Verdicts, i: int, sample: Sample) -> Iterator[str]:
    std = v.std[i] if v.std is not None else None
    confidence = v.confidence[i] if v.confidence is not None else None
    answer = v.answer[i] if v.answer is not None else None
    if std is not None and not 0 <= std < np.inf:
        yield f"std is {std!r}: expected a finite number that is not negative"
    if confidence is not None and not 0 <= confidence <= 1:
        yield f"confidence is {confidence!r}: expected a probability"
    if answer is not None and not isinstance(answer, str):
        yield f"answer is {type(answer).__name__}: expected text"
    try:
        json.dumps((v.details[i] or {}) if v.details is not None else {}, default=_plain_mapping)
    except (TypeError, ValueError) as error:
        yield f"details are not JSON ({error})"
    dense = v.dense[i] if v.dense is not None else None
    if dense is not None and len(dense.values):
        size = _size(sample, dense.level)
        if size is not None and int(dense.end.max()) > size:
            yield f"dense reaches {int(dense.end.max())}, the response has {size} {dense.level} positions"


def _plain_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _size(sample: Sample, level: str) -> int | None:
    if level == "token":
        return None if sample.tokens is None else len(sample.tokens)
    return len(sample.response) if isinstance(sample.response, str) else None


def difference(before: Verdicts, after: Verdicts, tolerance: float) -> tuple[int, str] | None:
    """The first row in which two sets of verdicts differ by more than rounding, and how; None = they are the same."""
    for (path, a), (other, b) in zip(walk(before), walk(after), strict=False):
        of = f"part {path!r}: " if path else ""
        if path != other:
            return 0, f"part {path!r} became part {other!r}"
        equal = (a.codes == b.codes) & np.isclose(a.values, b.values, rtol=tolerance, atol=tolerance, equal_nan=True)
        for i in np.flatnonzero(~equal).tolist():
            return i, f"{of}{_spelt(a, i)} became {_spelt(b, i)}"
        for name in ("reason", "answer"):
            x, y = (list(c) if (c := getattr(v, name)) is not None else [None] * len(v) for v in (a, b))
            if x != y:
                i = next(i for i in range(len(x)) if x[i] != y[i])
                return i, f"{of}{name} {x[i]!r:.60} became {y[i]!r:.60}"
    return None


def _spelt(v: Verdicts, i: int) -> str:
    return f"{v.values[i]:.9g}" if v.codes[i] == SCORED else f"{_STATUS[v.codes[i]].name} {v.reason[i]}"


def unlike(before: Sample, after: Sample) -> str | None:
    """The first field in which a sample differs from a deep copy of it; None = it is as it was."""
    return next((name for name in Sample.__slots__ if not _same(getattr(before, name), getattr(after, name))), None)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    # An object that compares by identity cannot be told from its copy.
    by_identity = getattr(type(a), "__eq__", None) is object.__eq__
    return type(a) is type(b) and (by_identity or bool(a == b) or (a != a and b != b))
