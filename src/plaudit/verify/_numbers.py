r"""Numbers as people and models write them, read exactly: integers, decimals, fractions, with units and currency."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from plaudit.verify._units import CURRENCY_SIGNS, STANDARD_UNITS, read_unit

LONGEST = 1_000
"""Characters of the longest text that is read as a number; it bounds the digits as well."""

LARGEST_EXPONENT = 1_000
"""Largest power of ten, either way; beyond it a number is not read."""

Percent = Literal["unit", "value"]
Units = Literal["drop", "strict"]


class Number(NamedTuple):
    """A number as written.

    Fields:
        value: exact.
        name: the symbol on the left side of "x = 5"; None = none was written, or words were ("Area = 5").
        unit: standard name of the unit ("km", "%", "USD"), or the words behind the number; None = none was written.
    """

    value: Fraction
    name: str | None = None
    unit: str | None = None


def equal(a: Number, b: Number, percent: Percent = "unit", units: Units = "drop") -> bool:
    """Whether two numbers are the same number under the stated conventions; exact, never rounded.

    ``percent="unit"``: the sign is a unit (25% is not 0.25); ``"value"``: 25% is 0.25. ``units="drop"``: a unit or currency
    that only one side writes is left out, one that both write must agree; ``"strict"``: both must write the same. Names must
    agree where both write one.

    >>> equal(read_number("18 dollars"), read_number("$18.00")), equal(read_number("5 km"), read_number("5 m"))
    (True, False)
    """
    if percent == "value":
        a, b = _percent_to_value(a), _percent_to_value(b)
    if a.value != b.value or not _agree(a.name, b.name):
        return False
    return a.unit == b.unit if units == "strict" else _agree(a.unit, b.unit)


def _agree(a: str | None, b: str | None) -> bool:
    return a is None or b is None or a == b


def _percent_to_value(number: Number) -> Number:
    return number._replace(value=number.value / 100, unit=None) if number.unit == "%" else number


# What carries no value in an answer: fonts, sizes, spacing, delimiters.
_SPACE = re.compile(r"(?:\\[,;: ]|\\q?quad(?![A-Za-z])|~|\s)+")
_NEGATIVE_SPACE = re.compile(r"\\! ?")  # "11,\! 111" closes the gap behind the comma
_DIVISION = re.compile(r"\\div(?![A-Za-z])")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_NOTHING = re.compile(r"\\(?:left|right|displaystyle|bf|rm|it)(?![A-Za-z])|\\[()\[\]]")
_WRAPPER = re.compile(r"(?:\\(?:boxed|fbox|text|textbf|textit|textrm|textnormal|mathbf|mathrm|mathit|bold|mbox)\s*)?\{")
_DEEPEST = 16  # wrappers within wrappers that are taken off
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+", "×": "*", "·": "*", "∙": "*", "÷": "/"}
)
_DOLLAR = "\x01"  # an escaped dollar sign, so that the bare ones are LaTeX delimiters


def clean(text: str) -> str:
    r"""The text without the LaTeX, Markdown and punctuation around it that carry no value; white space becomes one space.

    >>> clean(r"$\boxed{\text{ 4{,}500 }}$."), clean("**3 / 4**")
    ('4,500', '3 / 4')
    """
    if text.isalnum() and text.isascii():
        return text
    if not text.isascii():
        text = text.translate(_SIGNS)
    if "\\" in text:
        text = text.replace("\\$", _DOLLAR).replace("\\%", "%")
        text = _DIVISION.sub("/", _NEGATIVE_SPACE.sub("", text))
        text = _NOTHING.sub(" ", _FRACTION.sub(r"\\frac", text))
    if text.count("$") % 2 == 0:
        text = text.replace("$", " ")
    text = _SPACE.sub(" ", text.replace("{,}", ",").replace(_DOLLAR, "$"))
    for _ in range(_DEEPEST):
        inner = text.strip(' *_`"“”‘,;:')
        if inner[:1] in ("'", "’"):  # a prime behind a letter is part of its name
            inner = inner.strip("'’ ")
        if inner.endswith(".") and not inner.endswith(".."):
            inner = inner[:-1].rstrip()
        inner = _unwrapped(inner)
        if inner == text:
            break
        text = inner
    return text


def _unwrapped(text: str) -> str:
    """The content of braces, of a box, of a font command or of parentheses around the whole."""
    if text.endswith("}") and (wrapper := _WRAPPER.match(text)) is not None:
        start, ends = wrapper.end(), "{}"
    elif text.startswith("(") and text.endswith(")"):
        start, ends = 1, "()"
    else:
        return text
    depth = 0
    for char in text[start:-1]:
        depth += (char == ends[0]) - (char == ends[1])
        if depth < 0:
            return text
    return text[start:-1] if depth == 0 else text


_INTEGER = re.compile(r"[+-]?[0-9]{1,400}\Z")
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?:\ [0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_ARGUMENT = rf"(?:\ ?\{{\ ?([+-]?(?:{_DECIMAL}))\ ?\}}|\ ?([0-9]))"
_NAME = re.compile(
    r"((?:\\text\{)?[A-Za-z][A-Za-z ]{0,30}\}?(?:_\{?[A-Za-z0-9]{1,5}\}?)?(?:\([A-Za-z0-9, ]{1,10}\))?)"
    r" ?(?:=|≈|\\approx(?![a-z])) ?(?=\S)"
)
_ABOUT = re.compile(
    r"(?:≈|=|\\approx|\\sim|(?:approximately|about|around|roughly|exactly|only|just|a total of)(?![A-Za-z])) ?", re.IGNORECASE
)
_VALUE = re.compile(
    rf"""([+-]?)\ ?((?:US)?\$|[{"".join(CURRENCY_SIGNS)}])?\ ?([+-]?)\ ?(?:
      (?:(?P<whole>[0-9]+)\ ?)?\\frac\ ?{_ARGUMENT}{_ARGUMENT}       # \frac{{1}}{{2}}, \frac12, 2\frac12
    | (?P<and>[0-9]+)\ (?P<n>[0-9]+)\ ?/\ ?(?P<d>[0-9]+)          # 2 1/2
    | (?P<a>{_DECIMAL})\ ?/\ ?(?P<b>{_DECIMAL})                    # 1/2
    | (?:(?P<mantissa>{_DECIMAL})\ ?(?:\*|\\times|\\cdot|x)\ ?)?10\ ?(?:\^|\*\*)\ ?  # 1.5*10^{{3}}
      (?:\{{\ ?(?P<power>[+-]?[0-9]+)\ ?\}}|(?P<bare_power>[+-]?[0-9]+))
    | (?P<decimal>{_DECIMAL})(?:[eE](?P<e>[+-]?[0-9]+)(?![0-9A-Za-z.]))?  # 1.5, 1.5e3
    )""",
    re.VERBOSE,
)


def read_number(text: str) -> Number | None:
    r"""The number that a text writes, exactly; None = it is not one number that is understood, or breaks a size guard.

    Understood: signs; thousands in groups of three by ``,`` ``{,}`` ``\,`` or a space; decimals; ``a/b``, ``\frac{a}{b}``,
    ``\frac12``; mixed numbers (``2 1/2``, ``2\frac12``); ``1.5e3``, ``1.5\times10^{3}``, ``10^3``; ``x = `` in front;
    currency signs; units and words behind (`read_unit`); LaTeX delimiters, fonts and spacing; a full stop at the end.
    Not understood, and refused: sums, roots, powers of other bases, number words, decimal commas, base subscripts.

    >>> read_number(r"\$1{,}234.50")
    Number(value=Fraction(2469, 2), name=None, unit='USD')
    >>> read_number(r"-2\dfrac{1}{3}").value
    Fraction(-7, 3)
    >>> read_number("10^1000000000") is None and read_number("3 or 4") is None
    True
    """
    return _read(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=8192)  # the samples of a group repeat a reference and a few answers
def _read(text: str) -> Number | None:
    if _INTEGER.match(text):
        return Number(Fraction(int(text)))
    text = clean(text)
    name = None
    if (named := _NAME.match(text)) is not None:
        name, text = _symbol(named.group(1)), text[named.end() :]
    if (about := _ABOUT.match(text)) is not None:
        text = text[about.end() :]
    if text[:1] in ("-", "+") and (inner := _unwrapped(text[1:].lstrip())) != text[1:].lstrip():
        text = text[0] + inner
    match = _VALUE.match(text)
    if match is None or (value := _exact(match)) is None or (suffix := read_unit(text[match.end() :])) is None:
        return None
    unit = suffix.unit
    if (sign := match.group(2)) is not None:
        currency = CURRENCY_SIGNS[sign[-1]]
        # "$18 per day" is read as dollars; "$18 km" and "$18 euros" are not read.
        if unit in STANDARD_UNITS and unit != currency:
            return None
        unit = currency
    return Number(value * suffix.factor, name, unit)


def _symbol(name: str) -> str | None:
    name = name.replace("\\text{", "").replace("}", "").strip()
    return name if len(name.split("(")[0].split("_")[0]) <= 2 else None


def _exact(match: re.Match[str]) -> Fraction | None:
    sign, _, inner_sign, whole, braced_n, bare_n, braced_d, bare_d = match.groups()[:8]
    if sign and inner_sign:
        return None
    group = match.groupdict()
    value: Fraction | None
    if (numerator := braced_n or bare_n) is not None:
        value = _ratio(numerator, braced_d or bare_d)
        if whole is not None:
            # "2\frac{-1}{2}" is a product or a slip, not a mixed number.
            value = None if value is None or value < 0 else int(whole) + value
    elif group["and"] is not None:
        value = _ratio(group["n"], group["d"])
        value = None if value is None else int(group["and"]) + value
    elif group["a"] is not None:
        value = _ratio(group["a"], group["b"])
    else:
        digits = group["decimal"] or group["mantissa"] or "1"
        value = _scaled(_decimal(digits), group["power"] or group["bare_power"] or group["e"])
    if value is None:
        return None
    return -value if "-" in (sign, inner_sign) else value


def _decimal(digits: str) -> Fraction:
    whole, _, part = digits.replace(",", "").replace(" ", "").partition(".")
    return Fraction(int(whole + part), 10 ** len(part))


def _ratio(numerator: str, denominator: str) -> Fraction | None:
    bottom = _decimal(denominator)
    return _decimal(numerator) / bottom if bottom else None


def _scaled(value: Fraction, power: str | None) -> Fraction | None:
    if power is None:
        return value
    exponent = int(power)
    return value * Fraction(10) ** exponent if abs(exponent) <= LARGEST_EXPONENT else None
