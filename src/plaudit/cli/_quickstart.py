"""``plaudit quickstart``: from a reward to a better model, with a report."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import notices, number, output, plain, print_json
from plaudit.cli._errors import reward_code
from plaudit.cli._main import FINE
from plaudit.cli._options import JsonOption
from plaudit.cli._progress import duration
from plaudit.cli._reward import load_reward
from plaudit.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

    from plaudit.quickstart import Quickstart, Say, Scored


@command("quickstart", example="plaudit quickstart -o runs/quickstart")
def quickstart(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Your own candidates in the place of the tiny policy's answers."),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(metavar="REWARD", show_default=False, help="What your candidates are worth; needed with --data."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the report and all files go.")] = Path(
        "runs/quickstart"
    ),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of problems, answers and trainings.")] = 0,
    encoder: Annotated[str, typer.Option(metavar="ADDRESS", help="With --data: the text encoder.")] = "encoder:minilm",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard a training that was interrupted, too.")] = False,
    as_json: JsonOption = False,
) -> int:
    """From a reward to a better model on a laptop, in minutes, with a report to look at.

    A tiny policy that plaudit ships answers 256 arithmetic problems 8 times each; the answers are scored by a composed reward; a
    reward model is trained on half of them, picks the best of N on the other half, and is fooled; the policy is trained by GRPO
    against the composed reward and measured on problems it has not seen. An interrupted training goes on when the command is
    given again; a finished quickstart is made anew. Other files in the folder are left alone.

    With --data and --reward the same is done with your own candidates, several to a prompt; no policy is trained then.

    --json gives {pass_at_1, best_of_8: {policy, majority, reward_model, weighted, oracle}, attack_success, grpo: {before,
    after, gain}, seconds, report}; with --data the values are mean rewards, and grpo is left out.
    """
    if (data is None) != (reward is None):
        raise SpecError("--data and --reward belong together: your candidates, and what they are worth")
    if data is None and (overwrite or (out / "quickstart.json").exists()):
        _clear(out)
    began = time.monotonic()
    with reward_code(), _stages() as say:
        found = _on_data(data, str(reward), out, encoder, seed, say) if data is not None else _on_world(out, seed, say)
    row = plain(found.to_json() | {"seconds": time.monotonic() - began})
    (out / "quickstart.json").write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(row)
    else:
        _print(found, row["seconds"])
    return FINE


def _clear(folder: Path) -> None:
    """Remove what an earlier quickstart wrote, and nothing else: the folder may hold more."""
    from plaudit.quickstart import FILES

    for name in FILES:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _on_world(out: Path, seed: int, say: Say) -> Quickstart:
    from plaudit.quickstart import SPEC, quickstart, write_report

    found = quickstart(out, seed=seed, say=say)
    spec, answers = out / SPEC.name, out / "answers.jsonl"
    shutil.copy(SPEC, spec)
    train = ("plaudit", "train", answers, "--model", "world:arithmetic", "--head", "gated-linear", "-o", out / "rm")
    again = [
        ("All of it.", _line("plaudit", "quickstart", "-o", out, "--seed", seed)),
        ("Score the answers.", _line("plaudit", "score", spec, answers, "-o", out / "run")),
        ("See why an answer got what it got.", _line("plaudit", "explain", spec, answers, "--row", 1)),
        ("Train a reward model on the answers.", _line(*train)),
        ("Let the reward model rank them.", _line("plaudit", "rank", out / "reward-model", answers, "--top", 1)),
        ("Train the policy in your own code.", "python examples/grpo.py"),
    ]
    found.report = write_report(found, again)
    return found


def _on_data(data: Path, reward: str, out: Path, encoder: str, seed: int, say: Say) -> Quickstart:
    from plaudit.quickstart import quickstart_on, write_report

    found = quickstart_on(data, load_reward(reward), out, spec=reward, encoder=encoder, seed=seed, say=say)
    own = () if encoder == "encoder:minilm" else ("--encoder", encoder)
    every = ("plaudit", "quickstart", "--data", data, "--reward", reward, "-o", out, "--seed", seed, *own)
    again = [
        ("All of it.", _line(*every)),
        ("Score the candidates.", _line("plaudit", "score", reward, data, "-o", out / "run")),
        ("Let the reward model rank them.", _line("plaudit", "rank", out / "reward-model", data, "--top", 1)),
    ]
    found.report = write_report(found, again)
    return found


def _line(*parts: object) -> str:
    """A command as it can be pasted into a shell."""
    return shlex.join(map(str, parts))


@contextmanager
def _stages() -> Iterator[Say]:
    """A line for each stage on standard error; in a terminal the current one moves."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = notices()
    began: dict[str, float] = {}

    def close(stage: str) -> None:
        took = duration(time.monotonic() - began[stage])
        console.print(Text.assemble(("✓ ", "green"), f"{stage:<26}", (took, "dim")))

    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description:<26}"), BarColumn(bar_width=20), TextColumn("[dim]{task.fields[words]}"),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=1.0, words="")

        def say(stage: str, done: float | None, words: str) -> None:
            if stage not in began:
                if began:
                    close(list(began)[-1])
                began[stage] = time.monotonic()
            bar.update(task, description=stage, completed=done or 0.0, words=words)

        yield say
    if began:
        close(list(began)[-1])


