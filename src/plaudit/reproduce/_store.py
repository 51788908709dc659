"""The folder of results: a file for each finished seed, so that nothing is measured twice, and a file for each finding."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plaudit import __version__
from plaudit.errors import ContractError, RunError
from plaudit.records import replace_file
from plaudit.reproduce._experiment import Experiment, Trial
from plaudit.reproduce._finding import Finding, Seed

_LOCK = ".lock"


class ResultFolder:
    """Results of experiments in one folder.

    ``NAME.json`` is a finding, ``seeds/NAME/SEED.json`` what one seed of it measured, ``work/NAME/`` where a seed that is under
    way keeps its checkpoints. Those of quick runs are under ``smoke/``: they never count as results. A seed that was measured by
    other code (the module of the experiment, or another version of plaudit) is measured again.

    Args:
        path: the folder; it is made when it is not there.
        smoke: the folder of quick runs inside it.
    """

    def __init__(self, path: str | os.PathLike[str], smoke: bool = False) -> None:
        self.path = Path(path)
        self.root = self.path / "smoke" if smoke else self.path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, which the kernel gives up when the process ends; raises RunError when another process holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"{self.path}: results cannot be kept there: {error.strerror or error}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path} is in use by another run: wait for it, or give another folder with -o") from None
            yield
        finally:
            os.close(descriptor)

    def seed(self, experiment: Experiment, seed: int) -> Seed | None:
        """What a seed measured; None when it has not been run, or by other code."""
        value = _read(self._seed_path(experiment, seed))
        if value is None or value.get("code") != code_digest(experiment):
            return None
        with contextlib.suppress(KeyError, TypeError, ValueError, ContractError):
            samples = {name: value[name] for name in ("effect_samples", "control_samples") if name in value}
            numbers = {name: float(value[name]) for name in ("effect", "control") if f"{name}_samples" not in samples}
            curves = {name: [np.nan if v is None else v for v in series] for name, series in value["curves"].items()}
            trial = Trial(**numbers, unit=value["unit"], details=value["details"], curves=curves, **samples)
            return Seed(seed, trial, float(value["seconds"]))
        return None

    def keep_seed(self, experiment: Experiment, done: Seed) -> None:
        """Write down what a seed measured, and empty its work folder."""
        trial = done.trial
        value: dict[str, Any] = {
            "code": code_digest(experiment),
            "seconds": done.seconds,
            "unit": trial.unit,
            "details": trial.details,
            "curves": trial.curves,
        }
        for name in ("effect", "control"):
            samples = getattr(trial, f"{name}_samples")
            value |= {name: getattr(trial, name)} if samples is None else {f"{name}_samples": samples.tolist()}
        _write(self._seed_path(experiment, done.seed), value)
        shutil.rmtree(self.work(experiment, done.seed), ignore_errors=True)

    def forget(self, experiment: Experiment) -> None:
        """Delete everything that is kept of an experiment."""
        for part in ("seeds", "work"):
            shutil.rmtree(self.root / part / experiment.name, ignore_errors=True)
        self._finding_path(experiment.name).unlink(missing_ok=True)

    def work(self, experiment: Experiment, seed: int) -> Path:
        """Where a seed may keep checkpoints of its own; other code gets another folder."""
        return self.root / "work" / experiment.name / f"{seed}-{code_digest(experiment)}"

    def keep(self, finding: Finding) -> None:
        """Write a finding."""
        _write(self._finding_path(finding.name), finding.to_json())

    def findings(self) -> list[Finding]:
        """Every finding that is kept, by name; files that are none are passed over."""
        found = []
        for path in sorted(self.root.glob("*.json")):
            value = _read(path)
            with contextlib.suppress(KeyError, TypeError, ValueError):
                if value is not None:
                    found.append(Finding.from_json(value))
        return found

    def _seed_path(self, experiment: Experiment, seed: int) -> Path:
        return self.root / "seeds" / experiment.name / f"{seed}.json"

    def _finding_path(self, name: str) -> Path:
        return self.root / f"{name}.json"


def code_digest(experiment: Experiment) -> str:
    """A short digest of the module that an experiment is written in, and of plaudit's version."""
    try:
        source = inspect.getsource(sys.modules[experiment.module])
    except (OSError, KeyError, TypeError):  # written in an interpreter: its bytecode is what there is
        source = repr((experiment.function.__code__.co_code, experiment.function.__code__.co_consts))
    return hashlib.sha256(f"{__version__}\n{source}".encode()).hexdigest()[:12]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _write(path: Path, value: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as file:
            file.write(json.dumps(value, indent=1, allow_nan=False).encode() + b"\n")
    except OSError as error:
        raise RunError(f"{path}: the result cannot be written: {error.strerror or error}") from error
