"""Ctrl-C and kill -9 at any moment: what is committed stays, and the same command goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

REWARDS = """
import asyncio, time
from plaudit.reward import reward

@reward(range=(0, 1))
def inline(response):
    time.sleep(0.002)
    return len(response) / 1000

@reward(range=(0, 1), lane="cpu", timeout=5)
def cpu(response):
    time.sleep(0.003)
    return len(response) / 1000

@reward(range=(0, 1))
async def io(response):
    await asyncio.sleep(0.1)
    return len(response) / 1000
"""


def left_over(marker: str) -> list[int]:
    """Processes that were started with that text in their environment and still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found


@pytest.mark.parametrize("lane", ["inline", "cpu", "io"])
def test_ctrl_c_at_random_moments_ends_with_130_and_the_run_goes_on(plaudit: Any, lane: str) -> None:
    plaudit.write("rewards.py", REWARDS)
    plaudit.rows("many.jsonl", ({"prompt": "?", "completion": "x" * (k % 700)} for k in range(600)))
    chance, marker = random.Random(lane), str(plaudit.folder / "cache.sqlite")
    arguments = ("score", f"rewards.py:{lane}", "many.jsonl", "-o", "run", "--window", "20", "--no-cache", "--json")
    interrupted = 0
    for _ in range(2):
        process = plaudit.start(*arguments)
        lock = plaudit.folder / "run" / ".lock"
        while process.poll() is None and not (lock.exists() and lock.read_text().startswith(f"{process.pid} ")):
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.5))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        _, err = process.communicate(timeout=20)
        said = err.decode()
        assert process.returncode in (130, 0), said
        assert "Traceback" not in said, said
        if process.returncode == 130 and "interrupted" in said:
            assert "the same command with -o run goes on" in said
            interrupted += 1
    assert interrupted >= 1
    ended = plaudit.process(*arguments)
    assert ended.status == 0, ended.err
    assert (ended.json["n"], ended.json["scored"]) == (600, 600)
    assert [row["value"] for row in plaudit.run("run")] == [(k % 700) / 1000 for k in range(600)]
    deadline = time.monotonic() + 5
    while left_over(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left_over(marker)


def test_ctrl_c_while_the_command_is_still_starting_is_quiet(plaudit: Any) -> None:
    chance = random.Random(1)
    for _ in range(5):
        process = plaudit.start("score", "reward.yaml", "answers.jsonl", "-o", "run", "--json")
        time.sleep(chance.uniform(0.05, 0.5))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        # The interpreter itself ends by the signal as long as it has not come to our code.
        assert process.returncode in (130, 0, -signal.SIGINT)
        assert "Traceback" not in err.decode() or process.returncode == -signal.SIGINT
    assert plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--json").json["n"] == 6


@pytest.mark.parametrize("lane", ["inline", "cpu", "io"])
def test_a_run_that_is_killed_repeats_at_most_the_windows_under_way_and_ends_the_same(lane: str) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"
    command = [sys.executable, str(script), "--rows", "200", "--kills", "1", "--lane", lane, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout)
    assert result["identical"]
    assert result["repeated"] == sum(result["lost"]) > 0
