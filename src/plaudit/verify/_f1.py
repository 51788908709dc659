"""Overlap of words with a reference: F1 of SQuAD."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import Answer, Read, Rule, extract_answer, final_text
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._exact import EXACT_RULES, without_articles, without_punctuation
from plaudit.verify._references import Several, joined, nothing, texts, unreadable, verdict

_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


@dataclass(frozen=True)
class F1(Reward):
    """F1 of the words of the answer and of the reference, each counted as often as it occurs: between 0 and 1.

    Texts are casefolded; punctuation and the English articles are left out; Chinese and Japanese characters are a word each.
    Precision is over the words of the answer, so a long answer that holds the reference among others scores low.

    Fields:
        beta: weight of recall against precision; 1 = F1.
        rules: extraction rules (`plaudit.text.extract_answer`), the first that finds something; ``("whole",)`` = the whole text.
        several: of several references, ``"best"`` = the highest value, ``"mean"`` = their mean.
        threshold: values below it are 0; 0 = none.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        max_chars: a longer text is not read (``response_too_large``).

    The reference is text or a number, or a list of these. Source: SQuAD: 100,000+ Questions for Machine Comprehension of Text
    (Rajpurkar et al., 2016), whose evaluation gives the same numbers.

    >>> round(F1().one("Who?", "the quick brown fox", "a brown fox").value, 6)
    0.8
    """

    beta: float = 1.0
    rules: tuple[Rule, ...] = ("whole",)
    several: Several = "best"
    threshold: float = 0.0
    read: Read = "final"
    max_chars: int = 200_000

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not self.rules or any(rule not in EXACT_RULES for rule in self.rules):
            raise SpecError(f"verify.f1: rules is {list(self.rules)}: expected one or more of {list(EXACT_RULES)}")
        if not self.beta > 0 or not 0 <= self.threshold <= 1:
            raise SpecError(f"verify.f1: beta is {self.beta}, threshold {self.threshold}: expected beta > 0, threshold in [0, 1]")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference; inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response", "reference"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        golds = texts(sample.reference, "verify.f1")
        if isinstance(golds, Verdict):
            return golds
        wanted = [_words(gold) for gold in golds]
        if not any(wanted):
            return Verdict.failed("reference_missing", "nothing is left of the reference after normalisation")
        text = final_text(sample, self.read)
        if (refused := unreadable(text, self.max_chars)) is not None or text is None:
            return refused or Verdict(0.0, reason="response_unclosed_thought")
        answer = Answer(text.strip(), "whole", 0, len(text)) if self.rules == ("whole",) else extract_answer(text, self.rules)
        said = _words(answer.text) if answer is not None and answer.complete else []
        if answer is None or not said:
            return nothing(text)
        value = joined([overlap(said, gold, self.beta) for gold in wanted if gold], self.several)
        value = value if value >= self.threshold else 0.0
        return verdict(value, "response_right" if value else "response_wrong", answer, "overlap", words=len(said))


def overlap(said: Sequence[str], gold: Sequence[str], beta: float = 1.0) -> float:
    """F-beta of two lists of words as multisets; 0 when they share none.

    >>> overlap(["a", "b"], ["b", "c"])
    0.5
    """
    common = sum((Counter(said) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(gold)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def _words(text: str) -> list[str]:
    text = unicodedata.normalize("NFC", text).casefold()
    return _IDEOGRAPH.sub(r" \1 ", without_articles(without_punctuation(text))).split()
