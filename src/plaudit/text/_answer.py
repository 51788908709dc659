"""What an extraction rule returns."""

from __future__ import annotations

from typing import Literal, NamedTuple

Rule = Literal["boxed", "tag", "hash", "stated", "labelled", "formula", "last_number", "worded", "choice", "whole"]
"""Where an answer was found: ``\\boxed{x}``, ``<answer>x</answer>``, ``#### x``, "the answer is x" with a digit, ``A: x``, the
last ``$x$``, the last number; "the answer is x" in words, a letter of a multiple choice, the whole text."""

LONGEST = 10_000
"""Characters of the longest answer; a box or tag that is still open after so many is taken as never closed."""


class Answer(NamedTuple):
    """An answer found in a text.

    Fields:
        text: the answer as written, without the markup around it and without white space at its ends.
        rule: the rule that found it.
        start, end: where `text` stands in the string that was read, half-open, in characters.
        complete: False = the string ends, or goes on for too long, before the answer's markup is closed.
    """

    text: str
    rule: Rule
    start: int
    end: int
    complete: bool = True


def answer_at(text: str, start: int, end: int, rule: Rule, complete: bool = True) -> Answer:
    """The answer between two positions, with the white space at its ends cut off."""
    found = text[start:end]
    inner = found.strip()
    if len(inner) != end - start:
        start += len(found) - len(found.lstrip())
    return Answer(inner, rule, start, start + len(inner), complete)
