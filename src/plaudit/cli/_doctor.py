"""``plaudit doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import output, print_json, visible
from plaudit.cli._doctor_checks import Finding, examine
from plaudit.cli._main import FINE, SHORT
from plaudit.cli._options import JsonOption

_MARKS = {"ok": "green", "missing": "yellow", "broken": "bold red"}


@command("doctor", example="plaudit doctor")
def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the language models' endpoints whether they answer.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Examine this machine: versions, extras, lanes, cache, sandbox, back ends, terminal, disk.

    Each line says ok, missing (something optional is not there) or broken, and how to mend it. --json gives {ok, findings:
    [{area, name, state, essential, said, mend}]}.

    The status is 1 when something essential is broken.
    """
    findings: list[Finding] = []
    console = output()
    area = ""
    table = Table.grid(padding=(0, 2))
    for finding in examine(online):
        findings.append(finding)
        if as_json:
            continue
        if finding.area != area:
            area = finding.area
            console.print(Text(f"{chr(10) if len(findings) > 1 else ''}{area}", style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, min_width=9)
        table.add_column(no_wrap=True, style="cyan", min_width=15)
        table.add_column(overflow="fold")
        said = Text(visible(finding.said))
        if finding.mend:
            said.append(f"\n{visible(finding.mend)}", style="yellow")
        table.add_row(Text(f"  {finding.state}", style=_MARKS[finding.state]), visible(finding.name), said)
        console.print(table)
    broken = [f for f in findings if f.state == "broken" and f.essential]
    if as_json:
        print_json({"ok": not broken, "findings": [f.to_json() for f in findings]})
    else:
        text = f"{', '.join(f.name for f in broken)}: broken" if broken else "all that is essential works"
        console.print(Text(f"\n{text}", style="bold red" if broken else "bold green"))
    return SHORT if broken else FINE
