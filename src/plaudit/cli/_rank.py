"""``plaudit rank``: the responses to each prompt, the best first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import as_text, notices, number, one_line, output, plain, print_json, visible, warn
from plaudit.cli._data import Data, open_data
from plaudit.cli._errors import in_options, reward_code
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
from plaudit.errors import RunError

if TYPE_CHECKING:
    from plaudit.records import Rejected, Row
    from plaudit.reward import Reward
    from plaudit.types import Verdict

_WINDOW = 256
_EXCERPT = 300


@dataclass(frozen=True, slots=True)
class Ranked:
    """One response in its place.

    Fields:
        rank: 1 = the best; equal values share a rank. None = not scored.
        tied: whether another response has the same rank.
        row, id: where it stands in the file, and its id.
        value, status, reason, answer: of its verdict.
        excerpt: how the response begins.
    """

    rank: int | None
    tied: bool
    row: int
    id: str
    value: float | None
    status: str
    reason: str | None
    answer: str | None
    excerpt: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the excerpt."""
        return {name: getattr(self, name) for name in ("rank", "id", "value", "status", "reason", "answer")}


@dataclass(frozen=True, slots=True)
class Ranking:
    """The responses to one prompt: scored ones by falling value, then those that are not scored, each in the file's order."""

    group: str
    prompt: str
    responses: list[Ranked]

    def to_json(self, top: int | None) -> dict[str, Any]:
        """As JSON values."""
        return {
            "group": self.group, "prompt": self.prompt, "n": len(self.responses),
            "responses": [r.to_json() for r in self.responses[:top]],
        }  # fmt: skip


@command("rank", example="plaudit rank reward.yaml answers.jsonl --top 3")
def rank(
    reward: RewardArgument,
    data: DataArgument,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="K", show_default=False, help="Only the first K responses to each prompt.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", show_default=False, help="Also write the ranking as JSON lines, one prompt each."
        ),
    ] = None,
    workers: WorkersOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Rank the responses to each prompt by their reward.

    Equal rewards share a rank (2=, 2=, 4). Responses that were not scored come last, marked with why. A prompt's responses are
    the rows of one group: those with the same column group, or the same prompt.

    --json gives a list of {group, prompt, n, responses: [{rank, id, value, status, reason, answer}]}.

    The status is 1 when nothing was scored.
    """
    scorer = load_reward(reward)
    rows = open_data(data, column)
    rows.check()
    rejected: list[Rejected] = []
    with resources(scorer, workers=workers, cache=cache, no_cache=no_cache), reward_code():
        rankings = rank_rows(scorer, rows, rejected)
    if out is not None:
        _write(out, rankings, top)
    if as_json:
        print_json([ranking.to_json(top) for ranking in rankings])
    else:
        _print(output(), rankings, top)
    if rejected:
        which = "1 row cannot be read and is" if len(rejected) == 1 else f"{len(rejected):,} rows cannot be read and are"
        warn(f"{which} not ranked; the first: {in_options(str(rejected[0]))}")
    if not any(r.rank for ranking in rankings for r in ranking.responses):
        notices().print(Text.assemble(("nothing was scored", "bold red"), ", so the status is 1"))
        return SHORT
    return FINE


def rank_rows(reward: Reward, data: Data, rejected: list[Rejected]) -> list[Ranking]:
    """The rankings of all groups of a file in the file's order; rows that cannot be read are added to `rejected`."""
    from plaudit.records import count_groups, iter_windows
    from plaudit.reward import score_windows

    if reward.facts.scope == "batch":
        windows: Iterable[list[Row]] = [list(data.rows(rejected.append))]
    else:
        counts = count_groups(data.rows(lambda bad: None))
        windows = iter_windows(data.rows(rejected.append), _WINDOW, whole_groups=True, counts=counts)
    groups: dict[str, tuple[str, list[tuple[Row, Verdict, str]]]] = {}
    for window, verdicts in score_windows(reward, windows):
        for row, verdict in zip(window, verdicts, strict=True):
            sample = row.sample
            excerpt = one_line(as_text(sample.prompt), _EXCERPT)
            kept = groups.setdefault(str(sample.group), (excerpt, []))[1]
            kept.append((_light(row), verdict, one_line(as_text(sample.response), _EXCERPT)))
    ordered = sorted(groups.items(), key=lambda item: item[1][1][0][0].row)
    return [Ranking(group, prompt, list(_ranked(members))) for group, (prompt, members) in ordered]


