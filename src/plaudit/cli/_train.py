"""``plaudit train``: a reward model out of preference pairs or labelled responses."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import notices, number, output, print_json, visible, warn
from plaudit.cli._data import Data, open_data
from plaudit.cli._errors import in_options
from plaudit.cli._interrupt import check_interrupt
from plaudit.cli._main import FINE
from plaudit.cli._options import ColumnOption, DataArgument, JsonOption
from plaudit.cli._progress import duration
from plaudit.errors import DataError, RunError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaudit.learned import Epoch, Features, Measured, TrainedModel, TrainingSet
    from plaudit.records import Rejected

_PEEK = 100  # unreadable rows after which a file is taken not to hold pairs


@command("train", example="plaudit train pairs.jsonl --model encoder:minilm --head mlp -o rm")
def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", show_default=False, help="Where the reward model goes.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The frozen backbone: encoder:minilm, encoder:hf:NAME, or a language model, hf:NAME, world:arithmetic.",
        ),
    ] = "encoder:minilm",
    head: Annotated[
        str, typer.Option(metavar="KIND", help="linear or mlp; on a language model's tokens also gated-linear, soft-minimum.")
    ] = "mlp",
    hidden: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", show_default=False, help="Units of the head's hidden layer. Default: 64 for mlp."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="bradley-terry on pairs (default) or cross-entropy on labels."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="K,K", show_default=False, help="Layers of a language model whose states are taken; none = no states."
        ),
    ] = None,
    label: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of labels from 0 to 1, where rows are no pairs.")
    ] = "label",
    margins: Annotated[bool, typer.Option("--margins", help="Train the better response ahead by the column margin.")] = False,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the split, the first weights and the order of the data.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Most passes over the data.")] = 40,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", show_default=False, help="Of AdamW. Default: 0.03 / sqrt(number of features).")
    ] = None,
    holdout: Annotated[float, typer.Option(min=0.0, max=0.8, metavar="X", help="Share of the prompts that is held out.")] = 0.2,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", show_default=False, help="Where embeddings are kept. Default: ~/.cache/plaudit/embeddings."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the reward model that the folder holds.")] = False,
    column: ColumnOption = [],  # noqa: B006 (Typer reads the default and hands over a new list)
    as_json: JsonOption = False,
) -> int:
    """Train a reward model on preference pairs or labelled responses.

    Rows are pairs (prompt, chosen, rejected) or responses with a label from 0 to 1. The backbone stays as it is; a small head
    on its embeddings, or on a language model's hidden states and log-probabilities, learns which response is better.

    Prompts are split into a part to learn from, one for early stopping and one that is held out. Held-out accuracy has a 95%
    interval, and beside it stand "longer wins" and the same head without the prompt: a reward model that is not clearly better
    than both has learnt little.

    --json gives {folder, model, head, loss, seed, prompts, responses, pairs, left_out, epochs, best_epoch, held_out, seconds},
    where held_out is a list of {name, metric, value, low, high, n, prompts}, the reward model first.
    """
    from plaudit.learned import Head, TextFeatures, Training
    from plaudit.learned import train as fit

    chosen = Head(_known("--head", head), -1 if hidden is None else hidden)  # type: ignore[arg-type]
    features = _features(model, layers, embeddings or _default_cache())
    rows = open_data(data, column)
    _refuse_taken(out, overwrite)
    rejected: list[Rejected] = []
    training_set = _training_set(rows, label, margins, seed, rejected)
    _remarks(training_set, rejected)
    settings = Training(
        loss=_known("--loss", loss or "bradley-terry"), epochs=epochs, learning_rate=learning_rate, seed=seed  # type: ignore[arg-type]
    )  # fmt: skip
    if settings.loss == "bradley_terry" and not len(training_set.targets.pairs):
        raise DataError("no prompt has both a better and a worse response, so there are no pairs: use --loss cross-entropy")
    with _progress(len(training_set.samples), isinstance(features, TextFeatures)) as show:
        trained = fit(training_set, features, chosen, settings, holdout=holdout, on_epoch=show)
    trained.save(out, overwrite=overwrite)
    if as_json:
        print_json(_result(trained, out))
    else:
        _print(trained, out, data)
    return FINE


def _known(option: str, text: str) -> str:
    from plaudit.learned import HEADS, LOSSES

    known = HEADS if option == "--head" else LOSSES
    name = text.replace("-", "_").lower()
    if name not in known:
        raise SpecError(f"{option} {text}: expected one of {', '.join(k.replace('_', '-') for k in known)}")
    return name


def _features(address: str, layers: str | None, cache: Path) -> Features:
    from plaudit.learned import HiddenFeatures, TextFeatures

    if address.startswith("encoder:"):
        if layers is not None:
            raise SpecError(f"--layers belongs to a language model; {address} is an encoder")
        return TextFeatures(address, cache=cache)
    if layers is None:
        return HiddenFeatures(address)
    try:
        return HiddenFeatures(address, tuple(int(k) for k in layers.split(",")) if layers != "none" else ())
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"--layers {layers}: expected whole numbers, as in --layers=3,-1, or none") from None


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "plaudit" / "embeddings"


def _refuse_taken(out: Path, overwrite: bool) -> None:
    """Say before the work, not after it, that the folder is taken."""
    if out.exists() and not (out.is_dir() and (overwrite or not any(out.iterdir()))):
        raise RunError(f"{out} is there already: choose another folder, or give --overwrite to replace a reward model")


def _training_set(rows: Data, label: str, margins: bool, seed: int, rejected: list[Rejected]) -> TrainingSet:
    from plaudit.learned import training_labels, training_pairs
    from plaudit.records import read_pairs

    if _holds_pairs(rows):
        pairs = read_pairs(rows.path, columns=rows.columns or None, on_reject=rejected.append)
        return training_pairs(_interruptible(pairs), margins=margins)
    samples = [row.sample for row in _interruptible(rows.rows(rejected.append))]
    if not any(label in sample.meta for sample in samples):
        raise DataError(
            f"{rows.name} holds neither pairs (chosen, rejected) nor a column {label!r}: --label COLUMN says where labels are"
        )
    return training_labels(samples, [sample.meta.get(label) for sample in samples], seed=seed)


class _NoPairs(Exception):
    pass


def _holds_pairs(rows: Data) -> bool:
    from plaudit.records import read_pairs

    seen = 0

    def note(bad: Rejected) -> None:
        nonlocal seen
        seen += 1
        if seen >= _PEEK:
            raise _NoPairs

    try:
        return any(True for _ in read_pairs(rows.path, columns=_pair_columns(rows), on_reject=note))
    except _NoPairs:
        return False


def _pair_columns(rows: Data) -> dict[str, str] | None:
    known = {
        field: name
        for field, name in rows.columns.items()
        if field in ("prompt", "chosen", "rejected", "margin", "tie", "annotator")
    }
    return known or None


def _interruptible(rows: Any) -> Iterator[Any]:
    for row in rows:
        check_interrupt()
        yield row


def _remarks(data: TrainingSet, rejected: list[Rejected]) -> None:
    from plaudit.learned import SAID

    for name, count in data.notes.items():
        warn(f"{SAID[name]}: {count:,}")
    if rejected:
        which = "1 row cannot be read and is" if len(rejected) == 1 else f"{len(rejected):,} rows cannot be read and are"
        warn(f"{which} left out; the first: {in_options(str(rejected[0]))}")


@contextmanager
def _progress(responses: int, embeds: bool) -> Iterator[Callable[[Epoch], None]]:
    """Shows each epoch on standard error: one line that changes in a terminal, every fifth one elsewhere."""
    console = notices()
    status = console.status(f"{'embedding' if embeds else 'reading'} {responses:,} responses") if console.is_terminal else None

    def show(epoch: Epoch) -> None:
        check_interrupt()
        if status is not None:
            status.update(epoch_line(epoch))
        elif epoch.number % 5 == 1:
            console.print(epoch_line(epoch))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        if status is None:
            yield show
            return
        with status:
            yield show


def epoch_line(epoch: Epoch) -> str:
    """One epoch in words.

    >>> from plaudit.learned import Epoch
    >>> epoch_line(Epoch(3, 40, 0.61, 0.64, 0.66, 20000.0))
    'epoch 3/40  loss 0.610  validation 0.640, accuracy 0.66  20,000 responses/s'
    """
    known = epoch.validation_loss == epoch.validation_loss
    valid = f"  validation {epoch.validation_loss:.3f}, accuracy {epoch.validation_accuracy:.2f}" if known else ""
    return f"epoch {epoch.number}/{epoch.of}  loss {epoch.loss:.3f}{valid}  {epoch.rows_per_second:,.0f} responses/s"


def _result(trained: TrainedModel, out: Path) -> dict[str, Any]:
    return {
        "folder": str(out), "model": trained.backbone[0], "head": trained.head.kind, "loss": trained.training.loss,
        "seed": trained.training.seed, "prompts": trained.counts["prompts"], "responses": trained.counts["responses"],
        "pairs": trained.counts["pairs"], "left_out": dict(trained.notes), "epochs": len(trained.history),
        "best_epoch": trained.best_epoch, "held_out": [found.to_json() for found in trained.measured],
        "seconds": sum(trained.seconds.values()),
    }  # fmt: skip


def _print(trained: TrainedModel, out: Path, data: str) -> None:
    console = output()
    counts = trained.counts
    console.print(
        Text.assemble(
            (f"{counts['pairs']:,} pairs", "bold"), f" of {counts['responses']:,} responses to {counts['prompts']:,} prompts   ",
            (f"{trained.head.kind.replace('_', '-')} on {visible(trained.backbone[0])}", "bold"),
        )
    )  # fmt: skip
    seconds = trained.seconds
    said = f"features {duration(seconds['features'])}, training {duration(seconds['fit'])}"
    console.print(Text(f"{said}, best epoch {trained.best_epoch} of {len(trained.history)}", style="dim"))
    if trained.measured:
        console.print(_table(trained.measured))
        console.print(_judgement(trained.measured))
    else:
        console.print(
            Text("nothing is held out (too few prompts, or --holdout 0), so how good it is is not known", style="yellow")
        )
    console.print(Text.assemble("the reward model is in ", (str(out), "bold")))
    console.print(
        Text(f"next: plaudit score {quote(str(out))} answers.jsonl -o {quote(f'runs/{out.name}')}", style="dim"), soft_wrap=True
    )


def _table(measured: tuple[Measured, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    first = measured[0]
    unit = "pairs" if first.metric == "accuracy" else "responses"
    table.add_column(f"held out: {first.n:,} {unit} of {first.prompts:,} prompts")
    table.add_column(first.metric, justify="right")
    table.add_column("95% interval")
    for found in measured:
        table.add_row(
            Text(found.name, style="bold" if found is first else ""), number(round(found.value, 3)),
            f"{found.low:.3f} to {found.high:.3f}",
        )  # fmt: skip
    return table


def _judgement(measured: tuple[Measured, ...]) -> Text:
    own, best = measured[0], max(measured[1:], key=lambda found: found.value, default=None)
    if own.low <= 0.5:
        return Text("its interval reaches down to chance: it may have learnt nothing", style="yellow")
    if best is not None and own.low <= best.value:
        return Text(f"not clearly better than {best.name!r}: look at what it learnt before you use it", style="yellow")
    return Text("clearly better than chance and than both rules beside it", style="green")
