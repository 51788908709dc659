"""Numbers that combinators take beside rewards: a column of the sample, a length, a confidence that the response states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, ClassVar, Literal

import numpy as np

from plaudit.errors import ContractError
from plaudit.reward import Facts, Reward
from plaudit.text import final_text
from plaudit.types import Context, Sample, Verdict

Statistic = Literal["value", "mean", "median", "minimum", "maximum", "std", "quantile", "logsumexp"]
LONGEST = 100_000
"""Numbers that a column may hold."""


@dataclass(frozen=True)
class Column(Reward):
    """A number that stands in a column of the sample, or a statistic of a list of numbers there.

    It is how stored numbers enter a combination: rewards of offline samples for the same prompt, an ensemble's scores, the
    mean log-probability under a reference.

    Fields:
        column: the name of the column in `Sample.meta`.
        statistic: ``"value"`` takes a single number; the others reduce a list. ``"std"`` divides by k; ``"logsumexp"`` is the
            logarithm of the sum of exponentials.
        quantile: which quantile, in [0, 1], for ``statistic="quantile"``.
        low, high: the declared range; a number outside it is FAILED.
        missing: what a sample without the column (or with null) is: ``"fail"`` = FAILED ``column_missing``, ``"abstain"`` =
            ABSTAINED ``not_applicable``.

    Raises ContractError when `low` is above `high` or `quantile` lies outside [0, 1].

    >>> Column("scores", "quantile", quantile=0.5).one("p", "r", meta={"scores": [1.0, 2.0, 4.0]}).value
    2.0
    """

    column: str
    statistic: Statistic = "value"
    quantile: float = 0.85
    low: float = -np.inf
    high: float = np.inf
    missing: Literal["fail", "abstain"] = "fail"

    example: ClassVar[Mapping[str, Any]] = {"column": "score", "low": 0.0, "high": 1.0}

    def __post_init__(self) -> None:
        if isnan(self.low) or isnan(self.high) or self.low > self.high:
            raise ContractError(f"compose.column: low is {self.low}, high {self.high}: expected low <= high")
        if not 0 <= self.quantile <= 1:
            raise ContractError(f"compose.column: quantile is {self.quantile}: expected a number in [0, 1]")

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column

    @property
    def facts(self) -> Facts:
        """The given range; reads the column; inline."""
        return Facts(range=(self.low, self.high), reads=frozenset({f"meta.{self.column}"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        found = sample.meta.get(self.column)
        if found is None:
            if self.missing == "abstain":
                return Verdict.abstained("not_applicable", f"the sample has no column {self.column!r}")
            return Verdict.failed("column_missing", f"compose.column: the sample has no column {self.column!r}")
        numbers = self._numbers(found)
        if numbers is None:
            kind = "a finite number" if self.statistic == "value" else f"a list of 1 to {LONGEST} finite numbers"
            return Verdict.failed("column_missing", f"compose.column: {self.column!r} holds {str(found)[:80]!r}: expected {kind}")
        return Verdict(float(_reduced(numbers, self.statistic, self.quantile)))

    def _numbers(self, found: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        items = [found] if self.statistic == "value" else found
        if not isinstance(items, (list, tuple, np.ndarray)) or not 0 < len(items) <= LONGEST:
            return None
        try:
            plain = [float(x) for x in items if not isinstance(x, (bool, str)) or (self.statistic == "value" and x in (0, 1))]
        except (TypeError, ValueError, OverflowError):
            return None
        return np.array(plain) if len(plain) == len(items) and all(map(isfinite, plain)) else None


def _reduced(numbers: np.ndarray[Any, np.dtype[np.float64]], statistic: Statistic, quantile: float) -> float:
    if statistic == "quantile":
        return float(np.quantile(numbers, quantile))
    if statistic == "logsumexp":
        top = numbers.max()
        return float(top + np.log(np.exp(numbers - top).sum()))
    if statistic == "value":
        return float(numbers[0])
    found = {
        "mean": numbers.mean(),
        "median": np.median(numbers),
        "minimum": numbers.min(),
        "maximum": numbers.max(),
        "std": numbers.std(),
    }
    return float(found[statistic])


@dataclass(frozen=True)
class ResponseLength(Reward):
    """How long the response is: a quantity that length penalties take, and no reward of its own.

    Fields:
        unit: ``"tokens"``: of `Sample.tokens`, FAILED ``column_missing`` without them. ``"characters"``: Unicode code points;
            ``"words"``: runs without white space; both of everything that the policy wrote.

    >>> ResponseLength("words").one("p", "one two three").value
    3.0
    """

    unit: Literal["tokens", "characters", "words"] = "tokens"

    example: ClassVar[Mapping[str, Any]] = {"unit": "characters"}

    @property
    def facts(self) -> Facts:
        """Range (0, inf); inline."""
        return Facts(range=(0.0, np.inf), reads=frozenset({"tokens"} if self.unit == "tokens" else {"response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        if self.unit == "tokens":
            if sample.tokens is None:
                return Verdict.failed("column_missing", "compose.response_length: give Sample.tokens, or another unit")
            return Verdict(float(len(sample.tokens)))
        text = final_text(sample, "whole") or ""
        return Verdict(float(len(text) if self.unit == "characters" else len(text.split())))


@dataclass(frozen=True)
class StatedConfidence(Reward):
    """The probability that the response states for its own answer, in ``<confidence>0.8</confidence>``.

    The last pair of tags counts, wherever it stands after the thinking part. A plain number in [0, 1], or a percentage in
    [0, 100] with its sign. A response that states none, or something else, is SCORED 0 ``response_format``: under
    `CorrectnessBrier` stating nothing then never earns more than a confidence would.

    Fields:
        tag: the name of the tag.

    Source: "Beyond Binary Rewards: Training LMs to Reason About Their Uncertainty" (the format).

    >>> [StatedConfidence().one("p", f"4 <confidence>{q}</confidence>").value for q in ("0.8", "80%", "sure")]
    [0.8, 0.8, 0.0]
    """

    tag: str = "confidence"

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_][\w-]*", self.tag):
            raise ContractError(f"compose.stated_confidence: tag is {self.tag!r}: expected a name, without brackets")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        text = final_text(sample) or ""
        close = text.rfind(f"</{self.tag}>")
        start = text.rfind(f"<{self.tag}>", 0, max(close, 0)) if close >= 0 else -1
        said = text[start + len(self.tag) + 2 : close].strip() if start >= 0 else ""
        found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})\s?(%?)", said) if len(said) <= 20 else None
        value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if not 0 <= value <= 1:
            return Verdict(0.0, reason="response_format", explanation=f"no probability between <{self.tag}> tags")
        return Verdict(value)
