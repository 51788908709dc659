"""Linear inequalities in one variable, solved into sets of real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from plaudit.verify._ball import Undecided
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._lexer import Unread
from plaudit.verify._real_sets import complement, intersection, points
from plaudit.verify._syntax import INFINITY, MINUS_INFINITY, Node, number, symbols
from plaudit.verify._values import Interval, Order, RealSet

_FLIPPED: dict[Order, Order] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def real_set(sides: Sequence[Node], signs: Sequence[Order]) -> RealSet | None:
    """The solutions of a chain of linear inequalities in one variable; None = it is not one.

    >>> from plaudit.verify._syntax import symbol
    >>> real_set([symbol("x"), number(2)], [">"]).parts[0].high.name
    'oo'
    """
    names = frozenset[str]().union(*(symbols(side) for side in sides))
    if len(names) != 1:
        return None
    name = next(iter(names))
    out: RealSet | None = None
    for left, right, sign in zip(sides[:-1], sides[1:], signs, strict=True):
        try:
            solved = _solved(left, right, sign, name)
            if solved is None:
                return None
            out = solved if out is None else intersection(out, solved)
        except (Unread, Undecided):
            return None
    return out


def _solved(left: Node, right: Node, sign: Order, name: str) -> RealSet | None:
    if symbols(right) and not symbols(left):
        left, right, sign = right, left, _FLIPPED[sign]
    if symbols(right):
        left, right = Node("add", (left, Node("neg", (right,)))), number(0)
    if not symbols(left):
        return None
    if left.kind == "call" and left.name == "abs":
        return _absolute(left.args[0], right, sign, name)
    line = _line(left, name)
    if line is None:
        return None
    slope, offset = line
    bound = right
    if offset:
        bound = Node("add", (right, Node("neg", (number(offset),))))
    if slope != 1:
        bound = Node("div", (bound, number(slope)))
    return _half_line(bound, _FLIPPED[sign] if slope < 0 else sign, name)


def _line(node: Node, name: str) -> tuple[Fraction, Fraction] | None:
    """Slope and offset of an expression that is linear in the variable."""
    values = []
    for x in (0, 1, 2, Fraction(355, 113)):
        value = Evaluator(50, {name: Fraction(x)})(node)
        if not isinstance(value, Fraction):
            return None
        values.append(value)
    slope, offset = values[1] - values[0], values[0]
    if not slope or values[2] != 2 * slope + offset or values[3] != slope * Fraction(355, 113) + offset:
        return None
    return slope, offset


def _half_line(bound: Node, sign: Order, name: str) -> RealSet:
    if sign in ("<", "<="):
        return RealSet((Interval(MINUS_INFINITY, bound, False, sign == "<=" and bound != INFINITY),), name)
    if sign in (">", ">="):
        return RealSet((Interval(bound, INFINITY, sign == ">=" and bound != MINUS_INFINITY, False),), name)
    only = points([bound])
    return RealSet(only.parts if sign == "=" else complement(only).parts, name)


def _absolute(inner: Node, right: Node, sign: Order, name: str) -> RealSet | None:
    """|a x + b| < c and |a x + b| > c."""
    minus = Node("neg", (right,))
    low = _solved(inner, minus, {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, "="), name)  # type: ignore[arg-type]
    high = _solved(inner, right, sign, name)
    if low is None or high is None or sign in ("=", "!="):
        return None
    if sign in ("<", "<="):
        return intersection(low, high)
    return RealSet(low.parts + high.parts, name)
