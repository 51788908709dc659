"""Problems of the arithmetic world: levels keep their promises, answers are exact, training and evaluation never meet."""

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.verify import Math
from plaudit.worlds import ARITHMETIC_LEVELS, ArithmeticLevel, ArithmeticProblem, arithmetic_problems, draw_problems, problem_in
from plaudit.worlds._expression import Operation, evaluate, operations, read_expression, write_expression
from plaudit.worlds._number import read_number, write_number

levels = st.builds(
    ArithmeticLevel,
    operands=st.tuples(st.integers(1, 3), st.integers(3, 8)),
    numbers=st.tuples(st.integers(0, 3), st.integers(3, 99)),
    operators=st.sampled_from(["+", "-", "+-", "*", "+-*", "+-*/", "*/", "/+"]),
    brackets=st.booleans(),
    fractions=st.booleans(),
    powers=st.booleans(),
    limit=st.none(),
)


def python_value(expression):
    """The expression by Python's own parser, on exact fractions."""
    text = "".join(f"F({part})" if part.isdigit() else part for part in _tokens(expression)).replace("^F(2)", "**2")
    return eval(text.replace("^F(3)", "**3"), {"F": Fraction})


def _tokens(expression):
    digits = ""
    for character in expression:
        if character.isdigit():
            digits += character
            continue
        if digits:
            yield digits
            digits = ""
        yield character
    if digits:
        yield digits


@settings(max_examples=150, deadline=None)
@given(levels, st.integers(0, 10**6))
def test_an_expression_survives_writing_and_reading_and_has_pythons_value(level, seed):
    tree = level.draw(Random(seed))
    text = write_expression(tree)
    assert read_expression(text) == tree
    assert evaluate(tree) == python_value(text)


@settings(max_examples=150, deadline=None)
@given(levels, st.integers(0, 10**6))
def test_a_level_keeps_its_promises(level, seed):
    tree = level.draw(Random(seed))
    found = list(operations(tree))
    powers = [each for each in found if each.operator == "^"]
    assert level.operands[0] <= len(found) - len(powers) + 1 <= level.operands[1]
    assert {each.operator for each in found} <= set(level.operators) | ({"^"} if level.powers else set())
    if not level.fractions:
        assert all(evaluate(each).denominator == 1 for each in found)
    if not level.brackets:
        assert "(" not in write_expression(tree) or level.fractions


@pytest.mark.parametrize("name", ARITHMETIC_LEVELS)
def test_a_limit_holds_for_every_number_of_the_solution(name):
    level = ARITHMETIC_LEVELS[name]
    for problem in arithmetic_problems(100, seed=2, level=name):
        if level.limit is not None:
            assert all(abs(part) <= level.limit for step in problem.steps for part in step[1:])


@pytest.mark.parametrize("name", ARITHMETIC_LEVELS)
def test_training_and_evaluation_never_share_a_problem(name):
    training = {p.expression for seed in range(3) for p in arithmetic_problems(300, seed, "training", name)}
    evaluation = {p.expression for seed in range(3) for p in arithmetic_problems(300, seed, "evaluation", name)}
    assert not training & evaluation
    assert all(ArithmeticProblem(text).split == "evaluation" for text in evaluation)


def test_a_small_level_that_is_drawn_dry_still_keeps_the_splits_apart():
    tiny = ArithmeticLevel(operands=(2, 2), numbers=(1, 9), operators="+")
    drawn = {split: set() for split in ("training", "evaluation")}
    for split, found in drawn.items():
        stream = draw_problems(Random(1), split, tiny)
        found.update("+".join(sorted(next(stream).expression.split("+"))) for _ in range(2000))
    assert not drawn["training"] & drawn["evaluation"]
    assert len(drawn["training"] | drawn["evaluation"]) == 45


@pytest.mark.parametrize(
    ("one", "other"), [("3+4*5", "5*4+3"), ("9-(2+3)", "9-3-2"), ("(1+2)*(3+4)", "(4+3)*(2+1)"), ("8/2/2", "8/(2*2)")]
)
def test_the_order_of_terms_and_factors_does_not_change_the_split(one, other):
    assert ArithmeticProblem(one).split == ArithmeticProblem(other).split


