"""Train a tiny policy of the arithmetic world from nothing, on a CPU, in minutes.

    python -m plaudit.worlds.train_policy --out FOLDER                    # the recipe of world:arithmetic
    python -m plaudit.worlds.train_policy arithmetic-weak --out FOLDER

First clean demonstrations of the training split, then a short phase in which some steps of a demonstration are false and the
rest goes on from there: the policy learns to slip, so that there is something for reinforcement learning to mend. The folder
is what Hugging Face's ``from_pretrained`` loads, in bfloat16. Ctrl-C stops early and writes what there is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from plaudit.worlds._demonstrations import demonstrations
from plaudit.worlds._level import LevelName
from plaudit.worlds._tokenizer import EOS, PAD, VOCABULARY, build_tokenizer, encode

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
_POOL = 16
_WARM_UP = 50


@dataclass(frozen=True)
class Recipe:
    """How a tiny policy is trained.

    Fields:
        clean_steps, noisy_steps: optimizer steps on clean demonstrations, then on demonstrations with slips.
        slips: probability that a step of a demonstration with slips is false.
        batch: demonstrations in a step.
        rate, noisy_rate: highest learning rate of each phase; it falls to 0 over the last two fifths of the phase.
        level: what the problems are made of.
    """

    clean_steps: int = 1_500
    noisy_steps: int = 150
    slips: float = 0.12
    batch: int = 64
    rate: float = 3e-3
    noisy_rate: float = 5e-4
    level: LevelName = "default"


RECIPES = {
    "arithmetic": Recipe(),
    "arithmetic-weak": Recipe(clean_steps=700, noisy_steps=0),
    "arithmetic-strong": Recipe(clean_steps=2_500, noisy_steps=0),
}
"""The recipes of the shipped policies."""


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Fields:
        steps: optimizer steps done. loss: mean of the last 50, in nats a token.
        seconds: wall time. processor_seconds: time of all processors.
        interrupted: whether Ctrl-C ended it.
    """

    steps: int
    loss: float
    seconds: float
    processor_seconds: float
    interrupted: bool


