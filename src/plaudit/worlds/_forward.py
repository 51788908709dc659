"""A forward pass over the weights of a Hugging Face Llama, with a key-value cache of fixed size and rows that can leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaudit.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class _Layer:
    """One layer's matrices; those that read the same input are joined into one."""

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
        cosine, sine: (context, head_size) of the rotary positions.
    """

    embedding: Tensor
    layers: tuple[_Layer, ...]
    norm: Tensor
    head: Tensor
    cosine: Tensor
    sine: Tensor
    heads: int
    key_value_heads: int
    head_size: int
    epsilon: float

    @property
    def context(self) -> int:
        """Tokens of the longest text."""
        return int(self.cosine.shape[0])

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
        cosine, sine = body.rotary_emb(body.embed_tokens.weight, positions)
        return LlamaWeights(
            body.embed_tokens.weight.detach(),
            tuple(_layer(layer) for layer in body.layers),
            body.norm.weight.detach(),
            model.lm_head.weight.detach(),
            cosine[0],
            # The half with the minus sign, so that a rotation is one multiplication with the swapped halves.
            torch.cat([-sine[0, :, : head_size // 2], sine[0, :, head_size // 2 :]], dim=-1),
            config.num_attention_heads,
            config.num_key_value_heads,
            head_size,
            config.rms_norm_eps,
        )


def _layer(layer: Any) -> _Layer:
    import torch

    attention, mlp = layer.self_attn, layer.mlp
    return _Layer(
        layer.input_layernorm.weight.detach(),
        torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]).detach(),
        attention.o_proj.weight.detach(),
        layer.post_attention_layernorm.weight.detach(),
        torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).detach(),
        mlp.down_proj.weight.detach(),
    )


class Cache:
    """Keys and values of r rows with room for `length` tokens each.

    Fields:
        keys, values: (layers, r, key_value_heads, length, head_size).
        filled: slots in use, the same in every row: shorter prompts stand at the right and are masked on the left.
        mask: (r, 1, 1, length) added to attention scores: 0, or -inf on the left of a shorter prompt.
    """

    def __init__(self, weights: LlamaWeights, lengths: Tensor, longest: int, length: int) -> None:
        import torch

        shape = (len(weights.layers), len(lengths), weights.key_value_heads, length, weights.head_size)
        self.keys = torch.empty(shape, dtype=weights.embedding.dtype, device=weights.device)
        self.values = torch.empty_like(self.keys)
        self.filled = 0
        outside = torch.arange(length, device=weights.device)[None] < (longest - lengths)[:, None]
        self.mask = torch.zeros(outside.shape, dtype=weights.embedding.dtype, device=weights.device)
        self.mask = self.mask.masked_fill(outside, float("-inf"))[:, None, None]

    def take(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be taken several times."""
        import torch

        kept = (*self.keys.shape[:1], len(rows), *self.keys.shape[2:])
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = torch.empty(kept, dtype=old.dtype, device=old.device)
            new[:, :, :, : self.filled] = old[:, rows, :, : self.filled]
            setattr(self, name, new)
        self.mask = self.mask[rows]


def forward(weights: LlamaWeights, tokens: Tensor, positions: Tensor, cache: Cache) -> Tensor:
    """Logits (r, vocabulary) behind the last of s new tokens for each row; the cache takes the new tokens in.

    Args:
        tokens: (r, s) token ids. positions: (r, s), the first token of a row's own text has 0.
    """
    import torch
    from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention, silu

    r, s = tokens.shape
    h, kv, size = weights.heads, weights.key_value_heads, weights.head_size
    begin, cache.filled = cache.filled, cache.filled + s
    end = cache.filled
    mask = cache.mask[..., :end]
    if s > 1:
        causal = torch.full((s, s), float("-inf"), dtype=mask.dtype, device=mask.device).triu(1)
        mask = mask.expand(r, 1, s, end).clone()
        mask[..., begin:] += causal
        # A token left of a shorter prompt sees itself alone: a row that sees nothing would be NaN.
        mask[..., begin:].diagonal(dim1=-2, dim2=-1).zero_()
    cosine, sine = weights.cosine[positions][:, :, None], weights.sine[positions][:, :, None]
    x = embedding(tokens, weights.embedding)
    for k, layer in enumerate(weights.layers):
        joined = linear(rms_norm(x, x.shape[-1:], layer.attention_norm, weights.epsilon), layer.query_key_value)
        joined = joined.view(r, s, h + 2 * kv, size)
        turned = joined[:, :, : h + kv]
        turned = turned * cosine + turned.roll(size // 2, -1) * sine
        cache.keys[k, :, :, begin:end] = turned[:, :, h:].transpose(1, 2)
        cache.values[k, :, :, begin:end] = joined[:, :, h + kv :].transpose(1, 2)
        seen = scaled_dot_product_attention(
            turned[:, :, :h].transpose(1, 2), cache.keys[k, :, :, :end], cache.values[k, :, :, :end], mask, enable_gqa=h != kv
        )
        x = x + linear(seen.transpose(1, 2).reshape(r, s, h * size), layer.output)
        gate, up = linear(rms_norm(x, x.shape[-1:], layer.mlp_norm, weights.epsilon), layer.gate_up).chunk(2, -1)
        x = x + linear(silu(gate) * up, layer.down)
    return linear(rms_norm(x[:, -1], x.shape[-1:], weights.norm, weights.epsilon), weights.head)
