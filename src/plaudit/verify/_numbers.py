r"""Numbers as people and models write them, read exactly: integers, decimals, fractions, with units and currency."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from plaudit.verify._units import CURRENCY_SIGNS, read_unit

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
        name: the left side of "x = 5"; None = none was written.
        currency: ISO code ("USD"); None = none was written.
        unit: the unit's standard name, or the words behind the number; "%" for percent; None = none was written.
    """

    value: Fraction
    name: str | None = None
    currency: str | None = None
    unit: str | None = None


def equal(a: Number, b: Number, percent: Percent = "unit", units: Units = "drop") -> bool:
    """Whether two numbers are the same number under the stated conventions; exact, never rounded.

    ``percent="unit"``: the sign is a unit (25% is not 0.25); ``"value"``: 25% is 0.25. ``units="drop"``: a unit, currency
    or name that only one side writes is left out, one that both write must agree; ``"strict"``: both must write the same
    (a name may still be left out).

    >>> equal(read_number("18 dollars"), read_number("$18.00")), equal(read_number("5 km"), read_number("5 m"))
    (True, False)
    """
    if percent == "value":
        a, b = _percent_to_value(a), _percent_to_value(b)
    if a.value != b.value or (a.name is not None and b.name is not None and a.name != b.name):
        return False
    if units == "strict":
        return a.currency == b.currency and a.unit == b.unit
    return _agree(a.currency, b.currency) and _agree(a.unit, b.unit)


def _agree(a: str | None, b: str | None) -> bool:
    return a is None or b is None or a == b


def _percent_to_value(number: Number) -> Number:
    return number._replace(value=number.value / 100, unit=None) if number.unit == "%" else number


# What carries no value in an answer: fonts, sizes, spacing, delimiters.
_SPACE = re.compile(r"(?:\\[,;:! ]|\\q?quad(?![A-Za-z])|~|\s)+")
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_NOTHING = re.compile(r"\\(?:left|right|displaystyle|bf|rm|it)(?![A-Za-z])|\\[()\[\]]")
_WRAPPED = re.compile(r"(?:\\(?:boxed|fbox|text|textbf|textit|textrm|textnormal|mathbf|mathrm|mathit|bold|mbox)\s*)?\{([^{}]*)\}\Z")
_WRAPPED_FRACTION = re.compile(
    r"(?:\\(?:boxed|fbox|text|textbf|mathbf|mathrm|mathit|bold)\s*)?\{([^{}]*\\frac\s*\{[^{}]*\}\s*\{[^{}]*\}[^{}]*)\}\Z"
)
_SIGNS = str.maketrans({"−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+", "×": "*", "·": "*", "∙": "*"})
_DOLLAR = "\x01"  # an escaped dollar sign, so that the bare ones are LaTeX delimiters


def clean(text: str) -> str:
    r"""The text without the LaTeX, Markdown and punctuation around it that carry no value; white space becomes one space.

    >>> clean(r"$\boxed{\text{ 4{,}500 }}$."), clean("**3 / 4**")
    ('4,500', '3 / 4')
    """
    if text.isalnum() and text.isascii():
        return text
    text = text.translate(_SIGNS).replace("\\$", _DOLLAR).replace("{,}", ",").replace("\\%", "%")
    if "\\" in text:
        text = _NOTHING.sub(" ", _FRACTION.sub(r"\\frac", text))
    if text.count("$") % 2 == 0:
        text = text.replace("$", " ")
    text = _SPACE.sub(" ", text.replace(_DOLLAR, "$"))
    while True:
        inner = text.strip(" *_`'\"“”‘’,;:").removesuffix(".").rstrip()
        if (wrapped := _WRAPPED.match(inner) or _WRAPPED_FRACTION.match(inner)) is not None:
            inner = wrapped.group(1)
        elif inner[:1] == "(" and inner[-1:] == ")" and "(" not in inner[1:] and ")" not in inner[:-1]:
            inner = inner[1:-1]
        if inner == text:
            return text
        text = inner


