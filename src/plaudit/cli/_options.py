"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

RewardArgument = Annotated[
    str,
    typer.Argument(
        metavar="REWARD",
        show_default=False,
        help="A spec file (.yaml, .json), a registered name (verify.math), a function FILE.py:NAME, a reward model's folder, or "
        "inline YAML {use: …}.",
    ),
]
DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="Rows as .jsonl, .json or .parquet (also .jsonl.gz); - reads JSON lines from standard input.",
    ),
]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="FIELD=NAME",
        show_default=False,
        help="The column that a field stands in, when it has another name: --column prompt=question --column completion=output.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output, everything else on standard error.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", show_default=False, help="Worker processes of the cpu lane. Default: one for each CPU."),
]
CacheOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="Where verdicts of slow rewards are kept. Default: PLAUDIT_CACHE, else ~/.cache/plaudit/verdicts.sqlite.",
    ),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Neither look verdicts up nor keep them.")]
