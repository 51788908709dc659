"""Equality of texts after a stated normalisation."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import RULES, Answer, Read, Rule, extract_answer, final_text
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._references import Several, joined, nothing, texts, verdict

EXACT_RULES: tuple[Rule, ...] = (*RULES, "worded", "choice", "whole")
"""The extraction rules that an answer in words may use."""


@dataclass(frozen=True)
class Exact(Reward):
    """1 when the response is the reference, character by character after normalisation; else 0.

    Both sides are brought to Unicode's composed form (NFC), so that the same letter written with or without combining marks
    is the same; the fields add further steps. By default nothing is extracted: the whole text that is read must be the
    reference.

    Fields:
        ignore_case: compare casefolded.
        strip: white space at both ends does not count.
        collapse_whitespace: every run of white space counts as one space.
        ignore_punctuation: punctuation signs do not count.
        ignore_articles: the English words a, an and the do not count.
        rules: extraction rules (`plaudit.text.extract_answer`), the first that finds something; ``("whole",)`` = the whole text.
        several: of several references, ``"best"`` = any one suffices, ``"mean"`` = the share that agrees.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.

    The reference is text, a number or boolean (compared as Python writes it; True is "True"), or a list of these. None, blank
    text and an empty list are FAILED ``reference_missing``; anything else ``reference_unreadable``. `ignore_punctuation` and
    `ignore_articles` are the normalisation of SQuAD (Rajpurkar et al., 2016).

    >>> Exact(ignore_case=True).one("Capital of France?", "<think>easy</think> paris ", ["Paris", "Paname"]).value
    1.0
    >>> Exact(rules=("tag",), ignore_articles=True).one("Who?", "<answer>the fox</answer>", "fox").value
    1.0
    """

    ignore_case: bool = False
    strip: bool = True
    collapse_whitespace: bool = False
    ignore_punctuation: bool = False
    ignore_articles: bool = False
    rules: tuple[Rule, ...] = ("whole",)
    several: Several = "best"
    read: Read = "final"

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not self.rules or any(rule not in EXACT_RULES for rule in self.rules):
            raise SpecError(f"verify.exact: rules is {list(self.rules)}: expected one or more of {list(EXACT_RULES)}")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference; inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response", "reference"}), version="2")

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        found = texts(sample.reference, "verify.exact")
        golds = found if isinstance(found, Verdict) else [gold for gold in map(self._normalised, found) if gold.strip()]
        if isinstance(golds, Verdict):
            return golds
        if not golds:
            return Verdict.failed("reference_missing", "nothing is left of the reference after normalisation")
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        answer = Answer(text, "whole", 0, len(text)) if self.rules == ("whole",) else extract_answer(text, self.rules)
        if answer is None:
            return nothing(text)
        said = self._normalised(answer.text) if answer.complete else None
        value = joined([float(said == gold) for gold in golds], self.several)
        answer = answer._replace(text=said or answer.text)
        if value:
            return verdict(value, "response_right", answer, "identical")
        if not said or said.isspace():
            return nothing(text if answer.complete else "x", "response_unparsable")
        return verdict(0.0, "response_wrong", answer, "identical")

    def _normalised(self, text: str) -> str:
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = without_punctuation(text)
        if self.ignore_articles:
            text = without_articles(text)
        if self.collapse_whitespace:
            ends = text[:1].isspace(), text[-1:].isspace()
            text = " ".join(text.split())
            if not self.strip:
                text = " " * ends[0] + text + " " * ends[1]
        return text.strip() if self.strip else text


def without_punctuation(text: str) -> str:
    """The text without its punctuation signs.

    >>> without_punctuation("It's (almost) 5.")
    'Its almost 5'
    """
    return "".join(char for char in text if not unicodedata.category(char).startswith("P"))


def without_articles(text: str) -> str:
    """The text without the English articles.

    >>> without_articles("the answer to a question")
    'answer to question'
    """
    return " ".join(word for word in text.split() if word.casefold() not in ("a", "an", "the"))
