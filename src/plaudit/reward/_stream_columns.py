"""The columns of a run's part: a row's verdict, and the value of every leaf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plaudit.records import Row
from plaudit.reward._tree import Leaf
from plaudit.types import ABSTAINED, FAILED, SCORED, Verdicts

FIXED = ("row", "id", "value", "status", "reason", "answer", "explanation", "seconds", "leaves")
"""The columns that every part has; `leaves` holds a letter for each leaf: s scored, a abstained, f failed, - not run."""

_LETTERS = np.zeros(4, dtype="S1")
_LETTERS[[SCORED, ABSTAINED, FAILED, 3]] = [b"s", b"a", b"f", b"-"]
_NOT_RUN = 3


def leaf_columns(leaves: Sequence[Leaf]) -> list[str]:
    """The name of each leaf's column: the leaf's own, with ``leaf.`` before it where that is taken.

    >>> from plaudit.reward import leaves, reward
    >>> leaf_columns(leaves(reward(lambda response: 1.0).named("value")))
    ['leaf.value']
    """
    names: list[str] = []
    for leaf in leaves:
        name = leaf.name
        while name in FIXED or name in names:
            name = f"leaf.{name}"
        names.append(name)
    return names


def part_columns(rows: Sequence[Row], verdicts: Verdicts, leaves: Sequence[Leaf]) -> dict[str, Any]:
    """The columns of a part by name, each of length n."""
    n = len(rows)
    inside = [leaf.of(verdicts) for leaf in leaves]
    return {
        "row": np.fromiter((row.row for row in rows), np.int64, n),
        "id": [row.sample.id for row in rows],
        "value": verdicts.values,
        "status": verdicts.status.tolist(),
        "reason": list(verdicts.reason),
        "answer": list(verdicts.answer or [None] * n),
        "explanation": list(verdicts.explanation or [None] * n),
        "seconds": np.zeros(n) if verdicts.cost is None else verdicts.cost[:, 0],
        "leaves": _letters(inside, n),
        **{name: column.values for name, column in zip(leaf_columns(leaves), inside, strict=True)},
    }


def _letters(inside: Sequence[Verdicts], n: int) -> list[str]:
    codes = np.stack([column.codes for column in inside], axis=1).astype(np.int8)
    for k, column in enumerate(inside):
        if (column.codes == ABSTAINED).any():
            codes[[i for i, reason in enumerate(column.reason) if reason == "not_run"], k] = _NOT_RUN
    rows = np.ascontiguousarray(_LETTERS[codes]).view(f"S{len(inside)}").reshape(n)
    return rows.astype(str).tolist()