def test_a_set_depends_on_its_seed_alone_and_repeats_nothing():
    assert arithmetic_problems(50, seed=3) == arithmetic_problems(50, seed=3)
    assert arithmetic_problems(50, seed=3) != arithmetic_problems(50, seed=4)
    assert len(set(arithmetic_problems(500, seed=3, level="easy"))) == 500


def test_asking_for_more_problems_than_a_level_holds_is_an_error():
    with pytest.raises(DataError, match="different problems"):
        arithmetic_problems(100, level=ArithmeticLevel(operands=(2, 2), numbers=(1, 3), operators="+"))


def test_about_a_fifth_of_all_problems_is_for_evaluation():
    drawn = [ArithmeticProblem(write_expression(ARITHMETIC_LEVELS["default"].draw(Random(k)))) for k in range(3000)]
    assert 0.17 < sum(p.split == "evaluation" for p in drawn) / 3000 < 0.23


@pytest.mark.parametrize(
    "fields",
    [
        {"operands": (0, 2)},
        {"operands": (3, 2)},
        {"operands": (2, 100)},
        {"numbers": (-1, 5)},
        {"numbers": (0, 0)},
        {"numbers": (5, 4)},
        {"operators": ""},
        {"operators": "+%"},
        {"operators": "++"},
        {"numbers": (1, 1), "fractions": True},
        {"numbers": (10, 20), "limit": 5},
    ],
)
def test_a_level_that_makes_no_sense_is_refused(fields):
    with pytest.raises(DataError, match="level"):
        ArithmeticLevel(**fields)


def test_a_limit_that_no_problem_can_keep_is_an_error():
    with pytest.raises(DataError, match="gave no problem"):
        ArithmeticLevel(operands=(4, 4), numbers=(9, 9), operators="*", limit=100).draw(Random(0))


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "3+", "(3", "3)", "3 4+", "3**4", "2^4", "2^2^2", "-3^2", "1/(3-3)", "007", "3.5", "x", "٣+٤", "(4/2",
        "9" * 500, "1+" * 500 + "1", "(" * 100 + "1" + ")" * 100, "-(3+4)", "3+4=", "1//2",
    ],
)  # fmt: skip
def test_a_text_that_is_no_expression_is_refused(text):
    with pytest.raises(DataError):
        ArithmeticProblem(text)


def test_verify_math_reads_the_canonical_solution_as_right():
    reward = Math()
    samples = [p.sample(p.solution) for name in ARITHMETIC_LEVELS for p in arithmetic_problems(20, seed=7, level=name)]
    short = [sample for sample in samples if len(sample.reference) < 40]
    assert len(short) > 60
    assert set(reward(short).tolist()) == {1.0}


@given(st.fractions())
def test_a_number_survives_writing_and_reading(value):
    for bare in (True, False):
        assert read_number(write_number(value, bare)) == value


@pytest.mark.parametrize(
    "text", ["4/2", "(4/2)", "3/1", "1/0", "-0", "+3", "03", "1/02", "(1/2", "1/2)", "1/-2", "", "1.5", "9" * 201]
)
def test_a_number_that_is_not_in_its_one_form_is_not_read(text):
    assert read_number(text) is None


def test_the_problem_is_found_in_what_the_prompt_asks_last():
    assert problem_in("Before: 1+1=?\nNow: 2+2=?\n").expression == "2+2"
    chat = [
        {"role": "user", "content": "1+1=?"},
        {"role": "assistant", "content": "#### 2"},
        {"role": "user", "content": "5-2=?"},
    ]
    assert problem_in(chat).expression == "5-2"
    assert problem_in(ArithmeticProblem("3+4*5").question).expression == "3+4*5"
    assert problem_in([{"role": "system", "content": "1+1=?"}]) is None


def test_a_prompt_of_any_length_is_read_in_no_time():
    assert problem_in("1+1" * 10**6 + "=?") is None
    assert problem_in("=?" * 10**6) is None
    assert problem_in("(" * 10**6 + "=?") is None


def test_a_tree_is_done_in_the_order_of_its_canonical_solution():
    steps = [str(step) for step in ArithmeticProblem("2*(3+4)^2-6/4").steps]
    assert steps == ["3+4=7", "7^2=49", "2*49=98", "6/4=(3/2)", "98-(3/2)=(193/2)"]
    assert isinstance(ArithmeticProblem("1+1").tree, Operation)
