"""Experiments that come out in every way, as a package of somebody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CLAIMS = """
import time
import numpy as np
from plaudit.reproduce import Trial, experiment

@experiment(systems=[3, 99], claim="It holds.", seeds=(0, 1, 2), seconds=0.3)
def it_holds(seed, progress):
    progress(f"half of {seed}", 0.5)
    return Trial(1.0 + 0.01 * seed, (-0.02, 0.01, 0.02)[seed % 3], "points", details={"seed": seed}, curves={"gain": [0, 0.5, 1]})

@experiment(systems=[3], claim="It is the other way round.", seeds=(0, 1, 2), seconds=0.3)
def it_does_not(seed, progress):
    return Trial(-1.0 - 0.01 * seed, 0.0, "points")

@experiment(systems=[4], claim="Labels do not matter.", seeds=(0, 1, 2), seconds=0.3)
def its_control_shows_it_too(seed, progress):
    return Trial(1.0 + 0.01 * seed, 0.9 + 0.01 * seed, "points")

@experiment(systems=[5], claim="It ends with an error.", seeds=(0, 1, 2), seconds=0.3)
def it_crashes(seed, progress):
    if seed == 1:
        raise ValueError("the second \\x1b[31m seed")
    return Trial(1.0, 0.0, "points")

@experiment(systems=[6], claim="Many items, one seed.", seeds=(7,), seconds=0.1)
def one_seed_with_items(seed, progress):
    random = np.random.default_rng(seed)
    return Trial(unit="accuracy", effect_samples=random.normal(0.5, 1, 400), control_samples=random.normal(-0.02, 1, 400))

@experiment(systems=[7], claim="It takes a while.", seeds=(0, 1, 2, 3), seconds=1000, smoke=0.01)
def it_takes_long(seed, progress, *, scale=1.0):
    if seed == 0 or scale < 1:
        return Trial(scale, 0.0, "points")
    progress("now waiting")
    time.sleep(60)
"""


@dataclass(frozen=True)
class Installed:
    """The command line with the package of claims on the import path."""

    folder: Path
    package: Path

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.package), "COLUMNS": "100", "PLAUDIT_DEBUG": ""}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "plaudit.cli", "reproduce", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(), stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    package = tmp_path / "site"
    metadata = package / "claims-1.0.dist-info"
    metadata.mkdir(parents=True)
    (package / "claims.py").write_text(CLAIMS)
    (package / "wrong.py").write_text("raise RuntimeError('it cannot be imported')")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: claims\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[plaudit.experiments]\nclaims = claims\nlong = claims:it_takes_long\nwrong = wrong\n"
    )
    folder = tmp_path / "here"
    folder.mkdir()
    return Installed(folder, package)


@dataclass(frozen=True)
class InProcess:
    """The same in this process, which saves the second that an interpreter takes to start."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        from plaudit.cli import main

        self.capture.readouterr()
        with warnings.catch_warnings():
            status = main(["reproduce", *arguments])
        return subprocess.CompletedProcess([], status, *self.capture.readouterr())


@pytest.fixture
def in_process(installed: Installed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[InProcess]:
    monkeypatch.syspath_prepend(str(installed.package))
    monkeypatch.chdir(installed.folder)
    monkeypatch.setenv("COLUMNS", "100")
    yield InProcess(installed.folder, capsys)
    sys.modules.pop("claims", None)


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package of claims, imported here."""
    (tmp_path / "claims_here.py").write_text(CLAIMS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    yield importlib.import_module("claims_here")
    sys.modules.pop("claims_here", None)
