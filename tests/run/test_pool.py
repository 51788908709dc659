"""The cpu lane: disposable workers, exact deadlines, nobody harmed but the culprit, nothing left behind."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import importlib.util
import os
import random
import signal
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path

import numpy as np
import pytest

from plaudit.errors import RunError
from plaudit.run import _pool_dispatch, _pool_supervisor, _pool_workforce
from plaudit.run._pool import CpuPool, Ending, Outcome, RemoteError, available_cpus, shared_cpu_pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the figures and /proc of these tests are Linux's")

STOPPED = (Ending.OVERRAN, Ending.STARVED)  # a machine that is busy with other things may starve a worker in any test
PATIENCE = 30  # seconds that a test waits for something that takes milliseconds on a quiet machine


@pytest.fixture(scope="module")
def pool():
    with CpuPool(workers=2) as pool:
        yield pool


@pytest.fixture
def single():
    with CpuPool(workers=1) as pool:
        yield pool


def run(pool: CpuPool, function, items, timeout: float | None = 10) -> list[Outcome]:
    return pool.submit(function, items, timeout=timeout).result(PATIENCE)


def values(outcomes: list[Outcome]) -> list:
    assert [outcome.ending for outcome in outcomes] == [Ending.DONE] * len(outcomes), outcomes
    return [outcome.value for outcome in outcomes]


def endings(outcomes: list[Outcome]) -> list[Ending]:
    return [outcome.ending for outcome in outcomes]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def zygotes(parent: int | None = None) -> list[int]:
    return [
        int(pid)
        for pid in Path(f"/proc/{parent or os.getpid()}/task").glob("*")
        for pid in (pid / "children").read_text().split()
    ]


def script(source: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(source), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def sleep_or_echo(item):
    if isinstance(item, float):
        time.sleep(item)
    return item


# What can be run


def test_outcomes_come_in_the_order_of_the_items(pool):
    assert values(run(pool, abs, [-3, 2, -1])) == [3, 2, 1]
    assert values(run(pool, str, range(2000))) == [str(i) for i in range(2000)]


def test_no_items_no_outcomes_and_no_process():
    with CpuPool(workers=1) as pool:
        assert pool.submit(abs, []).result(0) == []
        assert pool.stats.started == 0
        assert zygotes() == [] or pool.stats.alive == 0


def test_closures_and_lambdas_travel_by_value(pool):
    offset = 10
    assert values(run(pool, lambda x: x + offset, [1, 2])) == [11, 12]


def test_a_script_s_own_functions_and_classes_work_and_stay_the_same_class():
    done = script("""
        from dataclasses import dataclass
        from plaudit.run._pool import CpuPool

        @dataclass
        class Point:
            x: int

        class Odd(Exception):
            pass

        def double(point):
            if point.x % 2:
                raise Odd(point.x)
            return Point(2 * point.x)

        with CpuPool(workers=1) as pool:
            good, bad = pool.submit(double, [Point(2), Point(3)]).result(20)
            assert good.value == Point(4), good
            assert type(bad.error) is Odd, bad
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_from_the_callers_path_at_the_time_of_the_call(pool, tmp_path, monkeypatch):
    (tmp_path / "pool_test_module.py").write_text("def triple(x):\n    return 3 * x\n")
    run(pool, abs, [1])  # workers exist before the path is known
    monkeypatch.syspath_prepend(tmp_path)
    import pool_test_module

    assert values(run(pool, pool_test_module.triple, [1, 2])) == [3, 6]


def test_a_module_loaded_by_its_file_path_travels_by_value(pool, tmp_path, monkeypatch):
    path = tmp_path / "loose.py"
    path.write_text(
        "class Item:\n    def __init__(self, x):\n        self.x = x\ndef base(item):\n    return item.x\n"
        "def plus(item):\n    return Item(base(item) + 1)\n"
    )
    spec = importlib.util.spec_from_file_location("plaudit_test_loose", path)
    loose = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "plaudit_test_loose", loose)
    spec.loader.exec_module(loose)
    (result,) = values(run(pool, loose.plus, [loose.Item(1)]))
    assert type(result) is loose.Item
    assert result.x == 2


