"""Credit on a million tokens, beside plain Python loops on the same batch, and how the time grows.

    python benchmarks/credit.py                     # 512 groups of 8 responses, about 244 tokens each
    python benchmarks/credit.py --runs 9 --largest 7 --json

Seconds are the least of the runs, of one process with one thread; the loops run once. The batch has forks at which responses of
a group part; "one stem" is the worst case for the tree, all responses of a group alike. Loops and arrays are compared value by
value.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from plaudit.credit import (
    group_advantage,
    min_form,
    prefix_values,
    redistribute_by_attention,
    redistribute_by_prefix,
    returns_to_go,
)
from plaudit.credit import tree_advantage as tree
from plaudit.stats import growth_exponent

Floats = NDArray[np.float64]
GOAL_SECONDS, GOAL_RATIO = 0.2, 20.0


@dataclass(frozen=True)
class Batch:
    tokens: NDArray[np.int64]
    stem: NDArray[np.int64]
    offsets: NDArray[np.int64]
    values: Floats
    rewards: Floats
    groups: NDArray[np.int64]


def draw(size: int, seed: int = 0) -> Batch:
    """About `size` tokens in groups of 8; a group goes together for a while and parts."""
    rng = np.random.default_rng(seed)
    responses = max(8, size // 244 // 8 * 8)
    lengths = rng.integers(100, 389, responses)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    fork = np.repeat(rng.integers(0, 60, responses), lengths)
    tokens = np.where(place < fork, place % 997, rng.integers(0, 50_000, offsets[-1]))
    rewards = rng.integers(0, 2, responses).astype(np.float64)
    return Batch(tokens, place % 997, offsets, rng.uniform(-1, 1, offsets[-1]), rewards, np.arange(responses) // 8)


def loop_min_form(b: Batch) -> list[float]:
    values, ends, found = b.values.tolist(), b.offsets.tolist(), []
    for begin, end in pairwise(ends):
        row = values[begin:end]
        least = min(row)
        weights = [math.exp((least - x) / 0.1) for x in row]
        total = sum(weights)
        found += [x * w / total for x, w in zip(row, weights, strict=True)]
    return found


def loop_returns(b: Batch) -> list[float]:
    found, ends = b.values.tolist(), b.offsets.tolist()
    for begin, end in pairwise(ends):
        after = 0.0
        for t in range(end - 1, begin - 1, -1):
            after += found[t]
            found[t] = after
    return found


def loop_attention(b: Batch) -> list[float]:
    values, ends, rewards, found = np.abs(b.values).tolist(), b.offsets.tolist(), b.rewards.tolist(), []
    for i, (begin, end) in enumerate(pairwise(ends)):
        row = values[begin:end]
        total = sum(row)
        for weight in row:
            found.append(0.8 * rewards[i] * weight / total)
        found[-1] += 0.2 * rewards[i]
    return found


def loop_prefix(b: Batch) -> list[float]:
    values, ends, found = b.values.tolist(), b.offsets.tolist(), []
    for begin, end in pairwise(ends):
        before = 0.0
        for t in range(begin, end):
            found.append(values[t] - before)
            before = values[t]
    return found


def loop_tree(b: Batch, tokens: NDArray[np.int64]) -> list[float]:
    """A dictionary of nodes: the child of a node by its token."""
    ids, ends, rewards, groups = tokens.tolist(), b.offsets.tolist(), b.rewards.tolist(), b.groups.tolist()
    children: dict[tuple[int, int], int] = {}
    total, count, path = defaultdict(float), defaultdict(int), []
    for i, (begin, end) in enumerate(pairwise(ends)):
        node = -1 - groups[i]
        for t in range(begin, end):
            node = children.setdefault((node, ids[t]), len(children))
            total[node] += rewards[i]
            count[node] += 1
            path.append(node)
    return [total[node] / count[node] for node in path]


def loop_groups(rewards: Floats, groups: NDArray[np.int64]) -> list[float]:
    members = defaultdict(list)
    values = rewards.tolist()
    for i, group in enumerate(groups.tolist()):
        members[group].append(i)
    found = [0.0] * len(values)
    for rows in members.values():
        mean = sum(values[i] for i in rows) / len(rows)
        spread = math.sqrt(sum((values[i] - mean) ** 2 for i in rows) / (len(rows) - 1))
        for i in rows:
            found[i] = (values[i] - mean) / (spread + 1e-6)
    return found


def least(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def cases(b: Batch) -> dict[str, tuple[Callable[[], Floats], Callable[[], list[float]] | None]]:
    rng = np.random.default_rng(1)
    n, attention = len(b.tokens), np.abs(b.values)
    groups, rewards = np.arange(n) // 8, rng.uniform(0, 1, n)
    return {
        "min_form": (lambda: min_form(b.values, b.offsets), lambda: loop_min_form(b)),
        "returns_to_go": (lambda: returns_to_go(b.values, b.offsets), lambda: loop_returns(b)),
        "redistribute_by_attention": (
            lambda: redistribute_by_attention(attention, b.offsets, b.rewards),
            lambda: loop_attention(b),
        ),
        "redistribute_by_prefix": (
            lambda: redistribute_by_prefix(b.values, b.offsets, np.zeros(len(b.rewards))),
            lambda: loop_prefix(b),
        ),
        "prefix_values": (
            lambda: prefix_values(b.tokens, b.offsets, b.rewards, b.groups)[0],
            lambda: loop_tree(b, b.tokens),
        ),
        "prefix_values, one stem": (
            lambda: prefix_values(b.stem, b.offsets, b.rewards, b.groups)[0],
            lambda: loop_tree(b, b.stem),
        ),
        "tree_advantage": (lambda: tree(b.tokens, b.offsets, b.rewards, b.groups)[0], None),
        "group_advantage (a sample a token)": (lambda: group_advantage(rewards, groups)[0], lambda: loop_groups(rewards, groups)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--largest", type=int, default=7, help="grow to 10**LARGEST tokens")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    batch = draw(1_000_000)
    rows = []
    for name, (call, loop) in cases(batch).items():
        seconds = least(call, options.runs)
        ratio = None
        if loop is not None:
            begin = time.perf_counter()
            wanted = loop()
            ratio = (time.perf_counter() - begin) / seconds
            np.testing.assert_allclose(call(), wanted, atol=1e-6)
        rows.append({"what": name, "tokens": len(batch.tokens), "seconds": seconds, "ratio": ratio})
    sizes = [10**k for k in range(4, options.largest + 1)]
    times: dict[str, list[float]] = defaultdict(list)
    for size in sizes:
        drawn = draw(size)
        for name, (call, _) in cases(drawn).items():
            times[name].append(least(call, 3))
    for row in rows:
        growth = growth_exponent(sizes, times[str(row["what"])])
        row["exponent"], row["exponent_interval"] = growth.exponent, list(growth.interval)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'1,000,000 tokens':36}{'seconds':>9}{'loop':>8}   exponent  (goal: {GOAL_SECONDS} s, {GOAL_RATIO:g} times a loop)")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:7.0f}x"
        met = row["seconds"] <= GOAL_SECONDS and (row["ratio"] is None or row["ratio"] >= GOAL_RATIO)
        print(f"{row['what']:36}{row['seconds']:9.4f}{ratio:>8}  {row['exponent']:9.2f}  {'' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
