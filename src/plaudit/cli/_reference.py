"""The page ``docs/cli.md``, from what the commands say of themselves: ``python -m plaudit.cli._reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plaudit.cli._app import command_line
from plaudit.cli._help import arguments_of, options_of, usage_of
from plaudit.cli._main import FINE, INTERRUPTED, READER_GONE, SHORT, USAGE

_STATUS = {
    FINE: "fine",
    SHORT: "a result that fell short: too many failures, nothing scored, a finding, something broken",
    USAGE: "usage: an unknown reward, a missing file, a bad spec or option; nothing was done",
    INTERRUPTED: "Ctrl-C; what was committed stays",
    READER_GONE: "the reader of the output went away, as `head` does",
}


def reference() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    group = command_line()
    context = group.make_context("plaudit", ["list"])
    yield "# The commands"
    yield ""
    yield "Written by `python -m plaudit.cli._reference`; `plaudit COMMAND --help` says the same."
    yield ""
    yield "| status | meaning |"
    yield "| --- | --- |"
    for status, meaning in _STATUS.items():
        yield f"| {status} | {meaning} |"
    yield ""
    yield "With `--json`, standard output holds one JSON document and everything else goes to standard error."
    for name, command in group.commands.items():
        yield from _command(command, type(context)(command, parent=context, info_name=name))


def _command(command: Any, context: Any) -> Iterator[str]:
    yield f"\n## plaudit {command.name}\n"
    yield from ["```", str(usage_of(command, context)), "```", ""]
    yield str(command.help).replace("<", "\\<")
    for title, rows in (("Arguments", list(arguments_of(command, context))), ("Options", list(options_of(command, context)))):
        if rows:
            yield f"\n| {title.lower()} | |"
            yield "| --- | --- |"
            for label, text in rows:
                yield f"| `{label}` | {text.replace('|', chr(92) + '|')} |"
    yield from ["", "```", str(command.epilog).removeprefix("Example: "), "```"]


if __name__ == "__main__":
    print(reference(), end="")