def test_items_of_a_loose_module_travel_with_an_importable_function(pool, tmp_path, monkeypatch):
    path = tmp_path / "loose_items.py"
    path.write_text("class Item:\n    def __abs__(self):\n        return 7\n")
    spec = importlib.util.spec_from_file_location("plaudit_test_loose_items", path)
    loose = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "plaudit_test_loose_items", loose)
    spec.loader.exec_module(loose)
    assert values(run(pool, abs, [loose.Item(), -1])) == [7, 1]


def test_workers_stand_in_the_callers_folder_whatever_a_neighbour_does(single, tmp_path, monkeypatch):
    def where(wanderer):
        before = os.getcwd()
        if wanderer:
            os.chdir("/")
        return before

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        assert values(run(single, where, [True, False, True])) == [str(tmp_path / folder)] * 3


def test_workers_use_one_blas_thread_and_draw_different_random_numbers():
    def draw(_):
        time.sleep(0.05)
        return os.getpid(), os.environ["OMP_NUM_THREADS"], random.random(), float(np.random.rand())

    with CpuPool(workers=2, preload=["numpy.random"]) as pool:
        drawn = values(run(pool, draw, range(4)))
    assert {threads for _, threads, _, _ in drawn} == {"1"}
    assert len({pid for pid, *_ in drawn}) >= 2
    assert len({number for *_, number in drawn}) == len({number for _, _, number, _ in drawn}) == 4


def test_preloaded_modules_are_there_when_a_worker_is_born():
    def loaded(name):
        return name in sys.modules

    with CpuPool(workers=1, preload=["colorsys", "no_such_module_"]) as pool:
        assert values(run(pool, loaded, ["colorsys", "chunk_that_is_not"])) == [True, False]
        pool.preload("wave")
        run(pool, os._exit, [1])  # two deaths: the present worker and its spare
        assert eventually(lambda: values(run(pool, loaded, ["wave"])) == [True] or run(pool, os._exit, [1]) is None)


# What an item can do to itself


def test_an_exception_comes_back_with_its_type_and_its_place(pool):
    def divide(x):
        return 1 / x

    good, bad = run(pool, divide, [1, 0])
    assert good.value == 1
    assert bad.ending is Ending.RAISED
    assert isinstance(bad.error, ZeroDivisionError)
    assert "return 1 / x" in bad.detail
    assert "_worker.py" not in bad.detail


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_exits_are_exceptions_of_the_item(pool, kind):
    def leave(go):
        if go:
            raise kind(3)
        return os.getpid()

    lost = pool.stats.lost
    bad, good = run(pool, leave, [True, False])
    assert (bad.ending, type(bad.error)) == (Ending.RAISED, kind)
    assert good.ending is Ending.DONE
    assert pool.stats.lost == lost


def test_an_exception_that_cannot_travel_has_a_stand_in(pool):
    class Stubborn(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")
            self.lock = threading.Lock()

    def fail(_):
        raise Stubborn(1, 2)

    (outcome,) = run(pool, fail, [0])
    assert isinstance(outcome.error, RemoteError)
    assert outcome.error.type_name.endswith("Stubborn")
    assert outcome.error.message == "1 and 2"


def test_an_exception_that_pickles_but_does_not_unpickle_has_a_stand_in(pool):
    (outcome,) = run(pool, _raise_two_arguments, [0])
    assert isinstance(outcome.error, RemoteError)
    assert outcome.error.message == "a-b"


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a}-{b}")


def _raise_two_arguments(_):
    raise TwoArguments("a", "b")


def test_an_item_that_cannot_be_pickled_fails_alone(pool):
    outcomes = run(pool, type, [1, threading.Lock(), 2])
    assert endings(outcomes) == [Ending.DONE, Ending.RAISED, Ending.DONE]
    assert "item 1 cannot be pickled" in outcomes[1].detail


def test_a_result_that_cannot_be_pickled_fails_alone(pool):
    outcomes = run(pool, lambda x: threading.Lock() if x else x, [0, 1, 0])
    assert endings(outcomes) == [Ending.DONE, Ending.RAISED, Ending.DONE]


