"""What went wrong, as a clear line on standard error, and with which status the command ends."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from plaudit.cli._console import notices, visible
from plaudit.cli._main import INTERRUPTED, SHORT, USAGE
from plaudit.errors import ContractError, ModelError, PlauditError, RunError, TooManyFailures

# Typer carries click under its own name since 0.20 or so, and the real one before: its exceptions are found from its own.
_ClickException = typer.BadParameter.__mro__[2]
_UsageError = typer.BadParameter.__mro__[1]

ISSUES = "https://github.com/plaudit/plaudit/issues"
debug_wanted = False


class RewardRaised(PlauditError):
    """The reward under way raised an error of its own on everything that it was given."""


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return debug_wanted or os.environ.get("PLAUDIT_DEBUG", "") not in ("", "0")


@contextmanager
def reward_code() -> Iterator[None]:
    """Errors inside are the reward's, not plaudit's: they are reported with the place that raised them."""
    try:
        yield
    except (PlauditError, OSError, MemoryError):
        raise
    except Exception as error:
        raise RewardRaised(f"the reward raised {_described(error)}{_place(error)}, on everything that it was given") from error


def report(error: Exception) -> int:
    """Print an error and return the exit status that it stands for."""
    console = notices()
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if debugging():
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, _ClickException):
        return _usage(error, console)
    if isinstance(error, PlauditError):
        _line(console, str(error))
        return _status(error)
    if isinstance(error, OSError):
        # A file that cannot be opened has a name; what is left is standard output.
        where = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else "the output cannot be written"
        _line(console, f"{where}: {error.strerror or error}")
        return SHORT
    if isinstance(error, MemoryError):
        _line(console, "out of memory: smaller windows (score --window 100) hold fewer rows at a time")
        return SHORT
    if not debugging():
        traceback.print_exception(error, file=sys.stderr)
    _line(console, f"{_described(error)}\nThis is a mistake in plaudit: please report it with the lines above at {ISSUES}")
    return SHORT


def _status(error: PlauditError) -> int:
    if isinstance(error, (TooManyFailures, ModelError, RewardRaised, ContractError)):
        return SHORT
    if isinstance(error, RunError) and isinstance(error.__cause__, OSError):
        return SHORT
    return USAGE


def _usage(error: Exception, console: Console) -> int:
    message = getattr(error, "format_message", lambda: str(error))()
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare `plaudit`: the message is the help
        console.print(message, markup=False)
        return USAGE
    _line(console, message)
    context = getattr(error, "ctx", None)
    if isinstance(error, _UsageError) and context is not None:
        console.print(Text(f"{context.command_path} --help shows what it takes and an example", style="dim"))
    return USAGE


def _line(console: Console, message: str) -> None:
    console.print(Text.assemble(("error: ", "bold red"), visible(in_options(message))), soft_wrap=True)


def in_options(message: str) -> str:
    """A message of the reader in the command line's own words.

    >>> in_options("columns={'prompt': NAME} says which column it is")
    '--column prompt=NAME says which column it is'
    """
    return re.sub(r"columns=\{'(\w+)': NAME\}", r"--column \1=NAME", message)


def _described(error: BaseException) -> str:
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parents[1])
    theirs = [frame for frame in frames if not frame.filename.startswith(here)]
    if theirs:
        return f" at {theirs[-1].filename}:{theirs[-1].lineno} in {theirs[-1].name}"
    notes = getattr(error, "__notes__", [])
    return f" ({notes[-1]})" if notes else ""
