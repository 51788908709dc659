"""A run folder as a report needs it: its columns, and the rows of the data file behind them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError, RunError
from plaudit.records import digest_file, read_samples
from plaudit.report._leaves import LeafShare, leaf_shares
from plaudit.run import RunFolder
from plaudit.types import Sample

FIXED = ("row", "id", "value", "status", "reason", "answer", "explanation", "seconds", "leaves")
_REJECTED_SHOWN = 50


@dataclass(eq=False)
class RunColumns:
    """The committed rows of a run, in the order of their row numbers.

    Fields:
        path: the folder.
        manifest, summary: as written; summary is None while the run has not ended.
        table: all columns as an Arrow table.
        values: (n,) NaN = not scored.
        status: (n,) as text.
        seconds: (n,) NaN = not measured.
        leaves: (n,) values of each leaf by its column.

    Raises RunError when the folder holds no run.
    """

    path: Path
    manifest: dict[str, Any]
    summary: dict[str, Any] | None
    table: Any
    values: NDArray[np.float64] = field(init=False)
    status: NDArray[np.str_] = field(init=False)
    seconds: NDArray[np.float64] = field(init=False)
    leaves: dict[str, NDArray[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        self.values = self._floats("value")
        self.status = np.array(self.table.column("status").to_pylist(), dtype=np.str_)
        self.seconds = self._floats("seconds") if "seconds" in self.table.column_names else np.full(len(self), np.nan)
        self.leaves = {name: self._floats(name) for name in self.table.column_names if name not in FIXED}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RunColumns:
        """Read a run folder, also of a run that has not ended."""
        folder = RunFolder(path)
        return cls(folder.path, folder.manifest, folder.summary, folder.read())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def _floats(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)

    def row(self, i: int) -> dict[str, Any]:
        """One row by its place in the columns."""
        found: dict[str, Any] = self.table.slice(i, 1).to_pylist()[0]
        return found

    def column(self, name: str) -> list[Any]:
        """One column as a list."""
        found: list[Any] = self.table.column(name).to_pylist()
        return found

    @property
    def rejected(self) -> int:
        """Rows of the data file that could not be read."""
        return _count_lines(self.path / "rejected.jsonl")

    def rejected_rows(self) -> list[dict[str, Any]]:
        """The first of them."""
        path = self.path / "rejected.jsonl"
        if not path.exists():
            return []
        found = []
        with path.open("rb") as file:
            for line in islice(file, _REJECTED_SHOWN):
                try:
                    row = json.loads(line)
                except ValueError:
                    row = {"message": f"{path.name} holds a line that is not JSON"}
                found.append(row if isinstance(row, dict) else {"message": str(row)})
        return found

    def counts(self) -> Counter[tuple[str, str | None]]:
        """Rows by status and reason."""
        return Counter(zip(self.status.tolist(), self.column("reason"), strict=True))

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n,) whether a row has a value."""
        return np.isfinite(self.values)

    def shares(self) -> list[LeafShare]:
        """Every leaf's part of the total; weights are those that the run's summary names."""
        weights: dict[str, float | None] = {}
        names: dict[str, str] = {}
        known = (self.summary or {}).get("leaves")
        for leaf in known if isinstance(known, list) else []:
            if isinstance(leaf, Mapping) and isinstance(leaf.get("weight"), int | float | None):
                weights[str(leaf.get("column"))] = leaf.get("weight")
                names[str(leaf.get("column"))] = str(leaf.get("name"))
        k = len(self.leaves)
        words = self.column("leaves") if "leaves" in self.table.column_names else []
        fits = k > 0 and len(words) == len(self) and all(w is not None and len(w) == k for w in words)
        letters = np.array(words, dtype=f"S{k}").view("S1").reshape(len(self), k) if fits and words else None
        named = {names.get(column, column): column for column in self.leaves}
        columns = {name: self.leaves[column] for name, column in named.items()}
        return leaf_shares(self.values, columns, {name: weights.get(column) for name, column in named.items()}, letters)


def _count_lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples of a data file by row number, or why there are none."""

    samples: Mapping[int, Sample]
    why_not: str | None


def data_rows(run: RunColumns, wanted: Iterable[int], given: str | os.PathLike[str] | None = None) -> Rows:
    """The samples of some rows, from the data file that the run's manifest names while it is still the same.

    `given` is the file where the manifest's name does not lead to it. Raises DataError when a given file is another one.
    """
    numbers = set(wanted)
    name = str(run.manifest.get("data") or "")
    digest = run.manifest.get("data_sha256")
    if given is not None:
        if digest_file(given) != digest:
            raise DataError(f"{os.fspath(given)} is not the file that the run {run.path} scored: its SHA-256 differs")
        return Rows(_read(Path(given), run, numbers), None)
    if not name or name == "standard input":
        return Rows({}, "The responses came from standard input and are not kept: give the file with --data to see them.")
    # As the command was given it, else beside the run's folder or above it.
    places = [Path(name), *(parent / name for parent in run.path.resolve().parents if not Path(name).is_absolute())]
    there = [place for place in places if place.is_file()]
    if not there:
        return Rows({}, f"The data file {name} is not there any more: give it with --data to see the responses.")
    same = next((place for place in there if digest_file(place) == digest), None)
    if same is None:
        return Rows({}, f"The data file {name} has changed since the run: its responses are not shown.")
    return Rows(_read(same, run, numbers), None)


def _read(path: Path, run: RunColumns, numbers: set[int]) -> dict[int, Sample]:
    columns = run.manifest.get("columns")
    last = max(numbers, default=-1)
    found: dict[int, Sample] = {}
    for row in read_samples(path, columns=columns if isinstance(columns, dict) and columns else None, on_reject=lambda bad: None):
        if row.row > last:
            break
        if row.row in numbers:
            found[row.row] = row.sample
    return found


def read_run(path: str | os.PathLike[str]) -> RunColumns:
    """A run folder's columns. Raises RunError when it holds no run, naming what a run folder is."""
    folder = Path(path)
    if not (folder / "manifest.json").is_file():
        what = "is not there" if not folder.exists() else "holds no run (no manifest.json)"
        raise RunError(f"{folder} {what}: expected the folder that `plaudit score … -o FOLDER` wrote")
    return RunColumns.read(folder)