def test_a_function_that_cannot_be_pickled_is_refused_at_once(pool):
    lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle"):
        pool.submit(lambda x: lock, [1])


def import_differently(tmp_path, monkeypatch, name: str, in_workers: str):
    """Import a fresh module that does something else when a worker imports it."""
    source = f"import os\nif 'PLAUDIT_TEST_HOST' not in os.environ:\n    {in_workers}\ndef f(x):\n    return x\n"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PLAUDIT_TEST_HOST", "1")  # workers have the environment of the time when their pool started
    return importlib.import_module(name)


def test_a_function_whose_module_a_worker_cannot_import_says_so(pool, tmp_path, monkeypatch):
    run(pool, abs, [1])
    module = import_differently(tmp_path, monkeypatch, "needs_missing", "import not_there_")
    (outcome,) = run(pool, module.f, [1])
    assert outcome.ending is Ending.RAISED
    assert "not_there_" in str(outcome.error)


# Deadlines


def test_an_overrun_costs_only_the_culprit(pool):
    outcomes = run(pool, sleep_or_echo, ["a", 30.0, "b", "c"], timeout=0.2)
    assert endings(outcomes) == [Ending.DONE, Ending.OVERRAN, Ending.DONE, Ending.DONE]
    assert 0.2 <= outcomes[1].seconds < 1.5


def test_the_deadline_starts_when_the_item_is_picked_up(single):
    assert values(run(single, sleep_or_echo, [0.15] * 6, timeout=0.6)) == [0.15] * 6


def test_work_in_c_that_ignores_alarms_is_killed(pool):
    (outcome,) = run(pool, lambda n: len(str(9 ** (9**n))), [9], timeout=0.2)
    assert outcome.ending in STOPPED


def test_one_hung_item_among_many_tiny_ones_is_found_exactly(pool):
    items = list(range(3000))
    run(pool, sleep_or_echo, items)  # the pace is known, so chunks are long
    items[1700] = 30.0
    outcomes = run(pool, sleep_or_echo, items, timeout=0.2)
    assert [i for i, outcome in enumerate(outcomes) if outcome.ending is not Ending.DONE] == [1700]
    assert [outcome.value for outcome in outcomes] == [None if i == 1700 else i for i in range(3000)]


def test_a_hundred_hung_items_in_a_row_are_replaced_at_once(tmp_path):
    def hang(path):
        Path(path).write_text(repr(time.monotonic()))
        time.sleep(60)

    timeout, delays = 0.03, []
    with CpuPool(workers=1) as pool:
        pool.warm()
        for i in range(100):
            path = tmp_path / str(i)
            hung = pool.submit(hang, [str(path)], timeout=timeout)
            behind = pool.submit(lambda x: x, [i], timeout=5)
            assert values(behind.result(PATIENCE)) == [i]  # only the replacement can have answered
            if started := path.read_text():  # on a busy machine even this may take longer than the timeout
                delays.append(time.monotonic() - float(started) - timeout)
            assert hung.result(PATIENCE)[0].ending in STOPPED
        assert (pool.stats.killed, pool.stats.lost) == (100, 0)
    assert len(delays) > 50
    assert statistics.median(delays) < 0.1  # 20 ms on a quiet machine: benchmarks/_pool_probe.py


def test_an_item_that_ended_late_overran_even_if_the_host_was_too_busy_to_look(pool):
    exponent, took = 1_000_000, 0.0
    while took < 0.45:  # one power is one call in C, which holds the interpreter's lock from beginning to end
        exponent *= 2
        started = time.monotonic()
        _ = 3**exponent
        took = time.monotonic() - started
    run(pool, sleep_or_echo, [1])
    future = pool.submit(sleep_or_echo, [0.3], timeout=0.1)
    time.sleep(0.02)
    _ = 3**exponent
    assert endings(future.result(PATIENCE)) == [Ending.OVERRAN]