def new_model(seed: int = 0) -> Any:
    """An untrained ``LlamaForCausalLM`` of about one million parameters over the world's alphabet."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=VOCABULARY[PAD],
        eos_token_id=VOCABULARY[EOS],
        bos_token_id=None,
    )
    return LlamaForCausalLM(config)


def train(model: Any, recipe: Recipe, seed: int = 0, report: Callable[[int, int, float, float], None] | None = None) -> Training:
    """Train a model in place; `report(step, steps, loss, seconds)` is called after every step.

    The same seed, threads and machine give the same weights. KeyboardInterrupt ends it early.
    """
    import torch

    begin, processor = time.monotonic(), time.process_time()
    # Half the time of the fused attention kernel, whose backward pass is slow on a CPU.
    model.set_attn_implementation("eager")
    model.train()
    random = Random(f"train {seed}")
    phases = [(recipe.clean_steps, 0.0, recipe.rate), (recipe.noisy_steps, recipe.slips, recipe.noisy_rate)]
    total = recipe.clean_steps + recipe.noisy_steps
    losses: list[float] = []
    interrupted = False
    try:
        for steps, slips, rate in phases:
            optimizers = _Optimizers(model)
            for k, batch in enumerate(_batches(random, recipe, steps, slips)):
                optimizers.rate = rate * min(1.0, (k + 1) / _WARM_UP, (steps - k) / (0.4 * steps))
                losses.append(_learn(model, optimizers, batch))
                if report is not None:
                    report(len(losses), total, losses[-1], time.monotonic() - begin)
    except KeyboardInterrupt:
        interrupted = True
    model.eval()
    model.set_attn_implementation("sdpa")
    recent = torch.tensor(losses[-50:]).mean().item() if losses else float("nan")
    return Training(len(losses), recent, time.monotonic() - begin, time.process_time() - processor, interrupted)


class _Optimizers:
    """Muon for the matrices inside the model, AdamW for the embedding and the norms."""

    def __init__(self, model: Any) -> None:
        import torch

        from plaudit.worlds._muon import Muon

        named = dict(model.named_parameters())
        inner = [p for name, p in named.items() if p.ndim == 2 and "embed_tokens" not in name]
        outer = [p for name, p in named.items() if p.ndim != 2 or "embed_tokens" in name]
        self.muon = Muon(inner, rate=0.0)
        self.adam = torch.optim.AdamW(outer, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
        self.parameters = [*inner, *outer]
        self.rate = 0.0

    def step(self) -> None:
        import torch

        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.muon.rate = self.rate
        for group in self.adam.param_groups:
            group["lr"] = self.rate
        self.muon.step()
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None


def _learn(model: Any, optimizers: _Optimizers, batch: tuple[Tensor, Tensor]) -> float:
    """One step; the mean loss over the tokens of the solutions, in nats."""
    import torch

    tokens, labels = (part.to(model.device) for part in batch)
    with torch.autocast(model.device.type, torch.bfloat16):
        logits = model(tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
    torch.autograd.backward(loss)
    optimizers.step()
    return float(loss.detach())


def _batches(random: Random, recipe: Recipe, steps: int, slips: float) -> Iterator[tuple[Tensor, Tensor]]:
    """(batch, length) token ids, and labels with `IGNORED` outside the solutions; texts of like length come together."""
    import torch

    source = demonstrations(random, slips, recipe.level)
    for first in range(0, steps, _POOL):
        count = min(_POOL, steps - first)
        pool = [(encode(prompt), encode(solution)) for prompt, solution in islice(source, count * recipe.batch)]
        pool.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        blocks = [pool[k * recipe.batch : (k + 1) * recipe.batch] for k in range(count)]
        random.shuffle(blocks)
        for block in blocks:
            longest = max(len(prompt) + len(solution) + 1 for prompt, solution in block)
            tokens = torch.full((len(block), longest), VOCABULARY[PAD])
            labels = torch.full((len(block), longest), IGNORED)
            for k, (prompt, solution) in enumerate(block):
                text = torch.tensor([*prompt, *solution, VOCABULARY[EOS]])
                tokens[k, : len(text)] = text
                labels[k, len(prompt) : len(text)] = text[len(prompt) :]
            yield tokens, labels


def save(model: Any, folder: Path) -> None:
    """Write model and tokenizer as ``from_pretrained`` loads them, weights in bfloat16."""
    import torch

    model.to(torch.bfloat16).save_pretrained(folder)
    model.to(torch.float32)
    build_tokenizer().save_pretrained(folder)
    # The class's name before transformers 5 called it otherwise: both sides know this one.
    path = folder / "tokenizer_config.json"
    written = {**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)


def _progress(step: int, steps: int, loss: float, seconds: float) -> None:
    if step % 10 == 0 or step == steps:
        left = round(seconds / step * (steps - step))
        line = f"step {step:,} of {steps:,}   loss {loss:.3f}   {step / seconds:.1f} steps/s   {left // 60}:{left % 60:02d} left"
        print(f"\r{line:<72}", end="\n" if step == steps else "", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m plaudit.worlds.train_policy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="?", default="arithmetic", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; made if it is not there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")
    parser.add_argument("--device", default="cpu")
    for name in ("clean_steps", "noisy_steps", "batch", "slips", "rate", "noisy_rate"):
        kind = int if isinstance(getattr(Recipe, name), int) else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="in place of the recipe's own")
    given = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(given.threads)
    changes = {name: getattr(given, name) for name in vars(Recipe()) if getattr(given, name, None) is not None}
    recipe = replace(RECIPES[given.recipe], **changes)
    model = new_model(given.seed).to(given.device)
    training = train(model, recipe, given.seed, _progress)
    given.out.mkdir(parents=True, exist_ok=True)
    save(model, given.out)
    early = "interrupted, " if training.interrupted else ""
    print(
        f"\n{early}{training.steps:,} steps, loss {training.loss:.3f}, {training.seconds:.0f} s "
        f"({training.processor_seconds:.0f} s of processor time): {given.out}"
    )


if __name__ == "__main__":
    main()
