"""One reward on trial: its samples, its first verdicts, and how to score again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plaudit.reward._base import Reward
from plaudit.reward._check_report import Finding
from plaudit.reward._check_verdicts import difference
from plaudit.reward._facts import Facts
from plaudit.reward._groups import Groups
from plaudit.types import Context, Sample, Verdicts

_MOST, _FEW = 64, 4


class Unscored(Exception):
    """Scoring raised instead of giving verdicts."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """Scores a list of samples; picklable, so that a worker can be killed over it."""

    reward: Reward
    context: Context

    def __call__(self, samples: list[Sample]) -> Verdicts:
        return self.reward.score(samples, self.context)


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
    def of(
        cls, reward: Reward, samples: list[Sample], verdicts: Verdicts, context: Context, thorough: bool, seconds: float
    ) -> Trial:
        """Samples with what was said of them; whole groups, as many as are not too many."""
        facts, most = reward.facts, _MOST if thorough else _FEW
        rows = list(range(len(samples)))
        if facts.scope == "sample" and len(samples) > most:
            rows = [k * len(samples) // most for k in range(most)]
        elif facts.scope == "group":
            rows = []
            for members in Groups(samples).members:
                if rows and len(rows) + len(members) > most:
                    break
                rows += members.tolist()
        # Batches of other sizes pad and sum in another order.
        tolerance = 1e-4 if facts.lane == "gpu" else 1e-9
        kept = [samples[i] for i in sorted(rows)]
        return cls(reward, facts, kept, context, thorough, seconds, verdicts.take(sorted(rows)), tolerance)

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


def named(samples: Sequence[Sample], row: int) -> str:
    """How a sentence calls a sample."""
    sample = samples[row]
    response = sample.response if isinstance(sample.response, str) else str(sample.response)
    which = f"id {sample.id!r}, " if sample.id is not None else ""
    return f"sample {row} ({which}response {response if len(response) <= 40 else response[:39] + '…'!r})"


def same(trial: Trial, check: str, said: str, verdicts: Verdicts, rows: Sequence[int] | None = None) -> Iterator[Finding]:
    """Whether verdicts of the rows are those of the first call."""
    rows = range(len(trial.samples)) if rows is None else rows
    found = trial.difference(verdicts, rows)
    if found is None:
        yield Finding(check, "ok", said)
    else:
        row, how = found
        yield Finding(check, "failed", f"{said}: not so for {named(trial.samples, rows[row])}: {how}")
