"""A forward pass over the weights of a Hugging Face Llama, with a key-value cache of fixed size and rows that can leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaudit.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


LONG_PROMPT = 64
"""New tokens above which attention runs in one fused kernel, which does not hold all scores at once."""


@dataclass(frozen=True)
class _Layer:
    """One layer's matrices; those that read the same input are joined into one.

    The rows of a query's and a key's head are reordered, the two numbers of each rotated pair side by side: a rotation is then
    one complex product, and scores do not depend on the order. The scores' scale is in the queries.
    """

    attention_norm: Tensor
    query_key_value: Tensor
    output: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class LlamaWeights:
    """The weights of a ``LlamaForCausalLM`` as they are now, laid out for decoding; they are not followed when it trains on.

    Fields:
        heads, key_value_heads, head_size: of the attention.
        epsilon: of the norms.
        rotations: (context, head_size / 2) complex, of the rotary positions.
    """

    embedding: Tensor
    layers: tuple[_Layer, ...]
    norm: Tensor
    head: Tensor
    rotations: Tensor
    heads: int
    key_value_heads: int
    head_size: int
    epsilon: float

    @property
    def context(self) -> int:
        """Tokens of the longest text."""
        return int(self.rotations.shape[0])

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.embedding.device


def llama_weights(model: Any) -> LlamaWeights:
    """The weights of a model of class ``LlamaForCausalLM``.

    Raises ModelError for another architecture, biases, scaled rotary positions or an activation other than SiLU.
    """
    import torch

    config = model.config
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    odd = [
        f"{name} is {value!r}"
        for name, value, expected in [
            ("model_type", config.model_type, "llama"),
            ("attention_bias", config.attention_bias, False),
            ("mlp_bias", config.mlp_bias, False),
            ("hidden_act", config.hidden_act, "silu"),
            ("rope_type", scaling.get("rope_type", "default"), "default"),
        ]
        if value != expected
    ]
    if odd:
        raise ModelError(f"{', '.join(odd)}: this sampler runs plain Llama models only; use the model's own generate")
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    with torch.no_grad():
        body = model.model
        positions = torch.arange(config.max_position_embeddings, device=model.device)[None]
        cosine, sine = (part[0, :, : head_size // 2].float() for part in body.rotary_emb(body.embed_tokens.weight, positions))
        return LlamaWeights(
            body.embed_tokens.weight.detach(),
            tuple(_layer(layer, head_size) for layer in body.layers),
            body.norm.weight.detach(),
            model.lm_head.weight.detach(),
            torch.complex(cosine, sine),
            config.num_attention_heads,
            config.num_key_value_heads,
            head_size,
            config.rms_norm_eps,
        )


def _layer(layer: Any, head_size: int) -> _Layer:
    import torch

    attention, mlp = layer.self_attn, layer.mlp

    def paired(matrix: Tensor) -> Tensor:
        return matrix.view(-1, 2, head_size // 2, matrix.shape[1]).transpose(1, 2).reshape(matrix.shape)

    queries = paired(attention.q_proj.weight) * head_size**-0.5
    return _Layer(
        layer.input_layernorm.weight.detach(),
        torch.cat([queries, paired(attention.k_proj.weight), attention.v_proj.weight]).detach(),
        attention.o_proj.weight.detach(),
        layer.post_attention_layernorm.weight.detach(),
        torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).detach(),
        mlp.down_proj.weight.detach(),
    )


class Cache:
    """Keys and values of r rows with room for `length` tokens each.

    Fields:
        keys, values: (layers, capacity, key_value_heads, length, head_size); the first `rows` of the capacity are in use.
        filled: slots in use, the same in every row: shorter prompts stand at the right and are masked on the left.
        mask: (rows, length) added to attention scores: 0, or -inf on the left of a shorter prompt; None = all are as long.
    """

    def __init__(self, weights: LlamaWeights, lengths: Tensor, length: int) -> None:
        import torch

        self.rows = len(lengths)
        self.shape = (weights.key_value_heads, length, weights.head_size)
        self.keys = torch.empty(
            (len(weights.layers), self.rows, *self.shape), dtype=weights.embedding.dtype, device=weights.device
        )
        self.values = torch.empty_like(self.keys)
        self.filled = 0
        longest = int(lengths.max())
        self.mask: Tensor | None = None
        if bool((lengths < longest).any()):
            outside = torch.arange(length, device=weights.device)[None] < (longest - lengths)[:, None]
            self.mask = torch.zeros(outside.shape, dtype=weights.embedding.dtype, device=weights.device)
            self.mask.masked_fill_(outside, float("-inf"))

    def repeat(self, n: int) -> None:
        """n copies of each row behind one another."""
        import torch

        for name in ("keys", "values"):
            old = getattr(self, name)
            new = torch.empty((old.shape[0], self.rows, n, *self.shape), dtype=old.dtype, device=old.device)
            new[..., : self.filled, :] = old[:, :, None, :, : self.filled]
            setattr(self, name, new.flatten(1, 2))
        if self.mask is not None:
            self.mask = self.mask.repeat_interleave(n, 0)
        self.rows *= n

    def keep(self, running: Tensor) -> Tensor:
        """Drop the rows that are not `running` (rows,); the old place of each row that is left, in the new order.

        Rows from the end move into the gaps, so that only as much is copied as is dropped.
        """
        import torch

        left = int(running.sum())
        order = torch.arange(left, device=running.device)
        gaps = (~running[:left]).nonzero()[:, 0]
        moved = left + running[left:].nonzero()[:, 0]
        order[gaps] = moved
        for cached in (self.keys, self.values):
            cached[:, gaps, :, : self.filled] = cached[:, moved, :, : self.filled]
        if self.mask is not None:
            self.mask = self.mask[order]
        self.rows = left
        return order

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put s new tokens behind the filled slots of a layer; returns all that it holds.

        Given (rows, s, key_value_heads, size), returned (rows, key_value_heads, filled + s, size).
        """
        end = self.filled + keys.shape[1]
        all_keys, all_values = (cached[layer, : self.rows, :, :end] for cached in (self.keys, self.values))
        all_keys[:, :, self.filled :] = keys.transpose(1, 2)
        all_values[:, :, self.filled :] = values.transpose(1, 2)
        return all_keys, all_values


