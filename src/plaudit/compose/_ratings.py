"""Strengths from comparisons: Bradley-Terry fits with standard errors, Elo, win rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._parts import Floats, floats
from plaudit.errors import DataError

Index = NDArray[np.intp]


def _games(m: int, pairs: ArrayLike, p: ArrayLike) -> tuple[Index, Floats]:
    """(g, 2) players and (g,) outcomes of the games that have one."""
    players = np.asarray(pairs, dtype=np.intp).reshape(-1, 2)
    outcome = floats("p", p, len(players))
    if m < 1 or (players < 0).any() or (players >= m).any() or (players[:, 0] == players[:, 1]).any():
        raise DataError(f"pairs: expected two different numbers below {m} in every row")
    if ((outcome < 0) | (outcome > 1)).any():
        raise DataError("p: expected probabilities that the first player wins, or NaN")
    played = ~np.isnan(outcome)
    return players[played], outcome[played]


def bradley_terry(m: int, pairs: ArrayLike, p: ArrayLike, prior: float = 0.5) -> tuple[Floats, Floats]:
    """Strengths of m players under which ``P(a beats b) = sigmoid(s_a - s_b)`` fits the outcomes best, and their standard errors.

    Args:
        m: number of players.
        pairs: (g, 2) who played whom.
        p: (g,) how far the first one won: 1, 0, 0.5 for a tie, or a probability; NaN = no outcome, left out.
        prior: > 0; every player also has this many wins and as many losses against one of strength 0, so that strengths stay
            finite for those who always or never win, and are comparable between parts that never met.

    Returns (m,) strengths, their mean near 0, and (m,) standard errors from the curvature of the likelihood. Takes O(m³).
    Raises DataError for players out of range or a prior that is not positive.
    Source: "Rank Analysis of Incomplete Block Designs: The Method of Paired Comparisons" (Bradley and Terry).

    >>> strength, error = bradley_terry(2, [[0, 1], [0, 1]], [1.0, 1.0])
    >>> bool(strength[0] > 0 > strength[1]), bool(abs(strength.sum()) < 1e-9)
    (True, True)
    """
    players, outcome = _games(m, pairs, p)
    if not prior > 0:
        raise DataError(f"prior is {prior}: expected a positive number")
    first, second = players.T
    won = np.bincount(first, outcome, m) + np.bincount(second, 1 - outcome, m) + prior
    strength = np.zeros(m)
    hessian = np.eye(m)
    for _ in range(100):
        chance = _sigmoid(strength[first] - strength[second])
        alone = _sigmoid(strength)
        gradient = won - np.bincount(first, chance, m) - np.bincount(second, 1 - chance, m) - 2 * prior * alone
        weight = chance * (1 - chance)
        hessian = np.diag(np.bincount(first, weight, m) + np.bincount(second, weight, m) + 2 * prior * alone * (1 - alone))
        np.subtract.at(hessian, (first, second), weight)
        np.subtract.at(hessian, (second, first), weight)
        step = np.linalg.solve(hessian, gradient)
        # Far from the optimum a full Newton step of this concave likelihood may overshoot.
        strength = strength + step / max(1.0, float(np.abs(step).max()) / 2.0)
        if np.abs(step).max() < 1e-12:
            break
    return strength, np.sqrt(np.diag(np.linalg.inv(hessian)))


def elo(m: int, pairs: ArrayLike, p: ArrayLike, k: float = 32.0, start: float = 1500.0) -> Floats:
    """Elo ratings after the games in their order: each moves both players by ``k (p - expected)``, expected on a scale of 400.

    They depend on the order of the games; `bradley_terry` does not.

    Args:
        m: number of players.
        pairs: (g, 2) who played whom.
        p: (g,) how far the first one won, in [0, 1]; NaN = no outcome, left out.
        k: > 0, the largest move.
        start: everybody's rating at first.

    Returns (m,) ratings, their mean `start`. Raises DataError for players out of range or a k that is not positive.
    Source: "The Rating of Chessplayers, Past and Present" (Elo).

    >>> elo(2, [[0, 1]], [1.0])
    array([1516., 1484.])
    """
    players, outcome = _games(m, pairs, p)
    if not k > 0:
        raise DataError(f"k is {k}: expected a positive number")
    rating = [float(start)] * m
    for (a, b), won in zip(players.tolist(), outcome.tolist(), strict=True):
        move = k * (won - 1.0 / (1.0 + 10.0 ** ((rating[b] - rating[a]) / 400.0)))
        rating[a] += move
        rating[b] -= move
    return np.array(rating)


def win_rate(m: int, pairs: ArrayLike, p: ArrayLike) -> Floats:
    """(m,) the mean outcome of each player's games, NaN where there is none.

    >>> win_rate(3, [[0, 1], [1, 2]], [1.0, 0.5])
    array([1.  , 0.25, 0.5 ])
    """
    players, outcome = _games(m, pairs, p)
    first, second = players.T
    games = np.bincount(first, minlength=m) + np.bincount(second, minlength=m)
    won = np.bincount(first, outcome, m) + np.bincount(second, 1 - outcome, m)
    return np.where(games > 0, won / np.maximum(games, 1), np.nan)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1.0 + np.tanh(x / 2)) / 2)
