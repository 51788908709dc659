"""What picking is worth: accuracy against the number of answers to pick from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.search._vote import answer_groups, expected_correct
from plaudit.stats import bootstrap_interval

_SUBSETS = 256
_BLOCK = 4_000_000  # entries of the largest array at a time


@dataclass(frozen=True, eq=False)
class SelectionCurve:
    """Accuracy of one way of picking.

    Fields:
        n: (k,) int64 numbers of answers to pick from.
        accuracy: (k,) float64 mean over problems.
        low, high: (k,) 95% bootstrap interval over problems; infinite for a single one.
        by_problem: (k, p) float64, for paired comparisons between curves.
    """

    n: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    by_problem: NDArray[np.float64]


def selection_curve(
    correct: NDArray[np.bool_] | NDArray[np.float64],
    answers: Sequence[Sequence[str | None]],
    scores: Mapping[str, NDArray[np.float64]] | None = None,
    weights: Mapping[str, NDArray[np.float64]] | None = None,
    ns: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
) -> dict[str, SelectionCurve]:
    """Accuracy of picking the first, the majority's, the best-scored and the weighted majority's answer, and of an oracle.

    Every value averages over all subsets of n of the N answers of a problem (over 256 drawn ones where there are more), so that
    a curve does not depend on the order of the answers.

    Args:
        correct: (p, N) whether each answer is right, or a finite worth: curves are then the mean worth of the pick.
        answers: p rows of N answers in a normal form; None = nothing could be read, and the answer takes part in no vote.
        scores: by name, (p, N) finite rewards: best-of-n, one curve each.
        weights: by name, (p, N) weights >= 0 of a vote, one curve each; no name may stand for two curves.
        ns: numbers of answers, each in 1 to N.

    Returns curves "policy" (one answer at random), "majority", the names of `scores` and of `weights`, and "oracle" (the best
    answer that is there).

    Raises DataError for shapes that do not agree, values that are not finite, negative weights, an n out of range, or a name that
    is taken.

    >>> correct = np.array([[True, True, False, False], [False, True, True, True]])
    >>> curves = selection_curve(correct, [["4", "4", "5", "6"], ["1", "2", "2", "2"]], ns=(1, 4))
    >>> {name: curve.accuracy.tolist() for name, curve in curves.items()}
    {'policy': [0.625, 0.625], 'majority': [0.625, 1.0], 'oracle': [0.625, 1.0]}
    """
    worth = np.asarray(correct, dtype=np.float64)
    scores, weights = scores or {}, weights or {}
    p, n_answers = _checked(worth, answers, scores, weights, ns)
    groups = answer_groups(answers)
    readable = np.array([[answer is not None for answer in row] for row in answers], dtype=bool).reshape(p, n_answers)
    voters = readable | ~readable.any(-1, keepdims=True)  # where no answer can be read, any pick is as wrong as another
    ones = np.ones((p, n_answers))
    jobs: dict[str, tuple[NDArray[np.float64], bool]] = {"majority": (ones, True)}
    jobs |= {name: (values, False) for name, values in scores.items()}
    jobs |= {name: (values, True) for name, values in weights.items()}
    table: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("policy", *jobs, "oracle")}
    rng = np.random.default_rng(seed)
    for n in ns:
        subsets = _subsets(n_answers, n, rng)
        blocks = _blocks(p, max(1, _BLOCK // (len(subsets) * n * n)))
        table["policy"].append(worth.mean(-1))
        table["oracle"].append(np.concatenate([worth[rows][:, subsets].max(-1).mean(-1) for rows in blocks]))
        for name, (support, vote) in jobs.items():
            parts = [
                expected_correct(
                    worth[rows],
                    subsets,
                    support=support[rows],
                    groups=groups[rows] if vote else None,
                    votable=voters[rows] if vote else None,
                )
                for rows in blocks
            ]
            table[name].append(np.concatenate(parts))
    return {name: _curve(ns, np.stack(rows), seed) for name, rows in table.items()}


def _blocks(p: int, size: int) -> list[slice]:
    return [slice(at, at + size) for at in range(0, p, size)]


def _curve(ns: Sequence[int], by_problem: NDArray[np.float64], seed: int) -> SelectionCurve:
    ends = np.array([bootstrap_interval(values, resamples=1_000, seed=seed) for values in by_problem])
    return SelectionCurve(np.array(ns, dtype=np.int64), by_problem.mean(-1), ends[:, 0], ends[:, 1], by_problem)


def _subsets(n_answers: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if comb(n_answers, n) <= _SUBSETS:
        return np.array(list(combinations(range(n_answers), n)), dtype=np.int64)
    return np.argsort(rng.random((_SUBSETS, n_answers)), axis=-1)[:, :n].astype(np.int64)


def _checked(
    correct: NDArray[np.float64],
    answers: Sequence[Sequence[str | None]],
    scores: Mapping[str, NDArray[np.float64]],
    weights: Mapping[str, NDArray[np.float64]],
    ns: Sequence[int],
) -> tuple[int, int]:
    names = ["policy", "majority", "oracle", *scores, *weights]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two curves named {twice!r}: give scores and weights names of their own, not policy, majority or oracle")
    if correct.ndim != 2 or 0 in correct.shape:
        raise DataError(f"correct has shape {correct.shape}: expected (problems, answers), neither 0")
    p, n_answers = correct.shape
    if len(answers) != p or any(len(row) != n_answers for row in answers):
        raise DataError(f"answers: expected {p} rows of {n_answers}, as `correct` has")
    for name, values in {"correct": correct, **scores, **weights}.items():
        if values.shape != (p, n_answers):
            raise DataError(f"{name} has shape {values.shape}: expected {(p, n_answers)}")
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise DataError(
                f"{name}: problem {bad[0][0]}, answer {bad[0][1]} is {values[tuple(bad[0])]}: expected a finite number"
            )
    for name, values in weights.items():
        if (values < 0).any():
            raise DataError(f"{name} holds the weight {values.min():g}: expected weights of a vote, from 0 on")
    if not ns or any(not 1 <= n <= n_answers for n in ns):
        raise DataError(f"ns is {list(ns)}: expected numbers between 1 and the {n_answers} answers there are")
    return p, n_answers
