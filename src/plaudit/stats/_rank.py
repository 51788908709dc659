"""What depends on order alone: ranks, rank correlations, the area under the ROC curve."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.stats._arrays import Floats, booleans, same_length, vector


def ranks(values: ArrayLike) -> Floats:
    """(n,) ranks from 1, smallest first; equal values share the mean of theirs.

    Infinities have their place. Raises DataError for NaN.

    >>> ranks([10, 30, 20, 20])
    array([1. , 4. , 2.5, 2.5])
    """
    _, inverse, counts = np.unique(vector(values, least=0, finite=False), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's correlation of two (n,) arrays; NaN when one of them is constant. Raises DataError for NaN, different lengths.

    >>> round(pearson([1, 2, 3], [2, 4, 7]), 4)
    0.9934
    """
    a, b = vector(x, "x"), vector(y, "y")
    same_length(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    # Scaled first: squares of very large or very small numbers leave the range of floats.
    a, b = (v / np.abs(v).max() for v in (a - a.mean(), b - b.mean()))
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, with ties; NaN when one of the (n,) arrays is constant. Raises DataError for NaN.

    Source: "The Proof and Measurement of Association between Two Things" (Spearman).

    >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4]), 6)
    0.8
    """
    a, b = vector(x, "x", finite=False), vector(y, "y", finite=False)
    same_length(a, b)
    return pearson(ranks(a), ranks(b))


def kendall(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b: (concordant - discordant pairs), corrected for ties; NaN when one of the (n,) arrays is constant.

    Takes O(n log n). Raises DataError for NaN and different lengths.

    Source: "The Treatment of Ties in Ranking Problems" (Kendall); "A Computer Method for Calculating Kendall's Tau with
    Ungrouped Data" (Knight).

    >>> round(kendall([1, 2, 3, 4], [1, 3, 2, 4]), 4)
    0.6667
    """
    a, b = vector(x, "x", finite=False), vector(y, "y", finite=False)
    same_length(a, b)
    rank_a = np.unique(a, return_inverse=True)[1]
    rank_b = np.unique(b, return_inverse=True)[1]
    n = len(a)
    pairs = n * (n - 1) // 2
    tied_a, tied_b = _tied_pairs(rank_a), _tied_pairs(rank_b)
    if pairs in (tied_a, tied_b):
        return math.nan
    tied_both = _tied_pairs(rank_a * (int(rank_b.max()) + 1) + rank_b)
    # In the order of x, and of y where x is tied, a pair is discordant where y falls.
    discordant = _inversions(rank_b[np.lexsort((rank_b, rank_a))])
    difference = pairs - tied_a - tied_b + tied_both - 2 * discordant
    return float(np.clip(difference / math.sqrt(pairs - tied_a) / math.sqrt(pairs - tied_b), -1.0, 1.0))


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """The area under the ROC curve: how often a positive scores above a negative, ties counting half.

    Args:
        scores: (n,) any numbers, infinities included.
        labels: (n,) 0 or 1.

    NaN when there are only positives or only negatives. Raises DataError for NaN and different lengths.

    Source: "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve" (Hanley and McNeil).

    >>> auc([0.1, 0.4, 0.4, 0.8], [0, 1, 0, 1])
    0.875
    """
    s, positive = vector(scores, "scores", finite=False), booleans(labels, "labels")
    same_length(s, positive)
    n1 = int(positive.sum())
    n0 = len(s) - n1
    if not n0 or not n1:
        return math.nan
    return float((ranks(s)[positive].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def _tied_pairs(rank: NDArray[np.intp]) -> int:
    counts = np.unique(rank, return_counts=True)[1].astype(object)  # squares of counts of millions overflow 64 bits in sums
    return int((counts * (counts - 1) // 2).sum())


def _inversions(sequence: NDArray[np.intp]) -> int:
    """Pairs i < j with sequence[i] > sequence[j], for whole numbers from 0.

    Bit by bit from the top: among numbers that agree in the higher bits, a 1 before a 0 is an inversion. The numbers are then put
    in order of the bits seen so far, keeping their order otherwise.
    """
    n = len(sequence)
    total = 0
    values = sequence
    for bit in reversed(range(int(values.max()).bit_length() if n else 0)):
        higher = values >> (bit + 1)
        first = np.flatnonzero(np.r_[True, higher[1:] != higher[:-1]])
        sizes = np.diff(np.r_[first, n])
        ones = (values >> bit) & 1
        ones_before = np.cumsum(ones) - ones
        ones_before -= np.repeat(ones_before[first], sizes)
        total += int(ones_before[ones == 0].sum())
        zeros_in_group = np.repeat(sizes - np.add.reduceat(ones, first), sizes)
        start = np.repeat(first, sizes)
        place = np.where(ones == 1, start + zeros_in_group + ones_before, np.arange(n) - ones_before)
        moved = np.empty_like(values)
        moved[place] = values
        values = moved
    return total
