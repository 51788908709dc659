"""Score a file of answers: a run folder with every verdict, and the rows that could not be read set aside."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).parent
with tempfile.TemporaryDirectory() as folder:
    run = Path(folder) / "run"
    command = [sys.executable, "-m", "plaudit.cli", "score", here / "reward.yaml", here / "candidates.jsonl", "-o", run, "--json"]
    summary = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"{summary['scored']} of {summary['n']} rows scored, mean reward {summary['mean']:.3f}")
    print("written:", *sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()), sep="\n  ")

    # The same command again finds everything there: only what is missing is scored, also after kill -9.
    again = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert again["mean"] == summary["mean"]
    assert again["per_second"] is None, "nothing was left to score"