def test_an_item_that_the_machine_kept_from_running_is_starved():
    def spin(seconds):
        os.sched_setaffinity(0, {cpu})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    def doze(seconds):
        os.sched_setaffinity(0, {cpu})
        time.sleep(seconds)

    cpu = max(os.sched_getaffinity(0))
    hog = f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", hog], start_new_session=True) for _ in range(5)]
    try:
        with CpuPool(workers=1) as pool:
            pool.warm()
            time.sleep(0.3)
            (outcome,) = run(pool, spin, [10], timeout=0.6)
            assert outcome.ending is Ending.STARVED, outcome
            assert "for a CPU" in outcome.detail
            (outcome,) = run(pool, doze, [10], timeout=0.6)
            assert outcome.ending is Ending.OVERRAN, outcome
    finally:
        for process in hogs:
            process.kill()
            process.wait()


# Crashes


def test_an_item_that_kills_its_worker_twice_is_lost_and_its_neighbours_are_not(pool):
    def crash(x):
        if x == 3:
            os._exit(5)
        if x == 6:
            ctypes.string_at(0)
        return x

    outcomes = run(pool, crash, range(9))
    assert [i for i, outcome in enumerate(outcomes) if outcome.ending is Ending.LOST] == [3, 6]
    assert [outcome.value for outcome in outcomes if outcome.ending is Ending.DONE] == [0, 1, 2, 4, 5, 7, 8]
    assert "exit status 5" in outcomes[3].detail
    assert "SIGSEGV" in outcomes[6].detail


def test_a_worker_that_dies_once_costs_nothing(pool, tmp_path):
    def unlucky(path):
        if not os.path.exists(path):
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        return "second try"

    assert values(run(pool, unlucky, [str(tmp_path / "mark")])) == ["second try"]


def test_a_function_that_crashes_when_loaded_ends_instead_of_killing_workers_for_ever(pool, tmp_path, monkeypatch):
    run(pool, abs, [1])
    module = import_differently(tmp_path, monkeypatch, "crash_on_import", "os._exit(9)")
    outcomes = run(pool, module.f, [1, 2, 3])
    assert endings(outcomes) == [Ending.LOST] * 3
    assert "loading the function" in outcomes[0].detail


def test_a_function_that_hangs_when_loaded_ends(pool, tmp_path, monkeypatch):
    for module in (_pool_dispatch, _pool_supervisor, _pool_workforce):
        monkeypatch.setattr(module, "LOAD_LIMIT_NS", 300_000_000)
    run(pool, abs, [1])
    module = import_differently(tmp_path, monkeypatch, "hang_on_import", "import time; time.sleep(60)")
    outcomes = run(pool, module.f, [1, 2, 3], timeout=None)
    assert endings(outcomes) == [Ending.LOST] * 3
    assert "still loading" in outcomes[0].detail
    monkeypatch.undo()  # with the long limit again, no worker may be left loading
    assert len(set(values(run(pool, lambda _: (time.sleep(0.1), os.getpid())[1], range(4))))) >= 2


def test_once_a_function_is_given_up_nobody_goes_on_loading_it(pool, tmp_path, monkeypatch):
    pool.warm()
    first, second, third = (str(tmp_path / name) for name in ("first", "second", "third"))
    crash = f"""
    import time
    for mark in ({first!r}, {second!r}):
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        while not os.path.exists({third!r}):
            time.sleep(0.01)
        os._exit(9)
    open({third!r}, "w").write(str(os.getpid()))
    time.sleep(60)"""
    module = import_differently(tmp_path, monkeypatch, "crash_twice_then_hang", crash)
    assert endings(run(pool, module.f, [1])) == [Ending.LOST]
    hung = int((tmp_path / "third").read_text())
    assert eventually(lambda: not alive(hung))


def test_items_do_not_wait_for_a_worker_that_is_still_loading(tmp_path, monkeypatch):
    with CpuPool(workers=2) as pool:
        pool.warm()  # two and a spare
        hang = f"""
    import time
    for mark in ({str(tmp_path / "first")!r}, {str(tmp_path / "second")!r}):
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        time.sleep(60)"""
        module = import_differently(tmp_path, monkeypatch, "first_two_hang", hang)
        assert values(run(pool, module.f, [1, 2, 3])) == [1, 2, 3]


