"""Scoring a long stream of rows into a run folder: bounded in memory, several windows under way at once, resumable."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import RunError, TooManyFailures
from plaudit.records import OnReject, Rejected, Row, count_groups, iter_windows
from plaudit.reward._base import Reward
from plaudit.reward._stream_columns import part_columns
from plaudit.reward._stream_rejected import RejectedRows
from plaudit.reward._stream_tally import COLUMNS, Tally
from plaudit.reward._stream_windows import default_in_flight, lanes_of, score_windows
from plaudit.reward._tree import leaves
from plaudit.run import RunFolder, settings
from plaudit.types import Context, Sample, Verdicts

Read = Callable[[OnReject], Iterable[Row]]

_WINDOWS = {"inline": (32, 4096), "cpu": (16, 1024), "io": (64, 64), "gpu": (32, 1024)}
"""Rows of the first window and of the largest one, by lane."""
_SECONDS = 2.0  # that a window should take
_HEAVY = 32 << 20  # characters of text after which a window is full
_ENOUGH = 100  # rows that must be known before the failure rate can end a run


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Fields:
        line: the last row of the file that was read, counted from 1.
        scored, abstained, failed: rows that are committed, those of earlier calls included.
        rejected: rows that cannot be read.
        fresh: rows that this call committed.
        mean: mean of the scored values; NaN when there is none.
        seconds: since the first window of this call began: start-up (loading, warming workers) is left out.
        slowest: (seconds, id) of the slowest rows, the slowest first.
        reasons: how often each reason of a FAILED row came, the most frequent first.
        first_failed: (id, why) of the first FAILED row; None when there is none.
        first_rejected: file, row, field and message of the first row that cannot be read; None when there is none.
    """

    line: int
    scored: int
    abstained: int
    failed: int
    rejected: int
    fresh: int
    mean: float
    seconds: float
    slowest: tuple[tuple[float, str], ...]
    reasons: tuple[tuple[str, int], ...]
    first_failed: tuple[str, str] | None
    first_rejected: str | None

    @property
    def n(self) -> int:
        """All rows met so far, the unreadable ones too."""
        return self.scored + self.abstained + self.failed + self.rejected

    @property
    def failure_rate(self) -> float:
        """Share of the rows that FAILED or cannot be read; 0 when there is none."""
        return (self.failed + self.rejected) / self.n if self.n else 0.0

    @property
    def per_second(self) -> float:
        """Rows that this call scored in a second; NaN before the first window is done."""
        return self.fresh / self.seconds if self.fresh and self.seconds > 0 else float("nan")


