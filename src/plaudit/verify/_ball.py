"""Complex numbers with a bound on their error: decimal arithmetic of any precision, rigorous up to the bound.

A ball is a midpoint and a radius; the true value lies within. Every operation enlarges the radius by what it adds, so two balls
that do not meet are different numbers for certain. Pure Python on the standard library's decimal module, without global state.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_DOWN,
    ROUND_UP,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
_UP = Context(prec=6, rounding=ROUND_UP, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Overflow, InvalidOperation, DivisionByZero])
_DOWN = Context(prec=12, rounding=ROUND_DOWN, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Overflow, InvalidOperation])
_LARGEST_FRACTION = 3_000
_LARGEST_ANGLE = 60
"""Powers of ten of the largest angle whose sine is computed."""


class Undecided(Exception):
    """The value is undefined here, or the precision does not suffice to say what it is."""


class Ball(NamedTuple):
    """A number within `radius` of re + i·im; im is exactly 0 where the value is known to be real."""

    re: Decimal
    im: Decimal = ZERO
    radius: Decimal = ZERO

    @property
    def real(self) -> bool:
        """Whether the value is known to be real."""
        return not self.im

    def upper(self) -> Decimal:
        """An upper bound of the absolute value."""
        return _UP.add(_UP.add(self.re.copy_abs(), self.im.copy_abs()), self.radius)

    def lower(self) -> Decimal:
        """A lower bound of the absolute value, at least 0."""
        return max(ZERO, _DOWN.subtract(max(self.re.copy_abs(), self.im.copy_abs()), self.radius))


class Field:
    """Arithmetic on balls with `digits` significant digits; raises Undecided where the value cannot be told."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.context = Context(prec=digits + 10, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Overflow, InvalidOperation, DivisionByZero])
        self.epsilon = Decimal(1).scaleb(-digits - 7)
        self.pi = Ball(pi_digits(digits + 10), ZERO, Decimal(1).scaleb(-digits - 8))
        self.i = Ball(ZERO, ONE)

    def ball(self, re: Decimal, im: Decimal, error: Decimal) -> Ball:
        """A ball whose radius is an error that was computed plus the rounding of its midpoint."""
        size = _UP.add(re.copy_abs(), im.copy_abs())
        return Ball(re, im, _UP.add(error, _UP.multiply(size, self.epsilon)))

    def rational(self, value: Fraction) -> Ball:
        """A fraction as a ball."""
        c = self.context
        if value.denominator == 1 and value.numerator.bit_length() < 3 * self.digits:
            return Ball(Decimal(value.numerator))
        with _DecimalErrors():
            return self.ball(c.divide(Decimal(value.numerator), Decimal(value.denominator)), ZERO, ZERO)

    def add(self, a: Ball, b: Ball) -> Ball:
        """a + b."""
        c = self.context
        im = c.add(a.im, b.im) if a.im or b.im else ZERO
        return self.ball(c.add(a.re, b.re), im, _UP.add(a.radius, b.radius))

    def negative(self, a: Ball) -> Ball:
        """-a."""
        return Ball(a.re.copy_negate(), a.im.copy_negate() if a.im else ZERO, a.radius)

    def multiply(self, a: Ball, b: Ball) -> Ball:
        """a · b."""
        c = self.context
        error = _UP.add(_UP.multiply(a.upper(), b.radius), _UP.multiply(b.upper(), a.radius))
        if not a.im and not b.im:
            return self.ball(c.multiply(a.re, b.re), ZERO, error)
        products = c.multiply(a.re, b.re), c.multiply(a.im, b.im), c.multiply(a.re, b.im), c.multiply(a.im, b.re)
        largest = max(product.copy_abs() for product in products)
        error = _UP.add(error, _UP.multiply(largest, self.epsilon))
        return self.ball(c.subtract(products[0], products[1]), c.add(products[2], products[3]), error)

    def inverse(self, a: Ball) -> Ball:
        """1 / a."""
        low = a.lower()
        if not low:
            raise Undecided("division by what may be zero")
        c = self.context
        error = _UP.divide(_UP.divide(a.radius, low), low)
        if not a.im:
            return self.ball(c.divide(ONE, a.re), ZERO, error)
        norm = c.add(c.multiply(a.re, a.re), c.multiply(a.im, a.im))
        return self.ball(c.divide(a.re, norm), c.divide(a.im.copy_negate(), norm), error)

    def exp(self, a: Ball) -> Ball:
        """e to the a."""
        if a.radius > Decimal("0.1"):
            raise Undecided("an exponent that is too large for the precision")
        c = self.context
        scale = c.exp(a.re)
        error = _UP.multiply(scale, _UP.multiply(a.radius, TWO))
        if not a.im:
            return self.ball(scale, ZERO, error)
        cos, sin = self._cos_sin(a.im)
        error = _UP.add(error, _UP.multiply(scale, _UP.multiply(self.epsilon, Decimal(4))))
        return self.ball(c.multiply(scale, cos), c.multiply(scale, sin), error)

    def log(self, a: Ball) -> Ball:
        """The natural logarithm, principal value."""
        low = a.lower()
        if not low:
            raise Undecided("the logarithm of what may be zero")
        c = self.context
        error = _UP.divide(a.radius, low)
        if not a.im:
            if a.re > 0:
                return self.ball(c.ln(a.re), ZERO, error)
            real = self.ball(c.ln(a.re.copy_negate()), ZERO, error)
            return Ball(real.re, self.pi.re, _UP.add(real.radius, self.pi.radius))
        if a.re < 0 and a.im.copy_abs() <= a.radius:
            raise Undecided("the logarithm at its branch cut")
        norm = c.add(c.multiply(a.re, a.re), c.multiply(a.im, a.im))
        angle = self._angle(a.re, a.im)
        error = _UP.add(error, _UP.multiply(self.epsilon, Decimal(8)))
        return self.ball(c.divide(c.ln(norm), TWO), angle, error)

    def sqrt(self, a: Ball) -> Ball:
        """The principal square root."""
        low = a.lower()
        c = self.context
        if not low:
            return Ball(ZERO, ZERO, _UP.multiply(_UP.sqrt(a.upper()), TWO)) if a.radius else Ball(ZERO)
        if a.im:
            return self.exp(self.multiply(self.log(a), Ball(Decimal("0.5"))))
        root = c.sqrt(a.re.copy_abs())
        error = _UP.divide(a.radius, _UP.sqrt(low))
        return self.ball(root, ZERO, error) if a.re > 0 else self.ball(ZERO, root, error)

    def cos_sin(self, a: Ball) -> tuple[Ball, Ball]:
        """Cosine and sine."""
        c = self.context
        cos, sin = self._cos_sin(a.re)
        if not a.im:
            error = _UP.add(a.radius, _UP.multiply(self.epsilon, Decimal(4)))
            return self.ball(cos, ZERO, error), self.ball(sin, ZERO, error)
        up, down = c.exp(a.im), c.exp(a.im.copy_negate())
        cosh, sinh = c.divide(c.add(up, down), TWO), c.divide(c.subtract(up, down), TWO)
        error = _UP.multiply(_UP.add(up, down), _UP.add(_UP.multiply(a.radius, TWO), _UP.multiply(self.epsilon, Decimal(8))))
        return (
            self.ball(c.multiply(cos, cosh), c.multiply(sin, sinh).copy_negate(), error),
            self.ball(c.multiply(sin, cosh), c.multiply(cos, sinh), error),
        )

    def atan(self, a: Ball) -> Ball:
        """The principal inverse tangent."""
        if not a.im:
            error = _UP.add(a.radius, _UP.multiply(self.epsilon, Decimal(8)))
            return self.ball(self._angle(ONE, a.re), ZERO, error)
        turned = self.multiply(self.i, a)
        below, above = self.log(self.add(Ball(ONE), self.negative(turned))), self.log(self.add(Ball(ONE), turned))
        return self.multiply(Ball(ZERO, Decimal("0.5")), self.add(below, self.negative(above)))

    def asin(self, a: Ball) -> Ball:
        """The principal inverse sine: -i log(iz + sqrt(1 - z²))."""
        root = self.sqrt(self.add(Ball(ONE), self.negative(self.multiply(a, a))))
        turned = self.log(self.add(self.multiply(self.i, a), root))
        value = Ball(turned.im, turned.re.copy_negate(), turned.radius)
        return Ball(value.re, ZERO, value.radius) if a.real and _UP.add(a.re.copy_abs(), a.radius) <= 1 else value

    def _cos_sin(self, x: Decimal) -> tuple[Decimal, Decimal]:
        """Cosine and sine of a real number: reduced by turns, then halved, then Taylor's series, then doubled."""
        if x and x.adjusted() > _LARGEST_ANGLE:
            raise Undecided("the sine of a very large number")
        extra = Context(prec=self.digits + 20 + (max(0, x.adjusted()) if x else 0), Emax=MAX_EMAX, Emin=MIN_EMIN)
        pi = pi_digits(extra.prec)
        turns = extra.divide(x, extra.multiply(pi, TWO)).to_integral_value()
        rest = extra.subtract(x, extra.multiply(turns, extra.multiply(pi, TWO)))
        halvings = 6
        rest = extra.divide(rest, Decimal(2**halvings))
        square = extra.multiply(rest, rest)
        term, cos, sin, k = ONE, ONE, ONE, 0
        bound = Decimal(1).scaleb(-extra.prec)
        while k < 400:
            k += 2
            term = extra.divide(extra.multiply(term, square.copy_negate()), Decimal(k * (k - 1)))
            cos = extra.add(cos, term)
            sin = extra.add(sin, extra.divide(term, Decimal(k + 1)))
            if term.copy_abs() < bound:
                break
        sin = extra.multiply(sin, rest)
        for _ in range(halvings):
            sin, cos = (
                extra.multiply(TWO, extra.multiply(sin, cos)),
                extra.subtract(ONE, extra.multiply(TWO, extra.multiply(sin, sin))),
            )
        return self.context.plus(cos), self.context.plus(sin)

    def _angle(self, x: Decimal, y: Decimal) -> Decimal:
        """The angle of the point (x, y), by halving and the series of the inverse tangent."""
        extra = Context(prec=self.digits + 20, Emax=MAX_EMAX, Emin=MIN_EMIN)
        if y.copy_abs() > x.copy_abs():
            quarter = extra.divide(pi_digits(extra.prec), TWO)
            other = self._angle(y.copy_abs(), x)
            return self.context.plus(
                extra.subtract(quarter if y > 0 else quarter.copy_negate(), other if y > 0 else other.copy_negate())
            )
        t = extra.divide(y, x)
        halvings = 5
        for _ in range(halvings):
            t = extra.divide(t, extra.add(ONE, extra.sqrt(extra.add(ONE, extra.multiply(t, t)))))
        square, power, total, k = extra.multiply(t, t).copy_negate(), t, t, 1
        bound = t.copy_abs().scaleb(-extra.prec, extra)
        while k < 2_000:
            k += 2
            power = extra.multiply(power, square)
            total = extra.add(total, extra.divide(power, Decimal(k)))
            if power.copy_abs() <= bound:
                break
        total = extra.multiply(total, Decimal(2**halvings))
        if x < 0:
            pi = pi_digits(extra.prec)
            total = extra.add(total, pi if y >= 0 else pi.copy_negate())
        return self.context.plus(total)


class _DecimalErrors:
    """Turns overflow and invalid operations of the decimal module into Undecided."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DecimalException):
            raise Undecided("the number is too large") from error


def as_fraction(value: Decimal) -> Fraction:
    """A decimal as a fraction. Raises Undecided where its exponent is so large that the fraction would fill the memory."""
    if value and abs(value.adjusted()) > _LARGEST_FRACTION:
        raise Undecided("a number too large or too small to write out")
    return Fraction(value)


def guarded(compute: Callable[[], Ball]) -> Ball:
    """The result of a computation; overflow is Undecided."""
    with _DecimalErrors():
        return compute()


@lru_cache(maxsize=64)
def pi_digits(digits: int) -> Decimal:
    """Pi to so many significant digits (Machin's formula in integers)."""
    digits = -(-digits // 100) * 100  # few different precisions
    scale = 10 ** (digits + 10)

    def inverse_tangent(n: int) -> int:
        power: int = scale // n
        total = power
        k = 1
        while power:
            power //= -n * n
            k += 2
            total += power // k
        return total

    pi = 4 * (4 * inverse_tangent(5) - inverse_tangent(239))
    return Decimal(pi).scaleb(-(digits + 10), Context(prec=digits + 20))
