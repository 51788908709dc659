"""Rewards of tokens from marks on spans, from segments, and from two readings of the same response."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.credit._ragged import Bools, Floats, Ints, Rows, numbers, positive, rows_of, scored_in
from plaudit.credit._tree import ragged_range
from plaudit.errors import DataError


def contrastive_token_rewards(better: ArrayLike, worse: ArrayLike) -> Floats:
    """Rewards of tokens from one model that reads the response as a rewrite for the better, and as one for the worse.

    ``sigmoid(log p_better - log p_worse) - 1/2`` for each token: above 0 where a better response would have it.

    Args:
        better, worse: (n,) log-probabilities of the same tokens under the two instructions, in nats; NaN = not read.

    Returns (n,) in (-1/2, 1/2); NaN where either is.

    Raises DataError for shapes that differ and infinite numbers.

    Source: "T-REG: Preference Optimization with Token-Level Reward Regularization".

    >>> contrastive_token_rewards([-1.0, -3.0], [-1.0, -1.0]).round(3)
    array([ 0.  , -0.381])
    """
    up = numbers(better, "better")
    down = numbers(worse, "worse", length=len(up), of="token")
    # tanh(x / 2) / 2 is sigmoid(x) - 1/2, and exact near 0.
    return 0.5 * np.tanh(0.5 * (up - down))


@dataclass(frozen=True, slots=True, eq=False)
class SpanReport:
    """What became of k spans.

    Fields:
        empty: (k,) bool without a token. overlapping: (k,) bool shares a token with another. used: (k,) bool.
    """

    empty: Bools
    overlapping: Bools
    used: Bools

    @property
    def skipped_share(self) -> float:
        """The share of the spans that were not used; NaN = there are none."""
        return float(1 - self.used.mean()) if len(self.used) else float("nan")


def span_rewards(
    row: ArrayLike,
    start: ArrayLike,
    end: ArrayLike,
    values: ArrayLike,
    offsets: ArrayLike,
    *,
    place: Literal["every", "last", "share"] = "every",
    overlap: Literal["drop", "refuse"] = "drop",
) -> tuple[Floats, SpanReport]:
    """Rewards of tokens from marks on spans: a critic's good ones +1, poor ones -1.

    Args:
        row: (k,) response of each span. start, end: (k,) its tokens in that response, half-open.
        values: (k,) of the spans, any unit; NaN = not scored, its tokens get nothing.
        offsets: (b + 1,) where the tokens of each response begin, and n.
        place: ``"every"`` token of the span gets the value, the ``"last"`` one alone, or each an equal ``"share"``.
        overlap: ``"drop"`` = spans that share a token are all left out, and reported: it cannot be said which is meant.

    Returns (n,) rewards, 0 outside the spans, and what became of the spans.

    Raises DataError for shapes that do not fit, infinite values, a span outside its response (with its number), and with
    ``"refuse"`` for spans that overlap.

    Source: "Text2Grad: Reinforcement Learning from Natural Language Feedback"; "Enhancing Reinforcement Learning with Dense
    Rewards from Language Model Critic" (DRLC).

    >>> span_rewards([0, 0], [0, 2], [1, 4], [1.0, -1.0], [0, 5])[0]
    array([ 1.,  0., -1., -1.,  0.])
    """
    if place not in ("every", "last", "share") or overlap not in ("drop", "refuse"):
        raise DataError(f"place is {place!r}, overlap {overlap!r}: expected 'every', 'last' or 'share', and 'drop' or 'refuse'")
    marks = numbers(values, "values")
    begin, stop, total = _span_places(row, start, end, offsets, len(marks))
    empty, crossing = stop == begin, _overlapping(begin, stop)
    if overlap == "refuse" and crossing.any():
        k = int(np.flatnonzero(crossing)[0])
        raise DataError(f"span {k} shares a token with another: expected spans apart, or overlap='drop'")
    used = ~empty & ~crossing & ~np.isnan(marks)
    begin, lengths, marks = begin[used], (stop - begin)[used], marks[used]
    rewards = np.zeros(total)
    if place == "last":
        rewards[begin + lengths - 1] = marks
    else:
        at = np.repeat(begin, lengths) + ragged_range(lengths)
        rewards[at] = np.repeat(marks / lengths if place == "share" else marks, lengths)
    return rewards, SpanReport(empty, crossing, used)


def end_rewards(row: ArrayLike, last: ArrayLike, values: ArrayLike, offsets: ArrayLike, weights: ArrayLike = 1.0) -> Floats:
    """Rewards of tokens from judgements of several kinds, each at the last token of the unit it judged.

    Relevance of each clause, factuality of each sentence, completeness of the whole: at every token, the sum of
    ``weight * value`` over the units that end there. The whole adds up to the weighted sum of all judgements.

    Args:
        row: (k,) response of each unit. last: (k,) its last token, counted in that response.
        values: (k,) any unit; NaN = not scored, adds nothing. weights: (k,) or one number; often the weight of the unit's kind.
        offsets: (b + 1,) where the tokens of each response begin, and n.

    Returns (n,) rewards.

    Raises DataError for shapes that do not fit, infinite numbers and a unit that ends outside its response.

    Source: "Fine-Grained Human Feedback Gives Better Rewards for Language Model Training".

    >>> end_rewards([0, 0, 0], [1, 3, 3], [0.5, -0.5, 1.0], [0, 4], weights=[1.0, 1.0, 0.5])
    array([0. , 0.5, 0. , 0. ])
    """
    judged = numbers(values, "values")
    if np.ndim(weights) == 0:
        weights = np.full(len(judged), weights)
    factors = numbers(weights, "weights", length=len(judged), of="value", complete=True)
    ends = np.asarray(last)
    begin, _, total = _span_places(row, ends, ends + 1 if ends.dtype.kind in "iu" else ends, offsets, len(judged))
    return np.bincount(begin, np.nan_to_num(judged * factors), minlength=total).astype(np.float64)


def segments_by_entropy(entropy: ArrayLike, offsets: ArrayLike, threshold: float = 1.75) -> tuple[Ints, Ints]:
    """Cut responses behind the tokens after which a language model hesitates.

    Args:
        entropy: (n,) of the model's next-token distribution having read up to and with each token, in nats, finite.
        offsets: (b + 1,) where the tokens of each response begin, and n.
        threshold: in nats; below 0 = every token is a segment, infinite = every response is one.

    Returns (m,) tokens of each segment, and (b + 1,) offsets of the segments of each response; the last token always ends one.

    Raises DataError for entropies that are not finite and offsets that do not fit.

    Source: "Segmenting Text and Learning Their Rewards for Improved RLHF in Language Model".

    >>> segments_by_entropy([0.1, 2.0, 0.1, 0.1], [0, 3, 4])
    (array([2, 1, 1]), array([0, 2, 3]))
    """
    values = numbers(entropy, "entropy", complete=True)
    rows = rows_of(offsets, len(values), of="entropies")
    if np.isnan(threshold):
        raise DataError("threshold is NaN: expected a number of nats")
    ends = values > threshold
    ends[rows.last] = True
    counts = rows.reduce(np.add, ends.astype(np.int64))
    at = np.flatnonzero(ends)
    return np.diff(at, prepend=-1), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class SegmentLocation:
    """Mean and standard deviation of segment scores by relative place p = k / K: ``slope * log(p) + level``.

    Fields:
        mean_slope, mean_level, std_slope, std_level: in the unit of the scores.
    """

    mean_slope: float
    mean_level: float
    std_slope: float
    std_level: float


def fit_location(scores: ArrayLike, offsets: ArrayLike, bins: int = 20) -> SegmentLocation:
    """How the scores of segments depend on their place, fitted so that odd places weigh little.

    The segments are put in `bins` bins of equal number by p; the mean and standard deviation of each bin are regressed on its
    mean ``log p`` with Huber's loss (corner at 1.345 robust standard deviations of the residuals).

    Args:
        scores: (n,) of the segments of good responses; NaN = not scored. offsets: (b + 1,) where each response's begin, and n.
        bins: at least 2.

    Raises DataError when fewer than 2 * bins segments are scored or all have the same place, and for bad arrays.

    Source: "Segmenting Text and Learning Their Rewards for Improved RLHF in Language Model".

    >>> location = fit_location(np.tile([0.0, 1.0, 2.0, 3.0], 50), np.arange(0, 201, 4), bins=4)
    >>> location.mean_slope > 0 and abs(location.std_level) < 1e-9
    True
    """
    if not isinstance(bins, int) or bins < 2:
        raise DataError(f"bins is {bins!r}: expected an integer from 2 on")
    values = numbers(scores, "scores")
    log_place = _log_place(rows_of(offsets, len(values), of="scores"))
    known = ~np.isnan(values)
    x, y = log_place[known], values[known]
    if len(x) < 2 * bins or np.ptp(x) == 0:
        raise DataError(f"{len(x)} segments at {len(np.unique(x))} places: expected {2 * bins} or more, at two or more")
    order = np.argsort(x, kind="stable")
    edges = np.linspace(0, len(x), bins + 1).astype(np.int64)
    # Segments of the same place stay together, in the bin in which the first of them falls.
    edges = np.unique(np.append(np.searchsorted(x[order], x[order][edges[:-1]]), len(x)))
    pieces = [order[a:b] for a, b in pairwise(edges.tolist()) if b - a > 1]
    if len(pieces) < 2:
        raise DataError("the segments fall in fewer than two bins of two or more: expected scores at more places")
    middle = np.array([x[piece].mean() for piece in pieces])
    mean_line = _huber_line(middle, np.array([y[piece].mean() for piece in pieces]))
    std_line = _huber_line(middle, np.array([y[piece].std(ddof=1) for piece in pieces]))
    return SegmentLocation(*mean_line, *std_line)


def normalize_location(scores: ArrayLike, offsets: ArrayLike, location: SegmentLocation, smallest: float = 1e-3) -> Floats:
    """Scores of segments less the mean of their place, divided by its standard deviation.

    Args:
        scores: (n,) of the segments; NaN = not scored. offsets: (b + 1,) where each response's begin, and n.
        location: from `fit_location`. smallest: what a standard deviation is raised to where the line falls below it.

    Returns (n,) without unit; NaN where there is no score. `steps_to_tokens` with ``"every"`` places them.

    Raises DataError for bad arrays, and a `smallest` that is not above 0.

    Source: "Segmenting Text and Learning Their Rewards for Improved RLHF in Language Model".

    >>> normalize_location([1.0, 3.0], [0, 2], SegmentLocation(0.0, 1.0, 0.0, 2.0))
    array([0., 1.])
    """
    positive(smallest, "smallest")
    scored = scored_in(scores, offsets, "scores")
    place = _log_place(rows_of(offsets, np.size(scores)))[scored.places]
    mean = location.mean_slope * place + location.mean_level
    std = np.maximum(location.std_slope * place + location.std_level, smallest)
    return scored.restore((scored.values - mean) / std)


def _log_place(rows: Rows) -> Floats:
    found: Floats = np.log((rows.place + 1) / rows.spread(rows.lengths))
    return found


def _huber_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and level by iteratively reweighted least squares."""
    weights = np.ones(len(x))
    slope = level = 0.0
    for _ in range(50):
        centre_x, centre_y = np.average(x, weights=weights), np.average(y, weights=weights)
        slope = float((weights * (x - centre_x) * (y - centre_y)).sum() / (weights * (x - centre_x) ** 2).sum())
        level = float(centre_y - slope * centre_x)
        residual = np.abs(y - slope * x - level)
        corner = 1.345 * 1.4826 * float(np.median(residual))
        if corner <= 0:
            break
        weights = np.minimum(1.0, corner / np.maximum(residual, corner))
    return slope, level


