"""The embedded encoder beside sentence-transformers on the same weights and texts, and what a cached re-read takes.

    python benchmarks/lm_encoder.py                           # one thread, 512 generated texts
    python benchmarks/lm_encoder.py --texts 2000 --runs 5 --threads 2 --json
    PLAUDIT_DATA=FOLDER python benchmarks/lm_encoder.py       # texts of GSM8K instead of generated ones

All are run in turns, and each figure is the median of its runs. The peers run in float32, as they do when nothing is said: with
their defaults (they sort by length themselves), and at their best, the quickest of several batch sizes. One more row has the
peer's network in bfloat16 as well, so that what the precision gives and what the batching gives can be told apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plaudit.lm import CachedEncoder, EmbeddingCache, TextEncoder

GOAL = 2.0
COSINE = 0.999
BATCH_SIZES = (4, 8, 16, 64)

Encode = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Row:
    what: str
    seconds: float
    texts_per_second: float
    ratio: float | None
    least_cosine: float | None
    goal: str


class Seeded:
    """An encoder that costs next to nothing, so that the cache is what is measured."""

    address, version, dimension = "seeded:", "seeded", 384

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.random.default_rng(len(texts)).standard_normal((len(texts), self.dimension), dtype=np.float32)


def generated(count: int) -> list[str]:
    """Texts of 3 to 400 words, most of them around 45."""
    source = random.Random(0)
    vocabulary = sorted(TextEncoder()._tokenizer.get_vocab())
    words = [word for word in vocabulary if word.isalpha() and word.isascii()]
    lengths = [max(3, min(400, round(source.lognormvariate(3.8, 0.9)))) for _ in range(count)]
    return [" ".join(source.choice(words) for _ in range(length)) for length in lengths]


def real(count: int, folder: Path) -> list[str] | None:
    """Questions and solutions of GSM8K, mixed; None where they are not there."""
    files = [folder / "gsm8k" / f"{part}.jsonl.gz" for part in ("train", "test")]
    if not all(file.is_file() for file in files):
        return None
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).decode().split("\n") if line]
    texts = [text for line in lines for text in _strings(json.loads(line))]
    random.Random(0).shuffle(texts)
    return texts[:count] if len(texts) >= count else None


def _strings(row: dict[str, Any]) -> Iterator[str]:
    return (value for value in row.values() if isinstance(value, str))


def timed(encode: Encode, texts: list[str]) -> float:
    begin = time.perf_counter()
    encode(texts)
    return time.perf_counter() - begin


def encoders(texts: list[str], runs: int) -> list[Row]:
    from sentence_transformers import SentenceTransformer

    ours, exact = TextEncoder(device="cpu"), TextEncoder(device="cpu", dtype="float32")
    path = str(ours._folder.path)
    peer = SentenceTransformer(path, device="cpu")
    half = SentenceTransformer(path, device="cpu", model_kwargs={"dtype": torch.bfloat16})

    def peer_at(size: int, model: SentenceTransformer = peer) -> Encode:
        return lambda batch: np.asarray(model.encode(batch, batch_size=size, show_progress_bar=False))

    best = min(BATCH_SIZES, key=lambda size: timed(peer_at(size), texts[:128]))
    contestants: dict[str, Encode] = {
        "sentence-transformers, float32, defaults": peer_at(32),
        f"sentence-transformers, float32, its best (batches of {best})": peer_at(best),
        "sentence-transformers, bfloat16, defaults": lambda batch: (
            half.encode(batch, show_progress_bar=False, convert_to_tensor=True).float().numpy()
        ),
        "plaudit, float32": exact.encode,
        "plaudit, bf16": ours.encode,
    }
    reference = peer_at(32)(texts)
    cosines = {name: _least_cosine(encode(texts), reference) for name, encode in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, encode in contestants.items():
            times[name].append(timed(encode, texts))
    names = list(contestants)
    rows = []
    for name in names:
        seconds = statistics.median(times[name])
        ratio = statistics.median(a / b for a, b in zip(times[names[0]], times[name], strict=True))
        goal = f">= {GOAL}x, cosine >= {COSINE}" if name == "plaudit, bf16" else ""
        rows.append(Row(name, seconds, len(texts) / seconds, ratio, cosines[name], goal))
    against_best = statistics.median(a / b for a, b in zip(times[names[1]], times[names[-1]], strict=True))
    rows.append(
        Row(
            "plaudit, bf16, against the peer's best in float32",
            rows[-1].seconds,
            rows[-1].texts_per_second,
            against_best,
            None,
            "",
        )
    )
    return rows


def _least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def cached(texts: list[str], runs: int, rows: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        encoder = CachedEncoder(TextEncoder(device="cpu"), EmbeddingCache(folder))
        encoder.encode(texts)
        seconds = statistics.median(timed(encoder.encode, texts) for _ in range(runs))
        found = [Row(f"plaudit, {len(texts):,} texts from the cache", seconds, len(texts) / seconds, None, None, "")]
    if not rows:
        return found
    with tempfile.TemporaryDirectory() as folder:
        for what in ("written to", "read from"):
            encoder = CachedEncoder(Seeded(), EmbeddingCache(folder, "float16"))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begin = time.perf_counter()
            count = sum(len(block) for block in encoder.encode_stream(f"text number {k}" for k in range(rows)))
            seconds = time.perf_counter() - begin
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            what = f"a stream of {count:,} rows {what} the cache (peak memory + {grown:,.0f} MB, mapped file included)"
            found.append(Row(what, seconds, count / seconds, None, None, ""))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stream", type=int, default=1_000_000, help="rows of the stream through the cache; 0 = leave it out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    folder = os.environ.get("PLAUDIT_DATA")
    texts = (real(arguments.texts, Path(folder)) if folder else None) or generated(arguments.texts)
    rows = encoders(texts, arguments.runs) + cached(texts, arguments.runs, arguments.stream)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    words = [len(text.split()) for text in texts]
    print(f"{len(texts)} texts of {min(words)} to {max(words)} words, median {statistics.median(words):.0f}\n")
    print(f"{'':62} {'seconds':>8} {'texts/s':>11} {'ratio':>7} {'cosine':>9}  goal")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        cosine = "" if row.least_cosine is None else f"{row.least_cosine:.6f}"
        print(f"{row.what:62} {row.seconds:8.3f} {row.texts_per_second:11,.0f} {ratio:>7} {cosine:>9}  {row.goal}")


if __name__ == "__main__":
    main()
