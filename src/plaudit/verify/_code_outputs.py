"""Comparing what a program wrote or returned with what was expected; nothing of the program's runs here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Compare = Literal["lines", "exact", "tokens"]


def same_output(written: str, expected: str, compare: Compare = "lines", tolerance: float = 0.0) -> bool:
    """Whether two texts are the same output.

    ``"exact"``: character by character. ``"lines"``: white space at the ends of lines and of the text does not count; a line is
    equal as text, or word by word where words are numbers of equal value. ``"tokens"``: all words in order, lines do not count.

    tolerance: numbers may differ by that share of the expected one.

    >>> same_output("1.0 2 \\n", "1 2", "lines"), same_output("1 2", "2 1"), same_output("0.30000001", "0.3", tolerance=1e-6)
    (True, False, True)
    """
    if compare == "exact":
        return written == expected
    if compare == "tokens":
        return _same_words(written.split(), expected.split(), tolerance)
    ours = [line.strip() for line in written.strip().split("\n")]
    theirs = [line.strip() for line in expected.strip().split("\n")]
    return len(ours) == len(theirs) and all(
        a == b or _same_words(a.split(), b.split(), tolerance) for a, b in zip(ours, theirs, strict=True)
    )


def _same_words(ours: list[str], theirs: list[str], tolerance: float) -> bool:
    return len(ours) == len(theirs) and all(a == b or _same_number(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))


def _same_number(a: str, b: str, tolerance: float) -> bool:
    if max(len(a), len(b)) > 400 or "_" in a + b:
        return False
    try:
        x, y = Decimal(a), Decimal(b)
        if not (x.is_finite() and y.is_finite()) or max(abs(x.adjusted()), abs(y.adjusted())) > 400:
            return False
        return x == y or abs(x - y) <= Decimal(tolerance) * abs(y)
    except InvalidOperation:
        return False


def same_value(returned: Any, expected: Any, tolerance: float = 0.0, depth: int = 0) -> bool:
    """Whether a returned value is the expected one, by exact built-in types.

    A whole number equals a float of the same value, and a tuple a list of the same members, for JSON knows no difference; a truth
    value is no number.

    >>> same_value((1, 2.0), [1, 2]), same_value(True, 1), same_value({"a": [1]}, {"a": [1]})
    (True, False, True)
    """
    if depth > 64:
        return False
    if isinstance(returned, bool) or isinstance(expected, bool):
        return returned is expected
    if isinstance(returned, (int, float)) and isinstance(expected, (int, float)):
        if returned == expected:
            return True
        try:
            return tolerance > 0 and math.isclose(returned, expected, rel_tol=tolerance)
        except OverflowError:  # a whole number beyond every float
            return False
    if isinstance(returned, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(returned) == len(expected) and all(
            same_value(a, b, tolerance, depth + 1) for a, b in zip(returned, expected, strict=True)
        )
    if isinstance(returned, Mapping) and isinstance(expected, Mapping):
        if len(returned) != len(expected):
            return False
        # JSON's keys are texts.
        ours = {shown(key): value for key, value in returned.items()}
        theirs = {shown(key): value for key, value in expected.items()}
        return ours.keys() == theirs.keys() and all(
            same_value(ours[key], value, tolerance, depth + 1) for key, value in theirs.items()
        )
    return type(returned) is type(expected) and bool(returned == expected)


def shown(value: Any) -> str:
    """A returned value as text; integers too long for that by their size.

    >>> shown([1]), shown("a"), shown(1 << 100_000)
    ('[1]', 'a', 'a value that cannot be written')
    """
    try:
        return str(value)
    except ValueError:  # more digits than Python writes
        return "a value that cannot be written"
