"""The progress of a run on standard error: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.text import Text

from plaudit.cli._console import notices, number, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaudit.reward import RunProgress

_LINE_SECONDS = 30.0  # between two lines where there is no terminal


@contextmanager
def progress_bar(lines: int | None) -> Iterator[Callable[[RunProgress], None]]:
    """A function that shows how far a run is; `lines` is the number of rows of the file, None = not known."""
    console = notices()
    if not console.is_terminal:
        yield _line_by_line(console)
        return
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn

    class Said(ProgressColumn):
        def render(self, task: Task) -> Text:
            said: Text = task.fields["said"]
            return said

    bar = Progress(
        SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(compact=True),
        Said(), console=console, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=lines, said=Text("starting"))
        yield lambda p: bar.update(task, completed=p.line, said=_said(p))


def _line_by_line(console: Any) -> Callable[[RunProgress], None]:
    last = time.monotonic()

    def show(progress: RunProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            console.print(_said(progress))

    return show


def _said(p: RunProgress) -> Text:
    text = Text(f"{p.n:,} rows  {rate(p.per_second)}")
    if p.failed + p.rejected:
        text.append(f"  {p.failed + p.rejected:,} failed", style="red")
    if p.slowest and p.slowest[0][0] >= 0.1:
        seconds, name = p.slowest[0]
        text.append(f"  slowest {visible(name, 16)} {duration(seconds)}", style="dim")
    return text


def rate(per_second: float) -> str:
    """Rows a second, in words.

    >>> rate(12.3), rate(45678.0), rate(float("nan"))
    ('12.3/s', '45,678/s', '–/s')
    """
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{number(per_second, 3)}/s"


def duration(seconds: float) -> str:
    """A time span in words.

    >>> duration(0.0123), duration(4.2), duration(75), duration(7260)
    ('12 ms', '4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} µs"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
