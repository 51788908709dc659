"""Whether confidences mean what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError
from plaudit.stats._arrays import Floats, booleans, same_length, vector

Binning = Literal["width", "mass"]

_MOST_BINS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityBins:
    """A reliability diagram: confidences in bins, with how often they were right.

    Fields:
        low, high: (bins,) the edges; of "mass" bins the smallest and largest confidence in them.
        count: (bins,) how many are in each.
        confidence: (bins,) their mean confidence; NaN in an empty bin.
        accuracy: (bins,) the share of them that is right; NaN in an empty bin.
    """

    low: Floats
    high: Floats
    count: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats


class BrierParts(NamedTuple):
    """The Brier score and what it is made of: ``score = reliability - resolution + uncertainty + within``.

    Fields:
        score: the mean squared distance of confidence and outcome; 0 is perfect.
        reliability: how far the bins' confidences are from their accuracies; 0 is calibrated.
        resolution: how far the bins' accuracies are from the overall one; more is better.
        uncertainty: the variance of the outcome, which no forecast changes.
        within: what the binning hides; 0 when each distinct confidence has its own bin.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def reliability_bins(confidence: ArrayLike, right: ArrayLike, bins: int = 10, by: Binning = "width") -> ReliabilityBins:
    """Confidences in bins.

    Args:
        confidence: (n,) probabilities.
        right: (n,) 0 or 1.
        bins: how many.
        by: "width": bins of equal width over 0 to 1, closed on the right, 0 in the first; "mass": of as equal counts as can be,
            in the order of confidence. Equal confidences stay in one bin, so that the order of the rows does not matter; bins
            may then be fewer.

    Raises DataError for numbers outside these, NaN, different lengths.

    Source: "On Calibration of Modern Neural Networks" (Guo et al.).

    >>> bins = reliability_bins([0.1, 0.2, 0.9, 0.8], [0, 0, 1, 0], bins=2)
    >>> bins.count.tolist(), bins.accuracy.tolist()
    ([2, 2], [0.0, 0.5])
    """
    c, outcome = _checked(confidence, right)
    if not 1 <= bins <= _MOST_BINS:
        raise DataError(f"bins is {bins}: expected a number from 1 to {_MOST_BINS}")
    if by == "width":
        edges = np.linspace(0.0, 1.0, bins + 1)
        place = np.clip(np.searchsorted(edges, c, side="left") - 1, 0, bins - 1)
        count, mean, accuracy = _means(place, bins, c, outcome)
        return ReliabilityBins(edges[:-1], edges[1:], count, mean, accuracy)
    if by != "mass":
        raise DataError(f"by is {by!r}: expected 'width' or 'mass'")
    place = _equal_mass(c, bins)
    n_bins = int(place.max()) + 1
    count, mean, accuracy = _means(place, n_bins, c, outcome)
    low, high = np.full(n_bins, math.inf), np.full(n_bins, -math.inf)
    np.minimum.at(low, place, c)
    np.maximum.at(high, place, c)
    return ReliabilityBins(low, high, count, mean, accuracy)


def calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 10, by: Binning = "width") -> float:
    """The expected calibration error (ECE): the mean distance of confidence and accuracy over bins, weighted by their counts.

    Args as for `reliability_bins`. It is biased upwards for few rows in many bins. Raises DataError as there.

    Source: "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (Naeini et al.).

    >>> round(calibration_error([0.1, 0.2, 0.9, 0.8], [0, 0, 1, 0], bins=2), 3)
    0.25
    """
    found = reliability_bins(confidence, right, bins, by)
    full = found.count > 0
    gaps = np.abs(found.confidence[full] - found.accuracy[full])
    return float((gaps * found.count[full]).sum() / found.count.sum())


def brier_score(confidence: ArrayLike, right: ArrayLike) -> float:
    """The mean squared distance of (n,) probabilities and (n,) outcomes 0 or 1; 0 is perfect. Raises DataError for NaN.

    Source: "Verification of Forecasts Expressed in Terms of Probability" (Brier).

    >>> brier_score([1.0, 0.5], [1, 0])
    0.125
    """
    c, outcome = _checked(confidence, right)
    return float(((c - outcome) ** 2).mean())


def brier_parts(confidence: ArrayLike, right: ArrayLike, bins: int | None = None, by: Binning = "width") -> BrierParts:
    """The Brier score taken apart into reliability, resolution and uncertainty.

    Args:
        confidence, right, by: as for `reliability_bins`.
        bins: how many; None = one for each distinct confidence, in which case nothing is hidden within bins.

    Raises DataError as `reliability_bins` does.

    Source: "A New Vector Partition of the Probability Score" (Murphy); "Two Extra Components in the Brier Score Decomposition"
    (Stephenson et al.) for what is within bins.

    >>> parts = brier_parts([0.5, 0.5, 1.0, 1.0], [0, 1, 1, 1])
    >>> parts.score, parts.reliability, parts.resolution, parts.uncertainty
    (0.125, 0.0, 0.0625, 0.1875)
    """
    c, outcome = _checked(confidence, right)
    if bins is None:
        place = np.unique(c, return_inverse=True)[1]
        count, mean, accuracy = _means(place, int(place.max()) + 1, c, outcome)
    else:
        found = reliability_bins(c, outcome, bins, by)
        full = found.count > 0
        count, mean, accuracy = found.count[full], found.confidence[full], found.accuracy[full]
    weight = count / count.sum()
    overall = float(outcome.mean())
    score = float(((c - outcome) ** 2).mean())
    reliability = float((weight * (mean - accuracy) ** 2).sum())
    resolution = float((weight * (accuracy - overall) ** 2).sum())
    uncertainty = overall * (1 - overall)
    within = 0.0 if bins is None else score - (reliability - resolution + uncertainty)
    return BrierParts(score, reliability, resolution, uncertainty, within)


def _checked(confidence: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    c, outcome = vector(confidence, "confidence"), booleans(right, "right").astype(np.float64)
    same_length(c, outcome)
    if ((c < 0) | (c > 1)).any():
        raise DataError(f"confidence holds {float(c[(c < 0) | (c > 1)][0]):g}: expected probabilities from 0 to 1")
    return c, outcome


def _means(place: NDArray[np.intp], bins: int, confidence: Floats, outcome: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(place, values, bins) / count for values in (confidence, outcome)]
    return count, sums[0], sums[1]


def _equal_mass(confidence: Floats, bins: int) -> NDArray[np.intp]:
    """(n,) the bin of each: cut at equal counts, a run of equal confidences going where its middle would."""
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    bin_of_value = np.minimum((middle * bins / len(confidence)).astype(np.intp), bins - 1)
    # Bins that got nothing are left out.
    return np.asarray(np.unique(bin_of_value, return_inverse=True)[1][inverse], dtype=np.intp)
