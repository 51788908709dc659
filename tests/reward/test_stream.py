"""Scoring a stream of rows into a run folder: the same numbers as `score`, in windows, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import RunError, TooManyFailures
from plaudit.records import OnReject, Rejected, Row
from plaudit.reward import (
    Facts,
    Function,
    Reward,
    RunProgress,
    Stateful,
    leaf_columns,
    leaves,
    reward,
    score_stream,
    score_windows,
)
from plaudit.run import RunFolder, VerdictCache, using
from plaudit.types import Context, Sample, Verdict


@reward(range=(0, 1))
def right(response: str, reference: str) -> float:
    return float(response == reference)


@reward(range=(-1, 0))
def short(response: str) -> float:
    return -len(response) / 100


def row(k: int, response: str = "4", group: str | None = None, **fields: Any) -> Row:
    return Row(Sample("2+2?", response, "4", id=f"id-{k}", group=group, **fields), k, k + 1, None)


def rows(n: int) -> list[Row]:
    return [row(k, "4" if k % 3 else "five") for k in range(n)]


def reading(*parts: Iterable[Row | Rejected]) -> Callable[[OnReject], Iterator[Row]]:
    """A reader of rows in which rejected ones are strewn."""
    everything = [item for part in parts for item in part]

    def read(on_reject: OnReject) -> Iterator[Row]:
        for item in everything:
            if isinstance(item, Rejected):
                on_reject(item)
            else:
                yield item

    return read


def open_run(path: Path, scorer: Reward) -> RunFolder:
    return RunFolder.open(path, {"fingerprint": scorer.fingerprint})


def score_all(scorer: Reward, given: list[Row], path: Path, **options: Any) -> tuple[RunProgress, list[dict[str, Any]]]:
    with open_run(path, scorer) as folder:
        ended = score_stream(scorer, reading(given), folder, **options)
        return ended, folder.read().to_pylist()


class Calls:
    """Remembers what a reward was called with; `stop_after` interrupts it."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[str] = []
        self.stop_after = stop_after

    def __call__(self, id: str) -> float:
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        self.seen.append(id)
        return 1.0


def noting(calls: Calls) -> Function:
    def noted(id: str) -> float:
        return calls(id)

    return reward(noted, range=(0, 1))


class TestWhatARunHolds:
    def test_a_part_has_the_verdict_of_the_row_and_a_column_for_each_leaf(self, tmp_path: Path) -> None:
        ended, table = score_all(right + 0.5 * short, rows(4), tmp_path)
        assert table[0] == {
            "row": 0, "id": "id-0", "value": -0.02, "status": "scored", "reason": None, "answer": None, "explanation": None,
            "seconds": table[0]["seconds"], "leaves": "ss", "right": 0.0, "short": -0.04,
        }  # fmt: skip
        assert table[0]["seconds"] > 0
        assert (ended.n, ended.scored, ended.failed, ended.rejected, ended.fresh) == (4, 4, 0, 0, 4)
        assert ended.mean == pytest.approx(np.mean([r["value"] for r in table]))

    def test_a_leaf_that_is_called_like_a_fixed_column_gets_a_prefix(self) -> None:
        tree = right.named("value") + short.named("seconds")
        assert leaf_columns(leaves(tree)) == ["leaf.value", "leaf.seconds"]

    def test_the_letters_tell_scored_abstained_failed_and_shut_out_apart(self, tmp_path: Path) -> None:
        def says(response: str) -> float | Verdict | None:
            return {"abstain": None, "fail": Verdict.failed("reference_missing")}.get(response, 1.0)

        opens = reward(lambda response: float(response != "shut"), range=(0, 1)).named("opens")
        tree = opens.gate(reward(says, range=(0, 1)).named("says"))
        _, table = score_all(tree, [row(k, text) for k, text in enumerate(["ok", "abstain", "fail", "shut"])], tmp_path)
        assert [r["leaves"] for r in table] == ["ss", "sa", "sf", "s-"]
        assert [r["status"] for r in table] == ["scored", "abstained", "failed", "scored"]

    def test_explanations_that_begin_late_in_the_run_are_kept(self, tmp_path: Path) -> None:
        def late(id: str) -> float | Verdict:
            return Verdict.failed("reference_missing", "nobody wrote it down") if id == "id-9" else 1.0

        _, table = score_all(reward(late, range=(0, 1)), rows(10), tmp_path, window=2)
        assert [r["explanation"] for r in table] == [None] * 9 + ["nobody wrote it down"]

    @settings(max_examples=25, deadline=None)
    @given(n=st.integers(0, 40), window=st.integers(1, 15), in_flight=st.integers(1, 4), done=st.sets(st.integers(0, 39)))
    def test_windows_flights_and_resumes_do_not_change_a_number(
        self, tmp_path_factory: pytest.TempPathFactory, n: int, window: int, in_flight: int, done: set[int]
    ) -> None:
        path, tree, given = tmp_path_factory.mktemp("run"), right.gate(right + 0.3 * short.clip(-1, 0), closed=-0.3), rows(n)
        score_all(tree, [r for r in given if r.row in done], path, window=3)
        ended, table = score_all(tree, given, path, window=window, in_flight=in_flight)
        expected = tree.score([r.sample for r in given])
        assert [r["row"] for r in table] == list(range(n))
        assert [r["value"] for r in table] == [None if np.isnan(v) else v for v in expected.values]
        assert [r["reason"] for r in table] == list(expected.reason)
        assert ended.n == n
        assert ended.fresh == n - len([k for k in done if k < n])


