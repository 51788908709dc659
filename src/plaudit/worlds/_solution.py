"""Solutions in text: one operation a line, then the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from plaudit.worlds._expression import Expression, Operation
from plaudit.worlds._number import Value, combine, write_number

ANSWER_MARK = "####"


class Step(NamedTuple):
    """One line of a solution: ``left operator right = claim``."""

    operator: str
    left: Value
    right: Value
    claim: Value

    def __str__(self) -> str:
        return f"{write_number(self.left)}{self.operator}{write_number(self.right)}={write_number(self.claim)}"

    @property
    def is_right(self) -> bool:
        """Whether the two sides are equal."""
        return combine(self.operator, self.left, self.right) == self.claim


Claim = Callable[[int, Value], Value]
"""What a solution claims: (number of the step, true result) -> claimed result."""


def solve(tree: Expression, claim: Claim | None = None) -> list[Step]:
    """The steps of the canonical solution; with `claim`, later steps go on from what earlier ones claimed.

    Raises ZeroDivisionError when a claim, or the expression, leads to a division by zero.

    >>> from plaudit.worlds._expression import read_expression
    >>> [str(step) for step in solve(read_expression("3+4*5"), lambda k, value: value + (k == 0))]
    ['4*5=21', '3+21=24']
    """
    steps: list[Step] = []

    def work_out(part: Expression) -> Value:
        if not isinstance(part, Operation):
            return part
        left, right = work_out(part.left), work_out(part.right)
        result = combine(part.operator, left, right)
        if result is None:
            raise ZeroDivisionError(f"{left}{part.operator}{right}")
        claimed = result if claim is None else claim(len(steps), result)
        steps.append(Step(part.operator, left, right, claimed))
        return claimed

    work_out(tree)
    return steps


def write_answer(answer: str) -> str:
    """The last line of a solution."""
    return f"{ANSWER_MARK} {answer}"


def write_solution(steps: Sequence[Step | str], answer: str) -> str:
    """The lines of some steps, then the answer line."""
    return "\n".join([*map(str, steps), write_answer(answer)])
