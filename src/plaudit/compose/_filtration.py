"""Policy filtration: train only on the ranks of a group at which the reward can be relied on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._grouped import group_rows
from plaudit.compose._parts import Floats, Mask, floats
from plaudit.errors import DataError

Filtration = Literal["all", "best", "best_random", "best_worst"]
FILTRATIONS: tuple[Filtration, ...] = ("all", "best", "best_random", "best_worst")


def filtration_weights(kind: Filtration, n: int) -> Floats:
    """(n,) how likely a pick falls on each rank of n responses, best first; they add up to 1.

    ``"all"``: every rank alike; ``"best"``: the best only; ``"best_random"``: half the best, half any other; ``"best_worst"``:
    half the best, half the worst. With n = 1 the one response has it all.

    Raises DataError for an unknown kind or n below 1.
    Source: "Policy Filtration for RLHF to Mitigate Noise in Reward Models" (PF-PPO).

    >>> filtration_weights("best_random", 5)
    array([0.5  , 0.125, 0.125, 0.125, 0.125])
    """
    if kind not in FILTRATIONS or n < 1:
        raise DataError(f"filtration: kind is {kind!r}, n {n}: expected one of {', '.join(FILTRATIONS)}, and n >= 1")
    weights = np.zeros(n)
    if kind == "all":
        weights[:] = 1.0 / n
    elif kind == "best" or n == 1:
        weights[0] = 1.0
    elif kind == "best_worst":
        weights[0] = weights[-1] = 0.5
    else:
        weights[0], weights[1:] = 0.5, 0.5 / (n - 1)
    return weights


def filtration(rewards: ArrayLike, groups: Sequence[Any] | NDArray[Any], kind: Filtration) -> Floats:
    """(n,) the probability with which each sample is picked from its group; adds up to 1 in every group with a reward.

    Equal rewards share what their ranks have together, so that the order of the samples does not matter.

    Args:
        rewards: (n,) NaN = not scored: never picked, and takes no rank.
        groups: (n,) labels; groups may be of any sizes.
        kind: see `filtration_weights`.

    Raises DataError for shapes, infinities or an unknown kind.
    Source: "Policy Filtration for RLHF to Mitigate Noise in Reward Models" (PF-PPO).

    >>> filtration([0.1, 0.9, 0.5, np.nan], ["a"] * 4, "best_worst")
    array([0.5, 0.5, 0. , 0. ])
    """
    r = floats("rewards", rewards)
    index = group_rows(groups, len(r))
    picked = np.zeros(len(r))
    known = np.flatnonzero(~np.isnan(r))
    if not len(known):
        filtration_weights(kind, 1)
        return picked
    order = known[np.lexsort((-r[known], index[known]))]
    starts = np.flatnonzero(np.r_[True, index[order][1:] != index[order][:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    by_size = {int(n): filtration_weights(kind, int(n)) for n in np.unique(sizes)}
    weights = np.concatenate([by_size[int(n)] for n in sizes])
    new = np.r_[True, (index[order][1:] != index[order][:-1]) | (r[order][1:] != r[order][:-1])]
    tie = np.cumsum(new) - 1
    picked[order] = (np.bincount(tie, weights) / np.bincount(tie))[tie]
    return picked


def draw_filtered(
    probabilities: ArrayLike, groups: Sequence[Any] | NDArray[Any], n_of: int, generator: np.random.Generator
) -> Mask:
    """(n,) which samples are kept when `n_of` different ones are drawn from each group by `filtration`.

    Fewer are kept where a group has fewer that may be picked.

    Raises DataError for shapes, negative probabilities or `n_of` below 1.
    Source: "Policy Filtration for RLHF to Mitigate Noise in Reward Models" (PF-PPO).

    >>> draw_filtered([0.5, 0.0, 0.5], ["a"] * 3, 2, np.random.default_rng(0))
    array([ True, False,  True])
    """
    p = floats("probabilities", probabilities)
    index = group_rows(groups, len(p))
    if not (p >= 0).all() or n_of < 1:
        raise DataError(f"draw_filtered: expected probabilities >= 0 and n_of >= 1, got n_of {n_of}")
    # The largest keys log(u) / p of a group are a draw without replacement by p.
    with np.errstate(divide="ignore"):
        keys = np.where(p > 0, np.log(generator.random(len(p))) / np.where(p > 0, p, 1.0), -np.inf)
    order = np.lexsort((-keys, index))
    starts = np.r_[0, np.flatnonzero(np.diff(index[order])) + 1] if len(p) else np.zeros(0, dtype=int)
    rank = np.arange(len(p)) - np.repeat(starts, np.diff(np.r_[starts, len(p)]))
    kept = np.zeros(len(p), dtype=bool)
    kept[order] = rank < n_of
    return kept & (p > 0)


def filtration_r2(
    rewards: ArrayLike, actual: ArrayLike, groups: Sequence[Any] | NDArray[Any], kind: Filtration, bins: int = 10
) -> float:
    """How well the reward explains the actual score among what a filtration keeps: R² over bins of equal weight.

    Kept samples are sorted by reward and cut into bins; the mean actual score of the bins is regressed on their mean reward.

    Args:
        rewards: (n,) NaN = not scored.
        actual: (n,) what the responses are truly worth, such as the share of unit tests passed; NaN = not known, left out.
        groups: (n,) labels.
        kind: the filtration.
        bins: at least 3.

    Returns R² in [0, 1]; NaN when fewer than 3 bins have samples or either side is constant.
    Raises DataError for shapes, infinities, or fewer than 3 bins.
    Source: "Policy Filtration for RLHF to Mitigate Noise in Reward Models" (PF-PPO).

    >>> rewards = np.arange(40.0)
    >>> round(filtration_r2(rewards, 2 * rewards + 1, np.arange(40) // 4, "best_worst", bins=5), 6)
    1.0
    """
    r = floats("rewards", rewards)
    truth = floats("actual", actual, len(r))
    if bins < 3:
        raise DataError(f"bins is {bins}: expected at least 3")
    weight = filtration(np.where(np.isnan(truth), np.nan, r), groups, kind)
    rows = np.flatnonzero(weight > 0)
    rows = rows[np.argsort(r[rows], kind="stable")]
    if not len(rows):
        return float("nan")
    middle = np.cumsum(weight[rows]) - weight[rows] / 2
    place = np.minimum((middle / weight[rows].sum() * bins).astype(int), bins - 1)
    mass = np.bincount(place, weight[rows], bins)
    full = mass > 0
    x = np.bincount(place, weight[rows] * r[rows], bins)[full] / mass[full]
    y = np.bincount(place, weight[rows] * truth[rows], bins)[full] / mass[full]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(min(np.corrcoef(x, y)[0, 1] ** 2, 1.0))


def select_filtration(
    rewards: ArrayLike, actual: ArrayLike, groups: Sequence[Any] | NDArray[Any], bins: int = 10,
    kinds: Sequence[Filtration] = FILTRATIONS,
) -> tuple[Filtration, Mapping[Filtration, float]]:  # fmt: skip
    """The filtration with the highest R² on a calibration set with known scores, and the R² of all. See `filtration_r2`.

    Raises DataError when none has an R².
    Source: "Policy Filtration for RLHF to Mitigate Noise in Reward Models" (PF-PPO).

    >>> rewards = np.arange(40.0)
    >>> best, found = select_filtration(rewards, rewards, np.arange(40) // 4, bins=5, kinds=("all", "best"))
    >>> best, round(found["all"], 6)
    ('all', 1.0)
    """
    found = {kind: filtration_r2(rewards, actual, groups, kind, bins) for kind in kinds}
    known = {kind: value for kind, value in found.items() if not np.isnan(value)}
    if not known:
        raise DataError(f"select_filtration: no R² for {', '.join(found)}: too few samples, or constant rewards or scores")
    return max(known, key=lambda kind: known[kind]), found