def test_loading_a_function_is_not_charged_to_its_first_item(pool, tmp_path, monkeypatch):
    run(pool, abs, [1])
    module = import_differently(tmp_path, monkeypatch, "slow_to_import", "import time; time.sleep(0.4)")
    assert values(run(pool, module.f, [1, 2], timeout=0.2)) == [1, 2]


@pytest.mark.parametrize("reuse", [False, True])
def test_closing_every_descriptor_harms_only_the_item(pool, reuse):
    def close_all(item):
        if item == "bad":
            os.closerange(0, 256)
            if reuse:
                for _ in range(20):
                    os.open("/dev/zero", os.O_RDWR)
        return item

    outcomes = run(pool, close_all, ["a", "b", "bad", "c", "d"])
    assert endings(outcomes) == [Ending.DONE, Ending.DONE, Ending.LOST, Ending.DONE, Ending.DONE]


def test_the_child_of_an_item_that_forks_does_not_answer(pool):
    def split(_):
        os.fork()
        return os.getpid() == os.getsid(0)  # true in a worker, false in its child

    assert values(run(pool, split, range(50))) == [True] * 50


def test_an_alarm_left_behind_does_not_hit_the_next_item(single):
    def arm(x):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return x

    run(single, arm, [1])
    assert values(run(single, sleep_or_echo, [0.2])) == [0.2]
    assert single.stats.lost == 0


# Memory and size


def test_memory_is_capped_and_the_worker_is_replaced(tmp_path):
    def allocate(megabytes):
        (tmp_path / str(megabytes)).write_text(str(os.getpid()))
        return len(bytearray(megabytes << 20))

    with CpuPool(workers=1, memory_mb=512) as pool:
        outcomes = run(pool, allocate, [1, 4096, 2])
        assert endings(outcomes) == [Ending.DONE, Ending.OUT_OF_MEMORY, Ending.DONE]
        assert endings(run(pool, np.zeros, [1 << 30])) == [Ending.OUT_OF_MEMORY]
        worker = int((tmp_path / "4096").read_text())
        assert eventually(lambda: not alive(worker))
        assert (pool.stats.lost, pool.stats.killed) == (0, 0)


def test_one_item_after_another_may_run_out_of_memory():
    with CpuPool(workers=2, memory_mb=256) as pool:
        assert endings(run(pool, bytearray, [1 << 30] * 100)) == [Ending.OUT_OF_MEMORY] * 100
        assert pool.stats.lost == 0


def test_what_a_function_brings_along_is_not_charged_to_items(tmp_path, monkeypatch):
    (tmp_path / "heavy_library.py").write_text("weights = bytearray(300 << 20)\ndef use(n):\n    return len(bytearray(n))\n")
    monkeypatch.syspath_prepend(tmp_path)
    import heavy_library

    with CpuPool(workers=1, memory_mb=200) as pool:
        outcomes = run(pool, heavy_library.use, [80 << 20, 400 << 20, 80 << 20])
        assert endings(outcomes) == [Ending.DONE, Ending.OUT_OF_MEMORY, Ending.DONE]


def test_memory_that_items_leave_behind_is_not_charged_to_later_ones():
    def leak(megabytes):
        sys.leaked = [*getattr(sys, "leaked", []), bytearray(megabytes << 20)]
        time.sleep(0.002)
        return True

    with CpuPool(workers=1, memory_mb=512) as pool:
        assert values(run(pool, leak, [100] * 20)) == [True] * 20


def test_large_items_and_results_pass_in_both_directions_at_once(pool):
    big = np.ones(12_500_000)  # 100 MB
    assert values(run(pool, len, [big] * 2, timeout=20)) == [12_500_000] * 2
    results = values(run(pool, lambda n: b"x" * n, [60_000_000] * 2, timeout=20))
    assert [len(result) for result in results] == [60_000_000] * 2
    echoed = values(run(pool, lambda data: data, [big[:7_000_000]] * 3, timeout=20))
    assert all(len(result) == 7_000_000 for result in echoed)