def _span_places(row: ArrayLike, start: ArrayLike, end: ArrayLike, offsets: ArrayLike, k: int) -> tuple[Ints, Ints, int]:
    """Begin and end of each span in the whole batch, and the tokens of the batch."""
    starts = np.asarray(offsets)
    rows = rows_of(offsets, int(starts[-1]) if starts.ndim == 1 and len(starts) and starts.dtype.kind in "iu" else 0)
    columns: list[NDArray[np.int64]] = []
    for name, column in (("row", row), ("start", start), ("end", end)):
        array = np.asarray(column)
        if array.shape != (k,) or (k and array.dtype.kind not in "iu"):
            raise DataError(f"{name} has shape {array.shape} and type {array.dtype}: expected ({k},) integers, one a span")
        columns.append(array.astype(np.int64))
    of, begin, stop = columns
    bad = np.flatnonzero((of < 0) | (of >= rows.count))
    if bad.size:
        raise DataError(f"span {int(bad[0])} is in response {of[bad[0]]}: expected 0 to {rows.count - 1}")
    bad = np.flatnonzero((begin < 0) | (stop < begin) | (stop > rows.lengths[of]))
    if bad.size:
        i = int(bad[0])
        raise DataError(f"span {i} is {begin[i]} to {stop[i]} in response {of[i]}, which has {rows.lengths[of[i]]} tokens")
    return rows.offsets[of] + begin, rows.offsets[of] + stop, rows.size


def _overlapping(begin: Ints, stop: Ints) -> Bools:
    """(k,) whether a span shares a token with another."""
    found = np.zeros(len(begin), np.bool_)
    some = np.flatnonzero(stop > begin)
    order = some[np.argsort(begin[some], kind="stable")]
    if len(order) > 1:
        reach = np.maximum.accumulate(stop[order])
        found[order[1:]] |= begin[order[1:]] < reach[:-1]
        found[order[:-1]] |= begin[order[1:]] < stop[order[:-1]]
    return found
