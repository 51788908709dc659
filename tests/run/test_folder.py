"""Run folders: what was committed stays, whatever happens; a resume does the rest; one writer at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import RunError
from plaudit.run._folder import RunFolder

MANIFEST = {"fingerprint": "f" * 32, "data_sha256": "d" * 64, "spec": {"use": "verify.exact"}, "seed": 0, "command": ["score"]}


def columns(rows: list[int] | range) -> dict[str, Any]:
    """Rows whose every column follows from their number, so that a reader can check them."""
    return {
        "row": list(rows),
        "id": [f"id-{r}" for r in rows],
        "value": [None if r % 3 == 0 else r / 2 for r in rows],
        "status": ["failed" if r % 3 == 0 else "scored" for r in rows],
        "reason": ["worker_lost" if r % 3 == 0 else None for r in rows],
        "answer": [None] * len(rows),
        "exact": np.array([np.nan if r % 5 == 0 else float(r) for r in rows]),
    }


def check(run: RunFolder, rows: list[int]) -> None:
    expected = columns(sorted(rows))
    expected["exact"] = [None if np.isnan(x) else x for x in expected["exact"].tolist()]
    assert run.read().to_pydict() == expected


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*.partial")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run"


class TestWritingAndReading:
    def test_rows_come_back_in_the_order_of_their_numbers_whatever_the_order_of_parts(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([5, 3, 4]))
            run.append(columns([0, 2, 1]))
            run.finish({"n": 6, "mean": 0.5})
        read = RunFolder(path)
        check(read, list(range(6)))
        assert read.manifest == MANIFEST
        assert read.summary == {"n": 6, "mean": 0.5}
        assert sorted(p.name for p in (path / "verdicts").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
        assert [t.num_rows for t in read.iter_parts()] == [3, 3]

    def test_chosen_columns_alone(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([1, 0]))
        assert RunFolder(path).read(["id", "exact"]).to_pydict() == {"id": ["id-0", "id-1"], "exact": [None, 1.0]}

    def test_a_column_that_is_not_there_is_said(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
        with pytest.raises(RunError, match=r"has no column .*nothing.*it has row, id, value"):
            RunFolder(path).read(["nothing"])

    def test_a_run_without_rows_has_the_base_columns(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append({"row": [], "id": []})
            assert run.committed.tolist() == []
        assert RunFolder(path).read().column_names[:6] == ["row", "id", "value", "status", "reason", "answer"]
        assert RunFolder(path).summary is None

    def test_columns_keep_their_types_when_a_part_has_only_nulls(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append({"row": [0], "reason": [None], "leaf": [None], "note": ["x"], "count": np.array([1])})
            run.append({"row": [1], "reason": ["closed"], "leaf": [1], "note": [None], "count": np.array([2])})
        table = RunFolder(path).read()
        assert [str(t) for t in table.schema.types] == ["int64", "string", "double", "string", "int64"]
        assert table.to_pydict() == {
            "row": [0, 1],
            "reason": [None, "closed"],
            "leaf": [None, 1.0],
            "note": ["x", None],
            "count": [1, 2],
        }

    def test_half_a_character_in_an_answer_does_not_stop_a_run(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append({"row": [0, 1], "answer": ["a\ud800b", None]})
        assert RunFolder(path).read(["answer"]).to_pydict() == {"answer": ["a\ufffdb", None]}

    @pytest.mark.parametrize(
        ("second", "words"),
        [
            ({"row": [1], "id": ["b"], "extra": [1]}, r"missing \[\], new \['extra'\]"),
            ({"row": [1]}, r"missing \['id'\]"),
            ({"row": [1], "id": [7]}, "column 'id' cannot be written as string"),
            ({"row": [1, 2], "id": ["b"]}, "columns of one length"),
            ({"id": ["b"]}, "a column 'row'"),
            ({"row": [0], "id": ["b"]}, "row 0 is committed already"),
            ({"row": [1, 1], "id": ["b", "c"]}, "stands twice"),
            ({"row": [-1], "id": ["b"]}, "negative"),
            ({"row": [2**62], "id": ["b"]}, "beyond"),
            ({"row": ["x"], "id": ["b"]}, "column 'row' cannot be written"),
        ],
    )
    def test_a_part_that_does_not_fit_is_refused_and_the_run_goes_on(
        self, path: Path, second: dict[str, Any], words: str
    ) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append({"row": [0], "id": ["a"]})
            with pytest.raises(RunError, match=words):
                run.append(second)
            run.append({"row": [1], "id": ["b"]})
            assert run.committed.tolist() == [0, 1]

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 60), unique=True, max_size=30), st.integers(1, 7), st.randoms())
    def test_any_split_into_parts_and_sessions_gives_the_same_table(
        self, rows: list[int], size: int, dice: random.Random
    ) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            left = list(rows)
            while left:
                with RunFolder.open(f"{folder}/run", MANIFEST) as run:
                    assert sorted(set(rows) - set(run.committed.tolist())) == sorted(left)
                    for _ in range(dice.randrange(1, 4)):
                        run.append(columns(left[:size])) if left else None
                        left = left[size:]
            if rows:
                check(RunFolder(f"{folder}/run"), rows)


class TestWhoseFolder:
    def test_a_resume_leaves_out_what_is_committed(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0, 2]))
        with RunFolder.open(path, {**MANIFEST, "command": ["other"]}) as run:
            assert run.committed.tolist() == [0, 2]
            assert run.committed.dtype == np.int64
            assert run.manifest["command"] == ["score"]

    @pytest.mark.parametrize("name", ["fingerprint", "data_sha256"])
    def test_another_reward_or_other_data_are_refused_and_nothing_is_touched(self, path: Path, name: str) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
        with pytest.raises(RunError, match=rf"{name} was '.*', is 'other'.*--overwrite"):
            RunFolder.open(path, {**MANIFEST, name: "other"})
        check(RunFolder(path), [0])

    def test_overwriting_begins_anew_and_deletes_only_the_run(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
            run.finish({"n": 1})
        (path / "notes.txt").write_text("mine")
        with RunFolder.open(path, {**MANIFEST, "fingerprint": "new"}, overwrite=True) as run:
            assert run.committed.size == 0
            assert run.summary is None
            assert run.manifest["fingerprint"] == "new"
            run.append(columns([7]))
        check(RunFolder(path), [7])
        assert (path / "notes.txt").read_text() == "mine"

    def test_without_resume_a_folder_with_a_run_is_refused(self, path: Path) -> None:
        RunFolder.open(path, MANIFEST).close()
        with pytest.raises(RunError, match="holds a run already"):
            RunFolder.open(path, MANIFEST, resume=False)

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_folder_with_something_else_in_it_is_refused(self, path: Path, overwrite: bool) -> None:
        path.mkdir()
        (path / "thesis.tex").write_text("years")
        with pytest.raises(RunError, match=r"is not empty and holds no run \(it has thesis\.tex\)"):
            RunFolder.open(path, MANIFEST, overwrite=overwrite)
        assert (path / "thesis.tex").read_text() == "years"

    def test_a_file_where_the_folder_should_be(self, path: Path) -> None:
        path.write_text("x")
        with pytest.raises(RunError, match="cannot be written"):
            RunFolder.open(path, MANIFEST)

    def test_a_folder_without_a_run_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"holds no run: there is no manifest\.json"):
            RunFolder(tmp_path)

    @pytest.mark.parametrize("text", ["{", "[]", "\x00\x01"])
    def test_a_damaged_manifest_is_said(self, path: Path, text: str) -> None:
        RunFolder.open(path, MANIFEST).close()
        (path / "manifest.json").write_text(text)
        with pytest.raises(RunError, match=r"manifest\.json.*delete the folder"):
            RunFolder.open(path, MANIFEST)
        RunFolder.open(path, MANIFEST, overwrite=True).close()

    def test_a_damaged_part_is_named_and_deleting_it_helps(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
            run.append(columns([1]))
        part = path / "verdicts" / "part-00000.parquet"
        part.write_bytes(part.read_bytes()[:50])
        with pytest.raises(RunError, match=r"part-00000\.parquet cannot be read .*delete it and resume"):
            RunFolder.open(path, MANIFEST)
        part.unlink()
        with RunFolder.open(path, MANIFEST) as run:
            assert run.committed.tolist() == [1]
            run.append(columns([0]))
        check(RunFolder(path), [0, 1])

    def test_a_row_in_two_parts_is_said(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
        shutil.copy(path / "verdicts" / "part-00000.parquet", path / "verdicts" / "part-00001.parquet")
        with pytest.raises(RunError, match=r"part-00001\.parquet: row 0 is committed already: delete this part"):
            RunFolder.open(path, MANIFEST)

    def test_a_run_that_goes_on_has_not_ended(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
            run.finish({"n": 1})
        with RunFolder.open(path, MANIFEST) as run:
            assert run.summary == {"n": 1}
            run.append(columns([1]))
            assert run.summary is None

    def test_unfinished_files_are_deleted(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
        (path / "verdicts" / ".part-00001.parquet.123.partial").write_bytes(b"half")
        (path / ".manifest.json.123.partial").write_bytes(b"half")
        with RunFolder.open(path, MANIFEST) as run:
            assert run.committed.tolist() == [0]
        assert leftovers(path) == []


class TestOneWriter:
    def test_a_second_writer_is_refused_and_told_who_writes(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST), pytest.raises(RunError, match=f"is being written by process {os.getpid()} on"):
            RunFolder.open(path, MANIFEST)
        RunFolder.open(path, MANIFEST).close()

    def test_overwriting_does_not_get_past_the_lock(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
            with pytest.raises(RunError, match="is being written"):
                RunFolder.open(path, MANIFEST, overwrite=True)
            check(run, [0])

    def test_readers_need_no_lock_but_may_not_write(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            run.append(columns([0]))
            reader = RunFolder(path)
            check(reader, [0])
            for write in (lambda: reader.append(columns([1])), lambda: reader.finish({})):
                with pytest.raises(RunError, match="not open for writing"):
                    write()

    def test_a_closed_folder_takes_no_more_rows(self, path: Path) -> None:
        run = RunFolder.open(path, MANIFEST)
        run.close()
        run.close()
        with pytest.raises(RunError, match="not open for writing"):
            run.append(columns([0]))

    def test_a_forgotten_folder_gives_up_its_lock(self, path: Path) -> None:
        run = RunFolder.open(path, MANIFEST)
        del run
        RunFolder.open(path, MANIFEST).close()

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
    def test_a_forked_child_that_outlives_its_killed_parent_does_not_keep_the_lock(self, path: Path) -> None:
        code = (
            "import os, signal, sys, time\n"
            "from plaudit.run._folder import RunFolder\n"
            "run = RunFolder.open(sys.argv[1], {'fingerprint': 'f' * 32, 'data_sha256': 'd' * 64})\n"
            "if os.fork() == 0:\n"
            "    os.close(1); time.sleep(3); os._exit(0)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, timeout=30)
        RunFolder.open(path, MANIFEST).close()

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
    def test_a_forked_child_neither_writes_nor_frees_its_parents_folder(self, path: Path) -> None:
        code = (
            "import os, sys\n"
            "from plaudit.errors import RunError\n"
            "from plaudit.run._folder import RunFolder\n"
            "manifest = {'fingerprint': 'f' * 32, 'data_sha256': 'd' * 64}\n"
            "run = RunFolder.open(sys.argv[1], manifest)\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    try: run.append({'row': [0]})\n"
            "    except RunError: run.close(); os._exit(0)\n"
            "    os._exit(1)\n"
            "assert os.waitpid(pid, 0)[1] == 0\n"
            "try: RunFolder.open(sys.argv[1], manifest)\n"
            "except RunError as error: assert str(os.getpid()) in str(error)\n"
            "else: raise SystemExit('the lock was lost')\n"
            "run.append({'row': [0]})\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr


WRITER = """
import os, random, signal, sys, time
import numpy as np
import pyarrow.parquet
from plaudit.run._folder import RunFolder
manifest = {"fingerprint": "f", "data_sha256": "d"}

