r"""From the text of an answer to its typed value: normalisation, then the readers in their order."""

from __future__ import annotations

import re
from functools import lru_cache

from plaudit.verify._lexer import Unread, plain, tokens
from plaudit.verify._numbers import LONGEST as LONGEST_PLAIN
from plaudit.verify._numbers import Number, read_number
from plaudit.verify._parser import parse
from plaudit.verify._pieces import read_pieces
from plaudit.verify._syntax import Node, number, symbol
from plaudit.verify._values import BaseNumber, Choice, Ratio, Scalar, Text, Time, Value

LONGEST = 10_000
"""Characters of the longest answer that is read."""

_DOLLARS = re.compile(r"\$\$?")
_MATH = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_JOINED_WORDS = re.compile(r"(?<![A-Za-z\\])(or|and)(?=[A-Z(\\\-\d])")
_TRAILING = " \t\r\n,;:*_`"
_TEXT_ONLY = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|mathit)\s*\{([^{}\\$]*)\}")
_EMPHASIS = re.compile(r"\A(\*\*|__|`)(.+)\1\Z", re.DOTALL)
_CHOICE = re.compile(r"\(?([A-J])\)?[.:)]?\s*\Z")
_CHOICE_TEXT = re.compile(r"(?:\(([A-J])\)|([A-J])[.):])\s+(.+)\Z", re.DOTALL)
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\s*([AaPp])?\.?\s?(?:[Mm]\.?)?\Z")
_BASE = re.compile(r"\(?\s*([0-9A-Fa-f]+)\s*\)?\s*_\s*\{?\s*(?:\\text\s*\{)?\s*(\d{1,2}|[a-z]+)\s*\}?\s*\}?\s*\Z")
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_WORDS_ONLY = re.compile(r"[^\W\d_]+(?:[\s'’,.-]+[^\W\d_]+)*[.!?]?\Z")
_DENYING = re.compile(
    r"\b(?:not|never|isn'?t|wrong|incorrect|false|neither|nor|no|cannot|except|unless|than)\b|n['’]t", re.IGNORECASE
)
_LEADS = re.compile(
    r"(?:the )?(?:(?:final|correct|right|exact|total|resulting) )?(?:answer|solution|result|value)s?\s*(?:is|are|=|:)\s*:?\s*",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:≈|\\approx\b|\\sim\b|approximately |about |roughly |exactly |therefore,? |thus,? |so,? |hence,? )\s*", re.IGNORECASE
)


def read_value(text: str, group: bool = True) -> Value | None:
    r"""What the text of an answer means; None = nothing is written, or it is longer than 10,000 characters.

    `group`: "1,234" is one number; otherwise two. What is not understood as mathematics is a `Text`.

    >>> read_value(r"\{2, 1\}").kind, read_value("yes").words
    ('set', 'yes')
    """
    if len(text) > LONGEST:
        return None
    return _read(text, group)


@lru_cache(maxsize=8192)  # the samples of a group repeat a reference and a few answers
def _read(text: str, group: bool) -> Value | None:
    if len(text) <= LONGEST_PLAIN and group and (plain_number := read_number(text)) is not None:
        return scalar_of(plain_number, text)
    bare = normalised(text)
    if not bare:
        return None
    if (special := _special(bare)) is not None:
        return special
    value = _mathematics(bare, group)
    if value is not None:
        return value
    inner = _only_formula(text)
    if inner is not None and (value := _mathematics(normalised(inner), group)) is not None:
        return value
    return Text(words_of(bare))


_TEN = re.compile(r"(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{?\s*([+-]?\d{1,4})\s*\}?\s*\$?\s*\Z")
_POINT = re.compile(r"(\d[\d, ]*)?\.\d+(?:[eE][+-]?\d+)?")


def scalar_of(plain_number: Number, text: str) -> Scalar:
    """A plain number as a typed value; a decimal keeps its digits."""
    value = plain_number.value
    digits = ""
    if value.denominator != 1 or "." in text:
        points = [match.group() for match in _POINT.finditer(text)]
        power = _TEN.search(text)
        if len(points) == 1 and "/" not in text and "frac" not in text and ("^" in text) == (power is not None):
            digits = points[0].replace(",", "").replace(" ", "").lower() + (f"e{power.group(1)}" if power else "")
    name = None if plain_number.name is None else _name(plain_number.name)
    return Scalar(number(value, digits), plain_number.unit, name)


def _name(text: str) -> Node:
    try:
        return parse(tokens(text))
    except Unread:
        return symbol(text)


