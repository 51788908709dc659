"""What the contract costs: imports, the runner, the cache, the pool of workers, killing a hung task.

    python benchmarks/contract.py            # the table
    python benchmarks/contract.py --json     # the same for machines

Each row is a ratio to a named peer measured in the same run, next to the absolute figure and its goal.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from plaudit import Sample, Verdict
from plaudit.reward import Facts, Reward, reward
from plaudit.run import CpuPool, Ending, VerdictCache, using


@dataclass(frozen=True)
class Row:
    what: str
    measured: float
    unit: str
    goal: str
    reached: bool
    ratio: float
    peer: str


def imports() -> list[Row]:
    """`import plaudit` in a fresh interpreter, beside numpy, compiled files in place."""

    def seconds(statement: str) -> float:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        runs = [
            float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
            for _ in range(7)
        ]
        return statistics.median(runs[1:])

    numpy = seconds("import numpy")
    bare = seconds("import plaudit")
    whole = seconds("import plaudit; plaudit.Reward, plaudit.Sample")
    heavy = "{'torch', 'pyarrow', 'httpx', 'typer', 'rich'}"
    loaded = subprocess.run(
        [sys.executable, "-c", f"import plaudit, sys; plaudit.Reward; print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    return [
        Row("import plaudit", bare, "s", "< 0.3", bare < 0.3, bare / numpy, "import numpy"),
        Row(
            f"import plaudit; plaudit.Reward (heavy: {loaded})",
            whole,
            "s",
            "< 0.3",
            whole < 0.3 and loaded == "[]",
            whole / numpy,
            "import numpy",
        ),
    ]


@dataclass(frozen=True)
class Constant(Reward):
    """Always the same verdict: its own call costs next to nothing."""

    value: float = 0.5

    @property
    def facts(self) -> Facts:
        return Facts(range=(0, 1), reads=frozenset({"response"}))

    def score_one(self, sample: Sample, context: object) -> Verdict:
        return _VERDICTS[self.value]


_VERDICTS = {k / 4: Verdict(k / 4) for k in range(5)}


def runner(n: int = 10_000) -> list[Row]:
    """Runner and algebra of a three-leaf reward, the leaves' own calls taken off."""
    leaves = [Constant(k / 4) for k in (1, 2, 3)]
    composed = leaves[0].named("a") + 0.5 * leaves[1].named("b") + 0.1 * leaves[2].named("c")
    samples = [Sample(f"prompt {k}", f"response {k}", str(k)) for k in range(n)]

    def own_calls() -> float:
        before = time.perf_counter()
        for leaf in leaves:
            for sample in samples:
                leaf.score_one(sample, None)
        return time.perf_counter() - before

    def by_hand() -> float:
        before = time.perf_counter()
        totals = []
        for sample in samples:
            a, b, c = (leaf.score_one(sample, None) for leaf in leaves)
            totals.append(a.value + 0.5 * b.value + 0.1 * c.value)
        return time.perf_counter() - before

    def scored() -> float:
        before = time.perf_counter()
        composed.score(samples)
        return time.perf_counter() - before

    runs = [(scored(), own_calls(), by_hand()) for _ in range(7)]
    overhead = statistics.median(a - b for a, b, _ in runs) / n * 1e6
    ratio = statistics.median(a / c for a, _, c in runs)
    return [
        Row("runner + algebra, three leaves", overhead, "µs a sample", "<= 10", overhead <= 10, ratio, "a loop written by hand")
    ]


def cache(n: int = 20_000) -> list[Row]:
    """Verdicts served from the cache, whole path from `score` to columns."""
    calls = [0]

    @reward(range=(0, 1), lane="gpu", batch=True)
    def slow(responses: list[str]) -> list[float]:
        calls[0] += len(responses)
        return [len(r) % 2 for r in responses]

    slow.__dict__["_pin"] = (slow.fingerprint, ())  # the counter in the closure would make it unversioned
    samples = [Sample(f"prompt {k}", f"response {k}", str(k)) for k in range(n)]
    with tempfile.TemporaryDirectory() as folder, using(cache=VerdictCache(Path(folder) / "cache.sqlite"), batch_size=1024):
        before = time.perf_counter()
        slow.score(samples)
        cold = time.perf_counter() - before
        rates = []
        for _ in range(3):
            before = time.perf_counter()
            slow.score(samples)
            rates.append(n / (time.perf_counter() - before))
    hits = statistics.median(rates)
    assert calls[0] == n, f"{calls[0] - n} samples were scored again"
    return [Row("cache hits", hits, "a second", ">= 20,000", hits >= 20_000, hits * cold / n, "first call, writing")]


def busy(seconds: float) -> float:
    """Use a processor for so many seconds of its own time."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return seconds


def pool(tasks: int = 400, seconds: float = 0.005, workers: int = 2) -> list[Row]:
    """The cpu lane on 5 ms tasks, against the time that two processors need at least."""
    with_pool = CpuPool(workers)
    try:
        with_pool.submit(busy, [seconds] * 20).result()
        shares = []
        for _ in range(5):
            before = time.perf_counter()
            outcomes = with_pool.submit(busy, [seconds] * tasks, timeout=5).result()
            took = time.perf_counter() - before
            assert all(o.ending is Ending.DONE for o in outcomes)
            shares.append(tasks * seconds / workers / took)
    finally:
        with_pool.close()
    share = statistics.median(shares)
    return [
        Row(
            f"cpu pool, {seconds * 1e3:g} ms tasks, {workers} workers",
            tasks / (tasks * seconds / workers / share),
            "tasks a second",
            ">= 95% of ideal",
            share >= 0.95,
            share,
            "ideal",
        )
    ]


def _hang_or_answer(item: int) -> int:
    if item < 0:
        time.sleep(3600)
    return item


def hung(times: int = 100, timeout: float = 0.1) -> list[Row]:
    """A hung task with neighbours: from its deadline to the verdict on everything, 100 times in a row."""
    workers = CpuPool(2)
    late = []
    try:
        workers.submit(_hang_or_answer, [1, 2]).result()
        for k in range(times):
            items = [k, -1, k + 1, k + 2]
            before = time.perf_counter()
            outcomes = workers.submit(_hang_or_answer, items, timeout=timeout).result()
            late.append((time.perf_counter() - before - timeout) * 1e3)
            assert [o.value for o in outcomes] == [k, None, k + 1, k + 2], f"neighbours were lost: {outcomes}"
            assert outcomes[1].ending is Ending.OVERRAN, outcomes[1]
    finally:
        workers.close()
    worst = max(late)
    return [
        Row(
            "hung task: deadline to killed, replaced, all answered (worst of 100)",
            worst,
            "ms",
            "<= 20",
            worst <= 20,
            worst / (timeout * 1e3),
            "its deadline",
        ),
        Row(
            "the same, median",
            statistics.median(late),
            "ms",
            "<= 20",
            statistics.median(late) <= 20,
            statistics.median(late) / (timeout * 1e3),
            "its deadline",
        ),
    ]


PARTS: dict[str, Callable[[], list[Row]]] = {"imports": imports, "runner": runner, "cache": cache, "pool": pool, "hung": hung}


def main() -> int:
    chosen = [a for a in sys.argv[1:] if not a.startswith("-")] or list(PARTS)
    rows = [row for name in chosen for row in PARTS[name]()]
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
    else:
        for row in rows:
            mark = "ok  " if row.reached else "MISS"
            print(f"{mark} {row.what}: {row.measured:.4g} {row.unit} (goal {row.goal}); {row.ratio:.3g}x {row.peer}")
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
