"""``plaudit diff``: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import number, output, print_json
from plaudit.cli._main import FINE, SHORT
from plaudit.cli._options import JsonOption


@command("diff", example="plaudit diff runs/first runs/second -o diff.html")
def diff(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", show_default=False, help="The folder of the run to compare with.")],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", show_default=False, help="The folder of the run that is compared.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", show_default=False, help="Also write the comparison as a page.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="The data file that was scored, where it has moved."),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=0, max=200, metavar="N", help="How many of the largest changes are shown with texts.")
    ] = 10,
    tolerance: Annotated[float, typer.Option(min=0.0, metavar="X", help="Values that differ by no more are the same.")] = 1e-9,
    fail_if_changed: Annotated[
        bool, typer.Option("--fail-if-changed", help="End with status 1 when a row, a value or a status differs.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Compare two runs row by row, joined by row id: what changed, how well they agree, who wins.

    B wins a row where its reward is higher than that of A. Rows that only one run has are counted and left out of the rest.

    --json gives {a, b, both, only_a, only_b, scored_in_both, changed, same, wins, losses, ties, agreement, mean_a, mean_b,
    mean_change, mean_change_low, mean_change_high, correlation, rank_correlation, status_changed, statuses, same_reward,
    same_data, leaves, report}; the interval is Student's, at 95%.

    The status is 0, also when the runs differ, unless --fail-if-changed is given.
    """
    from plaudit.report import diff_page

    page, figures = diff_page(a, b, data=data, rows=rows, tolerance=tolerance)
    figures["report"] = str(page.write(out)) if out is not None else None
    if as_json:
        print_json(figures)
    else:
        _print(figures)
    return SHORT if fail_if_changed and not figures["same"] else FINE


def _print(f: dict[str, Any]) -> None:
    console = output()
    alone = f"only in A {f['only_a']:,}   only in B {f['only_b']:,}"
    console.print(Text.assemble((f"{f['both']:,} rows in both", "bold"), f"   changed {f['changed']:,}   {alone}"))
    if f["scored_in_both"]:
        console.print(
            f"mean {number(f['mean_a'])} → {number(f['mean_b'])}, change {number(f['mean_change'])} "
            f"[{number(f['mean_change_low'], 3)}, {number(f['mean_change_high'], 3)}]"
        )
        console.print(f"B wins {f['wins']:,}, ties {f['ties']:,}, A wins {f['losses']:,}")
        by_value, by_rank = number(f["correlation"], 3), number(f["rank_correlation"], 3)
        console.print(f"agreement {f['agreement']:.1%}, correlation {by_value}, by rank {by_rank}")
    for move in f["statuses"]:
        if move["a"] != move["b"]:
            console.print(Text(f"{move['n']:,} rows went from {move['a']} to {move['b']}", style="yellow"))
    console.print(
        Text(
            f"{'the same' if f['same_reward'] else 'another'} reward, {'the same' if f['same_data'] else 'other'} data",
            style="dim",
        )
    )
    if f["report"]:
        console.print(Text.assemble("the comparison is ", (f["report"], "bold")), soft_wrap=True)
