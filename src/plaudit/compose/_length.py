"""Length and efficiency: penalties that are judged against the group's own right answers, and never pay for being wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.compose._grouped import GroupNumber, group_combined, group_mean, group_rows, group_std, index_of
from plaudit.compose._parts import GROUP, Floats, Mask, bounded, checked_number, facts_with, floats
from plaudit.compose._sources import ResponseLength
from plaudit.errors import ContractError, DataError
from plaudit.reward import Combinator, Facts, Reward
from plaudit.types import SCORED, Verdicts


def length_aware(
    correct: ArrayLike, lengths: ArrayLike, groups: Sequence[Any] | NDArray[Any], *, alpha: float = 0.2,
    min_accuracy: float = 0.5, top_share: float | None = None,
) -> Floats:  # fmt: skip
    """Correctness, made smaller for length in those groups alone that are mostly right.

    In such a group a right answer earns ``c (1 - alpha sigmoid((length - m) / s))``, with the mean m and standard deviation s
    of the lengths of the group's right answers; everywhere else, and for wrong answers, it is c. So a wrong answer never
    gains by being short, and a policy that is still mostly wrong is not pushed to think less.

    Args:
        correct: (n,) rewards in [0, 1], right from 0.5 on; NaN = not scored, enters neither accuracy nor lengths.
        lengths: (n,) >= 0; NaN = unknown, not penalised.
        groups: (n,) labels.
        alpha: in [0, 1]; the largest share of the reward that length takes.
        min_accuracy: the share of right answers from which a group counts as mostly right.
        top_share: instead of `min_accuracy`: the share of the groups, those with the highest accuracy among the groups with a
            right answer, in (0, 1]; rounded down, equal accuracies all in or all out. None = by `min_accuracy`.

    Returns (n,) float64. Raises DataError for shapes, infinities or numbers outside these.
    Source: "Stable Reinforcement Learning for Efficient Reasoning" (GRPO-λ).

    >>> length_aware([1, 1, 0, 0, 0, 1], [10, 30, 20, 10, 20, 30], ["a", "a", "a", "b", "b", "b"], alpha=0.5).round(3)
    array([0.866, 0.634, 0.   , 0.   , 0.   , 1.   ])
    """
    c = floats("correct", correct)
    n_of = floats("lengths", lengths, len(c))
    index = group_rows(groups, len(c))
    if ((c < 0) | (c > 1)).any() or (n_of < 0).any() or not 0 <= alpha <= 1:
        raise DataError(f"length_aware: expected correct and alpha in [0, 1] and lengths >= 0; alpha is {alpha}")
    if not 0 <= min_accuracy <= 1 or (top_share is not None and not 0 < top_share <= 1):
        raise DataError(f"length_aware: min_accuracy is {min_accuracy}, top_share {top_share}: expected shares")
    scored, right = ~np.isnan(c), c >= 0.5
    accuracy = group_mean(right.astype(np.float64), index, scored)
    counted = right & ~np.isnan(n_of)
    center, spread = group_mean(n_of, index, counted), group_std(np.where(counted, n_of, 0.0), index, counted)
    pressed = _pressed(accuracy, index, min_accuracy, top_share)
    distance = np.where(spread > 0, (n_of - center) / np.where(spread > 0, spread, 1.0), 0.0)
    factor = 1.0 - alpha * (1.0 + np.tanh(distance / 2)) / 2
    return np.where(pressed & counted, c * factor, c)


def _pressed(accuracy: Floats, index: NDArray[np.intp], min_accuracy: float, top_share: float | None) -> Mask:
    """(n,) whether the sample's group is one in which length counts; never one without a right answer."""
    some = np.nan_to_num(accuracy) > 0
    if top_share is None:
        return np.asarray(some & (accuracy >= min_accuracy))
    _, first = np.unique(index, return_index=True)
    each = np.sort(np.nan_to_num(accuracy[first]))[::-1]
    taken = int(np.floor(top_share * len(each) + 1e-9))
    if taken == 0:
        return np.zeros(len(index), dtype=bool)
    # Ties at the edge: all in where the next group is worse, else all of that accuracy out.
    edge = each[taken - 1]
    tied_out = taken < len(each) and each[taken] == edge
    return np.asarray(some & (accuracy > edge if tied_out else accuracy >= edge))


def length_band(
    correct: ArrayLike, lengths: ArrayLike, groups: Sequence[Any] | NDArray[Any], *, tolerance: float = 0.5, limit: float = 1.0
) -> Floats:
    """A cost for lengths far from those of the group's right answers, in either direction.

    ``-limit min(1, max(0, |length - L| / L - tolerance))`` with L the mean length of the group's right answers; 0 in a group
    without one. Neither brevity nor padding pays.

    Args:
        correct: (n,) rewards, right from 0.5 on; NaN = not scored.
        lengths: (n,) >= 0; NaN = unknown, costs nothing and enters no mean.
        groups: (n,) labels.
        tolerance: relative distance that is free.
        limit: the largest cost, >= 0.

    Returns (n,) float64 in [-limit, 0]. Raises DataError for shapes, infinities or negative numbers.
    Source: "HARMO" (hybrid and multi-aspect rewards for multimodal models); the form of the band is ours.

    >>> length_band([1, 0, 0], [100, 20, 400], ["a", "a", "a"])
    array([ 0. , -0.3, -1. ])
    """
    c = floats("correct", correct)
    n_of = floats("lengths", lengths, len(c))
    index = group_rows(groups, len(c))
    if (n_of < 0).any() or not tolerance >= 0 or not limit >= 0:
        raise DataError(f"length_band: expected lengths, tolerance and limit >= 0; got {tolerance} and {limit}")
    counted = (c >= 0.5) & ~np.isnan(n_of)
    center = group_mean(n_of, index, counted)
    known = ~np.isnan(n_of) & (np.nan_to_num(center) > 0)
    distance = np.abs(n_of - center) / np.where(known, center, 1.0)
    cost = -limit * np.clip(distance - tolerance, 0.0, 1.0)
    return np.where(known, cost, 0.0) + 0.0


