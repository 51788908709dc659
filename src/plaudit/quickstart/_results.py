"""What the stages of the quickstart come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.reward import Reward
from plaudit.search import SelectionCurve
from plaudit.stress import Outranking
from plaudit.types import Sample, Verdicts

Say = Callable[[str, float | None, str], None]
"""Called with the stage's title, the share of it that is done (None = not known), and a few words."""


def silent(stage: str, done: float | None, words: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates in groups of one size, with their rewards.

    Fields:
        samples: p * n of them, those of a group behind one another.
        per_group: n.
        verdicts: of the reward, one for each sample.
        reward: the composed reward.
        spec: where it stands, as a command would name it.
    """

    samples: Sequence[Sample]
    per_group: int
    verdicts: Verdicts
    reward: Reward
    spec: str


@dataclass(frozen=True, eq=False)
class Picking:
    """Best-of-n on the half that the reward model has not seen.

    Fields:
        model: the trained reward model.
        description: what it is made of, in words.
        curves: accuracy (or mean reward) by method.
        measured: name and held-out accuracy with its interval, the model first, then the baselines; empty without.
        test: places of the samples that it was tested on.
        seconds: of training.
        shares: whether the curves are shares of right answers; else they are mean rewards, on any scale.
    """

    model: Reward
    description: str
    curves: Mapping[str, SelectionCurve]
    measured: Sequence[tuple[str, float, float, float]]
    test: NDArray[np.int64]
    seconds: float
    shares: bool = True


@dataclass(frozen=True, eq=False)
class Fooling:
    """How the reward model is fooled, on the half that it has not seen.

    Fields:
        flood: many answers are drawn, and the best-liked wrong one is handed in.
        unedited: the model's own error rate on pairs.
        edits: changes to wrong answers.
    """

    flood: Outranking
    unedited: Outranking
    edits: Sequence[Outranking]


@dataclass(frozen=True, eq=False)
class Trained:
    """The policy before and after training.

    Fields:
        before, after: pass@1 on held-out problems, with 95% intervals.
        difference: interval of the gain, paired by problem.
        history: a row for each step.
        problems, answers: how many held-out problems, and answers to each.
        examples: (problem, answer before, answer after) of some problems whose answer changed.
    """

    before: tuple[float, float, float]
    after: tuple[float, float, float]
    difference: tuple[float, float]
    history: Sequence[Mapping[str, float]]
    problems: int
    answers: int
    seconds: float
    examples: Sequence[tuple[Sample, Sample]] = ()

    @property
    def gain(self) -> float:
        """Points of pass@1."""
        return self.after[0] - self.before[0]


@dataclass(eq=False)
class Quickstart:
    """Everything that a quickstart found, and where its report lies."""

    folder: Path
    scored: Scored
    picking: Picking | None = None
    fooling: Fooling | None = None
    trained: Trained | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    report: Path | None = None
    notes: list[str] = field(default_factory=list)
    lap: float = field(default_factory=time.monotonic)

    def to_json(self) -> dict[str, Any]:
        """The summary that ``--json`` prints."""
        row: dict[str, Any] = {}
        if self.picking is not None:
            curves = self.picking.curves
            row["pass_at_1"] = float(curves["policy"].accuracy[0])
            most = int(curves["policy"].n[-1])
            row[f"best_of_{most}"] = {name.replace(" ", "_"): float(curve.accuracy[-1]) for name, curve in curves.items()}
        if self.fooling is not None:
            row["attack_success"] = self.fooling.flood.success
        if self.trained is not None:
            row["grpo"] = {"before": self.trained.before[0], "after": self.trained.after[0], "gain": self.trained.gain}
        row["seconds"] = sum(self.seconds.values())
        row["report"] = None if self.report is None else str(self.report)
        if self.notes:
            row["notes"] = list(self.notes)
        return row
