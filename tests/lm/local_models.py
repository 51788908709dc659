"""Tiny models of several architectures with random weights, and what they say row by row: the reference of the local ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import transformers as hf

VOCABULARY = 97
CONTEXT = 128
_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
_CONFIGS = {
    "llama": lambda: hf.LlamaConfig(**_SHAPE),
    "qwen2": lambda: hf.Qwen2Config(**_SHAPE),
    "qwen3": lambda: hf.Qwen3Config(**_SHAPE, head_dim=8),
    "gpt2": lambda: hf.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=3, n_head=4, n_positions=CONTEXT),
    # A window of 8 tokens: a mask of our own over cached slots would be wrong.
    "mistral": lambda: hf.MistralConfig(**_SHAPE, sliding_window=8),
    # Caps its logits behind the output matrix.
    "gemma2": lambda: hf.Gemma2Config(**_SHAPE, head_dim=8, sliding_window=8),
    # Takes no positions.
    "bloom": lambda: hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=3, n_head=4),
    # Has no keys and values.
    "mamba": lambda: hf.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4),
}
ARCHITECTURES = tuple(_CONFIGS)


def random_model(architecture: str, window: int | None = None):
    """A model with weights large enough that every token minds what it sees; `window` is that of a model which has one."""
    torch.manual_seed(0)
    config = _CONFIGS[architecture]()
    if window is not None:
        config.sliding_window = window
    model = hf.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.2)
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 0
    return model.eval()


@lru_cache
def shared_model(architecture: str):
    """The same model for several tests; none may change it."""
    return random_model(architecture)


def row_by_row(model, prompt, continuation):
    """What the model says of one row alone, without padding, cache or mask: log-probabilities, entropies, logsumexp, states."""
    ids = torch.tensor([[*map(int, prompt), *map(int, continuation)]])
    with torch.no_grad():
        out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
    logits = out.logits[0, len(prompt) - 1 : -1].double() if len(continuation) else out.logits[0, :0].double()
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]
    states = [layer[0, len(prompt) :].float().numpy() for layer in out.hidden_states]
    return chosen.numpy(), -(logprobs.exp() * logprobs).sum(-1).numpy(), logits.logsumexp(-1).numpy(), states


def random_continuations(lengths, seed=0):
    """Token ids of continuations of these lengths."""
    source = np.random.default_rng(seed)
    return [source.integers(0, VOCABULARY, length) for length in lengths]
