"""Arithmetic expressions: their tree, how they are written and read, their exact value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from plaudit.errors import DataError
from plaudit.worlds._number import NUMBER, Value, combine, digits, read_number, write_number

MAX_CHARS = 1_000
MAX_OPERANDS = 40
MAX_DEPTH = 20
MAX_NUMBER = 12
"""The largest expression that is read: characters, numbers in it, brackets inside brackets, digits of a number."""

PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 3}

_TOKEN = re.compile(rf"(?P<number>{NUMBER})|(?P<mark>[-+*/^()])")


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions joined by ``+ - * /``, or a base and its exponent joined by ``^``."""

    operator: str
    left: Expression
    right: Expression


Expression = Value | Operation
"""A number, or an operation on two expressions."""


class Unreadable(DataError):
    """A text is no expression of this world; the message says where and why."""


def read_expression(text: str) -> Expression:
    """The tree of an expression; spaces do not count.

    Numbers are whole or fractions in lowest terms in brackets (``(7/2)``); a minus sign belongs to a number at the beginning
    and behind an operator or bracket; ``^`` takes 2 or 3 and binds closest, then ``* /``, then ``+ -``, left to right.
    Raises Unreadable when it is none, or longer than `MAX_CHARS`, `MAX_OPERANDS`, `MAX_DEPTH` or `MAX_NUMBER` allow.

    >>> read_expression("2*(3+4)^2")
    Operation(operator='*', left=2, right=Operation(operator='^', left=Operation(operator='+', left=3, right=4), right=2))
    """
    if len(text) > MAX_CHARS:
        raise Unreadable(f"the expression has {len(text):,} characters: at most {MAX_CHARS:,} are read")
    reader = _Reader("".join(text.split(" ")))
    tree = reader.sum(0)
    if reader.at != len(reader.text):
        raise Unreadable(f"{reader.text!r:.80}: expected an operator at character {reader.at}")
    return tree


def longest_number(tree: Expression) -> int:
    """A bound on the digits of every number of a right solution: numerator and denominator each stay within it."""
    if not isinstance(tree, Operation):
        return digits(tree)
    left = longest_number(tree.left)
    if tree.operator == "^":
        return left * (2 if tree.right == 2 else 3)
    # |a/b + c/d| has a numerator of at most 2 |a b c d|: one digit more.
    return left + longest_number(tree.right) + (tree.operator in "+-")


class _Reader:
    """A recursive-descent reader; one method for each precedence."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.operands = 0

    def sum(self, depth: int) -> Expression:
        return self._chain("+-", depth)

    def _chain(self, operators: str, depth: int) -> Expression:
        below = self._power if operators == "*/" else lambda d: self._chain("*/", d)
        tree = below(depth)
        while (operator := self._peek()) and operator in operators:
            self.at += 1
            tree = Operation(operator, tree, below(depth))
        return tree

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _power(self, depth: int) -> Expression:
        negative = self._peek() == "-"
        base = self._operand(depth)
        if self._peek() != "^":
            return base
        exponent = self.text[self.at + 1 : self.at + 2]
        if negative or exponent not in ("2", "3") or self.text[self.at + 2 : self.at + 3] in tuple("0123456789^"):
            raise Unreadable(f"{self.text!r:.80}: expected ^2 or ^3 behind a number without sign, at character {self.at}")
        self.at += 2
        return Operation("^", base, int(exponent))

    def _operand(self, depth: int) -> Expression:
        token = _TOKEN.match(self.text, self.at)
        number = None
        if token is not None and token["number"]:
            number = read_number(token["number"])
        if token is not None and number is not None:
            self.at = token.end()
            if self._peek().isdigit() or digits(number) > MAX_NUMBER:
                raise Unreadable(f"{self.text!r:.80}: a number is too long or has a leading zero, at character {self.at}")
            self.operands += 1
            if self.operands > MAX_OPERANDS:
                raise Unreadable(f"the expression has over {MAX_OPERANDS} numbers")
            return number
        if self._peek() != "(":
            raise Unreadable(f"{self.text!r:.80}: expected a number or a bracket at character {self.at}")
        if depth >= MAX_DEPTH:
            raise Unreadable(f"the expression has over {MAX_DEPTH} brackets inside brackets")
        self.at += 1
        inner = self.sum(depth + 1)
        if self._peek() != ")":
            raise Unreadable(f"{self.text!r:.80}: expected a closing bracket at character {self.at}")
        self.at += 1
        return inner


def write_expression(tree: Expression) -> str:
    """The expression with no more brackets than its tree needs.

    >>> write_expression(read_expression("((2*3)-(4-(5)))"))
    '2*3-(4-5)'
    """
    if not isinstance(tree, Operation):
        return write_number(tree)
    rank = PRECEDENCE[tree.operator]
    left = _bracketed(tree.left, rank, strict=tree.operator == "^")
    right = _bracketed(tree.right, rank, strict=True)
    return f"{left}{tree.operator}{right}"


def _bracketed(tree: Expression, rank: int, strict: bool) -> str:
    text = write_expression(tree)
    if not isinstance(tree, Operation):
        return text
    inner = PRECEDENCE[tree.operator]
    return f"({text})" if inner < rank or (strict and inner == rank) else text


def evaluate(tree: Expression) -> Value | None:
    """The exact value; None = it divides by zero.

    >>> evaluate(read_expression("7/(2*3)+1/(3-3)")) is None, evaluate(read_expression("1-7/2"))
    (True, Fraction(-5, 2))
    """
    if not isinstance(tree, Operation):
        return tree
    left, right = evaluate(tree.left), evaluate(tree.right)
    return None if left is None or right is None else combine(tree.operator, left, right)


def operations(tree: Expression) -> Iterator[Operation]:
    """The operations of an expression in the order in which its canonical solution does them: left, right, then itself.

    >>> [operation.operator for operation in operations(read_expression("1+2*3-4"))]
    ['*', '+', '-']
    """
    if isinstance(tree, Operation):
        yield from operations(tree.left)
        yield from operations(tree.right)
        yield tree
