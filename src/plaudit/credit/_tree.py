"""Values of prefixes: the responses of a group as a tree of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._group import GroupReport, group_advantage
from plaudit.credit._ragged import Bools, Floats, Ints, Rows, numbers, rows_of
from plaudit.errors import DataError


def prefix_values(
    tokens: ArrayLike, offsets: ArrayLike, rewards: ArrayLike, groups: Sequence[Any] | NDArray[Any]
) -> tuple[Floats, GroupReport]:
    """The mean reward of the responses of the group that begin with the same tokens, up to and with each token.

    Time grows linearly with the tokens; responses are compared whole, so no two prefixes are taken for one another.

    Args:
        tokens: (n,) ids from 0 to 2**32 - 1, as sampled. offsets: (b + 1,) where each response begins, and n.
        rewards: (b,) any unit; NaN = not scored: enters no value. groups: (b,) labels.

    Returns (n,) values in the unit of the rewards: the response's own reward from the token on where it leaves all others; NaN
    = no response that begins like this is scored. And the report: its `mean` is the value before the first token.

    Raises DataError for shapes that do not fit, infinite rewards and ids outside their range.

    Source: "Exploiting Tree Structure for Credit Assignment in RL Training of LLMs" (TEMPO).

    >>> prefix_values([5, 7, 5, 8, 6], [0, 2, 4, 5], [1.0, 0.0, 0.0], ["a", "a", "a"])[0]
    array([0.5, 1. , 0.5, 0. , 0. ])
    """
    ids, rows, values = _checked(tokens, offsets, rewards)
    _, report = group_advantage(values, groups, "mean")
    order = _sorted(ids, rows, report.index)
    found = rows.spread(values)
    here, node, passing = _shared(ids, rows, report.index, order)
    if here.size:
        reward = values[passing]
        scored = ~np.isnan(reward)
        count = np.bincount(node, scored)
        total = np.bincount(node, np.where(scored, reward, 0.0))
        mean = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        found[here] = mean[node]
    return found, report


def tree_advantage(
    tokens: ArrayLike,
    offsets: ArrayLike,
    rewards: ArrayLike,
    groups: Sequence[Any] | NDArray[Any],
    *,
    discount: float = 1.0,
    epsilon: float = 1e-6,
) -> tuple[Floats, GroupReport]:
    """Advantages of tokens: the response's own in its group, and at forks the jump of the value of the prefix.

    With V the value of a prefix (`prefix_values`), token t gets ``(r - mean + discount * V(with t) - V(before t)) / (std +
    epsilon)``. The jumps of a response add up to ``V(whole) - mean``, which is ``r - mean`` unless another response begins with
    all of it; where nothing is shared after the first token, tokens from the second on get exactly GRPO's advantage.

    Args:
        tokens, offsets, rewards, groups: as for `prefix_values`. discount: in [0, 1]; epsilon: in the unit of the rewards.

    Returns (n,) advantages, NaN where the response is not scored, 0 throughout a group without variance; and the report.

    Raises DataError as `prefix_values`, and for a discount outside [0, 1].

    Source: "Exploiting Tree Structure for Credit Assignment in RL Training of LLMs" (TEMPO).

    >>> tree_advantage([5, 7, 5, 8], [0, 2, 4], [1.0, 0.0], ["a", "a"], epsilon=0)[0].round(3)
    array([ 0.707,  1.414, -0.707, -1.414])
    """
    if not 0 <= discount <= 1 or not epsilon >= 0:
        raise DataError(f"discount is {discount!r}, epsilon {epsilon!r}: expected a number from 0 to 1, and one from 0 on")
    after, report = prefix_values(tokens, offsets, rewards, groups)
    rows = rows_of(offsets, len(after), of="tokens")
    before = rows.shifted(after, -1, 0.0)
    has = rows.lengths > 0
    before[rows.offsets[:-1][has]] = report.mean[report.index][has]
    values = np.asarray(rewards, np.float64)
    centred = rows.spread(values - report.mean[report.index])
    below = rows.spread(report.std[report.index]) + epsilon
    raised = centred + discount * after - before
    found = np.divide(raised, below, out=np.zeros_like(raised), where=below > 0)
    found[rows.spread(report.flat_samples)] = 0.0
    found[rows.spread(np.isnan(values))] = np.nan
    return found, report


def _checked(tokens: ArrayLike, offsets: ArrayLike, rewards: ArrayLike) -> tuple[NDArray[np.uint32], Rows, Floats]:
    ids = np.asarray(tokens)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise DataError(f"tokens have shape {ids.shape} and type {ids.dtype}: expected (n,) integers")
    rows = rows_of(offsets, len(ids), of="tokens")
    if ids.size and (ids.min() < 0 or ids.max() >= 2**32):
        at = int(np.flatnonzero((ids < 0) | (ids >= 2**32))[0])
        raise DataError(f"tokens[{at}] (row {rows.row[at]}) is {ids[at]}: expected an id from 0 to 2**32 - 1")
    return ids.astype(np.uint32), rows, numbers(rewards, "rewards", length=rows.count, of="response")


def _sorted(ids: NDArray[np.uint32], rows: Rows, group: Ints) -> Ints:
    """(b,) the responses by group, and in a group by their tokens: those that share a prefix become neighbours."""
    # Bytes with the highest first compare as the tokens do; one comparison in C for each pair of responses.
    text = ids.astype(">u4").tobytes()
    ends = (4 * rows.offsets).tolist()
    keys = [text[begin:end] for begin, end in pairwise(ends)]
    labels = group.tolist()
    return np.array(sorted(range(rows.count), key=lambda i: (labels[i], keys[i])), np.int64)


def _shared(ids: NDArray[np.uint32], rows: Rows, group: Ints, order: Ints) -> tuple[Ints, Ints, Ints]:
    """The tokens at which a response still goes with another: (m,) their index, number of their prefix, and response."""
    lengths = rows.lengths[order]
    common = _common(ids, rows, group, order)
    # A response goes with its neighbours as far as the longer of the two prefixes that it shares with them.
    together = np.maximum(common[:-1], common[1:]) if len(order) else lengths
    place = ragged_range(together)
    at = np.repeat(rows.offsets[order], together) + place
    new = place >= np.repeat(common[:-1], together)
    depth = place.astype(np.uint16) if together.max(initial=0) < 2**16 else place
    # At one depth, a prefix is a run of neighbours, each of which shares it with the one before.
    by_depth = np.argsort(depth, kind="stable")
    node = np.empty(len(at), np.int64)
    node[by_depth] = np.cumsum(new[by_depth]) - 1
    return at, node, np.repeat(order, together)


def _common(ids: NDArray[np.uint32], rows: Rows, group: Ints, order: Ints) -> Ints:
    """(b + 1,) tokens that each response shares with the one before it in order; 0 at both ends."""
    common = np.zeros(len(order) + 1, np.int64)
    if len(order) < 2:
        return common
    first, second = order[:-1], order[1:]
    limit = np.where(group[first] == group[second], np.minimum(rows.lengths[first], rows.lengths[second]), 0)
    found, open_pairs, width = np.zeros(len(limit), np.int64), np.flatnonzero(limit), 8
    while open_pairs.size:
        # Most pairs part early: look at ever wider pieces of those that have not.
        take = np.minimum(width, limit[open_pairs] - found[open_pairs])
        step = ragged_range(take)
        base = np.repeat(found[open_pairs], take) + step
        left, right = (ids[np.repeat(rows.offsets[side[open_pairs]], take) + base] for side in (first, second))
        starts = np.cumsum(take) - take
        same = np.minimum.reduceat(np.where(left == right, np.repeat(take, take), step), starts)
        found[open_pairs] += same
        on: Bools = (same == take) & (found[open_pairs] < limit[open_pairs])
        open_pairs, width = open_pairs[on], width * 2
    common[1:-1] = found
    return common


def ragged_range(lengths: Ints) -> Ints:
    """0, 1, … up to each length, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64) - np.repeat(ends - lengths, lengths)
