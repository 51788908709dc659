"""One step's answers: drawn, scored, and compared within their groups."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.align._config import GrpoConfig, Truncated
from plaudit.align._problems import problems_of_step, prompt_texts, seed_of
from plaudit.credit import GroupReport, Normalization, group_advantage
from plaudit.reward import Reward, Stateful, leaves
from plaudit.types import ABSTAINED, FAILED, SCORED, Context, Sample, Verdicts
from plaudit.worlds import Policy

DRAW, REWARD, MINIBATCH = 2, 3, 4
"""Purposes of seeds within a step; 1 is the order of the problems."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The m answers of one step, a group's behind one another.

    Fields:
        samples: with tokens, log-probabilities, group, group size and finish.
        prompts: m arrays of prompt token ids.
        seconds: the drawing took.
    """

    samples: list[Sample]
    prompts: list[NDArray[np.int64]]
    seconds: float

    @property
    def tokens(self) -> list[NDArray[np.int64]]:
        """m arrays of response token ids, the end token included."""
        return [np.asarray(sample.tokens, dtype=np.int64) for sample in self.samples]

    @property
    def logprobs(self) -> list[NDArray[np.float32]]:
        """m arrays of log-probabilities under the distribution that was drawn from."""
        return [np.asarray(sample.logprobs, dtype=np.float32) for sample in self.samples]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the reward said of m answers, and what follows from it.

    Fields:
        verdicts: of the whole reward.
        advantages: (m,) NaN = nothing is learned from this answer, and it does not count in the objective's mean.
        report: of the groups; answers that are left out as truncated count as not scored there.
        metrics: numbers for the history.
        seconds: the scoring took.
    """

    verdicts: Verdicts
    advantages: NDArray[np.float64]
    report: GroupReport
    metrics: dict[str, float]
    seconds: float


def draw_answers(policy: Policy, problems: Sequence[Sample], config: GrpoConfig, step: int) -> Answers:
    """The answers of step 0, 1, ...; they depend on the weights, the seed and the step alone."""
    begin = time.perf_counter()
    chosen = [problems[k] for k in problems_of_step(step, config.prompts_per_step, len(problems), config.seed)]
    texts = prompt_texts(chosen, policy.tokenizer)
    drawn = policy.sample(
        texts, config.group_size, config.temperature, seed_of(config.seed, step, DRAW), config.max_tokens, rows=512
    )
    ids = [np.asarray(row, np.int64) for row in policy.tokenizer(texts, add_special_tokens=True)["input_ids"]]
    samples = [
        replace(
            problem, response=each.text, id=f"{step}/{k}/{j}", group=f"{step}/{k}", group_size=config.group_size,
            tokens=each.tokens, logprobs=each.logprobs, finish=each.finish,
        )
        for k, (problem, group) in enumerate(zip(chosen, drawn, strict=True))
        for j, each in enumerate(group)
    ]  # fmt: skip
    return Answers(samples, [ids[k] for k in range(len(ids)) for _ in range(config.group_size)], time.perf_counter() - begin)


def score_answers(answers: Answers, reward: Reward, config: GrpoConfig, context: Context) -> Scored:
    """Rewards and advantages of a step's answers; stateful rewards learn from them after all is scored."""
    begin = time.perf_counter()
    samples = answers.samples
    verdicts = reward.score(samples, context)
    for leaf in leaves(reward):
        if isinstance(leaf.reward, Stateful):
            leaf.reward.update(samples, leaf.of(verdicts), context)
    cut = np.array([sample.finish == "length" for sample in samples])
    index = np.repeat(np.arange(len(samples) // config.group_size), config.group_size)
    advantages, report = answer_advantages(verdicts, cut, index, config.normalize, config.truncated)
    metrics = _metrics(reward, verdicts, report)
    metrics["truncated"] = float(cut.mean())
    metrics["tokens"] = float(np.mean([len(tokens) for tokens in answers.tokens]))
    # The mean surprise at tokens drawn from a distribution is an unbiased estimate of its entropy.
    metrics["entropy"] = float(-np.concatenate(answers.logprobs).mean(dtype=np.float64))
    return Scored(verdicts, advantages, report, metrics, time.perf_counter() - begin)


def answer_advantages(
    verdicts: Verdicts,
    cut: NDArray[np.bool_],
    groups: NDArray[np.int64],
    normalize: Normalization,
    truncated: Truncated,
) -> tuple[NDArray[np.float64], GroupReport]:
    """(m,) advantages of answers, NaN where nothing is learned, and the report of their groups.

    Each answer has one advantage for all its tokens; what a verdict places inside the answer (`Verdict.dense`) is not read.
    """
    rewards = np.where(cut, np.nan, verdicts.values) if truncated == "drop" else verdicts.values
    advantages, report = group_advantage(rewards, groups, normalize)
    return (np.where(cut, np.nan, advantages) if truncated == "mask" else advantages), report


def _metrics(reward: Reward, verdicts: Verdicts, report: GroupReport) -> dict[str, float]:
    n = len(verdicts)
    found = {
        "scored": verdicts.n_scored / n,
        "abstained": float(np.count_nonzero(verdicts.codes == ABSTAINED)) / n,
        "failed": float(np.count_nonzero(verdicts.codes == FAILED)) / n,
        "flat_groups": report.flat_share,
    }
    columns = {"reward": verdicts} | {f"reward/{leaf.name}": leaf.of(verdicts) for leaf in leaves(reward)}
    for name, column in columns.items():
        values = column.values[column.codes == SCORED]
        if len(values):
            found[name] = float(values.mean())
    if verdicts.n_scored:
        found["reward_std"] = float(verdicts.values[verdicts.codes == SCORED].std())
    return found
