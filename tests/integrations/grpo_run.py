"""Trains a tiny random policy for a few steps with the GRPOTrainer that PYTHONPATH gives, and writes what it logged.

python grpo_run.py OUT.json: run by test_trl_contract.py in a process of its own, once for each version of TRL. With RANK and
WORLD_SIZE in the environment it is one of several processes that train together, and a group is split between them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TQDM_DISABLE": "1"}
os.environ |= {"CUDA_VISIBLE_DEVICES": "", "WANDB_DISABLED": "true"}

import pandas as pd
import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from plaudit.integrations.trl import reward_func, reward_funcs, reward_weights
from plaudit.reward import reward
from plaudit.types import Verdict

torch.set_num_threads(1)

LETTERS = [*"0123456789+-=?abcdefghijklmnopqrstuvwxyz. "]
GENERATIONS = 4
TEMPLATE = "{% for m in messages %}{{ m['role'][0] + '.' + m['content'] + ' ' }}{% endfor %}"


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {token: k for k, token in enumerate(["<pad>", "<eos>", "<unk>", *LETTERS])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", clean_up_tokenization_spaces=False
    )
    fast.chat_template = TEMPLATE
    return fast


def policy(words: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(
        LlamaConfig(**shape, num_key_value_heads=2, vocab_size=len(words), max_position_embeddings=64,
                    pad_token_id=0, eos_token_id=1, bos_token_id=None)
    )  # fmt: skip


@reward(range=(0, 1))
def digits(response, reference):
    """The share of digits; abstains where the prompt has no reference."""
    words = response if isinstance(response, str) else response[-1]["content"]
    return None if reference is None else sum(c.isdigit() for c in words) / max(len(words), 1)


@reward(range=(-1, 0))
def short(response, level):
    words = response if isinstance(response, str) else response[-1]["content"]
    return -len(words) / 100 * level


@reward(range=(0, 1))
async def slow_judge(response):
    """An async leaf that fails on some responses: the judge is out where there is an "a"."""
    await asyncio.sleep(0.002)
    if "a" in response:
        return Verdict.failed("judge_unreachable", "the judge is out")
    return 0.5


@reward(range=(0, 1), scope="group", batch=True)
def share_of_digits(responses, group):
    """A response's digits among all digits of its group: 0 to 1, and 1 in sum wherever there is one."""
    counts = [1 + sum(c.isdigit() for c in response) for response in responses]
    return [count / sum(c for c, g in zip(counts, group, strict=True) if g == own)
            for count, own in zip(counts, group, strict=True)]  # fmt: skip


@reward(range=(0, 1000))
def step_seen(context):
    return float(context.step)


SEEN: list[dict[str, object]] = []


@reward(range=(0, 1))
def watcher(prompt, response, reference, tokens, level):
    SEEN.append({"prompt": prompt, "response": response, "reference": reference, "tokens": tokens.tolist(), "level": level})
    return 1.0


def rows(chat: bool, references: bool = True) -> Dataset:
    data = []
    for k in range(8):
        text = f"{k}+{k}=?"
        prompt = [{"role": "user", "content": text}] if chat else text
        answer = str(2 * k) if references or k % 2 else None
        data.append({"prompt": prompt, "answer": answer, "level": 1 + k % 2})
    return Dataset.from_list(data)


def train(functions, *, chat=False, references=True, steps=2, batch=8, **config) -> dict[str, object]:
    words = tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder, max_steps=steps, per_device_train_batch_size=batch, num_generations=GENERATIONS,
            max_completion_length=12, logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, seed=3,
            log_completions=True, num_completions_to_print=1, disable_tqdm=True, gradient_accumulation_steps=1,
            beta=0.0, temperature=1.0, **config,
        )  # fmt: skip
        trainer = GRPOTrainer(
            policy(words), reward_funcs=functions, args=settings, train_dataset=rows(chat, references), processing_class=words
        )
        trainer.train()
        files = sorted(Path(folder, "completions").glob("*.parquet"))
        tables = [pd.read_parquet(file) for file in files]
    table = json.loads(pd.concat(tables).to_json(orient="records")) if tables else []
    return {"log": trainer.state.log_history, "table": table}


def alone() -> dict[str, object]:
    total = (digits + 0.5 * short + 0.25).named("total")
    return {
        "text": train(reward_func(total)),
        "chat": train(reward_func(watcher + total), chat=True),
        "seen": list(SEEN),
        "split": train(reward_funcs(total), references=False, steps=3),
        "weights": train(reward_funcs(total, weighted=False), references=False, steps=3, reward_weights=reward_weights(total)),
        "one": train(reward_func(total), references=False, steps=3),
        "judged": train(reward_funcs(digits + slow_judge), steps=3),
        "group": train(reward_func(share_of_digits)),
        "step": train(reward_func(step_seen)),
    }


def together() -> dict[str, object]:
    # Two rows for each process and four for a prompt: every group is split.
    return {
        "group": train(reward_func(share_of_digits + 0.5 * short), batch=2, ddp_backend="gloo"),
        "split": train(reward_funcs(digits + slow_judge), batch=2, ddp_backend="gloo"),
    }


if __name__ == "__main__":
    results = {"trl": trl.__version__, **(together() if "WORLD_SIZE" in os.environ else alone())}
    Path(sys.argv[1]).write_text(json.dumps(results))
