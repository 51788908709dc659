"""How good a policy is by a reward: the mean over answers to fresh problems, with an interval over problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plaudit.align._problems import Problem, prompt_texts, templates
from plaudit.reward import Reward
from plaudit.stats import Interval, bootstrap_interval
from plaudit.types import Context, Sample
from plaudit.worlds import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What answers to p problems were worth.

    Fields:
        mean: over problems of the mean over their scored answers. For a reward of 0 and 1 it is pass@1.
        interval: of 95%, bootstrapped over problems.
        by_problem: (p,) float64 mean over the problem's scored answers; NaN = none is scored.
        unscored: share of the answers without a value.
        tokens: mean length of an answer.
    """

    mean: float
    interval: Interval
    by_problem: NDArray[np.float64]
    unscored: float
    tokens: float


def answer_problems(
    policy: Policy,
    problems: Sequence[Problem | Sample],
    n: int = 4,
    *,
    temperature: float = 1.0,
    max_tokens: int | None = 96,
    seed: int = 0,
) -> list[Sample]:
    """n answers to each of p problems as samples, those of a problem behind one another.

    Raises what `Policy.sample` raises.

    >>> from plaudit.worlds import ArithmeticProblem, load_policy
    >>> [sample.response for sample in answer_problems(load_policy(), [ArithmeticProblem("7+5")], 1, temperature=0.0)]
    ['7+5=12\\n#### 12']
    """
    asked = templates(problems)
    drawn = policy.sample(prompt_texts(asked, policy.tokenizer), n, temperature, seed, max_tokens)
    return [
        replace(
            problem, response=each.text, group=f"{k}", group_size=n,
            tokens=each.tokens, logprobs=each.logprobs, finish=each.finish,
        )
        for k, (problem, group) in enumerate(zip(asked, drawn, strict=True))
        for each in group
    ]  # fmt: skip


def evaluate_policy(
    policy: Policy,
    problems: Sequence[Problem | Sample],
    reward: Reward,
    n: int = 4,
    *,
    temperature: float = 1.0,
    max_tokens: int | None = 96,
    seed: int = 0,
    context: Context | None = None,
) -> Evaluation:
    """Draw n answers to each problem and score them; with the same seed two policies get the same random numbers.

    >>> from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy
    >>> problems = arithmetic_problems(20, split="evaluation", level="easy")
    >>> 0.4 < evaluate_policy(load_policy("arithmetic-strong"), problems, ArithmeticAnswer(), 1).mean <= 1
    True
    """
    samples = answer_problems(policy, problems, n, temperature=temperature, max_tokens=max_tokens, seed=seed)
    values = reward.score(samples, context).values.reshape(len(problems), n)
    scored = ~np.isnan(values)
    counts = scored.sum(axis=1)
    means = np.full(len(problems), np.nan)
    np.divide(np.where(scored, values, 0.0).sum(axis=1), counts, out=means, where=counts > 0)
    known = means[~np.isnan(means)]
    tokens = float(np.mean([len(sample.tokens) for sample in samples if sample.tokens is not None]))
    mean = float(known.mean()) if len(known) else float("nan")
    interval = bootstrap_interval(known, seed=seed) if len(known) else Interval(float("nan"), float("nan"))
    return Evaluation(mean, interval, means, float(1 - scored.mean()), tokens)
