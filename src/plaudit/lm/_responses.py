"""Answers of endpoints, kept on disk by what was asked: one SQLite file in WAL mode, shared by threads and processes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from plaudit.errors import SpecError
from plaudit.run import VerdictCache
from plaudit.types import Completion

_FILE = "responses.sqlite"
_FORMAT = 1  # part of every key


class ResponseCache:
    """Completions by what was asked and by the number of the draw: the k-th draw of a request stays the k-th.

    Only whole completions are kept, never an error, and none that ended in one. What cannot be read or written is missing: a
    cache is never the reason why a call fails.

    Fields:
        folder: where the file ``responses.sqlite`` lies; made when it is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ResponseCache(folder)
    ...     key = cache.key("openai:m", "2+2?", 1.0)
    ...     cache.keep(key, [(0, Completion("4"))])
    ...     found = [c and c.text for c in cache.draws(key, [0, 1])]
    ...     cache.close()
    >>> found
    ['4', None]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        # Nobody waits long for a cache: the event loop stands still meanwhile.
        self._file = VerdictCache(self.folder / _FILE, busy_seconds=1.0)
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @staticmethod
    def key(*asked: Any) -> bytes:
        """The key of a request: 16 bytes that depend on JSON values."""
        text = json.dumps([_FORMAT, asked], ensure_ascii=True, separators=(",", ":"), sort_keys=True)
        return blake2b(text.encode(), digest_size=16).digest()

    def draws(self, key: bytes, numbers: Sequence[int]) -> list[Completion | None]:
        """The draws with these numbers; None for one that is not there. They cost nothing."""
        return [_decoded(value) for value in self._file.get_many([_numbered(key, k) for k in numbers])]

    def keep(self, key: bytes, draws: Sequence[tuple[int, Completion]]) -> None:
        """Keep draws by their numbers."""
        self._file.put_many([(_numbered(key, k), _encoded(c)) for k, c in draws if c.finish != "error"])

    def turn(self, key: bytes) -> asyncio.Lock:
        """One caller at a time asks for a key: the second one finds what the first one got."""
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        return lock

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()


def _numbered(key: bytes, draw: int) -> bytes:
    return key + draw.to_bytes(4, "big")


def _encoded(completion: Completion) -> bytes:
    tokens = None if completion.tokens is None else completion.tokens.tolist()
    logprobs = None if completion.logprobs is None else completion.logprobs.tolist()
    return json.dumps([completion.text, completion.reasoning, completion.finish, tokens, logprobs]).encode()


def _decoded(value: bytes | None) -> Completion | None:
    if value is None:
        return None
    text, reasoning, finish, tokens, logprobs = json.loads(value)
    ids = None if tokens is None else np.array(tokens, dtype=np.int64)
    return Completion(text, reasoning, finish, ids, None if logprobs is None else np.array(logprobs, dtype=np.float64))


_caches: dict[tuple[int, str], ResponseCache] = {}  # by process: a forked child must not wait for locks of its parent
_opening = threading.Lock()
_folder: ContextVar[str | None] = ContextVar("plaudit_response_cache", default=None)


def cache_at(folder: str | None) -> ResponseCache | None:
    """The cache in a folder, else the one of `response_cache`, else none; one object for each folder in a process.

    Raises RunError when the file there is something else.
    """
    chosen = folder if folder is not None else _folder.get()
    if chosen is None:
        return None
    place = (os.getpid(), chosen)
    found = _caches.get(place)
    if found is None:
        with _opening:
            found = _caches.get(place)
            if found is None:
                found = _caches[place] = ResponseCache(chosen)
    return found


@contextmanager
def response_cache(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Look up and keep the answers of all endpoints in a folder, inside a with block; a model's own field `cache` goes first.

    Raises SpecError for an empty name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, response_cache(folder):
    ...     pass
    """
    if not str(folder):
        raise SpecError("response_cache: expected the name of a folder, got an empty one")
    token = _folder.set(str(folder))
    try:
        yield
    finally:
        _folder.reset(token)
