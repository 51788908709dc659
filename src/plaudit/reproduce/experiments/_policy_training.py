"""What experiments on trained policies share: a training that survives an interruption, and the experiment's progress."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plaudit.errors import RunError, TooManyFailures
from plaudit.reproduce import Progress

if TYPE_CHECKING:
    from plaudit.align import Evaluation, GrpoConfig, Training
    from plaudit.reward import Reward
    from plaudit.types import Sample
    from plaudit.worlds import ArithmeticProblem, Policy


def train_copy(
    name: str,
    policy: Policy,
    training: Sequence[ArithmeticProblem | Sample],
    reward: Reward,
    config: GrpoConfig,
    fresh: Sequence[ArithmeticProblem],
    progress: Progress,
    share: tuple[float, float],
) -> Training:
    """Train a copy of a policy and measure its pass@1 on fresh problems on the way.

    Args:
        name: of this training; where the experiment may keep files it goes on from its newest checkpoint.
        share: what of the experiment's work is behind it before and after this training.

    Raises KeyboardInterrupt when Ctrl-C ended the training.
    """
    from plaudit.align import grpo
    from plaudit.worlds import Policy

    def report(row: dict[str, float]) -> None:
        done = row["step"] / config.steps
        progress(f"{name}: step {row['step']:.0f} of {config.steps}", share[0] + done * (share[1] - share[0]))

    def train(folder: Path | None) -> Training:
        return grpo(
            Policy(copy.deepcopy(policy.model), policy.tokenizer), training, reward, config, folder=folder, resume=True,
            evaluate=lambda each: {"pass@1": pass_1(each, fresh, config.seed).mean}, progress=report,
        )  # fmt: skip

    folder = None if progress.folder is None else progress.folder / name
    try:
        trained = train(folder)
    except TooManyFailures:
        raise
    except RunError:
        if folder is None or not folder.exists():
            raise
        # What an earlier version of the experiment left there: this one begins anew.
        shutil.rmtree(folder)
        trained = train(folder)
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained


def pass_1(policy: Policy, problems: Sequence[ArithmeticProblem], seed: int) -> Evaluation:
    """pass@1 by two answers to each problem at temperature 1; two policies get the same random numbers."""
    from plaudit.align import evaluate_policy
    from plaudit.worlds import ArithmeticAnswer

    return evaluate_policy(policy, problems, ArithmeticAnswer(), 2, seed=seed)


def gain(training: Training) -> float:
    """pass@1 after the training less that before it."""
    values = training.curve("evaluate/pass@1")[1]
    return float(values[-1] - values[0])
