"""From scores of steps to rewards of steps: sums, softened minima, clipped scores and differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from plaudit.credit._ragged import Floats, Rows, numbers, positive, probabilities, rows_of, scored_in
from plaudit.errors import DataError

Aggregate = Literal["mean", "product", "minimum", "maximum", "last", "sum"]


def _last(values: Floats, rows: Rows) -> Floats:
    found = np.full(rows.count, np.nan)
    found[rows.lengths > 0] = values[rows.last]
    return found


STEP_AGGREGATES: dict[str, Callable[[Floats, Rows], Floats]] = {
    "mean": lambda values, rows: rows.mean(values),
    "product": lambda values, rows: rows.reduce(np.multiply, values, np.nan),
    "minimum": lambda values, rows: rows.reduce(np.minimum, values, np.nan),
    "maximum": lambda values, rows: rows.reduce(np.maximum, values, np.nan),
    "last": _last,
    "sum": lambda values, rows: rows.reduce(np.add, values, np.nan),
}
"""One number for a response out of its step scores, by name."""


def aggregate_steps(scores: ArrayLike, offsets: ArrayLike, how: Aggregate) -> Floats:
    """One reward for each response from the scores of its steps.

    What each pays for: ``"sum"`` more steps, ``"product"`` fewer; ``"mean"`` can hide one fatal step among many good ones,
    ``"minimum"`` cannot.

    Args:
        scores: (n,) of the steps; NaN = not scored, left out.
        offsets: (b + 1,) where the steps of each response begin, and n.
        how: see above, also ``"maximum"`` and ``"last"``.

    Returns (b,) in the unit of the scores; NaN = no step of the response is scored.

    Raises DataError for infinite scores, offsets that do not fit, an unknown `how`, and products beyond the range of numbers.

    Source: "Let's Reinforce Step by Step".

    >>> aggregate_steps([0.9, 0.5, 0.9, 1.0], [0, 3, 4, 4], "minimum")
    array([0.5, 1. , nan])
    """
    if how not in STEP_AGGREGATES:
        raise DataError(f"how is {how!r}: expected one of {', '.join(STEP_AGGREGATES)}")
    scored = scored_in(scores, offsets, "scores")
    with np.errstate(over="ignore"):
        found = STEP_AGGREGATES[how](scored.values, scored.rows)
    beyond = np.flatnonzero(np.isinf(found))
    if beyond.size:
        raise DataError(f"the {how} of row {int(beyond[0])} is too large for a number: bring the scores to [0, 1] first")
    return found


def min_form(scores: ArrayLike, offsets: ArrayLike, temperature: float = 0.1) -> Floats:
    """Rewards of steps whose sum is, nearly, the smallest score of the response: its worst step decides.

    With q the scores of a response, the reward of step k is ``q_k * softmax(-q / temperature)_k``. The rewards add up to
    between ``min q`` and ``min q + temperature * ln K``, K the number of its steps: good steps more do not pay.

    Args:
        scores: (n,) of the steps, by habit in [-1, 1]; NaN = not scored, as though the step were not there.
        offsets: (b + 1,) where the steps of each response begin, and n.
        temperature: in the unit of the scores; 0 = the minimum itself, shared equally where several steps have it.

    Returns (n,) rewards in the unit of the scores; NaN where a step is not scored. `returns_to_go` of them is the value.

    Raises DataError for infinite scores, offsets that do not fit and a temperature below 0.

    Source: "Stop Summation: Min-Form Credit Assignment Is All Process Reward Model Needs for Reasoning" (PURE).

    >>> min_form([0.9, -0.5, 0.9], [0, 3], temperature=0.1).round(3)
    array([ 0. , -0.5,  0. ])
    """
    positive(temperature, "temperature", zero=True)
    scored = scored_in(scores, offsets, "scores")
    values, rows = scored.values, scored.rows

    def block(rows: Rows, values: Floats) -> Floats:
        weights: Floats = values - rows.spread(rows.reduce(np.minimum, values))
        if temperature == 0:
            weights = (weights == 0).astype(np.float64)
        else:
            with np.errstate(over="ignore"):
                weights /= -temperature
            np.exp(weights, out=weights)
        totals = rows.reduce(np.add, weights, 1.0)
        weights *= values
        weights /= rows.spread(totals)
        return weights

    return scored.restore(rows.in_blocks(block, (values,)))


def clip_steps(scores: ArrayLike, offsets: ArrayLike, threshold: float | None = None) -> Floats:
    """Rewards of steps that are never above 0: ``min(score - threshold, 0)``, so that steps more never pay.

    Args:
        scores: (n,) of the steps; NaN = not scored.
        offsets: (b + 1,) where the steps of each response begin, and n.
        threshold: in the unit of the scores; None = the mean of all scored steps of the call.

    Returns (n,) rewards, at most 0; NaN where a step is not scored.

    Raises DataError for infinite scores or thresholds and offsets that do not fit.

    Source: "On Designing Effective RL Reward at Training Time for LLM Reasoning" (Clip).

    >>> clip_steps([0.9, 0.5, 0.1], [0, 3], threshold=0.5)
    array([ 0. ,  0. , -0.4])
    """
    scored = scored_in(scores, offsets, "scores")
    if threshold is None:
        threshold = float(scored.values.mean()) if len(scored.values) else 0.0
    if not np.isfinite(threshold):
        raise DataError(f"threshold is {threshold!r}: expected a finite number in the unit of the scores")
    return scored.restore(np.minimum(scored.values - threshold, 0.0))


def delta_steps(scores: ArrayLike, offsets: ArrayLike, answer_step: bool = True) -> Floats:
    """Rewards of steps that telescope: what is still to come from a step on is that step's score, however many follow.

    Step k gets ``score_k - score_(k+1)``, the last one its score. The reward of the whole is the first score: bounded, and free
    of the number of steps.

    Args:
        scores: (n,) of the steps; NaN = not scored, as though the step were not there.
        offsets: (b + 1,) where the steps of each response begin, and n.
        answer_step: True = the last scored step is the answer; its outcome judges it, it gets 0, the one before it its score.

    Returns (n,) rewards; NaN where a step is not scored.

    Raises DataError for infinite scores and offsets that do not fit.

    Source: "On Designing Effective RL Reward at Training Time for LLM Reasoning" (Delta).

    >>> delta_steps([0.9, 0.5, 0.75, 0.1], [0, 4])
    array([ 0.4 , -0.25,  0.75,  0.  ])
    """
    scored = scored_in(scores, offsets, "scores")
    values = scored.values
    if answer_step:
        values = values.copy()
        values[scored.rows.last] = 0.0
    return scored.restore(values - scored.rows.shifted(values, 1, 0.0))


def centre_steps(
    scores: ArrayLike,
    offsets: ArrayLike,
    *,
    log_odds: bool = False,
    centre: float = 0.5,
    per_step: bool = False,
    bound: float = 1e-6,
) -> Floats:
    """Rewards for delivery at each step's end, from probabilities that the steps are right.

    Args:
        scores: (n,) probabilities in [0, 1]; NaN = not scored.
        offsets: (b + 1,) where the steps of each response begin, and n.
        log_odds: True = ``ln(p / (1 - p))`` minus that of `centre`, p kept `bound` away from 0 and 1; False = ``p - centre``.
        centre: the probability that is worth nothing; above it more steps pay, so a low one invites filler.
        per_step: True = divide by the number of scored steps of the response, so that their sum is a mean.
        bound: in (0, 0.5).

    Returns (n,) rewards; NaN where a step is not scored.

    Raises DataError for scores outside [0, 1], offsets that do not fit and a centre outside [0, 1] ((0, 1) with log-odds).

    Source: "Let's Reinforce Step by Step"; "Fine-Grained Human Feedback Gives Better Rewards for Language Model Training".

    >>> centre_steps([1.0, 0.5, 0.75], [0, 2, 3], per_step=True)
    array([0.25, 0.  , 0.25])
    """
    if not 0 <= centre <= 1 or not 0 < bound < 0.5:
        raise DataError(f"centre is {centre!r}, bound {bound!r}: expected a probability, and a number in (0, 0.5)")
    scored = scored_in(probabilities(scores, "scores"), offsets, "scores")
    values = scored.values
    if log_odds:
        kept = np.clip(np.append(values, centre), bound, 1 - bound)
        odds = np.log(kept) - np.log1p(-kept)
        values = odds[:-1] - odds[-1]
    else:
        values = values - centre
    if per_step:
        values = values / scored.rows.spread(scored.rows.lengths)
    return scored.restore(values)


def renorm_steps(scores: ArrayLike, offsets: ArrayLike, outcomes: ArrayLike, answer_step: bool = True) -> Floats:
    """Rewards of steps centred together with the outcome: no step of a failed response pays, none of a successful one costs.

    A step gets ``score + outcome - 1``, the sum of both less one half each.

    Args:
        scores: (n,) of the steps in [0, 1]; NaN = not scored.
        offsets: (b + 1,) where the steps of each response begin, and n.
        outcomes: (b,) in [0, 1]; NaN = not scored: neither are the response's steps.
        answer_step: True = the last scored step is the answer and carries the outcome alone.

    Returns (n,) rewards in [-1, 1]; NaN where a step or its outcome is not scored.

    Raises DataError for numbers outside [0, 1] and shapes that do not fit.

    Source: "Hybrid Reward Normalization for Process-supervised Non-verifiable Agentic Tasks" (PPR, ReNorm).

    >>> renorm_steps([0.5, 0.75, 0.5, 0.75], [0, 2, 4], [1.0, 0.0], answer_step=False)
    array([ 0.5 ,  0.75, -0.5 , -0.25])
    """
    scored = scored_in(probabilities(scores, "scores"), offsets, "scores")
    ends = probabilities(outcomes, "outcomes", length=scored.rows.count, of="response")
    found = scored.values + scored.rows.spread(ends) - 1
    if answer_step:
        found[scored.rows.last] = ends[scored.rows.lengths > 0]
    return scored.restore(found)


def accuracy_gains(
    before: ArrayLike,
    after: ArrayLike,
    offsets: ArrayLike,
    *,
    smallest: float = 0.1,
    window: int = 5,
    discount: float = 0.9,
) -> Floats:
    """Rewards of steps by the change in accuracy each causes, measured by answers forced after it.

    A step that changes the accuracy by at least `smallest` gets the change d. An idle one gets ``discount ** k * d`` of the first
    change that comes k steps later, if k is at most `window`, and else 0: idle steps before a gain are paid less than the
    gain, and steps that lead into a loss are charged. Changes below `smallest` count as none.

    Args:
        before: (b,) share of right answers before the first step, in [0, 1]; NaN = not measured.
        after: (n,) share of right answers after each step, in [0, 1]; NaN = not measured, as though the step were not there.
        offsets: (b + 1,) where the steps of each response begin, and n.
        smallest: in (0, 1]. window: steps to look ahead; 0 = none. discount: in [0, 1].

    Returns (n,) rewards in [-1, 1]; NaN where a step is not measured, and at a first step with nothing before it. With window
    0 and no change below `smallest` they add up to the last accuracy minus the first.

    Raises DataError for numbers outside their range and shapes that do not fit.

    Source: "Promoting Efficient Reasoning with Verifiable Stepwise Reward" (VSRM).

    >>> accuracy_gains([0.0], [0.0, 0.5, 0.5, 0.25], [0, 4], discount=0.5)
    array([ 0.25 ,  0.5  , -0.125, -0.25 ])
    """
    if not 0 < smallest <= 1 or not 0 <= discount <= 1 or not isinstance(window, int) or window < 0:
        raise DataError(
            f"smallest is {smallest!r}, window {window!r}, discount {discount!r}: expected (0, 1], an integer from 0 on, [0, 1]"
        )
    scored = scored_in(probabilities(after, "after"), offsets, "after")
    rows = scored.rows
    starts = probabilities(before, "before", length=rows.count, of="response")
    previous = rows.shifted(scored.values, -1, 0.0)
    previous[rows.first] = starts[rows.lengths > 0]
    gains = scored.values - previous
    # A change of exactly `smallest`, rounded, is a change.
    large = np.abs(gains) >= smallest * (1 - 1e-12)
    here = np.arange(rows.size, dtype=np.int64)
    following = rows.accumulate(np.minimum, np.where(large, here, rows.size), reverse=True)
    ahead = following - here
    found = np.zeros(rows.size)
    paid = (following < rows.size) & (ahead <= window)
    found[paid] = discount ** ahead[paid].astype(np.float64) * gains[following[paid]]
    found[np.isnan(gains)] = np.nan
    return scored.restore(found)


def steps_to_tokens(
    rewards: ArrayLike, offsets: ArrayLike, step_tokens: ArrayLike, place: Literal["end", "every"] = "end"
) -> Floats:
    """Rewards of steps at the tokens of the steps, which follow each other without a gap.

    Args:
        rewards: (n,) of the steps; NaN = not scored, 0 at its tokens.
        offsets: (b + 1,) where the steps of each response begin, and n.
        step_tokens: (n,) tokens of each step, at least 1.
        place: ``"end"`` = the whole reward at the step's last token; ``"every"`` = at each token an equal share.

    Returns (t,) with t the sum of `step_tokens`; sums are kept.

    Raises DataError for infinite rewards, shapes that do not fit and a step without tokens.

    Source: "Fine-Grained Human Feedback Gives Better Rewards for Language Model Training".

    >>> steps_to_tokens([1.0, 2.0], [0, 2], [2, 3])
    array([0., 1., 0., 0., 2.])
    """
    values = numbers(rewards, "rewards")
    rows_of(offsets, len(values), of="rewards")
    counts = token_counts(step_tokens, len(values))
    values = np.nan_to_num(values)
    if place == "every":
        return np.repeat(values / counts, counts)
    if place != "end":
        raise DataError(f"place is {place!r}: expected 'end' or 'every'")
    found = np.zeros(int(counts.sum()))
    found[np.cumsum(counts) - 1] = values
    return found


def token_counts(step_tokens: ArrayLike, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) tokens of each step; raises DataError for another shape and a step without tokens."""
    counts = np.asarray(step_tokens)
    if counts.shape != (n,) or (n and counts.dtype.kind not in "iu"):
        raise DataError(f"step_tokens have shape {counts.shape} and type {counts.dtype}: expected ({n},) integers, one a step")
    counts = counts.astype(np.int64)
    if n and counts.min() < 1:
        raise DataError(f"step_tokens[{int(counts.argmin())}] is {counts.min()}: expected at least one token in every step")
    return counts
