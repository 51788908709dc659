"""Numbers as people and models write them, read exactly or not at all."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.verify import Number, read_number
from plaudit.verify._numbers import clean, equal
from plaudit.verify._units import read_unit


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("+18", 18),
        ("-18", -18),
        ("− 18", -18),
        ("18.", 18),
        ("18.50", Fraction(37, 2)),
        (".5", Fraction(1, 2)),
        ("1,234,567", 1234567),
        ("1{,}234", 1234),
        (r"1\,234", 1234),
        ("996 000", 996000),
        ("1\u202f234", 1234),
        (r"11,\! 111,\! 100", 11111100),
        ("1,234.5", Fraction(2469, 2)),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"\dfrac34", Fraction(3, 4)),
        (r"\frac{-1} {1997}", Fraction(-1, 1997)),
        (r"-\tfrac{1.5}{2}", Fraction(-3, 4)),
        ("2 1/2", Fraction(5, 2)),
        (r"-2\frac12", Fraction(-5, 2)),
        (r"-(\frac12)", Fraction(-1, 2)),
        (r"9 \div 256", Fraction(9, 256)),
        ("1.5e3", 1500),
        ("1.77E-6", Fraction(177, 10**8)),
        (r"9.96 \times 10^{5}", 996000),
        ("9.96×10^5", 996000),
        ("10^3", 1000),
        ("5 million", 5_000_000),
        (r"\left( 18 \right)", 18),
        (r"$\boxed{\mathbf{18}}$", 18),
        (r"\text{18}", 18),
        ("**18**", 18),
        ("x = 18", 18),
        (r"\text{Area} = 18 \text{ cm}^2", 18),
        ("≈ 3.01", Fraction(301, 100)),
        ("about 18 jars", 18),
    ],
)
def test_what_is_understood_is_read_exactly(text, value):
    assert read_number(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        # Nothing, words, broken numbers.
        "", " ", "...", "-", "$", "x", "eighteen", "1/0", r"\frac{1}{0}", "1,23", "1,2345", "1,234,56", "1.2.3", "1.234,56",
        "--5",
        # Several numbers, and what is not evaluated here.
        "3 or 4", "3, 4", "(3, 4)", r"\{3\}", "[3]", "3;4", "3 + 4", "6 * 7", r"2\sqrt{5}", "5x", "5 x", "5m", "18abc",
        "5!", "2^5", "4=5",
        "10^{2^3}", "101_2", "12_{10}", "x=4=5", "12:30", "1/2/2020", "0.333...", r"0.\overline{3}", r"3 \pm 1", "3 and a half",
        # Words that change the value or deny it; units that contradict the currency.
        "3 dozen", "5 squared", "5 factorial", "3 remainder 1", "3 tenths", "42 is wrong", "not 42", "5 less than 7", "$5 km",
        "$5 euros",
        # Other digits, sizes beyond the guards, hostile text.
        "٤٢", "４２", "8722美元", "NaN", "inf", "1e99999", "10^1000000000", "1e-99999", "9" * 1_001, "1" + ",000" * 400,
        "\x00", "\ud800", "{" * 500 + "5" + "}" * 500,
    ],
)  # fmt: skip
def test_what_is_not_one_number_is_refused(text):
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("$18", "USD"), (r"\$18", "USD"), ("18$", "USD"), ("18 dollars", "USD"), ("$18 per day", "USD"), ("18 (dollars)", "USD"),
        ("€18", "EUR"), ("18 cents", "cent"), ("18%", "%"), (r"18\%", "%"), ("18 percent", "%"), ("$18$ pct", "%"),
        ("18 percentage", "%"), ("18 km", "km"), ("18km", "km"), (r"18\text{ kilometres}", "km"), ("18 cm^2", "cm^2"),
        (r"18\text{ cm}^2", "cm^2"), ("18 square meters", "m^2"), ("18 ft³", "ft^3"), ("18 miles", "mi"), ("18 h", "h"),
        ("18 hours", "h"), (r"18^\circ", "degree"), (r"18^\circ\text{C}", "°C"),
        (r"18^{\circ}", "degree"), ("18°", "degree"), ("18 degrees", "degree"),
        ("18 eggs", "egg"), ("18 egg", "egg"), ("18 eggs per day", "egg per day"), ("18", None),
    ],
)  # fmt: skip
def test_units_have_one_standard_name(text, unit):
    assert read_number(text).unit == unit


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("18 km", "18 m"),
        ("$18", "18 euros"),
        ("$18", "18 cents"),
        ("18%", "$18"),
        ("18 eggs", "18 hens"),
        ("x = 18", "y = 18"),
        ("18%", "0.18"),
    ],
)
def test_units_and_names_that_both_sides_write_must_agree(a, b):
    assert not equal(read_number(a), read_number(b))


def test_conventions_are_options():
    percent, plain, part = read_number("25%"), read_number("25"), read_number("0.25")
    assert equal(percent, plain)
    assert not equal(percent, part)
    assert equal(percent, part, percent="value")
    assert not equal(percent, plain, percent="value")
    assert not equal(read_number("25 km"), plain, units="strict")
    assert equal(read_number("25 km"), read_number("25 kilometers"), units="strict")


def test_a_symbol_is_kept_as_a_name_and_words_are_not():
    assert read_number("x_1 = 5").name == "x_1"
    assert read_number("f(2) = 5").name == "f(2)"
    assert read_number("Total = 5").name is None


fractions = st.fractions(max_denominator=10**6)
integers = st.integers(-(10**30), 10**30)


@given(integers)
def test_every_way_to_write_an_integer_is_the_same_integer(n):
    grouped = f"{n:,}"
    sign = "-" if n < 0 else ""
    texts = [grouped.replace(",", separator) for separator in ("", ",", "{,}", r"\,", " ")]
    texts += [
        f"{n}.0",
        f"${n}$",
        f"\\boxed{{{n}}}",
        f"{sign}\\${abs(n)}",
        f"{n}/1",
        f"\\frac{{{2 * n}}}{{2}}",
        f"{n}e0",
        f"{n} pies",
    ]
    for text in texts:
        assert read_number(text).value == n, text


@given(fractions)
def test_every_way_to_write_a_fraction_is_the_same_fraction(q):
    n, d = q.numerator, q.denominator
    whole, rest = divmod(abs(n), d)
    sign = "-" if n < 0 else ""
    for text in (
        f"{n}/{d}",
        f"\\frac{{{n}}}{{{d}}}",
        f"{sign}\\dfrac{{{abs(n)}}}{{{d}}}",
        f"{sign}{whole} {rest}/{d}",
        f"{sign}{whole}\\frac{{{rest}}}{{{d}}}",
    ):
        assert read_number(text).value == q, text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**9), max_value=10**9))
def test_decimals_are_exact(x):
    assert read_number(f"{x:f}").value == Fraction(x)


@given(fractions, fractions)
def test_equality_is_that_of_the_fractions(p, q):
    assert equal(Number(p), Number(q)) == (p == q)
    assert equal(Number(p), Number(q)) == equal(Number(q), Number(p))


@given(integers, st.integers(1, 40))
def test_numbers_that_differ_beyond_any_float_are_different(n, k):
    assert not equal(read_number(f"{n}"), read_number(f"{n}.{'0' * k}1"))
    assert not equal(read_number(f"0.{'0' * k}1"), read_number(f"0.{'0' * k}2"))


LATEX = [
    "\\frac",
    "\\text",
    "{",
    "}",
    "1",
    "23",
    "4.5",
    ",",
    " ",
    "/",
    "-",
    "$",
    "%",
    "^",
    "_",
    "e5",
    "km",
    " or ",
    "=",
    "x",
    "(",
    ")",
    "\\",
    "°",
    "é",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(LATEX), max_size=30).map("".join)))
def test_no_text_raises(text):
    number = read_number(text)
    assert number is None or isinstance(number.value, Fraction)
    assert isinstance(clean(text), str)
    read_unit(text)


@pytest.mark.parametrize(
    "shape",
    [
        "1",
        "1,",
        "1 ",
        "1/",
        "1 2/",
        "{",
        "(",
        "\\frac{1}{",
        "$",
        "1e",
        "x",
        "x ",
        "\\text{",
        "a/",
        ".",
        "-",
        "1,000",
        "1 000",
        "\\!",
    ],
)
def test_the_longest_text_is_read_in_a_millisecond_or_two(shape):
    text = shape * (1_000 // len(shape))
    best = min(_seconds(text + suffix) for suffix in ("", " ", "!") if len(text + suffix) <= 1_000)
    assert best < 0.02


def _seconds(text):
    read_number.__globals__["_read"].cache_clear()
    start = time.perf_counter()
    read_number(text)
    return time.perf_counter() - start
