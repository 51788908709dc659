"""The command line: ``plaudit COMMAND --help`` says what each command does and shows an example."""

from plaudit.cli._main import main

__all__ = ["main"]
