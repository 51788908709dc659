"""The command line in a folder of its own: in this process, or as a process of its own where that matters."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plaudit.cli import main

REWARD = """\
use: sum
weights: {correct: 1.0, overlong: 0.2}
parts:
  correct:
    use: gate
    cond: {use: verify.format, tags: [think], outside: text}
    body: {use: verify.math}
  overlong: {use: verify.length, max_length: 60, cache: 20, unit: characters}
"""

ROWS = [
    {"id": "a", "prompt": "2+2?", "completion": "<think>easy</think>4", "reference": "4"},
    {"id": "b", "prompt": "2+2?", "completion": "<think>hm</think>5", "reference": "4"},
    {"id": "c", "prompt": "2+2?", "completion": "4", "reference": "4"},
    {"id": "d", "prompt": "2+2?", "completion": "<think>" + "well " * 20 + "</think>4", "reference": "4"},
    {"id": "e", "prompt": "3+3?", "completion": "<think>easy</think>6", "reference": "6"},
    {"id": "f", "prompt": "3+3?", "completion": "<think>easy</think>6"},
]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stands on standard output, which must be one JSON document."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@dataclass(frozen=True)
class CommandLine:
    """Runs ``plaudit`` in a folder with a reward (reward.yaml) and rows (answers.jsonl)."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PLAUDIT_CACHE": str(self.folder / "cache.sqlite"), "PLAUDIT_DEBUG": "", "COLUMNS": "80", **more}

    def start(self, *arguments: str, before: Callable[[], None] | None = None, **options: Any) -> subprocess.Popen[Any]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": self.environment(), **options}
        command = [sys.executable, "-m", "plaudit.cli", *arguments]
        return subprocess.Popen(command, cwd=self.folder, preexec_fn=before, start_new_session=True, **options)

    def __call__(self, *arguments: str, stdin: bytes | None = None, **environment: str) -> Ended:
        """In this process, which saves the half second that an interpreter takes to start."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.chdir(self.folder)
            for name, value in {**self.environment(), **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin or b"")))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            status = main(list(arguments))
        return Ended(status, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err)))  # type: ignore[attr-defined]

    def process(
        self, *arguments: str, stdin: bytes | None = None, before: Callable[[], None] | None = None, **environment: str
    ) -> Ended:
        """As a process of its own."""
        process = self.start(
            *arguments, before=before, env=self.environment(**environment),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        )  # fmt: skip
        try:
            out, err = process.communicate(stdin, timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ended(process.returncode, out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace"))

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, name: str, rows: Iterable[dict[str, Any]]) -> Path:
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def run(self, name: str) -> list[dict[str, Any]]:
        """The rows of a run, without what differs from run to run."""
        from plaudit.run import RunFolder

        return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(self.folder / name).read().to_pylist()]


@pytest.fixture
def plaudit(tmp_path: Path) -> CommandLine:
    command = CommandLine(tmp_path)
    command.write("reward.yaml", REWARD)
    command.rows("answers.jsonl", ROWS)
    return command