def score_stream(
    reward: Reward,
    read: Read,
    folder: RunFolder,
    *,
    context: Context | None = None,
    window: int | None = None,
    in_flight: int | None = None,
    max_failure_rate: float | None = None,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> RunProgress:
    """Score the rows that `read(on_reject)` gives and that the folder does not have yet; return how it ended.

    The folder's parts hold, for each row, `row`, `id`, `value`, `status`, `reason`, `answer`, `explanation`, `seconds`,
    `leaves` (a letter for each leaf, in order: s scored, a abstained, f failed, - not run) and a float64 column for each leaf.
    Parts are committed in the order in which windows are done. Rows that cannot be read go to ``rejected.jsonl``.

    `on_progress` is called after each commit and at the end, however it ends.

    `window` is rows per window; None = by lane, about two seconds of work. Group scope never splits a group (`read` is then
    called twice), batch scope makes one window of everything. `in_flight` is how many windows are under way at once.

    Raises TooManyFailures when more than `max_failure_rate` of at least 100 rows (or of all, at the end) FAILED or are
    unreadable; the reward's own error when it raises the same one on everything it is given; RunError, DataError. Rows that are
    committed stay so, and the next call goes on from there.

    >>> import tempfile
    >>> from plaudit.records import Row
    >>> from plaudit.reward import reward
    >>> from plaudit.types import Sample
    >>> right = reward(lambda response, reference: float(response == reference), range=(0, 1)).named("right")
    >>> rows = [Row(Sample("2+2", str(k), "4", id=str(k)), k, k + 1, None) for k in range(10)]
    >>> with tempfile.TemporaryDirectory() as path, RunFolder.open(path, {"fingerprint": right.fingerprint}) as folder:
    ...     score_stream(right, lambda on_reject: rows, folder).mean
    0.1
    """
    return _Stream(reward, read, folder, context, window, in_flight, max_failure_rate, on_progress).run()


class _Stream:
    """One call of `score_stream`."""

    def __init__(
        self, reward: Reward, read: Read, folder: RunFolder, context: Context | None, window: int | None, in_flight: int | None,
        max_failure_rate: float | None, on_progress: Callable[[RunProgress], None] | None,
    ) -> None:  # fmt: skip
        if max_failure_rate is not None and not 0 <= max_failure_rate <= 1:
            raise RunError(f"max_failure_rate is {max_failure_rate}: expected a share between 0 and 1")
        if window is not None and window < 1:
            raise RunError(f"window is {window}: expected at least one row")
        self.reward, self.read, self.folder, self.context = reward, read, folder, context
        self.in_flight = in_flight or default_in_flight(reward)
        self.threshold, self.on_progress = max_failure_rate, on_progress
        self.leaves = leaves(reward)
        first, self.largest = _sizes(reward) if window is None else (window, window)
        self.size = self.smallest = first
        self.done = _Done(folder.committed)
        self.tally = Tally()
        self.rejected = RejectedRows()
        self.line = self.fresh = 0
        self.began: float | None = None

    def run(self) -> RunProgress:
        for part in self.folder.iter_parts(COLUMNS):
            self.tally.add_part(part)
        import pyarrow.parquet  # noqa: F401 (start-up, which the rate leaves out)

        if "cpu" in lanes_of(self.reward):
            settings().workers.warm()
        try:
            # The two readings see the same rows: what the first one found unreadable is counted by the second.
            with contextlib.closing(self._windows()) as windows:
                self.began = time.monotonic()
                pairs = score_windows(
                    self.reward, windows, context=self.context, in_flight=self.in_flight, proven=self.tally.failed < self.tally.n
                )
                with contextlib.closing(pairs):
                    for rows, verdicts in pairs:
                        self._commit(rows, verdicts)
            self._check_failures(at_least=1)
        except BaseException:
            with contextlib.suppress(RunError):
                self.rejected.write(self.folder.path)
            raise
        finally:
            if self.on_progress is not None:
                self.on_progress(self.progress)
        self.rejected.write(self.folder.path)
        return self.progress

    @property
    def _elapsed(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began

    @property
    def progress(self) -> RunProgress:
        """Where it stands now."""
        t = self.tally
        return RunProgress(
            self.line, t.scored, t.abstained, t.failed, self.rejected.count, self.fresh, t.mean, self._elapsed, t.slowest,
            tuple(t.reasons.most_common()), t.first_failed,
            None if self.rejected.first is None else str(self.rejected.first),
        )  # fmt: skip

    def _commit(self, rows: list[Row], verdicts: Verdicts) -> None:
        columns = part_columns(rows, verdicts, self.leaves)
        self.folder.append(columns)
        self.tally.add(columns)
        self.fresh += len(rows)
        if self.largest > self.smallest:
            rate = self.fresh / max(self._elapsed, 1e-9)
            self.size = int(min(self.largest, max(self.smallest, rate * _SECONDS)))
        if self.on_progress is not None:
            self.on_progress(self.progress)
        self._check_failures(at_least=_ENOUGH)

    def _windows(self) -> Generator[list[Row], None, None]:
        scope = self.reward.facts.scope
        if scope == "group":
            counts = count_groups(self._due(self.read(_ignore)))
            self.line = 0
            yield from iter_windows(self._due(self.read(self._reject)), self.size, whole_groups=True, counts=counts)
        elif scope == "batch":
            yield list(self._due(self.read(self._reject)))
        else:
            yield from self._by_weight(self._due(self.read(self._reject)))

    def _due(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.line = row.line
            if row.row not in self.done:
                yield row

    def _by_weight(self, rows: Iterable[Row]) -> Iterator[list[Row]]:
        window: list[Row] = []
        weight = 0
        for row in rows:
            window.append(row)
            weight += _characters(row.sample)
            if len(window) >= self.size or weight >= _HEAVY:
                yield window
                window, weight = [], 0
        if window:
            yield window

    def _reject(self, bad: Rejected) -> None:
        self.line = bad.line
        self.rejected.add(bad)
        self._check_failures(at_least=_ENOUGH)

    def _check_failures(self, at_least: int) -> None:
        if self.threshold is None:
            return
        lost, n = self.tally.failed + self.rejected.count, self.tally.n + self.rejected.count
        if n < at_least or lost <= self.threshold * n:
            return
        why = [f"{count:,} {reason}" for reason, count in self.tally.reasons.most_common(3)]
        why += [f"the first: id {name}, {said:.300}" for name, said in [self.tally.first_failed or ("", "")] if said]
        why += [f"{self.rejected.count:,} unreadable, the first: {self.rejected.first}"] if self.rejected.count else []
        raise TooManyFailures(
            f"{lost:,} of {n:,} rows failed ({lost / n:.1%}), more than the {self.threshold:.1%} allowed: {'; '.join(why)}. "
            f"What was scored is in {self.folder.path}"
        )


@dataclass(slots=True)
class _Done:
    """The rows that are committed, as a set of numbers."""

    committed: NDArray[np.int64]
    _mask: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self._mask = np.zeros(int(self.committed.max(initial=-1)) + 1, dtype=bool)
        self._mask[self.committed] = True

    def __contains__(self, row: int) -> bool:
        return row < len(self._mask) and bool(self._mask[row])


def _sizes(reward: Reward) -> tuple[int, int]:
    """The smallest and the largest window: those of the lane with the smallest ones."""
    return min((_WINDOWS[lane] for lane in lanes_of(reward)), key=lambda sizes: sizes[1])


def _ignore(rejected: Rejected) -> None:
    """The second reading counts what cannot be read."""


def _characters(sample: Sample) -> int:
    """About how much text a sample holds."""
    total = 0
    for text in (sample.prompt, sample.response, sample.reference):
        if isinstance(text, str):
            total += len(text)
        elif text is not None:
            total += len(repr(text)) if isinstance(text, (list, tuple, dict)) else 0
    return total
