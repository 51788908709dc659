"""Columns of made-up verdicts: a number, None = ABSTAINED, "fail" = FAILED."""

from dataclasses import dataclass

import pytest

from plaudit import Facts, Reward, Sample, Verdict


@dataclass(frozen=True)
class Told(Reward):
    """Says what stands in a column of the sample."""

    column: str
    low: float = -1e6
    high: float = 1e6

    @property
    def name(self):
        return self.column

    @property
    def facts(self):
        return Facts(range=(self.low, self.high), reads={f"meta.{self.column}"})

    def score_one(self, sample, context):
        said = sample.meta[self.column]
        return Verdict.abstained() if said is None else Verdict.failed("worker_lost") if said == "fail" else Verdict(float(said))


@pytest.fixture(scope="session")
def told():
    return Told


def rows(columns, groups=None, sizes=None):
    """Samples with the given columns of values."""
    n = len(next(iter(columns.values())))
    return [
        Sample(
            "p" if groups is None else f"p{groups[i]}", f"r{i}", group_size=None if sizes is None else sizes[i],
            meta={name: column[i] for name, column in columns.items()},
        )
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="session", name="rows")
def rows_fixture():
    return rows