def forward(weights: LlamaWeights, tokens: Tensor, positions: Tensor, cache: Cache) -> Tensor:
    """Logits (rows, vocabulary) behind the last of s new tokens of each row; the cache takes the new tokens in.

    Args:
        tokens: (rows, s) token ids. positions: (rows, s); the first token of a row's own text has 0.
    """
    import torch
    from torch.nn.functional import embedding, linear, rms_norm, silu

    r, s = tokens.shape
    h, kv, size = weights.heads, weights.key_value_heads, weights.head_size
    width = (weights.embedding.shape[1],)
    mask = _attention_mask(cache, s)
    rotations = weights.rotations[positions.flatten()][:, None]
    x = embedding(tokens.flatten(), weights.embedding)
    for k, layer in enumerate(weights.layers):
        joined = linear(rms_norm(x, width, layer.attention_norm, weights.epsilon), layer.query_key_value)
        joined = joined.view(r * s, h + 2 * kv, size)
        turned = _rotated(joined[:, : h + kv], rotations).view(r, s, h + kv, size)
        keys, values = cache.write(k, turned[:, :, h:], joined[:, h + kv :].view(r, s, kv, size))
        x = torch.addmm(x, _attention(turned[:, :, :h], keys, values, mask), layer.output.t())
        gate, up = linear(rms_norm(x, width, layer.mlp_norm, weights.epsilon), layer.gate_up).chunk(2, -1)
        x = torch.addmm(x, silu(gate) * up, layer.down.t())
    cache.filled += s
    return linear(rms_norm(x.view(r, s, -1)[:, -1], width, weights.norm, weights.epsilon), weights.head)


def _rotated(heads: Tensor, rotations: Tensor) -> Tensor:
    """(m, heads, size) turned by the complex (m, 1, size / 2); worked out in float32."""
    import torch

    pairs = torch.view_as_complex(heads.float().view(*heads.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotations).flatten(-2).to(heads.dtype)


def _attention_mask(cache: Cache, s: int) -> Tensor | None:
    """(rows, 1, s, filled + s) added to the scores of s new tokens; None = nothing is masked."""
    import torch

    end = cache.filled + s
    if s == 1:
        return None if cache.mask is None else cache.mask[:, None, None, :end]
    causal = torch.full((s, s), float("-inf"), dtype=cache.keys.dtype, device=cache.keys.device).triu(1)
    mask = torch.zeros((cache.rows, 1, s, end), dtype=cache.keys.dtype, device=cache.keys.device)
    if cache.mask is not None:
        mask += cache.mask[:, None, None, :end]
    mask[..., cache.filled :] += causal
    # A token left of a shorter prompt sees itself alone: a row that sees nothing would be NaN.
    mask[..., cache.filled :].diagonal(dim1=-2, dim2=-1).zero_()
    return mask


def _attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """(rows * s, heads * size) from queries (rows, s, heads, size) and keys, values (rows, key_value_heads, length, size)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    r, s, h, size = queries.shape
    kv = keys.shape[1]
    queries = queries.transpose(1, 2)
    if s > LONG_PROMPT:
        seen = scaled_dot_product_attention(queries, keys, values, mask, scale=1.0, enable_gqa=h != kv)
        return seen.transpose(1, 2).reshape(r * s, h * size)
    # For few new tokens plain batched products are faster on a CPU than the fused kernel, which is made for long ones.
    scores = torch.bmm(queries.reshape(r * kv, h // kv * s, size), keys.flatten(0, 1).transpose(1, 2))
    if mask is not None:
        scores.view(r, h, s, -1).add_(mask)
    seen = torch.bmm(scores.softmax(-1), values.flatten(0, 1))
    return seen.view(r, h, s, size).transpose(1, 2).reshape(r * s, h * size)