def test_a_result_above_the_limit_is_refused_clearly(pool):
    big, small = run(pool, lambda n: b"x" * n, [70_000_000, 1], timeout=20)
    assert big.ending is Ending.RAISED
    assert "70 MB" in str(big.error)
    assert small.value == b"x"


def test_items_are_pickled_only_when_a_worker_is_ready_for_them(pool):
    pickled = []

    class Item:
        def __reduce__(self):
            pickled.append(1)
            return float, (0.01,)

    future = pool.submit(time.sleep, [Item() for _ in range(1000)])
    time.sleep(0.3)
    future.cancel()
    assert 0 < len(pickled) < 300


# Sharing the work


def test_two_workers_take_half_the_time(pool):
    run(pool, sleep_or_echo, [0.001] * 10)
    started = time.monotonic()
    run(pool, sleep_or_echo, [0.005] * 200)
    assert time.monotonic() - started < 0.005 * 200 * 0.85


def test_many_tiny_items_are_batched(pool):
    started = time.monotonic()
    values(run(pool, abs, range(20_000)))
    assert time.monotonic() - started < 4  # 0.15 s on a quiet machine; one message per item would take 5


def test_nothing_waits_behind_a_slow_item_while_a_worker_is_idle(pool):
    def finished_at(seconds):
        time.sleep(seconds)
        return time.monotonic()

    run(pool, finished_at, [0.001] * 100)
    ends = values(run(pool, finished_at, [0.001] * 60 + [1.0] + [0.001] * 60))
    slow = ends.pop(60)
    assert max(ends) < slow - 0.3


def test_a_small_job_does_not_wait_for_a_large_one(pool):
    large = pool.submit(time.sleep, [0.01] * 2000)
    time.sleep(0.1)
    started = time.monotonic()
    values(run(pool, abs, [1, 2, 3]))
    assert time.monotonic() - started < 2
    assert not large.done()
    large.cancel()


