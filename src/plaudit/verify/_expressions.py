"""Whether two expressions are the same number or function: the stages, cheapest first, fail closed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from plaudit.verify._ball import Ball, Undecided, as_fraction
from plaudit.verify._evaluate import Evaluator, TooLarge, TooManySteps, Value
from plaudit.verify._modular import same_residues
from plaudit.verify._syntax import CALCULUS, Node, decimals, size, symbols, walk

Answer = tuple[bool, str]
"""Whether they are equal, and the stage that decided."""

LARGEST_EXPRESSION = 3_000
"""Nodes of the largest expression that is evaluated."""

DIGITS = 50
_MOST_DIGITS = 1_000
_SPARE_DIGITS = 25
_FEWEST_POINTS = 3
_INTEGER_NAMES = frozenset("nmkjlNMK")
_INTEGER_FUNCTIONS = frozenset(("factorial", "binom", "perm", "mod", "gcd", "lcm"))


class Unknown(Exception):
    """Neither equal nor different can be shown; `needs` = the symbolic stage may."""

    def __init__(self, why: str, needs_symbolic: bool = False) -> None:
        super().__init__(why)
        self.needs_symbolic = needs_symbolic


def same_expression(a: Node, b: Node, least_digits: int = 10) -> Answer:
    """Whether two expressions are equal wherever both are defined. Raises Unknown when neither can be shown.

    `least_digits`: a decimal with at least so many significant digits equals a number that it rounds.

    Stages: "identical" trees; "rational", exact fractions; "decimal", a long decimal and the number that it rounds; "modular",
    rational numbers too large to write, modulo three primes; "numeric", balls of at least 50 digits (at random points where
    there are variables): "different" is certain, "equal" means equal to far more digits than any part of either is wide.
    """
    if a == b:
        return True, "rational" if a.kind == "number" else "identical"
    if a.kind == "number" and b.kind == "number" and not (len(a.name) > least_digits or len(b.name) > least_digits):
        return a.value == b.value, "rational"
    names = symbols(a) | symbols(b)
    if size(a) + size(b) > LARGEST_EXPRESSION:
        raise Unknown("the expressions are too large to evaluate")
    if any(node.kind in CALCULUS for side in (a, b) for node in walk(side)):
        raise Unknown("it needs calculus", needs_symbolic=True)
    try:
        return _same_function(a, b, names) if names else _same_constant(a, b, least_digits)
    except TooManySteps as error:
        raise Unknown(str(error), needs_symbolic=True) from None


def _same_constant(a: Node, b: Node, least_digits: int) -> Answer:
    try:
        return _compared(a, b, {}, DIGITS, least_digits)
    except TooLarge:
        same = same_residues(a, b)
        if same is not None:
            return same, "modular"
        raise Unknown("the numbers are too large") from None
    except TooManySteps:
        raise
    except Undecided as error:
        if any(node.kind in ("sum", "prod") for side in (a, b) for node in walk(side)):
            raise Unknown(str(error), needs_symbolic=True) from None
        raise Unknown(str(error)) from None


def _compared(a: Node, b: Node, point: Mapping[str, Fraction], digits: int, least_digits: int = 0) -> Answer:
    """The verdict of one evaluation; with more digits where the first ones do not suffice."""
    evaluator = Evaluator(digits, point)
    x, y = evaluator(a), evaluator(b)
    one_decimal = bool(least_digits) and (decimals(a) is None) != (decimals(b) is None)
    if type(x) is Fraction and type(y) is Fraction:
        if x != y and one_decimal and (_rounds(a, x, y, least_digits) or _rounds(b, y, x, least_digits)):
            return True, "decimal"
        return x == y, "rational"
    difference = evaluator.field.add(evaluator.ball(x), evaluator.field.negative(evaluator.ball(y)))
    if difference.lower():
        if one_decimal and (_rounds_ball(a, x, y, evaluator, least_digits) or _rounds_ball(b, y, x, evaluator, least_digits)):
            return True, "decimal"
        return False, "numeric"
    needed = 2 * evaluator.spread + _SPARE_DIGITS
    if needed <= digits:
        return True, "numeric"
    if needed > _MOST_DIGITS:
        if evaluator.spread > _MOST_DIGITS:
            raise TooLarge("more digits than are computed")
        raise Undecided("more digits are needed than are computed")
    return _compared(a, b, point, needed + _SPARE_DIGITS)


def _rounds(node: Node, value: Value, other: Value, least_digits: int) -> bool:
    """Whether `node` is a long decimal and the exact number `other` rounds, or is cut, to it."""
    digits = decimals(node)
    if digits is None or type(value) is not Fraction or type(other) is not Fraction:
        return False
    mantissa, _, power = digits.lstrip("-").partition("e")
    whole, _, part = mantissa.partition(".")
    if len((whole + part).lstrip("0")) < least_digits or not part:
        return False
    # A number that could have been written out in full is not rounded.
    unit = Fraction(1, 10 ** len(part)) * (Fraction(10) ** int(power or 0))
    return value != 0 and abs(value - other) <= unit / 2


def _rounds_ball(node: Node, value: Value, other: Value, evaluator: Evaluator, least_digits: int) -> bool:
    if decimals(node) is None:
        return False
    ball = evaluator.ball(other)
    try:
        return ball.real and _rounds(node, value, as_fraction(ball.re), least_digits)
    except Undecided:
        return False


def _same_function(a: Node, b: Node, names: frozenset[str]) -> Answer:
    agreed = 0
    ordered = sorted(names)
    for points in _attempts(a, b, ordered):
        agreed = 0
        for point in points:
            verdict = _at_point(a, b, point)
            if verdict is False:
                if points is not None and _only_integers(a, b, ordered) and not _is_integral(point):
                    agreed = 0
                    break
                return False, "numeric"
            agreed += verdict is True
        if agreed >= _FEWEST_POINTS:
            return True, "numeric"
    if any(node.kind in ("sum", "prod") for side in (a, b) for node in walk(side)):
        raise Unknown("a sum that cannot be evaluated", needs_symbolic=True)
    raise Unknown("the expressions have no common points at which both can be evaluated")


def _at_point(a: Node, b: Node, point: Mapping[str, Fraction]) -> bool | None:
    """Equal there or not; None = one of the sides is not defined there, or only one of them is real."""
    try:
        evaluator = Evaluator(DIGITS, point)
        x, y = evaluator(a), evaluator(b)
        if type(x) is Fraction and type(y) is Fraction:
            return x == y
        x, y = evaluator.ball(x), evaluator.ball(y)
        if _is_real(x) != _is_real(y):
            return None
        difference = evaluator.field.add(x, evaluator.field.negative(y))
        if difference.lower():
            return False
        needed = 2 * evaluator.spread + _SPARE_DIGITS
        if needed > _MOST_DIGITS:
            return None
        return True if needed <= DIGITS else _compared(a, b, point, needed + _SPARE_DIGITS)[0]
    except TooManySteps:
        raise
    except Undecided:
        return None


def _is_real(ball: Ball) -> bool:
    return ball.im.copy_abs() <= ball.radius


def _only_integers(a: Node, b: Node, names: Sequence[str]) -> bool:
    """Whether variables stand for integers: both sides use functions of integers, or alternate in sign, in variables named so."""
    if not all(name[0] in _INTEGER_NAMES for name in names):
        return False
    nodes = [*walk(a), *walk(b)]
    rounded = [any(n.kind == "call" and n.name in ("floor", "ceil") for n in walk(side)) for side in (a, b)]
    alternating = any(n.kind == "pow" and n.args[0].kind in ("neg", "number") and symbols(n.args[1]) for n in nodes)
    return all(rounded) or (alternating and any(_negative_base(n) for n in nodes)) or _needs_integers(a, b)


def _negative_base(node: Node) -> bool:
    return node.kind == "pow" and node.args[0].kind == "neg" and bool(symbols(node.args[1]))


def _needs_integers(a: Node, b: Node) -> bool:
    return any(
        (node.kind == "call" and node.name in _INTEGER_FUNCTIONS and symbols(node))
        or (node.kind in ("sum", "prod") and any(symbols(bound) for bound in node.args[2:]))
        for side in (a, b)
        for node in walk(side)
    )


def _is_integral(point: Mapping[str, Fraction]) -> bool:
    return all(value.denominator == 1 for value in point.values())


def _attempts(a: Node, b: Node, names: Sequence[str]) -> list[list[dict[str, Fraction]]]:
    """Lists of points to try in turn: mixed ones, and integers where the expressions are about integers."""
    integers = _integer_points(tuple(names))
    if _needs_integers(a, b):
        mixed = [
            {name: (whole[name] if name[0] in _INTEGER_NAMES else part[name]) for name in names}
            for whole, part in zip(integers, _points(tuple(names)), strict=False)
        ]
        return [mixed, integers]
    return [_points(tuple(names)), integers] if _only_integers(a, b, names) else [_points(tuple(names))]


_SIGNS: tuple[Callable[[int], int], ...] = (
    lambda k: 1, lambda k: 1, lambda k: -1 if k % 2 else 1, lambda k: 1 if k % 2 else -1, lambda k: -1, lambda k: 1,
    lambda k: -1 if k % 3 == 1 else 1, lambda k: -1 if k % 3 == 0 else 1,
)  # fmt: skip
_SIZES = (1, 3, 1, 2, 1, 9, 1, 1)


@lru_cache(maxsize=512)
def _points(names: tuple[str, ...]) -> list[dict[str, Fraction]]:
    """Rational points of every kind: positive, of mixed signs, negative, small and larger; always the same ones."""
    source = random.Random(20_031)
    out = []
    for sign, scale in zip(_SIGNS, _SIZES, strict=True):
        values = (Fraction(source.randrange(211, 997) * scale, source.choice((499, 503, 509, 521))) for _ in names)
        out.append({name: sign(k) * value for k, (name, value) in enumerate(zip(names, values, strict=True))})
    return out


@lru_cache(maxsize=512)
def _integer_points(names: tuple[str, ...]) -> list[dict[str, Fraction]]:
    source = random.Random(20_032)
    spans = ((5, 12), (3, 8), (8, 24), (20, 60), (2, 5), (11, 31), (4, 9), (30, 41))
    return [{name: Fraction(source.randint(*span)) for name in names} for span in spans]


def ratio_is_constant(a: Node, b: Node, names: frozenset[str]) -> int:
    """The sign of c where a = c·b at every point with one real constant c; 0 = there is none, or it cannot be shown."""
    ratio: tuple[Value, Evaluator] | None = None
    seen = 0
    sign = 0
    for point in _points(tuple(sorted(names))) if names else [{}]:
        evaluator = Evaluator(DIGITS, point)
        try:
            x, y = evaluator(a), evaluator(b)
            zero = (x == 0) if type(x) is Fraction else not evaluator.ball(x).lower()
            if zero or (y == 0 if type(y) is Fraction else not evaluator.ball(y).lower()):
                if _at_zero(evaluator, x, y):
                    continue
                return 0
            here = evaluator.times(x, evaluator.reciprocal(y))
        except Undecided:
            continue
        ball = evaluator.ball(here)
        if not _is_real(ball):
            return 0
        if ratio is not None:
            other = ratio[0]
            if type(here) is Fraction and type(other) is Fraction:
                if here != other:
                    return 0
            elif evaluator.field.add(ball, evaluator.field.negative(evaluator.ball(other))).lower():
                return 0
        if 2 * evaluator.spread + _SPARE_DIGITS > 2 * DIGITS:
            return 0
        ratio, sign, seen = (here, evaluator), 1 if ball.re > 0 else -1, seen + 1
    return sign if seen >= (_FEWEST_POINTS if names else 1) else 0


def _at_zero(evaluator: Evaluator, x: Value, y: Value) -> bool:
    """Whether both are zero as far as can be seen: the point says nothing then."""
    return all((v == 0) if type(v) is Fraction else not evaluator.ball(v).lower() for v in (x, y))
