"""The pool of warm processes: who may use it from where, what ends a run, and that a program ends as Python's own would."""

import os
import sys
import threading
import time

import pytest

from plaudit.run.sandbox import Limits, Program, Sandbox, SandboxError, isolation_available
from plaudit.run.sandbox import _start as starting
from plaudit.run.sandbox._pool import _outcome, _streams

pytestmark = pytest.mark.skipif(
    isolation_available("bubblewrap") is not None, reason=f"no isolation here: {isolation_available('bubblewrap')}"
)

LONG = Limits(wall=10.0)
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1) as made:
        yield made


def written(sandbox, source, limits=LONG):
    return sandbox.run(Program(source), limits=limits).stdout


def test_a_sandbox_outlives_the_thread_that_used_it_first():
    with Sandbox(workers=1) as sandbox:
        first = threading.Thread(target=written, args=(sandbox, "print(1)"))
        first.start()
        first.join()
        inside = sandbox._idle["program"][0]
        time.sleep(0.1)
        assert inside.alive()
        assert written(sandbox, "print(2)") == b"2\n"


def test_a_warm_process_that_was_killed_while_idle_is_replaced():
    with Sandbox(workers=1) as sandbox:
        written(sandbox, "print(1)")
        process = sandbox._idle["program"][0]._process
        process.kill()
        process.wait()
        time.sleep(0.2)
        assert written(sandbox, "print(2)") == b"2\n"


def test_a_forked_child_and_its_parent_do_not_get_each_others_answers(sandbox):
    written(sandbox, "print(1)")
    child = os.fork()
    name = "child" if child == 0 else "parent"
    right = all(written(sandbox, f"print('{name}', {k})") == f"{name} {k}\n".encode() for k in range(20))
    if child == 0:
        sandbox.close()
        os._exit(0 if right else 1)
    assert right
    assert os.waitpid(child, 0)[1] == 0


def test_a_start_that_fails_leaves_no_process_behind(monkeypatch):
    started = []
    start = starting._STARTER.start

    def broken(command, stdin):
        started.append(start(["/bin/true"], stdin))
        return started[0]

    monkeypatch.setattr(starting._STARTER, "start", broken)
    with pytest.raises(SandboxError, match="ended"):
        Sandbox(workers=1).run(Program("print(1)"))
    assert started[0].returncode is not None


