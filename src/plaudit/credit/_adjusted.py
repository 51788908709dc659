"""Advantages of groups, adjusted: by token budget, by difficulty, for outliers, with a bonus for consistency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, group_advantage
from plaudit.credit._implicit import whitened
from plaudit.credit._ragged import Bools, Floats, numbers, positive, probabilities
from plaudit.errors import DataError


def budget_advantage(
    accuracies: ArrayLike, groups: Sequence[Any] | NDArray[Any], prior: ArrayLike | None = None
) -> tuple[Floats, GroupReport]:
    """Advantages of the stretches of a thought between token budgets, when it may be cut off at any of them.

    Stretch s (from 0) is worth ``R_s = sum over j >= s of prior_j * accuracy_j``. Its baseline moves with s, of S, from the
    group's mean of R_s to what this thought has already: ``(s/S) * V + ((S-s)/S) * mean``, V the earlier accuracies, weighted by
    1, 2, 4, …, times the prior that is left. One budget gives ``r - mean``.

    Args:
        accuracies: (b, S) share of right answers when thought b is cut at each budget, in [0, 1]; NaN = not measured, then none
            of the thought's stretches is.
        groups: (b,) labels. prior: (S,) weights of the budgets from 0 on, divided by their sum; None = equal.

    Returns (b, S) advantages, NaN where a thought is not measured; and the report on R_0.

    Raises DataError for shapes that do not fit, accuracies outside [0, 1] and a prior of nothing but zeros.

    Source: "Optimizing Anytime Reasoning via Budget Relative Policy Optimization".

    >>> budget_advantage([[0.0, 1.0], [0.0, 0.0]], ["a", "a"])[0]
    array([[ 0.25 ,  0.375],
           [-0.25 , -0.125]])
    """
    table = np.asarray(accuracies, np.float64)
    if table.ndim != 2 or not 1 <= table.shape[1] <= 1000:
        raise DataError(f"accuracies have shape {table.shape}: expected (thoughts, budgets), 1 to 1000 budgets")
    rates = probabilities(table.ravel(), "accuracies").reshape(table.shape)
    size = table.shape[1]
    weights = np.ones(size) if prior is None else numbers(prior, "prior", length=size, of="budget", complete=True)
    if (weights < 0).any() or not weights.sum() > 0:
        raise DataError(f"prior is {weights}: expected numbers from 0 on that are not all 0")
    weights = weights / weights.sum()
    rates = np.where(np.isnan(rates).any(axis=1, keepdims=True), np.nan, rates)
    to_come = np.cumsum((rates * weights)[:, ::-1], axis=1)[:, ::-1]
    left = np.cumsum(weights[::-1])[::-1]
    # Weights 2**j, kept from overflowing by dividing both sums by the newest: s_(k+1) = s_k / 2 + rho_k.
    reached, total, running = np.zeros_like(rates), 0.0, np.zeros(len(rates))
    for s in range(1, size):
        running, total = running / 2 + rates[:, s - 1], total / 2 + 1
        reached[:, s] = running / total * left[s]
    columns = [group_advantage(column, groups, "mean") for column in to_come.T]
    own = np.arange(size) / size
    against_group = np.stack([found for found, _ in columns], axis=1)
    return own * (to_come - reached) + (1 - own) * against_group, columns[0][1]


def difficulty_scale(
    hardness: ArrayLike,
    gap: ArrayLike,
    classes: Sequence[Any] | NDArray[Any],
    low: float = 0.5,
    high: float = 2.0,
) -> Floats:
    """Factors for the advantages of prompts: above 1 for those that are harder than the rest of their class.

    ``sigmoid(hardness) / sigmoid(class mean) * sigmoid(gap) / sigmoid(class mean)``, cut to [low, high].

    Args:
        hardness: (n,) of each prompt, such as 1 minus the likeness of a demonstration and the policy's response; NaN = not known:
            counts as its class's mean, and enters no mean.
        gap: (n,) reward of the demonstration minus that of the response (its outliers left out); NaN = not known, likewise.
        classes: (n,) labels of kinds of prompts.
        low, high: 0 < low <= 1 <= high.

    Returns (n,) factors; 1 when all prompts of a class are alike. Multiply the advantages by them.

    Raises DataError for shapes that do not fit, infinite numbers and bounds that do not hold 1 between them.

    Source: "Inverse Reinforcement Learning with Dynamic Reward Scaling for LLM Alignment" (DR-IRL).

    >>> difficulty_scale([0.0, 2.0], [0.0, 0.0], ["a", "a"]).round(3)
    array([0.684, 1.205])
    """
    if not 0 < low <= 1 <= high < math.inf:
        raise DataError(f"low is {low!r}, high {high!r}: expected 0 < low <= 1 <= high")
    found = np.ones(len(classes))
    for name, column in (("hardness", hardness), ("gap", gap)):
        values = numbers(column, name, length=len(found), of="label")
        above, report = group_advantage(values, classes, "mean")
        mean = report.mean[report.index]
        # Taken as differences of logarithms: the ratio of two sigmoids that are both nearly 0 stays exact.
        ratio = np.exp(_log_sigmoid(mean + above) - _log_sigmoid(mean))
        found *= np.where(np.isnan(ratio), 1.0, np.minimum(ratio, high / low))
    return np.clip(found, low, high)


def filter_outliers(advantages: ArrayLike, limit: float = 3.0, whiten: bool = True) -> tuple[Floats, Bools]:
    """Advantages, those far from the rest set to 0, so that one broken sample does not make the step.

    Args:
        advantages: (n,) any unit; NaN = not scored, enters nothing.
        limit: in standard deviations (of the call with `whiten`, else in the unit given).
        whiten: True = less the mean and divided by the standard deviation of the call first.

    Returns (n,) advantages with ``abs(a) <= limit``, NaN where there is none, and (n,) bool which were set to 0.

    Raises DataError for infinite advantages and a limit that is not above 0.

    Source: "R1-Reward: Training Multimodal Reward Model Through Stable Reinforcement Learning" (StableReinforce).

    >>> filter_outliers([1.0, -1.0, 50.0], limit=3, whiten=False)
    (array([ 1., -1.,  0.]), array([False, False,  True]))
    """
    positive(limit, "limit")
    values = numbers(advantages, "advantages")
    if whiten:
        values = whitened(values, 1e-8)
    outliers = np.abs(values) > limit
    return np.where(outliers, 0.0, values), outliers


def clipped_ratio(logprobs: ArrayLike, old: ArrayLike, low: float = 1e-3, high: float = 1e3) -> Floats:
    """The ratio of two probabilities, cut before it is formed: a stale policy makes no infinite ratio.

    Args:
        logprobs, old: (n,) log-probabilities in nats; NaN = not read. low, high: 0 < low <= 1 <= high.

    Returns (n,) in [low, high]; NaN where either is not read.

    Raises DataError for shapes that differ, infinite numbers and bounds that do not hold 1 between them.

    Source: "R1-Reward: Training Multimodal Reward Model Through Stable Reinforcement Learning" (StableReinforce).

    >>> clipped_ratio([0.0, -1.0], [-2000.0, -1.0])
    array([1000.,    1.])
    """
    if not 0 < low <= 1 <= high < math.inf:
        raise DataError(f"low is {low!r}, high {high!r}: expected 0 < low <= 1 <= high")
    new = numbers(logprobs, "logprobs")
    change = new - numbers(old, "old", length=len(new), of="log-probability")
    return np.clip(np.exp(np.clip(change, math.log(low), math.log(high))), low, high)


def consistency_bonus(
    accuracies: ArrayLike,
    answer_logprobs: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    bonus: float = 0.5,
    least: float = 0.1,
    margin: float = 0.01,
    ceiling: float = 0.95,
) -> Floats:
    """A bonus for the right samples whose reasoning makes a slow reference as sure of the answer as their peers' does.

    Among the samples of a group with an accuracy above `least` and not below the group's mean, those get ``bonus * accuracy``
    whose ``min(exp(answer_logprob), ceiling)`` is not below the mean of these samples' less `margin`.

    Args:
        accuracies: (n,) in [0, 1]; NaN = not scored.
        answer_logprobs: (n,) mean over the answer's tokens of the reference's log-probability, in nats, at most 0; NaN = not
            read: no bonus, and in no mean.
        groups: (n,) labels. ceiling: no pay for more certainty than this.

    Returns (n,) to be added to the rewards before their advantages; NaN where the accuracy is.

    Raises DataError for shapes that do not fit and numbers outside their range.

    Source: "GRPO-CARE: Consistency-Aware Reinforcement Learning for Multimodal Reasoning".

    >>> consistency_bonus([1.0, 1.0, 0.0], [-0.1, -3.0, -0.1], ["a"] * 3)
    array([0.5, 0. , 0. ])
    """
    right = probabilities(accuracies, "accuracies")
    sure = numbers(answer_logprobs, "answer_logprobs", length=len(right), of="accuracy")
    bad = np.flatnonzero(sure > 0)
    if bad.size:
        raise DataError(f"answer_logprobs[{int(bad[0])}] is {sure[bad[0]]}: expected a log-probability, at most 0")
    above, report = group_advantage(right, groups, "mean")
    with np.errstate(invalid="ignore"):
        accurate = (right > least) & ((above >= 0) | report.flat_samples) & ~np.isnan(sure)
    certainty = np.where(accurate, np.minimum(np.exp(sure), ceiling), np.nan)
    _, peers = group_advantage(certainty, report.index, "mean")
    with np.errstate(invalid="ignore"):
        paid = accurate & (certainty >= peers.mean[peers.index] - margin)
    return np.where(np.isnan(right), np.nan, np.where(paid, bonus * right, 0.0))


def _log_sigmoid(x: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # NaN = not known
        return -np.logaddexp(0.0, -x)
