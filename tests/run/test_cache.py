"""The cache: right from every thread and process, and never the reason why scoring fails."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import RunError
from plaudit.run._cache import VerdictCache

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def key(k: int) -> bytes:
    return k.to_bytes(16, "big")


def value(k: int) -> bytes:
    return f"value {k} ".encode() * 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="plaudit-cache-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    head = (
        "import os, sys, warnings\nfrom plaudit.run._cache import VerdictCache\n"
        "def key(k): return k.to_bytes(16, 'big')\ndef value(k): return f'value {k} '.encode() * 20\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


class TestAsAMapping:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=300)), max_size=20),
        st.lists(st.binary(max_size=20), max_size=20),
    )
    def test_it_holds_what_was_put_last_under_each_key(self, pairs: list[tuple[bytes, bytes]], others: list[bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder, VerdictCache(f"{folder}/cache.sqlite") as cache:
            cache.put_many(pairs)
            expected = dict(pairs)
            asked = others + [k for k, _ in pairs] + others
            assert cache.get_many(asked) == [expected.get(k) for k in asked]

    def test_thousands_of_keys_in_one_call_and_some_of_them_missing(self, path: Path) -> None:
        with VerdictCache(path) as cache:
            cache.put_many((key(k), value(k)) for k in range(0, 3000, 3))
            found = cache.get_many([key(k) for k in range(3000)])
        assert found == [value(k) if k % 3 == 0 else None for k in range(3000)]

    def test_nothing_asked_is_nothing_found(self, path: Path) -> None:
        with VerdictCache(path) as cache:
            cache.put_many([])
            assert cache.get_many([]) == []

    def test_entries_outlive_the_process_and_the_folder_is_made(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "cache.sqlite"
        done = python("VerdictCache(sys.argv[1]).put_many([(key(1), value(1))])", path)
        assert done.returncode == 0, done.stderr
        assert VerdictCache(path).get_many([key(1)]) == [value(1)]

    def test_a_closed_cache_opens_itself_again(self, path: Path) -> None:
        cache = VerdictCache(path)
        cache.put_many([(key(1), value(1))])
        cache.close()
        cache.close()
        assert cache.get_many([key(1)]) == [value(1)]

    def test_it_travels_to_another_process_as_its_path(self, path: Path) -> None:
        with VerdictCache(path, max_mb=5) as cache:
            cache.put_many([(key(1), value(1))])
            copy = pickle.loads(pickle.dumps(cache))
        assert copy.max_mb == 5
        assert copy.get_many([key(1)]) == [value(1)]

    def test_a_value_too_large_to_keep_is_left_out(self, path: Path) -> None:
        with VerdictCache(path) as cache:
            cache.put_many([(key(1), bytes(17 * 2**20)), (key(2), value(2))])
            assert cache.get_many([key(1), key(2)]) == [None, value(2)]


class TestManyAtOnce:
    def test_threads_share_one_cache(self, path: Path) -> None:
        wrong: list[object] = []

        def work(cache: VerdictCache, seed: int) -> None:
            dice = random.Random(seed)
            for _ in range(40):
                some = [dice.randrange(500) for _ in range(20)]
                cache.put_many([(key(k), value(k)) for k in some])
                if cache.get_many([key(k) for k in some]) != [value(k) for k in some]:
                    wrong.append(some)

        with VerdictCache(path) as cache:
            threads = [threading.Thread(target=work, args=(cache, seed)) for seed in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not wrong

    def test_processes_that_open_one_new_cache_at_the_same_time_are_all_right(self, path: Path) -> None:
        code = (
            "import time, random\n"
            "warnings.simplefilter('error')\n"
            "time.sleep(max(0.0, float(sys.argv[3]) - time.time()))\n"
            "cache, me = VerdictCache(sys.argv[1]), int(sys.argv[2])\n"
            "for turn in range(60):\n"
            "    mine = [random.randrange(2000) for _ in range(50)]\n"
            "    cache.put_many([(key(k), value(k)) for k in mine])\n"
            "    assert cache.get_many([key(k) for k in mine]) == [value(k) for k in mine]\n"
            "cache.put_many([(key(10_000 + me), value(me))])\n"
        )
        head = "import os, sys, warnings\nfrom plaudit.run._cache import VerdictCache\n"
        head += "def key(k): return k.to_bytes(16, 'big')\ndef value(k): return f'value {k} '.encode() * 20\n"
        start = str(time.time() + 1.5)
        command = [sys.executable, "-c", head + code, str(path)]
        running = [subprocess.Popen([*command, str(me), start], stderr=subprocess.PIPE, text=True) for me in range(4)]
        for process in running:
            _, complaint = process.communicate(timeout=60)
            assert process.returncode == 0, complaint
        assert VerdictCache(path).get_many([key(10_000 + me) for me in range(4)]) == [value(me) for me in range(4)]

    @needs_fork
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_forked_children_and_their_parent_go_on_while_threads_write(self, path: Path) -> None:
        code = (
            "import threading\n"
            "warnings.simplefilter('error', RuntimeWarning)\n"
            "cache, stop = VerdictCache(sys.argv[1]), threading.Event()\n"
            "def write():\n"
            "    k = 100\n"
            "    while not stop.is_set():\n"
            "        cache.put_many([(key(k + j), value(k + j)) for j in range(20)]); k += 20\n"
            "threads = [threading.Thread(target=write) for _ in range(2)]\n"
            "[t.start() for t in threads]\n"
            "children = []\n"
            "for child in range(15):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        cache.put_many([(key(child), value(child))])\n"
            "        os._exit(cache.get_many([key(child)]) != [value(child)])\n"
            "    children.append(pid)\n"
            "codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]\n"
            "stop.set(); [t.join() for t in threads]\n"
            "assert codes == [0] * 15, codes\n"
            "assert cache.get_many([key(k) for k in range(15)]) == [value(k) for k in range(15)]\n"
        )
        done = python(code, path)
        assert done.returncode == 0, done.stderr

    def test_a_writer_that_is_killed_leaves_a_good_file(self, path: Path) -> None:
        code = (
            "cache = VerdictCache(sys.argv[1])\n"
            "print('ready', flush=True)\n"
            "k = 0\n"
            "while True:\n"
            "    cache.put_many([(key(j), value(j)) for j in range(k, k + 100)]); k += 100\n"
        )
        head = "import os, sys\nfrom plaudit.run._cache import VerdictCache\n"
        head += "def key(k): return k.to_bytes(16, 'big')\ndef value(k): return f'value {k} '.encode() * 20\n"
        for _ in range(4):
            process = subprocess.Popen([sys.executable, "-c", head + code, str(path)], stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            with VerdictCache(path) as cache:
                found = cache.get_many([key(k) for k in range(20_000)])
            assert all(v is None or v == value(k) for k, v in enumerate(found))
            count = sum(v is not None for v in found)
            assert count % 100 == 0, "a batch is kept whole or not at all"

    def test_a_cache_that_another_process_locks_for_long_is_left_out_with_one_warning(self, path: Path) -> None:
        with VerdictCache(path, busy_seconds=0.05) as cache:
            cache.put_many([(key(1), value(1))])
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.warns(RuntimeWarning, match="was locked for") as seen:
                [cache.put_many([(key(k), value(k))]) for k in (2, 3)]
            assert len(seen) == 1
            assert cache.get_many([key(1), key(2)]) == [value(1), None]
            other.execute("ROLLBACK")
            other.close()
            cache.put_many([(key(2), value(2))])
            assert cache.get_many([key(2)]) == [value(2)]


class TestFilesThatAreNoCache:
    def refused(self, path: Path, words: str) -> None:
        before = path.read_bytes()
        with pytest.raises(RunError, match=words) as caught:
            VerdictCache(path)
        assert str(path) in str(caught.value)
        assert "delete it" in str(caught.value)
        assert path.read_bytes() == before, "a file that is not ours stays as it was"

    @pytest.mark.parametrize("data", [b"hello", b"x" * 5000])
    def test_something_else(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        self.refused(path, "is not a database")

    def test_another_programs_database(self, path: Path) -> None:
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE entries (a)")
        other.close()
        with pytest.raises(RunError, match="another program's database"):
            VerdictCache(path)

    def test_another_version(self, path: Path) -> None:
        VerdictCache(path).close()
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 99")
        other.close()
        self.refused(path, "format 99 of another version")

    def test_a_database_cut_in_half(self, path: Path) -> None:
        with VerdictCache(path) as cache:
            cache.put_many([(key(k), value(k)) for k in range(2000)])
        path.write_bytes(path.read_bytes()[:20_000])
        try:
            cache = VerdictCache(path)
        except RunError as error:
            complaint = str(error)
            assert "delete it" in complaint
            return
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert cache.get_many([key(k) for k in range(2000)]).count(None) > 0

    def test_an_empty_file_becomes_a_cache(self, path: Path) -> None:
        path.touch()
        with VerdictCache(path) as cache:
            cache.put_many([(key(1), value(1))])
            assert cache.get_many([key(1)]) == [value(1)]

    def test_damage_anywhere_gives_the_right_value_or_none(self, tmp_path: Path) -> None:
        good = tmp_path / "good.sqlite"
        with VerdictCache(good) as cache:
            cache.put_many([(key(k), value(k)) for k in range(300)])
        data = good.read_bytes()
        dice = random.Random(0)
        served = 0
        for trial in range(60):
            damaged = bytearray(data)
            for _ in range(dice.choice([1, 5, 50])):
                damaged[dice.randrange(100, len(data))] = dice.randrange(256)
            path = tmp_path / f"{trial}.sqlite"
            path.write_bytes(damaged)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                try:
                    with VerdictCache(path) as cache:
                        found = cache.get_many([key(k) for k in range(300)])
                        cache.put_many([(key(k), value(k)) for k in range(300, 320)])
                except RunError:
                    continue
            assert all(v is None or v == value(k) for k, v in enumerate(found))
            served += sum(v is not None for v in found)
        assert served > 1000, "most entries survive a few damaged bytes"

    def test_a_damaged_value_is_missing_said_once_and_can_be_put_again(self, path: Path) -> None:
        with VerdictCache(path) as cache:
            cache.put_many([(key(1), value(1)), (key(2), value(2))])
        data = path.read_bytes()
        path.write_bytes(data.replace(b"value 1 value 1 ", b"value 1 valve 1 ", 1))
        with VerdictCache(path) as cache:
            with pytest.warns(RuntimeWarning, match="damaged on disk") as seen:
                found = [cache.get_many([key(1), key(2)]) for _ in range(2)]
            assert found == [[None, value(2)]] * 2
            assert len(seen) == 1
            cache.put_many([(key(1), value(1))])
            assert cache.get_many([key(1)]) == [value(1)]

    def test_a_file_that_is_replaced_while_in_use_switches_the_cache_off(self, path: Path) -> None:
        cache = VerdictCache(path)
        cache.close()
        path.write_bytes(b"something else")
        with pytest.warns(RuntimeWarning, match="is off"):
            assert cache.get_many([key(1)]) == [None]
        cache.put_many([(key(1), value(1))])
        assert path.read_bytes() == b"something else"


FULL = (
    "cache = VerdictCache(sys.argv[1])\n"
    "cache.put_many([(key(1), value(1))])\n"
    "LIMIT\n"
    "with warnings.catch_warnings(record=True) as seen:\n"
    "    warnings.simplefilter('always')\n"
    "    for k in range(2, 60):\n"
    "        cache.put_many([(key(100 * k + j), os.urandom(1000)) for j in range(100)])\n"
    "print(len(seen), str(seen[0].message))\n"
    "assert cache.get_many([key(1)]) == [value(1)]\n"
    "again = VerdictCache(sys.argv[1])\n"
    "assert again.get_many([key(1)]) == [value(1)]\n"
)


class TestWhereNothingCanBeWritten:
    def test_a_full_disk_gives_one_warning_and_what_is_there_is_still_served(self, tmp_path: Path) -> None:
        mounted = tmp_path / "small"
        mounted.mkdir()
        script = f'mount -t tmpfs -o size=1m tmpfs {mounted} && exec "$@"'
        if (
            shutil.which("unshare") is None
            or subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", "true"], capture_output=True).returncode
        ):
            pytest.skip("a small file system cannot be mounted here (needs root and mount namespaces)")
        head = (
            "import os, sys, warnings\nfrom plaudit.run._cache import VerdictCache\n"
            "def key(k): return k.to_bytes(16, 'big')\ndef value(k): return f'value {k} '.encode() * 20\n"
        )
        code = head + FULL.replace("LIMIT", "")
        command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, str(mounted / "cache.sqlite")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 the cache")
        assert "full" in done.stdout

    def test_a_limit_on_file_sizes_does_the_same(self, path: Path) -> None:
        done = python(
            FULL.replace("LIMIT", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))"), path
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 the cache")
        assert "goes on without writing" in done.stdout

    AS_NOBODY = (
        "if os.getuid() == 0: os.setuid(65534)\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    cache = VerdictCache(sys.argv[1])\n"
        "    found = cache.get_many([key(1), key(2)])\n"
        "    cache.put_many([(key(2), value(2))]); cache.put_many([(key(2), value(2))])\n"
        "    assert cache.get_many([key(2)]) == [None]\n"
        "print(len(seen), found == [value(1), None], found == [None, None])\n"
    )

    def test_a_read_only_folder_still_serves_what_is_there(self, open_folder: Path) -> None:
        path = open_folder / "cache.sqlite"
        with VerdictCache(path) as cache:
            cache.put_many([(key(1), value(1))])
        path.chmod(0o444)
        open_folder.chmod(0o555)
        done = python(self.AS_NOBODY, path)
        assert done.stdout.split() == ["1", "True", "False"], done.stderr

    def test_a_cache_that_cannot_even_be_made_is_empty(self, open_folder: Path) -> None:
        open_folder.chmod(0o555)
        done = python(self.AS_NOBODY, open_folder / "cache.sqlite")
        assert done.stdout.split() == ["1", "False", "True"], done.stderr

    def test_a_file_where_a_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with pytest.warns(RuntimeWarning, match="cannot be written"):
            cache = VerdictCache(tmp_path / "a" / "cache.sqlite")
        assert cache.get_many([key(1)]) == [None]


class TestSize:
    def test_the_oldest_entries_make_room_and_the_file_stays_small(self, path: Path) -> None:
        with VerdictCache(path, max_mb=1) as cache:
            for k in range(0, 20_000, 500):
                cache.put_many([(key(j), value(j)) for j in range(k, k + 500)])
            found = [v is not None for v in cache.get_many([key(k) for k in range(20_000)])]
        assert path.stat().st_size < 1.5 * 2**20
        kept = sum(found)
        assert kept > 2000
        assert all(found[-kept:]), "what is kept is the newest"

    def test_a_batch_above_the_limit_does_not_break_it(self, path: Path) -> None:
        with VerdictCache(path, max_mb=0.1) as cache:
            cache.put_many([(key(k), value(k)) for k in range(5000)])
            cache.put_many([(key(1), value(1))])
            assert cache.get_many([key(1)]) == [value(1)]

    def test_a_size_of_nothing_is_refused(self, path: Path) -> None:
        with pytest.raises(RunError, match="max_mb is 0"):
            VerdictCache(path, max_mb=0)


def test_hits_are_fast_enough(path: Path) -> None:
    with VerdictCache(path) as cache:
        cache.put_many([(key(k), value(k)) for k in range(20_000)])
        keys = [key(k) for k in range(20_000)]
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            cache.get_many(keys)
            best = min(best, time.perf_counter() - start)
    assert 20_000 / best >= 20_000, f"{20_000 / best:,.0f} hits a second"
