"""The commands by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from plaudit import __version__
from plaudit.cli import _errors
from plaudit.cli._help import HelpfulCommand, HelpfulGroup

_ORDER = (
    "quickstart", "list", "show", "score", "rank", "check", "explain", "audit", "report", "diff", "train", "reproduce", "doctor",
)  # fmt: skip

app = typer.Typer(
    name="plaudit",
    cls=HelpfulGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"plaudit {__version__}")
        raise typer.Exit


def _set_debug(wanted: bool) -> None:
    _errors.debug_wanted = wanted


@app.callback(epilog="Example: plaudit score reward.yaml answers.jsonl -o runs/first")
def plaudit(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", callback=_set_debug, help="Show tracebacks (also: the variable PLAUDIT_DEBUG=1)."),
    ] = False,
) -> None:
    """Score, rank and check the responses of language models.

    A command takes REWARD DATA: how to judge, and the rows to judge.
    """


def command(name: str, example: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add a function as a command; its docstring is the help, and `example` ends it."""

    def add(function: Callable[..., int]) -> Callable[..., int]:
        paragraphs = (function.__doc__ or "").strip().split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        app.command(name, cls=HelpfulCommand, help=text, epilog=f"Example: {example}")(function)
        return function

    return add


def command_line() -> Any:
    """The command line as one callable command."""
    # Importing a module adds its command.
    for name in _ORDER:
        import_module(f"plaudit.cli._{name}")
    app.registered_commands.sort(key=lambda known: _ORDER.index(str(known.name)))
    return typer.main.get_command(app)
