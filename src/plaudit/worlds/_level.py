"""How hard the problems of the arithmetic world are, and how one is drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from random import Random
from typing import Literal

from plaudit.errors import DataError
from plaudit.worlds._expression import (
    MAX_NUMBER,
    MAX_OPERANDS,
    Expression,
    Operation,
    Unreadable,
    evaluate,
    read_expression,
    write_expression,
)
from plaudit.worlds._number import OPERATORS, Value, combine

LevelName = Literal["easy", "default", "hard", "random_calculation"]

_JOIN_TRIES = 4
_DRAW_TRIES = 2_000


@dataclass(frozen=True)
class ArithmeticLevel:
    """What problems are made of.

    Fields:
        operands: the fewest and the most numbers in a problem; each count is equally likely.
        numbers: the smallest and the largest whole number; from 0 on.
        operators: some of ``"+-*/"``, equally likely where they are allowed.
        brackets: sums may stand inside products.
        fractions: numbers may be fractions in lowest terms, and divisions need not come out whole.
        powers: numbers may be squares and cubes.
        limit: no number of a problem or its solution is larger, regardless of sign; None = no limit.

    Raises DataError for a field outside these.

    >>> from random import Random
    >>> write_expression(ArithmeticLevel(operands=(3, 3), numbers=(2, 9), operators="*").draw(Random(0)))
    '6*9*8'
    """

    operands: tuple[int, int] = (2, 5)
    numbers: tuple[int, int] = (1, 50)
    operators: str = "+-*"
    brackets: bool = False
    fractions: bool = False
    powers: bool = False
    limit: int | None = 999

    def __post_init__(self) -> None:
        fewest, most = self.operands
        low, high = self.numbers
        if not 1 <= fewest <= most <= MAX_OPERANDS:
            raise DataError(f"level: operands is {self.operands}: expected (fewest, most) from 1 to {MAX_OPERANDS}")
        if not 0 <= low <= high or high < 1 or len(str(high)) > MAX_NUMBER:
            raise DataError(
                f"level: numbers is {self.numbers}: expected (smallest, largest) from 0, of at most {MAX_NUMBER} digits"
            )
        if not self.operators or set(self.operators) - set(OPERATORS) or len(set(self.operators)) != len(self.operators):
            raise DataError(f"level: operators is {self.operators!r}: expected some of {OPERATORS!r}, each once")
        if self.fractions and high < 2:
            raise DataError("level: fractions need numbers up to at least 2")
        if self.limit is not None and self.limit < low:
            raise DataError(f"level: limit is {self.limit}, below the smallest number {low}")

    def draw(self, random: Random) -> Expression:
        """An expression of this level.

        Raises DataError when 2,000 attempts gave none, because `limit` is too tight for so many operands.
        """
        for _ in range(_DRAW_TRIES):
            tree = self._tree(random, random.randint(*self.operands), self.operators)
            if tree is not None and self._reads_back(tree):
                return tree
        raise DataError(f"{_DRAW_TRIES:,} attempts gave no problem of {self}: raise its limit, or ask for fewer operands")

    def _tree(self, random: Random, count: int, operators: str) -> Expression | None:
        """A tree of `count` numbers whose outermost operation is one of `operators`; None = the limits were not met."""
        if count == 1:
            return self._number(random)
        for _ in range(_JOIN_TRIES):
            operator = random.choice(operators) if operators else ""
            product = operator in "*/"
            inner = "".join(each for each in self.operators if each in "*/")
            # Without brackets a product holds no sums, and what stands right of an operator binds closer than it.
            within_left = inner if product and not self.brackets else self.operators
            within_right = self.operators if self.brackets else "" if product else inner
            if not operator:
                return None
            right_count = random.randint(1, count - 1) if within_right else 1
            left_count = count - right_count
            if left_count > 1 and not within_left:
                continue
            left = self._tree(random, left_count, within_left)
            right = self._tree(random, right_count, within_right)
            if left is None or right is None:
                continue
            tree = self._joined(random, operator, left, right)
            if tree is not None:
                return tree
        return None

    def _joined(self, random: Random, operator: str, left: Expression, right: Expression) -> Operation | None:
        a, b = evaluate(left), evaluate(right)
        if a is None or b is None:
            return None
        if operator == "/" and not self.fractions and (b == 0 or a % b != 0 or abs(b) == 1):
            # Whole divisions are rare by chance: take a divisor of what stands on the left, where a plain number may be.
            if isinstance(right, Operation) or (divisor := self._divisor(random, a)) is None:
                return None
            right, b = divisor, divisor
        value = combine(operator, a, b)
        return None if value is None or not self._within(value) else Operation(operator, left, right)

    def _divisor(self, random: Random, value: Value) -> int | None:
        low, high = self.numbers
        size = abs(value.numerator)
        if size < 2:
            return None
        candidates = [d for d in range(max(low, 2), min(high, size, 1000) + 1) if size % d == 0]
        return random.choice(candidates) if candidates else None

    def _within(self, value: Value) -> bool:
        return self.limit is None or (abs(value.numerator) <= self.limit and value.denominator <= self.limit)

    def _number(self, random: Random) -> Expression | None:
        kinds: list[str] = ["whole"] + ["fraction"] * self.fractions + ["square", "cube"] * self.powers
        kind = random.choice(kinds) if len(kinds) > 1 else "whole"
        low, high = self.numbers
        number = random.randint(low, high)
        if kind == "whole":
            return number if self._within(number) else None
        if kind == "fraction":
            denominator = random.randint(2, high)
            return Fraction(number, denominator) if gcd(number, denominator) == 1 else None
        exponent = 2 if kind == "square" else 3
        return Operation("^", number, exponent) if self._within(number**exponent) else None

    def _reads_back(self, tree: Expression) -> bool:
        # A bracketed division of two numbers without a common factor would be read as a fraction.
        if not self.fractions:
            return True
        try:
            return read_expression(write_expression(tree)) == tree
        except Unreadable:
            return False


ARITHMETIC_LEVELS: dict[LevelName, ArithmeticLevel] = {
    "easy": ArithmeticLevel(operands=(2, 3), numbers=(1, 20), limit=99),
    "default": ArithmeticLevel(),
    "hard": ArithmeticLevel(operands=(4, 6), numbers=(1, 99), operators="+-*/", brackets=True, limit=9_999),
    "random_calculation": ArithmeticLevel(
        operands=(2, 21), numbers=(0, 100), operators="+-*/", brackets=True, fractions=True, powers=True, limit=None
    ),
}
"""Levels by name. "default" is the one that the shipped policies are measured on."""


def level_of(level: ArithmeticLevel | LevelName, operands: tuple[int, int] | None = None) -> ArithmeticLevel:
    """The level itself or the one of that name, with another number of operands where that is given.

    Raises DataError for an unknown name.

    >>> level_of("easy").operands, level_of("hard", operands=(2, 2)).operands
    ((2, 3), (2, 2))
    """
    if isinstance(level, str):
        if level not in ARITHMETIC_LEVELS:
            raise DataError(f"level is {level!r}: expected one of {', '.join(ARITHMETIC_LEVELS)}, or an ArithmeticLevel")
        level = ARITHMETIC_LEVELS[level]
    return level if operands is None else replace(level, operands=operands)
