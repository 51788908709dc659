"""Mathematical answers: extraction, reading into typed values, then stages of decision, the cheapest first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import RULES, Answer, Read, Rule, boxed_answers, denied, extract_answer, final_text, later_statement
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._compare import Conventions, ListOrder, is_rational, same_value
from plaudit.verify._numbers import LONGEST as LONGEST_NUMBER
from plaudit.verify._numbers import Percent, Units, clean, read_number
from plaudit.verify._reading import LONGEST, read_value
from plaudit.verify._symbolic import missing_library, same_by_sympy
from plaudit.verify._values import Choice, Collection, Scalar, Text, Value

SHOWN = 500
"""Characters of an answer or a reference that a verdict repeats."""

_LONGEST_SOLUTION = 1_000_000
"""Characters of the longest worked solution that is searched for the reference's answer."""

_LONGEST_CACHED = 20_000

_LONGEST_WORDS = 300
"""Characters of the longest reference that is words."""


class _Side(NamedTuple):
    """One side of a comparison: the text without markup, what it means (None = too long to read), and as read without groups."""

    text: str
    value: Value | None
    ungrouped: Value | None = None


@dataclass(frozen=True)
class Math(Reward):
    r"""1 when the answer of the response is that of the reference, exactly; else 0.

    Extraction (`plaudit.text.extract_answer`), the first rule that finds something: the last ``\boxed{}``, ``<answer>``
    tags, ``####``, "the answer is", ``A:``, the last formula, the last number; where the reference is words or a letter, also
    "the answer is Alice" and "option C". Within a rule the last place counts. An answer does not count when the closing sentence
    boxes another value beside it (unless the reference is a list or a set), when the words around it deny it ("4 is wrong"),
    or when the text goes on to state another one.

    Reading: both sides become typed values: numbers, expressions, definitions, equations, inequalities, intervals and unions,
    sets, lists, tuples, vectors, matrices, ratios, quantities with units, percentages, money, times, numbers in a base, letters
    of a multiple choice, words. Decision, the cheapest stage first, named in ``details["stage"]``: "identical" text or tree;
    "rational", exact fractions; "decimal", a long decimal and the number that it rounds; "modular", rational numbers too
    large to write; "typed" and "text", by their parts and words; "numeric", rigorous balls of 50 digits and more (at random
    points where there are variables); "symbolic", SymPy in a worker, for integrals, limits, derivatives and infinite sums
    alone. Nothing is ever equal because it rounds to the same number of places, and what cannot be decided is wrong.

    Fields:
        rules: the extraction rules to use, in their order; fewer are stricter (``("boxed",)``).
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        percent: ``"unit"`` = 25% equals 25 and not 0.25; ``"value"`` = 25% equals 0.25 and not 25.
        units: ``"drop"`` = a unit that only one side writes is left out; ``"strict"`` = both must write one. Two of one kind
            are converted.
        order: ``"any"`` = the members of a bare list may stand in any order; ``"kept"`` = in the reference's. Tuples keep theirs.
        digits: a decimal of so many significant digits equals a number (not a decimal itself) that it rounds.
        arithmetic: ``"finished"`` = a sum or product of plain numbers is no answer ("6 * 7"); ``"any"`` = it is worth its value.
        several: of several references, ``"best"`` = any one suffices; ``"mean"`` = the share that agrees.
        symbolic: seconds that the symbolic stage may take on one comparison; 0 = it is not used.
        max_chars: a longer text is not read (``response_too_large``).
        timeout: None = in the caller, about 0.1 ms a sample; a number of seconds moves it to the cpu lane with that deadline,
            symbolic stage included. Every other stage is bounded by the size of what it reads, without signals or threads.

    The reference is a number, text, a worked solution that boxes or states its answer, or a list of these. A reference that
    is not understood (prose, an unclosed box, a text beyond the guards) is FAILED ``reference_unreadable`` whatever the
    response says. Without SymPy (extra ``math``) all other stages work; where it would have been needed the response is
    SCORED 0, ``response_unparsable``, and the explanation names what is missing.

    >>> math = Math()
    >>> math.one("A third of 1.5?", r"It is \boxed{\frac{1}{2}}.", "0.5").value
    1.0
    >>> math.one("Where is it positive?", r"\boxed{x > 2}", r"(2, \infty)").details["stage"]
    'typed'
    >>> math.one("6 * 7?", r"\boxed{42} or \boxed{43}", "42").reason
    'response_wrong'
    """

    rules: tuple[Rule, ...] = RULES
    read: Read = "final"
    percent: Percent = "unit"
    units: Units = "drop"
    order: ListOrder = "any"
    digits: int = 10
    arithmetic: Literal["finished", "any"] = "finished"
    several: Literal["best", "mean"] = "best"
    symbolic: float = 0.5
    max_chars: int = 200_000
    timeout: float | None = None

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        unknown = [rule for rule in self.rules if rule not in RULES]
        if unknown or not self.rules:
            raise SpecError(f"verify.math: rules is {list(self.rules)}: expected one or more of {list(RULES)}")
        if self.max_chars < 1:
            raise SpecError(f"verify.math: max_chars is {self.max_chars}: expected a positive number of characters")
        if not self.symbolic >= 0 or not math.isfinite(self.symbolic) or self.digits < 1:
            raise SpecError(f"verify.math: symbolic is {self.symbolic}, digits {self.digits}: expected seconds >= 0, digits >= 1")
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
            version="2",
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
        answer = self._extract(text, golds, cut=sample.finish == "length")
        if answer is None or not answer.text:
            empty = not text or text.isspace()
            return Verdict(0.0, reason="response_empty" if empty else "response_no_answer")
        return self._judge(text, answer, golds)

    def _extract(self, text: str, golds: tuple[_Side, ...], cut: bool) -> Answer | None:
        # A response that was cut off has stated no answer unless it says so: its last number is in the midst of the work.
        rules = self.rules
        if cut:
            rules = tuple(rule for rule in rules if rule not in ("last_number", "formula"))
        if self.rules == RULES and all(isinstance(gold.value, (Text, Choice)) for gold in golds):
            # Where the answer is a word or a letter, a number is none.
            letters = all(isinstance(gold.value, Choice) for gold in golds)
            rules = ("boxed", "tag", "choice") if letters else ("boxed", "tag", "worded", "formula")
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
        by = self._conventions()
        boxes = boxed_answers(text) if answer.rule == "boxed" and text.count("box") > 1 else []
        if len(boxes) > 1:
            several = self._several(boxes, golds, by)
            if several is not None:
                return _verdict(answer, "response_right", several)
        stages = [self._stage(side, gold, by) for gold in golds]
        if not any(stages):
            return self._wrong(answer, side, golds, by)
        if denied(text, answer):
            return _verdict(answer, "response_wrong", "contradicted", "the words around the answer deny it")
        other = self._contradiction(text, answer, boxes, golds, by)
        if other is not None:
            return _verdict(answer, "response_wrong", "contradicted", f"the response also says {other.text[:SHOWN]!r}")
        if self.several == "mean":
            share = sum(stage is not None for stage in stages) / len(golds)
            return _verdict(answer, "response_right", next(s for s in stages if s), value=share)
        return _verdict(answer, "response_right", next(s for s in stages if s))

    def _conventions(self) -> Conventions:
        symbolic = None if self.symbolic == 0 else partial(same_by_sympy, seconds=self.symbolic, here=self.timeout is not None)
        return Conventions(self.percent, self.units, self.order, self.digits, symbolic)

    def _several(self, boxes: Sequence[Answer], golds: tuple[_Side, ...], by: Conventions) -> str | None:
        """Several boxes in one closing sentence are one answer where the reference is a list or a set."""
        joined = ", ".join(box.text for box in boxes)
        value = read_value(joined)
        for gold in golds:
            if isinstance(gold.value, Collection) and gold.value.kind != "tuple" and value is not None:
                stage = same_value(value, gold.value, by)
                if stage is not None:
                    return stage
        return None

    def _wrong(self, answer: Answer, side: _Side, golds: tuple[_Side, ...], by: Conventions) -> Verdict:
        if by.needed is not None:
            missing = missing_library()
            why = f"{by.needed}: {missing or 'the symbolic stage found no proof in its time'}"
            return _verdict(answer, "response_unparsable", "symbolic", why)
        readable = any(isinstance(gold.value, (Text, Choice)) for gold in golds)
        if side.value is None or (isinstance(side.value, Text) and side.value.node is None and not readable):
            return _verdict(answer, "response_unparsable", None, "it is not mathematics that is understood")
        if self.arithmetic == "finished" and _unfinished(side.value):
            return _verdict(answer, "response_wrong", "typed", "the arithmetic is not carried out")
        return _verdict(answer, "response_wrong", "typed" if _types_differ(side, golds) else _deciding(side, golds))

    def _stage(self, side: _Side, gold: _Side, by: Conventions) -> str | None:
        """The stage that finds the answer equal to a reference; None = none does."""
        if side.text == gold.text and side.text:
            return "identical"
        if side.value is None or gold.value is None:
            return None
        if self.arithmetic == "finished" and _unfinished(side.value) and not _unfinished(gold.value):
            return None
        stage = same_value(side.value, gold.value, by)
        if stage is None and (side.ungrouped is not None or gold.ungrouped is not None):
            stage = same_value(side.ungrouped or side.value, gold.ungrouped or gold.value, by)
        return stage

    def _contradiction(
        self, text: str, answer: Answer, boxes: Sequence[Answer], golds: tuple[_Side, ...], by: Conventions
    ) -> Answer | None:
        """Another value that the response gives as its answer: boxed in the same sentence, or stated further on."""
        later = later_statement(text, answer)
        for other in boxes[:-1] if later is None else [*boxes[:-1], later]:
            side = _side_of(other)
            if any(self._stage(side, gold, by) for gold in golds):
                continue
            # A later sentence that is not understood says nothing; a box beside the answer does.
            if other.rule == "boxed" or not (side.value is None or isinstance(side.value, Text)):
                return other
        return None


