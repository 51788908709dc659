"""Distance of an execution to a line."""

import time

import pytest

from plaudit import Sample
from plaudit.errors import SpecError
from plaudit.run.sandbox import isolation_available
from plaudit.verify import Coverage
from plaudit.verify._flow import distances_to, line_graph

SOURCE = """
def helper(text):
    if text.isdigit():
        return int(text)
    raise ValueError(text)

def main(text):
    for part in text.split(","):
        try:
            value = helper(part)
        except ValueError:
            continue
        while value > 10:
            value -= 1
        if value == 7:
            return "seven"
    return "none"
"""
REACH = Coverage(isolation="process", timeout=3)


def value(text, line, **changed):
    return REACH.one("p", text, {"source": SOURCE, "function": "main", "line": line, **changed}).value


def test_reaching_a_line_is_one_and_nearer_is_more():
    assert value("7", 16) == 1.0
    assert 0 <= value("x", 16) < value("3", 16) < 1.0
    assert value("99", 14) == 1.0 > value("3", 14)
    assert value("x", 12) == value("x", 5) == 1.0  # behind an exception, and inside a called function


def test_without_grading_only_reaching_counts():
    binary = Coverage(graded=False, isolation="process")
    reference = {"source": SOURCE, "function": "main", "line": 16}
    assert [binary.one("p", text, reference).value for text in ("7", "3")] == [1.0, 0.0]


def test_distances_are_steps_of_control_flow():
    graph = line_graph("def f(x):\n    while x:\n        x -= 1\n    return x\n")
    assert distances_to(graph, 4)[3] == 1 or distances_to(graph, 4)[3] == 2
    assert distances_to(graph, 1) == {1: 0}
    assert 1 in distances_to(graph, 4)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (None, "expected source"),
        ("{", "no JSON"),
        ({"source": "def f(", "function": "f", "line": 1}, "cannot be read"),
        ({"source": SOURCE, "function": "nothing", "line": 16}, "no function nothing"),
        ({"source": SOURCE, "function": "main", "line": 1000}, "holds no code"),
        ({"source": SOURCE, "function": "helper", "line": 16}, "cannot be reached"),
        ({"source": SOURCE, "function": "main", "line": "16"}, "whole number"),
    ],
)
def test_targets_that_cannot_be_are_said(reference, said):
    verdict = REACH.score([Sample("p", "7", reference=reference)])[0]
    assert (verdict.value, verdict.reason) == (None, "reference_unreadable")
    assert said in verdict.explanation


def test_an_input_that_hangs_the_program_gets_nothing_in_time():
    began = time.monotonic()
    reference = {"source": "import time\ndef f(text):\n    time.sleep(60)\n    return 1", "function": "f", "line": 4}
    verdict = Coverage(isolation="process", timeout=0.5).one("p", "x", reference)
    assert (verdict.value, verdict.reason) == (0.0, "response_timeout")
    assert time.monotonic() - began < 8


def test_a_program_that_exits_or_never_returns_counts_by_what_it_ran():
    source = "def f(text):\n    if text == 'e':\n        raise SystemExit(0)\n    while text:\n        pass\n    return 1"
    reference = {"source": source, "function": "f", "line": 6}
    exits, loops = (REACH.one("p", text, reference) for text in ("e", "x"))
    assert 0 < exits.value < 1
    assert exits.details["raised"] == "SystemExit"
    assert 0 <= loops.value < 1


@pytest.mark.skipif(isolation_available("bubblewrap") is not None, reason="no isolation here")
def test_it_runs_isolated_by_default():
    reference = {"source": SOURCE, "function": "main", "line": 16}
    assert Coverage().one("p", "7", reference).value == 1.0


def test_limits_must_be_positive():
    with pytest.raises(SpecError):
        Coverage(timeout=0)
