"""The ledger: every published system with what stands for it in plaudit and what was measured of its claim."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from plaudit.reproduce._experiment import Experiment
from plaudit.reproduce._finding import Finding

LedgerState = Literal["holds", "does not hold", "error", "no interval", "not run", "no check yet"]

_WORST_FIRST: tuple[LedgerState, ...] = ("does not hold", "error", "no interval", "not run", "holds")


@dataclass(frozen=True, slots=True)
class System:
    """A published system.

    Fields:
        number: its number in the ledger, from 0.
        name: what it is, and the short name it goes by.
        rooms: where in plaudit it belongs, the main room first.
    """

    number: int
    name: str
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What the ledger says of a system.

    Fields:
        system: which one.
        rewards: names of the catalogue that stand for it.
        checks: its experiments, each with what it found; None = it has not been run.
        state: "no check yet" without an experiment, else the worst of theirs.
    """

    system: System
    rewards: tuple[str, ...]
    checks: tuple[tuple[Experiment, Finding | None], ...]

    @property
    def state(self) -> LedgerState:
        """See the fields."""
        states: list[LedgerState] = ["not run" if finding is None else finding.state for _, finding in self.checks]
        return min(states, key=_WORST_FIRST.index, default="no check yet")


@lru_cache(maxsize=1)
def systems() -> tuple[System, ...]:
    """The published systems that the ledger counts, by number.

    >>> len(systems()), systems()[99].rooms
    (293, ('stress', 'bench', 'verify'))
    """
    text = (files("plaudit.reproduce") / "systems.csv").read_text(encoding="utf-8")
    return tuple(
        System(int(row["number"]), row["name"], tuple(row["rooms"].split())) for row in csv.DictReader(text.splitlines())
    )


def ledger(
    experiments: Iterable[Experiment], findings: Iterable[Finding], rewards: Mapping[str, Sequence[int]]
) -> list[LedgerRow]:
    """A row for every system, by number.

    Args:
        experiments: all there are.
        findings: what was found; smoke runs and findings of experiments that are no more do not count.
        rewards: name of each reward -> the systems it stands for.

    >>> rows = ledger([], [], {"worlds.arithmetic_answer": (99,)})
    >>> len(rows), rows[99].rewards, rows[99].state
    (293, ('worlds.arithmetic_answer',), 'no check yet')
    """
    found = {finding.name: finding for finding in findings if not finding.smoke}
    checks = sorted(experiments, key=lambda each: each.name)
    return [
        LedgerRow(
            system,
            tuple(sorted(name for name, numbers in rewards.items() if system.number in numbers)),
            tuple((each, found.get(each.name)) for each in checks if system.number in each.systems),
        )
        for system in systems()
    ]
