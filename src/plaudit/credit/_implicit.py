"""Rewards read off the log-probabilities of two models, and the advantages of responses that have rewards inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, group_advantage
from plaudit.credit._ragged import Floats, numbers, returns_to_go, rows_of, scored_in
from plaudit.credit._steps import token_counts
from plaudit.errors import DataError


def implicit_rewards(model: ArrayLike, reference: ArrayLike, beta: float = 0.05, step_tokens: ArrayLike | None = None) -> Floats:
    """Rewards of tokens or steps: beta times the log-ratio of a model trained on outcomes and its reference.

    The model may be trained on outcomes alone (cross-entropy of ``sigmoid(sum)``) or on pairs of trajectories (DPO, the reference
    being the policy that drew them). A step's reward is the sum over its tokens.

    Args:
        model, reference: (n,) log-probabilities of the same tokens, in nats; NaN = not read.
        beta: a finite number.
        step_tokens: (k,) tokens of each step, n in all; None = every token for itself.

    Returns (n,) or (k,) rewards; NaN where a log-probability is missing, for steps where one of its tokens' is.

    Raises DataError for shapes that do not fit and infinite numbers.

    Source: "Process Reinforcement through Implicit Rewards" (PRIME); "Agentic Reinforcement Learning with Implicit Step Rewards"
    (iStar).

    >>> implicit_rewards([-1.0, -1.0, -2.0], [-1.0, -2.0, -1.0], beta=0.5, step_tokens=[2, 1])
    array([ 0.5, -0.5])
    """
    if not np.isfinite(beta):
        raise DataError(f"beta is {beta!r}: expected a finite number")
    above = numbers(model, "model")
    found = beta * (above - numbers(reference, "reference", length=len(above), of="token"))
    if step_tokens is None:
        return found
    counts = token_counts(step_tokens, np.size(step_tokens))
    return rows_of(np.concatenate([[0], np.cumsum(counts)]), len(found), "the sums of step_tokens", "tokens").reduce(
        np.add, found
    )


def bounded_returns(rewards: ArrayLike, offsets: ArrayLike) -> Floats:
    """Rewards of tokens divided by one number for the whole batch, so that no return from a token on exceeds 1 in size.

    Args:
        rewards: (n,) of the tokens; NaN = not scored. offsets: (b + 1,) where each response begins, and n.

    Returns (n,) without unit; as given where every return is 0.

    Raises DataError for infinite rewards and offsets that do not fit.

    Source: "Process Reinforcement through Implicit Rewards" (PRIME).

    >>> bounded_returns([1.0, 3.0, -2.0], [0, 2, 3])
    array([ 0.25,  0.75, -0.5 ])
    """
    values = numbers(rewards, "rewards")
    largest = float(np.nanmax(np.abs(returns_to_go(values, offsets)), initial=0.0))
    return values / largest if largest > 0 else values.copy()


def process_advantage(
    rewards: ArrayLike,
    offsets: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    step_tokens: ArrayLike | None = None,
) -> tuple[Floats, GroupReport]:
    """Advantages of steps: the return from each on, less what the other responses of the group earn on so many tokens.

    The baseline is the mean over the *other* responses of their reward a token; each step pays it for each of its tokens before
    the return is formed. A baseline a step would favour few, giant ones.

    Args:
        rewards: (n,) of the steps or tokens (`min_form` for PURE, `implicit_rewards` for PRIME); NaN = not scored.
        offsets: (b + 1,) where each response begins, and n. groups: (b,) labels.
        step_tokens: (n,) tokens of each step; None = 1, the rewards are of tokens.

    Returns (n,) advantages, NaN where there is no reward; 0 in a response without another scored one in its group. And the
    report on the responses' rewards a token.

    Raises DataError for shapes that do not fit and infinite rewards.

    Source: "Stop Summation: Min-Form Credit Assignment Is All Process Reward Model Needs for Reasoning" (PURE); "Process
    Reinforcement through Implicit Rewards" (PRIME).

    >>> process_advantage([1.0, 1.0, 0.0], [0, 2, 3], ["a", "a"])[0]
    array([ 2.,  1., -1.])
    """
    scored = scored_in(rewards, offsets, "rewards")
    rows = scored.rows
    counts = np.ones(rows.size, np.int64)
    if step_tokens is not None:
        counts = token_counts(step_tokens, np.size(rewards))[scored.places]
    tokens = rows.reduce(np.add, counts)
    a_token = np.full(rows.count, np.nan)
    np.divide(rows.reduce(np.add, scored.values), tokens, out=a_token, where=tokens > 0)
    above, report = group_advantage(a_token, groups, "leave_one_out")
    found = scored.values - counts * rows.spread(a_token - above)
    found = rows.accumulate(np.add, found, reverse=True)
    found[rows.spread(report.scored[report.index] < 2)] = 0.0
    return scored.restore(found), report


def outcome_process_advantage(
    rewards: ArrayLike,
    offsets: ArrayLike,
    outcomes: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    whiten: bool = True,
    epsilon: float = 1e-8,
) -> tuple[Floats, GroupReport]:
    """Advantages of tokens: those of the process rewards plus that of the outcome, each against the others of the group.

    Args:
        rewards: (n,) process rewards of the tokens; NaN = not scored, leaves the outcome's alone.
        offsets: (b + 1,) where each response begins, and n.
        outcomes: (b,) any unit; NaN = not scored, as are its tokens. groups: (b,) labels.
        whiten: True = less the mean and divided by the standard deviation of all scored tokens of the call.

    Returns (n,) advantages, NaN where the outcome is not scored, and the report on the outcomes. Process rewards of 0 and no
    whitening give leave-one-out.

    Raises DataError for shapes that do not fit and infinite numbers.

    Source: "Process Reinforcement through Implicit Rewards" (PRIME).

    >>> outcome_process_advantage([0.0, 0.0, 0.0], [0, 2, 3], [1.0, 0.0], ["a", "a"], whiten=False)[0]
    array([ 1.,  1., -1.])
    """
    values = numbers(rewards, "rewards")
    rows = rows_of(offsets, len(values), of="rewards")
    ends = numbers(outcomes, "outcomes", length=rows.count, of="response")
    values = np.where(rows.spread(np.isnan(ends)), np.nan, values)
    inside, _ = process_advantage(values, offsets, groups)
    above, report = group_advantage(ends, groups, "leave_one_out")
    found = np.nan_to_num(inside) + rows.spread(above)
    if whiten:
        found = whitened(found, epsilon)
    return found, report


def trajectory_advantage(
    rewards: ArrayLike,
    offsets: ArrayLike,
    outcomes: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    alpha: float = 1.0,
    epsilon: float = 1e-6,
) -> tuple[Floats, GroupReport]:
    """Advantages of an agent's steps: that of its episode plus alpha times the step's own among all steps of the group.

    Both are centred and divided by their standard deviation in the group: over its episodes, and over all their steps.

    Args:
        rewards: (n,) of the steps (`implicit_rewards`); NaN = not scored, leaves the episode's alone.
        offsets: (b + 1,) where each episode begins, and n.
        outcomes: (b,) any unit; NaN = not scored: its steps enter nothing. groups: (b,) labels.

    Returns (n,) advantages, NaN where the outcome is not scored, and the report on the outcomes; alpha 0 gives GRPO.

    Raises DataError for shapes that do not fit and infinite numbers.

    Source: "Agentic Reinforcement Learning with Implicit Step Rewards" (iStar).

    >>> trajectory_advantage([1.0, 0.0, 0.5], [0, 2, 3], [1.0, 0.0], ["a", "a"], epsilon=0)[0].round(3)
    array([ 1.707, -0.293, -0.707])
    """
    if not np.isfinite(alpha):
        raise DataError(f"alpha is {alpha!r}: expected a finite number")
    values = numbers(rewards, "rewards")
    rows = rows_of(offsets, len(values), of="rewards")
    ends = numbers(outcomes, "outcomes", length=rows.count, of="episode")
    episode, report = group_advantage(ends, groups, epsilon=epsilon)
    steps = np.where(rows.spread(np.isnan(ends)), np.nan, values)
    own, _ = group_advantage(steps, rows.spread(report.index), epsilon=epsilon)
    return rows.spread(episode) + alpha * np.nan_to_num(own), report


def whitened(values: Floats, epsilon: float) -> Floats:
    """Less the mean, divided by the standard deviation, of what is not NaN; 0 where all are equal."""
    known = values[~np.isnan(values)]
    if len(known) and known.min() == known.max():
        return values * 0.0
    return (values - known.mean()) / (known.std(ddof=1) + epsilon) if len(known) else values
