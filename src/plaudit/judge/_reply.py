"""A judge's reply: the score and the reasoning in it, or why it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plaudit.lm import SchemaMismatch, read_json
from plaudit.types import Completion
from plaudit.wire import well_formed

_QUOTED_WHOLE = 40  # characters of reasoning that nobody writes twice by chance
_FORM = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["reasoning", "score"],
}


class Unreadable(Exception):
    """The reply holds no verdict; the message says why."""


@dataclass(frozen=True, slots=True)
class Grade:
    """A score on the judge's scale and the reasoning that led to it."""

    score: int
    reasoning: str


def read_grade(completion: Completion, scale: tuple[int, int], response: str) -> Grade:
    """Read a reply; `response` is the text that was graded, because a verdict may be copied out of it.

    Raises Unreadable.
    """
    if completion.finish == "length":
        raise Unreadable("the judge's reply was cut off at max_tokens")
    if completion.finish == "error":
        raise Unreadable("the judge's endpoint withheld the reply (content filter)")
    if not completion.text.strip():
        raise Unreadable("the judge's reply is empty")
    try:
        found: dict[str, Any] = read_json(completion.text, _FORM)
    except SchemaMismatch as error:
        raise Unreadable(f"the judge's reply is no verdict: {error}") from error
    reasoning, score = well_formed(found["reasoning"]).strip(), int(found["score"])
    low, high = scale
    if not low <= score <= high:
        raise Unreadable(f"the judge's score is {score}: expected {low} to {high}")
    if not completion.reasoning:
        if not reasoning:
            raise Unreadable("the judge gave a score without reasoning")
        members = list(found)
        if members.index("score") < members.index("reasoning"):
            raise Unreadable("the judge gave the score before its reasoning")
    alone = completion.text.lstrip().startswith("{")
    if reasoning and reasoning in response and (not alone or len(reasoning) >= _QUOTED_WHOLE):
        raise Unreadable("the verdict in the judge's reply is copied from the response")
    return Grade(score, reasoning)
