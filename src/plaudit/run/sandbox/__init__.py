"""Untrusted programs in namespaces of their own: a warm process inside bubblewrap that forks one for each run.

`_request.py` says what can be asked, `_pool.py` keeps the warm processes, `_start.py` starts one; the folder `inside` is what
runs in there.
"""

from plaudit.run.sandbox._pool import Sandbox, SandboxError
from plaudit.run.sandbox._request import TIMEOUT, Limits, Outcome, Program, Reply
from plaudit.run.sandbox._start import Isolation, isolation_available
from plaudit.run.sandbox.inside.values import Opaque, Undecodable, decode, encode

__all__ = [
    "TIMEOUT",
    "Isolation",
    "Limits",
    "Opaque",
    "Outcome",
    "Program",
    "Reply",
    "Sandbox",
    "SandboxError",
    "Undecodable",
    "decode",
    "encode",
    "isolation_available",
]
