"""Probe the cpu lane: throughput beside two bare forked processes, tiny tasks, kill to replacement, warm start.

python benchmarks/_pool_probe.py
"""

from __future__ import annotations

import json
import os
import statistics
import sys
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


def clock(item: float) -> float:
    """Sleep for a hung item (positive seconds); else tell when the replacement ran."""
    if item > 0:
        time.sleep(item)
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


def kill_to_answer_ms(pool: CpuPool, timeout: float) -> float:
    """Milliseconds from the deadline of a hung item to the start of the item that ran in the replacement."""
    hung, after = pool.submit(clock, [30.0, 0.0], timeout=timeout).result()
    assert hung.ending is Ending.OVERRAN, hung
    assert after.ending is Ending.DONE, after
    return (hung.seconds - timeout) * 1e3


def replacement_ms(timeout: float) -> list[float]:
    """With one worker, so that the second item can only run in the replacement."""
    delays = []
    with CpuPool(workers=1) as pool:
        pool.submit(clock, [0.0]).result()
        for _ in range(100):
            hung = pool.submit(clock, [30.0], timeout=timeout)
            after = pool.submit(clock, [0.0], timeout=timeout)
            outcome = hung.result()[0]
            assert outcome.ending is Ending.OVERRAN, outcome
            answered = after.result()[0]
            assert answered.ending is Ending.DONE, answered
            delays.append((time.monotonic(), outcome.seconds - timeout, answered.value))
        stats = pool.stats
        assert stats.killed == 100, stats
        assert stats.lost == 0, stats
    return [overshoot * 1e3 for _, overshoot, _ in delays]


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
    delays = replacement_ms(0.05)
    report["kill ms"] = {"p50": round(statistics.median(delays), 2), "max": round(max(delays), 2)}
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
