"""Which rewards lift a policy on problems that it cannot have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plaudit.reproduce import Progress, Trial, experiment
from plaudit.reward import Facts, Reward
from plaudit.types import Context, Sample, Verdict, Verdicts
from plaudit.worlds import ArithmeticAnswer

_STEPS = 40
_TRAINING, _FRESH = 1_280, 500


@dataclass(frozen=True)
class CoinFlips(Reward):
    """1 with a probability, else 0, whatever the answer says."""

    probability: float = 0.5

    @property
    def facts(self) -> Facts:
        """Range (0, 1); batch scope, for each sample of a batch has its own coin."""
        return Facts(range=(0.0, 1.0), scope="batch", reads=frozenset({"response"}))

    def score_batch(self, samples: list[Sample], context: Context) -> Verdicts:  # type: ignore[override]
        """A coin for each sample, by the context's seed."""
        flips = np.random.default_rng(context.seed).random(len(samples)) < self.probability
        return Verdicts(flips.astype(np.float64))


@dataclass(frozen=True)
class WrongAnswer(Reward):
    """1 for a wrong answer, 0 for the right one."""

    @property
    def facts(self) -> Facts:
        """Range (0, 1)."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """1 less the exact verdict."""
        exact = ArithmeticAnswer().score_one(sample, context)
        return exact if exact.value is None else Verdict(1.0 - exact.value)


@experiment(
    systems=[99],
    claim="On fresh problems only accurate rewards help: GRPO gains with exact rewards, and not with random or flipped ones "
    "(Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data Contamination).",
    seeds=(0, 1, 2),
    seconds=530,
    smoke=0.1,
)
def only_accurate_rewards_help(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: gain in pass@1 on fresh problems with exact rewards; control: the larger gain of coin flips and flipped rewards.

    The shipped policy was taught to slip in part of its training, so a part of the gain undoes that.
    """
    from plaudit.align import GrpoConfig
    from plaudit.reproduce.experiments._policy_training import gain, train_copy
    from plaudit.worlds import arithmetic_problems, load_policy

    steps = max(2, round(_STEPS * scale))
    config = GrpoConfig(steps=steps, seed=seed, evaluate_every=max(1, steps // 4), checkpoint_every=10)
    training = arithmetic_problems(_TRAINING, seed)
    fresh = arithmetic_problems(max(20, round(_FRESH * scale)), seed, "evaluation")
    policy = load_policy()
    rewards: dict[str, Reward] = {"exact": ArithmeticAnswer(), "random": CoinFlips(), "flipped": WrongAnswer()}
    runs = {
        name: train_copy(name, policy, training, reward, config, fresh, progress, (k / 3, (k + 1) / 3))
        for k, (name, reward) in enumerate(rewards.items())
    }
    gains = {name: gain(run) for name, run in runs.items()}
    curves = {f"{name} pass@1": run.curve("evaluate/pass@1")[1].tolist() for name, run in runs.items()}
    curves |= {f"{name} reward": run.curve("reward")[1].tolist() for name, run in runs.items()}
    return Trial(
        effect=gains["exact"],
        control=max(gains["random"], gains["flipped"]),
        unit="pass@1",
        details={
            "gains": gains,
            "before": curves["exact pass@1"][0],
            "evaluated_at": runs["exact"].curve("evaluate/pass@1")[0].tolist(),
            "skipped": {name: run.skipped for name, run in runs.items()},
        },
        curves=curves,
    )
