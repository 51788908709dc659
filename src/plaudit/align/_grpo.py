"""Group-relative policy optimization of a small policy, with any reward."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.align._checkpoint import TrainingFolder, manifest_of
from plaudit.align._config import GrpoConfig
from plaudit.align._interrupt import Interrupt, interrupt_after_step
from plaudit.align._problems import Problem, digest_of, seed_of, templates
from plaudit.align._rollout import REWARD, draw_answers, score_answers
from plaudit.align._update import Learner
from plaudit.errors import SpecError, TooManyFailures
from plaudit.reward import Reward
from plaudit.types import Context, LanguageModel, Sample
from plaudit.worlds import Policy

Evaluate = Callable[[Policy], Mapping[str, float]]
History = dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What a training came to.

    Fields:
        policy: the one that was given, now trained.
        config: what it was told.
        history: a row for each step with its number, from 1 on, under ``step``, and in front of them one of step 0 where the
            policy was evaluated. ``reward`` and ``reward/LEAF`` are means over the scored answers, before the update.
        steps: how many are behind it. skipped: those of them that updated nothing.
        interrupted: whether Ctrl-C ended it.
        seconds, processor_seconds: what this call took, evaluations included.
    """

    policy: Policy
    config: GrpoConfig
    history: list[History]
    steps: int
    skipped: int
    interrupted: bool
    seconds: float
    processor_seconds: float

    def curve(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The steps at which a number was written down, and the numbers.

        Raises KeyError with the names that there are.
        """
        points = [(row["step"], row[name]) for row in self.history if name in row]
        if not points:
            raise KeyError(f"{name!r} is not in the history, which has {sorted({n for row in self.history for n in row})}")
        steps, values = zip(*points, strict=True)
        return np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64)


def grpo(
    policy: Policy,
    problems: Sequence[Problem | Sample],
    reward: Reward,
    config: GrpoConfig | None = None,
    *,
    context: Context | None = None,
    reference: Policy | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    evaluate: Evaluate | None = None,
    progress: Callable[[History], None] | None = None,
) -> Training:
    """Train a policy in place: draw groups of answers, score them, raise what was better than the rest of its group.

    FAILED and ABSTAINED answers enter no baseline and give no gradient. A step of which nothing is scored, or in which no group
    has variance, updates nothing and is counted. The same weights, seed, threads and machine give the same training.

    Args:
        policy: the sampler's kind: a plain Llama with its tokenizer, in float32.
        problems: what is asked; `reward` gets each as the sample that it makes of a response. All come before one comes again.
        reward: scores the answers, with their tokens, log-probabilities, group and finish; `Context.step` counts from 1.
        config: None = the defaults.
        context: further models and environments for the reward; ``policy`` and ``reference`` are added.
        reference: of the KL divergence; None = the policy as it is given.
        folder: for history and checkpoints; None = nothing is written.
        resume: go on from the newest checkpoint in `folder`; `policy` is given as it was at first.
        evaluate: called with the policy before the first step, every `evaluate_every` steps and after the last; its numbers
            are in the history as ``evaluate/NAME``.
        progress: called with each step's row of the history.

    Ctrl-C ends the training after the step that is under way, which is kept; a second one at once.

    Raises TooManyFailures when the share of FAILED answers passes `max_failure_rate` (the last step is kept), RunError when the
    folder cannot be used, DataError for problems that are none, ModelError for another kind of model.

    Source: "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models".

    >>> from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy
    >>> config = GrpoConfig(steps=1, prompts_per_step=2, group_size=2, max_tokens=8)
    >>> grpo(load_policy(), arithmetic_problems(4), ArithmeticAnswer(), config).skipped  # no answer is that short
    1
    """
    run = _Run(policy, templates(problems), reward, config or GrpoConfig(), context or Context(), reference, evaluate, progress)
    where = None if folder is None else TrainingFolder(Path(folder))
    claimed = nullcontext() if where is None else where.claimed(run.manifest(), resume)
    with claimed, _as_trained(policy.model), interrupt_after_step() as interrupt:
        return run.train(where, interrupt)


def grpo_seeds(
    policy: Policy,
    problems: Sequence[Problem | Sample] | Callable[[int], Sequence[Problem | Sample]],
    reward: Reward,
    config: GrpoConfig | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    folder: str | Path | None = None,
    **options: Any,
) -> Iterator[tuple[int, Training]]:
    """The same training from the same policy, once for each seed; `policy` itself stays as it is.

    Args:
        problems: those of every seed, or a function from a seed to its own.
        folder: each seed has ``seed-N`` in it.
        options: as `grpo` takes them.

    Yields each seed with its training as soon as it is done; after an interrupted one nothing more.

    >>> from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy
    >>> config = GrpoConfig(steps=1, prompts_per_step=2, group_size=2, max_tokens=8)
    >>> [seed for seed, training in grpo_seeds(load_policy(), arithmetic_problems(4), ArithmeticAnswer(), config, (3, 5))]
    [3, 5]
    """
    for seed in seeds:
        fresh = Policy(copy.deepcopy(policy.model), policy.tokenizer)
        training = grpo(
            fresh, problems(seed) if callable(problems) else problems, reward, replace(config or GrpoConfig(), seed=seed),
            folder=None if folder is None else Path(folder) / f"seed-{seed}", **options,
        )  # fmt: skip
        yield seed, training
        if training.interrupted:
            return


@contextmanager
def _as_trained(model: Any) -> Iterator[None]:
    """The attention that is fastest to train with; what was there before comes back after."""
    before, training = model.config._attn_implementation, model.training
    # The fused kernel's backward pass takes twice the time of plain products on a CPU.
    if model.device.type == "cpu":
        model.set_attn_implementation("eager")
    model.eval()  # a policy without dropout: what is learned from is what was drawn
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        model.train(training)


class _Run:
    """One training from its beginning, or its newest checkpoint, to its end."""

    def __init__(
        self,
        policy: Policy,
        problems: list[Sample],
        reward: Reward,
        config: GrpoConfig,
        context: Context,
        reference: Policy | None,
        evaluate: Evaluate | None,
        progress: Callable[[History], None] | None,
    ) -> None:
        if not isinstance(reward, Reward):
            raise SpecError(
                f"reward is {type(reward).__name__}: expected a Reward; plaudit.reward.reward makes one of a function"
            )
        self.policy, self.problems, self.reward, self.config, self.context = policy, problems, reward, config, context
        self.given_reference, self.evaluate, self.progress = reference, evaluate, progress
        self.history: list[History] = []
        self.failures: deque[tuple[float, int]] = deque(maxlen=config.failure_window)

    def manifest(self) -> dict[str, Any]:
        reference = None if self.given_reference is None else self.given_reference.model
        return manifest_of(self.config, self.reward, digest_of(self.problems), self.policy.model, reference)

    def train(self, folder: TrainingFolder | None, interrupt: Interrupt) -> Training:
        begin, processor = time.monotonic(), time.process_time()
        config = self.config
        learner = Learner(self.policy.model, config, None if self.given_reference is None else self.given_reference.model)
        models = self._models(learner)
        done = 0
        if folder is not None:
            done = folder.load(self.policy, learner, self.reward)
            self.history = folder.history(done)
        if done == 0 and not self.history and self.evaluate is not None:
            self._note(self._evaluated({"step": 0}), folder)
        for step in range(done, config.steps):
            if interrupt.asked:
                break
            row = self._step(learner, models, step)
            done = step + 1
            if self.evaluate is not None and (done == config.steps or _due(done, config.evaluate_every)):
                row = self._evaluated(row)
            self._note(row, folder)
            if folder is not None and _due(done, config.checkpoint_every):
                folder.save(self.policy, learner, self.reward, done, config.keep_checkpoints)
            if self._is_failing():
                break
        if folder is not None and done:
            folder.save(self.policy, learner, self.reward, done, config.keep_checkpoints)
        if self._is_failing():
            raise TooManyFailures(self._failing_message(done))
        skipped = sum(1 for row in self.history if row.get("updates") == 0)
        return Training(
            self.policy, config, self.history, done, skipped, interrupt.asked and done < config.steps,
            time.monotonic() - begin, time.process_time() - processor,
        )  # fmt: skip

    def _step(self, learner: Learner, models: Mapping[str, LanguageModel], step: int) -> History:
        begin = time.perf_counter()
        config = self.config
        answers = draw_answers(self.policy, self.problems, config, step)
        context = replace(self.context, step=step + 1, seed=seed_of(config.seed, step, REWARD), models=models)
        scored = score_answers(answers, self.reward, config, context)
        self.failures.append((scored.metrics["failed"] * len(answers.samples), len(answers.samples)))
        row: History = {"step": step + 1, **scored.metrics, "seconds_draw": answers.seconds, "seconds_reward": scored.seconds}
        if not config.kl_coefficient and _due(step + 1, config.kl_every):
            row["kl"] = learner.divergence(answers)
        row |= learner.learn(answers, scored.advantages, step)
        row["seconds"] = time.perf_counter() - begin
        return row

    def _models(self, learner: Learner) -> Mapping[str, LanguageModel]:
        """The context's models with the policy and, where there is one, the reference."""
        from plaudit.lm import LocalModel

        found: dict[str, LanguageModel] = {"policy": LocalModel(self.policy.model, self.policy.tokenizer)}
        if learner.reference is not None:
            found["reference"] = LocalModel(learner.reference, self.policy.tokenizer, address="reference:")
        return {**self.context.models, **found}

    def _evaluated(self, row: History) -> History:
        assert self.evaluate is not None
        return row | {f"evaluate/{name}": float(value) for name, value in self.evaluate(self.policy).items()}

    def _note(self, row: History, folder: TrainingFolder | None) -> None:
        self.history.append(row)
        if folder is not None:
            folder.append(row)
        if self.progress is not None:
            self.progress(row)

    def _failed(self) -> tuple[float, int]:
        """FAILED answers, and all answers, of the last steps."""
        return sum(failed for failed, _ in self.failures), sum(answers for _, answers in self.failures)

    def _is_failing(self) -> bool:
        failed, answers = self._failed()
        return failed > self.config.max_failure_rate * answers

    def _failing_message(self, step: int) -> str:
        failed, answers = self._failed()
        return (
            f"{failed:,.0f} of the last {answers:,} answers FAILED (at step {step}), over max_failure_rate "
            f"{self.config.max_failure_rate:.0%}: score some answers by hand to see why, then resume"
        )


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
