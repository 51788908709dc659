"""From the trials of an experiment to a finding: interval, control, and whether the claim holds."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np

from plaudit.reproduce._experiment import Experiment, Trial
from plaudit.stats import Interval, bootstrap_interval, mean_interval

LEVEL = 0.95
"""The confidence level of every interval of the ledger."""

_RESAMPLES = 10_000

State = Literal["holds", "does not hold", "error", "no interval"]


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """A finished seed: what it measured, and how long it took.

    Fields:
        seed: which one.
        trial: what it measured.
        seconds: wall time.
    """

    seed: int
    trial: Trial
    seconds: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What an experiment found, as the ledger keeps it.

    Fields:
        name, systems, claim: of the experiment.
        measured: the mean effect over seeds; None when no seed finished.
        interval: its 95% interval: Student's t over seeds, or for one seed with samples the bootstrap over its items; None for
            one seed without samples.
        control, control_interval: the same of the control.
        holds: the effect's interval lies above the threshold and above the control, and the control's reaches 0 or below; None
            where there is no interval to say so, or an error.
        seeds: which have been run.
        seconds: wall time of them all.
        unit: of what was measured.
        details: threshold, whether the direction holds, the difference of effect and control over seeds, and each seed's own
            numbers.
        versions: of what it ran on.
        smoke: it was a quick run of a small size, whose numbers are no evidence.
        error: the traceback of the seed that failed; None when none did.
    """

    name: str
    systems: tuple[int, ...]
    claim: str
    measured: float | None
    interval: Interval | None
    control: float | None
    control_interval: Interval | None
    holds: bool | None
    seeds: tuple[int, ...]
    seconds: float
    unit: str
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    smoke: bool = False
    error: str | None = None

    @property
    def passed(self) -> bool:
        """The claim holds; where there is no interval, at least the effect is above the threshold and above the control."""
        if self.error is not None:
            return False
        return bool(self.details.get("direction")) if self.holds is None else self.holds

    @property
    def state(self) -> State:
        """What it comes to, in words."""
        if self.error is not None:
            return "error"
        return "no interval" if self.holds is None else "holds" if self.holds else "does not hold"

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON values; an end of an interval that is infinite is None."""
        return {
            "name": self.name,
            "systems": list(self.systems),
            "claim": self.claim,
            "measured": self.measured,
            "interval": _ends(self.interval),
            "control": self.control,
            "control_interval": _ends(self.control_interval),
            "holds": self.holds,
            "seeds": list(self.seeds),
            "seconds": round(self.seconds, 3),
            "unit": self.unit,
            "details": dict(self.details),
            "versions": dict(self.versions),
            "smoke": self.smoke,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            str(value["name"]),
            tuple(int(s) for s in value["systems"]),
            str(value["claim"]),
            _number(value["measured"]),
            _interval(value["interval"]),
            _number(value["control"]),
            _interval(value["control_interval"]),
            None if value["holds"] is None else bool(value["holds"]),
            tuple(int(s) for s in value["seeds"]),
            float(value["seconds"]),
            str(value["unit"]),
            dict(value["details"]),
            dict(value["versions"]),
            bool(value["smoke"]),
            None if value["error"] is None else str(value["error"]),
        )


def judge(experiment: Experiment, done: Sequence[Seed], *, smoke: bool = False, error: str | None = None) -> Finding:
    """The finding of the seeds that are done.

    An error leaves the claim undecided, whatever the seeds before it measured.

    >>> from plaudit.reproduce import experiment
    >>> @experiment(systems=[], claim="Two is more than one.", seeds=(0, 1), seconds=1)
    ... def two_is_more(seed, progress):
    ...     return Trial(effect=1.0, control=0.0, unit="units")
    >>> judge(two_is_more, [Seed(0, two_is_more(0), 0.1), Seed(1, two_is_more(1), 0.1)]).holds
    True
    """
    done = sorted(done, key=lambda each: each.seed)
    measured, interval = _measured(done, "effect")
    control, control_interval = _measured(done, "control")
    details: dict[str, Any] = {"threshold": experiment.threshold}
    holds = None
    if measured is not None and control is not None:
        details["direction"] = measured > experiment.threshold and measured > control
        details["difference"] = measured - control
        difference = mean_interval([each.trial.effect - each.trial.control for each in done]) if len(done) > 1 else None
        details["difference_interval"] = _ends(difference)
        if error is None and interval is not None and control_interval is not None:
            holds = interval.low > max(experiment.threshold, control) and control_interval.low <= 0
    details["trials"] = [_trial_row(each) for each in done]
    return Finding(
        name=experiment.name,
        systems=experiment.systems,
        claim=experiment.claim,
        measured=measured,
        interval=interval,
        control=control,
        control_interval=control_interval,
        holds=holds,
        seeds=tuple(each.seed for each in done),
        seconds=sum(each.seconds for each in done),
        unit=done[0].trial.unit if done else "",
        details=details,
        versions=versions(),
        smoke=smoke,
        error=error,
    )


def versions() -> dict[str, str]:
    """Of Python, and of those libraries that this process uses and that a number may depend on."""
    found = {"python": platform.python_version()}
    for name in ("plaudit", "numpy", "torch", "transformers"):
        if name in sys.modules:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # used from a folder, never installed
                found[name] = str(getattr(sys.modules[name], "__version__", "unknown"))
    return found


def _measured(done: Sequence[Seed], name: str) -> tuple[float | None, Interval | None]:
    """(mean over seeds, its interval) of "effect" or "control"."""
    if not done:
        return None, None
    values = np.array([getattr(each.trial, name) for each in done])
    if len(values) > 1:
        # Items of one seed share its luck, so that only seeds count once there are several.
        return float(values.mean()), mean_interval(values, LEVEL)
    samples = getattr(done[0].trial, f"{name}_samples")
    if samples is None or len(samples) < 2:
        return float(values[0]), None
    return float(values[0]), bootstrap_interval(samples, level=LEVEL, method="bca", resamples=_RESAMPLES, seed=done[0].seed)


def _trial_row(each: Seed) -> dict[str, Any]:
    row = {
        "seed": each.seed,
        "effect": each.trial.effect,
        "control": each.trial.control,
        "seconds": round(each.seconds, 3),
        "details": each.trial.details,
        "curves": each.trial.curves,
    }
    for name in ("effect", "control"):
        samples = getattr(each.trial, f"{name}_samples")
        if samples is not None:
            row[f"{name}_items"] = len(samples)
    return row


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [end if math.isfinite(end) else None for end in interval]


def _interval(value: Any) -> Interval | None:
    if value is None:
        return None
    low, high = value
    return Interval(-math.inf if low is None else float(low), math.inf if high is None else float(high))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