def test_many_threads_submit_at_once(pool):
    results: dict[int, list] = {}

    def use(k):
        for _ in range(5):
            results[k] = values(run(pool, lambda x: x * k, range(50)))

    threads = [threading.Thread(target=use, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == {k: [x * k for x in range(50)] for k in range(8)}


def test_inside_an_event_loop_that_blocks_the_deadline_holds(pool):
    async def main():
        future = asyncio.wrap_future(pool.submit(sleep_or_echo, [30.0], timeout=0.1))
        await asyncio.sleep(0)
        time.sleep(0.5)  # a user's coroutine blocks the loop
        return await future

    (outcome,) = asyncio.run(main())
    assert outcome.ending is Ending.OVERRAN
    assert outcome.seconds < 0.45


def test_a_blocking_callback_does_not_delay_a_deadline(pool):
    pool.submit(abs, [1]).add_done_callback(lambda _: time.sleep(0.5))
    (outcome,) = run(pool, sleep_or_echo, [30.0], timeout=0.1)
    assert outcome.seconds < 0.45


# Cancelling


def test_cancelling_kills_what_runs_and_drops_the_rest(pool):
    killed = pool.stats.killed
    future = pool.submit(sleep_or_echo, [60.0] * 10)
    assert eventually(lambda: pool.stats.alive >= 2)
    time.sleep(0.1)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    assert future in wait([future], timeout=5).done
    assert values(run(pool, abs, [-1, -2])) == [1, 2]
    assert eventually(lambda: pool.stats.killed == killed + 2)


def test_cancelling_one_job_leaves_another_alone(pool):
    other = pool.submit(sleep_or_echo, [0.02] * 40)
    future = pool.submit(sleep_or_echo, [60.0] * 10)
    time.sleep(0.1)
    future.cancel()
    assert values(other.result(PATIENCE)) == [0.02] * 40


def test_interrupting_the_waiter_cancels(pool):
    future = pool.submit(sleep_or_echo, [60.0] * 2)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        future.result()
    assert future.cancelled()


def test_cancelling_an_asyncio_task_cancels(pool):
    async def main() -> Future:
        future = pool.submit(sleep_or_echo, [60.0])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(future), 0.1)
        return future

    assert asyncio.run(main()).cancelled()


# Nothing left behind


SPAWN_CHILDREN = """
import os, subprocess, sys, time

def spawn(path):
    children = [subprocess.Popen(["sleep", "300"]), subprocess.Popen(["sleep", "300"], start_new_session=True)]
    daemon = subprocess.run(["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True).stdout
    with open(path + ".part", "w") as file:
        file.write(" ".join(str(pid) for pid in [os.getpid(), os.getppid(), *(child.pid for child in children), int(daemon)]))
    os.rename(path + ".part", path)
    time.sleep(300)
"""


def spawned(path: Path) -> list[int]:
    assert eventually(path.exists)
    pids = [int(pid) for pid in path.read_text().split()]
    assert all(alive(pid) for pid in pids)
    return pids


@pytest.fixture
def spawn(tmp_path, monkeypatch):
    (tmp_path / "spawn_children.py").write_text(SPAWN_CHILDREN)
    monkeypatch.syspath_prepend(tmp_path)
    import spawn_children

    yield spawn_children.spawn
    del sys.modules["spawn_children"]


def test_what_an_overrunning_item_started_dies_with_it(pool, spawn, tmp_path):
    future = pool.submit(spawn, [str(tmp_path / "pids")], timeout=2)
    worker, zygote, *children = spawned(tmp_path / "pids")
    assert endings(future.result(PATIENCE)) == [Ending.OVERRAN]
    assert eventually(lambda: not any(alive(pid) for pid in [worker, *children]))
    assert alive(zygote)


def test_nothing_outlives_a_host_that_is_killed(spawn, tmp_path):
    source = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import ctypes, os, spawn_children
        from plaudit.run._pool import CpuPool
        pool = CpuPool(workers=1)
        pool.warm()
        future = pool.submit(spawn_children.spawn, [sys.argv[1] + "/pids"])
        libc = ctypes.CDLL(None)
        if libc.fork() == 0:  # behind Python's back: it holds copies of all descriptors, so no socket ends with the host
            libc.sleep(5)
            os._exit(0)
        future.result()
    """
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source), str(tmp_path)], start_new_session=True)
    pids = spawned(tmp_path / "pids")
    time.sleep(0.3)
    host.kill()
    host.wait()
    assert eventually(lambda: not any(alive(pid) for pid in pids), 3)


def test_the_pool_recovers_from_the_death_of_its_zygote(pool, spawn, tmp_path):
    future = pool.submit(spawn, [str(tmp_path / "pids")])
    pids = spawned(tmp_path / "pids")
    (tmp_path / "pids").rename(tmp_path / "first")
    os.kill(pids[1], signal.SIGKILL)
    assert values(run(pool, abs, [-1, -2])) == [1, 2]
    again = spawned(tmp_path / "pids")  # the item runs once more
    assert not any(alive(pid) for pid in pids)
    os.kill(again[1], signal.SIGKILL)
    assert endings(future.result(PATIENCE)) == [Ending.LOST]
    assert values(run(pool, abs, [-1, -2])) == [1, 2]
    assert not any(alive(pid) for pid in again)


def test_a_forked_child_has_its_own_workers_and_the_parent_keeps_its(pool):
    def who(_):
        time.sleep(0.05)
        return os.getpid()

    ours = set(values(run(pool, who, range(4))))
    started = pool.stats.started
    sockets = {os.readlink(f"/proc/self/fd/{worker.fileno()}") for worker in pool._supervisor.workforce.workers.values()}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kept = sockets & {os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.exists()}
            os.write(write, " ".join(str(pid) for pid in [len(kept), *values(run(pool, who, range(4)))]).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with open(read) as pipe:
        kept, *theirs = (int(number) for number in pipe.read().split())
    assert kept == 0
    assert theirs
    assert not set(theirs) & ours
    assert eventually(lambda: not any(alive(pid) for pid in theirs))
    values(run(pool, who, range(4)))
    assert pool.stats.started == started


def test_closing_cancels_what_has_not_ended_and_may_be_repeated(tmp_path):
    def wait(item):
        if item == "wait":
            (tmp_path / "waiting").touch()
            time.sleep(60)
        return item

    pool = CpuPool(workers=1)
    future = pool.submit(wait, ["done", "wait", "never"])
    assert eventually((tmp_path / "waiting").exists)
    started = time.monotonic()
    pool.close()
    pool.close()
    assert time.monotonic() - started < 2
    assert endings(future.result(0)) == [Ending.DONE, Ending.CANCELLED, Ending.CANCELLED]
    with pytest.raises(RunError, match="closed"):
        pool.submit(abs, [1])


def test_a_pool_leaves_no_descriptor_thread_or_process_behind():
    def cycle():
        with CpuPool(workers=2) as pool:
            run(pool, sleep_or_echo, ["a", 30.0, "b", 30.0], timeout=0.05)
            run(pool, os._exit, [1])
            return values(run(pool, lambda _: (os.getpid(), os.getppid()), [0]))[0]

    cycle()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    pids = cycle()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_forgotten_pool_closes_itself_but_not_while_somebody_waits():
    future = CpuPool(workers=1).submit(lambda x: (time.sleep(x), os.getpid())[1], [0.3])
    gc.collect()
    (pid,) = values(future.result(PATIENCE))
    del future
    assert eventually(lambda: gc.collect() >= 0 and not alive(pid))


def test_the_interpreter_exits_at_once_and_in_silence():
    done = script("""
        import time
        from plaudit.run._pool import shared_cpu_pool
        shared_cpu_pool().submit(abs, [1]).result()
        shared_cpu_pool().submit(time.sleep, [60] * 5)
        time.sleep(0.2)
        print(time.time())
    """)
    assert time.time() - float(done.stdout) < 3
    assert (done.returncode, done.stderr) == (0, "")


def test_what_items_print_goes_to_standard_error_and_they_read_nothing():
    done = script(
        """
        import os, sys
        from plaudit.run._pool import CpuPool

        def talk(x):
            print("printed", x)
            os.write(1, b"written\\n")
            return sys.stdin.read()

        with CpuPool(workers=1) as pool:
            assert [outcome.value for outcome in pool.submit(talk, [1, 2]).result()] == ["", ""]
        print("mine")
        """,
        input="not for workers",
    )
    assert done.stdout == "mine\n"
    assert done.stderr.count("printed") == done.stderr.count("written") == 2


def test_a_host_without_standard_streams_works():
    done = script("""
        import os, sys
        os.closerange(0, 3)
        from plaudit.run._pool import CpuPool
        with CpuPool(workers=1) as pool:
            os._exit(40 + pool.submit(abs, [-2]).result(20)[0].value)
    """)
    assert done.returncode == 42


def test_a_kernel_without_process_descriptors_will_do(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.pidfd_open\n")
    done = script(
        """
        import os, time
        from plaudit.run._pool import CpuPool
        with CpuPool(workers=1) as pool:
            hung, fine = pool.submit(time.sleep, [60, 0], timeout=0.2).result(20)
            assert (hung.ending, fine.ending) == ("overran", "done"), (hung, fine)
            (pid,) = pool.submit(lambda _: os.getpid(), [0]).result(20)
        assert not os.path.exists(f"/proc/{pid.value}")
        """,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_worker_at_all_is_an_error_not_a_wait(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with CpuPool(workers=1) as pool, pytest.raises(RunError, match="exit status 1"):
        pool.submit(abs, [1]).result(PATIENCE)


# Settings


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="workers is 0"):
        CpuPool(workers=0)
    with pytest.raises(ValueError, match="memory_mb is 1"):
        CpuPool(memory_mb=1)
    with pytest.raises(TypeError, match="preload"):
        CpuPool(preload="numpy")
    with CpuPool() as pool:
        for timeout in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                pool.submit(abs, [1], timeout=timeout)


def test_the_shared_pool_is_one_and_fits_the_machine():
    assert shared_cpu_pool() is shared_cpu_pool()
    assert shared_cpu_pool().workers == available_cpus() <= len(os.sched_getaffinity(0))
