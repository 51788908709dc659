"""A cache of byte strings on disk that threads and processes share: one SQLite file in WAL mode."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote
from zlib import crc32

from plaudit.errors import RunError

_APPLICATION = 0x706C6175  # "plau" in the file's header: tells our files from other databases
_SCHEMA = 1
_CHUNK = 256
_LARGEST = 16 * 2**20
_HEADER = b"SQLite format 3\x00"
_CREATE = "CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"
# A rowid table: rows lie in the order of writing, so that the oldest go with one range, and random keys only hit the index.


class VerdictCache:
    """Byte strings by key, kept in a file; it knows nothing of what they mean.

    Any number of threads and processes may use one file. The cache never makes its user fail: where the file cannot be written
    (read-only, disk full, locked for long) it warns once and goes on without writing, where it cannot be read every
    key is missing. A value that was damaged on disk is missing too. Do not put the file on a network file system.

    Fields:
        path: the file; made with the folders above it when it is not there.
        max_mb: the oldest entries are dropped when the file holds more than this; None = no limit.
        busy_seconds: how long to wait while another process writes.

    Raises RunError when the file is something else, damaged, or of another version, and says which file to delete.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, VerdictCache(f"{folder}/cache.sqlite") as cache:
    ...     cache.put_many([(b"key", b"value")])
    ...     cache.get_many([b"key", b"other"])
    [b'value', None]
    """

    def __init__(self, path: str | os.PathLike[str], *, max_mb: float | None = None, busy_seconds: float = 10.0) -> None:
        self.path = Path(path)
        self.max_mb = max_mb
        self.busy_seconds = busy_seconds
        self._readable = self._writable = True
        self._warned: set[str] = set()
        self._connection: sqlite3.Connection | None = None
        # One connection behind one lock: all connections of a process can then be closed before it forks, which SQLite demands
        # (a child that inherits an open one loses its file locks without knowing).
        self._lock = threading.RLock()
        if max_mb is not None and max_mb <= 0:
            raise RunError(f"max_mb is {max_mb}: expected a size above 0, or None for no limit")
        with self._lock:
            self._connect()
        _caches.add(self)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys in their order; None where there is none."""
        values: list[bytes | None] = []
        with self._lock:
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                found = self._select(chunk)
                values.extend([self._opened(key, found.get(key)) for key in chunk])
        return values

    def put_many(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep values by key, all or none; a key that is there already gets the new value. Values above 16 MB are left out."""
        rows = [(key, crc32(value, crc32(key)).to_bytes(4, "little") + value) for key, value in pairs if len(value) <= _LARGEST]
        with self._lock:
            if not rows or not self._writable or (connection := self._reconnect()) is None or not self._writable:
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)", rows)
                if self.max_mb is not None:
                    _drop_oldest(connection, int(self.max_mb * 2**20))
                connection.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error):
                    raise
                self._lose(error, writing=True)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def __enter__(self) -> VerdictCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (str(self.path), self.max_mb, self.busy_seconds)

    def _select(self, chunk: Sequence[bytes]) -> dict[bytes, bytes]:
        if (connection := self._reconnect()) is None:
            return {}
        marks = ",".join("?" * len(chunk))
        try:
            return dict(connection.execute(f"SELECT key, value FROM entries WHERE key IN ({marks})", chunk))
        except sqlite3.Error as error:
            self._lose(error, writing=False)
            return {}

    def _opened(self, key: bytes, stored: bytes | None) -> bytes | None:
        if stored is None:
            return None
        value = stored[4:]
        if type(stored) is bytes and int.from_bytes(stored[:4], "little") == crc32(value, crc32(key)):
            return value
        self._warn("garbled", "holds a value that was damaged on disk; it is made again")
        return None

    def _reconnect(self) -> sqlite3.Connection | None:
        """The connection of this process; None when there is none to be had."""
        if self._connection is None and self._readable:
            try:
                self._connect()
            except RunError as error:  # somebody replaced the file since this cache was made
                self._readable = self._writable = False
                self._warn("damaged", f"is off: {error}")
        return self._connection

    def _connect(self) -> None:
        """Open the file if it can be opened at all. Raises RunError when it is not a cache of ours."""
        try:
            self._connection = self._open_for_writing()
        except (sqlite3.Error, OSError) as error:
            self._raise_damaged(error)
            self._writable = False
            self._warn("writing", f"cannot be written ({error}); the cache goes on without writing")
            self._connection = self._open_for_reading()

    def _open_for_writing(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_other_files()
        connection = _open(str(self.path), self.busy_seconds)
        try:
            _retry(lambda: connection.execute("PRAGMA journal_mode = WAL"), self.busy_seconds)
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the newest entries, never the file
            if _pragma(connection, "application_id") == 0:
                self._create(connection)
            self._refuse_other_databases(connection)
            connection.execute("SELECT seq FROM entries LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")  # two processes may come here at once: the second finds the work done
        try:
            if _pragma(connection, "application_id") == 0:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise RunError(self._not_ours("is another program's database"))
                connection.execute(_CREATE)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_SCHEMA}")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _open_for_reading(self) -> sqlite3.Connection | None:
        """The file as it stands, where nothing beside it may be written either; None when even that fails."""
        address = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        for uri in (address, address + "&immutable=1"):
            if uri != address and os.path.exists(f"{self.path}-wal"):
                break  # entries wait in the log: reading past it could see a half-written state
            try:
                connection = _open(uri, self.busy_seconds, uri=True)
                self._refuse_other_databases(connection)
                connection.execute("SELECT seq FROM entries LIMIT 1").fetchone()
            except sqlite3.Error as error:
                self._raise_damaged(error)
                continue
            return connection
        self._readable = False
        return None

    def _refuse_other_files(self) -> None:
        if self.path.is_file():
            with self.path.open("rb") as file:
                head = file.read(len(_HEADER))
            if head and head != _HEADER:
                raise RunError(self._not_ours("is not a database"))

    def _refuse_other_databases(self, connection: sqlite3.Connection) -> None:
        if _pragma(connection, "application_id") != _APPLICATION:
            raise RunError(self._not_ours("is another program's database"))
        version = _pragma(connection, "user_version")
        if version != _SCHEMA:
            raise RunError(self._not_ours(f"has the format {version} of another version of plaudit, this one writes {_SCHEMA}"))

    def _not_ours(self, what: str) -> str:
        return f"the cache {self.path} {what}: delete it if it is not needed, or name another file"

    def _raise_damaged(self, error: Exception) -> None:
        if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error):
            raise RunError(f"the cache {self._damaged(error)}") from error

    def _damaged(self, error: Exception) -> str:
        return f"{self.path} is damaged ({error}): delete it, with {self.path.name}-wal and {self.path.name}-shm beside it"

    def _lose(self, error: sqlite3.Error, *, writing: bool) -> None:
        """Go on without what does not work: a cache is never the reason why scoring fails."""
        code = _code(error)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._readable = self._writable = False
            self.close()
            self._warn("damaged", self._damaged(error).removeprefix(f"{self.path} ") + "; the cache is off")
        elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self._warn("busy", f"was locked for {self.busy_seconds:g} s by another process; these entries are left out")
        elif writing:
            self._writable = False
            self._warn("writing", f"cannot be written ({error}); the cache goes on without writing")
        else:
            self._readable = False
            self._warn("reading", f"cannot be read ({error}); the cache is off")

    def _warn(self, kind: str, what: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(f"the cache {self.path} {what}", RuntimeWarning, stacklevel=4)


def _reopened(path: str, max_mb: float | None, busy_seconds: float) -> VerdictCache:
    return VerdictCache(path, max_mb=max_mb, busy_seconds=busy_seconds)


def _open(address: str, busy_seconds: float, *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=2 * _CHUNK, uri=uri
    )
    connection.execute("PRAGMA page_size = 8192")  # of a new file; rows of a few hundred bytes pack better
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _retry(call: Any, seconds: float) -> None:
    # SQLite does not wait for its own switch to WAL when two processes open a new file at the same time.
    deadline = time.monotonic() + seconds
    while True:
        try:
            call()
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _code(error: Exception) -> int:
    """SQLite's primary result code; -1 for other errors."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF if hasattr(error, "sqlite_errorcode") else -1


def _drop_oldest(connection: sqlite3.Connection, limit: int) -> None:
    """Delete the oldest rows, a twentieth at a time, until the pages in use fit into `limit` bytes."""
    page = _pragma(connection, "page_size")
    while (_pragma(connection, "page_count") - _pragma(connection, "freelist_count")) * page > limit:
        first, last = connection.execute("SELECT min(seq), max(seq) FROM entries").fetchone()
        if first is None:
            return
        connection.execute("DELETE FROM entries WHERE seq < ?", (first + max(1, (last - first + 1) // 20),))


_caches: weakref.WeakSet[VerdictCache] = weakref.WeakSet()
_forking = threading.Lock()
_held: list[VerdictCache] = []


def _before_fork() -> None:
    _forking.acquire()
    for cache in list(_caches):
        cache._lock.acquire()
        _held.append(cache)
        cache.close()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._lock.release()
    _forking.release()


def _after_fork_in_child() -> None:
    global _forking
    while _held:
        _held.pop()._lock = threading.RLock()
    _forking = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