def write(path):
    # Commits windows of seven rows for ever; every number says it on the pipe before and after its window is committed.
    with RunFolder.open(path, manifest) as run:
        done = set(run.committed.tolist())
        start = 0
        while True:
            rows = [r for r in range(start, start + 7) if r not in done]
            if rows:
                run.append({"row": rows, "id": [str(r) for r in rows], "value": np.array(rows, dtype=float)})
                os.write(said, start.to_bytes(4, "big"))
            start += 7

def look(path, confirmed):
    with RunFolder.open(path, manifest) as run:
        table = run.read().to_pydict()
        rows = run.committed.tolist()
    assert table["row"] == rows == list(range(len(rows))), rows
    assert len(rows) % 7 == 0, len(rows)
    assert table["id"] == [str(r) for r in rows] and table["value"] == [float(r) for r in rows]
    assert confirmed <= len(rows) <= confirmed + 7, (confirmed, len(rows))
    assert not [name for _, _, names in os.walk(path) for name in names if name.endswith(".partial")]
    return len(rows)

path, how, trials = sys.argv[1], getattr(signal, sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGINT, signal.default_int_handler)
count = 0
for trial in range(trials):
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        try:
            os.write(said, b"go")
            write(path)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(1)
    os.close(said)
    assert os.read(heard, 2) == b"go"
    time.sleep(random.uniform(0.0, 0.04))
    ended = 0
    while not ended:  # Python itself loses an interrupt that falls into a destructor; a person presses the keys again
        os.kill(pid, how)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not ended:
            ended, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)
    status = os.waitstatus_to_exitcode(status)
    assert status == (-9 if how == signal.SIGKILL else 7), status
    confirmed, data = count, b""
    while block := os.read(heard, 65536):
        data += block
    os.close(heard)
    if data:
        confirmed = int.from_bytes(data[-4:], "big") + 7
    if not os.path.exists(path + "/manifest.json"):
        continue
    count = look(path, max(confirmed, count))
