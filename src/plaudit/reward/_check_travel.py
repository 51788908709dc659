"""How a reward travels: pickled to another process, and written down as a spec."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

from plaudit.errors import ContractError, SpecError
from plaudit.reward._base import Reward
from plaudit.reward._check_report import Finding
from plaudit.reward._check_trial import Scoring, Trial, same
from plaudit.reward._spec import from_spec
from plaudit.run import Ending, shared_cpu_pool


def pickling(trial: Trial) -> Iterator[Finding]:
    """Whether a pickled copy has the same fingerprint and says the same."""
    try:
        travelled: Any = pickle.loads(pickle.dumps(trial.reward))
    except Exception:
        yield from _pickling_by_value(trial)
        return
    if travelled.fingerprint != trial.reward.fingerprint:
        yield Finding("pickling", "failed", "comes back from pickling with another fingerprint")
    if trial.facts.deterministic:
        verdicts = Trial.scored(travelled, trial.samples, trial.context)
        yield from same(trial, "pickling", "after pickling, the same verdicts", verdicts)
    yield Finding("pickling", "ok", "comes back from pickling with the same fingerprint")


def _pickling_by_value(trial: Trial) -> Iterator[Finding]:
    """What was written in a notebook or inside a function travels by value, as the cpu lane sends it.

    It is loaded in a worker: loaded in this process, cloudpickle would write over the very class that is checked.
    """
    import cloudpickle

    scoring = Scoring(trial.reward, trial.context)
    try:
        cloudpickle.dumps(scoring)
    except Exception as error:
        yield Finding("pickling", "failed", f"cannot be pickled, not even by value: {type(error).__name__}: {error}")
        return
    if trial.facts.lane == "inline" and not (trial.context.models or trial.context.environments):
        (outcome,) = shared_cpu_pool().submit(scoring, [trial.samples], timeout=max(60.0, trial.seconds)).result()
        if outcome.ending is not Ending.DONE:
            said = outcome.error or outcome.detail
            yield Finding("pickling", "failed", f"travels by value, and does not score in another process: {said}")
        elif trial.facts.deterministic:
            yield from same(trial, "pickling", "by value in another process, the same verdicts", outcome.value)
    yield Finding("pickling", "ok", "travels by value")


def spec_findings(reward: Reward) -> Iterator[Finding]:
    """Whether the spec, and the spec as YAML, load as a reward with the same fingerprint."""
    try:
        spec, text = reward.spec, reward.to_yaml()
    except SpecError as error:
        yield Finding("spec", "skipped", f"has no spec: {error}")
        return
    for form, source in (("its spec", spec), ("its YAML", text)):
        try:
            built = from_spec(source)
        except (SpecError, ContractError) as error:
            yield Finding("spec", "failed", f"{form} does not load: {error}")
            continue
        if built.fingerprint != reward.fingerprint:
            yield Finding(
                "spec", "failed", f"{form} loads as a reward with another fingerprint: {json.dumps(spec, default=str):.300}"
            )
    yield Finding("spec", "ok", "loads from its spec and from its YAML with the same fingerprint")
