"""Heads: small networks from features to a score, as a description, weights by name, and a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import SpecError
from plaudit.learned._rows import FeatureRows, token_places

if TYPE_CHECKING:
    from torch import Tensor

HeadKind = Literal["linear", "mlp", "gated_linear", "soft_minimum"]
HEADS: tuple[HeadKind, ...] = get_args(HeadKind)

_ON_TOKENS = ("gated_linear", "soft_minimum")
_LEAST_GATE = 1e-8
_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Head:
    """Which network turns features into a score.

    Fields:
        kind: on each response as a whole (the mean over its tokens, and what is known of the whole): ``"linear"``, or
            ``"mlp"`` with one hidden layer. On each token: ``"gated_linear"`` gives a gate g and a reward r to every token,
            and the score is their gated mean, the sum of sigmoid(g) r over the sum of sigmoid(g) (ELHSR);
            ``"soft_minimum"`` gives a reward r to every token, and the score is -log of the sum of exp(-r): a response is
            about as good as its worst token.
        hidden: units of the hidden layer: of the MLP; on tokens, of a layer before gate and reward (0 = none).

    Raises SpecError for another kind or a number of units that it cannot have.
    Source: "Mining Intrinsic Rewards from LLM Hidden States for Efficient Best-of-N Sampling" (SWIFT, before it ELHSR) for
    ``gated_linear``; "Reusing Embeddings: Reproducible Reward Model Research in Large Language Model Alignment without GPUs"
    for ``linear`` and ``mlp`` on embeddings.

    >>> Head("mlp").hidden, Head("gated_linear").hidden
    (64, 0)
    """

    kind: HeadKind = "mlp"
    hidden: int = -1

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise SpecError(f"head is {self.kind!r}: expected one of {', '.join(HEADS)}")
        if self.hidden == -1:
            object.__setattr__(self, "hidden", 64 if self.kind == "mlp" else 0)
        least, most = (1 if self.kind == "mlp" else 0), (0 if self.kind == "linear" else 4096)
        if type(self.hidden) is not int or not least <= self.hidden <= most:
            raise SpecError(f"head {self.kind}: hidden is {self.hidden!r}: expected a whole number from {least} to {most}")

    @property
    def on_tokens(self) -> bool:
        """Whether it reads every token; else the response as a whole."""
        return self.kind in _ON_TOKENS

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for a token or a response."""
        return 2 if self.kind == "gated_linear" else 1

    def shapes(self, widths: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """The weights by name with their shapes, for features of these widths (of a token, of a whole response).

        Raises SpecError when the head needs tokens and the features have none.

        >>> Head("gated_linear").shapes((4, 0))
        {'mean': (4,), 'scale': (4,), 'out.weight': (2, 4), 'out.bias': (2,)}
        """
        if self.on_tokens and widths[0] == 0:
            raise SpecError(f"head {self.kind} reads tokens, and these features know whole responses only: use linear or mlp")
        width = widths[0] if self.on_tokens else sum(widths)
        shapes: dict[str, tuple[int, ...]] = {"mean": (width,), "scale": (width,)}
        if self.hidden:
            shapes |= {"in.weight": (self.hidden, width), "in.bias": (self.hidden,)}
            width = self.hidden
        return shapes | {"out.weight": (self.outputs, width), "out.bias": (self.outputs,)}


class Inputs(NamedTuple):
    """What a head reads of a batch: vectors (n, w) of responses or tokens; `place` puts token k into row and column of (n, most).

    `ready` vectors have been normalised before.
    """

    vectors: Tensor
    place: tuple[Tensor, Tensor] | None
    shape: tuple[int, int]
    ready: bool = False


def first_weights(head: Head, rows: FeatureRows, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights before training: normalisation by the rows' own mean and standard deviation, small random layers.

    A number that never changes in the rows has scale 0: it is left out instead of blown up.
    """
    random = np.random.default_rng(seed)
    values = rows.tokens if head.on_tokens else rows.vectors()
    weights: dict[str, NDArray[np.float32]] = {}
    for name, shape in head.shapes(rows.widths).items():
        if name.endswith("weight"):
            # Small: training starts from scores that are all about the same, and from a network that is almost linear.
            spread = _SPREAD / np.sqrt(shape[1])
            weights[name] = (random.standard_normal(shape) * spread).astype(np.float32)
        else:
            weights[name] = np.zeros(shape, np.float32)
    mean, deviation = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    weights["mean"] = mean.astype(np.float32)
    weights["scale"] = np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0).astype(np.float32)
    return weights


def inputs_of(head: Head, rows: FeatureRows) -> Inputs:
    """The rows as a head reads them."""
    import torch

    if not head.on_tokens:
        vectors = rows.vectors()
        return Inputs(torch.from_numpy(vectors), None, (len(rows), 1))
    row, column = _cells(rows.lengths)
    return Inputs(torch.from_numpy(rows.tokens), (row, column), (len(rows), int(rows.lengths.max(initial=1))))


def normalised(inputs: Inputs, weights: Mapping[str, Tensor]) -> Inputs:
    """The same inputs, normalised once for a whole training instead of at every step."""
    return inputs._replace(vectors=(inputs.vectors - weights["mean"]).mul_(weights["scale"]), ready=True)


def take_inputs(inputs: Inputs, starts: NDArray[np.int64], lengths: NDArray[np.int64], rows: NDArray[np.int64]) -> Inputs:
    """The batch of some rows out of all of them."""
    import torch

    if inputs.place is None:
        return inputs._replace(vectors=inputs.vectors.index_select(0, torch.from_numpy(rows)), shape=(len(rows), 1))
    chosen = lengths[rows]
    tokens = torch.from_numpy(token_places(starts[rows], chosen))
    return Inputs(inputs.vectors.index_select(0, tokens), _cells(chosen), (len(rows), int(chosen.max(initial=1))), inputs.ready)


def _cells(lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    import torch

    row = np.repeat(np.arange(len(lengths)), lengths)
    column = token_places(np.zeros(len(lengths), np.int64), lengths)
    return torch.from_numpy(row), torch.from_numpy(column)


def apply_head(head: Head, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
    """(n,) scores."""
    out = _network(head, weights, inputs)
    if inputs.place is None:
        return out[:, 0]
    if head.kind == "gated_linear":
        gate, reward = gates_and_rewards(out, inputs)
        return (gate * reward).sum(1) / gate.sum(1).clamp_min(_LEAST_GATE)
    rewards = out.new_full(inputs.shape, float("inf")).index_put(inputs.place, out[:, 0])
    return -(-rewards).logsumexp(1)


def gates_and_rewards(out: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """(n, most) sigmoid of the gates and rewards of the tokens; 0 behind a response's end."""
    if inputs.place is None:
        raise ValueError("gates and rewards belong to tokens: these inputs are whole responses")
    gate = out.new_zeros(inputs.shape).index_put(inputs.place, out[:, 0].sigmoid())
    reward = out.new_zeros(inputs.shape).index_put(inputs.place, out[:, 1])
    return gate, reward


def contributions(head: Head, weights: Mapping[str, Tensor], inputs: Inputs) -> list[NDArray[np.float64]]:
    """For each response, what each token adds to a gated-linear score; they sum to it."""
    if head.kind != "gated_linear" or inputs.place is None:
        raise ValueError(f"head {head.kind} does not place its score on tokens: expected gated_linear")
    gate, reward = gates_and_rewards(_network(head, weights, inputs), inputs)
    shares = (gate * reward) / gate.sum(1, keepdim=True).clamp_min(_LEAST_GATE)
    values = shares.double().numpy()
    lengths = np.bincount(inputs.place[0].numpy(), minlength=inputs.shape[0])
    return [values[k, : lengths[k]] for k in range(inputs.shape[0])]


def _network(head: Head, weights: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
    from torch.nn.functional import gelu, linear

    x = inputs.vectors if inputs.ready else (inputs.vectors - weights["mean"]) * weights["scale"]
    if head.hidden:
        x = gelu(linear(x, weights["in.weight"], weights["in.bias"]))
    return linear(x, weights["out.weight"], weights["out.bias"])


def tensors(weights: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Arrays as tensors of their own memory."""
    import torch

    return {name: torch.from_numpy(np.array(array, dtype=np.float32)) for name, array in weights.items()}


def score_rows(head: Head, weights: Mapping[str, NDArray[Any]], rows: FeatureRows) -> NDArray[np.float64]:
    """(n,) scores of rows; of a response without tokens, under a head that reads tokens, NaN.

    >>> head = Head("linear")
    >>> rows = FeatureRows.of_vectors(np.eye(2, dtype=np.float32))
    >>> weights = {"mean": np.zeros(2), "scale": np.ones(2), "out.weight": np.array([[2.0, 3.0]]), "out.bias": np.zeros(1)}
    >>> score_rows(head, weights, rows).tolist()
    [2.0, 3.0]
    """
    import torch

    if not len(rows):
        return np.zeros(0)
    with torch.inference_mode():
        scores: NDArray[np.float64] = apply_head(head, tensors(weights), inputs_of(head, rows)).double().numpy()
    return np.where(rows.lengths == 0, np.nan, scores) if head.on_tokens else scores
