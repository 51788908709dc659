r"""Answers in LaTeX boxes: ``\boxed{x}`` and ``\fbox{x}``."""

from __future__ import annotations

import re
from typing import NamedTuple

from plaudit.text._answer import LONGEST, Answer, answer_at

_COMMAND = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_BARE = re.compile(r"[^\s${}\\]+")
_SENTENCE_END = re.compile(r"[.!?。！？](?=[\s*_\"'”’)]|$)|\n\s*\n")
_DELIMITERS = re.compile(r"[\s$*_`{}()\[\]]|\\[()\[\],;:! ]|\\(?:quad|qquad|text|textbf|mathrm)(?![A-Za-z])")
_JOINING = re.compile(r"[,;/|]|\b(?:and|or|maybe|perhaps|possibly|alternatively|either)\b")
_CORRECTING = re.compile(r"\b(?:wait|actually|correction|sorry|oops|(?:is|was) (?:wrong|incorrect))\b", re.IGNORECASE)


class _Box(NamedTuple):
    command: int  # where the backslash stands
    start: int  # content, half-open
    end: int
    after: int  # first position behind the box
    closed: bool


def boxed_answer(text: str) -> Answer | None:
    r"""The content of the last ``\boxed{…}`` or ``\fbox{…}``; None = there is none.

    Braces are balanced, escaped braces do not count, and of nested boxes the outermost is the answer. Only the last box
    counts: one that is never closed is returned with ``complete=False``, and an earlier one does not take its place.
    Linear in the length of the text.

    >>> boxed_answer(r"First \boxed{4}. No: \boxed{\frac{1}{2}}.").text
    '\\frac{1}{2}'
    """
    box = _last_box(text)
    return None if box is None else answer_at(text, box.start, box.end, "boxed", box.closed)


def boxed_answers(text: str) -> list[Answer]:
    r"""The boxes of the closing sentence in their order, the last box of the text at the end; [] = there is none.

    Boxes belong to one sentence when words, commas or signs stand between them and no end of a sentence does; a line break
    separates them unless only a conjunction stands there. Boxes that follow each other without a word, and those with a word
    of correction between them ("wait", "actually"), replace each other: only the last counts.

    >>> [a.text for a in boxed_answers(r"It is \boxed{3} or \boxed{5}.")]
    ['3', '5']
    >>> [a.text for a in boxed_answers(r"So \boxed{3}. Wait, no: \boxed{5}")]
    ['5']
    """
    box = _last_box(text)
    if box is None:
        return []
    answers = [answer_at(text, box.start, box.end, "boxed", box.closed)]
    limit = max(0, box.command - LONGEST)
    while (command := _last_command(text, limit, box.command)) is not None:
        earlier = _read_box(text, command)
        if not earlier.closed or earlier.after > box.command or not _joined(text[earlier.after : box.command]):
            break
        answers.append(answer_at(text, earlier.start, earlier.end, "boxed"))
        box = earlier
    return answers[::-1]


def _joined(gap: str) -> bool:
    words = _DELIMITERS.sub(" ", gap).strip()
    if not words or _SENTENCE_END.search(gap) or _CORRECTING.search(gap):
        return False
    return "\n" not in gap or not _JOINING.sub("", words).strip()


def _last_command(text: str, start: int, end: int) -> re.Match[str] | None:
    boxed, fbox = text.rfind("\\boxed", start, end), text.rfind("\\fbox", start, end)
    while (at := max(boxed, fbox)) >= 0:
        if (match := _COMMAND.match(text, at)) is not None:
            return match
        if at == boxed:
            boxed = text.rfind("\\boxed", start, at)
        else:
            fbox = text.rfind("\\fbox", start, at)
    return None


def _last_box(text: str) -> _Box | None:
    command = _last_command(text, 0, len(text))
    if command is None:
        return None
    box = _read_box(text, command)
    return _outermost(text, box) if box.closed else box


def _outermost(text: str, box: _Box) -> _Box:
    """The outermost closed box around this one, or the box itself; looks `LONGEST` characters far to both sides."""
    first = _COMMAND.search(text, max(0, box.command - LONGEST), box.command)
    if first is None:
        return box
    stack: list[tuple[int, int] | None] = []  # open braces; those of boxes with the places of command and content
    for token in _BOX_OR_BRACE.finditer(text, first.start(), box.command):
        char = token.group()
        if char == "}":
            if stack:
                stack.pop()
        elif char == "{" or len(char) > 2:
            stack.append(None if char == "{" else (token.start(), token.end()))
    depth = 0
    for token in _BRACE.finditer(text, box.after, min(len(text), box.after + LONGEST)):
        if not stack:
            break
        char = token.group()
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif char == "}" and (place := stack.pop()) is not None:
            box = _Box(*place, token.start(), token.end(), True)
    return box


def _read_box(text: str, command: re.Match[str]) -> _Box:
    start = command.end()
    if text[start : start + 1] != "{":
        # TeX takes the next token: "\boxed 5".
        bare = _BARE.match(text, start, start + LONGEST)
        stop = bare.end() if bare else start
        return _Box(command.start(), start, stop, stop, True)
    close = _closing_brace(text, start + 1)
    if close < 0:
        return _Box(command.start(), start + 1, min(len(text), start + LONGEST), len(text), False)
    return _Box(command.start(), start + 1, close, close + 1, True)


def _closing_brace(text: str, start: int) -> int:
    """Position of the brace that closes the group whose content begins at `start`; -1 = not within `LONGEST` characters."""
    limit = min(len(text), start + LONGEST)
    close = text.find("}", start, limit)
    if close < 0 or (text.find("{", start, close) < 0 and text.find("\\", start, close) < 0):
        return close
    depth = 1
    for token in _BRACE.finditer(text, start, limit):
        char = token.group()
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return token.start()
    return -1
