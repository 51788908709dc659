"""Embeddings kept on disk by the content of their text, read back as blocks of a stream."""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import SpecError
from plaudit.lm._embedding_file import EmbeddingFile, Stored, digests_of
from plaudit.lm._encoder import distinct_texts
from plaudit.types import Encoder

_COMMIT = 4_096


class EmbeddingCache:
    """A folder of embeddings, by encoder version and text; threads and processes may share it on a local disk.

    An encoder's vectors are append-only: nothing that was written is changed or dropped, and a process that is killed
    loses at most the rows that it was writing. Rows that were damaged on disk are computed again. Where the folder cannot be
    written (disk full, read-only) it warns once and goes on without keeping anything new. To empty it, delete the folder.

    Args:
        folder: made when it is not there.
        stored: ``"float32"`` gives back what the encoder gave; ``"float16"`` takes half the space, and every vector, fresh or
            read back, is rounded to it.

    Raises SpecError for another form, RunError when the folder holds something else.

    >>> import tempfile
    >>> from plaudit.lm import TextEncoder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = EmbeddingCache(folder)
    ...     first = cache.encode(TextEncoder(), ["a", "b"])
    ...     again = cache.encode(TextEncoder(), ["b", "a"])
    ...     cache.rows(TextEncoder()), bool((first == again[::-1]).all())
    (2, True)
    """

    def __init__(self, folder: str | os.PathLike[str], stored: Stored = "float32") -> None:
        if stored not in ("float16", "float32"):
            raise SpecError(f"EmbeddingCache: stored is {stored!r}: expected 'float16' or 'float32'")
        self.folder = Path(folder).expanduser().absolute()
        self.stored: Stored = stored
        self._lock = threading.Lock()
        self._files: dict[str, EmbeddingFile] = {}
        self._warned = False

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddingCache, (self.folder, self.stored)

    def encode(self, encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) float32 vectors of n texts, read where they are known, else computed and kept.

        Raises DataError for a row that is not a string, SpecError for an encoder without a version, and what the encoder raises.
        """
        distinct = distinct_texts(texts)
        vectors = self._distinct(encoder, distinct)
        if len(distinct) == len(texts):
            return vectors
        place = {text: k for k, text in enumerate(distinct)}
        return vectors[np.fromiter((place[text] for text in texts), np.intp, len(texts))]

    def encode_stream(self, encoder: Encoder, texts: Iterable[str], batch: int = 8_192) -> Iterator[NDArray[np.float32]]:
        """Blocks of (at most `batch`, d) vectors, in the order of the texts; holds one block at a time.

        Raises SpecError for a batch below 1; else as `encode`, at the block that holds the row.
        """
        if type(batch) is not int or batch < 1:
            raise SpecError(f"encode_stream: batch is {batch!r}: expected a whole number of at least 1")
        return self._blocks(encoder, iter(texts), batch)

    def _blocks(self, encoder: Encoder, texts: Iterator[str], batch: int) -> Iterator[NDArray[np.float32]]:
        while block := list(islice(texts, batch)):
            yield self.encode(encoder, block)

    def rows(self, encoder: Encoder) -> int:
        """How many vectors of this encoder are kept."""
        with self._lock:
            file = self._files.get(self._name(encoder))
        if file is None and not (self.folder / self._name(encoder)).is_dir():
            return 0
        return len(file if file is not None else self._file(encoder, _dimension(encoder)))

    def _distinct(self, encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
        name = self._name(encoder)
        if not texts:
            return np.empty((0, _dimension(encoder)), np.float32)
        digests = digests_of(texts)
        file = self._files.get(name)
        if file is None:
            file = self._file(encoder, _dimension(encoder))
        vectors, there = file.get(digests)
        missing = np.flatnonzero(~there)
        # Kept piece by piece, so that an interrupted call has not computed for nothing.
        for first in range(0, len(missing), _COMMIT):
            rows = missing[first : first + _COMMIT]
            fresh = encoder.encode([texts[row] for row in rows]).astype(file.stored, copy=False)
            vectors[rows] = fresh
            self._keep(file, digests[rows], fresh)
        return vectors

    def _keep(self, file: EmbeddingFile, digests: NDArray[np.uint64], vectors: NDArray[Any]) -> None:
        try:
            file.put(digests, vectors)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f"{self.folder} cannot be written ({error}): new embeddings are not kept", stacklevel=5)

    def _file(self, encoder: Encoder, dimension: int) -> EmbeddingFile:
        name = self._name(encoder)
        with self._lock:
            if name not in self._files:
                self._files[name] = EmbeddingFile(self.folder / name, dimension, self.stored)
            return self._files[name]

    def _name(self, encoder: Encoder) -> str:
        if encoder.version is None:
            raise SpecError(f"{encoder.address} has no version: nothing says when its vectors change, so they cannot be kept")
        return f"{hashlib.sha256(encoder.version.encode()).hexdigest()[:32]}-{self.stored}"


class CachedEncoder:
    """An encoder whose vectors come from an `EmbeddingCache` where they are known; an `Encoder` itself.

    Args:
        encoder: computes what is missing; it needs a version.
        cache: where vectors are kept.

    >>> from plaudit.lm import resolve_encoder
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     encoder = resolve_encoder(f"encoder:minilm?cache={folder}")
    ...     [block.shape for block in encoder.encode_stream(map(str, range(5)), batch=2)]
    [(2, 384), (2, 384), (1, 384)]
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache

    @property
    def address(self) -> str:
        """The encoder's own."""
        return self.encoder.address

    @property
    def version(self) -> str | None:
        """The encoder's own; with vectors kept in 16 bits it says so."""
        version = self.encoder.version
        return version if self.cache.stored == "float32" or version is None else f"{version}:{self.cache.stored}"

    @property
    def dimension(self) -> int:
        """Length d of a vector."""
        return _dimension(self.encoder)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) float32 vectors of n texts, in their order; see `EmbeddingCache.encode`."""
        return self.cache.encode(self.encoder, texts)

    def encode_stream(self, texts: Iterable[str], batch: int = 8_192) -> Iterator[NDArray[np.float32]]:
        """Blocks of vectors; see `EmbeddingCache.encode_stream`."""
        return self.cache.encode_stream(self.encoder, texts, batch)


def _dimension(encoder: Encoder) -> int:
    """The length of its vectors; an encoder that does not say is asked for one."""
    known = getattr(encoder, "dimension", None)
    return known if isinstance(known, int) else int(encoder.encode([""]).shape[1])