class TestResuming:
    def test_an_interrupt_keeps_what_is_committed_and_only_the_open_window_is_repeated(self, tmp_path: Path) -> None:
        calls = Calls(stop_after=25)
        with open_run(tmp_path, noting(calls)) as folder, pytest.raises(KeyboardInterrupt):
            score_stream(noting(calls), reading(rows(40)), folder, window=10)
        calls.stop_after = None
        with open_run(tmp_path, noting(calls)) as folder:
            assert folder.committed.tolist() == list(range(20))
            ended = score_stream(noting(calls), reading(rows(40)), folder, window=10)
            assert len(folder.read()) == 40
        assert calls.seen == [f"id-{k}" for k in (*range(25), *range(20, 40))]
        assert (ended.n, ended.fresh) == (40, 20)

    def test_a_complete_run_calls_nothing_and_has_the_same_counts(self, tmp_path: Path) -> None:
        calls = Calls()
        first, _ = score_all(noting(calls), rows(30), tmp_path, window=7)
        again, _ = score_all(noting(calls), rows(30), tmp_path, window=7)
        assert len(calls.seen) == 30
        assert (again.scored, again.mean, again.slowest, again.fresh) == (30, first.mean, first.slowest, 0)
        assert np.isnan(again.per_second)

    def test_ctrl_c_cancels_the_calls_that_are_under_way(self, tmp_path: Path) -> None:
        cancelled: list[str] = []

        async def waits(id: str) -> float:
            try:
                await asyncio.sleep(0.01 if id in ("id-0", "id-1", "id-2") else 30)
            except asyncio.CancelledError:
                cancelled.append(id)
                raise
            return 1.0

        waiting = reward(waits, range=(0, 1))
        timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
        with open_run(tmp_path, waiting) as folder:
            timer.start()
            begin = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                score_stream(waiting, reading(rows(12)), folder, window=3)
            assert time.monotonic() - begin < 5
            assert folder.committed.tolist() == [0, 1, 2]
        deadline = time.monotonic() + 5
        while len(cancelled) < 9 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(cancelled) == sorted(f"id-{k}" for k in range(3, 12))

    def test_what_was_under_way_is_not_committed_twice_when_rows_come_in_another_order(self, tmp_path: Path) -> None:
        calls = Calls()
        score_all(noting(calls), rows(10)[5:], tmp_path)
        _, table = score_all(noting(calls), rows(10), tmp_path)
        assert sorted(calls.seen) == sorted(f"id-{k}" for k in range(10))
        assert [r["row"] for r in table] == list(range(10))