def _verdict(answer: Answer, reason: str, stage: str | None, explanation: str | None = None, value: float = 1.0) -> Verdict:
    text = answer.text
    return Verdict(
        value if reason == "response_right" else 0.0,
        reason=reason,
        answer=text if len(text) <= SHOWN else text[:SHOWN] + "…",
        explanation=explanation,
        details={"rule": answer.rule, "stage": stage},
    )


_GROUPED = re.compile(r"\d,\d{3}(?!\d)")


def _read(text: str) -> _Side:
    ungrouped = read_value(text, group=False) if _GROUPED.search(text) else None
    return _Side(clean(text) if len(text) <= LONGEST else text, read_value(text), ungrouped)


def _side_of(answer: Answer) -> _Side:
    side = _read(answer.text)
    if answer.rule == "tag" and isinstance(side.value, Text):
        inner = extract_answer(answer.text, ("boxed", "hash", "stated"))
        if inner is not None:
            return _read(inner.text)
    return side


def _unfinished(value: Value) -> bool:
    """Whether a value is a sum or a product of plain numbers that nobody carried out: 6 * 7."""
    if not isinstance(value, Scalar) or value.node.kind not in ("add", "mul") or value.node.name == "mixed":
        return False
    return all(arg.kind == "number" or (arg.kind == "neg" and arg.args[0].kind == "number") for arg in value.node.args)


