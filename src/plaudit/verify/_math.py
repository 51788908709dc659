"""Mathematical answers, decided exactly: extraction, reading, then stages, the cheapest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import RULES, Answer, Read, Rule, boxed_answers, denied, extract_answer, final_text, later_statement
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._numbers import LONGEST, Number, Percent, Units, clean, equal, read_number

SHOWN = 500
"""Characters of an answer or a reference that a verdict repeats."""

_LONGEST_SOLUTION = 1_000_000
"""Characters of the longest worked solution that is searched for the reference's answer."""

_LONGEST_CACHED = 20_000


class _Side(NamedTuple):
    """One side of a comparison: the text without markup, and the number that it writes (None = not understood)."""

    text: str
    number: Number | None


@dataclass(frozen=True)
class Math(Reward):
    r"""1 when the answer of the response is the number of the reference, exactly; else 0.

    Extraction (`plaudit.text.extract_answer`), the first rule that finds something: the last ``\boxed{}``, ``<answer>``
    tags, ``####``, "the answer is", ``A:``, the last number. Within a rule the last place counts. An answer does not count
    when the closing sentence boxes another value beside it, when the words around it deny it ("4 is wrong"), or when the
    text goes on to state another one.

    Reading: integers, decimals, fractions, mixed numbers, powers of ten, percent, currency and units; what is understood,
    and what is refused, is listed at `plaudit.verify.read_number`. Comparison is of exact fractions, never of floats.

    Fields:
        rules: the extraction rules to use, in their order; fewer are stricter (``("boxed",)``).
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        percent: ``"unit"`` = 25% equals 25 and not 0.25; ``"value"`` = 25% equals 0.25 and not 25.
        units: ``"drop"`` = a unit that only one side writes is left out; ``"strict"`` = both must write the same.
        max_chars: a longer text is not read (``response_too_large``).
        timeout: None = in the caller, microseconds a sample; a number of seconds moves it to the cpu lane with that
            deadline, which only pays beside rewards that are there already: every step is linear and bounded.

    The reference is a number, text, a worked solution that boxes or states its answer, or a list of these (the best counts).
    A reference that is not understood is FAILED ``reference_unreadable`` whatever the response says; among several, those
    that are understood decide, and the others still count when the answer is the same text.

    This is the first stage of the verifier: it knows numbers only. ``details`` names the extraction ``rule`` and the
    ``stage`` that decided ("identical", "rational", or "contradicted").

    >>> math = Math()
    >>> math.one("A third of 1.5?", r"It is \boxed{\frac{1}{2}}.", "0.5").value
    1.0
    >>> math.one("6 * 7?", r"\boxed{42} or \boxed{43}", "42").reason
    'response_wrong'
    """

    rules: tuple[Rule, ...] = RULES
    read: Read = "final"
    percent: Percent = "unit"
    units: Units = "drop"
    max_chars: int = 200_000
    timeout: float | None = None

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        unknown = [rule for rule in self.rules if rule not in RULES]
        if unknown or not self.rules:
            raise SpecError(f"verify.math: rules is {list(self.rules)}: expected one or more of {list(RULES)}")
        if self.max_chars < 1:
            raise SpecError(f"verify.math: max_chars is {self.max_chars}: expected a positive number of characters")
        if self.timeout is not None and not self.timeout > 0:
            raise SpecError(f"verify.math: timeout is {self.timeout}: expected a positive number of seconds, or null")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference; inline, or on the cpu lane when `timeout` is given."""
        return Facts(
            range=(0.0, 1.0),
            reads=frozenset({"prompt", "response", "reference", "finish"}),
            lane="inline" if self.timeout is None else "cpu",
            timeout=self.timeout,
        )

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        golds = _read_reference(sample.reference)
        if isinstance(golds, Verdict):
            return golds
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        if len(text) > self.max_chars:
            return Verdict(
                0.0, reason="response_too_large", explanation=f"{len(text):,} characters, max_chars is {self.max_chars:,}"
            )
        answer = self._extract(text, cut=sample.finish == "length")
        if answer is None or not answer.text:
            empty = not text or text.isspace()
            return Verdict(0.0, reason="response_empty" if empty else "response_no_answer")
        return self._judge(text, answer, golds)

    def _extract(self, text: str, cut: bool) -> Answer | None:
        # A response that was cut off has stated no answer unless it says so: its last number is in the midst of the work.
        rules = tuple(rule for rule in self.rules if rule != "last_number") if cut else self.rules
        answer = extract_answer(text, rules)
        if cut and answer is not None and answer.rule not in ("boxed", "tag") and not text[answer.end :].strip():
            return answer._replace(complete=False)
        return answer

    def _judge(self, text: str, answer: Answer, golds: tuple[_Side, ...]) -> Verdict:
        side = _side_of(answer) if answer.complete else None
        if side is None:
            return _verdict(
                answer, "response_unparsable", None, "its markup is not closed, or the response was cut off inside it"
            )
        stage = self._stage(side, golds)
        if stage is None:
            if side.number is None:
                return _verdict(answer, "response_unparsable", None, "it is not one number that is understood")
            return _verdict(answer, "response_wrong", "rational")
        if denied(text, answer):
            return _verdict(answer, "response_wrong", "contradicted", "the words around the answer deny it")
        other = self._contradiction(text, answer, golds)
        if other is not None:
            return _verdict(answer, "response_wrong", "contradicted", f"the response also says {other.text[:SHOWN]!r}")
        return _verdict(answer, "response_right", stage)

    def _stage(self, side: _Side, golds: tuple[_Side, ...]) -> str | None:
        """The first stage that finds the answer equal to one of the references; None = none does."""
        if any(side.text == gold.text for gold in golds):
            return "identical"
        number = side.number
        if number is not None:
            for gold in golds:
                if gold.number is not None and equal(number, gold.number, self.percent, self.units):
                    return "rational"
        return None

    def _contradiction(self, text: str, answer: Answer, golds: tuple[_Side, ...]) -> Answer | None:
        """Another value that the response gives as its answer: boxed in the same sentence, or stated further on."""
        others = boxed_answers(text)[:-1] if answer.rule == "boxed" and text.count("box") > 1 else []
        later = later_statement(text, answer)
        for other in others if later is None else [*others, later]:
            side = _side_of(other)
            # A later sentence that is not understood says nothing; a box beside the answer does.
            if self._stage(side, golds) is None and (other.rule == "boxed" or side.number is not None):
                return other
        return None


def _verdict(answer: Answer, reason: str, stage: str | None, explanation: str | None = None) -> Verdict:
    text = answer.text
    return Verdict(
        1.0 if reason == "response_right" else 0.0,
        reason=reason,
        answer=text if len(text) <= SHOWN else text[:SHOWN] + "…",
        explanation=explanation,
        details={"rule": answer.rule, "stage": stage},
    )


def _side_of(answer: Answer) -> _Side:
    text = answer.text
    if len(text) > LONGEST:
        return _Side(text, None)
    number = read_number(text)
    if number is None and answer.rule == "tag" and (inner := extract_answer(text, ("hash", "stated"))) is not None:
        return _Side(clean(inner.text), read_number(inner.text))
    return _Side(clean(text), number)


def _read_reference(reference: Any) -> tuple[_Side, ...] | Verdict:
    """What the reference says, or the verdict that it cannot be read; the response has no part in this."""
    if type(reference) is str:
        items: Sequence[Any] = (reference,)
    elif isinstance(reference, Sequence) and not isinstance(reference, (str, bytes)):
        items = reference
    else:
        items = (reference,)
    written = [item for item in items if item is not None and item != "" and not (isinstance(item, str) and item.isspace())]
    if not written:
        return Verdict.failed("reference_missing")
    golds = tuple(_gold(item) for item in written)
    if any(gold.number is not None for gold in golds):
        return golds
    return Verdict.failed("reference_unreadable", f"{_shown(reference)} is not a number that verify.math understands")


def _gold(item: Any) -> _Side:
    if isinstance(item, str):
        text = item
    elif isinstance(item, bool) or not isinstance(item, (Real, Decimal)):
        return _Side(_shown(item), None)
    elif isinstance(item, (Fraction, Decimal)):
        text = str(item)
    elif isinstance(item, Integral):
        text = str(int(item)) if int(item).bit_length() < 3 * LONGEST else ""
    else:
        text = repr(float(item))
    return _read_gold(text) if len(text) <= _LONGEST_CACHED else _read_gold.__wrapped__(text)


@lru_cache(maxsize=4096)  # the samples of a group share their reference
def _read_gold(text: str) -> _Side:
    """A reference on its own, or the answer of a worked solution where that is boxed, tagged or stated."""
    if (number := read_number(text)) is not None:
        return _Side(clean(text), number)
    if len(text) <= _LONGEST_SOLUTION and (answer := extract_answer(text, RULES[:-1])) is not None and answer.complete:
        sides = [_side_of(box) for box in boxed_answers(text)] if answer.rule == "boxed" else [_side_of(answer)]
        if all(side.text == sides[-1].text for side in sides):
            return sides[-1]
    return _Side(clean(text) if len(text) <= LONGEST else text.strip(), None)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python is willing to write
        return f"{type(value).__name__} with too many digits"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
