"""Where the answer of a response stands: the rules in their order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from plaudit.text._answer import Answer, Rule, answer_at
from plaudit.text._boxed import boxed_answer
from plaudit.text._choices import choice_answer, worded_answer
from plaudit.text._formulas import last_formula
from plaudit.text._last_number import last_number
from plaudit.text._statements import hashed_answer, labelled_answer, stated_answer, tagged_answer

RULES: tuple[Rule, ...] = ("boxed", "tag", "hash", "stated", "labelled", "formula", "last_number")
"""The rules for mathematics, the most explicit first."""

_FIND: dict[Rule, Callable[[str], Answer | None]] = {
    "boxed": boxed_answer,
    "tag": tagged_answer,
    "hash": hashed_answer,
    "stated": stated_answer,
    "labelled": labelled_answer,
    "formula": last_formula,
    "last_number": last_number,
    "worded": worded_answer,
    "choice": choice_answer,
    "whole": lambda text: answer_at(text, 0, len(text), "whole") if text.strip() else None,
}


def extract_answer(text: str, rules: Sequence[Rule] = RULES) -> Answer | None:
    """The answer by the first rule that finds one; None = no rule does.

    Within a rule the last place counts, so a corrected answer wins over an earlier one. Time is linear in the length of
    the text. Raises KeyError for an unknown rule.

    >>> extract_answer("So 6 * 7 = 42.\\nThe answer is 42 apples.")
    Answer(text='42 apples', rule='stated', start=29, end=38, complete=True)
    >>> extract_answer("I do not know.") is None
    True
    """
    for rule in rules:
        if (answer := _FIND[rule](text)) is not None:
            return answer
    return None


def later_statement(text: str, answer: Answer) -> Answer | None:
    r"""What the text states as its answer behind the place of `answer`, by another rule than the last number; None = nothing.

    >>> text = r"It is \boxed{4}. Correction: the answer is 5."
    >>> later_statement(text, boxed_answer(text)).text
    '5'
    """
    rest = text[answer.end :]
    if not rest or rest.isspace():
        return None
    later = extract_answer(rest, RULES[1:5])
    if later is None or not later.complete:
        return None
    return later._replace(start=later.start + answer.end, end=later.end + answer.end)


_MARKUP_BEFORE = r"[\s$*_(\\\[]{0,4}(?:\\(?:boxed|fbox)\s?\{|<[a-z]+>)?\s{0,3}\Z"
_DENIED_BEFORE = re.compile(
    rf"(?:\bnot|\bnever|\bthan|n['’]t|≠|!=|\\neq?)\s{{0,3}}(?:(?:be|equal to)\s{{1,3}})?{_MARKUP_BEFORE}", re.IGNORECASE
)
_DENYING = ("not", "never", "than", "n't", "n’t", "≠", "!=", "\\ne")
_DENIED_BEHIND = re.compile(
    r"[\s$*_)}\]\\]{0,6}(?:</[a-z]+>)?\s{0,3}(?:is|was|are|were)(?:n['’]t|\s+(?:not|wrong|incorrect|false))\b", re.IGNORECASE
)


def denied(text: str, answer: Answer) -> bool:
    r"""Whether the words around an answer deny it: "not 4", "less than 4", "4 is wrong".

    >>> text = r"The answer is not \boxed{4}."
    >>> denied(text, boxed_answer(text))
    True
    """
    if _DENIED_BEHIND.match(text, answer.end) is not None:
        return True
    # The pattern is anchored at the end only and slow to fail, so the words that it needs are looked for first.
    first = max(0, answer.start - 40)
    before = text[first : answer.start].lower()
    if not any(word in before for word in _DENYING):
        return False
    return _DENIED_BEFORE.search(text, first, answer.start) is not None
