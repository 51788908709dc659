"""Execution: lanes, the pool of disposable workers, the cache, run folders. It runs plain callables and knows no reward."""

from plaudit.run._cache import VerdictCache
from plaudit.run._drive import adrive, any_completed, completed, drive, together
from plaudit.run._folder import RunFolder
from plaudit.run._lanes import Results, raised, run_inline, run_lane
from plaudit.run._loop import EventLoop, event_loop
from plaudit.run._pool import CpuPool, Ending, Outcome, shared_cpu_pool
from plaudit.run._settings import Settings, settings, using

__all__ = [
    "CpuPool",
    "Ending",
    "EventLoop",
    "Outcome",
    "Results",
    "RunFolder",
    "Settings",
    "VerdictCache",
    "adrive",
    "any_completed",
    "completed",
    "drive",
    "event_loop",
    "raised",
    "run_inline",
    "run_lane",
    "settings",
    "shared_cpu_pool",
    "together",
    "using",
]
