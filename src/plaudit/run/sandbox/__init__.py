"""Untrusted programs in namespaces of their own: a warm process inside bubblewrap that forks one for each run.

`_request.py` says what can be asked, `_pool.py` keeps the warm processes, `_start.py` starts one; the folder `inside` is what
runs in there.
"""

from plaudit.run.sandbox._pool import Sandbox, SandboxError
from plaudit.run.sandbox._request import Limits, Outcome, Program, Session
from plaudit.run.sandbox._start import Isolation, isolation_available
from plaudit.run.sandbox.inside.values import Opaque, Undecodable, decode, encode

__all__ = [
    "Isolation",
    "Limits",
    "Opaque",
    "Outcome",
    "Program",
    "Sandbox",
    "SandboxError",
    "Session",
    "Undecodable",
    "decode",
    "encode",
    "isolation_available",
]
