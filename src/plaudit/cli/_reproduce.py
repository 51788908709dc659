"""``plaudit reproduce``: the claims of the ledger, measured again."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import indented, notices, output, print_json, visible
from plaudit.cli._main import FINE, SHORT
from plaudit.cli._options import JsonOption
from plaudit.cli._progress import duration

if TYPE_CHECKING:
    from plaudit.reproduce import Experiment, Finding

_COLOURS = {"holds": "bold green", "does not hold": "bold red", "error": "bold red", "no interval": "yellow"}


@command("reproduce", example="plaudit reproduce step-checker-sees-wrong-steps")
def reproduce(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…",
            show_default=False,
            help="Experiments by name, or by the number of the system whose claim they check.",
        ),
    ] = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    everything: Annotated[bool, typer.Option("--all", help="Run every experiment.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show the experiments and run none.")] = False,
    part: Annotated[
        str | None, typer.Option("--share", metavar="K/N", show_default=False, help="Run part K of N of all experiments.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="How many seeds. Default: what the experiment says."),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A quick look: one seed, a small size where there is one. No evidence.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where results are kept.")] = Path("runs/reproduce"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what FOLDER holds already.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Measure published claims again, where the truth is known, each beside a control that must not show it.

    A claim holds when the 95% interval of its effect lies above its threshold (0, mostly) and above the control, and the
    control's own interval reaches 0 or below. Intervals are over seeds. One seed alone has none, unless it measured many items:
    then the claim is not judged, only its direction.

    Finished seeds are kept in FOLDER: after Ctrl-C the same command goes on where it stopped.

    --json gives a list of {name, systems, claim, measured, interval, control, control_interval, holds, seeds, seconds, unit,
    details, versions, smoke, error}; holds is null without an interval, error a traceback or null.

    The status is 1 when a claim does not hold, its direction is wrong, or its experiment raised an error.
    """
    if [bool(names), everything, listed, part is not None].count(True) != 1:
        raise typer.BadParameter("give experiments by NAME, or one of --all, --list and --share K/N", param_hint="NAME")
    from plaudit.reproduce import ResultFolder, chosen, find_experiments, run_experiments

    known = find_experiments()
    if listed:
        return _list(list(known.values()), as_json)
    selected = chosen(names, known) if names else _share(part, known) if part is not None else list(known.values())
    from plaudit.cli._reproduce_progress import observed

    folder = ResultFolder(out, smoke=smoke)
    found: list[Finding] = []
    with folder.locked(), observed(selected) as observe:
        try:
            for finding in run_experiments(selected, folder, seeds=seeds, smoke=smoke, fresh=fresh, observe=observe):
                found.append(finding)
                _say_error(finding)
        except KeyboardInterrupt:
            line = f"stopped; what is finished is in {out}: the same command goes on from there"
            notices().print(Text(visible(line), style="yellow"), soft_wrap=True)
            raise
    if as_json:
        print_json([finding.to_json() for finding in found])
    else:
        _show(found, out)
    return FINE if all(finding.passed for finding in found) else SHORT


def _share(text: str, known: dict[str, Experiment]) -> list[Experiment]:
    from plaudit.reproduce import share

    parts = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if parts is None:
        raise typer.BadParameter(f"{text!r}: expected K/N, as 2/5", param_hint="--share")
    return share(known.values(), int(parts[1]), int(parts[2]))


def _say_error(finding: Finding) -> None:
    if finding.error is not None:
        print(f"{finding.name} raised an error:\n{visible(finding.error.rstrip())}", file=sys.stderr, flush=True)


def _list(known: Sequence[Experiment], as_json: bool) -> int:
    if as_json:
        print_json([_described(each) for each in known])
        return FINE
    console = output()
    for each in known:
        seeds = f"{len(each.seeds)} seed{'s' if len(each.seeds) != 1 else ''}"
        facts = "   ".join(filter(None, [_numbers(each.systems), seeds, f"about {duration(each.seconds)}"]))
        console.print(Text.assemble((each.name, "cyan"), f"   {facts}"), soft_wrap=True)
        console.print(indented(console, each.claim, 4, "dim"))
    return FINE


def _described(each: Experiment) -> dict[str, Any]:
    return {
        "name": each.name,
        "systems": list(each.systems),
        "claim": each.claim,
        "seeds": list(each.seeds),
        "seconds": each.seconds,
        "threshold": each.threshold,
        "smoke": each.smoke,
        "module": each.module,
    }


def _numbers(systems: Sequence[int]) -> str:
    return " ".join(f"[{number:03d}]" for number in systems)


def _show(found: Sequence[Finding], out: Path) -> None:
    console = output()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("experiment", ratio=1)
    table.add_column("measured, and its control", overflow="fold")
    table.add_column("", no_wrap=True)
    for each in found:
        name = Text(visible(each.name), style="cyan")
        name.append(f" {_numbers(each.systems)}" if each.systems else "", style="dim")
        name.append(f"\n{visible(each.claim)}", style="dim")
        seeds = f"{len(each.seeds)} seed{'s' if len(each.seeds) != 1 else ''}{', smoke' if each.smoke else ''}"
        numbers = [
            _with_interval(each.measured, each.interval, each.unit),
            f"control {_with_interval(each.control, each.control_interval, '')}",
            f"{seeds}, {duration(each.seconds)}" if each.seeds else seeds,
        ]
        table.add_row(name, "\n".join(numbers), Text(_state(each), style=_COLOURS[each.state]))
    console.print(table)
    console.print(Text(f"results in {visible(str(out))}", style="dim"), soft_wrap=True)


def _state(finding: Finding) -> str:
    if finding.holds is None and finding.error is None:
        return "direction right" if finding.passed else "direction wrong"
    return finding.state


def _with_interval(value: float | None, interval: tuple[float, float] | None, unit: str) -> str:
    """A number with its interval, as ``0.120 (0.050, 0.190) pass@1``."""
    if value is None:
        return "–"
    shown = f"{value:.3g}" if interval is None else f"{value:.3g} ({interval[0]:.3g}, {interval[1]:.3g})"
    return visible(f"{shown} {unit}".rstrip())
