"""How rewards are run in the current context: which cache, which pool, how much at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from plaudit.run._cache import VerdictCache
from plaudit.run._pool import CpuPool, shared_cpu_pool


@dataclass(frozen=True, slots=True)
class Settings:
    """Resources of a call.

    Fields:
        cache: where verdicts are looked up and kept; None = nowhere.
        pool: the cpu lane's workers; None = the process's shared pool.
        max_in_flight: samples in flight on the io lane, where a reward declares no number.
        batch_size: samples of a gpu batch, where a reward declares no number.
        raise_common: raise an error that every sample of a call raised; False = such samples are FAILED like any other.
    """

    cache: VerdictCache | None = None
    pool: CpuPool | None = None
    max_in_flight: int = 64
    batch_size: int = 32
    raise_common: bool = True

    @property
    def workers(self) -> CpuPool:
        """The pool to use."""
        return self.pool if self.pool is not None else shared_cpu_pool()


_DEFAULT = Settings()
_settings: ContextVar[Settings] = ContextVar("plaudit_settings", default=_DEFAULT)


def settings() -> Settings:
    """The settings in force here."""
    return _settings.get()


@contextmanager
def using(**changes: Any) -> Iterator[Settings]:
    """Change settings inside a with block, for this thread or task alone.

    >>> with using(max_in_flight=8):
    ...     settings().max_in_flight
    8
    """
    token = _settings.set(replace(_settings.get(), **changes))
    try:
        yield _settings.get()
    finally:
        _settings.reset(token)