print(count)
"""


class TestDeath:
    """A process that dies at any moment loses at most the window it was writing."""

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    @pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
    def test_killed_again_and_again_at_random_moments(self, path: Path, how: str) -> None:
        done = subprocess.run([sys.executable, "-c", WRITER, str(path), how, "40"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 20, "the trials must have written something"

    def test_an_interrupt_inside_append_leaves_the_folder_usable(self, path: Path) -> None:
        with RunFolder.open(path, MANIFEST) as run:
            for k in range(60):
                left = [r for r in range(5 * k + 5) if r not in set(run.committed.tolist())]
                timer = signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.004))
                assert timer == (0.0, 0.0)
                old = signal.signal(signal.SIGALRM, signal.default_int_handler)
                try:
                    run.append(columns(left))
                    time.sleep(0.005)
                except KeyboardInterrupt:
                    continue
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    signal.signal(signal.SIGALRM, old)
            run.append(columns([r for r in range(400) if r not in set(run.committed.tolist())]))
        check(RunFolder(path), list(range(400)))
        assert leftovers(path) == []


FULL = """
import os, sys
from plaudit.errors import RunError
from plaudit.run._folder import RunFolder
manifest = {"fingerprint": "f", "data_sha256": "d"}
run = RunFolder.open(sys.argv[1], manifest)
committed = 0
try:
    while committed < 1000:
        LIMIT
        run.append({"row": [committed], "answer": [os.urandom(50_000).hex()]})
        committed += 1
