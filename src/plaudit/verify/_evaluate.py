"""The value of an expression: an exact fraction where it stays one, otherwise a ball; every step is bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from plaudit.verify._ball import ONE, ZERO, Ball, Field, Undecided, as_fraction, guarded
from plaudit.verify._syntax import Node

Value = Fraction | Ball

MOST_BITS = 12_000
"""Bits of a numerator or denominator that are kept exactly."""

MOST_STEPS = 10_000
"""Nodes that one evaluation may visit, sums and products unrolled."""

_LARGEST_FACTORIAL = 1_200
_LONGEST_SUM = 3_000
_SMALL_POWER = 40


class TooLarge(Undecided):
    """An exact value with more digits than are kept."""


class TooManySteps(Undecided):
    """More work than one evaluation may be; another point would not help."""


class Evaluator:
    """Evaluates expressions at a point, with so many digits.

    After a call, `spread` is the largest power of ten, up or down, of any value on the way: two different values may agree in
    that many digits more than their own size suggests, so only evaluations with far more digits than that can show equality.
    """

    def __init__(self, digits: int, point: Mapping[str, Fraction] | None = None) -> None:
        self.field = Field(digits)
        self.point = dict(point or {})
        self.steps = 0
        self.spread = 0

    def __call__(self, node: Node) -> Value:
        """The value. Raises Undecided where there is none, or where it cannot be told within the bounds."""
        return self.value(node)

    def value(self, node: Node) -> Value:
        """The value of a node."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooManySteps("too many steps")
        out = _KINDS[node.kind](self, node)
        if isinstance(out, Ball):
            # What may be zero has no size; if it is not zero after all, the difference of the two sides will show it.
            if out.lower():
                self.spread = max(self.spread, abs((out.im if not out.re else out.re).adjusted()))
        elif out and out.denominator != 1:
            self.spread = max(self.spread, abs(out.numerator.bit_length() - out.denominator.bit_length()) // 3)
        elif out:
            self.spread = max(self.spread, (out.numerator.bit_length()) // 3)
        return out

    def ball(self, value: Value) -> Ball:
        """A value as a ball."""
        return value if type(value) is Ball else self.field.rational(value)  # type: ignore[arg-type]

    def number(self, node: Node) -> Value:
        return node.value

    def symbol(self, node: Node) -> Value:
        if node.name not in self.point:
            raise Undecided(f"{node.name} has no value")
        return self.point[node.name]

    def constant(self, node: Node) -> Value:
        if node.name == "pi":
            return self.field.pi
        if node.name == "e":
            return self.field.exp(Ball(ONE))
        if node.name == "i":
            return self.field.i
        raise Undecided("infinity is not a number")

    def add(self, node: Node) -> Value:
        return reduce(self.plus, map(self.value, node.args))

    def mul(self, node: Node) -> Value:
        return reduce(self.times, map(self.value, node.args))

    def neg(self, node: Node) -> Value:
        value = self.value(node.args[0])
        return self.field.negative(value) if type(value) is Ball else -value  # type: ignore[operator]

    def div(self, node: Node) -> Value:
        top, bottom = self.value(node.args[0]), self.value(node.args[1])
        return self.times(top, self.reciprocal(bottom))

    def pow(self, node: Node) -> Value:
        base, exponent = node.args
        if base.kind == "constant" and base.name == "e":
            value = self.value(exponent)
            return guarded(lambda: self.field.exp(self.ball(value))) if value != 0 else Fraction(1)
        return self.power(self.value(base), self.value(exponent))

    def opaque(self, node: Node) -> Value:
        """A function that only has a name: a polynomial that the name decides, so equal arguments give equal values."""
        total: Value = Fraction(_code(node.name) % 997 + 2)
        for k, arg in enumerate(node.args):
            value = self.value(arg)
            weight = Fraction(_code(f"{node.name}{k}") % 89 + 3, 7)
            total = self.plus(total, self.times(weight, self.plus(value, self.times(value, self.times(value, value)))))
        return total

    def series(self, node: Node) -> Value:
        body, variable, *bounds = node.args
        first, last = (self.value(bound) for bound in bounds)
        if type(first) is Ball or type(last) is Ball or first.denominator != 1 or last.denominator != 1:  # type: ignore[union-attr]
            raise Undecided("a sum between bounds that are not integers")
        low, high = int(first), int(last)  # type: ignore[arg-type]
        if high - low > _LONGEST_SUM:
            raise TooLarge(f"a sum of more than {_LONGEST_SUM:,} terms")
        join = self.plus if node.kind == "sum" else self.times
        total: Value = Fraction(0 if node.kind == "sum" else 1)
        outer = self.point.get(variable.name)
        for k in range(low, high + 1):
            self.point[variable.name] = Fraction(k)
            total = join(total, self.value(body))
        if outer is None:
            self.point.pop(variable.name, None)
        else:
            self.point[variable.name] = outer
        return total

    def refused(self, node: Node) -> Value:
        raise Undecided(f"{node.kind} is not evaluated here")

    def call(self, node: Node) -> Value:
        function = _FUNCTIONS.get(node.name)
        if function is None:
            raise Undecided(f"{node.name} is not evaluated here")
        return function(self, *map(self.value, node.args))

    def plus(self, a: Value, b: Value) -> Value:
        """a + b."""
        if type(a) is Fraction and type(b) is Fraction:
            return _bounded(a + b)
        return guarded(lambda: self.field.add(self.ball(a), self.ball(b)))

    def times(self, a: Value, b: Value) -> Value:
        """a · b."""
        if type(a) is Fraction and type(b) is Fraction:
            if _bits(a) + _bits(b) > MOST_BITS:
                raise TooLarge("a product with too many digits")
            return a * b
        if a == 0 or b == 0:
            return Fraction(0)
        return guarded(lambda: self.field.multiply(self.ball(a), self.ball(b)))

    def reciprocal(self, a: Value) -> Value:
        """1 / a."""
        if type(a) is Fraction:
            if not a:
                raise Undecided("division by zero")
            return 1 / a
        return guarded(lambda: self.field.inverse(a))  # type: ignore[arg-type]

    def power(self, base: Value, exponent: Value) -> Value:
        """base to the exponent; odd roots of negative real numbers are real."""
        if type(exponent) is not Fraction:
            return self.general_power(base, exponent)
        if exponent.denominator == 1:
            return self.integer_power(base, exponent.numerator)
        if type(base) is Fraction and (root := _exact_root(base, exponent.denominator)) is not None:
            return self.integer_power(root, exponent.numerator)
        ball = self.ball(base)
        if not ball.lower():
            if exponent > 0 and not ball.radius:
                return Fraction(0)
            raise Undecided("a root of what may be zero")
        if exponent.denominator == 2 and abs(exponent.numerator) < _SMALL_POWER:
            return self.integer_power(guarded(lambda: self.field.sqrt(ball)), exponent.numerator)
        if ball.real and ball.re < 0 and exponent.denominator % 2:
            value = self.general_power(self.field.negative(ball), exponent)
            return value if exponent.numerator % 2 == 0 else self.field.negative(self.ball(value))
        return self.general_power(ball, exponent)

    def general_power(self, base: Value, exponent: Value) -> Value:
        """exp(exponent · log(base)), principal value."""
        if base == 1 or exponent == 0:
            return Fraction(1)
        return guarded(lambda: self.field.exp(self.field.multiply(self.ball(exponent), self.field.log(self.ball(base)))))

    def integer_power(self, base: Value, n: int) -> Value:
        """base to the n."""
        if n < 0:
            base, n = self.reciprocal(base), -n
        if type(base) is Fraction:
            if base in (0, 1, -1) or n <= 1:
                if base == 0 and n == 0:
                    raise Undecided("0 to the 0")
                return base if n % 2 or base == 0 else Fraction(1)
            if _bits(base) * n <= MOST_BITS:
                return base**n
            if n.bit_length() > 2_000:
                raise TooLarge("an exponent with too many digits")
        elif n <= _SMALL_POWER:
            out: Value = Fraction(1)
            for bit in bin(n)[2:]:
                out = self.times(out, out)
                if bit == "1":
                    out = self.times(out, base)
            return out
        ball = self.ball(base)
        if ball.real and ball.re < 0:
            value = self.ball(self.general_power(self.field.negative(ball), Fraction(n)))
            return self.field.negative(value) if n % 2 else value
        return self.general_power(ball, Fraction(n))


_KINDS: dict[str, Callable[[Evaluator, Node], Value]] = {
    "number": Evaluator.number, "symbol": Evaluator.symbol, "constant": Evaluator.constant, "add": Evaluator.add,
    "mul": Evaluator.mul, "neg": Evaluator.neg, "div": Evaluator.div, "pow": Evaluator.pow, "opaque": Evaluator.opaque,
    "call": Evaluator.call, "sum": Evaluator.series, "prod": Evaluator.series, "pm": Evaluator.refused,
    "integral": Evaluator.refused, "limit": Evaluator.refused, "derivative": Evaluator.refused,
}  # fmt: skip


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MOST_BITS:
        raise TooLarge("a number with too many digits")
    return value


def _code(name: str) -> int:
    return sum((k + 1) * 131 * ord(char) for k, char in enumerate(name))


def _integer_root(n: int, k: int) -> int | None:
    """The k-th root of a non-negative integer where it is an integer."""
    if n < 2:
        return n
    if n.bit_length() > 4_000 or k > n.bit_length():
        return None
    if k == 2:
        root = math.isqrt(n)
    else:
        low, high = 1, 1 << (n.bit_length() // k + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**k <= n else (low, middle - 1)
        root = low
    return root if root**k == n else None


def _exact_root(value: Fraction, k: int) -> Fraction | None:
    if value < 0 and k % 2 == 0:
        return None
    n, d = _integer_root(abs(value.numerator), k), _integer_root(value.denominator, k)
    if n is None or d is None:
        return None
    return Fraction(-n if value < 0 else n, d)


def _integer(value: Value, limit: int) -> int:
    if type(value) is Ball or value.denominator != 1:  # type: ignore[union-attr]
        raise Undecided("an integer is needed")
    n = int(value)  # type: ignore[arg-type]
    if n < 0:
        raise Undecided("a non-negative integer is needed")
    if n > limit:
        raise TooLarge(f"more than {limit:,}")
    return n


def _real(ball: Ball) -> Ball:
    if not ball.real:
        if ball.im.copy_abs() <= ball.radius:
            return Ball(ball.re, ZERO, ball.radius)
        raise Undecided("a real number is needed")
    return ball


def _factorial(e: Evaluator, a: Value) -> Value:
    return Fraction(math.factorial(_integer(a, _LARGEST_FACTORIAL)))


def _binom(e: Evaluator, a: Value, b: Value) -> Value:
    return _bounded(Fraction(math.comb(_integer(a, 3_000), _integer(b, 3_000))))


def _perm(e: Evaluator, a: Value, b: Value) -> Value:
    return _bounded(Fraction(math.perm(_integer(a, 3_000), _integer(b, 1_000))))


def _sqrt(e: Evaluator, a: Value) -> Value:
    return e.power(a, Fraction(1, 2))


def _root(e: Evaluator, a: Value, index: Value) -> Value:
    return e.power(a, e.reciprocal(index))


def _absolute(e: Evaluator, a: Value) -> Value:
    if type(a) is Fraction:
        return abs(a)
    assert isinstance(a, Ball)
    if a.real:
        return Ball(a.re.copy_abs(), ZERO, a.radius)
    field = e.field
    square = field.add(
        field.multiply(Ball(a.re, ZERO, a.radius), Ball(a.re, ZERO, a.radius)),
        field.multiply(Ball(a.im, ZERO, a.radius), Ball(a.im, ZERO, a.radius)),
    )
    return guarded(lambda: field.sqrt(square))


def _rounded(down: bool) -> Callable[[Evaluator, Value], Value]:
    def round_to_integer(e: Evaluator, a: Value) -> Value:
        if type(a) is Fraction:
            return Fraction(math.floor(a) if down else math.ceil(a))
        ball = _real(a)  # type: ignore[arg-type]
        if ball.re and ball.re.adjusted() > e.field.digits - 10:
            raise Undecided("the integer part of a very large number")
        exact, radius = as_fraction(ball.re), as_fraction(ball.radius)
        ends = {math.floor(x) if down else math.ceil(x) for x in (exact - radius, exact + radius)}
        if len(ends) != 1:
            raise Undecided("the integer part of what may be an integer")
        return Fraction(ends.pop())

    return round_to_integer


def _sign(e: Evaluator, a: Value) -> Value:
    if type(a) is Fraction:
        return Fraction((a > 0) - (a < 0))
    ball = _real(a)  # type: ignore[arg-type]
    if not ball.lower():
        raise Undecided("the sign of what may be zero")
    return Fraction(1 if ball.re > 0 else -1)


def _extreme(largest: bool) -> Callable[..., Value]:
    def choose(e: Evaluator, *values: Value) -> Value:
        best = values[0]
        for value in values[1:]:
            if (_sign(e, e.plus(value, e.times(Fraction(-1), best))) == 1) == largest:
                best = value
        return best

    return choose


def _of_integers(function: Callable[..., int]) -> Callable[..., Value]:
    return lambda e, *values: Fraction(function(*(_integer(_absolute(e, value), 10**30) for value in values)))


def _mod(e: Evaluator, a: Value, b: Value) -> Value:
    if type(a) is Ball or type(b) is Ball or b == 0:
        raise Undecided("a remainder of numbers that are not exact")
    return a % b  # type: ignore[operator]


def _circular(compute: Callable[[Field, Ball, Ball], Ball]) -> Callable[[Evaluator, Value], Value]:
    return lambda e, a: guarded(lambda: compute(e.field, *e.field.cos_sin(e.ball(a))))


def _hyperbolic(compute: Callable[[Field, Ball, Ball], Ball]) -> Callable[[Evaluator, Value], Value]:
    def function(e: Evaluator, a: Value) -> Value:
        ball = e.ball(a)
        up, down = e.field.exp(ball), e.field.exp(e.field.negative(ball))
        return compute(e.field, e.field.add(up, down), e.field.add(up, e.field.negative(down)))

    return lambda e, a: guarded(lambda: e.ball(function(e, a)))


def _of_ball(compute: Callable[[Field, Ball], Ball]) -> Callable[[Evaluator, Value], Value]:
    return lambda e, a: guarded(lambda: compute(e.field, e.ball(a)))


_HALF = Ball(Decimal("0.5"))
_ONE = Ball(ONE)


def _acos(f: Field, a: Ball) -> Ball:
    return f.add(f.multiply(f.pi, _HALF), f.negative(f.asin(a)))


def _acosh(f: Field, a: Ball) -> Ball:
    minus, plus = f.add(a, Ball(Decimal(-1))), f.add(a, _ONE)
    return f.log(f.add(a, f.multiply(f.sqrt(minus), f.sqrt(plus))))


def _asinh(f: Field, a: Ball) -> Ball:
    return f.log(f.add(a, f.sqrt(f.add(f.multiply(a, a), _ONE))))


def _atanh(f: Field, a: Ball) -> Ball:
    return f.multiply(_HALF, f.add(f.log(f.add(_ONE, a)), f.negative(f.log(f.add(_ONE, f.negative(a))))))


def _logarithm(e: Evaluator, a: Value) -> Value:
    return Fraction(0) if a == 1 else guarded(lambda: e.field.log(e.ball(a)))


def _log10(f: Field, a: Ball) -> Ball:
    return f.multiply(f.log(a), f.inverse(f.log(Ball(Decimal(10)))))


def _part(which: int) -> Callable[[Evaluator, Value], Value]:
    return lambda e, a: Ball(e.ball(a)[which], ZERO, e.ball(a).radius)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "sqrt": _sqrt, "root": _root, "abs": _absolute, "floor": _rounded(True), "ceil": _rounded(False), "sgn": _sign,
    "factorial": _factorial, "binom": _binom, "perm": _perm, "gcd": _of_integers(math.gcd), "lcm": _of_integers(math.lcm),
    "max": _extreme(True), "min": _extreme(False), "mod": _mod, "ln": _logarithm, "log": _logarithm, "log10": _of_ball(_log10),
    "sin": _circular(lambda f, cos, sin: sin), "cos": _circular(lambda f, cos, sin: cos),
    "tan": _circular(lambda f, cos, sin: f.multiply(sin, f.inverse(cos))),
    "cot": _circular(lambda f, cos, sin: f.multiply(cos, f.inverse(sin))),
    "sec": _circular(lambda f, cos, sin: f.inverse(cos)), "csc": _circular(lambda f, cos, sin: f.inverse(sin)),
    "cosh": _hyperbolic(lambda f, plus, minus: f.multiply(plus, _HALF)),
    "sinh": _hyperbolic(lambda f, plus, minus: f.multiply(minus, _HALF)),
    "tanh": _hyperbolic(lambda f, plus, minus: f.multiply(minus, f.inverse(plus))),
    "coth": _hyperbolic(lambda f, plus, minus: f.multiply(plus, f.inverse(minus))),
    "arctan": _of_ball(lambda f, a: f.atan(a)), "arcsin": _of_ball(lambda f, a: f.asin(a)), "arccos": _of_ball(_acos),
    "arccot": _of_ball(lambda f, a: f.add(f.multiply(f.pi, _HALF), f.negative(f.atan(a)))),
    "asinh": _of_ball(_asinh), "acosh": _of_ball(_acosh), "atanh": _of_ball(_atanh),
    "deg": lambda e, a: e.times(e.times(a, Fraction(1, 180)), e.field.pi), "Re": _part(0), "Im": _part(1),
}  # fmt: skip
