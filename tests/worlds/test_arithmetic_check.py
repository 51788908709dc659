"""The exact checker: right steps, useful steps, the first error, the answer, and texts that mean it harm."""

import itertools
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.worlds import ARITHMETIC_LEVELS, ArithmeticProblem, SolutionLabels, arithmetic_problems, check_solution, corrupt
from plaudit.worlds._expression import Operation
from plaudit.worlds._solution import Step

KINDS = ["none", "wrong_step", "skipped_step", "filler_step", "wrong_path", "format_break"]


def check(expression, *lines):
    return check_solution(ArithmeticProblem(expression), "\n".join(lines))


def useful(expression, *lines):
    return [step.useful for step in check(expression, *lines).steps]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(ARITHMETIC_LEVELS)), st.integers(0, 10**9), st.sampled_from(KINDS))
def test_the_checker_says_of_a_corruption_what_is_known_of_it(level, seed, kind):
    problem = arithmetic_problems(1, seed=seed, level=level)[0]
    corruption = corrupt(problem, kind, seed)
    if corruption is not None:
        assert SolutionLabels.of(check_solution(problem, corruption.response)) == corruption.labels, corruption


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_room_for_a_corruption_in_nearly_every_problem(kind):
    problems = arithmetic_problems(200, seed=11)
    made = [corrupt(problem, kind, seed=1) for problem in problems]
    assert sum(each is not None for each in made) >= 195
    assert made == [corrupt(problem, kind, seed=1) for problem in problems]


def test_an_unknown_corruption_is_refused():
    with pytest.raises(DataError, match="wrong_step"):
        corrupt(ArithmeticProblem("1+1"), "typo")


def test_a_step_may_join_any_two_terms_or_factors():
    assert useful("3+4+5", "4+5=9", "3+9=12") == [True, True]
    assert useful("3+4+5", "5+3=8", "8+4=12") == [True, True]
    assert useful("20-3-4", "3+4=7", "20-7=13") == [True, True]
    assert useful("20-3-4", "-3-4=-7", "20+-7=13") == [True, True]
    assert useful("100/4/5", "4*5=20", "100/20=5") == [True, True]
    assert useful("9-(2+3)", "9-2=7", "7-3=4") == [True, True]
    assert useful("2*3+2*3", "2*3=6", "2*3=6", "6+6=12") == [True, True, True]


def test_a_step_that_does_no_open_operation_is_not_useful():
    assert useful("3+4*5", "3+4=7", "7*5=35") == [False, False]
    assert useful("3+4*5", "4*5=20", "4*5=20", "3+20=23") == [True, False, True]
    assert useful("3+4*5", "4*5=20", "20+0=20", "20*1=20", "3+20=23") == [True, False, False, True]
    assert useful("3-4", "4-3=1") == [True]
    assert useful("8/2", "2/8=(1/4)") == [True]
    assert useful("2*(3+4)", "2*3=6", "2*4=8", "6+8=14") == [False, False, False]
    assert useful("7^2", "7*7=49") == [False]
    assert useful("7^2", "7^2=49", "7^2=49") == [True, False]


def test_a_turned_subtraction_changes_the_sign_of_what_is_left():
    assert check("10+3-4", "4-3=1", "10-1=9", "#### 9").first_error is None
    assert check("10+3-4", "4-3=1", "10+1=11", "#### 9").steps[1].useful is False


def sums_of_three(a, b, c):
    """What two parts of a + b + c may be joined, by brute force: single terms, or two neighbours and the third."""
    singles = [(a, b), (a, c), (b, c)]
    pairs = [(a + b, c), (a, b + c)]
    return singles + pairs


def test_usefulness_in_a_sum_of_three_agrees_with_brute_force():
    for a, b, c in [(1, 2, 3), (2, 2, 1), (1, 1, 1), (4, 0, 2)]:
        problem = ArithmeticProblem(f"{a}+{b}+{c}")
        allowed = sums_of_three(a, b, c)
        for operator, x, y in itertools.product("+-*/", range(-7, 8), range(-7, 8)):
            if operator == "/" and y == 0:
                continue
            second = -y if operator == "-" else y
            turned = [(p, q) for x1, y1 in [(x, second), (-x, -second)] for p, q in [(x1, y1), (y1, x1)]]
            expected = operator in "+-" and any(pair in allowed for pair in turned)
            line = str(Step(operator, x, y, 0))
            assert check_solution(problem, line).steps[0].useful == expected, (problem, line)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(["default", "hard", "random_calculation"]))
def test_any_order_that_waits_for_its_numbers_is_a_right_solution(seed, level):
    problem = arithmetic_problems(1, seed=seed, level=level)[0]
    random = Random(seed)
    steps = []
    tree = problem.tree
    while isinstance(tree, Operation):
        tree = _do_one(tree, random, steps)
    checked = check_solution(problem, "\n".join([*map(str, steps), f"#### {problem.answer}"]))
    assert all(step.good for step in checked.steps)
    assert (checked.skipped, checked.first_error, checked.answer.good) == (0, None, True)


