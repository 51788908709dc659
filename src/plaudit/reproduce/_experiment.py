"""What an experiment is: a function of a seed that measures one claim beside a control that must not show it."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import ContractError

N_SYSTEMS = 293
"""How many published systems the ledger counts; their numbers are 0 to 292."""

_SMOKE_SCALE = 0.1
_LONGEST_CURVE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What one seed of an experiment measured.

    Fields:
        effect: the size of the claimed effect, written so that 0 means "no effect" and more is more of what is claimed: a gain,
            a difference of accuracies, an AUC minus 1/2.
        control: the same number where the claim says there is none: the method switched off, labels shuffled.
        unit: what both are measured in ("pass@1", "accuracy", "nats").
        details: anything worth keeping, as JSON values.
        curves: named series, one number for each point (a learning curve).
        effect_samples, control_samples: (n,) and (m,) one number for each item, for an experiment of one seed and many items:
            given instead of `effect` and `control`, which are then their means, and the intervals are bootstrapped over items.

    Raises ContractError for numbers that are not finite, curves that are too long, and details that are no JSON.

    >>> Trial(0.12, 0.004, "pass@1").effect
    0.12
    >>> Trial(unit="accuracy", effect_samples=[1, 0, 1, 1], control_samples=[0, 0, 1, -1]).effect
    0.75
    """

    effect: float = math.nan
    control: float = math.nan
    unit: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    effect_samples: ArrayLike | None = None
    control_samples: ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("effect", "control"):
            items = getattr(self, f"{name}_samples")
            number = float(getattr(self, name))
            if items is not None:
                if not math.isnan(number):
                    raise ContractError(f"a Trial has both {name} and {name}_samples: give one of them")
                items = _finite_vector(items, f"{name}_samples")
                object.__setattr__(self, f"{name}_samples", items)
                number = float(items.mean())
            if not math.isfinite(number):
                raise ContractError(f"a Trial's {name} is {number}: expected a finite number, or {name}_samples")
            object.__setattr__(self, name, number)
        if not self.unit:
            raise ContractError("a Trial has no unit: say what its effect is measured in")
        curves = {}
        for name, series in self.curves.items():
            values = np.asarray(series, dtype=np.float64)
            if values.ndim != 1 or len(values) > _LONGEST_CURVE:
                raise ContractError(f"curve {name!r} has shape {values.shape}: expected one of at most {_LONGEST_CURVE} numbers")
            curves[str(name)] = [float(v) if math.isfinite(v) else None for v in values]
        object.__setattr__(self, "curves", curves)
        try:
            object.__setattr__(self, "details", json.loads(json.dumps(dict(self.details), allow_nan=False, default=_plain)))
        except (TypeError, ValueError, RecursionError) as error:
            raise ContractError(f"a Trial's details are no JSON values: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _finite_vector(items: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.asarray(items, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ContractError(f"a Trial's {name} have shape {values.shape}: expected a vector of finite numbers, at least one")
    return values


@dataclass(frozen=True, slots=True)
class Progress:
    """What an experiment is handed to say how far it is: ``progress("step 40: pass@1 0.41", 40 / 200)``.

    Fields:
        report: what to do with (what is said, share done between 0 and 1 or None).
        folder: where this seed may keep checkpoints to go on from after an interruption; it is emptied when the seed is done.
            None = nowhere.
    """

    report: Callable[[str, float | None], None] = lambda said, done: None
    folder: Path | None = None

    def __call__(self, said: str, done: float | None = None) -> None:
        """Say something; `done` is the share of this seed's work that is behind it."""
        self.report(said, done)


class ExperimentFunction(Protocol):
    """``(seed, progress) -> Trial``, with a third argument ``scale`` when the experiment has a smoke size."""

    __name__: str
    __module__: str

    def __call__(self, seed: int, progress: Progress, *, scale: float = ...) -> Trial:
        """Measure once."""


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """A claim with the function that measures it; made by `experiment`, called like the function.

    Fields:
        name: the function's name in kebab case.
        systems: numbers of the published systems whose claim it is.
        claim: the claim in one sentence, with the paper's title.
        function: what measures it, once for each seed.
        seeds: the seeds of a full run.
        seconds: how long all of them take together, on two cores.
        threshold: the effect's interval must lie above this.
        smoke: the scale of a quick run whose numbers say only that it works; None = it has one size only.
    """

    name: str
    systems: tuple[int, ...]
    claim: str
    function: Callable[..., Trial]
    seeds: tuple[int, ...]
    seconds: float
    threshold: float = 0.0
    smoke: float | None = None

    def __call__(self, seed: int, progress: Progress | None = None, *, scale: float = 1.0) -> Trial:
        """Measure with one seed. `scale` is left out of the call when the function takes none."""
        progress = progress or Progress()
        trial = self.function(seed, progress) if self.smoke is None else self.function(seed, progress, scale=scale)
        if not isinstance(trial, Trial):
            raise ContractError(f"experiment {self.name} returned {type(trial).__name__}: expected a Trial")
        return trial

    @property
    def module(self) -> str:
        """The module it is written in."""
        return self.function.__module__

    @property
    def smoke_seconds(self) -> float:
        """How long one seed takes at the smallest size it has."""
        return self.seconds / len(self.seeds) * (1.0 if self.smoke is None else self.smoke)


def experiment(
    systems: Sequence[int],
    claim: str,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    seconds: float,
    threshold: float = 0.0,
    smoke: bool | float = False,
) -> Callable[[Callable[..., Trial]], Experiment]:
    """Make a function ``(seed, progress) -> Trial`` an experiment of the ledger.

    It stands in a module of `plaudit.reproduce.experiments`, or of any package that names the module or the function in the
    entry-point group ``plaudit.experiments``. The module must import quickly: heavy libraries are imported inside the function.

    Args:
        systems: numbers of the systems whose claim it checks, 0 to 292; empty for a claim of plaudit's own.
        claim: the claim in one sentence, with the paper's title.
        seeds: the seeds of a full run; one seed is enough when the Trial carries samples.
        seconds: how long all seeds take together, on two cores.
        threshold: the effect's interval must lie above this.
        smoke: the scale, between 0 and 1, of a quick run that only shows that it works; True = 0.1. The function then takes
            ``scale`` as a keyword (1.0 in a full run).

    Raises ContractError for a declaration that cannot be right.

    >>> @experiment(systems=[99], claim="Two is more than one.", seeds=(0,), seconds=1)
    ... def two_is_more(seed, progress):
    ...     return Trial(effect=2 - 1, control=1 - 1, unit="units")
    >>> two_is_more.name, two_is_more(0).effect
    ('two-is-more', 1.0)
    """

    def declare(function: Callable[..., Trial]) -> Experiment:
        name = re.sub(r"_+", "-", function.__name__.strip("_")).lower()
        numbers = tuple(int(s) for s in systems)
        outside = [s for s in numbers if not 0 <= s < N_SYSTEMS]
        if outside:
            raise ContractError(f"experiment {name} names system {outside[0]}: expected numbers from 0 to {N_SYSTEMS - 1}")
        if not claim.strip():
            raise ContractError(f"experiment {name} has no claim: say in one sentence what must hold")
        if not seeds or len(set(seeds)) != len(seeds):
            raise ContractError(f"experiment {name} has seeds {tuple(seeds)}: expected at least one, none twice")
        if not (math.isfinite(seconds) and seconds > 0):
            raise ContractError(f"experiment {name} says it takes {seconds} seconds: expected a positive number")
        scale = _SMOKE_SCALE if smoke is True else float(smoke)
        if not 0 <= scale <= 1:
            raise ContractError(f"experiment {name} has smoke={smoke}: expected True, or a scale between 0 and 1")
        if scale and "scale" not in inspect.signature(function).parameters:
            raise ContractError(f"experiment {name} has a smoke size but its function takes no `scale`")
        return Experiment(
            name,
            numbers,
            " ".join(claim.split()),
            function,
            tuple(int(s) for s in seeds),
            float(seconds),
            float(threshold),
            scale or None,
        )

    return declare