def _light(row: Row) -> Row:
    """The row without its texts: a ranking holds every row of the file."""
    from plaudit.types import Sample

    return row._replace(sample=Sample("", "", id=row.sample.id))


def _ranked(members: Sequence[tuple[Row, Verdict, str]]) -> Iterator[Ranked]:
    best_first = sorted(members, key=lambda m: (m[1].value is None, -(m[1].value or 0.0), m[0].row))
    values = [verdict.value for _, verdict, _ in best_first if verdict.value is not None]
    for row, verdict, excerpt in best_first:
        place = None if verdict.value is None else values.index(verdict.value) + 1
        yield Ranked(
            place, place is not None and values.count(values[place - 1]) > 1, row.row, str(row.sample.id), verdict.value,
            verdict.status.value, verdict.reason, verdict.answer, excerpt,
        )  # fmt: skip


def _write(path: Path, rankings: Sequence[Ranking], top: int | None) -> None:
    from plaudit.records import replace_file

    try:
        with replace_file(path) as file:
            for ranking in rankings:
                file.write(json.dumps(plain(ranking.to_json(top)), allow_nan=False).encode("ascii") + b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error


def _print(console: Console, rankings: Sequence[Ranking], top: int | None) -> None:
    shown = [r for ranking in rankings for r in islice(ranking.responses, top)]
    ids = min(16, max((len(r.id) for r in shown), default=0))
    middles = min(20, max((len(_middle(r)) for r in shown), default=0))
    for ranking in rankings:
        console.print(Text(visible(ranking.prompt, console.width - 1), style="bold"), no_wrap=True, crop=True)
        for r in islice(ranking.responses, top):
            console.print(_line(r, ids, middles, console.width - 1), no_wrap=True, crop=True)
        left = len(ranking.responses) - (top or len(ranking.responses))
        console.print(Text(f"         and {left} more\n" if left > 0 else "", style="dim"))
    console.print(_closing(rankings))


def _middle(r: Ranked) -> str:
    """What stands between the value and the response: the answer that was read, or why there is no value."""
    return one_line((r.answer if r.rank is not None else r.reason) or "", 20)


def _line(r: Ranked, ids: int, middles: int, width: int) -> Text:
    style = "" if r.rank is not None else "red" if r.status == "failed" else "yellow"
    mark = "–" if r.rank is None else f"{r.rank}{'=' if r.tied else ' '}"
    line = Text.assemble(
        (f"{mark:>5} ", "dim"), (f"{number(r.value) if r.rank is not None else r.status.upper():>9}  ", style or "bold"),
        (set_cell_size(visible(r.id, 16), ids), "cyan"), "  ", (set_cell_size(_middle(r), middles), style), "  ",
    )  # fmt: skip
    rest = max(8, width - line.cell_len)
    excerpt = visible(r.excerpt)
    line.append(excerpt if cell_len(excerpt) <= rest else set_cell_size(excerpt, rest - 1) + "…", style="dim")
    return line


def _closing(rankings: Sequence[Ranking]) -> Text:
    every = [r.value for ranking in rankings for r in ranking.responses if r.value is not None]
    best = [max(values) for ranking in rankings if (values := [r.value for r in ranking.responses if r.value is not None])]
    n = sum(len(ranking.responses) for ranking in rankings)
    text = Text(f"{len(rankings):,} prompts, {n:,} responses", style="bold")
    if every:
        text.append(
            f"   mean {number(sum(every) / len(every))}, mean of the best {number(sum(best) / len(best))}", style="default"
        )
    return text
