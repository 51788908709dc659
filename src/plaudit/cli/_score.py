"""``plaudit score``: every row of a file into a run folder."""

from __future__ import annotations

import platform
import re
import shlex
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import notices, number, output, plain, print_json, visible
from plaudit.cli._data import Data, open_data
from plaudit.cli._errors import in_options, reward_code
from plaudit.cli._interrupt import check_interrupt
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
from plaudit.cli._progress import duration, progress_bar, rate
from plaudit.cli._resources import resources
from plaudit.cli._reward import load_reward
from plaudit.errors import SpecError, TooManyFailures

if TYPE_CHECKING:
    from plaudit.cli._leaf_table import LeafStatistics
    from plaudit.records import OnReject, Row
    from plaudit.reward import Reward, RunProgress
    from plaudit.run import RunFolder


@command("score", example="plaudit score reward.yaml answers.jsonl -o runs/first")
def score(
    reward: RewardArgument,
    data: DataArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="RUN", show_default=False, help="The run's folder. Default: a new one, runs/TIME-NAME."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Go on with the run in RUN if it is of the same reward and data, or refuse."),
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in RUN first.")] = False,
    max_failures: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            show_default=False,
            help="Give up with status 1 when more than this share of at least 100 rows failed or is unreadable. Default: never.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", show_default=False, help="Only the first N responses.")] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", show_default=False, help="Rows that are committed together. Default: about 2 s of work."
        ),
    ] = None,
    workers: WorkersOption = None,
    cache: CacheOption = None,
    no_cache: NoCacheOption = False,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Score every row of DATA and keep the verdicts in a folder; show what each leaf contributed.

    Rows are committed window by window: after Ctrl-C or a crash the same command goes on where it stopped. RUN/verdicts holds
    Parquet files with row, id, value, status, reason, answer and one column for each leaf, RUN/rejected.jsonl the rows that
    cannot be read, RUN/summary.json the figures.

    In the table, mean and std are of a leaf's own values, share is its part of the sum of mean absolute contributions, corr. its
    correlation with the total, and shut counts the rows where a closed gate left it out.

    --json gives {n, scored, abstained, failed, mean, seconds, per_second, run}; unreadable rows count in n and failed,
    per_second leaves start-up out.

    The status is 0 when something was scored and not too much failed, 1 when nothing was scored or --max-failures was passed.
    """  # fmt: skip
    began = time.monotonic()
    scorer = load_reward(reward)
    rows = open_data(data, column)
    rows.check()
    path = out if out is not None else _new_folder(Path(reward).stem if Path(reward).is_file() else scorer.name)
    with (
        resources(scorer, workers=workers, cache=cache, no_cache=no_cache),
        _open_folder(path, scorer, rows, reward, limit, resume, overwrite) as folder,
    ):
        ended, trouble = _run(scorer, rows, folder, limit, window, max_failures)
        result = _result(ended, time.monotonic() - began, path)
        from plaudit.cli._leaf_table import leaf_statistics

        statistics = leaf_statistics(scorer, folder)
        if trouble is None and (ended.fresh or folder.summary is None):
            folder.finish(plain({**result, **_details(ended, statistics)}))
    if as_json:
        print_json(result)
    else:
        _print(ended, result, statistics)
    if trouble is not None:
        raise trouble
    if not ended.scored:
        why = ended.first_rejected or (ended.first_failed or ("", ""))[1]
        said = f": {visible(in_options(why), 300)}" if why else ""
        notices().print(Text.assemble(("nothing was scored", "bold red"), said), soft_wrap=True)
        return SHORT
    return FINE


def _run(
    reward: Reward, rows: Data, folder: RunFolder, limit: int | None, window: int | None, max_failures: float | None
) -> tuple[RunProgress, TooManyFailures | None]:
    """Score into the folder; where it stands at the end, and the error when too much failed."""
    from plaudit.reward import score_stream

    last: list[RunProgress] = []

    def read(on_reject: OnReject) -> Iterator[Row]:
        for row in islice(rows.rows(on_reject), limit):
            check_interrupt()
            yield row

    try:
        with progress_bar(rows.count_lines()) as show, reward_code():

            def note(progress: RunProgress) -> None:
                last[:] = [progress]
                show(progress)
                check_interrupt()

            return score_stream(reward, read, folder, window=window, max_failure_rate=max_failures, on_progress=note), None
    except TooManyFailures as error:
        return last[0], error
    except KeyboardInterrupt:
        committed = len(folder.committed)
        notices().print(
            Text(
                f"interrupted: {committed:,} rows are committed in {folder.path}; the same command with -o {folder.path} goes on"
            )
        )
        raise


def _open_folder(
    path: Path, reward: Reward, rows: Data, argument: str, limit: int | None, resume: bool, overwrite: bool
) -> RunFolder:
    import numpy as np
    import pyarrow as pa

    from plaudit import __version__
    from plaudit.records import digest_file
    from plaudit.reward import stamp_of
    from plaudit.run import RunFolder

    # A smaller file is another one where a value depends on the other rows.
    whole = reward.facts.scope == "sample"
    manifest = {
        "fingerprint": stamp_of(reward),
        "data_sha256": digest_file(rows.path),
        "columns": rows.columns,
        "limit": None if whole else limit,
        "reward": argument,
        "name": reward.name,
        "spec": _spec_or_none(reward),
        "data": rows.name,
        "command": shlex.join(["plaudit", *sys.argv[1:]]),
        "seed": 0,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {
            "plaudit": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
    }
    return RunFolder.open(
        path, manifest, resume=resume, overwrite=overwrite, identity=("fingerprint", "data_sha256", "columns", "limit")
    )


def _spec_or_none(reward: Reward) -> dict[str, Any] | None:
    try:
        return reward.spec
    except SpecError:  # it scores all the same; the fingerprint still tells it apart
        return None


def _new_folder(name: str) -> Path:
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)[:40]}"
    tries = (Path("runs") / (stem if k == 1 else f"{stem}-{k}") for k in range(1, 1000))
    return next(path for path in tries if not path.exists())


def _result(ended: RunProgress, seconds: float, path: Path) -> dict[str, Any]:
    return {
        "n": ended.n, "scored": ended.scored, "abstained": ended.abstained, "failed": ended.failed + ended.rejected,
        "mean": ended.mean, "seconds": seconds, "per_second": ended.per_second, "run": str(path),
    }  # fmt: skip


def _details(ended: RunProgress, statistics: list[LeafStatistics]) -> dict[str, Any]:
    return {
        "rejected": ended.rejected,
        "reasons": dict(ended.reasons),
        "slowest": [{"id": name, "seconds": seconds} for seconds, name in ended.slowest],
        "leaves": [leaf.to_json() for leaf in statistics],
    }


def _print(ended: RunProgress, result: dict[str, Any], statistics: list[LeafStatistics]) -> None:
    from plaudit.cli._leaf_table import leaf_table

    console = output()
    lost = ended.failed + ended.rejected
    console.print(
        Text.assemble(
            (f"{ended.n:,} rows", "bold"), f"   scored {ended.scored:,}   abstained {ended.abstained:,}   ",
            (f"failed {lost:,}", "red" if lost else ""), "   mean ", (number(ended.mean), "bold"),
        )
    )  # fmt: skip
    speed = f"{rate(ended.per_second)}, start-up left out" if ended.fresh else "everything was there already"
    console.print(Text(f"{duration(result['seconds'])}, {speed}", style="dim"))
    console.print(leaf_table(statistics))
    for line in _remarks(ended, result["run"]):
        console.print(line)


def _remarks(ended: RunProgress, run: str) -> Iterator[Text]:
    from plaudit.types import reason

    for code, count in ended.reasons[:5]:
        sentence = "" if ":" in code else reason(code).sentence
        yield Text.assemble((f"{count:,} failed", "red"), f"  {visible(code)}  ", (sentence, "dim"))
    if ended.first_failed is not None:
        name, said = ended.first_failed
        yield Text(f"the first  id {visible(name, 40)}, {visible(said, 200)}", style="dim")
    if ended.rejected:
        what = "row cannot" if ended.rejected == 1 else "rows cannot"
        yield Text.assemble((f"{ended.rejected:,} {what} be read", "red"), f"  see {run}/rejected.jsonl")
        yield Text(f"the first  {visible(in_options(ended.first_rejected or ''), 300)}", style="dim")
    if ended.slowest and ended.slowest[0][0] >= 0.1:
        slowest = ", ".join(f"{visible(name, 24)} ({duration(seconds)})" for seconds, name in ended.slowest[:3])
        yield Text(f"slowest  {slowest}", style="dim")
    yield Text.assemble("the verdicts are in ", (run, "bold"))