class TestErrors:
    def test_a_reward_that_raises_on_everything_raises_its_own_error(self, tmp_path: Path) -> None:
        def broken(id: str) -> float:
            raise LookupError("no such table")

        with pytest.raises(LookupError, match="no such table"):
            score_all(reward(broken, range=(0, 1)), rows(50), tmp_path, window=10)

    def test_two_bad_rows_in_the_last_window_do_not_undo_the_run(self, tmp_path: Path) -> None:
        def picky(id: str) -> float:
            if id in ("id-10", "id-11"):
                raise LookupError("no such table")
            return 1.0

        ended, table = score_all(reward(picky, range=(0, 1)), rows(12), tmp_path, window=5)
        assert (ended.scored, ended.failed) == (10, 2)
        assert ended.reasons == (("reward_error", 2),)
        assert ended.first_failed is not None
        assert "no such table" in ended.first_failed[1]
        assert [r["status"] for r in table[10:]] == ["failed", "failed"]

    @pytest.mark.parametrize("in_flight", [1, 3])
    def test_a_first_window_of_bad_rows_waits_for_a_good_one_before_it_counts_as_a_broken_reward(
        self, tmp_path: Path, in_flight: int
    ) -> None:
        async def picky(id: str) -> float:
            if id in ("id-0", "id-1"):
                raise LookupError("no such table")
            await asyncio.sleep(0.02)
            return 1.0

        def score() -> RunProgress:
            return score_all(reward(picky, range=(0, 1)), rows(6), tmp_path, window=2, in_flight=in_flight)[0]

        if in_flight == 1:  # nothing else is under way that could prove the reward: better an error than a wasted night
            with pytest.raises(LookupError):
                score()
        else:
            assert (score().scored, score().failed) == (4, 2)

    def test_a_resume_remembers_that_the_reward_worked(self, tmp_path: Path) -> None:
        def picky(id: str) -> float:
            if int(id.removeprefix("id-")) >= 4:
                raise LookupError("no such table")
            return 1.0

        picked = reward(picky, range=(0, 1))
        score_all(picked, rows(4), tmp_path)
        ended, _ = score_all(picked, rows(8), tmp_path)
        assert (ended.scored, ended.failed) == (4, 4)


class TestTooManyFailures:
    @staticmethod
    def failing(share: float) -> Function:
        def fails(id: str) -> float | Verdict:
            k = int(id.removeprefix("id-"))
            return Verdict.failed("reference_missing") if (k * share) % 1 < share else 1.0

        return reward(fails, range=(0, 1))

    def test_a_run_ends_early_when_too_much_fails_and_keeps_what_it_has(self, tmp_path: Path) -> None:
        with open_run(tmp_path, self.failing(0.5)) as folder:
            with pytest.raises(
                TooManyFailures, match=r"60 of 120 rows failed \(50.0%\), more than the 20.0% allowed: 60 reference_"
            ):
                score_stream(self.failing(0.5), reading(rows(1000)), folder, window=40, max_failure_rate=0.2)
            assert len(folder.committed) == 120

    def test_a_small_run_is_judged_at_its_end(self, tmp_path: Path) -> None:
        with open_run(tmp_path, self.failing(0.5)) as folder:
            with pytest.raises(TooManyFailures):
                score_stream(self.failing(0.5), reading(rows(10)), folder, window=2, max_failure_rate=0.2)
            assert len(folder.committed) == 10

    def test_a_rate_at_the_threshold_is_still_allowed(self, tmp_path: Path) -> None:
        ended, _ = score_all(self.failing(0.5), rows(200), tmp_path, max_failure_rate=0.5)
        assert ended.failure_rate == 0.5

    def test_unreadable_rows_count_and_end_a_run_of_garbage_before_it_is_read_to_its_end(self, tmp_path: Path) -> None:
        read = 0

        def garbage(on_reject: OnReject) -> Iterator[Row]:
            nonlocal read
            for k in range(10**6):
                read += 1
                on_reject(Rejected("a.jsonl", k + 1, None, "not JSON", "{"))
            yield row(0)

        with (
            open_run(tmp_path, right) as folder,
            pytest.raises(TooManyFailures, match="100 unreadable, the first: a"),
        ):
            score_stream(right, garbage, folder, max_failure_rate=0.1)
        assert read == 100
        assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 100

    @pytest.mark.parametrize("rate", [-0.1, 1.1])
    def test_a_share_outside_0_and_1_is_refused(self, tmp_path: Path, rate: float) -> None:
        with pytest.raises(RunError, match="expected a share between 0 and 1"):
            score_all(right, rows(1), tmp_path, max_failure_rate=rate)


