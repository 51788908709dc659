"""Running experiments, seed by seed."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from plaudit.reproduce._experiment import Experiment, Progress
from plaudit.reproduce._finding import Finding, Seed, judge
from plaudit.reproduce._store import ResultFolder

_LONGEST_TRACEBACK = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is, as its observer hears it.

    Fields:
        experiment, seed: what is under way.
        place, total: which seed of the experiment it is, counted from 1, and of how many.
        said: what the experiment last said.
        done: the share of the seed that is behind it; None = not known.
        seed_done: the seed is finished, now or in an earlier run.
        resumed: the seed was measured in an earlier run.
    """

    experiment: Experiment
    seed: int
    place: int
    total: int
    said: str = ""
    done: float | None = None
    seed_done: Seed | None = None
    resumed: bool = False


def run_experiment(
    experiment: Experiment,
    folder: ResultFolder | None = None,
    *,
    seeds: int | None = None,
    smoke: bool = False,
    fresh: bool = False,
    observe: Callable[[Step], None] = lambda step: None,
) -> Finding:
    """Run an experiment and judge it.

    Args:
        experiment: which one.
        folder: where results are kept: seeds that are finished there are not run again. None = nowhere.
        seeds: how many seeds; the experiment's own first, and then those that follow the largest. None = its own; in a smoke
            run, one.
        smoke: run at its smoke size, where it has one.
        fresh: forget what the folder holds of it.
        observe: hears of every step.

    An exception of the experiment ends it and stands in the finding's `error`; KeyboardInterrupt passes through, and what is
    finished stays in the folder. Raises RunError when results cannot be written.

    >>> from plaudit.reproduce import find_experiments
    >>> run_experiment(find_experiments()["step-checker-sees-wrong-steps"], smoke=True, seeds=2).holds
    True
    """
    if folder is not None and fresh:
        folder.forget(experiment)
    planned = _seeds(experiment, (1 if smoke else None) if seeds is None else seeds)
    done: list[Seed] = []
    error = None
    for place, seed in enumerate(planned, 1):
        step = Step(experiment, seed, place, len(planned))
        kept = folder.seed(experiment, seed) if folder is not None else None
        if kept is not None:
            done.append(kept)
            observe(replace(step, seed_done=kept, resumed=True))
            continue
        observe(step)
        try:
            measured = _measure(experiment, step, folder, smoke, observe)
        except Exception as raised:  # the experiment's own: the ones behind it still run
            error = "".join(traceback.format_exception(raised))[-_LONGEST_TRACEBACK:]
            break
        if folder is not None:
            folder.keep_seed(experiment, measured)
        done.append(measured)
        observe(replace(step, seed_done=measured))
    finding = judge(experiment, done, smoke=smoke, error=error)
    if folder is not None:
        folder.keep(finding)
    return finding


def run_experiments(
    experiments: Iterable[Experiment],
    folder: ResultFolder | None = None,
    *,
    seeds: int | None = None,
    smoke: bool = False,
    fresh: bool = False,
    observe: Callable[[Step], None] = lambda step: None,
) -> Iterator[Finding]:
    """Run experiments one after another; each finding comes as soon as there is one. Arguments as for `run_experiment`."""
    for each in experiments:
        yield run_experiment(each, folder, seeds=seeds, smoke=smoke, fresh=fresh, observe=observe)


def _measure(
    experiment: Experiment, step: Step, folder: ResultFolder | None, smoke: bool, observe: Callable[[Step], None]
) -> Seed:
    work = None
    if folder is not None:
        work = folder.work(experiment, step.seed)
        work.mkdir(parents=True, exist_ok=True)

    def report(said: str, done: float | None) -> None:
        observe(replace(step, said=str(said), done=None if done is None else min(max(float(done), 0.0), 1.0)))

    start = time.perf_counter()
    scale = experiment.smoke if smoke and experiment.smoke is not None else 1.0
    trial = experiment(step.seed, Progress(report, work), scale=scale)
    return Seed(step.seed, trial, time.perf_counter() - start)


def _seeds(experiment: Experiment, n: int | None) -> list[int]:
    own = list(experiment.seeds)
    if n is None:
        return own
    following = max(own) + 1
    return [*own, *range(following, following + n)][:n]