def normalised(text: str) -> str:
    r"""The text without dollar signs, boxes, emphasis and punctuation around it.

    >>> normalised(r"$\boxed{\text{(C)}}.$")
    '(C)'
    """
    out = text.strip()
    for _ in range(8):
        before = out
        out = out.strip().strip("*`").rstrip(_TRAILING).lstrip(" \t\r\n:,;")
        if out.endswith(".") and not out.endswith(".."):
            out = out[:-1].rstrip(_TRAILING)
        if out.endswith("\\") and not out.endswith("\\\\"):
            out = out[:-1].rstrip(_TRAILING)
        for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            if len(out) > len(opening) + len(closing) and out.startswith(opening) and out.endswith(closing):
                inner = out[len(opening) : -len(closing)]
                if opening not in inner and not inner.endswith("\\"):
                    out = inner.strip()
        if (box := _BOXED.match(out)) is not None and out.endswith("}") and _balanced(out[box.end() : -1]):
            out = out[box.end() : -1]
        if (wrapped := _TEXT_ONLY.fullmatch(out)) is not None:
            out = wrapped.group(1)
        if (lead := _LEADS.match(out)) is not None and lead.end() < len(out):
            out = out[lead.end() :]
        if (about := _ABOUT.match(out)) is not None and about.end() < len(out):
            out = out[about.end() :]
        if out == before:
            break
    return out


def _balanced(inner: str) -> bool:
    depth = 0
    for k, char in enumerate(inner):
        if char == "{" and inner[k - 1 : k] != "\\":
            depth += 1
        elif char == "}" and inner[k - 1 : k] != "\\":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def words_of(text: str) -> str:
    r"""The words of a text in lower case with one space between them; signs and LaTeX that carry no word are left out.

    >>> words_of(r"\text{Yes}, it's  EVEN.")
    "yes it's even"
    """
    text = _TEXT_ONLY.sub(r" \1 ", text.replace("\\$", "$"))
    text = re.sub(r"\\[,;:! ]|\\(?:left|right|quad|qquad|text|textbf|mathrm)(?![A-Za-z])|[$~]", " ", text)
    if re.search(r"[\\^_=<>+*/]", text):
        return "".join(text.split())
    return " ".join(_WORD.findall(text.casefold()))


def _special(bare: str) -> Value | None:
    """Choices, times, ratios and numbers in a base."""
    stripped = _TEXT_ONLY.sub(r"\1", bare).strip()
    if (choice := _CHOICE.match(stripped)) is not None and len(stripped) <= 200:
        return Choice(choice.group(1))
    if (choice := _CHOICE_TEXT.match(stripped)) is not None and len(stripped) <= 200:
        return Choice(choice.group(1) or choice.group(2), choice.group(3).strip())
    if (time := _TIME.match(stripped)) is not None:
        hours, minutes, half = int(time.group(1)), int(time.group(2)), time.group(4)
        if hours <= 24:
            ratio = Ratio((number(hours), number(minutes)))
            if half is not None and hours <= 12:
                hours = hours % 12 + (12 if half in "pP" else 0)
            return Time(hours * 3600 + minutes * 60 + int(time.group(3) or 0), half is not None, ratio)
    if (based := _BASE.match(plain(bare))) is not None:
        base = _BASES.get(based.group(2), int(based.group(2)) if based.group(2).isdigit() else 0)
        digits = based.group(1)
        if 2 <= base <= 36 and len(digits) <= LONGEST_PLAIN and all(int(char, 36) < base for char in digits):
            return BaseNumber(int(digits, base), base)
    return None


def _mathematics(bare: str, group: bool) -> Value | None:
    text = _JOINED_WORDS.sub(r" \1 ", plain(_DOLLARS.sub(" ", bare.replace("\\$", "\x01"))).replace("\x01", "\\$"))
    if _WORDS_ONLY.match(text):
        return Text(words_of(bare), _letters(text))
    try:
        found = tokens(text, group)
        if not found:
            return None
        return read_pieces(found)
    except (Unread, RecursionError, ValueError):
        return None


def _letters(text: str) -> Node | None:
    if len(text) > 3 or not text.isascii() or not text.isalpha():
        return None
    try:
        return parse(tokens(text))
    except Unread:
        return None


def _only_formula(text: str) -> str | None:
    """The one formula of a sentence without digits and denials around it."""
    found = list(_MATH.finditer(text))
    if len(found) != 1:
        return None
    around = text[: found[0].start()] + " " + text[found[0].end() :]
    if any(char.isdigit() for char in around) or _DENYING.search(around) or "\\" in around or len(around) > 400:
        return None
    return next(inner for inner in found[0].groups() if inner is not None)
