"""Probe `verify.code`: isolated runs a second beside a process a sample, HumanEval and its mutants, what long runs leave behind.

python benchmarks/verify_code.py [--json] [--long] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from plaudit import Sample
from plaudit.run.sandbox import Limits, Program, Sandbox
from plaudit.verify import Code, mutants

RUNS = 150
ROUNDS = 3
SOURCE = "print(sum(map(int, input().split())))"
PREAMBLE = """
import sys, time, itertools, collections, queue, bisect, heapq, string, math, datetime
import random, functools, io, json, re, copy, statistics
from itertools import accumulate, product, permutations, combinations
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache
from typing import List, Tuple
import numpy as np
"""
KINDS = ("negated comparison", "off by one", "swapped operator", "dropped return")


def peer_worker(source: str, given: str, expected: str, found: Any) -> None:
    """The way of verl's `prime_code`, in our words: imports, program and test in one interpreter, `os` made harmless by hand."""
    import faulthandler
    import resource
    import shutil

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    for name in ("kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork", "forkpty", "killpg"):
        setattr(os, name, None)
    shutil.rmtree = shutil.move = None  # type: ignore[assignment]
    sys.stdin = io.StringIO(given)
    written = io.StringIO()
    try:
        with contextlib.redirect_stdout(written):
            exec(compile(PREAMBLE + source, "solution", "exec"), {"__name__": "__main__"})
        found.append(written.getvalue().strip() == expected.strip())
    except BaseException:
        found.append(False)


def peer_seconds(runs: int) -> float:
    """One `multiprocessing.Process` and one manager's list for each sample, as the peer has them."""
    start = time.perf_counter()
    for k in range(runs):
        with multiprocessing.Manager() as manager:
            found, _metadata = manager.list(), manager.list()
            process = multiprocessing.Process(target=peer_worker, args=(SOURCE, f"{k} 1", f"{k + 1}", found))
            process.start()
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
                process.join()
            assert list(found) == [True]
    return time.perf_counter() - start


def bare_peer_seconds(runs: int) -> float:
    """The same without the manager: a process and a pipe for each sample."""
    start = time.perf_counter()
    for k in range(runs):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=_to_pipe, args=(SOURCE, f"{k} 1", f"{k + 1}", theirs))
        process.start()
        assert ours.recv() is True
        process.join()
        ours.close()
        theirs.close()
    return time.perf_counter() - start


def _to_pipe(source: str, given: str, expected: str, pipe: Any) -> None:
    found: list[bool] = []
    peer_worker(source, given, expected, found)
    pipe.send(found[0])


def own_seconds(sandbox: Sandbox, runs: int) -> float:
    start = time.perf_counter()
    for k in range(runs):
        assert sandbox.run(Program(SOURCE), b"%d 1" % k, Limits(wall=10)).stdout == b"%d\n" % (k + 1)
    return time.perf_counter() - start


def left_behind(sandbox: Sandbox, runs: int) -> dict[str, int]:
    """Zombies, open files, files in /tmp and namespaces that `runs` more runs leave."""

    def count() -> dict[str, int]:
        lines = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout.split("\n")
        states = {int(pid): (int(parent), state) for pid, parent, state in (line.split() for line in lines if line.strip())}
        ours = {os.getpid()}
        while more := {pid for pid, (parent, state) in states.items() if parent in ours} - ours:
            ours |= more
        spaces = set()
        for pid in ours:
            with contextlib.suppress(OSError):
                spaces.add(os.readlink(f"/proc/{pid}/ns/pid"))
        return {
            "zombies": sum("Z" in states.get(pid, (0, ""))[1] for pid in ours), "processes": len(ours),
            "descriptors": len(os.listdir("/proc/self/fd")), "namespaces": len(spaces),
        }  # fmt: skip

    sandbox.run(Program("pass"))
    before = count()
    for k in range(runs):
        sandbox.run(Program(SOURCE if k % 10 else "import os\nopen('/tmp/x', 'w').write('x')\nos.abort()"), b"1 2")
    return {name: value - before[name] for name, value in count().items()}


def humaneval(folder: Path) -> dict[str, Any]:
    """How many references pass, and how many of the first mutant of each kind are caught."""
    with gzip.open(folder / "humaneval" / "HumanEval.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    judge = Code(timeout=10)
    start = time.perf_counter()
    passed = judge.score([Sample(row["prompt"], row["canonical_solution"], reference=row) for row in rows])
    seconds = time.perf_counter() - start
    changed: dict[str, list[Sample]] = {kind: [] for kind in KINDS}
    for row in rows:
        first = {m.kind: m for m in reversed(mutants(row["prompt"] + row["canonical_solution"]))}
        for kind in KINDS:
            if kind in first:
                changed[kind].append(Sample(row["prompt"], f"```python\n{first[kind].source}\n```", reference=row))
    caught = {}
    for kind, samples in changed.items():
        values = [verdict.value for verdict in judge.score(samples)]
        caught[kind] = f"{sum(value == 0.0 for value in values)} of {len(values)}"
    return {
        "references that pass": f"{sum(verdict.value == 1.0 for verdict in passed)} of {len(rows)}",
        "seconds": round(seconds, 2), "mutants caught": caught,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON only")
    parser.add_argument("--long", action="store_true", help="10,000 runs instead of 2,000 before looking for what is left")
    parser.add_argument("--data", default=os.environ.get("PLAUDIT_DATA"), help="folder with humaneval/HumanEval.jsonl.gz")
    options = parser.parse_args()
    core = sorted(os.sched_getaffinity(0))[:1]
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)  # all of it on one core, the sandbox's processes included
    report: dict[str, Any] = {"load": os.getloadavg()[0]}
    with Sandbox(workers=1) as sandbox:
        sandbox.run(Program("pass"))
        rows = [(RUNS / own_seconds(sandbox, RUNS), RUNS / bare_peer_seconds(RUNS), 30 / peer_seconds(30)) for _ in range(ROUNDS)]
        report["isolated runs/s on one core"] = [round(row[0]) for row in rows]
        report["process a sample, pipe, runs/s"] = [round(row[1]) for row in rows]
        report["process a sample, manager (prime_code), runs/s"] = [round(row[2], 1) for row in rows]
        report["times prime_code"] = round(statistics.median(row[0] / row[2] for row in rows), 1)
        runs = 10_000 if options.long else 2_000
        report[f"left behind by {runs:,} runs"] = left_behind(sandbox, runs)
    os.sched_setaffinity(0, everywhere)
    if options.data:
        report["HumanEval"] = humaneval(Path(options.data))
    json.dump(report, sys.stdout, indent=None if options.json else 1)
    print()


if __name__ == "__main__":
    main()
