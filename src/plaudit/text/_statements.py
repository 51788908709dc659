"""Answers that a text states: tags, ``#### x``, "the answer is x", ``A: x``."""

from __future__ import annotations

import re

from plaudit.text._answer import LONGEST, Answer, answer_at
from plaudit.text._last_number import last_number

PHRASE = 200
"""Characters of the longest phrase that is read behind "the answer is"."""

TRIES = 200
"""Places that a rule looks at, from the end of the text on, before it gives up."""

# How a value begins: markup, sign, currency, then a digit or a LaTeX command.
_VALUE = re.compile(
    r"""\s*(?:\\[(\[])?[*_`$]*\s*[-+−–]?\s*(?:\\?[$€£¥₹]\s*)?[-+−–]?
    (?:[.(]?[0-9]|\\[A-Za-z(\[]|\([-+−–]?[0-9])""",
    re.VERBOSE,
)
_LIST_HEAD = re.compile(r"\s*[0-9]{1,3}[.)]\s+[A-Za-z*]")
_DIGIT = re.compile(r"[0-9]")

# Behind "answer": a way to say "is", then words that add nothing to the value.
_SAYS = re.compile(
    r"""["'”’)\]*_`]{0,4}
    (?:\s{1,3}(?:to|for|of|in)\s[^.\n:=]{1,80}?)?
    \s{0,3}
    (?:(?:is|was|are|equals|becomes|must\ be|should\ be|will\ be|would\ be|comes\ (?:out\ )?to)\b|[:：=≈]|->|→)
    [\s:：*_`"'“‘]{0,8}
    (?:(?:therefore|thus|hence|then|so|simply|just|exactly|indeed|now|equal\ to|given\ by|approximately|about|around)
    [,:]?\s{1,3}){0,3}
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A heading "Final answer" with the answer in the line below.
_HEADING = re.compile(r"[*_#: \t]{0,8}(?:\r?\n[ \t]{0,8}){1,3}")
_HEADING_START = re.compile(r"(?:^|\n)[*_#> \t]{0,8}(?:the |my |final |correct |short ){0,3}a$", re.IGNORECASE)
_PHRASE_END = re.compile(
    r"""\n|[.!?。！？](?=[\s"'”’)*_\]]|$)|<\||</
    |,?\s(?:because|since|which|where|meaning|i\.e\.|that\ is)\b
    |,\s(?:as|so|and\ (?:that|this|we|i))\b""",
    re.VERBOSE | re.IGNORECASE,
)
_WHOLE_FORMULA = re.compile(r"(?:\$\$?(?!\s)[^$]+?(?<!\s)\$\$?|\\\(.+?\\\)|\\\[.+?\\\])(?=[\s.,;*_]*\Z)", re.DOTALL)
_LAST_IS = re.compile(r"(?:\b(?:is|are|equals|equal to|was)\b|[=≈:])\s*", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9][0-9.,]*")


def tagged_answer(text: str, name: str = "answer") -> Answer | None:
    """The content of the last ``<answer>…</answer>``; None = there is none.

    A tag that is opened after the last closing tag and never closed is returned with ``complete=False``.

    >>> tagged_answer("<answer>4</answer> no <answer> 5 </answer>").text
    '5'
    """
    opening, closing = f"<{name}>", f"</{name}>"
    close = text.rfind(closing)
    start = text.rfind(opening)
    if start < 0:
        return None
    if start > close:
        begin = start + len(opening)
        return answer_at(text, begin, min(len(text), begin + LONGEST), "tag", complete=False)
    start = text.rfind(opening, 0, close)
    return answer_at(text, start + len(opening), close, "tag")


def hashed_answer(text: str) -> Answer | None:
    """What follows the last ``####`` at the beginning of a line, up to the end of the line; None = there is none.

    A Markdown heading of the fourth level ("#### Step 2") is not an answer: the line must begin with a value.

    >>> hashed_answer("9 * 2 = 18\\n#### 18").text
    '18'
    """
    end = len(text)
    for _ in range(TRIES):
        end = at = text.rfind("####", 0, end)
        if at < 0:
            break
        if text[at + 4 : at + 5] == "#" or not _begins_line(text, at):
            continue
        stop = _line_end(text, at)
        if _VALUE.match(text, at + 4, stop) and not _LIST_HEAD.match(text, at + 4, stop):
            return answer_at(text, at + 4, stop, "hash")
    return None


def labelled_answer(text: str) -> Answer | None:
    """What follows the last ``A:`` at the beginning of a line, up to the end of the line; None = there is none.

    The line must begin with a value, and must not be the first of a list of choices (a line ``B:`` comes next).

    >>> labelled_answer("She makes 9 * 2 = $18\\nA: 18").text
    '18'
    """
    end = len(text)
    for _ in range(TRIES):
        end = at = text.rfind("A:", 0, end)
        if at < 0:
            break
        if not _begins_line(text, at):
            continue
        start, stop = at + 2, _line_end(text, at)
        while text[start : start + 1] in ("*", "_"):
            start += 1
        if _VALUE.match(text, start, stop) and not text.startswith("B:", stop + 1):
            return answer_at(text, start, stop, "labelled")
    return None


def stated_answer(text: str) -> Answer | None:
    """The value in the last sentence that says what the answer is; None = no such sentence holds a digit.

    Sentences such as "the answer is x", "Final answer: x", "the answer to the question is therefore x", and a heading
    "Answer" with x below. Of a phrase such as "Janet makes $18 a day" the value is read when it is the only number in it,
    or what follows its last "is". Otherwise the phrase is returned as it stands, for the reader to refuse.

    >>> stated_answer("The answer is 4. No, wait, the answer is 5 apples.").text
    '5 apples'
    """
    # "nswer" finds the word in lower case and in title case with one search; the rare "ANSWER" costs a second one.
    upper = text.rfind("NSWER")
    lower = text.rfind("nswer")
    for _ in range(TRIES):
        at = max(lower, upper)
        if at < 0:
            break
        if (answer := _statement(text, at)) is not None:
            return answer
        if at == lower:
            lower = text.rfind("nswer", 0, at)
        else:
            upper = text.rfind("NSWER", 0, at)
    return None


def _statement(text: str, at: int) -> Answer | None:
    says = _SAYS.match(text, at + 5)
    if says is None:
        says = _HEADING.match(text, at + 5)
        if says is None or not _HEADING_START.search(text, max(0, at - 40), at):
            return None
    start = says.end()
    stop = min(len(text), start + PHRASE)
    ending = _PHRASE_END.search(text, start, stop)
    if ending is not None:
        stop = ending.start()
    if _DIGIT.search(text, start, stop) is None:
        return None
    while stop > start and text[stop - 1] in "*_`\"'”’ \t\r":
        stop -= 1
    if _VALUE.match(text, start, stop):
        return answer_at(text, start, stop, "stated")
    formula = _WHOLE_FORMULA.match(text, start, stop)
    if formula is not None:
        return answer_at(text, start, formula.end(), "stated")
    return _value_of_sentence(text, start, stop)


def _value_of_sentence(text: str, start: int, stop: int) -> Answer:
    behind_is = max((m.end() for m in _LAST_IS.finditer(text, start, stop)), default=stop)
    if _VALUE.match(text, behind_is, stop):
        return answer_at(text, behind_is, stop, "stated")
    if len(_NUMBER.findall(text, start, stop)) == 1 and (number := last_number(text[start:stop])) is not None:
        return Answer(number.text, "stated", start + number.start, start + number.end)
    return answer_at(text, start, stop, "stated")


def _begins_line(text: str, at: int) -> bool:
    while at > 0 and text[at - 1] in " \t*_>":
        at -= 1
    return at == 0 or text[at - 1] in "\n\r"


def _line_end(text: str, at: int) -> int:
    stop = text.find("\n", at)
    return len(text) if stop < 0 else stop
