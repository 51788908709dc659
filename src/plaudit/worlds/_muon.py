"""Muon: momentum whose matrices are made orthogonal, which trains a tiny model in far fewer steps than Adam does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalised(matrices: Tensor) -> Tensor:
    """(k, m, n) matrices with their singular values brought near 1, by five Newton-Schulz steps in bfloat16.

    >>> import torch
    >>> one = orthogonalised(torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(0)))
    >>> bool((torch.linalg.svdvals(one) - 1).abs().max() < 0.4)
    True
    """
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x = (matrices if wide else matrices.mT).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = (x if wide else x.mT).to(matrices.dtype)
    return result


class Muon:
    """The optimizer of the weight matrices inside a model; embeddings and vectors are left to Adam.

    Fields:
        rate: step size, comparable to AdamW's: updates are scaled to the same size.
        momentum, weight_decay: as in AdamW's decoupled form.

    Source: "Muon is Scalable for LLM Training".
    """

    def __init__(self, parameters: Sequence[Tensor], rate: float, momentum: float = 0.95, weight_decay: float = 0.1) -> None:
        import torch

        self.rate, self.momentum, self.weight_decay = rate, momentum, weight_decay
        # Matrices of one shape are worked on together: on a CPU many small products cost more than a few large ones.
        by_shape: dict[tuple[int, ...], list[Tensor]] = {}
        for parameter in parameters:
            by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
        self.groups = [(group, torch.zeros((len(group), *shape), device=group[0].device)) for shape, group in by_shape.items()]

    def step(self) -> None:
        """Move every matrix along its gradient's momentum."""
        import torch

        with torch.no_grad():
            for group, momentum in self.groups:
                gradient = torch.stack([p.grad if p.grad is not None else torch.zeros_like(p) for p in group])
                momentum.lerp_(gradient, 1 - self.momentum)
                update = orthogonalised(gradient.lerp(momentum, self.momentum))
                update *= 0.2 * max(update.shape[-2:]) ** 0.5
                for parameter, change in zip(group, update, strict=True):
                    parameter.mul_(1 - self.rate * self.weight_decay).sub_(change, alpha=self.rate)