class _Lengths(Combinator):
    """What both rewards of this file take: correctness, a length, and the group."""

    correct: Reward
    length: Reward

    def operands(self) -> Mapping[str, Reward]:
        """``correct``, ``length`` and the group."""
        return {"correct": self.correct, "length": self.length, GROUP: GroupNumber()}

    def _columns(self, operands: Mapping[str, Verdicts]) -> tuple[Floats, Floats, NDArray[np.intp], Mask]:
        correct, length = operands["correct"], operands["length"]
        return correct.values, np.maximum(length.values, 0.0), index_of(operands[GROUP]), correct.codes == SCORED


@dataclass(frozen=True)
class LengthAware(_Lengths):
    """Correctness that is worth less for long answers, but only in groups that are mostly right. See `length_aware`.

    A penalty that is always on collapses the length of a policy that is still mostly wrong, and its accuracy with it.

    Fields:
        correct: a reward in [0, 1]; from 0.5 on the answer is right.
        length: a quantity >= 0, such as ``ResponseLength("tokens")``. Where it abstains, there is no penalty.
        alpha: the largest share of the reward that length takes, in [0, 1].
        min_accuracy: the share of right answers from which a group counts as mostly right.
        top_share: None = by `min_accuracy`; a number makes it the best share of the groups in the batch, as published; the
            value then depends on the whole batch (scope "batch").

    ABSTAINED where `correct` is; FAILED where `correct` or `length` is; an incomplete group is FAILED ``group_incomplete``.
    Raises ContractError for numbers outside these or a `correct` that may leave [0, 1].
    Source: "Stable Reinforcement Learning for Efficient Reasoning" (GRPO-λ).

    >>> from plaudit import Sample
    >>> from plaudit.verify import Exact
    >>> brief = LengthAware(Exact(), ResponseLength("characters"), alpha=0.5)
    >>> brief([Sample("2+2", "4", "4"), Sample("2+2", " 4 ", "4"), Sample("2+2", "5", "4")]).round(3)
    array([0.866, 0.634, 0.   ])
    """

    correct: Reward
    length: Reward = field(default_factory=ResponseLength)
    alpha: float = 0.2
    min_accuracy: float = 0.5
    top_share: float | None = None

    example: ClassVar[Mapping[str, Any]] = {
        "correct": {"use": "verify.exact"},
        "length": {"use": "compose.response_length", "unit": "characters"},
    }

    def __post_init__(self) -> None:
        bounded("compose.length_aware", self.correct, 0.0, 1.0)
        bounded("compose.length_aware", self.length, low=0.0)
        for name in ("alpha", "min_accuracy"):
            checked_number("compose.length_aware", name, getattr(self, name), 0.0, 1.0)
        if self.top_share is not None and not 0 < self.top_share <= 1:
            raise ContractError(f"compose.length_aware: top_share is {self.top_share}: expected a number in (0, 1], or None")

    @property
    def facts(self) -> Facts:
        """The range of `correct` down to 0; group scope, batch scope with `top_share`."""
        _, top = bounded("compose.length_aware", self.correct)
        return facts_with(self.operands(), (0.0, top), (77,), "batch" if self.top_share is not None else None)

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of correctness with its length taken off."""
        correct, lengths, index, scored = self._columns(operands)
        value = length_aware(
            np.clip(correct, 0.0, 1.0), lengths, index, alpha=self.alpha, min_accuracy=self.min_accuracy, top_share=self.top_share
        )  # fmt: skip
        return group_combined(operands, value, scored)


@dataclass(frozen=True)
class LengthBand(_Lengths):
    """A cost in [-limit, 0] for lengths far from those of the group's own right answers. See `length_band`.

    Add it to correctness: it keeps a policy from drifting to short answers as much as from padding.

    Fields:
        correct: a reward; from 0.5 on the answer is right.
        length: a quantity >= 0; where it abstains, there is no cost.
        tolerance: relative distance from the mean length of right answers that is free.
        limit: the largest cost.

    ABSTAINED where `correct` is; FAILED where `correct` or `length` is; an incomplete group is FAILED ``group_incomplete``.
    Raises ContractError for negative numbers.
    Source: "HARMO" (hybrid and multi-aspect rewards for multimodal models); the form of the band is ours.

    >>> from plaudit import Sample
    >>> from plaudit.verify import Exact
    >>> band = LengthBand(Exact(), ResponseLength("characters"))
    >>> band([Sample("2+2", "4", "4"), Sample("2+2", "5", "4"), Sample("2+2", "maybe 5", "4")])
    array([ 0.,  0., -1.])
    """

    correct: Reward
    length: Reward = field(default_factory=ResponseLength)
    tolerance: float = 0.5
    limit: float = 1.0

    example: ClassVar[Mapping[str, Any]] = {
        "correct": {"use": "verify.exact"},
        "length": {"use": "compose.response_length", "unit": "characters"},
    }

    def __post_init__(self) -> None:
        bounded("compose.length_band", self.length, low=0.0)
        for name in ("tolerance", "limit"):
            checked_number("compose.length_band", name, getattr(self, name), low=0.0)

    @property
    def facts(self) -> Facts:
        """Range (-limit, 0); group scope."""
        return facts_with(self.operands(), (-self.limit, 0.0), (199,))

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        """Columns of the cost."""
        correct, lengths, index, scored = self._columns(operands)
        return group_combined(operands, length_band(correct, lengths, index, tolerance=self.tolerance, limit=self.limit), scored)
