"""The last number of a text, read only where it stands alone."""

from __future__ import annotations

import re

from plaudit.text._answer import Answer, answer_at

_WINDOW = 160
"""Characters before the last digit that decide whether its number stands alone."""

# What may be part of one written number or expression; other characters end it.
_RUN = re.compile(r"[0-9A-Za-z.,:\\{}()^_+\-−–*/×÷·=≈$€£¥%°~√π']+")
_OPENING, _CLOSING = "*_(['~:,", "*_)]}'~:,."

# In front of a number: an operator whose left side is a value; a list of numbers.
_NEAR, _FAR = 24, 64  # characters in front that the patterns below look at
_OPERATOR_BEFORE = re.compile(r"(?:[0-9)}%°\]]|(?<![A-Za-z])[A-Za-z])\$?\s{0,3}(?:[-+*/×÷^−·]|\\(?:times|cdot|div))\s{0,3}\$?\Z")
_INSIDE_BEFORE = re.compile(r"[{^_\\]\s{0,3}\Z")
_LIST_BEFORE = re.compile(
    r"(?<![0-9.,])([$€£¥]?[-−]?[0-9][0-9.,/]*[0-9]|[0-9])[%\s$*_\])}]{0,4}"
    r"(?:(?:[,;/|&]|\b(?:and|or|nor|to|maybe|perhaps|possibly|alternatively|either)\b)[\s,$*_\[({]{0,4})+\Z"
)
_BESIDE = re.compile(r"(?<![0-9.,A-Za-z])([0-9][0-9.,]*[0-9]|[0-9])\s{1,3}\Z")

# Behind it: an operator that goes on, the rest of a group, a word that multiplies.
_OPERATOR_AFTER = re.compile(r"\s{0,3}\$?\s{0,3}(?:=|[+*/×÷^·](?:\s{0,3}(?:\\|[A-Za-z](?![A-Za-z])|\())|[}^_])")
_MAGNITUDE = re.compile(r"\s{1,3}(?:hundred|thousand|million|billion|trillion|dozen|percent|per cent|pct|%)(?![A-Za-z])")


def last_number(text: str) -> Answer | None:
    """The last number of a text; None = there is no digit.

    It is returned bare where it stands alone ("… makes 42 in all."). Where it is a part of something, the something is
    returned, for the reader to refuse: an expression that was not evaluated ("6 * 7", "2\\\\sqrt{5}"), one of several
    numbers in a row ("3, 5 or 42"), a time, an exponent, a word with digits. Only ASCII digits count.

    >>> last_number("6 * 7 = 42 apples.").text
    '42'
    >>> last_number("It is one of 3, 5 and 42").text
    '5 and 42'
    """
    digit = max(map(text.rfind, "0123456789"))
    if digit < 0:
        return None
    first = max(0, digit - _WINDOW)
    window = text[first : digit + 60]
    place = digit - first
    for run in _RUN.finditer(window):
        if run.end() > place:
            start, stop = _trim(window, run.start(), run.end(), place)
            break
    start = _value_start(window, start, stop)
    if first and start == 0:
        return answer_at(text, first, first + stop, "last_number", complete=False)
    start, stop = _context(window, start, stop)
    return answer_at(text, first + start, first + stop, "last_number")


def _trim(window: str, start: int, stop: int, place: int) -> tuple[int, int]:
    """The run without punctuation at its ends, and only what follows its last sign of equality."""
    for k in range(place, start, -1):
        if window[k] in "=≈":
            start = k + 1
            break
    while stop - 1 > place and window[stop - 1] in _CLOSING:
        stop -= 1
    while start < place and window[start] in _OPENING:
        start += 1
    # "Total:42", but not "12:30".
    colon = window.rfind(":", start, place)
    if colon > start and not window[colon - 1].isdigit():
        start = colon + 1
    return start, stop


def _value_start(window: str, start: int, stop: int) -> int:
    """Takes in what belongs to the value in front: the whole part of "4 2/3", the groups of "996 000"."""
    value = window[start:stop]
    slash = value.find("/")
    grouped = slash < 0 and len(value) >= 3 and value[:3].isdigit() and not value[3:4].isdigit()
    while (slash > 0 and value[:slash].isdigit()) or grouped:
        beside = _BESIDE.search(window, max(0, start - 40), start)
        if beside is None or (grouped and (len(beside.group(1)) > 3 or not beside.group(1).isdigit())):
            break
        start = beside.start(1)
        if not grouped or len(beside.group(1)) < 3:
            break
    return start


def _context(window: str, start: int, stop: int) -> tuple[int, int]:
    if (after := _OPERATOR_AFTER.match(window, stop)) is not None:
        return start, after.end()
    near = max(0, start - _NEAR)
    for pattern in (_INSIDE_BEFORE, _OPERATOR_BEFORE):
        if (part := pattern.search(window, near, start)) is not None:
            return part.start(), stop
    for pattern, first in ((_LIST_BEFORE, max(0, start - _FAR)), (_BESIDE, near)):
        other = pattern.search(window, first, start)
        if other is not None and other.group(1) != window[start:stop]:
            return other.start(1), stop
    if (magnitude := _MAGNITUDE.match(window, stop)) is not None:
        stop = magnitude.end()
    return start, stop
