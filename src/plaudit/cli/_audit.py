"""``plaudit audit``: how often a verifier is wrong, and in which way, on rows whose correctness is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import as_text, notices, one_line, output, print_json, visible, warn
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
from plaudit.errors import DataError

if TYPE_CHECKING:
    from plaudit.records import Rejected
    from plaudit.reward import Reward

_WINDOW = 256
_SHOWN = 10
_LABELS = {
    "1": True,
    "0": False,
    "true": True,
    "false": False,
    "right": True,
    "wrong": False,
    "correct": True,
    "incorrect": False,
}
_STYLES = (
    ("boxed", re.compile(r"\\(?:boxed|fbox)\b")),
    ("answer tags", re.compile(r"<answer>")),
    ("code block", re.compile(r"^\s*```", re.MULTILINE)),
    ("after ####", re.compile(r"####")),
    ("the answer is", re.compile(r"\banswer\b\s*(?:is|:|=)", re.IGNORECASE)),
    ("number only", re.compile(r"\A\s*[-+$]?[\d.,/]+%?\s*\Z")),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One labelled row with what was said of it; None = not scored."""

    id: str
    label: bool
    said: bool | None
    category: str
    style: str
    response: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What a verifier does on some rows; rates of nothing are None, intervals are Wilson's at 95%.

    Fields:
        n, unscored: rows, and those without a verdict, which count in nothing else.
        hits, false_positives: rightly and wrongly accepted.
        false_negatives, rejections: wrongly and rightly rejected.
    """

    n: int
    unscored: int
    hits: int
    false_positives: int
    false_negatives: int
    rejections: int

    @classmethod
    def of(cls, rows: Sequence[Judged]) -> Rates:
        """Counted."""
        pairs = [(row.label, row.said) for row in rows]
        counts = (pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)), pairs.count((False, False)))
        return cls(len(rows), sum(said is None for _, said in pairs), *counts)

    def shares(self) -> dict[str, tuple[int, int]]:
        """Name of each rate with how many of how many."""
        right, wrong = self.hits + self.false_negatives, self.false_positives + self.rejections
        return {
            "precision": (self.hits, self.hits + self.false_positives),
            "recall": (self.hits, right),
            "false_positive_rate": (self.false_positives, wrong),
            "false_negative_rate": (self.false_negatives, right),
        }

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        from plaudit.stats import wilson_interval

        found: dict[str, Any] = {"n": self.n, "unscored": self.unscored}
        for name, (count, n) in self.shares().items():
            found[name] = (
                {"value": count / n, "interval": list(wilson_interval(count, n)), "count": count, "of": n} if n else None
            )
        return found


@command("audit", example="plaudit audit reward.yaml labelled.jsonl --by category")
def audit(
    reward: RewardArgument,
    data: DataArgument,
    against: Annotated[
        str | None, typer.Option(metavar="REWARD", show_default=False, help="Another reward: print where the two disagree.")
    ] = None,
    label: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column that says whether a response is right: true or false, 1 or 0.")
    ] = "label",
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the category of a row.")] = "category",
    threshold: Annotated[float, typer.Option(metavar="VALUE", help="From this value on a response counts as accepted.")] = 0.5,
    workers: WorkersOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Measure a verifier on responses whose correctness is known.

    Prints precision, recall and the rates of false positives and false negatives with 95% intervals, over all rows, by category,
    and by the style in which the answer is given. With --against, a second reward is measured on the same rows, and the rows
    where the two disagree are shown.

    The status is 1 when nothing was scored.
    """
    rows = open_data(data, column)
    rows.check()
    audited = {}
    for name in [reward, *([against] if against is not None else [])]:
        scorer, rejected = load_reward(name), list[Any]()
        with resources(scorer, workers=workers, cache=cache, no_cache=no_cache), reward_code():
            audited[name] = list(_judged(scorer, rows, label, by, threshold, rejected))
    if rejected:
        warn(f"{len(rejected):,} rows cannot be read and are left out; the first: {in_options(str(rejected[0]))}")
    first = audited[reward]
    differing = _differing(first, audited[against]) if against is not None else []
    if as_json:
        print_json(_document(audited, differing, against))
    else:
        for name, judged in audited.items():
            output().print(_table(name, judged))
        if against is not None:
            _print_differing(differing, len(first))
    if all(row.said is None for row in first):
        notices().print(Text.assemble(("nothing was scored", "bold red"), ", so the status is 1"))
        return SHORT
    return FINE


