"""Losses of reward models: pure functions over batched scores, with weights and margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["bradley_terry", "cross_entropy"]
"""What a head is trained on: which of two responses is better, or whether one is good."""

LOSSES: tuple[Loss, ...] = ("bradley_terry", "cross_entropy")


def bradley_terry(chosen: Tensor, rejected: Tensor, margin: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
    """The mean of ``-log sigmoid(chosen - rejected - margin)``.

    Args:
        chosen, rejected: (m,) scores of the better and the worse response of each pair.
        margin: (m,) by how much the better one should be ahead, in units of the score; None = 0.
        weight: (m,) non-negative; the mean is weighted by it; None = 1.

    Source: "Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons".

    >>> import torch
    >>> round(float(bradley_terry(torch.tensor([0.0]), torch.tensor([0.0]))), 4)  # a coin flip: log 2
    0.6931
    """
    from torch.nn.functional import softplus

    ahead = chosen - rejected if margin is None else chosen - rejected - margin
    return weighted_mean(softplus(-ahead), weight)


def cross_entropy(scores: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean binary cross-entropy of ``sigmoid(scores)`` against labels.

    Args:
        scores: (n,) logits.
        labels: (n,) in [0, 1]; between 0 and 1 = the share of people who said yes.
        weight: (n,) non-negative; the mean is weighted by it; None = 1.

    >>> import torch
    >>> round(float(cross_entropy(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))), 4)
    0.6931
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    return weighted_mean(binary_cross_entropy_with_logits(scores, labels, reduction="none"), weight)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of (m,) values by their weights; None = all the same; weights that are all 0 give 0.

    >>> import torch
    >>> float(weighted_mean(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0])))
    1.5
    """
    if weight is None:
        return values.mean()
    total = weight.sum()
    return (values * weight).sum() / total.clamp_min(1e-12)
