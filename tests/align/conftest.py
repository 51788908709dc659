"""Policies small enough to train several times within a second, and problems for them."""

import copy

import pytest
import torch
from align.killed_training import untrained

from plaudit.worlds import Policy, arithmetic_problems, load_policy

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shipped():
    return load_policy()


@pytest.fixture(scope="session")
def small(shipped):
    """Two small layers of random weights with the arithmetic world's tokenizer: writes random characters."""
    return untrained(shipped.tokenizer)


@pytest.fixture
def policy(small):
    """A copy of the small policy that a test may train."""
    return Policy(copy.deepcopy(small.model), small.tokenizer)


@pytest.fixture(scope="session")
def tiny_model():
    """An untrained Llama of one layer, in float64: its gradients can be compared digit by digit."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=24, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).double().eval()
    model.set_attn_implementation("eager")
    return model


@pytest.fixture(scope="session")
def problems():
    return arithmetic_problems(64, seed=3, level="easy")
