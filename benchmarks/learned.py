"""Heads on cached embeddings: seconds for 20,000 pairs of 384 numbers, beside scikit-learn and a plain torch loop.

OMP_NUM_THREADS=2 python benchmarks/learned.py [--json]

Everything runs in turns in one process on the same data, in float32; medians of three turns. The accuracy is on 5,000 pairs
that were held out: a trainer that is fast because it learns less would show there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from plaudit.learned import FeatureRows, Head, Training, fit_head, pair_accuracy, score_rows, targets_of_pairs

PAIRS, WIDTH, TURNS, LIMIT = 20_000, 384, 3, 5.0


@dataclass(frozen=True)
class Row:
    """One trainer: median seconds, held-out accuracy, and the seconds of its peer over its own."""

    what: str
    seconds: float
    accuracy: float
    peer: str | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class World:
    """Unit vectors like those of a sentence encoder, and pairs of them by a linear gold reward, 20% of the labels wrong."""

    x: np.ndarray
    training: np.ndarray
    held_out: np.ndarray


def make_world(seed: int = 0, pairs: int = PAIRS) -> World:
    random = np.random.default_rng(seed)
    n = 2 * (pairs + 5_000)
    x = random.standard_normal((n, WIDTH)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    gold = x @ random.standard_normal(WIDTH)
    places = np.arange(n).reshape(-1, 2)
    better = gold[places[:, 0]] > gold[places[:, 1]]
    right = np.where(better[:, None], places, places[:, ::-1])
    training = right[:pairs].copy()
    wrong = random.random(pairs) < 0.2
    training[wrong] = training[wrong, ::-1]
    return World(x, training, right[pairs:])


def ours(world: World, head: Head, epochs: int) -> np.ndarray:
    rows = FeatureRows.of_vectors(world.x)
    targets = targets_of_pairs(world.training, len(world.x))
    cut = len(world.training) * 9 // 10
    keep = np.zeros(len(world.x), dtype=bool)
    keep[world.training[:cut].ravel()] = True
    fitted = fit_head(head, rows, targets.within(keep), targets.within(~keep), Training(epochs=epochs))
    return score_rows(head, fitted.weights, rows)


def sklearn_differences(world: World) -> np.ndarray:
    """The usual linear peer: logistic regression on differences of the two vectors, each pair both ways round."""
    from sklearn.linear_model import LogisticRegression

    difference = world.x[world.training[:, 0]] - world.x[world.training[:, 1]]
    labels = np.repeat([1, 0], len(difference))
    model = LogisticRegression(fit_intercept=False, max_iter=1_000).fit(np.concatenate([difference, -difference]), labels)
    return world.x @ model.coef_[0]


def torch_loop(world: World, epochs: int, batch: int) -> np.ndarray:
    """The loop that one would write: a DataLoader over pairs, a two-layer network, AdamW; no early stopping."""
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    x = torch.from_numpy(world.x)
    chosen, rejected = x[world.training[:, 0]], x[world.training[:, 1]]
    network = torch.nn.Sequential(torch.nn.Linear(WIDTH, 64), torch.nn.GELU(), torch.nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(epochs):
        for better, worse in DataLoader(TensorDataset(chosen, rejected), batch_size=batch, shuffle=True):
            loss = torch.nn.functional.softplus(network(worse) - network(better)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return network(x)[:, 0].double().numpy()


def measure(pairs: int = PAIRS, turns: int = TURNS) -> list[Row]:
    world = make_world(pairs=pairs)
    epochs = 12
    trainers: dict[str, Callable[[], np.ndarray]] = {
        "linear": lambda: ours(world, Head("linear"), epochs),
        "scikit-learn LogisticRegression": lambda: sklearn_differences(world),
        "mlp": lambda: ours(world, Head("mlp"), epochs),
        "torch loop": lambda: torch_loop(world, epochs, Training().batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    accuracy: dict[str, float] = {}
    for turn in range(turns + 1):
        for name, run in trainers.items():
            began = time.perf_counter()
            scores = run()
            if turn:  # the first turn warms caches and imports
                seconds[name].append(time.perf_counter() - began)
            accuracy[name] = float(pair_accuracy(scores.astype(np.float64), world.held_out).mean())
    median = {name: statistics.median(values) for name, values in seconds.items()}
    peers = {"linear": "scikit-learn LogisticRegression", "mlp": "torch loop"}
    return [
        Row(name, median[name], accuracy[name], peers.get(name), median[peers[name]] / median[name] if name in peers else None)
        for name in trainers
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = measure()
    if parser.parse_args().json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print(f"{PAIRS:,} pairs of {WIDTH} numbers, {torch.get_num_threads()} threads")
        for row in rows:
            beside = f"   {row.ratio:.2f}x as fast as {row.peer}" if row.ratio is not None else ""
            print(f"{row.what:34} {row.seconds:6.2f} s   held-out accuracy {row.accuracy:.3f}{beside}")
    return 0 if all(row.seconds < LIMIT for row in rows if row.peer) else 1


if __name__ == "__main__":
    raise SystemExit(main())