def _judged(reward: Reward, rows: Data, label: str, by: str, threshold: float, rejected: list[Rejected]) -> Iterator[Judged]:
    """Every row in the file's order."""
    from plaudit.records import count_groups, iter_windows
    from plaudit.reward import score_windows

    if reward.facts.scope == "batch":
        windows: Any = [list(rows.rows(rejected.append))]
    else:
        counts = count_groups(rows.rows(lambda bad: None))
        windows = iter_windows(rows.rows(rejected.append), _WINDOW, whole_groups=True, counts=counts)
    found: list[tuple[int, Judged]] = []
    for window, verdicts in score_windows(reward, windows):
        for row, verdict in zip(window, verdicts, strict=True):
            meta, text = row.sample.meta, as_text(row.sample.response)
            found.append(
                (
                    row.row,
                    Judged(
                        str(row.sample.id), _label(meta.get(label), label, row.row),
                        None if verdict.value is None else verdict.value >= threshold,
                        str(meta.get(by, "")), style_of(text), text,
                    ),
                )
            )  # fmt: skip
    yield from (judged for _, judged in sorted(found, key=lambda pair: pair[0]))


def _label(value: Any, column: str, row: int) -> bool:
    known = _LABELS.get(str(value).strip().lower().removesuffix(".0")) if isinstance(value, (bool, int, float, str)) else None
    if known is None:
        given = "no such column" if value is None else f"{value!r:.60}"
        raise DataError(f"row {row}: column {column} has {given}: expected true or false, 1 or 0 (--label names another column)")
    return known


def style_of(response: str) -> str:
    """How a response gives its answer.

    >>> style_of("so \\\\boxed{4}"), style_of("4"), style_of("It is four.")
    ('boxed', 'number only', 'other')
    """
    tail = response[-20_000:]
    return next((name for name, pattern in _STYLES if pattern.search(tail)), "other")


def _groups(rows: Sequence[Judged]) -> Iterator[tuple[str, str, list[Judged]]]:
    """("all" | "category" | "style", its name, its rows), groups of one kind by falling size."""
    yield "all", "all rows", list(rows)
    for kind in ("category", "style"):
        groups: dict[str, list[Judged]] = {}
        for row in rows:
            groups.setdefault(getattr(row, kind), []).append(row)
        if set(groups) != {""}:
            for name, members in sorted(groups.items(), key=lambda pair: -len(pair[1])):
                yield kind, name or "(none)", members


def _differing(ours: Sequence[Judged], theirs: Sequence[Judged]) -> list[tuple[Judged, Judged]]:
    return [(a, b) for a, b in zip(ours, theirs, strict=True) if a.said != b.said]


def _document(
    audited: dict[str, list[Judged]], differing: Sequence[tuple[Judged, Judged]], against: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, judged in audited.items():
        found[name] = {"all": {}, "category": {}, "style": {}}
        for kind, group, members in _groups(judged):
            found[name][kind][group] = Rates.of(members).to_json()
        found[name]["all"] = found[name]["all"]["all rows"]
    if against is None:
        return {"rewards": found}
    disagreements = [{"id": a.id, "label": a.label, "said": [a.said, b.said], "category": a.category} for a, b in differing]
    return {"rewards": found, "disagreements": disagreements}


def _table(name: str, rows: Sequence[Judged]) -> Table:
    table = Table(title=visible(name, 60), title_justify="left", box=None, pad_edge=False)
    table.add_column("rows")
    for head in ("n", "precision", "recall", "false pos.", "false neg."):
        table.add_column(head, justify="right")
    for kind, group, members in _groups(rows):
        rates = Rates.of(members)
        cells = [_cell(count, n, kind == "all") for count, n in rates.shares().values()]
        table.add_row(Text(visible(group, 20), style="bold" if kind == "all" else ""), f"{rates.n - rates.unscored:,}", *cells)
    return table


def _cell(count: int, n: int, interval: bool) -> str:
    from plaudit.stats import wilson_interval

    if not n:
        return "–"
    low, high = wilson_interval(count, n)
    return f"{count / n:.1%}\n{low:.1%}–{high:.1%}" if interval else f"{count / n:.1%}"


def _print_differing(differing: Sequence[tuple[Judged, Judged]], n: int) -> None:
    console = output()
    console.print(Text(f"\nthe two disagree on {len(differing):,} of {n:,} rows", style="bold"))
    for a, b in differing[:_SHOWN]:
        said = " against ".join("not scored" if x.said is None else "accepted" if x.said else "rejected" for x in (a, b))
        console.print(Text(f"{visible(a.id, 20)}  {said}, is {'right' if a.label else 'wrong'}"), no_wrap=True, crop=True)
        console.print(Text(f"    {visible(one_line(a.response[-300:], 300))}", style="dim"), no_wrap=True, crop=True)
    if len(differing) > _SHOWN:
        console.print(Text(f"    and {len(differing) - _SHOWN:,} more; --json has all", style="dim"))
