"""Values of expressions: exact where they are rational, otherwise balls that hold the true value."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.verify._ball import Ball, Field, Undecided, guarded, pi_digits
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._expressions import Unknown, same_expression
from plaudit.verify._lexer import Unread, plain, tokens
from plaudit.verify._parser import parse

FIELD = Field(50)
fractions = st.fractions(min_value=-50, max_value=50, max_denominator=1_000)
smalls = st.fractions(min_value=-5, max_value=5, max_denominator=50)


def read(text):
    return parse(tokens(plain(text)))


def holds(ball, value):
    """Whether a ball holds a real value that a float gives to 13 digits."""
    return abs(float(ball.re) - value) <= 1e-12 * max(1.0, abs(value)) and abs(float(ball.im)) < 1e-30


@given(fractions, fractions)
def test_arithmetic_of_balls_holds_the_exact_result(a, b):
    x, y = FIELD.rational(a), FIELD.rational(b)
    for ball, exact in ((FIELD.add(x, y), a + b), (FIELD.multiply(x, y), a * b)):
        assert abs(Fraction(ball.re) - exact) <= Fraction(ball.radius)
    if b:
        inverse = FIELD.inverse(y)
        assert abs(Fraction(inverse.re) - 1 / b) <= Fraction(inverse.radius)


@given(smalls)
def test_functions_agree_with_the_floats_of_the_standard_library(x):
    ball, here = FIELD.rational(x), float(x)
    assert holds(FIELD.exp(ball), math.exp(here))
    cos, sin = FIELD.cos_sin(ball)
    assert holds(cos, math.cos(here))
    assert holds(sin, math.sin(here))
    assert holds(FIELD.atan(ball), math.atan(here))
    if x > 0:
        assert holds(FIELD.log(ball), math.log(here))
        assert holds(FIELD.sqrt(ball), math.sqrt(here))
    if abs(x) < 1:
        assert holds(FIELD.asin(ball), math.asin(here))


@given(smalls, smalls)
def test_balls_of_more_digits_lie_within_those_of_fewer(x, y):
    wide, narrow = Field(20), Field(80)
    for compute in (
        lambda f: f.exp(Ball(f.rational(x).re, f.rational(y).re)),
        lambda f: f.cos_sin(f.rational(x))[0],
        lambda f: f.atan(f.rational(y)),
    ):
        a, b = compute(wide), compute(narrow)
        slack = Fraction(a.radius) + Fraction(b.radius) + Fraction(1, 10**24)
        assert abs(Fraction(a.re) - Fraction(b.re)) <= slack
        assert abs(Fraction(a.im) - Fraction(b.im)) <= slack


def test_pi_is_right_to_its_last_digit():
    assert str(pi_digits(50)).startswith("3.14159265358979323846264338327950288419716939937510582097494459")


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_fractions_are_exact(n, d):
    assert Evaluator(50)(read(f"\\frac{{{n}}}{{{d}}}")) == Fraction(n, d)


@pytest.mark.parametrize(
    "text", ["1/0", r"\frac{0}{0}", "0^0", r"\ln 0", r"\infty", "9^{9^{9^9}}", "(10^7)!", r"\tan 90^\circ", "x"]
)
def test_what_has_no_value_is_undecided(text):
    with pytest.raises(Undecided):
        Evaluator(50)(read(text))


@pytest.mark.parametrize(
    "text", ["", "+", "2+", "(1", "1)", r"\frac{1}", r"\sqrt", "x^", "2 3", "|x", "\x00", "\ud800", r"\unknown{2}", "--5--"]
)
def test_what_is_no_expression_is_not_read(text):
    with pytest.raises(Unread):
        read(text)


@given(st.text(alphabet="0123456789xyz+-*/^()[]{}|\\ ,.frac sqrtpi", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        node = read(text)
    except Unread:
        return
    try:
        Evaluator(30, {"x": Fraction(3, 7)})(node)
    except Undecided:
        return


@given(fractions, fractions)
def test_equality_of_constants_is_that_of_their_values(a, b):
    x, y = read(f"({a})+\\sqrt{{2}}"), read(f"\\sqrt{{2}}+({b})")
    assert same_expression(x, y)[0] == (a == b)


def test_a_difference_below_the_digits_is_seen_or_left_open_but_never_equal():
    for k in (30, 60, 200, 400):
        assert same_expression(read(f"\\sqrt2+10^{{-{k}}}"), read("\\sqrt2"))[0] is False
    with pytest.raises(Unknown):
        same_expression(read("\\sqrt2+10^{-2000}"), read("\\sqrt2+10^{-1999}+10^{-2500}-10^{-1999}"))


def test_overflow_of_the_decimal_module_is_undecided():
    with pytest.raises(Undecided):
        guarded(lambda: FIELD.exp(Ball(Decimal(10) ** 19)))
