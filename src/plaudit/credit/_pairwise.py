"""Advantages from comparisons inside a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, group_advantage
from plaudit.credit._ragged import Floats, Ints, probabilities
from plaudit.errors import DataError


def win_rates(first: ArrayLike, second: ArrayLike, preferences: ArrayLike, n: int) -> tuple[Floats, Ints]:
    """The share of its comparisons that each of n samples won.

    Args:
        first, second: (m,) numbers of the two samples compared, in any order; a pair may be compared several times.
        preferences: (m,) probability that the first is better: 1, 0 or between, 0.5 = tie; NaN = the comparison failed, counted
            for neither.

    Returns (n,) in [0, 1], NaN = no comparison; and (n,) comparisons.

    Raises DataError for shapes that differ, a sample compared with itself, numbers outside 0 to n - 1 or [0, 1].

    Source: "Pref-GRPO: Pairwise Preference Reward-based GRPO for Stable Text-to-Image Reinforcement Learning".

    >>> win_rates([0, 0, 1], [1, 2, 2], [1.0, 0.5, 0.0], 3)[0]
    array([0.75, 0.  , 0.75])
    """
    wins = probabilities(preferences, "preferences")
    sides: list[NDArray[np.int64]] = []
    for name, column in (("first", first), ("second", second)):
        side = np.asarray(column)
        if side.shape != wins.shape or (len(wins) and side.dtype.kind not in "iu"):
            raise DataError(f"{name} has shape {side.shape} and type {side.dtype}: expected {wins.shape} integers")
        sides.append(side.astype(np.int64))
    a, b = sides
    bad = np.flatnonzero((a == b) | (np.minimum(a, b) < 0) | (np.maximum(a, b) >= n))
    if bad.size:
        i = int(bad[0])
        raise DataError(f"comparison {i} is of samples {a[i]} and {b[i]}: expected two different ones from 0 to {n - 1}")
    known = ~np.isnan(wins)
    a, b, wins = a[known], b[known], wins[known]
    compared = (np.bincount(a, minlength=n) + np.bincount(b, minlength=n)).astype(np.int64)
    won = np.bincount(a, wins, minlength=n) + np.bincount(b, 1 - wins, minlength=n)
    return np.divide(won, compared, out=np.full(n, np.nan), where=compared > 0), compared


def win_rate_advantage(
    first: ArrayLike,
    second: ArrayLike,
    preferences: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    chance: float = 0.0,
    epsilon: float = 1e-6,
) -> tuple[Floats, GroupReport]:
    """Advantages by the share of comparisons won inside the group: small gaps of a score cannot be blown up.

    Args:
        first, second, preferences: (m,) as for `win_rates`; both samples of one group. groups: (n,) labels.
        chance: groups whose win rates have a standard deviation of at most `chance` times that of a judge who tosses coins,
            ``1 / (2 * sqrt(k - 1))`` when all k are compared with all, get 0. 0 = no group is left out for it.

    Returns (n,) advantages, NaN where a sample has no comparison; and the report on the win rates.

    Raises DataError as `win_rates`, and for a comparison across groups.

    Source: "Pref-GRPO: Pairwise Preference Reward-based GRPO for Stable Text-to-Image Reinforcement Learning".

    >>> win_rate_advantage([0, 0, 1], [1, 2, 2], [1.0, 1.0, 1.0], ["a"] * 3, epsilon=0)[0]
    array([ 1.,  0., -1.])
    """
    if not 0 <= chance < np.inf:
        raise DataError(f"chance is {chance!r}: expected a finite number from 0 on")
    n = len(groups)
    rates, compared = win_rates(first, second, preferences, n)
    found, report = group_advantage(rates, groups, epsilon=epsilon)
    across = np.flatnonzero(report.index[np.asarray(first, np.int64)] != report.index[np.asarray(second, np.int64)])
    if across.size:
        raise DataError(f"comparison {int(across[0])} is of samples of two groups: expected both of one")
    if chance > 0:
        g = len(report.size)
        known = np.maximum(report.scored, 1)
        square = np.where(np.isnan(rates), 0.0, (rates - report.mean[report.index]) ** 2)
        variance = np.bincount(report.index, square, minlength=g) / known
        tossed = np.bincount(report.index, np.where(compared > 0, 0.25 / np.maximum(compared, 1), 0.0), minlength=g) / known
        found[(variance <= chance**2 * tossed)[report.index] & ~np.isnan(found)] = 0.0
    return found, report


def bootstrapped_advantage(
    preferences: ArrayLike,
    reference: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    tie: float = -1.0,
    largest_mean: float = 0.9,
) -> tuple[Floats, GroupReport]:
    """Advantages of +1 and -1 against one sample of the group, drawn at random: k - 1 comparisons instead of k * (k - 1) / 2.

    Args:
        preferences: (n,) probability that the sample beats its group's reference; above 0.5 = +1, below -1; NaN = failed. Of the
            reference itself it is not read.
        reference: (n,) bool, true for exactly one sample of each group, drawn uniformly.
        groups: (n,) labels. tie: what 0.5 is worth, in [-1, 1].
        largest_mean: a group whose mean is larger, in size, gets 0: its reference is too weak or too strong to tell anything.

    Returns (n,) advantages, 0 for the references, NaN where the comparison failed; and the report, without the references: its
    ``abs(mean) > largest_mean`` are the groups left out.

    Raises DataError for shapes that do not fit, numbers outside [0, 1], a group without reference or with two.

    Source: "Writing-Zero: Bridge the Gap Between Non-verifiable Tasks and Verifiable Rewards" (BRPO).

    >>> bootstrapped_advantage([0.9, 0.5, 0.2], [False, True, False], ["a"] * 3)[0]
    array([ 1.,  0., -1.])
    """
    wins = probabilities(preferences, "preferences")
    drawn = np.asarray(reference)
    if drawn.shape != wins.shape or (drawn.dtype != np.bool_ and len(drawn)):
        raise DataError(f"reference has shape {drawn.shape} and type {drawn.dtype}: expected {wins.shape} booleans")
    if not -1 <= tie <= 1 or not 0 <= largest_mean <= 1:
        raise DataError(f"tie is {tie!r}, largest_mean {largest_mean!r}: expected numbers in [-1, 1] and [0, 1]")
    drawn = drawn.astype(np.bool_)
    rewards = np.where(wins == 0.5, tie, np.sign(wins - 0.5))
    rewards[drawn] = np.nan
    _, report = group_advantage(rewards, groups, "mean")
    references = np.bincount(report.index, drawn, minlength=len(report.size))
    bad = np.flatnonzero(references != 1)
    if bad.size:
        row = int(np.flatnonzero(report.index == bad[0])[0])
        raise DataError(f"the group of row {row} has {int(references[bad[0]])} references: expected exactly one")
    rewards[(np.abs(report.mean) > largest_mean)[report.index] & ~np.isnan(rewards)] = 0.0
    rewards[drawn] = 0.0
    return rewards, report
