"""Picking by a score, by a vote, or by a weighted vote: one rule on arrays for all three."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def answer_groups(answers: Sequence[Sequence[str | None]]) -> NDArray[np.int64]:
    """Number the distinct answers of each problem.

    Args:
        answers: p rows of n answers; None = no answer could be read, which agrees with nothing, not even with another None.

    Returns (p, n) int64: equal numbers in a row mark equal answers.

    >>> answer_groups([["4", "5", "4", None, None]]).tolist()
    [[0, 1, 0, 3, 4]]
    """
    rows = []
    for row in answers:
        seen: dict[str, int] = {}
        rows.append([k if answer is None else seen.setdefault(answer, k) for k, answer in enumerate(row)])
    return np.array(rows, dtype=np.int64).reshape(len(rows), -1 if rows and rows[0] else 0)


def expected_correct(
    correct: NDArray[np.bool_] | NDArray[np.float64],
    subsets: NDArray[np.int64],
    *,
    support: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    votable: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """How often the pick is correct, for each problem, over the given subsets of its answers.

    Each answer of a subset supports itself and, where `groups` is given, all equal answers; the answer with the most support is
    picked. Ties are broken evenly between distinct answers, which is what a coin would do on average.

    Args:
        correct: (p, n) whether each answer is right, or what it is worth.
        subsets: (s, m) int64 columns; each row is one set of m answers to choose from.
        support: (p, n) finite; 1 for a majority vote, a reward for best-of-n, a probability for a weighted vote.
        groups: (p, n) as from `answer_groups`; None = every answer stands alone.
        votable: (p, n) False = this answer takes no part (it could not be read). A subset without any answer is wrong.

    Returns (p,) float64: the share of right picks, or their mean worth.

    Source: "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (the vote); "Training Verifiers to Solve
    Math Word Problems" (best-of-n and votes weighted by a verifier).

    >>> correct = np.array([[True, False, False]])
    >>> expected_correct(correct, np.array([[0, 1, 2]]), support=np.ones((1, 3)), groups=np.array([[0, 1, 1]])).tolist()
    [0.0]
    """
    picked = correct[:, subsets].astype(np.float64)  # (p, s, m)
    weights = support[:, subsets]
    takes_part = np.ones(picked.shape, dtype=bool) if votable is None else votable[:, subsets]
    weights = np.where(takes_part, weights, 0.0)
    if groups is None:
        totals, copies = weights, np.ones(weights.shape)
    else:
        labels = groups[:, subsets]
        same = (labels[..., :, None] == labels[..., None, :]) & takes_part[..., None, :]
        totals = np.einsum("psij,psj->psi", same, weights)
        copies = np.maximum(same.sum(-1), 1)
    totals = np.where(takes_part, totals, -np.inf)
    best = totals.max(-1, keepdims=True)
    # Sums of equal supports in another order may differ in their last bits; single ones, however small, are what they are.
    slack = 0.0 if groups is None else 1e-12 * np.abs(weights).sum(-1, keepdims=True)
    winners = takes_part & (totals >= best - slack)
    shares = np.where(winners, 1.0 / copies, 0.0)
    mass = shares.sum(-1)
    hits = (shares * picked).sum(-1)
    result: NDArray[np.float64] = np.divide(hits, mass, out=np.zeros_like(hits), where=mass > 0).mean(-1)
    return result
