"""Length as a cost: never positive, so that it is added to what the length must not outweigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.text import final_text
from plaudit.types import Context, Sample, Verdict

Unit = Literal["tokens", "characters", "words"]


@dataclass(frozen=True)
class Length(Reward):
    """The soft overlong punishment: 0 up to ``max_length - cache``, falling in a straight line to -1 at `max_length`, then -1.

    Everything the policy wrote counts, its thinking too. Tokens are those of `Sample.tokens`, as sampled: without them the
    verdict is FAILED ``column_missing``, for text alone does not say how many there were. Characters are Unicode code points
    and words are runs without white space, both of ``final_text(sample, "whole")``.

    Fields:
        max_length: the length at which the punishment is complete.
        cache: over how many units it grows; 0 = no slope, only the step beyond `max_length`.
        unit: ``"tokens"``, ``"characters"`` or ``"words"``.

    Raises SpecError when `max_length` is not positive or `cache` is not between 0 and `max_length`.
    Source: "DAPO: An Open-Source LLM Reinforcement Learning System at Scale", its equation of the soft overlong punishment.

    >>> overlong = Length(max_length=10, cache=5, unit="words")
    >>> [overlong.one("", "word " * n).value for n in (5, 6, 10, 11)]
    [0.0, -0.2, -1.0, -1.0]
    """

    max_length: int = 20_480
    cache: int = 4_096
    unit: Unit = "tokens"

    example: ClassVar[Mapping[str, Any]] = {"max_length": 400, "cache": 100, "unit": "characters"}

    def __post_init__(self) -> None:
        if self.max_length < 1 or not 0 <= self.cache <= self.max_length:
            given = f"max_length is {self.max_length} and cache is {self.cache}"
            raise SpecError(f"verify.length: {given}: expected 0 <= cache <= max_length, and a positive max_length")
        if self.unit not in ("tokens", "characters", "words"):
            raise SpecError(f"verify.length: unit is {self.unit!r}: expected 'tokens', 'characters' or 'words'")

    @property
    def facts(self) -> Facts:
        """Range (-1, 0); reads the tokens or the response; inline."""
        return Facts(range=(-1.0, 0.0), reads=frozenset({"tokens"} if self.unit == "tokens" else {"response"}))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        if self.unit == "tokens":
            if sample.tokens is None:
                return Verdict.failed("column_missing", "verify.length counts tokens: give Sample.tokens, or unit='characters'")
            length = len(sample.tokens)
        else:
            text = final_text(sample, "whole") or ""
            length = len(text) if self.unit == "characters" else len(text.split())
        value = self._punishment(length)
        return Verdict(value, reason="response_too_long" if value < 0 else None, details={"length": length})

    def _punishment(self, length: int) -> float:
        free = self.max_length - self.cache
        if length <= free:
            return 0.0
        return (free - length) / self.cache if length <= self.max_length else -1.0