def test_many_threads_share_few_places():
    wrong = []
    with Sandbox(workers=2) as sandbox:

        def use(k):
            job = {"setup": "", "names": ["f"], "entry_point": None, "record": "record", "early_stop": False}
            for j in range(4):
                if written(sandbox, f"print({k}, {j})") != f"{k} {j}\n".encode():
                    wrong.append((k, j, "run"))
                replies, _ = sandbox.call(Program("def f(x): return x + 1"), [("f", [k])], LONG)
                if [reply.value for reply in replies] != [None, k + 1]:
                    wrong.append((k, j, "call"))
                tests = {**job, "tests": f"record(0, lambda: f({k}) == {k + 1})"}
                reports, _, _ = sandbox.test(Program("def f(x): return x + 1"), tests, LONG)
                if reports != [[0, True, ""], ["end"]]:
                    wrong.append((k, j, "test"))

        threads = [threading.Thread(target=use, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
    assert not wrong


ENDINGS = {
    "exit()": ("print(1)\nexit()\nprint(2)", b"1\n"),
    "an exit function that writes": ("import atexit\natexit.register(lambda: print('late'))", b"late\n"),
    "output collected in memory": (
        "import sys, io\nout, sys.stdout = sys.stdout, io.StringIO()\nprint(5)\nout.write(sys.stdout.getvalue())",
        b"5\n",
    ),
    "a file left open": ("out = open(1, 'w', closefd=False)\nout.write('7')", b"7"),
    "standard output set to None": ("import sys\nprint(3)\nsys.stdout = None", b"3\n"),
    "the module of builtins": ("__builtins__.print(4)", b"4\n"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_as_in_python_itself(sandbox, name):
    source, expected = ENDINGS[name]
    outcome = sandbox.run(Program(source), limits=LONG)
    assert (outcome.stdout, outcome.code) == (expected, 0), outcome


def test_processor_time_that_is_used_up_is_a_timeout(sandbox):
    outcome = sandbox.run(Program("while True: pass"), limits=Limits(wall=30.0, cpu=1))
    assert outcome.end == "timeout"


def test_memory_that_no_address_space_holds_is_refused(sandbox):
    shared = "import ctypes\nprint(ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600))"
    assert written(sandbox, shared) == b"-1\n"
    outcome = sandbox.run(Program("import os\nos.memfd_create('x')"), limits=LONG)
    assert b"PermissionError" in outcome.stderr


def test_what_an_earlier_program_held_is_not_in_memory_any_more(sandbox):
    # A sibling's program may be the right one.
    written(sandbox, "pass\n" + "# 5e11ab1e-secret\n" * 5_000)
    found = written(
        sandbox,
        """
import ctypes
libc = ctypes.CDLL(None)
libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
page, there, state = (libc.sbrk(0) + 4095) // 4096 * 4096 - 4096, 0, ctypes.create_string_buffer(1)
needle = bytes(reversed(b'terces-e1ba11e5'))
pages = 0
while libc.mincore(page, 4096, state) == 0:
    there += needle in ctypes.string_at(page, 4096)
    page, pages = page - 4096, pages + 1
print(pages > 100, there)
""",
    )
    # The needle itself lies somewhere, once or twice; five thousand lines of it do not.
    assert found.split()[0] == b"True"
    assert int(found.split()[1]) <= 2, found


def test_a_program_that_cannot_be_loaded_is_reported_as_such(sandbox):
    tests = {
        "tests": "record(0, lambda: f(1) == 1)", "setup": "", "names": ["f"], "entry_point": None, "record": "record",
        "early_stop": False,
    }  # fmt: skip
    reports, _, tested = sandbox.test(Program("absent\ndef f(x): return x"), tests, LONG)
    assert reports[0][:2] == ["load", False]
    assert "absent" in reports[0][2]
    assert tested.code == 0


LAZY = {
    "a generator": ("def f(n): yield from range(n)", "list(f(3)) == [0, 1, 2] and sorted(f(3)) == [0, 1, 2] and bool(f(3))"),
    "a map": ("def f(n): return map(str, range(n))", "list(f(2)) == ['0', '1'] and not list(f(0))"),
    "keys": ("def f(n): return dict.fromkeys(range(n)).keys()", "set(f(2)) == {0, 1} and len(f(2)) == 2 and not f(0)"),
    "one that never ends": (
        "def f(n):\n    while True: yield n",
        "[v for v, _ in zip(f(1), range(3))] == [1, 1, 1]",
    ),
}


@pytest.mark.parametrize("name", LAZY)
def test_what_a_program_returns_can_be_iterated_over(sandbox, name):
    source, claim = LAZY[name]
    tests = {"tests": f"record(0, lambda: {claim})", "setup": "", "names": ["f"], "entry_point": None, "record": "record"}
    reports, _, _ = sandbox.test(Program(source), {**tests, "early_stop": False}, LONG)
    assert reports == [[0, True, ""], ["end"]]


def test_lateness_that_a_programs_own_threads_cause_is_no_excuse():
    answer = {"late": True, "stopped": False, "code": -9, "waited": 5.0, "seconds": 6.0, "memory": 0}
    with _streams(b"") as streams:
        assert _outcome({**answer, "cpu": 5.9}, streams, LONG).end == "timeout"
        assert _outcome({**answer, "cpu": 0.9}, streams, LONG).end == "starved"


def test_without_namespaces_each_run_has_a_folder_of_its_own_and_what_it_starts_ends_with_it(tmp_path):
    limits = Limits(wall=10.0, processes=True, threads=10_000)
    with Sandbox(workers=2, isolation="process") as sandbox:
        results = {}

        def run(k):
            source = f"import os, time\ntime.sleep(0.2)\nprint({k}, os.getcwd())"
            results[k] = sandbox.run(Program(source, command=(PYTHON, "-I", "solution")), limits=limits).stdout.split()

        threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {k: int(said[0]) for k, said in results.items()} == {k: k for k in range(4)}
        assert not any(os.path.exists(said[1]) for said in results.values())
        source = (
            "import os, time\nfor k in range(2):\n    child = os.fork()\n    if child == 0:\n        if k: os.setsid()\n"
            "        time.sleep(60)\n    print(child, flush=True)"
        )
        started = sandbox.run(Program(source, command=(PYTHON, "-I", "solution")), limits=limits).stdout.split()
        assert len(started) == 2
        assert not any(os.path.exists(f"/proc/{int(number)}") for number in started)
