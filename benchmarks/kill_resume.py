"""Kills a run with SIGKILL at random moments, resumes it, and compares it with a run that nobody disturbed.

    python benchmarks/kill_resume.py [--rows 2000] [--kills 5] [--lane inline|cpu|io] [--seed 0] [--json]

The reward writes the id of every sample that it is called with into a log, so that repeated work can be counted. The status is
1 unless the final run is identical and no more than the windows that were under way when the process was killed was repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WINDOW = 50
IN_FLIGHT = {"inline": 1, "cpu": 3, "io": 4}
REWARDS = """
import asyncio, os, time
from plaudit.reward import reward

def note(id):
    log = os.open(os.environ["CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{id}\\n".encode())
    os.close(log)

@reward(range=(0, 1))
def inline(id, response, reference):
    note(id)
    time.sleep(0.002)
    return float(response == reference)

@reward(range=(0, 1), lane="cpu", timeout=5)
def cpu(id, response, reference):
    note(id)
    time.sleep(0.002)
    return float(response == reference)

@reward(range=(0, 1))
async def io(id, response, reference):
    note(id)
    await asyncio.sleep(0.02)
    return float(response == reference)
"""


class Trial:
    """A folder with a reward, data, and the runs made of them."""

    def __init__(self, folder: Path, rows: int, lane: str) -> None:
        self.folder, self.rows, self.lane = folder, rows, lane
        (folder / "rewards.py").write_text(REWARDS)
        with (folder / "data.jsonl").open("w") as file:
            for k in range(rows):
                file.write(json.dumps({"prompt": f"{k} + 1?", "completion": str(k + 1 + (k % 3 == 0)), "reference": str(k + 1)}))
                file.write("\n")

    def start(self, run: str) -> subprocess.Popen[bytes]:
        """Score into the folder of that name, in a process of its own."""
        command = [
            sys.executable, "-m", "plaudit.cli", "score", f"rewards.py:{self.lane}", "data.jsonl", "-o", run, "--no-cache",
            "--window", str(WINDOW), "--json",
        ]  # fmt: skip
        environment = {**os.environ, "CALLS": str(self.folder / f"{run}.calls")}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, run: str) -> None:
        """Score to the end."""
        process = self.start(run)
        _, said = process.communicate()
        if process.returncode != 0:
            raise SystemExit(f"plaudit score ended with {process.returncode}: {said.decode()}")

    def calls(self, run: str) -> list[str]:
        """Ids in the order in which the reward was called with them."""
        path = self.folder / f"{run}.calls"
        return path.read_text().split() if path.exists() else []

    def settle(self, run: str) -> None:
        """Wait until nobody calls the reward any more: workers end with their process, but not in the same instant."""
        calls = -1
        while calls != (calls := len(self.calls(run))):
            time.sleep(0.3)

    def table(self, run: str) -> list[dict[str, Any]]:
        """The committed rows, without what may differ: the seconds."""
        from plaudit.run import RunFolder

        if not (self.folder / run / "manifest.json").exists():
            return []
        return [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(self.folder / run).read().to_pylist()]


def demonstrate(trial: Trial, kills: int, chance: random.Random, say: Any) -> dict[str, Any]:
    """Run once undisturbed and once with kills; what came of it."""
    trial.finish("undisturbed")
    say(f"undisturbed: {trial.rows} rows, {len(trial.calls('undisturbed'))} calls")
    lost = []
    for k in range(kills):
        before = len(trial.calls("killed"))
        process = trial.start("killed")
        goal = min(trial.rows - 1, before + chance.randrange(1, max(2, 2 * trial.rows // (kills + 1))))
        while len(trial.calls("killed")) < goal and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
        trial.settle("killed")
        committed = {row["id"] for row in trial.table("killed")}
        called = trial.calls("killed")
        uncommitted = sum(name not in committed for name in called[before:])
        lost.append(uncommitted)
        say(f"kill -9 number {k + 1}: {len(called)} calls so far, {len(committed)} rows committed, {uncommitted} calls lost")
    trial.finish("killed")
    calls = trial.calls("killed")
    same = trial.table("killed") == trial.table("undisturbed")
    most = WINDOW * IN_FLIGHT[trial.lane]
    result = {
        "lane": trial.lane, "rows": trial.rows, "kills": kills, "identical": same, "calls": len(calls),
        "repeated": len(calls) - trial.rows, "lost": lost, "most_a_kill_may_lose": most, "missing": trial.rows - len(set(calls)),
    }  # fmt: skip
    result["ok"] = same and max(lost, default=0) <= most and len(calls) == trial.rows + sum(lost) and not result["missing"]
    say(f"resumed to the end: {len(calls)} calls for {trial.rows} rows, {len(calls) - trial.rows} repeated")
    say(f"the run is {'identical to' if same else 'DIFFERENT from'} the undisturbed one")
    say(f"a kill lost at most {max(lost, default=0)} calls; {IN_FLIGHT[trial.lane]} windows of {WINDOW} may be under way: {most}")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill and resume a run.")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--lane", choices=list(IN_FLIGHT), default="inline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), given.rows, given.lane)
        result = demonstrate(trial, given.kills, random.Random(given.seed), (lambda line: None) if given.json else print)
    if given.json:
        print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
