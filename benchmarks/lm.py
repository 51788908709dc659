"""Every benchmark of language models, one after another, and one table of what they reached beside their goals.

    python benchmarks/lm.py                          # each with its own settings
    python benchmarks/lm.py --only lm_read,sampling --json

Each runs in a process of its own, so that none warms up or slows down another. The exit status is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
BENCHMARKS = ("lm_read", "sampling", "lm_encoder", "openai_client")


@dataclass(frozen=True)
class Result:
    benchmark: str
    what: str
    ratio: float | None
    goal: str
    reached: bool | None


def run(name: str) -> tuple[list[Result], str]:
    """The rows of a benchmark, or, where it has no ``--json``, what it prints."""
    script = FOLDER / f"{name}.py"
    gives_json = '"--json"' in script.read_text()
    command = [sys.executable, str(script), *(["--json"] if gives_json else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [Result(name, f"stopped with status {done.returncode}: {said}", None, "", False)], done.stdout
    if not gives_json:
        return [], done.stdout
    return [result(name, row) for row in json.loads(done.stdout)], ""


def result(name: str, row: dict[str, Any]) -> Result:
    """A row of a benchmark with its goal judged; only goals of the form ">= 2.7x" are."""
    ratio, goal = row.get("ratio"), row.get("goal") or ""
    bound = re.match(r">= ([\d.]+)", goal)
    reached = None if bound is None or ratio is None else ratio >= float(bound[1])
    return Result(name, str(row.get("what", "")), ratio, goal, row.get("reached", reached))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"names, with commas: of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        parser.error(f"--only names {', '.join(sorted(unknown))}: expected some of {', '.join(BENCHMARKS)}")
    results: list[Result] = []
    printed: dict[str, str] = {}
    for name in chosen:
        if not (FOLDER / f"{name}.py").is_file():
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        rows, text = run(name)
        results += rows
        if text:
            printed[name] = text
    if arguments.json:
        print(json.dumps({"results": [asdict(row) for row in results], "printed": printed}, indent=2))
    else:
        print(f"{'benchmark':14} {'':64} {'ratio':>8}  {'goal':28} reached")
        for row in results:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
            reached = "" if row.reached is None else "yes" if row.reached else "NO"
            print(f"{row.benchmark:14} {row.what[:64]:64} {ratio:>8}  {row.goal:28} {reached}")
        for name, text in printed.items():
            print(f"\n{name}\n{text.rstrip()}")
    sys.exit(any(row.reached is False for row in results))


if __name__ == "__main__":
    main()
