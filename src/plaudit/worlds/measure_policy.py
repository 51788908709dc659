"""How often a policy of the arithmetic world is right: pass@1 and pass@k on fresh problems of the evaluation split.

python -m plaudit.worlds.measure_policy                              # the shipped policies, 500 problems, 8 answers each
python -m plaudit.worlds.measure_policy arithmetic FOLDER --level easy --json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.stats import Interval, bootstrap_interval, wilson_interval
from plaudit.worlds._level import ARITHMETIC_LEVELS, ArithmeticLevel, LevelName
from plaudit.worlds._policy import POLICIES, load_policy
from plaudit.worlds._problem import ArithmeticProblem, arithmetic_problems
from plaudit.worlds._rewards import ArithmeticAnswer, ArithmeticSteps
from plaudit.worlds._sampling import Policy

MAX_TOKENS = 128


@dataclass(frozen=True)
class Measurement:
    """How often a policy is right.

    Fields:
        problems, answers: how many problems, and answers to each, at temperature 1.
        pass_1: share of right answers, with a 95% bootstrap interval over problems.
        pass_k: share of problems with a right answer among all of theirs, with a 95% Wilson interval.
        greedy: share of right greedy answers, with a 95% Wilson interval.
        steps: mean of `ArithmeticSteps`.
        tokens: mean length of an answer, its end token included.
    """

    problems: int
    answers: int
    pass_1: float
    pass_1_interval: Interval
    pass_k: float
    pass_k_interval: Interval
    greedy: float
    greedy_interval: Interval
    steps: float
    tokens: float


def measure(
    policy: Policy, n: int = 500, answers: int = 8, seed: int = 1, level: ArithmeticLevel | LevelName = "default"
) -> Measurement:
    """Measure a policy on n problems of the evaluation split, with `answers` answers at temperature 1 and a greedy one each."""
    problems = arithmetic_problems(n, seed, "evaluation", level)
    prompts = [problem.prompt for problem in problems]
    drawn = policy.sample(prompts, answers, 1.0, seed, MAX_TOKENS)
    samples = [p.sample(each.text) for p, group in zip(problems, drawn, strict=True) for each in group]
    right = (ArithmeticAnswer()(samples) == 1.0).reshape(n, answers)
    greedy = _greedy(policy, problems)
    return Measurement(
        n,
        answers,
        float(right.mean()),
        bootstrap_interval(right.mean(axis=1), seed=seed),
        float(right.any(axis=1).mean()),
        wilson_interval(int(right.any(axis=1).sum()), n),
        float(greedy.mean()),
        wilson_interval(int(greedy.sum()), n),
        float(ArithmeticSteps()(samples).mean()),
        float(np.mean([len(each.tokens) for group in drawn for each in group if each.tokens is not None])),
    )


def _greedy(policy: Policy, problems: Sequence[ArithmeticProblem]) -> NDArray[np.bool_]:
    drawn = policy.sample([problem.prompt for problem in problems], 1, 0.0, max_tokens=MAX_TOKENS)
    samples = [p.sample(group[0].text) for p, group in zip(problems, drawn, strict=True)]
    return np.asarray(ArithmeticAnswer()(samples) == 1.0)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m plaudit.worlds.measure_policy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policies", nargs="*", default=list(POLICIES), help="names of shipped policies, or folders")
    parser.add_argument("--level", default="default", choices=ARITHMETIC_LEVELS)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(given.threads)
    found = {
        name: measure(load_policy(name, given.device), given.problems, given.answers, given.seed, given.level)
        for name in given.policies
    }
    if given.json:
        print(json.dumps({name: asdict(each) for name, each in found.items()}, indent=2))
        return
    print(f"level {given.level}, {given.problems} problems of the evaluation split, temperature 1; 95% intervals")
    print(f"{'policy':24} {'pass@1':^22} {'pass@' + str(given.answers):^22} {'greedy':^22} {'steps':>6} {'tokens':>7}")
    for name, each in found.items():
        cells = [(each.pass_1, each.pass_1_interval), (each.pass_k, each.pass_k_interval), (each.greedy, each.greedy_interval)]
        text = " ".join(f"{value:.3f} ({low:.3f}, {high:.3f})" for value, (low, high) in cells)
        print(f"{name[-24:]:24} {text} {each.steps:6.3f} {each.tokens:7.1f}")


if __name__ == "__main__":
    main()
