"""Every command says what it does, what it takes, and shows an example that works."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from plaudit.cli import main
from plaudit.cli._app import command_line

COMMANDS = (
    "quickstart", "list", "show", "score", "rank", "check", "explain", "audit", "report", "diff", "train", "reproduce", "doctor",
)  # fmt: skip
DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def example_of(text: str) -> list[str]:
    lines = text.splitlines()
    return shlex.split(lines[lines.index("Example") + 1])


def test_the_commands_are_those_of_the_contract() -> None:
    assert tuple(command_line().commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_explains_it_and_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = help_of(capsys, name)
    assert text.startswith(f"Usage  plaudit {name} ")
    assert "--json" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_a_valid_call_of_it(capsys: pytest.CaptureFixture[str], name: str) -> None:
    program, command, *arguments = example_of(help_of(capsys, name))
    assert (program, command) == ("plaudit", name)
    parse(command_line().commands[command], arguments)


def test_the_help_of_the_whole_shows_the_commands_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys)
    assert all(f"\n  {name} " in text for name in COMMANDS)
    program, command, *arguments = example_of(text)
    assert program == "plaudit"
    parse(command_line().commands[command], arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_means(name: str) -> None:
    for param in command_line().commands[name].params:
        assert param.help, f"{name}: {param.name}"


def test_a_bare_command_line_shows_the_help_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands" in capsys.readouterr().err


def test_the_page_in_docs_is_what_the_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    from plaudit.cli._reference import reference

    assert DOCUMENT.read_text(encoding="utf-8") == reference(), "write it again: python -m plaudit.cli._reference > docs/cli.md"


def parse(command: Any, arguments: list[str]) -> None:
    """Parse arguments as the command would, without running it; raises when they are not valid."""
    command.make_context(command.name, arguments, resilient_parsing=False)