def _do_one(tree, random, steps):
    """The tree after one of the operations whose numbers are known, chosen at random."""
    parts = [part for part in (tree.left, tree.right) if isinstance(part, Operation)]
    if not parts:
        from plaudit.worlds._number import combine

        result = combine(tree.operator, tree.left, tree.right)
        steps.append(Step(tree.operator, tree.left, tree.right, result))
        return result
    if random.choice(parts) is tree.left:
        return Operation(tree.operator, _do_one(tree.left, random, steps), tree.right)
    return Operation(tree.operator, tree.left, _do_one(tree.right, random, steps))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=8), st.integers(0, 10**9))
def test_a_sum_may_be_added_up_in_any_order(terms, seed):
    expression = str(terms[0]) + "".join(f"+{term}" for term in terms[1:])
    random, lines = Random(seed), []
    while len(terms) > 1:
        a, b = (terms.pop(random.randrange(len(terms))) for _ in range(2))
        lines.append(f"{a}+{b}={a + b}")
        terms.append(a + b)
    assert useful(expression, *lines) == [True] * len(lines)


def test_steps_behind_a_false_one_are_judged_on_what_it_claims():
    checked = check("3+4*5-2", "4*5=21", "3+21=24", "24-2=22", "#### 22")
    assert [step.right for step in checked.steps] == [False, True, True]
    assert [step.useful for step in checked.steps] == [True, True, True]
    assert (checked.first_error, checked.answer.right, checked.answer.supported) == (0, False, True)


def test_a_false_step_that_makes_a_divisor_zero_leaves_nothing_to_do():
    checked = check("8/(4-2)", "4-2=0", "8/0=0", "#### 4")
    assert [step.useful for step in checked.steps] == [True, False]
    assert checked.answer.supported is False


def test_the_first_error_is_the_answer_when_every_step_is_right():
    assert check("3+4", "3+4=7", "#### 8").first_error == 1
    assert check("3+4", "3+4=7").first_error == 1
    assert check("3+4", "3+4=7", "#### 7", "#### 7").first_error == 1
    assert check("3+4", "3+4=7", "#### 7").first_error is None
    assert check("3+4", "3+4=7", "#### 7", "so seven").first_error == 1


def test_a_line_stands_where_it_is_said_to_stand():
    response = "\r\n  4*5=20  \r\n\t3+20=23\n\n #### 23 \n"
    checked = check_solution(ArithmeticProblem("3+4*5"), response)
    assert [response[step.start : step.end] for step in checked.steps] == ["4*5=20", "3+20=23"]
    assert response[checked.answer.start : checked.answer.end] == "#### 23"
    assert checked.well_formed


@pytest.mark.parametrize(
    "line",
    ["4*5", "4*5=", "=20", "4x5=20", "4*5=20=20", "4*5=20.0", "4*5=020", "2^5=32", "4**5=20", "4*5≈20", "so 4*5=20", "4*5=40/2",
     "4*5=(40/2)", "٤*٥=٢٠", "1/0=0x", "4*5=" + "1" * 150],
)  # fmt: skip
def test_a_line_of_another_form_is_neither_right_nor_useful(line):
    step = check("4*5", line, "#### 20").steps[0]
    assert (step.readable, step.right, step.useful) == (False, False, False)


def test_division_by_zero_is_readable_and_never_right():
    step = check("4*5", "1/0=0").steps[0]
    assert (step.readable, step.right, step.useful) == (True, False, False)


@pytest.mark.parametrize("response", ["x" * 10_001, "\n".join(["1+1=2"] * 257)])
def test_a_response_beyond_the_limits_is_refused(response):
    with pytest.raises(DataError, match="at most"):
        check_solution(ArithmeticProblem("1+1"), response)


def test_hostile_solutions_take_a_bounded_time():
    big = "*".join(["999999999999"] * 20)
    ones = "+".join(["1"] * 40)
    attacks = [
        (big, [f"999999999999*{10**k + 7}={10**k}" for k in range(80)]),
        (ones, ["1+1=2"] * 250),
        (ones, [f"1+{k}={k + 1}" for k in range(1, 250)]),
        ("-".join(["1"] * 40), ["1-1=7"] * 250),
        ("*".join(["(1+1)"] * 15), ["1+1=2"] * 100 + ["2*2=4"] * 100),
        ("1", ["9" * 190 + "*" + "9" * 190 + "=" + "9" * 190] * 17),
        ("1", ["-" * 9_000]),
        ("1", ["(1/" * 3_000]),
    ]
    for expression, lines in attacks:
        start = time.process_time()
        check(expression, *lines)
        assert time.process_time() - start < 2.0, expression


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789+-*/^()= #\n/", max_size=200))
def test_any_text_can_be_checked(text):
    checked = check("3+4*5", text)
    assert all(0 <= step.start < step.end <= len(text) for step in checked.steps)
    assert checked.first_error is None or checked.first_error <= len(checked.steps)
