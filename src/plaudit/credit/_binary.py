"""Advantages for rewards of right or wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, group_advantage
from plaudit.credit._ragged import Floats, Ints, numbers, positive, probabilities
from plaudit.errors import DataError

Advantage = Callable[[Floats, Any], tuple[Floats, GroupReport]]


def beta_parameters(means: ArrayLike) -> tuple[float, float]:
    """The Beta density whose inverse, as a weight of prompts, gives policy gradients of the least variance.

    The success rates are taken as drawn from Beta(a, b), found by their mean and variance; the answer is ``max(1, 1 + a / 3)``,
    ``max(1, 1 + b / 3)``. Fewer than two prompts, or rates that are all equal, determine nothing: (1, 1), no weighting.

    Args:
        means: (g,) success rate of each prompt, in [0, 1]; NaN = not scored.

    Source: "BNPO: Beta Normalization Policy Optimization".

    >>> beta_parameters([0.5]), beta_parameters([0.25, 0.5, 0.75])
    ((1.0, 1.0), (1.5, 1.5))
    """
    rates = probabilities(means, "means")
    rates = rates[~np.isnan(rates)]
    if len(rates) < 2 or np.ptp(rates) == 0:
        return 1.0, 1.0
    mean, variance = float(rates.mean()), float(rates.var(ddof=1))
    concentration = mean * (1 - mean) / variance - 1 if variance > 0 else 0.0
    return max(1.0, 1 + concentration * mean / 3), max(1.0, 1 + concentration * (1 - mean) / 3)


def beta_advantage(
    rewards: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    parameters: tuple[float, float] | None = None,
    largest_weight: float = 10.0,
) -> tuple[Floats, GroupReport]:
    """Advantages ``(r - p) / Beta(p)``, p the success rate of the prompt and the density fitted to those of the batch.

    Parameters (1, 1) give plain ``r - p``; (3/2, 3/2) GRPO's, times pi / 8.

    Args:
        rewards: (n,) in [0, 1], by habit 0 or 1; NaN = not scored. groups: (n,) labels.
        parameters: of the density, each from 1 on; None = `beta_parameters` of the groups' means.
        largest_weight: cap of ``1 / Beta(p)``, for rates at which the density nearly vanishes.

    Returns (n,) advantages, NaN where the sample is not scored, 0 in a group without variance; and the report.

    Raises DataError for rewards outside [0, 1] (with their row), bad groups, parameters below 1.

    Source: "BNPO: Beta Normalization Policy Optimization".

    >>> beta_advantage([1.0, 0.0, 0.0, 0.0], ["a"] * 4, parameters=(1.0, 1.0))[0]
    array([ 0.75, -0.25, -0.25, -0.25])
    """
    positive(largest_weight, "largest_weight")
    found, report = group_advantage(probabilities(rewards, "rewards"), groups, "mean")
    a, b = parameters if parameters is not None else beta_parameters(report.mean)
    if not (1 <= a < math.inf and 1 <= b < math.inf):
        raise DataError(f"parameters are {(a, b)!r}: expected two finite numbers from 1 on")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # In logarithms: a steep density is 0 or infinite as a number long before its cap is reached.
        log_density = np.where(a == 1, 0.0, (a - 1) * np.log(report.mean)) + np.where(
            b == 1, 0.0, (b - 1) * np.log1p(-report.mean)
        )
        log_density += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        weight = np.minimum(np.exp(-log_density), largest_weight)
    # A group without variance has advantages of 0 already; a rate of 0 or 1 must not make NaN of them.
    weight[report.flat] = 0.0
    return found * weight[report.index], report


def decomposed_advantage(
    parts: ArrayLike, groups: Sequence[Any] | NDArray[Any], by: Advantage = beta_advantage
) -> tuple[Floats, list[GroupReport]]:
    """The mean over parts of a reward of the advantages that each part has by itself: no part drowns the others by its scale.

    Args:
        parts: (n, k) one column for each part; NaN = not scored, that part is left out of the sample's mean.
        groups: (n,) labels. by: makes advantages of one column, such as `group_advantage`.

    Returns (n,) advantages, NaN where no part is scored, and a report for each part.

    Raises DataError for another shape, and what `by` raises.

    Source: "BNPO: Beta Normalization Policy Optimization".

    >>> decomposed_advantage([[1.0, 10.0], [0.0, 10.0]], ["a", "a"], group_advantage)[0].round(3)
    array([ 0.354, -0.354])
    """
    table = np.asarray(parts, np.float64)
    if table.ndim != 2 or not table.shape[1]:
        raise DataError(f"parts have shape {table.shape}: expected (samples, parts)")
    columns, reports = zip(*(by(column, groups) for column in table.T), strict=True)
    stacked = np.stack(columns, axis=1)
    scored = (~np.isnan(stacked)).sum(axis=1)
    found = np.full(len(table), np.nan)
    np.divide(np.nansum(stacked, axis=1), scored, out=found, where=scored > 0)
    return found, list(reports)


def unlikeliness_rewards(
    rewards: ArrayLike, logprobs: ArrayLike, groups: Sequence[Any] | NDArray[Any], strength: float = 0.25
) -> Floats:
    """Rewards that fall with how likely the policy was to give the response: ``r * (1 - strength * rank / k)``.

    The rank counts the scored responses of the group that were less likely, from 0 to k - 1; equal ones share the mean of their
    ranks. What is worth 0 stays 0, so with a strength below 1 the right are always above the wrong. A group that is all right is
    no longer without variance: it is pushed to its rare answers.

    Args:
        rewards: (n,) from 0 on; NaN = not scored, counted in no rank.
        logprobs: (n,) of the responses under the policy that drew them: a mean over tokens, lest length decide.
        groups: (n,) labels. strength: in [0, 1); 0 = the rewards as they are.

    Returns (n,) for `group_advantage`; NaN where the reward is.

    Raises DataError for negative rewards, a scored response without log-probability, shapes that do not fit.

    Source: "Rewarding the Unlikely: Lifting GRPO Beyond Distribution Sharpening".

    >>> unlikeliness_rewards([1.0, 1.0, 0.0], [-0.5, -2.0, -1.0], ["a"] * 3, strength=0.75)
    array([0.5, 1. , 0. ])
    """
    if not 0 <= strength < 1:
        raise DataError(f"strength is {strength!r}: expected a number from 0 on and below 1")
    values = numbers(rewards, "rewards")
    likely = numbers(logprobs, "logprobs", length=len(values), of="reward")
    known = ~np.isnan(values)
    bad = np.flatnonzero(known & (np.isnan(likely) | (values < 0)))
    if bad.size:
        i = int(bad[0])
        raise DataError(f"row {i} has reward {values[i]}, log-probability {likely[i]}: expected a reward from 0 on, and a number")
    report = group_advantage(values, groups, "mean")[1]
    rank = np.zeros(len(values))
    rank[known] = _mean_rank(likely[known], report.index[known])
    return values * (1 - strength * rank / np.maximum(report.scored[report.index], 1))


def pass_at_k_bonus(hits: ArrayLike, groups: Sequence[Any] | NDArray[Any], k: int, epsilon: float = 1e-6) -> Floats:
    """What a sample adds to the chance that one of k from its group is right, to be added to its advantage.

    With n scored samples, c of them right, and ``rho = 1 - C(n - c, k) / C(n, k)``: the mean of ``[a right one is among them] -
    rho`` over all sets of k that have the sample, divided by ``sqrt(rho * (1 - rho)) + epsilon``.

    Args:
        hits: (n,) 0 or 1; NaN = not scored. groups: (n,) labels. k: at least 1.

    Returns (n,) bonus; 0 where no sample of the group is right, every set of k has a right one, or fewer than k are scored; NaN
    where the sample is not scored.

    Raises DataError for hits other than 0 and 1, bad groups and a k below 1.

    Source: "Generative Reasoning Recommendation via LLMs" (GREAM, BGAE).

    >>> pass_at_k_bonus([1.0, 0.0, 0.0], ["a"] * 3, k=2, epsilon=0).round(3)
    array([ 0.707, -0.354, -0.354])
    """
    if not isinstance(k, int) or not 1 <= k <= 1_000_000 or not epsilon >= 0:
        raise DataError(f"k is {k!r}, epsilon {epsilon!r}: expected an integer from 1 to 1,000,000, and a number from 0 on")
    values = numbers(hits, "hits")
    bad = np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1))
    if bad.size:
        raise DataError(f"hits[{int(bad[0])}] is {values[bad[0]]}: expected 0 or 1, or NaN for a sample without one")
    report = group_advantage(values, groups, "mean")[1]
    n = report.scored.astype(np.float64)
    right = np.bincount(report.index, np.nan_to_num(values), minlength=len(n)).astype(np.float64)
    all_miss = _no_hit(n, right, k)
    rho = 1 - all_miss
    spread = np.sqrt(rho * (1 - rho)) + epsilon
    counts = (n >= k) & (right > 0) & (all_miss > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(counts, all_miss / spread, 0.0)
        # The sample misses; the others of the set are k - 1 of n - 1.
        miss = np.where(counts, (all_miss - _no_hit(n - 1, right, k - 1)) / spread, 0.0)
    found = np.where(values == 1, hit[report.index], miss[report.index])
    found[np.isnan(values)] = np.nan
    return found


def _no_hit(n: Floats, right: Floats, k: int) -> Floats:
    """The chance that k of n, drawn without putting back, have none of the right ones."""
    found = np.ones(len(n))
    for i in range(min(k, int(n.max(initial=0)))):
        found *= np.maximum(n - right - i, 0.0) / np.maximum(n - i, 1.0)
    return found


def _mean_rank(values: Floats, index: Ints) -> Floats:
    """(n,) rank in the group from 0, smallest first; equal values share the mean of their ranks."""
    if not len(values):
        return np.zeros(0)
    order = np.lexsort((values, index))
    sorted_values, sorted_index = values[order], index[order]
    new_group = np.concatenate([[True], sorted_index[1:] != sorted_index[:-1]])
    starts = np.flatnonzero(new_group)
    place = np.arange(len(values)) - np.repeat(starts, np.diff(np.append(starts, len(values))))
    run = np.cumsum(new_group | np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]])) - 1
    found = np.empty(len(values))
    found[order] = (np.bincount(run, place) / np.bincount(run))[run]
    return found
