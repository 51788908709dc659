"""Columns of a whole from columns of its parts: status, reason, answer, explanation and cost, the same for every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from plaudit.types import ABSTAINED, FAILED, SCORED, Verdicts


def n_rows(operands: Mapping[str, Verdicts]) -> int:
    """The common length of the operands' columns."""
    return len(next(iter(operands.values())))


def combined(
    operands: Mapping[str, Verdicts],
    values: NDArray[np.float64],
    scored: NDArray[np.bool_],
    *,
    drop_failures: bool = False,
    keep_reason: bool = False,
    codes: NDArray[np.int8] | None = None,
    reason: Sequence[str | None] | None = None,
) -> Verdicts:
    """Columns of the whole: FAILED where a part FAILED (unless dropped), ABSTAINED where none scored, else `values`.

    `keep_reason` hands a single operand's reasons of scored rows on; `codes` and `reason` replace the rule altogether.
    A value that left the finite numbers (an overflow) is FAILED ``invalid_value``.
    """
    n = len(values)
    if codes is None:
        codes = np.where(scored, SCORED, ABSTAINED).astype(np.int8)
        reasons: list[str | None] = [None] * n
        if not scored.all():
            parts = list(operands.values())
            reasons = [
                None if ok else "not_run" if all(part.reason[i] == "not_run" for part in parts) else "all_abstained"
                for i, ok in enumerate(scored.tolist())
            ]
        for name, part in reversed(list(operands.items())):
            lost = np.flatnonzero(part.codes == FAILED)
            if lost.size and not drop_failures:
                codes[lost] = FAILED
                for i in lost.tolist():
                    reasons[i] = f"part_failed:{name}"
            if lost.size and drop_failures:
                # Nothing else scored: there is no value to give, and a failure must stay visible.
                for i in lost[~scored[lost]].tolist():
                    codes[i], reasons[i] = FAILED, f"part_failed:{name}"
        if keep_reason:
            (inner,) = operands.values()
            reasons = [own or theirs for own, theirs in zip(reasons, inner.reason, strict=True)]
    else:
        codes = codes.copy()
        reasons = list(reason or [None] * n)
    overflow = np.flatnonzero((codes == SCORED) & ~np.isfinite(values))
    for i in overflow.tolist():
        codes[i], reasons[i] = FAILED, "invalid_value"
    return Verdicts(
        np.where(codes == SCORED, values, np.nan), codes, reasons, parts=dict(operands),
        answer=_first_answer(operands), explanation=_explanations(operands, codes), cost=None,
    )  # fmt: skip


def _first_answer(operands: Mapping[str, Verdicts]) -> list[str | None] | None:
    """The answer of the first operand that read one, row by row."""
    columns = [part.answer for part in operands.values() if part.answer is not None]
    if len(columns) <= 1:
        return list(columns[0]) if columns else None
    return [next((a for a in row if a is not None), None) for row in zip(*columns, strict=True)]


def _explanations(operands: Mapping[str, Verdicts], codes: NDArray[np.int8]) -> list[str | None] | None:
    """For FAILED rows, what the first FAILED operand had to say."""
    failed = np.flatnonzero(codes == FAILED)
    if not failed.size:
        return None
    said: list[str | None] = [None] * len(codes)
    for i in failed.tolist():
        for name, part in operands.items():
            if part.codes[i] == FAILED:
                text = part.explanation[i] if part.explanation is not None else None
                said[i] = f"{name}: {part.reason[i]}" + (f": {text}" if text else "")
                break
    return said
