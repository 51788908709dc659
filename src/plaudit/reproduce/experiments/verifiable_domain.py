"""Verifiable rewards on a domain of its own: problems with brackets, which the shipped policy was never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from plaudit.reproduce import Progress, Trial, experiment
from plaudit.reward import Facts, Reward
from plaudit.types import Context, Sample, Verdict
from plaudit.worlds import ArithmeticProblem, Split

_STEPS = 60
_TRAINING, _FRESH = 640, 300
_PARTS = ("answer_line", "math")
_ANSWER_LINE = re.compile(r"#### -?[0-9]{1,12}")


@dataclass(frozen=True)
class AnswerLine(Reward):
    """1 when the response ends with a line that holds an answer, else 0."""

    @property
    def facts(self) -> Facts:
        """Range (0, 1)."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on the last line."""
        last = str(sample.response).rpartition("\n")[2]
        return Verdict(1.0) if _ANSWER_LINE.fullmatch(last) else Verdict(0.0, reason="response_format")


@experiment(
    systems=[41],
    claim="Verifiable rewards (0.1 format + 0.9 correctness by the answer key) lift a small policy on a domain of its own "
    "(WirelessMathLM: Teaching Mathematical Reasoning for LLMs in Wireless Communications with Reinforcement Learning).",
    seeds=(0, 1, 2),
    seconds=220,
    smoke=0.1,
)
def verifiable_rewards_lift_a_domain(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: gain in pass@1 on fresh problems with brackets; control: the gain with an answer key whose lines are shuffled."""
    from plaudit.align import GrpoConfig
    from plaudit.reproduce.experiments._policy_training import gain, train_copy
    from plaudit.verify import Math
    from plaudit.worlds import load_policy

    steps = max(2, round(_STEPS * scale))
    config = GrpoConfig(steps=steps, seed=seed, evaluate_every=max(1, steps // 4), checkpoint_every=10)
    training = _problems(_TRAINING, seed, "training")
    fresh = _problems(max(20, round(_FRESH * scale)), seed, "evaluation")
    key = [problem.answer for problem in training]
    shuffled = [key[k] for k in np.random.default_rng(seed).permutation(len(key))]
    reward = 0.1 * AnswerLine() + 0.9 * Math(rules=("hash",))
    policy = load_policy()
    runs = {
        name: train_copy(
            name, policy, [Sample(p.prompt, "", answer) for p, answer in zip(training, answers, strict=True)],
            reward, config, fresh, progress, (k / 2, (k + 1) / 2),
        )
        for k, (name, answers) in enumerate({"answer key": key, "shuffled key": shuffled}.items())
    }  # fmt: skip
    gains = {name: gain(run) for name, run in runs.items()}
    curves = {f"{name} pass@1": run.curve("evaluate/pass@1")[1].tolist() for name, run in runs.items()}
    curves |= {f"{name} {part}": run.curve(f"reward/{part}")[1].tolist() for name, run in runs.items() for part in _PARTS}
    return Trial(
        effect=gains["answer key"],
        control=gains["shuffled key"],
        unit="pass@1",
        details={
            "gains": gains,
            "before": curves["answer key pass@1"][0],
            "evaluated_at": runs["answer key"].curve("evaluate/pass@1")[0].tolist(),
            "key_lines_left_in_place_by_chance": float(np.mean([a == b for a, b in zip(key, shuffled, strict=True)])),
        },
        curves=curves,
    )


def _problems(n: int, seed: int, split: Split) -> list[ArithmeticProblem]:
    """n problems of three numbers with brackets: about half of what the level gives has some."""
    from plaudit.worlds import ArithmeticLevel, arithmetic_problems

    level = ArithmeticLevel(operands=(3, 3), numbers=(1, 12), brackets=True, limit=200)
    drawn = arithmetic_problems(3 * n, seed, split, level)
    return [problem for problem in drawn if "(" in problem.expression][:n]
