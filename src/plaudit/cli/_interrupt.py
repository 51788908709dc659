"""Ctrl-C that cannot get lost.

A KeyboardInterrupt comes up wherever the interpreter happens to be. In the middle of importing a compiled library it may be
swallowed there, and the command would go on: so it is also written down, and long work asks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


def check_interrupt() -> None:
    """Raise KeyboardInterrupt when Ctrl-C was pressed since the command began."""
    if _asked:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Note Ctrl-C inside; where the process was told to ignore it (``nohup``, ``&`` in a script) it stays ignored."""
    global _asked
    _asked = False
    mine = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not mine or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
