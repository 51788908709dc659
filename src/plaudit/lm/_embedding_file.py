"""One encoder's vectors on disk: an append-only file of vectors beside an append-only file of keys.

A row counts once its key is written, and its key is written after its vector. A process that is killed between the two leaves
bytes behind the last counted row, and the next writer writes over them. Nothing that was counted is ever changed, so readers
need no lock.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RunError

Stored = Literal["float16", "float32"]

_FORMAT = 1
_KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("check", "<u8")])
"""The text's 128-bit digest, and a checksum of the row's vector."""
_MERGE = 16_384
_GATHER = 16_384


class EmbeddingFile:
    """Vectors of one encoder by the digest of their text.

    Any number of threads and processes may read and write at once, on a local disk. Look-ups are by binary search in memory
    (32 bytes a row), vectors are read through a memory map.

    Args:
        folder: made when it is not there.
        dimension: d of a vector. stored: how a number is kept.

    Raises RunError when the folder holds vectors of another form.
    """

    def __init__(self, folder: Path, dimension: int, stored: Stored) -> None:
        self.folder = folder
        self.dimension = dimension
        self.stored = np.dtype(stored).newbyteorder("<")
        self._row_bytes = dimension * self.stored.itemsize
        self._lock = threading.RLock()
        self._index = _Index()
        self._keys_seen = 0
        self._map: NDArray[Any] | None = None
        self._claim()

    def __len__(self) -> int:
        """Rows on disk, those of other processes included."""
        with self._lock:
            self._refresh()
            return self._keys_seen

    def get(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Of (n, 2) digests the (n, d) vectors and which of the n are there; a row whose bytes are damaged is not there."""
        with self._lock:
            rows, checks = self._index.find(digests)
            if (rows < 0).any() and self._refresh():
                rows, checks = self._index.find(digests)
            stored = self._vectors(int(rows.max(initial=-1)) + 1)
        vectors = np.zeros((len(digests), self.dimension), np.float32)
        there = rows >= 0
        known = np.flatnonzero(there)
        for first in range(0, len(known), _GATHER):
            block = known[first : first + _GATHER]
            raw = stored[rows[block]]
            there[block] = _checksum(raw) == checks[block]
            vectors[block] = raw
        vectors[~there] = 0
        return vectors, there

    def put(self, digests: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        """Append rows; those of a digest that is there already, and whole, are left out by the caller.

        Raises OSError where the disk is full or the folder cannot be written.
        """
        raw = np.ascontiguousarray(vectors, self.stored)
        keys = np.empty(len(raw), _KEY)
        keys["high"], keys["low"], keys["check"] = digests[:, 0], digests[:, 1], _checksum(raw)
        with self._writing(), _open(self.folder / "keys.bin") as key_file, _open(self.folder / "vectors.bin") as vector_file:
            rows = os.fstat(key_file).st_size // _KEY.itemsize
            _write(vector_file, raw.data.cast("B"), rows * self._row_bytes)
            os.fdatasync(vector_file)
            _write(key_file, memoryview(keys.tobytes()), rows * _KEY.itemsize)
            os.fdatasync(key_file)

    def _refresh(self) -> bool:
        """Take over the keys that were written since; whether there were any (none where the folder is gone)."""
        try:
            with open(self.folder / "keys.bin", "rb") as file:
                file.seek(self._keys_seen * _KEY.itemsize)
                raw = file.read()
        except OSError:
            return False
        new = np.frombuffer(raw, _KEY, len(raw) // _KEY.itemsize)
        if len(new):
            self._index.append(new)
            self._keys_seen += len(new)
        return len(new) > 0

    def _vectors(self, rows: int) -> NDArray[Any]:
        """At least the first `rows` vectors, mapped."""
        if self._map is None or len(self._map) < rows:
            with open(self.folder / "vectors.bin", "rb") as file:
                whole = min(os.fstat(file.fileno()).st_size // self._row_bytes, self._keys_seen)
                if whole == 0:
                    self._map = np.zeros((0, self.dimension), self.stored)
                else:
                    mapped = mmap.mmap(file.fileno(), whole * self._row_bytes, access=mmap.ACCESS_READ)
                    self._map = np.frombuffer(mapped, self.stored).reshape(whole, self.dimension)
            if len(self._map) < rows:
                raise RunError(f"{self.folder}: vectors.bin is shorter than keys.bin says: delete the folder")
        return self._map

    def _claim(self) -> None:
        """Make the folder, or check that what it holds is of this form."""
        mine = {"format": _FORMAT, "dimension": self.dimension, "stored": self.stored.name}
        path = self.folder / "meta.json"
        try:
            if not path.exists():
                self._make(path, mine)
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.folder} cannot be used for embeddings ({error}): choose another folder, or delete it"
            ) from error
        if found != mine:
            raise RunError(f"{self.folder} holds vectors of the form {found}, expected {mine}: delete it, or choose another")

    def _make(self, path: Path, mine: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._writing():
            if path.exists():
                return
            for name in ("keys.bin", "vectors.bin"):
                (self.folder / name).touch()
            fresh = path.with_suffix(".tmp")
            fresh.write_text(json.dumps(mine))
            fresh.replace(path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The writers' lock, which the kernel gives up when the process ends; of its own descriptor, so that threads wait too."""
        with _open(self.folder / "lock") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield


class _Index:
    """Row number and checksum by digest: a large sorted block that is seldom merged, and a small one that often is."""

    def __init__(self) -> None:
        self._old = self._new = _Block.of(np.empty(0, _KEY), 0)
        self._rows = 0

    def append(self, keys: NDArray[Any]) -> None:
        """The keys of the rows that follow."""
        self._new = self._new.merged(_Block.of(keys, self._rows))
        self._rows += len(keys)
        if len(self._new) > max(_MERGE, len(self._old) // 8):
            self._old, self._new = self._old.merged(self._new), _Block.of(keys[:0], 0)

    def find(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """(n,) row of each digest, -1 where there is none, and (n,) the checksum of its vector."""
        rows, checks = self._old.find(digests)
        # A text's last row counts: it was written because an earlier one is damaged, or by another process at the same time.
        newer, newer_checks = self._new.find(digests)
        return np.where(newer >= 0, newer, rows), np.where(newer >= 0, newer_checks, checks)


@dataclass(frozen=True)
class _Block:
    """Keys sorted by the upper half of their digests; of equal ones the last written comes first."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    check: NDArray[np.uint64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, keys: NDArray[Any], first: int) -> _Block:
        rows = np.arange(first, first + len(keys), dtype=np.int64)[::-1]
        back = keys[::-1]
        return cls(back["high"], back["low"], back["check"], rows)._in_order()

    def __len__(self) -> int:
        return len(self.high)

    def merged(self, later: _Block) -> _Block:
        names = ("high", "low", "check", "row")
        return _Block(*(np.concatenate([getattr(later, name), getattr(self, name)]) for name in names))._in_order()

    def _in_order(self) -> _Block:
        order = np.argsort(self.high, kind="stable")
        return _Block(self.high[order], self.low[order], self.check[order], self.row[order])

    def find(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        if not len(self):
            return np.full(len(digests), -1, np.int64), np.zeros(len(digests), np.uint64)
        place = np.minimum(np.searchsorted(self.high, digests[:, 0]), len(self) - 1)
        # Two texts that share the first 64 bits of their digests: the earlier one is not found, and is computed again.
        same = (self.high[place] == digests[:, 0]) & (self.low[place] == digests[:, 1])
        return np.where(same, self.row[place], -1), self.check[place]


def _checksum(raw: NDArray[Any]) -> NDArray[np.uint64]:
    """(n,) checksums of n rows: a sum of 32-bit words times odd numbers, modulo 2**64."""
    words = np.ascontiguousarray(raw).view(np.uint8).reshape(len(raw), -1)
    if words.shape[1] % 4:
        words = np.pad(words, ((0, 0), (0, -words.shape[1] % 4)))
    numbers = words.view("<u4")
    odd = np.arange(1, numbers.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C16) + np.uint64(1)
    total = np.empty(len(raw), np.uint64)
    for first in range(0, len(raw), _GATHER):
        block = numbers[first : first + _GATHER]
        total[first : first + _GATHER] = (block * odd).sum(axis=1, dtype=np.uint64)
    return total


@contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    """All of it; the kernel may take less at a time."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def digests_of(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(n, 2) the 128-bit BLAKE2b digests of n texts.

    >>> digests_of(["a", "b", "a"]).shape
    (3, 2)
    """
    from hashlib import blake2b

    raw = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts)
    return np.frombuffer(raw, "<u8").reshape(-1, 2)