except RunError as error:
    print(committed, error)
else:
    raise SystemExit("never full")
assert run.committed.tolist() == list(range(committed))
run.close()
left = [name for _, _, names in os.walk(sys.argv[1]) for name in names if name.endswith(".partial")]
assert not left, left
assert RunFolder(sys.argv[1]).read(["row"]).num_rows == committed
"""


class TestFullDisk:
    def test_a_full_disk_is_said_with_the_space_left_and_committed_parts_stay(self, tmp_path: Path) -> None:
        mounted = tmp_path / "small"
        mounted.mkdir()
        script = f'mount -t tmpfs -o size=1m tmpfs {mounted} && exec "$@"'
        space = ["unshare", "-m", "sh", "-c", script, "sh"]
        if shutil.which("unshare") is None or subprocess.run([*space, "true"], capture_output=True).returncode:
            pytest.skip("a small file system cannot be mounted here (needs root and mount namespaces)")
        command = [*space, sys.executable, "-c", FULL.replace("LIMIT", "pass"), str(mounted / "run")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        committed, _, message = done.stdout.partition(" ")
        assert int(committed) > 3
        assert "part-000" in message
        assert "no space left on the disk (0.0 MB free)" in message
        assert "what was committed is safe" in message

    def test_a_limit_on_file_sizes_is_said_the_same_way(self, path: Path) -> None:
        limit = "if committed == 3: __import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (20_000, 20_000))"
        done = subprocess.run(
            [sys.executable, "-c", FULL.replace("LIMIT", limit), str(path)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("3 ")
        assert "ulimit -f" in done.stdout

    def test_a_full_disk_at_the_end_is_said_too(self, path: Path) -> None:
        code = (
            "import resource, sys\n"
            "from plaudit.run._folder import RunFolder\n"
            "from plaudit.errors import RunError\n"
            "run = RunFolder.open(sys.argv[1], {'fingerprint': 'f', 'data_sha256': 'd'})\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "try: run.finish({'n': 1, 'mean': 0.5})\n"
            "except RunError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
        assert "summary.json cannot be written" in done.stdout, done.stderr
        assert leftovers(path) == []


def test_the_manifest_is_readable_json_for_people(path: Path) -> None:
    RunFolder.open(path, {**MANIFEST, "started": np.float64(1.5), "path": Path("a")}).close()
    text = (path / "manifest.json").read_text()
    assert json.loads(text)["path"] == "a"
    assert text.count("\n") > 5
