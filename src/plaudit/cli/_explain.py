"""``plaudit explain``: why one row got its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import as_text, notices, one_line, output, print_json, visible
from plaudit.cli._data import Data, open_data
from plaudit.cli._errors import reward_code
from plaudit.cli._main import FINE, SHORT
from plaudit.cli._options import (
    CacheOption,
    ColumnOption,
    DataArgument,
    JsonOption,
    NoCacheOption,
    RewardArgument,
    WorkersOption,
)
from plaudit.cli._resources import resources
from plaudit.cli._reward import load_reward
from plaudit.errors import DataError

if TYPE_CHECKING:
    from plaudit.records import Rejected, Row
    from plaudit.types import Sample

_SHOWN = 300  # characters of a prompt, a response, a reference


@command("explain", example="plaudit explain reward.yaml answers.jsonl --row 3")
def explain(
    reward: RewardArgument,
    data: DataArgument,
    row: Annotated[
        str | None,
        typer.Option(
            metavar="N", show_default=False, help="The row of the file, counted from 1; N/K is its K-th candidate from 0."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--id", metavar="ID", show_default=False, help="The row with this id.")] = None,
    workers: WorkersOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Show the tree of a reward on one row: every leaf's value, weight, share, and what was read.

    Where a value depends on the other rows of its group, or of the file, these are scored with it. The status is 1 when the
    row was not scored.
    """
    if (row is None) == (name is None):
        raise typer.BadParameter("give either --row N or --id ID", param_hint="--row")
    scorer = load_reward(reward)
    rows = open_data(data, column)
    rows.check()
    found = _find_row(rows, row) if row is not None else _find_id(rows, name or "")
    with resources(scorer, workers=workers, cache=cache, no_cache=no_cache), reward_code():
        from plaudit.reward import explain as lay_out

        tree = lay_out(scorer, found.sample, among=_companions(rows, found, scorer.facts.scope))
    if as_json:
        print_json({"row": found.line, "id": found.sample.id, **tree.to_json()})
    else:
        console = output()
        about = Table.grid(padding=(0, 2))
        about.add_column(style="cyan")
        about.add_column(overflow="fold")
        for label, text in _shown(found.sample):
            about.add_row(label, Text(one_line(text, _SHOWN)))
        console.print(about)
        console.print()
        for line in str(tree).splitlines():
            console.print(Text(visible(line)), soft_wrap=True)
    return FINE if tree.verdict.value is not None else SHORT


def _shown(sample: Sample) -> list[tuple[str, str]]:
    texts = [("id", sample.id), ("prompt", sample.prompt), ("response", sample.response), ("reference", sample.reference)]
    return [(label, as_text(value)) for label, value in texts if value is not None]


def _find_row(rows: Data, text: str) -> Row:
    line, slash, k = text.partition("/")
    if not line.isdecimal() or (slash and not k.isdecimal()) or int(line) < 1:
        raise typer.BadParameter(f"{text!r}: expected a row from 1, or ROW/CANDIDATE such as 3/0", param_hint="--row")
    candidate = int(k) if slash else None
    same = [row for row in _until(rows, int(line)) if row.line == int(line)]
    if not same:
        raise DataError(f"{rows.name}, row {line} is blank")
    if candidate is None:
        if len(same) > 1:
            note = f"row {line} holds {len(same)} responses; this is the first, --row {line}/1 is the next"
            notices().print(Text(note, style="dim"))
        return same[0]
    chosen = next((row for row in same if row.candidate == candidate), None)
    if chosen is None:
        raise DataError(f"{rows.name}, row {line} holds {len(same)} responses: expected --row {line}/0 to {line}/{len(same) - 1}")
    return chosen


def _until(rows: Data, line: int) -> list[Row]:
    """The samples of a line; the reading ends behind it."""
    found: list[Row] = []
    refused: list[Rejected] = []
    last = 0
    for row in rows.rows(lambda bad: refused.append(bad) if bad.line == line else None):
        last = row.line
        if row.line > line or refused:
            break
        if row.line == line:
            found.append(row)
    if refused:
        raise DataError(str(refused[0]))
    if last < line:
        raise DataError(f"{rows.name} has no row {line}: the last one that can be read is row {last}")
    return found


def _find_id(rows: Data, name: str) -> Row:
    candidate = None
    for row in rows.rows(lambda bad: None):
        if row.sample.id == name:
            return row
        if candidate is None and str(row.sample.id).startswith(f"{name}/"):
            candidate = row.sample.id
    if candidate is not None:
        raise DataError(f"{rows.name} has several responses with the id {name!r}: write --id {candidate} for the first")
    raise DataError(f"{rows.name} has no row with the id {name!r}; without a column id, the id is the row's number")


def _companions(rows: Data, found: Row, scope: str) -> list[Sample] | None:
    """The samples that the value of the found one depends on, itself among them; None = no others."""
    if scope == "sample":
        return None
    every = (row for row in rows.rows(lambda bad: None) if scope == "batch" or row.sample.group == found.sample.group)
    return [found.sample if row.row == found.row else row.sample for row in every]
