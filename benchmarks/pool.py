"""Probe the cpu lane: throughput beside two bare forked processes, tiny tasks, kill to replacement, warm start.

python benchmarks/pool.py
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time

from plaudit.run._pool import CpuPool, Ending

TASK_S = 0.005
TASKS = 400
WORKERS = 2


def busy(seconds: float) -> int:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return 1


def hang(path: str) -> None:
    """Write down when it started, then never end."""
    with open(path, "w") as file:
        file.write(repr(time.monotonic()))
    time.sleep(60)


def now(_: object) -> float:
    return time.monotonic()


def bare_seconds() -> float:
    """The same tasks in bare forked processes with nothing between them: what the machine allows at this moment."""
    start = time.perf_counter()
    children = []
    for _ in range(WORKERS):
        child = os.fork()
        if child == 0:
            for _ in range(TASKS // WORKERS):
                busy(TASK_S)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return time.perf_counter() - start


def pool_seconds(pool: CpuPool, seconds: float, tasks: int) -> float:
    start = time.perf_counter()
    outcomes = pool.submit(busy, [seconds] * tasks, timeout=5).result()
    elapsed = time.perf_counter() - start
    assert all(outcome.ending is Ending.DONE for outcome in outcomes)
    return elapsed


def deadline_to_answer_ms(timeout: float, rounds: int = 100) -> list[float]:
    """Milliseconds from the deadline of a hung item to the answer, in this process, of the item behind it.

    There is one worker, so only its replacement can give that answer.
    """
    delays = []
    with CpuPool(workers=1) as pool, tempfile.TemporaryDirectory() as folder:
        pool.warm()
        path = os.path.join(folder, "start")
        for _ in range(rounds):
            hung = pool.submit(hang, [path], timeout=timeout)
            (answer,) = pool.submit(now, [None], timeout=timeout).result()
            answered = time.monotonic()
            assert answer.ending is Ending.DONE, answer
            assert hung.result()[0].ending is Ending.OVERRAN
            with open(path) as file:
                delays.append((answered - float(file.read()) - timeout) * 1e3)
        stats = pool.stats
        assert (stats.killed, stats.lost) == (rounds, 0), stats
    return delays


def main() -> None:
    started = time.perf_counter()
    pool = CpuPool(workers=WORKERS)
    pool.warm()
    report: dict[str, object] = {"warm_ms": round((time.perf_counter() - started) * 1e3, 1), "load": os.getloadavg()[0]}
    ratios, ideals = [], []
    for _ in range(5):
        bare = bare_seconds()
        own = pool_seconds(pool, TASK_S, TASKS)
        ratios.append(bare / own)
        ideals.append(TASK_S * TASKS / WORKERS / own)
    report["5 ms: of bare processes"] = [round(ratio, 3) for ratio in ratios]
    report["5 ms: of ideal"] = [round(ratio, 3) for ratio in ideals]
    report["10 us tasks/s"] = round(50_000 / pool_seconds(pool, 1e-5, 50_000))
    report["empty tasks/s"] = round(100_000 / pool_seconds(pool, 0.0, 100_000))
    pool.close()
    delays = deadline_to_answer_ms(0.05)
    report["deadline to the replacement's answer, ms"] = {
        "p50": round(statistics.median(delays), 2),
        "max": round(max(delays), 2),
    }
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