def _types_differ(side: _Side, golds: tuple[_Side, ...]) -> bool:
    return all(type(side.value) is not type(gold.value) for gold in golds)


def _deciding(side: _Side, golds: tuple[_Side, ...]) -> str:
    if is_rational(side.value) is not None and any(is_rational(gold.value) is not None for gold in golds):
        return "rational"
    return "numeric" if isinstance(side.value, Scalar) else "typed"


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
    if any(gold.value is not None for gold in golds):
        return golds
    return Verdict.failed("reference_unreadable", f"{_shown(reference)} is no answer that verify.math understands")


def _gold(item: Any) -> _Side:
    if isinstance(item, str):
        text = item
    elif isinstance(item, bool) or not isinstance(item, (Real, Decimal)):
        return _Side(_shown(item), None)
    elif isinstance(item, (Fraction, Decimal)):
        text = str(item) if isinstance(item, Fraction) or item.is_finite() else ""
    elif isinstance(item, Integral):
        text = str(int(item)) if int(item).bit_length() < 3 * LONGEST_NUMBER else ""
    else:
        text = repr(float(item)) if math.isfinite(float(item)) else ""
    return _read_gold(text) if len(text) <= _LONGEST_CACHED else _read_gold.__wrapped__(text)


@lru_cache(maxsize=4096)  # the samples of a group share their reference
def _read_gold(text: str) -> _Side:
    """A reference on its own, or the answer of a worked solution where that is boxed, tagged or stated."""
    if len(text) <= LONGEST_NUMBER and read_number(text) is not None:
        return _read(text)
    if len(text) <= _LONGEST_SOLUTION and (answer := extract_answer(text, RULES[:5])) is not None:
        if not answer.complete:
            return _Side(clean(text) if len(text) <= LONGEST else text.strip(), None)
        if answer.rule == "boxed":
            return _read(", ".join(dict.fromkeys(box.text for box in boxed_answers(text))))
        return _side_of(answer)
    side = _read(text)
    # Prose without an answer in it is no reference.
    if isinstance(side.value, Text) and not 0 < len(side.value.words) <= _LONGEST_WORDS:
        return _Side(side.text, None)
    return side


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python is willing to write
        return f"{type(value).__name__} with too many digits"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
