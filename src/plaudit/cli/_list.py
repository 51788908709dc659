"""``plaudit list``: the rewards of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import bounds, indented, output, print_json, prose, warn
from plaudit.cli._options import JsonOption

if TYPE_CHECKING:
    from plaudit.reward import Facts


@dataclass(frozen=True)
class Entry:
    """A name of the catalogue with what stands behind it."""

    name: str
    cls: type
    facts: Facts

    @property
    def room(self) -> str:
        """The part of the name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def summary(self) -> str:
        """The first sentence of the class's docstring."""
        return first_sentence(self.cls.__doc__)

    def to_json(self) -> dict[str, Any]:
        """The row of ``list --json``; a range without bound on one side has null there."""
        f = self.facts
        limits = None if f.range is None else [x if isfinite(x) else None for x in f.range]
        return {
            "name": self.name, "room": self.room, "summary": self.summary, "range": limits, "scope": f.scope, "lane": f.lane,
            "systems": list(f.systems), "version": f.version,
        }  # fmt: skip


@command("list", example="plaudit list --room verify")
def list_rewards(
    room: Annotated[str | None, typer.Option(metavar="R", show_default=False, help="Only the rewards of this room.")] = None,
    as_json: JsonOption = False,
) -> int:
    """List the rewards that are installed, plaudit's own and those of other packages.

    --json gives a list of {name, room, summary, range, scope, lane, systems, version}; range is null when the reward declares
    none, and has null in the place of a bound that it lacks.
    """
    entries = read_catalogue(room)
    if as_json:
        print_json([entry.to_json() for entry in entries])
        return 0
    console = output()
    for k, entry in enumerate(entries):
        if k == 0 or entries[k - 1].room != entry.room:
            console.print(Text(f"{chr(10) if k else ''}{entry.room}", style="bold"))
        console.print(_line(entry), soft_wrap=True)
        console.print(indented(console, prose(entry.summary), 6, "dim"))
    console.print(Text("\nplaudit show NAME says more about one of them", style="dim"))
    return 0


def read_catalogue(room: str | None = None) -> list[Entry]:
    """The rewards of the catalogue; one that cannot be made is named in a warning and left out.

    Raises SpecError when there is no such room.
    """
    from plaudit import catalog
    from plaudit.errors import SpecError

    names = catalog.names()
    rooms = list(dict.fromkeys(name.partition(".")[0] for name in names))
    if room is not None and room not in rooms:
        raise SpecError(f"there is no room {room!r}{catalog.nearest(room, rooms)}")
    entries = []
    for name in names:
        if room is None or name.partition(".")[0] == room:
            try:
                entries.append(read_entry(name))
            except Exception as error:  # the code behind a name may be anybody's
                warn(f"{name} does not work: {type(error).__name__}: {error}")
    return entries


def read_entry(name: str) -> Entry:
    """One name of the catalogue, with the facts of its example. Raises whatever the code behind it raises."""
    from plaudit import catalog
    from plaudit.reward import from_spec

    cls = catalog.load(catalog.REWARDS, name)
    return Entry(name, cls, from_spec({"use": name, **cls.example}).facts)


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, on one line.

    >>> first_sentence("Scores at most 0.5 of it.  More\\nfollows.")
    'Scores at most 0.5 of it.'
    """
    paragraph = " ".join((text or "").strip().partition("\n\n")[0].split())
    end = paragraph.find(". ")
    return paragraph if end < 0 else paragraph[: end + 1]


def _line(entry: Entry) -> Text:
    f = entry.facts
    line = Text(f"  {entry.name:<27}", style="cyan")
    line.append(f"{bounds(f.range, 3):<11} ", style="default")
    line.append(f"{f.scope:<8}{f.lane:<8}", style="default")
    line.append(f"version {f.version}" + (f"   systems {', '.join(map(str, f.systems))}" if f.systems else ""), style="dim")
    return line