def _print(found: Quickstart, seconds: float) -> None:
    console = output()
    _print_leaves(console, found.scored)
    if found.picking is not None:
        curves = found.picking.curves
        ns = next(iter(curves.values())).n.tolist()
        console.print(Text(f"{'picking the best of':<22}" + "".join(f"{f'N={n}':>8}" for n in ns), style="bold"))
        for name, curve in curves.items():
            low, high = curve.low[-1], curve.high[-1]
            values = "".join(f"{value:>8.3f}" for value in curve.accuracy)
            console.print(Text.assemble(f"  {name:<20}", values, (f"   {low:.3f} to {high:.3f}", "dim")))
    if found.fooling is not None:
        flood = found.fooling.flood
        console.print(
            Text.assemble(
                ("the reward model is fooled ", "bold"), f"in {_share(flood.success)} of {flood.n} groups by {flood.edit} ",
                (f"({_share(found.fooling.unedited.success)} on plain pairs)", "dim"),
            )
        )  # fmt: skip
    if found.trained is not None:
        t = found.trained
        console.print(
            Text.assemble(
                ("the trained policy ", "bold"), f"is right {t.after[0]:.1%} of the time, before {t.before[0]:.1%}: ",
                (f"{100 * t.gain:+.1f} points", "bold green" if t.difference[0] > 0 else "bold"),
                (f" ({100 * t.difference[0]:.1f} to {100 * t.difference[1]:.1f}, {t.problems} held-out problems)", "dim"),
            )
        )  # fmt: skip
    for note in found.notes:
        console.print(Text(note, style="yellow"))
    console.print(Text.assemble(f"{number(seconds, 3)} s; the report is ", (str(found.report), "bold")), soft_wrap=True)


def _print_leaves(console: Console, scored: Scored) -> None:
    from plaudit.report import leaf_shares_of
    from plaudit.reward import Combinator

    weights = scored.reward.linear_weights() if isinstance(scored.reward, Combinator) else None
    shares = leaf_shares_of(scored.verdicts, dict(weights or {}))
    if shares:
        console.print(Text(f"{'what the answers earned':<23}{'mean':>7}{'std':>8}{'weight':>8}{'share':>8}", style="bold"))
    for leaf in shares:
        cells = [number(leaf.mean, 3), number(leaf.std, 3), number(leaf.weight, 3), _share(leaf.share)]
        console.print(f"  {leaf.name:<20}" + "".join(f"{cell:>8}" for cell in cells))


def _share(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0%}"
