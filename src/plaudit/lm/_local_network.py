"""A transformers causal model seen as what reading and decoding need: a body, a head, a context, a cache."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from plaudit.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one forward pass gave.

    Fields:
        states: (rows, s, d) what the head makes logits of; the logits themselves where body and head cannot be told apart.
        hidden: by layer, (rows, s, d).
        attentions: for each layer (rows, heads, s, keys); empty when not asked for.
        cache: keys and values, None when not asked for.
    """

    states: Tensor
    hidden: Mapping[int, Tensor] = field(default_factory=dict)
    attentions: tuple[Tensor, ...] = ()
    cache: Any = None


class Network:
    """A live causal model of transformers; its weights are read at every call, so it may be in training.

    Fields:
        model: the model without a wrapper of peft or of data-parallel training.
        context: tokens of the longest text; None = the configuration sets no limit.
        vocabulary: rows of the embedding; a token id is below it.
        layers: hidden layers, the embedding not counted.

    Raises ModelError for a model that is no causal model with an embedding, MissingExtra without torch.
    """

    def __init__(self, model: Any) -> None:
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise MissingExtra("torch", "learn") from error
        self.model: Any = _unwrapped(model)
        config = getattr(self.model, "config", None)
        if config is None or not hasattr(self.model, "get_input_embeddings"):
            raise ModelError(f"model is {type(model).__name__}: expected a causal language model of transformers")
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        embedding = self.model.get_input_embeddings()
        if embedding is None or getattr(config, "is_encoder_decoder", False) or self.model.get_output_embeddings() is None:
            raise ModelError(
                f"model is {type(self.model).__name__}: expected a causal language model, which has a vocabulary at both ends"
            )
        self.config = text
        self.vocabulary = int(embedding.weight.shape[0])
        self.context: int | None = getattr(text, "max_position_embeddings", None)
        self.layers = int(getattr(text, "num_hidden_layers", 0))
        self._head_is_apart: bool | None = None
        self._keeps_cache: bool | None = None
        with _LOCKS_LOCK:
            self.lock = _LOCKS.setdefault(self.model, threading.RLock())
        self._takes = frozenset(inspect.signature(self.model.forward).parameters)

    @property
    def name(self) -> str:
        """The architecture's class."""
        return type(self.model).__name__

    @property
    def device(self) -> torch.device:
        """Where the embedding lies: token ids go there."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the embedding."""
        dtype: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return dtype

    @property
    def takes_positions(self) -> bool:
        """Whether positions can be given, or the model works them out from the mask."""
        return "position_ids" in self._takes

    @property
    def keeps_cache(self) -> bool:
        """Whether its cache is made of keys and values of tokens, which rows can share and leave; tried once."""
        if self._keeps_cache is None:
            self._keeps_cache = "past_key_values" in self._takes and self._tried_cache()
        return self._keeps_cache

    def _tried_cache(self) -> bool:
        import torch

        try:
            from transformers.cache_utils import DynamicLayer

            with self.reading():
                cache = self.run(torch.ones((1, 2), dtype=torch.long, device=self.device), keep_cache=True).cache
        except (ImportError, AttributeError, TypeError, RuntimeError, ValueError):  # what it cannot do, it is not asked for
            return False
        layers = getattr(cache, "layers", None) or ()
        return bool(layers) and all(isinstance(layer, DynamicLayer) for layer in layers)

    @property
    def window(self) -> int | None:
        """Tokens that the layer with the shortest sight attends to; None = every layer sees the whole text."""
        names = ("sliding_window", "attention_chunk_size", "window_size")
        sizes = [getattr(self.config, name, None) for name in names]
        if not getattr(self.config, "use_sliding_window", True):
            sizes[0] = None
        return min((size for size in sizes if isinstance(size, int) and size > 0), default=None)

    @property
    def takes_bias(self) -> bool:
        """Whether its attention, as it is set now, takes a mask of our own for each pair of tokens."""
        return getattr(self.config, "_attn_implementation", None) in ("sdpa", "eager")

    @contextmanager
    def reading(self, attention: bool = False) -> Iterator[None]:
        """Nobody else uses the model, it is in evaluation mode and without gradients; afterwards it is as it was.

        Not inference mode: buffers that a model makes here must stay usable in training.
        """
        import torch

        with self.lock, torch.no_grad():
            training = [module for module in self.model.modules() if module.training]
            self.model.eval()
            before = getattr(self.config, "_attn_implementation", None)
            swap = attention and before != "eager"
            try:
                if swap:
                    self._set_attention("eager")
                yield
            finally:
                if swap:
                    self._set_attention(before)
                for module in training:
                    module.training = True

    def _set_attention(self, implementation: str | None) -> None:
        if hasattr(self.model, "set_attn_implementation"):
            self.model.set_attn_implementation(implementation)
        else:
            self.config._attn_implementation = implementation

    def run(
        self,
        tokens: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        cache: Any = None,
        keep_cache: bool = False,
        hidden: Collection[int] = (),
        attention: bool = False,
    ) -> Pass:
        """One forward pass inside `reading`.

        Args:
            tokens: (rows, s). positions: (rows, s), left out for a model that takes none.
            mask: (rows, keys) of 0 and 1, or (rows, 1, s, keys) for `attention_bias`; None = causal, nothing masked.
            cache: keys and values of what comes before; it is not changed.
            keep_cache: give the cache of all tokens back.
            hidden: layers whose states are given back, 0 = the embedding.
            attention: give the attention weights back; `reading` must have been told.
        """
        given: dict[str, Any] = {"input_ids": tokens}
        if mask is not None:
            given["attention_mask"] = mask
        if positions is not None and self.takes_positions:
            given["position_ids"] = positions
        if "use_cache" in self._takes:
            given["use_cache"] = keep_cache or cache is not None
        if cache is not None:
            given["past_key_values"] = cache
        if hidden:
            given["output_hidden_states"] = True
        if attention:
            given["output_attentions"] = True
        apart = self.head_is_apart
        out = (self._body if apart else self.model)(**given)
        layers = getattr(out, "hidden_states", None) or ()
        if hidden and len(layers) <= max(hidden):
            raise ModelError(f"{self.name} gives {len(layers)} hidden states: there is no layer {max(hidden)}")
        attentions = tuple(a for a in getattr(out, "attentions", None) or () if a is not None) if attention else ()
        if attention and not attentions:
            raise ModelError(f"{self.name} gives no attention weights")
        return Pass(
            out.last_hidden_state if apart else out.logits,
            {layer: layers[layer] for layer in hidden},
            attentions,
            getattr(out, "past_key_values", None) if keep_cache else None,
        )

    def logits(self, states: Tensor) -> Tensor:
        """Logits (m, vocabulary) in float32 of states (m, d)."""
        return (self.model.get_output_embeddings()(states) if self.head_is_apart else states).float()

    @property
    def _body(self) -> Any:
        return getattr(self.model, "base_model", self.model)

    @property
    def head_is_apart(self) -> bool:
        """Whether the logits are the output matrix applied to the body's last states: tried once, on a few tokens.

        A model that scales or caps its logits, or that an adapter changes outside its layers, is run as a whole: correct for
        every model, but the logits of a batch are held at once.
        """
        if self._head_is_apart is None:
            import torch

            body = self._body
            if body is self.model:
                self._head_is_apart = False
                return False
            tokens = (torch.arange(1, 7, device=self.device) * 7 % self.vocabulary)[None]
            with self.reading():
                whole = self.model(input_ids=tokens).logits.float()
                try:
                    parted = self.model.get_output_embeddings()(body(input_ids=tokens).last_hidden_state).float()
                except (AttributeError, TypeError, RuntimeError, ValueError):  # the parts do not fit: it runs as a whole
                    self._head_is_apart = False
                    return False
            close = whole.shape == parted.shape and bool((whole - parted).abs().max() <= 1e-3 * whole.abs().max())
            self._head_is_apart = close
        return self._head_is_apart


def attention_bias(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What a model adds to its attention scores: 0 where a key is seen, the lowest number of the type elsewhere."""
    import torch

    # Not -inf: a padding row that sees nothing would become NaN and, through later layers, spread in some kernels.
    bias = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return bias.masked_fill_(~seen, torch.finfo(dtype).min)


def _unwrapped(model: Any) -> Any:
    """The model behind wrappers of data-parallel training, compilation and peft."""
    for _ in range(8):
        if hasattr(model, "get_base_model"):  # peft: its layers stay inside the model that it gives back
            model = model.get_base_model()
        elif type(model).__module__.startswith(("torch.nn.parallel", "deepspeed")) and hasattr(model, "module"):
            model = model.module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            break
    return model