class TestRejectedRows:
    def test_they_are_counted_and_written_beside_the_verdicts(self, tmp_path: Path) -> None:
        bad = [Rejected("a.jsonl", 3, "prompt", "the column is missing", '{"x": 1}')]
        with open_run(tmp_path, right) as folder:
            ended = score_stream(right, reading(rows(2), bad, rows(4)[2:]), folder)
        assert (ended.n, ended.scored, ended.rejected) == (5, 4, 1)
        assert ended.first_rejected == "a.jsonl, row 3, prompt: the column is missing"
        assert json.loads((tmp_path / "rejected.jsonl").read_text()) == {
            "path": "a.jsonl", "line": 3, "field": "prompt", "message": "the column is missing", "raw": '{"x": 1}',
        }  # fmt: skip

    def test_a_resume_does_not_count_them_twice(self, tmp_path: Path) -> None:
        bad = [Rejected("a.jsonl", 3, None, "not JSON")]
        for _ in range(2):
            with open_run(tmp_path, right) as folder:
                ended = score_stream(right, reading(bad, rows(2)), folder)
        assert ended.rejected == 1
        assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 1


@dataclass(frozen=True)
class GroupSize(Reward):
    """The size of the group that it sees."""

    scope: str = "group"

    @property
    def facts(self) -> Facts:
        return Facts(range=(0, 10**6), scope=self.scope, reads=frozenset({"group"}))  # type: ignore[arg-type]

    def score_batch(self, samples: Any, context: Context) -> list[Verdict]:
        sizes: dict[str, int] = {}
        for sample in samples:
            sizes[sample.group] = sizes.get(sample.group, 0) + 1
        return [Verdict(float(sizes[s.group] if self.scope == "group" else len(samples))) for s in samples]


class TestScope:
    def test_groups_are_never_split_however_they_lie_in_the_file(self, tmp_path: Path) -> None:
        given = [row(k, group="abc"[k % 3]) for k in range(30)]
        _, table = score_all(GroupSize(), given, tmp_path, window=4)
        assert {r["value"] for r in table} == {10.0}

    def test_a_resume_sees_whole_groups_too(self, tmp_path: Path) -> None:
        given = [row(k, group="abc"[k % 3]) for k in range(30)]
        score_all(GroupSize(), [r for r in given if r.sample.group == "b"], tmp_path)
        _, table = score_all(GroupSize(), given, tmp_path, window=4)
        assert [r["value"] for r in table] == [10.0] * 30

    def test_batch_scope_is_one_window(self, tmp_path: Path) -> None:
        _, table = score_all(GroupSize("batch"), [row(k, group="a") for k in range(3000)], tmp_path, window=4)
        assert {r["value"] for r in table} == {3000.0}

    def test_a_stateful_reward_has_one_window_under_way(self) -> None:
        @dataclass(frozen=True)
        class Counting(Stateful):
            @property
            def facts(self) -> Facts:
                return Facts(range=(0, 1), stateful=True, lane="io")

            async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
                now.append(len(now))
                await asyncio.sleep(0.01)
                most.append(len(now))
                now.pop()
                return Verdict(1.0)

            def update(self, samples: Any, verdicts: Any, context: Context) -> None: ...
            def state_dict(self) -> dict[str, Any]:
                return {}

            def load_state_dict(self, state: Any) -> None: ...

        now: list[int] = []
        most: list[int] = []
        list(score_windows(Counting(), [[row(2 * k), row(2 * k + 1)] for k in range(6)]))
        assert max(most) == 2


