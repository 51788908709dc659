"""Arithmetic problems: prompt, exact answer, canonical solution, and the split that keeps training and evaluation apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from random import Random
from typing import Literal

from plaudit.errors import DataError
from plaudit.text import message_text
from plaudit.types import Message, Sample
from plaudit.worlds._expression import (
    MAX_CHARS,
    Expression,
    evaluate,
    longest_number,
    operations,
    read_expression,
    write_expression,
)
from plaudit.worlds._level import ArithmeticLevel, LevelName, level_of
from plaudit.worlds._number import Value, write_number
from plaudit.worlds._rewriting import Piece, key_of, open_form
from plaudit.worlds._solution import Step, solve, write_solution

Split = Literal["training", "evaluation"]

EVALUATION_SHARE = 0.2
"""Share of all problems that belong to the evaluation split."""

_MARK = "=?"
_EXPRESSION_CHARS = frozenset("0123456789+-*/^() ")


@dataclass(frozen=True)
class ArithmeticProblem:
    """One expression to be worked out.

    Fields:
        expression: as text, ``"3+4*5"``; see `read_expression` for its grammar.

    Raises DataError when it cannot be read or divides by zero.

    >>> problem = ArithmeticProblem("3+4*5")
    >>> problem.answer, problem.split, problem.prompt
    ('23', 'training', '3+4*5=?\\n')
    >>> print(problem.solution)
    4*5=20
    3+20=23
    #### 23
    """

    expression: str
    tree: Expression = field(init=False, repr=False, compare=False)
    value: Value = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tree = read_expression(self.expression)
        value = evaluate(tree)
        if value is None:
            raise DataError(f"{self.expression!r} divides by zero")
        object.__setattr__(self, "tree", tree)
        object.__setattr__(self, "value", value)

    @property
    def answer(self) -> str:
        """The exact answer: ``"23"`` or, in lowest terms, ``"-7/2"``."""
        return write_number(self.value, bare=True)

    @property
    def prompt(self) -> str:
        """The prompt that the tiny policies know: the expression, ``=?`` and a line feed."""
        return f"{self.expression}{_MARK}\n"

    @property
    def question(self) -> str:
        """The same problem for a general language model: it names the format, and ends with the policy's prompt."""
        return (
            "Work out the expression exactly. Write one operation on each line, as in 4*5=20, with fractions in lowest terms "
            "in brackets, as in 3/6=(1/2), and nothing else. End with a line #### and the answer.\n" + self.prompt
        )

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The operations of the canonical solution: leftmost first, each as soon as its numbers are known."""
        return tuple(solve(self.tree))

    @property
    def solution(self) -> str:
        """The canonical solution: a line for each step, then ``#### ANSWER``."""
        return write_solution(self.steps, self.answer)

    @cached_property
    def n_operations(self) -> int:
        """How many steps a solution needs."""
        return sum(1 for _ in operations(self.tree))

    @cached_property
    def form(self) -> Piece:
        """The expression with all its operations open, as steps are checked against it."""
        form = open_form(self.tree)
        if form is None:  # ruled out when the value was found
            raise DataError(f"{self.expression!r} divides by zero")
        return form

    @cached_property
    def longest(self) -> int:
        """Digits that no number of a right solution exceeds."""
        return longest_number(self.tree)

    @cached_property
    def split(self) -> Split:
        """The set that this problem belongs to, whatever seed or level it was drawn with.

        It follows from a digest of the expression without the order of terms and factors: ``3+4*5`` and ``5*4+3`` are never
        in different sets.
        """
        digest = hashlib.blake2b(repr(key_of(self.form)).encode(), digest_size=8).digest()
        return "evaluation" if int.from_bytes(digest, "big") < EVALUATION_SHARE * 2**64 else "training"

    def sample(self, response: str) -> Sample:
        """A sample of this problem: its prompt, the response, and the answer as reference."""
        return Sample(self.prompt, response, self.answer)


def arithmetic_problems(
    n: int, seed: int = 0, split: Split = "training", level: ArithmeticLevel | LevelName = "default"
) -> list[ArithmeticProblem]:
    """n different problems of one split, the same for the same arguments.

    Two problems are different when they differ in more than the order of terms and factors. A training and an evaluation set
    never share a problem, whatever their seeds and levels. Raises DataError when the level holds fewer than n.

    Source: "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data Contamination"
    (RandomCalculation; level "random_calculation").

    >>> [problem.expression for problem in arithmetic_problems(2, seed=1, level="easy")]
    ['4+6*14', '2*15']
    """
    found: dict[object, ArithmeticProblem] = {}
    stream = draw_problems(Random(f"arithmetic {seed}"), split, level)
    for _ in range(1_000 + 50 * n):
        if len(found) == n:
            return list(found.values())
        problem = next(stream)
        found.setdefault(key_of(problem.form), problem)
    raise DataError(f"{level!r} gave {len(found):,} different problems of the {split} split, not {n:,}: widen the level")


def draw_problems(random: Random, split: Split, level: ArithmeticLevel | LevelName) -> Iterator[ArithmeticProblem]:
    """Problems of one split without end, each drawn anew: a small level repeats them."""
    level = level_of(level)
    while True:
        problem = ArithmeticProblem(write_expression(level.draw(random)))
        if problem.split == split:
            yield problem


@lru_cache(maxsize=8192)  # the samples of a group share their prompt
def _problem_in_text(text: str) -> ArithmeticProblem | None:
    end = text.rfind(_MARK)
    start = end
    while start > 0 and text[start - 1] in _EXPRESSION_CHARS:
        start -= 1
    try:
        return ArithmeticProblem(text[start:end].strip(" ")) if end > 0 else None
    except DataError:
        return None


def problem_in(prompt: str | Sequence[Message]) -> ArithmeticProblem | None:
    """The problem that a prompt asks: the expression before the last ``=?``; None = there is none that can be read.

    Of messages the last one of the user is read.

    >>> problem_in("How much is 3+4*5=?").answer, problem_in("Who wrote Faust?")
    ('23', None)
    """
    if not isinstance(prompt, str):
        asked = [message for message in prompt if message["role"] == "user"]
        prompt = message_text(asked[-1]) if asked else ""
    end = prompt.rfind(_MARK)
    # Only the end of a long prompt matters, and only that is remembered.
    return _problem_in_text(prompt[max(0, end - MAX_CHARS - 2) : end + len(_MARK)]) if end > 0 else None
