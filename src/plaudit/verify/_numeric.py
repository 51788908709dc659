"""Numbers within a declared tolerance, with units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple

from plaudit.errors import MissingExtra, SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import RULES, Answer, Read, Rule, boxed_answers, denied, extract_answer, final_text, later_statement
from plaudit.types import Context, Sample, Verdict
from plaudit.verify._ball import Ball, Undecided, as_fraction
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._numbers import LONGEST, read_number
from plaudit.verify._reading import read_value
from plaudit.verify._references import Several, joined, nothing, unreadable, verdict, written
from plaudit.verify._syntax import symbols
from plaudit.verify._values import Scalar

_DIMENSION = re.compile(r"[A-Za-zµ°Ω/*^ ().\d-]{1,60}\Z")
_QUANTITY = re.compile(r"\A(?P<value>.*?[\d}])\s*(?:\\?[,;: ]\s*)?(?P<unit>[A-Za-zµ°Ω][A-Za-zµ°Ω/*^ ().\d{}-]*)\Z", re.DOTALL)


class _Quantity(NamedTuple):
    value: Fraction
    unit: str | None


@dataclass(frozen=True)
class Numeric(Reward):
    r"""1 when the answer is within the tolerance of the reference; else 0.

    |answer - reference| <= max(absolute, relative * |reference|), in exact arithmetic; both 0 = equality. A reference of 0
    therefore needs an absolute tolerance. The answer may be any number that `verify.math` reads, roots and π included.

    Fields:
        absolute: largest difference, in the reference's unit.
        relative: largest difference as a share of the reference's size.
        units: ``"drop"`` = a unit that only one side writes is left out, and two units are converted; ``"strict"`` = both sides
            write one, or neither; ``"ignore"`` = units do not count.
        percent: ``"unit"`` = 25% is 25; ``"value"`` = 25% is 0.25.
        rules: extraction rules (`plaudit.text.extract_answer`), the first that finds something.
        several: of several references, ``"best"`` = any one suffices, ``"mean"`` = the share that agrees.
        read: ``"final"`` = the last message after its thinking part; ``"whole"`` = everything the policy wrote.
        max_chars: a longer text is not read (``response_too_large``).

    Units are converted by pint (extra ``math``); units of different dimensions are wrong, and so is an answer in a unit that
    pint does not know, unless both sides write the same words. The reference is a number, text, or a list of these; what is
    no number is FAILED ``reference_unreadable``. Raises MissingExtra when two different units must be converted without pint.

    >>> Numeric(relative=0.01).one("Speed of light?", r"\boxed{3.0\times10^8}", 299_792_458).value
    1.0
    """

    absolute: float = 0.0
    relative: float = 0.0
    units: Literal["drop", "strict", "ignore"] = "drop"
    percent: Literal["unit", "value"] = "unit"
    rules: tuple[Rule, ...] = RULES
    several: Several = "best"
    read: Read = "final"
    max_chars: int = 200_000

    example: ClassVar[Mapping[str, Any]] = {"relative": 0.01}

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            tolerance = getattr(self, name)
            if not (math.isfinite(tolerance) and tolerance >= 0):
                raise SpecError(f"verify.numeric: {name} is {tolerance}: expected a finite number, 0 or more")
        if not self.rules or any(rule not in RULES for rule in self.rules):
            raise SpecError(f"verify.numeric: rules is {list(self.rules)}: expected one or more of {list(RULES)}")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); reads the reference; inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response", "reference", "finish"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        golds = self._golds(sample.reference)
        if isinstance(golds, Verdict):
            return golds
        text = final_text(sample, self.read)
        if (refused := unreadable(text, self.max_chars)) is not None or text is None:
            return refused or Verdict(0.0, reason="response_unclosed_thought")
        cut = sample.finish == "length"
        rules = tuple(rule for rule in self.rules if not (cut and rule in ("last_number", "formula")))
        answer = extract_answer(text, rules)
        if answer is None or not answer.text:
            return nothing(text)
        said = _quantity(answer.text) if answer.complete else None
        if said is None:
            return verdict(0.0, "response_unparsable", answer, None, "it is not one number that is understood")
        value = joined([float(self._within(said, gold)) for gold in golds], self.several)
        if not value:
            return verdict(0.0, "response_wrong", answer, "tolerance")
        if denied(text, answer) or self._contradicted(text, answer, golds):
            return verdict(0.0, "response_wrong", answer, "contradicted", "the response denies it, or gives another value too")
        return verdict(value, "response_right", answer, "tolerance")

    def _contradicted(self, text: str, answer: Answer, golds: list[_Quantity]) -> bool:
        later = later_statement(text, answer)
        others = [*(boxed_answers(text)[:-1] if answer.rule == "boxed" else ()), *(() if later is None else (later,))]
        for other in others:
            said = _quantity(other.text)
            if said is None and other.rule != "boxed":
                continue
            if said is None or not any(self._within(said, gold) for gold in golds):
                return True
        return False

    def _golds(self, reference: Any) -> list[_Quantity] | Verdict:
        items = written(reference)
        if isinstance(items, Verdict):
            return items
        golds = [_gold(item) for item in items]
        found = [gold for gold in golds if gold is not None]
        if len(found) < len(golds):
            return Verdict.failed("reference_unreadable", f"{items[golds.index(None)]!r:.200} is no number that is understood")
        return found

    def _within(self, said: _Quantity, gold: _Quantity) -> bool:
        value = said.value
        if self.percent == "value":
            value = value / 100 if said.unit == "%" else value
            gold = _Quantity(gold.value / 100, None) if gold.unit == "%" else gold
            said = _Quantity(value, None if said.unit == "%" else said.unit)
        if self.units != "ignore" and said.unit != gold.unit:
            if said.unit is None or gold.unit is None:
                if self.units == "strict":
                    return False
            else:
                converted = _converted(value, said.unit, gold.unit)
                if converted is None:
                    return False
                value = converted
        allowed = max(Fraction(self.absolute), Fraction(str(self.relative)) * abs(gold.value))
        return abs(value - gold.value) <= allowed


def _gold(item: Any) -> _Quantity | None:
    if isinstance(item, bool):
        return None
    if isinstance(item, str):
        return _quantity(item) or _solution(item)
    if isinstance(item, (Fraction, Integral)):
        return _Quantity(Fraction(int(item)) if isinstance(item, Integral) else item, None)
    if isinstance(item, Decimal):
        return _Quantity(Fraction(item), None) if item.is_finite() else None
    if isinstance(item, Real):
        return _Quantity(Fraction(repr(float(item))), None) if math.isfinite(float(item)) else None
    return None


def _solution(text: str) -> _Quantity | None:
    answer = extract_answer(text, RULES[:5])
    return _quantity(answer.text) if answer is not None and answer.complete else None


@lru_cache(maxsize=4096)
def _quantity(text: str) -> _Quantity | None:
    """The number and unit of a text, to 50 digits where it is irrational; None = it is not one real number."""
    if len(text) > LONGEST:
        return None
    plain = read_number(text)
    if plain is not None:
        return _Quantity(plain.value, plain.unit)
    value = read_value(text)
    if isinstance(value, Scalar) and not symbols(value.node):
        try:
            found = Evaluator(50)(value.node)
            if not isinstance(found, Ball):
                return _Quantity(found, value.unit)
            return None if found.im.copy_abs() > found.radius else _Quantity(as_fraction(found.re), value.unit)
        except Undecided:
            return None
    return _with_unit(text)


def _with_unit(text: str) -> _Quantity | None:
    r"""A number in front of a unit of several parts: 9.81 m/s^2, 3 kg m^{-3}, 5\,\mathrm{kg\cdot m/s}."""
    bare = re.sub(r"\\(?:text|mathrm|rm|unit|si)\s*\{([^{}]*)\}", r" \1 ", text.strip().strip("$").rstrip(". "))
    bare = re.sub(r"\\(?:cdot|times)(?![A-Za-z])", "*", bare.replace("\\,", " ").replace("~", " ").replace("·", "*"))
    found = _QUANTITY.match(bare)
    if found is None:
        return None
    plain, unit = read_number(found.group("value")), found.group("unit").replace("{", "(").replace("}", ")").strip()
    if plain is None or plain.unit is not None or not _DIMENSION.match(unit) or _registered(unit) is None:
        return None
    return _Quantity(plain.value, unit)


_NAMES = {"USD": None, "%": "percent", "inch": "inch", "°C": "degC", "°F": "degF", "L": "liter", "mL": "milliliter", "h": "hour"}


@lru_cache(maxsize=1)
def _registry() -> Any:
    try:
        import pint
    except ImportError as error:
        raise MissingExtra("pint", "math") from error
    return pint.UnitRegistry(non_int_type=Decimal)


@lru_cache(maxsize=1024)
def _registered(unit: str) -> Any:
    """pint's unit of a name; None = it knows none."""
    name = _NAMES.get(unit, unit)
    if name is None or len(name) > 60 or len(re.findall(r"\d", name)) > 6:
        return None
    name = re.sub(r"(?<=[A-Za-z)]) +(?=[A-Za-z(])", "*", name)
    try:
        return _registry().parse_units(name)
    except MissingExtra:
        raise
    except Exception:  # pint raises its own errors, tokenize's and Python's alike for what is no unit
        return None


def _converted(value: Fraction, unit: str, wanted: str) -> Fraction | None:
    """A value in another unit; None = they are of different dimensions, or one is not known."""
    a, b = _registered(unit), _registered(wanted)
    if a is None or b is None or a.dimensionality != b.dimensionality:
        return None
    quantity = _registry().Quantity(Decimal(value.numerator) / Decimal(value.denominator), a)
    return Fraction(quantity.to(b).magnitude)
