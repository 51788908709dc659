"""How the help of a command looks: what it does, what it takes, an example; made for 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup

_LABEL = 24  # columns of an argument or option before its description


class HelpfulCommand(TyperCommand):
    """A command whose help is laid out here."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_help(self, ctx))


class HelpfulGroup(TyperGroup):
    """The command line as a whole, whose help is laid out here."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_help(self, ctx))


def options_of(command: Any, ctx: Any) -> Iterator[tuple[str, str]]:
    """(how it is written, what it means) of each option of a command."""
    for param in command.get_params(ctx):
        if not isinstance(param, TyperArgument):
            yield _written(param), _meant(param)


def arguments_of(command: Any, ctx: Any) -> Iterator[tuple[str, str]]:
    """(name, what it means) of each argument of a command."""
    for param in command.get_params(ctx):
        if isinstance(param, TyperArgument):
            name = str(param.metavar)
            yield (name if param.required else f"[{name}]"), str(param.help or "")


def usage_of(command: Any, ctx: Any) -> str:
    """The line that shows in which order things come."""
    names = [name for name, _ in arguments_of(command, ctx)]
    rest = ["COMMAND …"] if isinstance(command, TyperGroup) else [*names, "[OPTIONS]"]
    return " ".join([str(ctx.command_path), *rest])


def _written(param: Any) -> str:
    short = [name for name in param.opts if not name.startswith("--")]
    long = [name for name in [*param.opts, *param.secondary_opts] if name.startswith("--")]
    text = f"{', '.join(short)}, " if short else ""
    text += " / ".join(long)
    return text if param.is_flag else f"{text} {param.metavar}"


def _meant(param: Any) -> str:
    text = str(param.help or "")
    shown = param.show_default and not param.is_flag and param.default not in (None, [], ())
    return f"{text} Default: {param.default}." if shown else text


def _help(command: Any, ctx: Any) -> str:
    console = Console(highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(Text.assemble(("Usage  ", "bold"), usage_of(command, ctx)))
        for paragraph in str(command.help or "").split("\n\n"):
            console.print()
            console.print(Text(paragraph))
        commands = getattr(command, "commands", {})
        _section(console, "Commands", [(name, str(inner.help or "").partition("\n\n")[0]) for name, inner in commands.items()])
        _section(console, "Arguments", list(arguments_of(command, ctx)))
        _section(console, "Options", list(options_of(command, ctx)))
        _section(console, "Example", [])
        console.print(f"  {str(command.epilog).removeprefix('Example: ')}", markup=False, soft_wrap=True)
    return captured.get()


def _section(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows and title != "Example":
        return
    console.print(Text(f"\n{title}", style="bold"))
    for label, text in rows:
        lines = wrap(text, max(20, console.width - _LABEL - 2))
        if len(label) > _LABEL - 4:
            console.print(Text(f"  {label}", style="cyan"))
            label = ""
        for k, line in enumerate(lines or [""]):
            console.print(Text.assemble((f"  {label if k == 0 else '':<{_LABEL - 2}}", "cyan"), line))
