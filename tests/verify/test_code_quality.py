"""Measures of test suites, mutants, and suites that grow by them."""

import ast
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.errors import DataError
from plaudit.verify import Code, grow_suite, mutants, quality_of, suite_quality, vary_inputs

CODE = Code(isolation="process", timeout=2)  # all programs here are our own
CLAMP = "def clamp(x, low, high):\n    if x < low:\n        return low\n    return high if x > high else x\n"


def test_mutants_are_programs_each_other_than_the_rest():
    found = mutants(CLAMP + "def g(a):\n    n = 0\n    for x in a:\n        n += x % 2\n    return n and not a\n")
    sources = [mutant.source for mutant in found]
    assert len(set(sources)) == len(sources)
    for source in sources:
        ast.parse(source)
    assert {mutant.kind for mutant in found} == {
        "negated comparison", "moved boundary", "swapped operator", "off by one", "swapped connective", "dropped not",
        "dropped return", "dropped update",
    }  # fmt: skip


def test_a_mutant_differs_in_one_place():
    for mutant in mutants(CLAMP):
        before, after = ast.unparse(ast.parse(CLAMP)).split("\n"), mutant.source.split("\n")
        assert [a != b for a, b in zip(before, after, strict=True)].count(True) == 1
        assert before[mutant.line - 1] != after[mutant.line - 1]


def test_what_is_not_python_has_no_mutants():
    assert mutants("x") == []
    for source in ("def f(:", "(" * 500, "\0"):
        with pytest.raises(DataError, match="not Python"):
            mutants(source)


def test_quality_is_read_from_what_is_rejected():
    wrong = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], bool)
    right = np.array([[0], [0], [0], [1]], bool)  # the last test rejects a right program
    quality = quality_of(wrong, right)
    assert (quality.detection, quality.invalid, quality.accurate) == (0.75, (3,), False)
    assert (quality.patterns, quality.diversity) == (2, pytest.approx(2 / 3))
    whole = quality_of(wrong)
    assert (whole.detection, whole.accurate, whole.curve[-1]) == (1.0, True, 1.0)
    assert list(whole.curve[:2]) == [0.0, 0.0]  # no two of the tests reject all four


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_more_tests_never_detect_less(wrong):
    qualities = [quality_of(wrong[:n]) for n in range(1, len(wrong) + 1)]
    assert all(a.detection <= b.detection for a, b in itertools.pairwise(qualities))
    assert (np.diff(qualities[-1].curve) >= 0).all()
    assert qualities[-1].accurate == (qualities[-1].curve[-1] == 1.0) == (qualities[-1].detection == 1.0)
    assert 0 <= qualities[-1].diversity <= 1


def test_the_ceiling_of_equal_tests_does_not_rise():
    alike = quality_of(np.array([[1, 0, 0, 1]] * 5, bool))
    assert alike.correlation == pytest.approx(1.0)
    assert alike.ceiling(100) == pytest.approx(alike.strength)
    mixed = quality_of(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], bool))
    assert mixed.ceiling(20) > 0.99


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="same tests"):
        quality_of(np.zeros((2, 3), bool), np.zeros((3, 1), bool))


def test_a_weak_suite_grows_by_mutants():
    changed = [mutant.source for mutant in mutants(CLAMP)]
    weak = {"fn_name": "clamp", "inputs": [[5, 0, 9]], "outputs": [5]}
    candidates = vary_inputs([[5, 0, 9], [50, 0, 9]], 60)
    grown = grow_suite(CLAMP, "clamp", candidates, changed, code=CODE)
    before, after = (suite_quality(suite, [CLAMP], changed, code=CODE) for suite in (weak, grown))
    assert after.invalid == ()
    assert after.detection > before.detection
    assert len(grown["inputs"]) <= 8


def test_inputs_that_the_solution_does_not_answer_are_left_out():
    solution = "def f(x): return 1 / x"
    grown = grow_suite(solution, "f", [[0], [2]], ["def f(x): return 0"], code=CODE)
    assert grown == {"fn_name": "f", "inputs": [[2]], "outputs": [0.5]}
    with pytest.raises(DataError, match="answers none"):
        grow_suite(solution, "f", [[0]], [], code=CODE)


def test_varied_inputs_keep_their_types_and_are_repeatable():
    examples = [[[3, 1], "ab", {"k": 1.5}, True]]
    varied = vary_inputs(examples, 40, seed=1)
    assert varied == vary_inputs(examples, 40, seed=1) != vary_inputs(examples, 40, seed=2)
    assert all([type(part) for part in given] == [list, str, dict, bool] for given in varied)
    assert examples == [[[3, 1], "ab", {"k": 1.5}, True]]
    assert len({repr(given) for given in varied}) == len(varied)