_INTEGER = re.compile(r"[+-]?[0-9]{1,400}\Z")
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]{1,3}(?:\ [0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_ARGUMENT = rf"(?:\{{\ ?([+-]?(?:{_DECIMAL}))\ ?\}}|\ ?([0-9]))"
_NAME = re.compile(
    r"((?:\\text\{)?[A-Za-z][A-Za-z ]{0,30}\}?(?:_\{?[A-Za-z0-9]{1,5}\}?)?(?:\([A-Za-z0-9, ]{1,10}\))?) ?(?:=|≈|\\approx(?![a-z])) ?(?=\S)"
)
_ABOUT = re.compile(r"(?:≈|~|=|\\approx|\\sim|(?:approximately|about|around|roughly|exactly|only|just|a total of|equals?|is)(?![A-Za-z])) ?", re.I)
_VALUE = re.compile(
    rf"""([+-]?)\ ?((?:US)?\$|[{CURRENCY_SIGNS}])?\ ?([+-]?)\ ?(?:
      ([0-9]+)\ ?\\frac\ ?{_ARGUMENT}{_ARGUMENT}            # 2\frac{{1}}{{2}}
    | ([0-9]+)\ ([0-9]+)\ ?/\ ?([0-9]+)                     # 2 1/2
    | \\frac\ ?{_ARGUMENT}{_ARGUMENT}                       # \frac{{1}}{{2}}, \frac12
    | (?P<a>{_DECIMAL})\ ?/\ ?(?P<b>{_DECIMAL})             # 1/2
    | (?:(?P<mantissa>{_DECIMAL})\ ?(?:\*|\\times|\\cdot|x)\ ?)?10\ ?(?:\^|\*\*)\ ?(?:\{{\ ?(?P<power>[+-]?[0-9]+)\ ?\}}|(?P<bare_power>[+-]?[0-9]+))
    | (?P<decimal>{_DECIMAL})(?:[eE](?P<e>[+-]?[0-9]+)(?![0-9A-Za-z.]))?
    )""",
    re.VERBOSE,
)


@lru_cache(maxsize=4096)
def read_number(text: str) -> Number | None:
    r"""The number that a text writes, exactly; None = it is not one number that is understood, or breaks a size guard.

    Understood: signs; thousands in groups of three by ``,`` ``{,}`` ``\,`` or a space; decimals; ``a/b``, ``\frac{a}{b}``,
    ``\frac12``; mixed numbers (``2 1/2``, ``2\frac12``); ``1.5e3``, ``1.5\times10^{3}``, ``10^3``; ``x = `` in front;
    currency signs; units and words behind (`read_unit`); LaTeX delimiters, fonts and spacing; a full stop at the end.
    Not understood, and refused: sums, roots, powers of other bases, number words, decimal commas, base subscripts.

    >>> read_number(r"\$1{,}234.50"), read_number(r"-2\dfrac{1}{3}").value
    (Number(value=Fraction(2469, 2), name=None, currency='USD', unit=None), Fraction(-7, 3))
    >>> read_number("10^1000000000") is None and read_number("3 or 4") is None
    True
    """
    if len(text) > LONGEST:
        return None
    if _INTEGER.match(text):
        return Number(Fraction(int(text)))
    text = clean(text)
    name = None
    if "=" in text or "≈" in text or "approx" in text:
        if (named := _NAME.match(text)) is not None:
            name, text = named.group(1).replace("\\text{", "").replace("}", "").strip(), text[named.end() :]
    if (about := _ABOUT.match(text)) is not None:
        text = text[about.end() :]
    match = _VALUE.match(text)
    if match is None or (match.group(1) and match.group(3)):
        return None
    value = _exact(match)
    if value is None:
        return None
    suffix = read_unit(text[match.end() :])
    if suffix is None:
        return None
    sign = match.group(2)
    currency = CURRENCY_SIGNS_TO_CODE[sign] if sign else suffix.currency
    if sign and suffix.currency not in (None, currency):
        return None
    return Number(value * suffix.factor, name, currency, suffix.unit)
