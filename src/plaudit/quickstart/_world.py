"""The quickstart on the arithmetic world: from a reward to a better policy, each stage a function."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.align import GrpoConfig, answer_problems, evaluate_policy, grpo
from plaudit.errors import RunError
from plaudit.learned import Head, HiddenFeatures, RewardModel, training_labels
from plaudit.learned import Training as HeadTraining
from plaudit.quickstart._fooling import fool
from plaudit.quickstart._results import Picking, Quickstart, Say, Scored, Trained, silent
from plaudit.records import write_samples
from plaudit.reward import from_spec
from plaudit.search import selection_curve
from plaudit.stats import bootstrap_interval
from plaudit.stress import LINE_EDITS, change_digit
from plaudit.types import Sample
from plaudit.worlds import ArithmeticAnswer, ArithmeticProblem, Policy, arithmetic_problems, load_policy

SPEC = Path(__file__).with_name("arithmetic.yaml")
"""The composed reward, also ``examples/arithmetic.yaml``."""

FILES = (
    "answers.jsonl", "reward-model", "policy", SPEC.name, "report.html", "quickstart.json",
)  # fmt: skip
"""What a quickstart on the world writes into its folder; nothing else in there is its own."""

PROBLEMS, ANSWERS, HELD_OUT = 256, 8, 500
MAX_TOKENS = 96
FLOOD = 32
# States beside the statistics cost accuracy with so little data: docs/design/hidden-state-rewards.md.
HEAD = Head("gated_linear")
LAYERS: tuple[int, ...] = ()


def quickstart(
    folder: str | Path,
    *,
    seed: int = 0,
    say: Say = silent,
    problems: int = PROBLEMS,
    config: GrpoConfig | None = None,
    held_out: int = HELD_OUT,
) -> Quickstart:
    """Sample, score, train a reward model, pick with it, fool it, and train the policy; the files are in `folder`.

    Args:
        folder: ``answers.jsonl``, ``reward-model/`` and ``policy/`` are written there. A training that was interrupted goes on.
        seed: of everything.
        say: told how far each stage is.
        problems: fresh problems for the first four stages, half of them to train the reward model; an even number from 16 on.
        config: of the policy's training; None = the defaults of `GrpoConfig`.
        held_out: problems on which the policy is measured before and after.

    Raises RunError when the folder cannot be used.
    """
    if problems < 16 or problems % 2:
        raise RunError(f"quickstart: problems is {problems}: expected an even number from 16 on")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    policy = load_policy("arithmetic")
    found = Quickstart(folder, _scored(policy, problems, seed, folder, say), lap=began)
    found.seconds["sampling and scoring"] = _lap(found)
    found.picking = _picking(found.scored, folder, seed, say)
    found.seconds["reward model"] = _lap(found)
    say("Fooling the reward model", None, f"the best-liked wrong answer of {FLOOD}")
    pool = _pool(policy, found.scored, found.picking, seed)
    found.fooling = fool(found.picking, ArithmeticAnswer(), found.scored, LINE_EDITS, change_digit, pool, seed)
    found.seconds["fooling"] = _lap(found)
    found.trained = _trained(policy, found.scored, folder, seed, say, config, held_out)
    found.seconds["training"] = _lap(found)
    return found


def _lap(found: Quickstart) -> float:
    """Seconds since the last lap, or since `found` was made."""
    now = time.monotonic()
    since, found.lap = found.lap, now
    return now - since


def _scored(policy: Policy, n: int, seed: int, folder: Path, say: Say) -> Scored:
    say("Sampling", 0.0, f"{ANSWERS} answers to each of {n} fresh problems")
    asked = arithmetic_problems(n, seed=10_000 + seed, split="evaluation")
    samples = answer_problems(policy, asked, ANSWERS, max_tokens=MAX_TOKENS, seed=seed)
    right = ArithmeticAnswer()(samples)
    samples = [
        replace(sample, id=f"{k // ANSWERS + 1}/{k % ANSWERS}", meta={**sample.meta, "label": float(right[k])})
        for k, sample in enumerate(samples)
    ]
    write_samples(folder / "answers.jsonl", samples)
    say("Scoring", None, f"{len(samples):,} answers with {SPEC.name}")
    reward = from_spec(SPEC)
    return Scored(samples, ANSWERS, reward.score(samples), reward, "examples/arithmetic.yaml")


def _picking(scored: Scored, folder: Path, seed: int, say: Say) -> Picking:
    began = time.monotonic()
    right = ArithmeticAnswer().score(scored.samples)
    labels = right.values == 1.0
    half = len(scored.samples) // (2 * scored.per_group) * scored.per_group
    say("Training a reward model", None, f"on what the policy computes for {half:,} answers")
    data = training_labels(scored.samples[:half], labels[:half].tolist(), seed=seed)
    features = HiddenFeatures("world:arithmetic", layers=LAYERS)
    trained = RewardModel.fit(data, features, HEAD, HeadTraining(seed=seed))
    trained.save(folder / "reward-model", overwrite=True)
    model = RewardModel.load(folder / "reward-model")
    test = np.arange(half, len(scored.samples))
    say("Picking the best of N", None, f"on the other {len(test) // scored.per_group} problems")
    shape = (-1, scored.per_group)
    held = [scored.samples[k] for k in test.tolist()]
    scores = model.score(held).values.reshape(shape)
    odds = RewardModel.load(folder / "reward-model", output="probability").score(held).values.reshape(shape)
    answers = [[right[k].answer for k in row] for row in test.reshape(shape).tolist()]
    curves = selection_curve(
        labels[test].reshape(shape), answers, {"reward model": scores}, {"weighted": odds},
        ns=_powers(scored.per_group), seed=seed,
    )  # fmt: skip
    measured = [(m.name, m.value, m.low, m.high) for m in trained.measured]
    words = f"a {HEAD.kind.replace('_', '-')} head on how likely the policy finds each token"
    return Picking(model, words, curves, measured, test, time.monotonic() - began)


def _pool(policy: Policy, scored: Scored, picking: Picking, seed: int) -> list[Sample]:
    """Many more answers to the problems that the reward model has not seen."""
    asked = [scored.samples[k] for k in picking.test[:: scored.per_group].tolist()]
    drawn = answer_problems(policy, asked, FLOOD, max_tokens=MAX_TOKENS, seed=seed + 1)
    return [replace(sample, group=asked[k // FLOOD].group) for k, sample in enumerate(drawn)]


def _powers(n: int) -> list[int]:
    return [2**k for k in range(n.bit_length()) if 2**k <= n]


def _trained(
    policy: Policy, scored: Scored, folder: Path, seed: int, say: Say, config: GrpoConfig | None, held_out: int
) -> Trained:
    began = time.monotonic()
    config = replace(config or GrpoConfig(checkpoint_every=20), seed=seed)
    fresh = arithmetic_problems(held_out, seed=20_000 + seed, split="evaluation")
    right = ArithmeticAnswer()
    say("Training the policy", 0.0, f"pass@1 on {held_out} held-out problems first")
    before = evaluate_policy(policy, fresh, right, 4, max_tokens=MAX_TOKENS, seed=seed)
    greedy = answer_problems(policy, fresh[:100], 1, temperature=0.0, max_tokens=MAX_TOKENS)

    def progress(row: Mapping[str, float]) -> None:
        done = row["step"] / config.steps
        say("Training the policy", done, f"step {row['step']:.0f} of {config.steps}, mean reward {row['reward']:.2f}")

    training = grpo(
        policy, arithmetic_problems(config.steps * config.prompts_per_step, seed=seed), scored.reward, config,
        folder=folder / "policy", resume=(folder / "policy").exists(), progress=progress,
    )  # fmt: skip
    if training.interrupted:
        raise KeyboardInterrupt
    after = evaluate_policy(policy, fresh, right, 4, max_tokens=MAX_TOKENS, seed=seed)
    changed = _changed(greedy, policy, fresh[:100])
    difference = bootstrap_interval(after.by_problem - before.by_problem)
    return Trained(
        (before.mean, *before.interval), (after.mean, *after.interval), (float(difference[0]), float(difference[1])),
        training.history, held_out, 4, time.monotonic() - began, changed,
    )  # fmt: skip


def _changed(greedy: Sequence[Sample], policy: Policy, problems: Sequence[ArithmeticProblem]) -> list[tuple[Sample, Sample]]:
    """Greedy answers before and after that differ, those that became right first."""
    now = answer_problems(policy, problems, 1, temperature=0.0, max_tokens=MAX_TOKENS)
    pairs = [(a, b) for a, b in zip(greedy, now, strict=True) if a.response != b.response]
    right = ArithmeticAnswer()
    better: Any = right([b for _, b in pairs]) - right([a for a, _ in pairs]) if pairs else []
    return [pairs[k] for k in np.argsort(-np.asarray(better), kind="stable")[:3].tolist()]
