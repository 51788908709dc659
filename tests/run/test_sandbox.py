"""What the sandbox runs, how it ends runs, and the values that cross its wall."""

import json
import math
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.run.sandbox import (
    TIMEOUT,
    Limits,
    Opaque,
    Program,
    Sandbox,
    Undecodable,
    decode,
    encode,
    isolation_available,
)

isolated = pytest.mark.skipif(
    isolation_available("bubblewrap") is not None, reason=f"no isolation here: {isolation_available('bubblewrap')}"
)


@pytest.fixture(scope="module", params=["process", pytest.param("bubblewrap", marks=isolated)])
def sandbox(request):
    with Sandbox(workers=2, isolation=request.param) as made:
        yield made


def test_streams_arguments_and_exit_code(sandbox):
    program = Program("import sys\nprint(sys.argv[1:], input())\nprint('e', file=sys.stderr)\nsys.exit(3)", argv=("a", "b"))
    outcome = sandbox.run(program, b"in\n")
    assert (outcome.end, outcome.code, outcome.stdout, outcome.stderr) == ("exit", 3, b"['a', 'b'] in\n", b"e\n")
    assert outcome.seconds >= outcome.waited >= 0


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("while True: pass", ("timeout", "starved")),
        ("x = bytearray(10**9)", ("memory",)),
        ("while True: print('x' * 10**5)", ("output",)),
        ("import os\nos.abort()", ("signal",)),
        ("pass", ("exit",)),
    ],
)
def test_how_a_run_ends(sandbox, source, end):
    assert sandbox.run(Program(source), limits=Limits(wall=2, memory=200, output=1)).end in end


def test_runs_know_nothing_of_each_other(sandbox):
    sandbox.run(Program("import builtins, math\nbuiltins.left = 1\nmath.pi = 3"))
    outcome = sandbox.run(Program("import builtins, math\nprint(hasattr(builtins, 'left'), math.pi == 3)"))
    assert outcome.stdout == b"False False\n"


def test_a_call_returns_exact_values_or_the_exception(sandbox):
    program = Program("def f(x): return (x, [1.0], {1: b'x'})\ndef g(): raise KeyError('k')\ndef h(): return object()")
    replies, _ = sandbox.call(program, [("f", [2]), ("g", []), ("h", []), ("nothing", []), ("f", [3])], Limits(wall=20))
    assert [reply.error for reply in replies] == [None, None, "KeyError: 'k'", None, "KeyError: 'nothing'", None]
    assert replies[1].value == (2, [1.0], {1: b"x"})
    assert isinstance(replies[3].value, Opaque)


def test_a_call_that_hangs_ends_the_session_and_a_drip_of_bytes_does_not_prolong_it(sandbox):
    drip = "import os, time\ndef f():\n    while True:\n        os.write(3, b'x')\n        time.sleep(0.05)"
    for source in ("def f():\n    while True: pass", drip):
        began = time.monotonic()
        replies, _ = sandbox.call(Program(source), [("f", []), ("f", [])], Limits(wall=60), each=0.5)
        assert [reply.error for reply in replies] == [None, TIMEOUT]
        assert time.monotonic() - began < 10


def test_runs_from_several_threads_go_side_by_side(sandbox):
    found = {}

    def work(k):
        found[k] = [sandbox.run(Program(f"print({k})")).stdout for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [b"%d\n" % k] * 5 for k in range(5)}
    assert len(sandbox._idle["program"]) <= 2


def test_a_warm_process_that_was_killed_is_replaced():
    with Sandbox(workers=1, isolation="process") as sandbox:
        sandbox.run(Program("pass"))
        sandbox._idle["program"][0]._process.kill()
        sandbox._idle["program"][0]._process.wait()
        assert sandbox.run(Program("print(1)")).stdout == b"1\n"


def test_a_forked_copy_does_not_end_its_parents_processes():
    with Sandbox(workers=1, isolation="process") as sandbox:
        sandbox.run(Program("pass"))
        child = os.fork()
        if child == 0:
            sandbox.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert sandbox.run(Program("print(1)")).stdout == b"1\n"


@isolated
def test_binds_are_readable_and_nothing_else_is():
    here = "/etc/passwd"  # not a file of ours: a checkout may lie under /tmp, which every run has of its own
    look = Program(f"print(len(open({here!r}).read()))")
    with Sandbox(workers=1, binds=["/etc"]) as sandbox:
        assert int(sandbox.run(look).stdout) > 20
        assert b"Read-only" in sandbox.run(Program(f"open({here!r}, 'w')")).stderr
    with Sandbox(workers=1) as sandbox:
        assert b"FileNotFoundError" in sandbox.run(look).stderr


def test_binds_that_every_run_would_hide_are_refused():
    with pytest.raises(SpecError, match="hides it"):
        Sandbox(binds=["/tmp/compiler"])


# Values

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False) | st.fractions()
)  # fmt: skip
keys = st.booleans() | st.integers() | st.text(max_size=5) | st.fractions()


def containers(inner):
    return (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(deque)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4).map(OrderedDict)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.dictionaries(keys, st.integers(), max_size=4).map(Counter)
    )


def exact(value):
    """A value with all its types."""
    if isinstance(value, dict):
        return type(value), [(exact(k), exact(v)) for k, v in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), value
    if isinstance(value, (list, tuple, deque)):
        return type(value), [exact(item) for item in value]
    return type(value), repr(value)


@given(st.recursive(scalars, containers, max_leaves=12))
def test_plain_values_cross_the_wall_unchanged(value):
    assert exact(decode(encode(value))) == exact(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*"iftsSFlqdocDbBjrmRx", "", "bB", "1", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=15,
)


@given(json_values.map(json.dumps) | st.text(max_size=60) | st.binary(max_size=60))
def test_nothing_that_is_decoded_raises_anything_else(text):
    try:
        value = decode(text)
    except Undecodable:
        return
    assert type(value) in {
        type(None), bool, int, float, str, bytes, bytearray, complex, list, tuple, set, frozenset, deque, dict, OrderedDict,
        Counter, range, Decimal, Fraction, Opaque,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000, '["i", "9"' + "9" * 5000 + "]", '["R", ["1", "0"]]', '["r", [1, 2, 0]]', '["S", [["l", []]]]', '["", "00"]',
        '["s", 1]', '"sb"', "{}", "[]", '["x", "", ""', '["f", "x"]', '["m", "x"]', "1" * (1 << 21),
        '["S", [' + ", ".join(f'["i", "{k * (2**61 - 1)}"]' for k in range(20_000)) + "]]",
    ],
)  # fmt: skip
def test_hostile_texts_are_refused(text):
    began = time.process_time()
    with pytest.raises(Undecodable):
        decode(text)
    assert time.process_time() - began < 2


def test_subclasses_and_objects_become_opaque():
    for value in (type("L", (list,), {})(), type("I", (int,), {})(1), object(), len, math):
        found = decode(encode([value]))[0]
        assert isinstance(found, Opaque)
        assert found != value


def test_values_that_are_too_deep_or_too_large_are_refused():
    deep = []
    for _ in range(70):
        deep = [deep]
    for value in (deep, "x" * (1 << 21)):
        with pytest.raises(ValueError, match=r"nested deeper|at most"):
            encode(value)


def test_a_set_of_powers_of_two_is_no_flood():
    powers = {2**k for k in range(1000)}
    assert decode(encode(powers)) == powers
