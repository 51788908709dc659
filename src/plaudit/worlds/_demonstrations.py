"""Texts that the tiny policies learn from: canonical solutions, and some with slips."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from plaudit.worlds._corruption import wrong_result
from plaudit.worlds._level import ArithmeticLevel, LevelName
from plaudit.worlds._number import Value, write_number
from plaudit.worlds._problem import draw_problems
from plaudit.worlds._solution import solve, write_solution


def demonstrations(
    random: Random, slips: float = 0.0, level: ArithmeticLevel | LevelName = "default"
) -> Iterator[tuple[str, str]]:
    """Prompts and solutions of the training split, without end.

    Args:
        slips: probability that a step claims a false result; the rest of the solution goes on from there.

    >>> next(demonstrations(Random(0), level="easy"))
    ('13-10-16=?\\n', '13-10=3\\n3-16=-13\\n#### -13')
    """

    def claim(k: int, value: Value) -> Value:
        return wrong_result(value, random) if random.random() < slips else value

    for problem in draw_problems(random, "training", level):
        try:
            steps = solve(problem.tree, claim) if slips else problem.steps
        except ZeroDivisionError:
            continue
        answer = steps[-1].claim if steps else problem.value
        yield problem.prompt, write_solution(steps, write_number(answer, bare=True))
