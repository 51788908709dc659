"""One reward for a whole response, spread over its tokens or steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plaudit.credit._ragged import Floats, Rows, numbers, positive, rows_of, scored_in
from plaudit.errors import DataError


def redistribute_by_attention(attention: ArrayLike, offsets: ArrayLike, rewards: ArrayLike, share: float = 0.8) -> Floats:
    """A response's reward over its tokens, in proportion to the attention that the reward model's scored token pays them.

    Token t of T gets ``share * w_t * R``, the last one ``(1 - share) * R`` besides, w the attention of the response's tokens
    divided by its sum (equal parts where that is 0). The rewards of a response add up to R. For discount 1 this is shaping with
    the potential ``share * R * (w_1 + … + w_t)``: with R and the attention fixed, it leaves the best policy as it is.

    Args:
        attention: (n,) row of the scored token over the response's tokens, mean over heads, from 0 on in any unit; ones spread
            evenly.
        offsets: (b + 1,) where each response begins, and n.
        rewards: (b,) any unit; NaN = not scored, as are the response's tokens.
        share: in [0, 1]; 0 = everything at the last token.

    Returns (n,) in the unit of the rewards.

    Raises DataError for attention that is NaN, negative or infinite, shapes that do not fit, a share outside [0, 1], and a
    response without tokens that has a reward.

    Source: "Dense Reward for Free in Reinforcement Learning from Human Feedback" (ABC).

    >>> redistribute_by_attention([1.0, 3.0, 1.0], [0, 2, 3], [2.0, -1.0], share=0.5)
    array([ 0.25,  1.75, -1.  ])
    """
    weights = numbers(attention, "attention", complete=True)
    if weights.min(initial=0.0) < 0:
        below = int(np.flatnonzero(weights < 0)[0])
        raise DataError(f"attention[{below}] is {weights[below]}: expected a number from 0 on")
    rows = rows_of(offsets, len(weights), of="attention")
    values = _rewards(rewards, rows)
    kept = _share(share)

    def block(rows: Rows, weights: Floats, values: Floats) -> Floats:
        totals = rows.reduce(np.add, weights, 1.0)
        if (totals < 1e-200).any():
            # Rows of nothing but zeros are spread evenly; sums of the smallest numbers there are would be too coarse.
            weights = weights * rows.spread(np.where(totals < 1e-200, 1e200, 1.0)) + rows.spread(totals == 0)
            totals = rows.reduce(np.add, weights, 1.0)
        found: Floats = weights * rows.spread(kept * values / totals)
        return found

    return _with_terminal(rows.in_blocks(block, (weights,), (values,)), values, rows, share)


def redistribute_by_prefix(scores: ArrayLike, offsets: ArrayLike, before: ArrayLike, share: float = 1.0) -> Floats:
    """Rewards of tokens by the change of a score of the text so far, from a reward model or a forecast of any final metric.

    Token t gets ``share * (S_t - S_(t-1))``, the last one ``(1 - share) * (S_T - S_0)`` besides: they add up to ``S_T - S_0``,
    and for discount 1 leave the best policy as it is.

    Args:
        scores: (n,) score S_t of the text up to and with each token; NaN = not scored: its change falls to the next that is.
        offsets: (b + 1,) where each response begins, and n.
        before: (b,) score S_0 of the empty response; NaN = not scored, as are the response's tokens. Zeros keep ``S_T`` whole.
        share: in [0, 1]; 0 = everything at the last scored token.

    Returns (n,) in the unit of the scores; NaN where there is no score.

    Raises DataError for infinite scores, shapes that do not fit and a share outside [0, 1].

    Source: "RED: Unleashing Token-Level Rewards from Holistic Feedback via Reward Redistribution"; "IRCoCo: Immediate
    Rewards-Guided Deep Reinforcement Learning for Code Completion".

    >>> redistribute_by_prefix([0.25, 1.0, 0.5], [0, 2, 3], [0.0, 1.0])
    array([ 0.25,  0.75, -0.5 ])
    """
    scored = scored_in(scores, offsets, "scores")
    rows = scored.rows
    start = numbers(before, "before", length=rows.count, of="response")
    has = rows.lengths > 0
    whole = np.full(rows.count, np.nan)
    whole[has] = scored.values[rows.last] - start[has]
    changes = np.empty(rows.size)
    np.subtract(scored.values[1:], scored.values[:-1], out=changes[1:])
    changes[rows.first] = scored.values[rows.first] - start[has]
    if np.isnan(start).any():
        changes[rows.spread(np.isnan(start))] = np.nan
    changes *= _share(share)
    return scored.restore(_with_terminal(changes, whole, rows, share))


def decompose_return(
    factors: ArrayLike, offsets: ArrayLike, returns: ArrayLike, *, ridge: float = 1e-3, exact: bool = False
) -> tuple[Floats, Floats]:
    """Rewards of steps, linear in a few factors of each step, that add up to the return of the whole as well as they can.

    The factors come from a function that a person or a language model wrote (a tool call went through, something new was found,
    nothing was repeated). With z the factors, the weights minimise ``sum over responses of (G - sum_t w . z_t)² / b + ridge *
    |w|²``, the factors and returns as they are; add a factor of ones for a constant a step.

    Args:
        factors: (n, d) of the steps, finite.
        offsets: (b + 1,) where the steps of each response begin, and n.
        returns: (b,) any unit; NaN = not scored: left out of the fit, its steps get their rewards from the weights all the same.
        ridge: from 0 on; at 0, of several weights that fit alike the shortest.
        exact: True = what is left of a scored return is shared equally by its steps, so that they add up to it.

    Returns (n,) rewards in the unit of the returns, and (d,) weights.

    Raises DataError for factors that are not finite, shapes that do not fit, and when no return is scored.

    Source: "Latent Reward: LLM-Empowered Credit Assignment in Episodic Reinforcement Learning" (LaRe); "Learning Long-Term
    Reward Redistribution via Randomized Return Decomposition".

    >>> rewards, weights = decompose_return([[1, 0], [0, 1], [1, 1]], [0, 1, 3], [2.0, 3.0], ridge=0)
    >>> rewards.round(6)
    array([2. , 0.5, 2.5])
    """
    positive(ridge, "ridge", zero=True)
    table = np.asarray(factors, np.float64)
    if table.ndim != 2 or not table.shape[1]:
        raise DataError(f"factors have shape {table.shape}: expected (steps, factors)")
    bad = np.flatnonzero(~(np.abs(table) <= 1e50).all(axis=1))
    if bad.size:
        raise DataError(f"factors[{int(bad[0])}] are {table[bad[0]]}: expected finite numbers up to 1e50")
    rows = rows_of(offsets, len(table), of="factors")
    totals = np.stack([rows.reduce(np.add, column) for column in table.T], axis=1)
    values = numbers(returns, "returns", length=rows.count, of="response")
    known = ~np.isnan(values) & (rows.lengths > 0)
    if not known.any():
        raise DataError("no return of a response with steps is scored: expected at least one to fit")
    above, wanted = totals[known], values[known]
    # Ridge as further rows of the same least squares: stable where factors are nearly alike.
    penalty = np.sqrt(ridge * len(wanted)) * np.eye(table.shape[1])
    weights = np.linalg.lstsq(np.vstack([above, penalty]), np.append(wanted, np.zeros(len(penalty))), rcond=None)[0]
    rewards = table @ weights
    if exact:
        left = np.where(known, values - rows.reduce(np.add, rewards), 0.0)
        rewards = rewards + rows.spread(left / np.maximum(rows.lengths, 1))
    return rewards, weights


def _share(share: float) -> float:
    if not 0 <= share <= 1:
        raise DataError(f"share is {share!r}: expected a number from 0 to 1")
    return float(share)


def _rewards(rewards: ArrayLike, rows: Rows) -> Floats:
    values = numbers(rewards, "rewards", length=rows.count, of="response")
    lost = np.flatnonzero((rows.lengths == 0) & ~np.isnan(values))
    if lost.size:
        raise DataError(f"row {int(lost[0])} has no token, and the reward {values[lost[0]]}: expected NaN, or a token for it")
    return values


def _with_terminal(spread: Floats, whole: Floats, rows: Rows, share: float) -> Floats:
    if share < 1:
        spread[rows.last] += (1 - share) * whole[rows.lengths > 0]
    return spread