class TestManyAtOnce:
    def test_a_slow_call_at_the_end_of_a_window_does_not_hold_up_the_next(self, tmp_path: Path) -> None:
        async def slow_last(id: str) -> float:
            await asyncio.sleep(0.3 if int(id.removeprefix("id-")) % 10 == 9 else 0.001)
            return 1.0

        begin = time.monotonic()
        with using(max_in_flight=4):
            score_all(reward(slow_last, range=(0, 1)), rows(80), tmp_path, window=10, in_flight=4)
        assert time.monotonic() - begin < 0.75 * 8 * 0.3

    def test_no_more_samples_are_in_flight_than_the_settings_say_however_many_windows_are(self, tmp_path: Path) -> None:
        now, most = 0, 0

        async def counts(id: str) -> float:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            now -= 1
            return 1.0

        with using(max_in_flight=8):
            score_all(reward(counts, range=(0, 1)), rows(100), tmp_path, window=10, in_flight=4)
        assert 4 <= most <= 8

    def test_a_limit_that_a_leaf_sets_itself_holds_for_all_windows_together(self, tmp_path: Path) -> None:
        now, most = 0, 0

        @dataclass(frozen=True)
        class Careful(Reward):
            @property
            def facts(self) -> Facts:
                return Facts(range=(0, 1), lane="io", max_in_flight=2)

            async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
                nonlocal now, most
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.002)
                now -= 1
                return Verdict(1.0)

        score_all(Careful(), rows(60), tmp_path, window=10)
        assert most == 2

    @pytest.mark.parametrize("in_flight", [1, 3])
    def test_reading_stays_at_most_the_windows_under_way_ahead_of_what_is_committed(self, tmp_path: Path, in_flight: int) -> None:
        read, ahead = 0, []

        def counted(on_reject: OnReject) -> Iterator[Row]:
            nonlocal read
            for r in rows(200):
                read += 1
                yield r

        async def quick(id: str) -> float:
            await asyncio.sleep(0.001)
            return 1.0

        quickly = reward(quick, range=(0, 1))
        with open_run(tmp_path, quickly) as folder:
            score_stream(
                quickly, counted, folder, window=10, in_flight=in_flight, on_progress=lambda p: ahead.append(read - p.fresh)
            )
        assert max(ahead) <= 10 * in_flight

    def test_long_texts_make_small_windows(self, tmp_path: Path) -> None:
        given = [row(k, "x" * (12 << 20)) for k in range(6)]
        sizes: list[int] = []
        with open_run(tmp_path, right) as folder:
            score_stream(right, reading(given), folder, window=100, on_progress=lambda p: sizes.append(p.fresh))
        assert sizes[0] == 3

    def test_the_cache_of_the_settings_is_used(self, tmp_path: Path) -> None:
        scorer, _Judge.calls = _Judge(), 0  # type: ignore[attr-defined]
        with VerdictCache(tmp_path / "cache.sqlite") as cache, using(cache=cache):
            for name in ("first", "second"):
                _, table = score_all(scorer, rows(50), tmp_path / name)
                assert {r["value"] for r in table} == {0.5}
            assert _Judge.calls == 50  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Judge(Reward):
    @property
    def facts(self) -> Facts:
        return Facts(range=(0, 1), lane="io", reads=frozenset({"prompt", "response"}))

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        _Judge.calls += 1  # type: ignore[attr-defined]
        return Verdict(0.5)


_Judge.calls = 0  # type: ignore[attr-defined]


class TestProgress:
    def test_it_comes_after_each_commit_and_at_the_end(self, tmp_path: Path) -> None:
        seen: list[RunProgress] = []
        score_all(right, rows(10), tmp_path, window=4, on_progress=seen.append)
        assert [p.fresh for p in seen] == [4, 8, 10, 10]
        assert [p.line for p in seen] == [4, 8, 10, 10]

    def test_it_comes_at_the_end_of_a_run_that_is_given_up(self, tmp_path: Path) -> None:
        seen: list[RunProgress] = []
        with pytest.raises(TooManyFailures):
            score_all(TestTooManyFailures.failing(1.0), rows(10), tmp_path, max_failure_rate=0.5, on_progress=seen.append)
        assert (seen[-1].n, seen[-1].failed) == (10, 10)

    def test_the_slowest_rows_are_named(self, tmp_path: Path) -> None:
        def slow(id: str) -> float:
            time.sleep(0.05 if id == "id-7" else 0)
            return 1.0

        ended, _ = score_all(reward(slow, range=(0, 1)), rows(20), tmp_path, window=5)
        assert ended.slowest[0][1] == "id-7"
        assert len(ended.slowest) == 5

    def test_windows_grow_with_the_speed_of_the_reward(self, tmp_path: Path) -> None:
        seen: list[int] = []
        score_all(right, rows(10_000), tmp_path, on_progress=lambda p: seen.append(p.fresh))
        assert np.diff([0, *seen])[:-1].max() > 1000
