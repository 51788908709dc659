"""One reward on trial: its samples, its first verdicts, and how to score again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.reward._base import Reward
from plaudit.reward._check_verdicts import difference
from plaudit.reward._facts import Facts
from plaudit.reward._groups import Groups
from plaudit.types import Context, Sample, Verdicts

_MOST, _FEW = 64, 4


class Unscored(Exception):
    """Scoring raised instead of giving verdicts."""


@dataclass(frozen=True)
class Trial:
    """A reward with the samples that the checks vary, and what it said of them at first.

    Fields:
        thorough: vary one thing at a time, on up to 64 samples; else as much at once as can be told apart, on a few.
        seconds: how long a hostile response may take.
        base: the verdicts on `samples` as they are.
        tolerance: relative and absolute, under which two values are the same.
    """

    reward: Reward
    facts: Facts
    samples: list[Sample]
    context: Context
    thorough: bool
    seconds: float
    base: Verdicts
    tolerance: float

    @classmethod
    def of(cls, reward: Reward, samples: list[Sample], context: Context, thorough: bool, seconds: float) -> Trial:
        """Whole groups of the samples, as many as are not too many."""
        facts, most = reward.facts, _MOST if thorough else _FEW
        if facts.scope == "sample" and len(samples) > most:
            samples = [samples[k * len(samples) // most] for k in range(most)]
        elif facts.scope == "group":
            rows: list[int] = []
            for members in Groups(samples).members:
                if rows and len(rows) + len(members) > most:
                    break
                rows += members.tolist()
            samples = [samples[i] for i in sorted(rows)]
        # Batches of other sizes pad and sum in another order.
        tolerance = 1e-4 if facts.lane == "gpu" else 1e-9
        base = cls.scored(reward, samples, context)
        return cls(reward, facts, samples, context, thorough, seconds, base, tolerance)

    @staticmethod
    def scored(reward: Reward, samples: Sequence[Sample], context: Context | None) -> Verdicts:
        """The verdicts. Raises Unscored when scoring raises."""
        try:
            return reward.score(samples, context)
        except Exception as error:
            raise Unscored(f"scoring {len(samples)} samples raises {type(error).__name__}: {error}") from error

    def score(self, samples: Sequence[Sample], context: Context | None = None) -> Verdicts:
        """The verdicts on other samples. Raises Unscored when scoring raises."""
        return self.scored(self.reward, samples, context or self.context)

    def difference(self, verdicts: Verdicts, rows: Sequence[int] | None = None) -> tuple[int, str] | None:
        """Where verdicts on `rows` (None = all) differ from the first ones; None = nowhere."""
        return difference(self.base if rows is None else self.base.take(list(rows)), verdicts, self.tolerance)
