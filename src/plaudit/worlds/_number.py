"""Exact numbers of the arithmetic world: how they are written, read and combined."""

from __future__ import annotations

import re
from fractions import Fraction
from math import gcd

Value = int | Fraction
"""An exact number; whole numbers are ints."""

MAX_DIGITS = 200
"""Digits of the longest number that is read; twenty factors of ten digits fit."""

OPERATORS = "+-*/"

_WHOLE = rf"(?:0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}})"
NUMBER = rf"(?:-?{_WHOLE}|\(-?{_WHOLE}/{_WHOLE}\))"
"""Pattern of a number inside an expression or a step: ``7``, ``-7``, ``(7/2)``."""

_FRACTION = re.compile(rf"\(?(-?{_WHOLE})/({_WHOLE})\)?\Z")
_DECIMAL = re.compile(rf"(-?)({_WHOLE})\.([0-9]{{1,{MAX_DIGITS}}})\Z")
_INTEGER = re.compile(rf"-?{_WHOLE}\Z")


def whole(value: Fraction) -> Value:
    """The same number, as an int where it is one."""
    return value.numerator if value.denominator == 1 else value


def digits(value: Value) -> int:
    """How many digits numerator and denominator have together; a denominator of 1 is not written."""
    return len(str(abs(value.numerator))) + (len(str(value.denominator)) if value.denominator != 1 else 0)


def combine(operator: str, left: Value, right: Value) -> Value | None:
    """``left operator right``, exactly, for ``+ - * /`` and ``^`` with exponent 2 or 3; None = division by zero.

    >>> combine("/", 7, 2), combine("^", 7, 2), combine("/", 7, 0)
    (Fraction(7, 2), 49, None)
    """
    if operator == "+":
        result = left + right
    elif operator == "-":
        result = left - right
    elif operator == "*":
        result = left * right
    elif operator == "/":
        if right == 0:
            return None
        result = Fraction(left) / right
    elif operator == "^" and right in (2, 3):
        result = left * left if right == 2 else left * left * left
    else:
        raise ValueError(f"{left} {operator} {right}: expected one of + - * / or ^ with exponent 2 or 3")
    return whole(result) if isinstance(result, Fraction) else result


def write_number(value: Value, bare: bool = False) -> str:
    """The number as the world writes it; `bare` leaves out the brackets around a fraction, as in an answer.

    >>> write_number(Fraction(-7, 2)), write_number(Fraction(-7, 2), bare=True), write_number(12)
    ('(-7/2)', '-7/2', '12')
    """
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{value.numerator}/{value.denominator}"
    return text if bare else f"({text})"


def read_number(text: str, decimals: bool = False) -> Value | None:
    """The number that a text writes in the world's way; None = it is none, or has over `MAX_DIGITS` digits.

    A fraction counts only in lowest terms with a denominator of at least 2: an unreduced one leaves work undone.

    >>> read_number("-12"), read_number("(7/2)"), read_number("14/4"), read_number("3.50", decimals=True)
    (-12, Fraction(7, 2), None, Fraction(7, 2))
    """
    if len(text) > 2 * MAX_DIGITS + 4:
        return None
    if _INTEGER.match(text):
        return int(text) if text != "-0" else None
    if (match := _FRACTION.match(text)) is not None:
        numerator, denominator = int(match[1]), int(match[2])
        if (text[0] == "(") != (text[-1] == ")") or denominator < 2 or gcd(numerator, denominator) != 1:
            return None
        return Fraction(numerator, denominator)
    if decimals and (match := _DECIMAL.match(text)) is not None:
        value = Fraction(int(match[2] + match[3]), 10 ** len(match[3]))
        return whole(-value if match[1] else value)
    return None
