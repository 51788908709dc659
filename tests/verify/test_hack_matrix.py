"""The hack matrix against every verifier of answers: no row is paid, and compliant answers get the top."""

import pytest
from hack_matrix import compliant, hacks

from plaudit.types import Context, Status
from plaudit.verify import Choice, Exact, Math, Numeric

CASES = {
    "a number": (Math(), "42", "41", "42"),
    "a fraction": (Math(), r"\frac{3}{4}", r"\frac{4}{3}", "0.75"),
    "an expression": (Math(), "x^2+1", "x^2-1", "1+x^2"),
    "an interval": (Math(), "(1,2)", "(2,3)", "1<x<2"),
    "a word": (Math(), "Alice", "Bob", r"\text{Alice}"),
    "a letter": (Math(), "B", "C", "(B)"),
    "an equation": (Math(), "y=2x+1", "y=2x-1", "2x-y+1=0"),
    "a quantity": (Math(), "5 km", "6 km", r"5\text{ km}"),
    "choice": (Choice(), "B", "C", "B"),
    "numeric": (Numeric(absolute=0.1), "42", "43", 42.05),
    "exact": (Exact(rules=("boxed", "tag")), "blue", "red", "blue"),
}
# Exact text is not told apart from what is said around it.
UNSEEN = {"exact": ("The answer is not", "is wrong", "} or \\boxed", "}, \\boxed")}


@pytest.mark.parametrize("name", CASES)
def test_no_row_of_the_matrix_is_paid(name):
    reward, right, wrong, reference = CASES[name]
    for sample in hacks("q", right, wrong, reference):
        if any(part in str(sample.response) for part in UNSEEN.get(name, ())):
            continue
        verdict = reward.score_one(sample, Context())
        assert (verdict.status, verdict.value) == (Status.SCORED, 0.0), (sample.response, verdict)


@pytest.mark.parametrize("name", CASES)
def test_compliant_answers_get_the_top(name):
    reward, right, wrong, reference = CASES[name]
    for sample, value in compliant("q", right, wrong, reference):
        verdict = reward.score_one(sample, Context())
        assert verdict.value == value, (sample.response, verdict)


def test_several_boxes_are_one_answer_only_where_the_reference_is_a_list_or_a_set():
    two = r"The roots are \boxed{1} and \boxed{2}."
    assert Math().one("q", two, "1, 2").value == 1.0
    assert Math().one("q", two, r"\{2, 1\}").value == 1.0
    assert Math().one("q", two, "2").value == 0.0
    assert Math().one("q", two, "(1, 2)").value == 0.0
    assert Math().one("q", r"\boxed{1}, \boxed{2} and \boxed{3}", "1, 2").value == 0.0
