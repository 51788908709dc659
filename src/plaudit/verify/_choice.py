"""Multiple choice: the letter that a response chooses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import Answer, Read, boxed_answers, choice_answer, denied, extract_answer, final_text
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._references import nothing, texts, unreadable, verdict

_LETTER = re.compile(
    r"\A[\s$*_`]{0,6}(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?\(?\s*(?P<letter>[A-Za-z])\s*\)?\s*\}?"
    r"(?:[.:)。、,]?\s*\Z|[.:)。、]\s*(?P<rest>.*)|[\s$*_`.]{0,6}\Z)",
    re.DOTALL,
)
_OTHER = re.compile(r"\b(?:and|or|not)\b|[,/&]")
_FEWEST, _MOST = 2, 26


@dataclass(frozen=True)
class Choice(Reward):
    r"""1 when the response chooses the letter of the reference; else 0.

    Extraction: the last ``\boxed{}``, ``<answer>`` tags, then `plaudit.text.choice_answer`: "the answer is (C)", "option C",
    a line "C" or "C. because …", also in other languages. The last statement counts. Two letters are no choice.

    Fields:
        options: how many options there are; letters beyond them are no answer.
        column: name of a column with the options' texts, a list; an answer that repeats exactly one of them is its letter.
            None = letters only.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        max_chars: a longer text is not read (``response_too_large``).

    The reference is a letter ("C", "(C)", "C. Paris"), the number of the option from 0 (an int), or a list of these (any one
    suffices). FAILED ``reference_unreadable`` for anything else, ``column_missing`` where `column` is named and is not there.

    >>> Choice().one("Which?", "A is tempting, but the answer is (C).", "C").value
    1.0
    """

    options: int = 10
    column: str | None = None
    read: Read = "final"
    max_chars: int = 200_000

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not _FEWEST <= self.options <= _MOST:
            raise SpecError(f"verify.choice: options is {self.options}: expected {_FEWEST} to {_MOST}")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference, and the options' column; inline."""
        column = frozenset() if self.column is None else frozenset((f"meta.{self.column}",))
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response", "reference"}) | column)

    @property
    def _letters(self) -> str:
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: self.options]

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        golds = self._golds(sample.reference)
        if isinstance(golds, Verdict):
            return golds
        worded: list[str] = []
        if self.column is not None:
            column = sample.meta.get(self.column)
            if not isinstance(column, (list, tuple)) or not all(isinstance(option, str) for option in column):
                return Verdict.failed("column_missing", f"the column {self.column!r} is no list of texts")
            worded = [_words(option) for option in column]
        text = final_text(sample, self.read)
        if (refused := unreadable(text, self.max_chars)) is not None or text is None:
            return refused or Verdict(0.0, reason="response_unclosed_thought")
        answer = extract_answer(text, ("boxed", "tag")) or choice_answer(text, self._letters)
        if answer is None or not answer.text:
            return nothing(text)
        letter = self._letter(answer, worded)
        if letter is None:
            return verdict(0.0, "response_unparsable", answer, None, "it is not one of the letters")
        if letter not in golds:
            return verdict(0.0, "response_wrong", answer, "letter")
        others = boxed_answers(text)[:-1] if answer.rule == "boxed" else []
        if denied(text, answer) or any(self._letter(other, worded) != letter for other in others):
            return verdict(0.0, "response_wrong", answer, "contradicted", "the response denies it, or boxes another one")
        later = choice_answer(text[answer.end :], self._letters) if answer.rule in ("boxed", "tag") else None
        if later is not None and self._letter(later, worded) != letter:
            return verdict(0.0, "response_wrong", answer, "contradicted", f"the response goes on to say {later.text!r}")
        return verdict(1.0, "response_right", answer, "letter")

    def _letter(self, answer: Answer, worded: list[str]) -> str | None:
        found = _LETTER.match(answer.text) if answer.complete else None
        if found is not None:
            letter = found.group("letter").upper()
            rest = found.group("rest") or ""
            other = choice_answer(rest, self._letters) or (_OTHER.search(rest[:12]) if not worded else None)
            return letter if letter in self._letters and other is None else None
        words = _words(answer.text)
        places = [k for k, option in enumerate(worded) if option and option == words]
        return self._letters[places[0]] if len(places) == 1 and places[0] < self.options else None

    def _golds(self, reference: Any) -> set[str] | Verdict:
        found = texts(reference, "verify.choice")
        if isinstance(found, Verdict):
            return found
        golds = set()
        for text in found:
            match = _LETTER.match(text)
            if text.strip().isdigit() and int(text) < self.options:
                golds.add(self._letters[int(text)])
            elif match is not None and match.group("letter").upper() in self._letters:
                golds.add(match.group("letter").upper())
            else:
                return Verdict.failed("reference_unreadable", f"{text[:100]!r} is no letter of {self.options} options")
        return golds


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
