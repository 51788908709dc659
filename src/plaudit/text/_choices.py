"""Answers in words, and letters of a multiple choice, as a response states them."""

from __future__ import annotations

import re
from collections import deque

from plaudit.text._answer import Answer, answer_at

_NEAR = 4_000
"""Characters at the end of the text that are searched."""

_ANSWER = (
    r"(?:answer|option|choice|antwort|lösung|réponse|respuesta|resposta|risposta|ответ"
    r"|答案|选项|選項|回答|答え|答|정답|उत्तर|الجواب)"
)
_IS = r"""(?:\s{0,3}(?:\b(?:is|are|was|should\ be|must\ be|would\ be|ist|est|es|è|é|là|lautet)\b|是|为|為|は|[:：=]))"""
_MARKUP = r"[\s*_`$\"'“(\[{]{0,6}"
_STATED = re.compile(
    rf"{_ANSWER}{_IS}{{1,2}}\s{{0,3}}(?:{_MARKUP}(?:(?:option|choice|answer)\s)?)(?:\\(?:text|textbf|mathrm|boxed)\s*\{{\s*)?\(?"
    rf"(?P<letter>[A-Z])(?![A-Za-z'’])",
    re.IGNORECASE | re.VERBOSE,
)
_CHOSEN = re.compile(
    r"(?:\b(?:choose|select|pick|option|choice)|选择?|選択?)\s{0,3}[*_(\"'“]{0,4}(?P<letter>[A-Z])(?![A-Za-z'’])"
)
_ALONE = re.compile(r"(?:\A|\n)[\s*_#>`$]{0,6}\(?(?P<letter>[A-Z])\)?(?:[.:)。．、](?=\s|\*|\Z)[^\n]*|[\s*_`$.]{0,6})(?=\n|\Z)")
_WORDS = re.compile(rf"{_ANSWER}{_IS}{{1,2}}[\s*_`\"“]{{0,6}}(?=(?P<words>[^\n]{{1,200}}))", re.IGNORECASE | re.VERBOSE)
_MORE = r"[\s*_)}\]$.]{0,4}(?:(?:,|/|\bor\b|\band\b|&|或|和)[\s*_(\[$]{0,4}){1,2}"
_SENTENCE_END = re.compile(r"[.!?。！？](?=[\s*_\"”’)]|\Z)")


def choice_answer(text: str, letters: str = "ABCDEFGHIJ") -> Answer | None:
    """The letter that a text chooses; None = it chooses none.

    The last statement counts: "the answer is (C)", "option C", "答案：C", and else a line that is a letter, or begins with one
    and its full stop. A letter after which another one is offered ("A or B", "A, B") is returned with what follows, which is no
    letter. Only letters of `letters` count, in upper case.

    >>> choice_answer("Both look fine.\\nThe answer is **(C)**.").text
    'C'
    >>> choice_answer("It is A or B. The answer is A or B").text
    'A or B'
    """
    first = max(0, len(text) - _NEAR)
    for pattern in (_STATED, _CHOSEN, _ALONE):
        found = [m for m in pattern.finditer(text, first) if m.group("letter") in letters]
        if not found:
            continue
        start, end = found[-1].span("letter")
        more = re.compile(_MORE + f"[{letters}](?![A-Za-z])").match(text, end)
        if more is not None:
            end = more.end()
        return answer_at(text, start, end, "choice")
    return None


def worded_answer(text: str) -> Answer | None:
    """What the last "the answer is …" says, up to the end of its sentence, in words or not; None = nothing is stated.

    >>> worded_answer("So the answer is **Alice**. Good.").text
    'Alice'
    """
    found = deque(_WORDS.finditer(text, max(0, len(text) - _NEAR)), maxlen=1)
    if not found:
        return None
    start, stop = found[0].span("words")
    if (ending := _SENTENCE_END.search(text, start, stop)) is not None:
        stop = ending.start()
    while stop > start and text[stop - 1] in "*_`\"”' \t\r.。":
        stop -= 1
    return answer_at(text, start, stop, "worded") if stop > start else None
