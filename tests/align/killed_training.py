"""Trains into the folder argv[1] and kills its own process, without any goodbye, once step 3 is written down."""

import os
import signal
import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from plaudit.align import GrpoConfig, grpo
from plaudit.worlds import Policy, arithmetic_problems, policy_folder

CONFIG = GrpoConfig(steps=5, prompts_per_step=6, group_size=4, max_tokens=16, checkpoint_every=1, minibatches=2, epochs=2)


def untrained(tokenizer):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return Policy(
        LlamaForCausalLM(
            LlamaConfig(**shape, num_key_value_heads=1, vocab_size=len(tokenizer), max_position_embeddings=128,
                        pad_token_id=0, eos_token_id=1, bos_token_id=None, initializer_range=0.3)
        ).eval(),
        tokenizer,
    )  # fmt: skip


def die_at_three(row):
    if row["step"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    torch.set_num_threads(1)
    from rewards import Shorter

    policy = untrained(AutoTokenizer.from_pretrained(policy_folder()))
    grpo(policy, arithmetic_problems(64, seed=3), Shorter(), CONFIG, folder=sys.argv[1], progress=die_at_three)
