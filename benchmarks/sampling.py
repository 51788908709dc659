"""Sampling from the tiny policy, beside `model.generate` on the same model, prompts and settings.

    python benchmarks/sampling.py                     # 256 rows, CPU, greedy and temperature 1
    python benchmarks/sampling.py --rows 512 --runs 7 --device cuda --json

The two are run in turns, and each figure is the median of its runs. Greedy completions are compared token for token. One row
of the second table draws 8 completions of each prompt, as GRPO does: there the prompt is read once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from plaudit.worlds import Policy, arithmetic_problems, load_policy

GOAL = 1.8
MAX_TOKENS = 96


@dataclass(frozen=True)
class Row:
    what: str
    seconds: float
    peer_seconds: float
    ratio: float
    completions_per_second: float
    same_output: bool | None
    goal: str


def generate(policy: Policy, prompts: list[str], n: int, temperature: float) -> list[list[int]]:
    """Completions by the model's own `generate`, cut behind their end token."""
    inputs = policy.tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left").to(policy.model.device)
    how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {"do_sample": False}
    with torch.inference_mode():
        out = policy.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=MAX_TOKENS,
            num_return_sequences=n,
            pad_token_id=policy.tokenizer.pad_token_id,
            **how,
        )
    end = policy.tokenizer.eos_token_id
    rows = [row[inputs["input_ids"].shape[1] :].tolist() for row in out]
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def measure(policy: Policy, prompts: list[str], n: int, temperature: float, runs: int) -> Row:
    """Median seconds of both, run in turns."""

    def ours() -> list[list[int]]:
        drawn = policy.sample(prompts, n, temperature, seed=0, max_tokens=MAX_TOKENS)
        return [completion.tokens.tolist() for group in drawn for completion in group]

    def theirs() -> list[list[int]]:
        return generate(policy, prompts, n, temperature)

    def timed(run: Callable[[], list[list[int]]]) -> float:
        begin = time.perf_counter()
        run()
        if policy.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    same = ours() == theirs() if temperature == 0 else None
    pairs = [(timed(ours), timed(theirs)) for _ in range(runs)]
    seconds = statistics.median(a for a, _ in pairs)
    ratio = statistics.median(b / a for a, b in pairs)
    rows = len(prompts) * n
    what = f"{rows} rows, {len(prompts)} prompts, {'greedy' if temperature == 0 else f'temperature {temperature:g}'}"
    peer = statistics.median(b for _, b in pairs)
    return Row(what, seconds, peer, ratio, rows / seconds, same, f">= {GOAL}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="torch's threads; default: its own choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--policy", default="arithmetic", help="a shipped policy's name, or a folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    policy = load_policy(arguments.policy, arguments.device)
    prompts = [problem.prompt for problem in arithmetic_problems(arguments.rows, seed=1, split="evaluation")]
    rows = [
        measure(policy, prompts, 1, 0.0, arguments.runs),
        measure(policy, prompts, 1, 1.0, arguments.runs),
        measure(policy, prompts[: arguments.rows // 8], 8, 1.0, arguments.runs),
    ]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"{'':44} {'plaudit':>9} {'generate':>9} {'ratio':>7} {'goal':>8} {'per second':>11}  same output")
    for row in rows:
        same = "" if row.same_output is None else "yes" if row.same_output else "NO"
        print(
            f"{row.what:44} {row.seconds:8.2f}s {row.peer_seconds:8.2f}s {row.ratio:6.2f}x {row.goal:>8} "
            f"{row.completions_per_second:11.0f}  {same}"
        )


if __name__ == "__main__":
    main()
