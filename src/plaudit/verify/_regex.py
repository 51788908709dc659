"""A response that matches a pattern: one of the reward's own, or the reference's."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import Answer, Read, Rule, extract_answer, final_text
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._exact import EXACT_RULES
from plaudit.verify._references import Several, joined, nothing, shortened, texts, unreadable, verdict

_LONGEST_PATTERN = 10_000


@dataclass(frozen=True)
class Regex(Reward):
    r"""1 when the answer matches a Python regular expression; else 0.

    Fields:
        pattern: the regular expression; None = the reference is the pattern, or a list of patterns. With a pattern that has a
            group named ``answer``, what the group holds is compared with the reference as text.
        match: ``"full"`` = the pattern matches the whole answer; ``"search"`` = it is found somewhere in it.
        ignore_case: match without regard to case.
        rules: extraction rules (`plaudit.text.extract_answer`), the first that finds something; ``("whole",)`` = the whole text.
        several: of several patterns, ``"best"`` = any one suffices, ``"mean"`` = the share that matches.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        timeout: seconds that matching may take; a worker that overruns it is killed: SCORED 0, ``response_timeout``.
        max_chars: a longer text is not read (``response_too_large``).

    A pattern can take exponential time and nothing in Python can interrupt one, so the reward runs on the cpu lane. With
    ``"search"`` a response may paste the text that matches among others: prefer ``"full"``, or the group ``answer``, whose
    last match counts. A reference that is no pattern is FAILED ``reference_unreadable``.

    >>> from plaudit.types import Sample, Context
    >>> Regex(r"[A-Z]{2}\d{4}").score_one(Sample("Code?", "AB1234"), Context()).value
    1.0
    """

    pattern: str | None = None
    match: Literal["full", "search"] = "full"
    ignore_case: bool = False
    rules: tuple[Rule, ...] = ("whole",)
    several: Several = "best"
    read: Read = "final"
    timeout: float = 1.0
    max_chars: int = 200_000

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not self.rules or any(rule not in EXACT_RULES for rule in self.rules):
            raise SpecError(f"verify.regex: rules is {list(self.rules)}: expected one or more of {list(EXACT_RULES)}")
        if not self.timeout > 0:
            raise SpecError(f"verify.regex: timeout is {self.timeout}: expected a positive number of seconds")
        if self.pattern is not None:
            try:
                _compiled(self.pattern, self.ignore_case)
            except re.error as error:
                raise SpecError(f"verify.regex: the pattern {self.pattern[:200]!r} does not compile: {error}") from error

    @property
    def facts(self) -> Facts:
        """Range (0, 1); the cpu lane with a deadline; reads the reference where that is the pattern or is compared."""
        reads = frozenset({"prompt", "response"})
        if self.pattern is None or self._captures:
            reads |= {"reference"}
        return Facts(range=(0.0, 1.0), reads=reads, lane="cpu", timeout=self.timeout)

    @property
    def _captures(self) -> bool:
        return self.pattern is not None and "answer" in _compiled(self.pattern, self.ignore_case).groupindex

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        needed = self.pattern is None or self._captures
        golds = texts(sample.reference, "verify.regex") if needed else []
        if isinstance(golds, Verdict):
            return golds
        text = final_text(sample, self.read)
        if (refused := unreadable(text, self.max_chars)) is not None or text is None:
            return refused or Verdict(0.0, reason="response_unclosed_thought")
        answer = Answer(text.strip(), "whole", 0, len(text)) if self.rules == ("whole",) else extract_answer(text, self.rules)
        patterns = self._patterns(golds)
        if isinstance(patterns, Verdict):
            return patterns
        if answer is None or not answer.text:
            return nothing(text)
        if not answer.complete:
            return verdict(0.0, "response_unparsable", answer, None, "its markup is not closed")
        if self._captures:
            return self._captured(answer, patterns[0], golds)
        value = joined([float(self._matches(pattern, answer.text) is not None) for pattern in patterns], self.several)
        return verdict(value, "response_right" if value else "response_wrong", answer, self.match)

    def _patterns(self, golds: list[str]) -> list[re.Pattern[str]] | Verdict:
        if self.pattern is not None:
            return [_compiled(self.pattern, self.ignore_case)]
        try:
            return [_compiled(gold, self.ignore_case) for gold in golds]
        except re.error as error:
            return Verdict.failed("reference_unreadable", f"the reference is no regular expression: {error}")

    def _matches(self, pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
        if self.match == "full":
            return pattern.fullmatch(text)
        found = deque(pattern.finditer(text), maxlen=1)
        return found.pop() if found else None

    def _captured(self, answer: Answer, pattern: re.Pattern[str], golds: list[str]) -> Verdict:
        found = self._matches(pattern, answer.text)
        if found is None or found.group("answer") is None:
            return verdict(0.0, "response_no_answer", answer, self.match, "the pattern does not match")
        said = found.group("answer").strip()
        fold = str.casefold if self.ignore_case else str
        value = joined([float(fold(said) == fold(gold.strip())) for gold in golds], self.several)
        out = verdict(value, "response_right" if value else "response_wrong", answer, "captured")
        return Verdict(out.value, reason=out.reason, answer=shortened(said), details=out.details)


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    if len(pattern) > _LONGEST_PATTERN:
        raise re.error(f"longer than {_LONGEST_PATTERN:,} characters")
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
