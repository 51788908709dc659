"""``plaudit report``: one run as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import number, output, print_json
from plaudit.cli._errors import reward_code
from plaudit.cli._main import FINE
from plaudit.cli._options import JsonOption


@command("report", example="plaudit report runs/first -o report.html")
def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", show_default=False, help="The folder that `plaudit score -o` wrote; it need not have ended."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", show_default=False, help="The page. Default: RUN/report.html."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The data file that was scored, where it has moved; it must be the same file.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=0, max=200, metavar="N", help="How many of the best and of the worst rows are shown.")
    ] = 5,
    rescore: Annotated[
        bool | None,
        typer.Option(
            "--rescore/--no-rescore",
            show_default=False,
            help="Judge the shown rows once more, for heat maps and parts. Default: where that runs only rewards of the "
            "catalogue on the inline and cpu lanes; --rescore also calls models and runs functions that the run names.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Write one run as an HTML page: values, leaves, reasons, the best and the worst rows, failures, how to do it again.

    The page is one file that fetches nothing; it fits a phone and follows the reader's light or dark setting.

    --json gives {run, report, ended, n, scored, abstained, failed, mean, std, reasons, leaves}.
    """
    from plaudit.report import run_page

    with reward_code():
        page, figures = run_page(run, data=data, rows=rows, rescore_rows=rescore)
    target = page.write(out if out is not None else run / "report.html")
    figures = {"report": str(target), **figures}
    if as_json:
        print_json(figures)
        return FINE
    output().print(
        Text.assemble(
            (f"{figures['n']:,} rows", "bold"), f"   scored {figures['scored']:,}   abstained {figures['abstained']:,}   ",
            f"failed {figures['failed']:,}   mean ", (number(figures["mean"]), "bold"),
        )
    )  # fmt: skip
    output().print(Text.assemble("the report is ", (str(target), "bold")), soft_wrap=True)
    return FINE
