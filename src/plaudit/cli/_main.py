"""From the arguments to the exit status: the one place where errors become a line on standard error.

0: fine. 1: a result that fell short (too many failures, a finding, something broken). 2: usage (an unknown reward, a missing
file, a bad option). 130: Ctrl-C. 141: the reader of the output went away.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from plaudit.cli._interrupt import interruptible

FINE, SHORT, USAGE, INTERRUPTED, READER_GONE = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` default to those of the process."""
    try:
        # Texts of models may hold halves of characters, and a terminal may know ASCII alone: neither may break the output.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        with interruptible():
            status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _forget_output()
        return READER_GONE
    except KeyboardInterrupt:
        # What still runs are threads and workers that end with this process: a second Ctrl-C may end it at once.
        if arguments is None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Where it hit code inside exec(), such as that of a dataclass, `python -m` remembers it as not handled and would end by
        # the signal. Another exec() makes it forget.
        exec("")
        return INTERRUPTED
    except OSError as error:  # the last bytes of standard output did not fit
        _forget_output()
        print(f"plaudit: error: the output cannot be written: {error.strerror or error}", file=sys.stderr)
        return SHORT


def _run(arguments: list[str]) -> int:
    from plaudit.cli._app import command_line
    from plaudit.cli._errors import report
    from plaudit.cli._resources import show_warnings

    # Loading a model draws bars of its own, in the middle of ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    show_warnings()
    try:
        status = command_line().main(args=arguments, prog_name="plaudit", standalone_mode=False)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        return report(error)
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    return status if isinstance(status, int) else FINE


def _forget_output() -> None:
    # The interpreter flushes standard output once more at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
