"""Scoring 8 continuations of one long prompt, beside the padded batch in which every row repeats the prompt.

    python benchmarks/lm_read.py                     # prompts of 512 and 256 tokens, CPU, one thread
    python benchmarks/lm_read.py --runs 9 --threads 2 --device cuda --json

The model is a Llama of 33M parameters with random weights. The peer is what trainers do: one batch of prompt and continuation,
padded at the right, logits only where they are needed (`logits_to_keep`); a further row has a peer that takes all logits, which
is what a plain call of the model gives. All are run in turns, and each figure is the median of its runs; the ratio is also given
of processor time, which other programs on the machine disturb less. The largest difference of a token's log-probability is
printed beside it, and what a wrong mask or wrong positions would have given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from plaudit.lm import LocalModel
from plaudit.worlds import load_policy

GOAL = 2.7
LARGEST_DIFFERENCE = 1e-4

Scores = list[np.ndarray]


@dataclass(frozen=True)
class Row:
    what: str
    seconds: float
    peer_seconds: float
    ratio: float
    processor_ratio: float
    largest_difference: float
    goal: str


@dataclass(frozen=True)
class Case:
    prompt: str
    tokens: list[int]
    continuations: list[np.ndarray]


def random_llama(device: str) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16_000,
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.08,  # at the usual 0.02 no token minds what it sees, and a wrong mask would not show
    )
    return LlamaForCausalLM(config).to(device).eval()


def case(tokenizer, prompt_length: int, count: int) -> Case:
    """A prompt of so many characters, each a token of the tiny policies' tokenizer, and continuations of 64 to 128 tokens."""
    source = np.random.default_rng(0)
    prompt = "".join(source.choice(list("0123456789+-*/"), prompt_length))
    lengths = source.integers(64, 129, count)
    return Case(prompt, tokenizer(prompt)["input_ids"], [source.integers(0, 16_000, length) for length in lengths])


def padded_batch(model: LlamaForCausalLM, given: Case, keep: bool) -> Scores:
    """Log-probabilities from one batch of prompt and continuation; `keep` takes logits at the continuations only."""
    longest, first = max(map(len, given.continuations)), len(given.tokens)
    ids = torch.zeros((len(given.continuations), first + longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for k, row in enumerate(given.continuations):
        ids[k, : first + len(row)] = torch.tensor(given.tokens + row.tolist())
        mask[k, : first + len(row)] = 1
    ids, mask = ids.to(model.device), mask.to(model.device)
    with torch.inference_mode():
        out = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=longest + 1 if keep else 0)
        logits = out.logits[:, -longest - 1 : -1].float()
        found = (logits.gather(-1, ids[:, first:, None])[..., 0] - logits.logsumexp(-1)).cpu().numpy()
    return [found[k, : len(row)] for k, row in enumerate(given.continuations)]


def controls(model: LlamaForCausalLM, given: Case, right: Scores) -> dict[str, float]:
    """How far off the second continuation is when it sees the first one, and when its positions go on behind the first one."""
    first, second = given.continuations[:2]
    ids = torch.tensor([given.tokens + first.tolist() + second.tolist()])
    start, middle = len(given.tokens), len(given.tokens) + len(first)
    positions = torch.arange(ids.shape[1])[None]
    right_positions = positions.clone()
    right_positions[:, middle:] -= len(first)
    seen = torch.ones((ids.shape[1], ids.shape[1]), dtype=torch.bool).tril()
    apart = seen.clone()
    apart[middle:, start:middle] = False
    found = {}
    for name, mask, where in (("wrong mask", seen, right_positions), ("wrong positions", apart, positions)):
        bias = torch.zeros((1, 1, *mask.shape)).masked_fill_(~mask, torch.finfo(torch.float32).min)
        with torch.inference_mode():
            logits = model(
                input_ids=ids.to(model.device), attention_mask=bias.to(model.device), position_ids=where.to(model.device)
            ).logits[0, middle:-1]
        scores = logits.float().log_softmax(-1).cpu().gather(-1, torch.from_numpy(second[1:])[:, None])[:, 0].numpy()
        found[name] = float(np.abs(scores - right[1][1:]).max())
    return found


def measure(model: LlamaForCausalLM, given: Case, runs: int) -> list[Row]:
    tokenizer = load_policy().tokenizer
    packed, expanded = (LocalModel(model, tokenizer) for _ in range(2))
    expanded._reader._sharing = "expanded"

    def read(with_model: LocalModel) -> Scores:
        return [reading.logprob for reading in with_model.read([given.prompt], [given.continuations])[0]]

    ways: dict[str, Callable[[], Scores]] = {
        "peer": lambda: padded_batch(model, given, keep=True),
        "all logits": lambda: padded_batch(model, given, keep=False),
        "packed": lambda: read(packed),
        "expanded": lambda: read(expanded),
    }
    right = ways["peer"]()
    differences = {name: max(np.abs(a - b).max() for a, b in zip(way(), right, strict=True)) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            begin, spent = time.perf_counter(), time.process_time()
            way()  # its numbers come back to the CPU: a GPU has finished
            times[name].append(time.perf_counter() - begin)
            processor[name].append(time.process_time() - spent)

    def row(what: str, name: str, peer: str, goal: str = "") -> Row:
        ratios = [statistics.median(b / a for a, b in zip(taken[name], taken[peer], strict=True)) for taken in (times, processor)]
        seconds, peer_seconds = (statistics.median(times[key]) for key in (name, peer))
        return Row(what, seconds, peer_seconds, *ratios, float(differences[name]), goal)

    length = len(given.tokens)
    return [
        row(f"prompt of {length}, packed", "packed", "peer", f">= {GOAL}x" if length == 512 else ""),
        row(f"prompt of {length}, one in each row of the cache", "expanded", "peer"),
        row(f"prompt of {length}, packed, against all logits", "packed", "all logits"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--continuations", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = random_llama(arguments.device)
    cases = [case(load_policy().tokenizer, length, arguments.continuations) for length in (512, 256)]
    rows = [row for given in cases for row in measure(model, given, arguments.runs)]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    lengths = ", ".join(str(len(row)) for row in cases[0].continuations)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters; continuations of {lengths} tokens\n")
    print(f"{'':48} {'plaudit':>9} {'peer':>9} {'ratio':>7} {'of CPU':>7} {'goal':>8}  largest difference")
    for row in rows:
        equal = "" if row.largest_difference <= LARGEST_DIFFERENCE else f"  MORE THAN {LARGEST_DIFFERENCE:g}"
        print(
            f"{row.what:48} {row.seconds:8.3f}s {row.peer_seconds:8.3f}s {row.ratio:6.2f}x {row.processor_ratio:6.2f}x "
            f"{row.goal:>8}  {row.largest_difference:.1e}{equal}"
        )
    right = padded_batch(model, cases[0], keep=True)
    print("\n" + ", ".join(f"{name}: off by {off:.2f}" for name, off in controls(model, cases[0], right).items()))


if __name__ == "__main__":
    main()
