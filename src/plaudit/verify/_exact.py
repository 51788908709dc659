"""Equality of texts after a stated normalisation."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.reward import Facts, Reward
from plaudit.text import Read, final_text
from plaudit.types import Context, Sample, Verdict

SHOWN = 500
"""Characters of an answer or a reference that a verdict repeats."""


@dataclass(frozen=True)
class Exact(Reward):
    """1 when the response is the reference, character by character after normalisation; else 0.

    Both sides are brought to Unicode's composed form (NFC), so that the same letter written with or without combining marks
    is the same; the fields add further steps. Nothing is extracted: the whole text that is read must be the reference.

    Fields:
        ignore_case: compare casefolded.
        strip: white space at both ends does not count.
        collapse_whitespace: every run of white space counts as one space.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.

    The reference is text, a number or boolean (compared as Python writes it; True is "True"), or a list of these (any one
    suffices). None, blank text and an empty list are FAILED ``reference_missing``; anything else ``reference_unreadable``.

    >>> Exact(ignore_case=True).one("Capital of France?", "<think>easy</think> paris ", ["Paris", "Paname"]).value
    1.0
    """

    ignore_case: bool = False
    strip: bool = True
    collapse_whitespace: bool = False
    read: Read = "final"

    example: ClassVar[Mapping[str, Any]] = {}

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference; inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response", "reference"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        golds = self._golds(sample.reference)
        if isinstance(golds, Verdict):
            return golds
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        answer = self._normalised(text)
        shown = answer if len(answer) <= SHOWN else answer[:SHOWN] + "…"
        if answer in golds:
            return Verdict(1.0, reason="response_right", answer=shown)
        if not answer or answer.isspace():
            return Verdict(0.0, reason="response_empty")
        return Verdict(0.0, reason="response_wrong", answer=shown)

    def _golds(self, reference: Any) -> list[str] | Verdict:
        several = isinstance(reference, Sequence) and not isinstance(reference, (str, bytes))
        items = [item for item in (reference if several else [reference]) if item is not None]
        for item in items:
            if not isinstance(item, (str, int, float)):
                return Verdict.failed(
                    "reference_unreadable", f"the reference holds {type(item).__name__}: expected text or a number"
                )
        golds = [self._normalised(text) for text in map(str, items) if text and not text.isspace()]
        return golds or Verdict.failed("reference_missing")

    def _normalised(self, text: str) -> str:
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if self.ignore_case:
            text = text.casefold()
        if self.collapse_whitespace:
            ends = text[:1].isspace(), text[-1:].isspace()
            text = " ".join(text.split())
            if not self.strip:
                text = " " * ends[0] + text + " " * ends[1]
        return text.strip() if self.strip else text
