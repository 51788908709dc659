"""How far experiments are, on standard error: a bar for the seed under way, a line for each seed that is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.text import Text

from plaudit.cli._console import notices, one_line
from plaudit.cli._interrupt import check_interrupt
from plaudit.cli._progress import duration

if TYPE_CHECKING:
    from rich.console import Console

    from plaudit.reproduce import Experiment, Step

_LINE_SECONDS = 30.0  # between two lines of a seed under way where there is no terminal


@contextmanager
def observed(experiments: Sequence[Experiment]) -> Iterator[Callable[[Step], None]]:
    """A function that shows the steps of a run of these experiments."""
    console = notices()
    places = {
        each.name: f"{place}/{len(experiments)} " if len(experiments) > 1 else "" for place, each in enumerate(experiments, 1)
    }
    if not console.is_terminal:
        yield _lines(console, places)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=16), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(step: Step) -> None:
            check_interrupt()
            if step.seed_done is not None:
                bar.console.print(_finished(step, places))
            said = one_line(step.said, max(10, console.width - 70))
            head = f"{places.get(step.experiment.name, '')}{step.experiment.name[:36]} {step.place}/{step.total}"
            if not step.said and step.seed_done is None:
                bar.reset(task, total=None)
            bar.update(
                task,
                description=f"{head} {said}".rstrip(),
                total=None if step.done is None else 1.0,
                completed=step.done or 0.0,
            )

        yield show


def _lines(console: Console, places: dict[str, str]) -> Callable[[Step], None]:
    last = time.monotonic()

    def show(step: Step) -> None:
        nonlocal last
        check_interrupt()
        if step.seed_done is not None:
            last = time.monotonic()
            console.print(_finished(step, places), soft_wrap=True)
        elif step.said and time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            share = "" if step.done is None else f" {step.done:.0%}"
            console.print(Text(f"{_head(step, places)}{share}: {one_line(step.said, 200)}"), soft_wrap=True)

    return show


def _finished(step: Step, places: dict[str, str]) -> Text:
    done = step.seed_done
    assert done is not None
    line = Text(f"{_head(step, places)}: {done.trial.effect:.3g}, control {done.trial.control:.3g} {done.trial.unit}")
    line.append(f"  {'kept from before' if step.resumed else duration(done.seconds)}", style="dim")
    return line


def _head(step: Step, places: dict[str, str]) -> str:
    return f"{places.get(step.experiment.name, '')}{step.experiment.name} seed {step.seed} ({step.place} of {step.total})"
