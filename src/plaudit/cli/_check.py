"""``plaudit check``: a reward's declared facts, put to the test."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import output, print_json, visible, warn
from plaudit.cli._data import Data, open_data
from plaudit.cli._errors import reward_code
from plaudit.cli._main import FINE, SHORT
from plaudit.cli._options import ColumnOption, JsonOption, RewardArgument, WorkersOption
from plaudit.cli._resources import resources
from plaudit.cli._reward import load_reward

if TYPE_CHECKING:
    from plaudit.records import Rejected
    from plaudit.reward import CheckReport
    from plaudit.types import Sample

_MARKS = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "skipped": ("skipped", "yellow")}


@command("check", example="plaudit check reward.yaml answers.jsonl")
def check(
    reward: RewardArgument,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", show_default=False, help="Rows that it can score, as for score. Default: made up."),
    ] = None,
    limit: Annotated[int, typer.Option(min=2, metavar="N", help="How many of DATA's first rows to try it on.")] = 64,
    thorough: Annotated[
        bool | None,
        typer.Option(
            "--thorough/--modest",
            show_default=False,
            help="Many calls, or few. Default: few where a call may cost money (the io and gpu lanes).",
        ),
    ] = None,
    workers: WorkersOption = None,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Test whether a reward is what it says it is.

    Range, scope, what it reads, determinism, order and batches, purity, pickling, threads, abstention, and hostile responses.
    DATA should hold rows that it can score; without DATA a small made-up set is used. A registered name is tried as its example.

    The status is 1 when a check failed.
    """  # fmt: skip
    from plaudit.reward import check_reward

    scorer = load_reward(reward, examples=True)
    samples = None
    if data is not None:
        rows = open_data(data, column)
        rows.check()
        samples = _samples(rows, limit, scorer.facts.scope)
    with resources(scorer, workers=workers, cache=None, no_cache=True), reward_code():
        report = check_reward(scorer, samples, thorough=thorough)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    return FINE if report.ok else SHORT


def _samples(rows: Data, limit: int, scope: str) -> list[Sample]:
    """The first samples of a file; with group scope all those of their groups."""
    rejected: list[Rejected] = []
    first = [row.sample for row in islice(rows.rows(rejected.append), limit)]
    if rejected:
        warn(f"rows that cannot be read are left out; the first: {rejected[0]}")
    if scope != "group":
        return first
    groups = {sample.group for sample in first}
    return [row.sample for row in rows.rows(lambda bad: None) if row.sample.group in groups]


def _print(report: CheckReport) -> None:
    console = output()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    for finding in report.findings:
        mark, style = _MARKS[finding.result]
        table.add_row(
            Text(mark, style=style), finding.check, Text(visible(finding.sentence), style="dim" if finding.result == "ok" else "")
        )
    console.print(table)
    count = len(report.failed)
    said = (f"{count} of {len(report.findings)} findings failed", "bold red") if count else ("its facts hold", "bold green")
    console.print(Text.assemble("\n", (visible(report.reward), "bold"), "  ", said))
