"""verify.exact: the same text, after the steps that the fields name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.types import Context, Sample, Status
from plaudit.verify import Exact


def judge(response, reference, **fields):
    return Exact(**fields).score_one(Sample("q", response, reference), Context())


@pytest.mark.parametrize(
    ("fields", "response", "reference", "value"),
    [
        ({}, "Paris", "Paris", 1.0),
        ({}, " Paris\n", "Paris", 1.0),
        ({}, "paris", "Paris", 0.0),
        ({}, "New  York", "New York", 0.0),
        ({"ignore_case": True}, "STRASSE", "straße", 1.0),
        ({"strip": False}, " Paris", "Paris", 0.0),
        ({"strip": False}, " Paris", " Paris", 1.0),
        ({"collapse_whitespace": True}, "New \n York", "New York", 1.0),
        ({"collapse_whitespace": True, "strip": False}, "  New York", "New York", 0.0),
        ({"collapse_whitespace": True, "strip": False}, "  New York", " New York", 1.0),
        ({}, "<think>x</think>Paris", "Paris", 1.0),
        ({"read": "whole"}, "<think>x</think>Paris", "Paris", 0.0),
        ({"read": "whole"}, "<think>x</think>Paris", "<think>x</think>Paris", 1.0),
        ({}, "42", 42, 1.0),
        ({}, "4.5", 4.5, 1.0),
        ({}, "True", True, 1.0),
        ({}, "b", ["a", "b"], 1.0),
        ({}, "c", ("a", "b"), 0.0),
    ],
)
def test_equality_after_the_named_steps(fields, response, reference, value):
    assert judge(response, reference, **fields).value == value


def test_reasons_and_the_answer_that_was_read():
    assert (judge("a ", "a").reason, judge("a ", "a").answer) == ("response_right", "a")
    assert (judge("b", "a").reason, judge("b", "a").answer) == ("response_wrong", "b")
    assert judge(" ", "a").reason == "response_empty"
    assert judge("<think>a", "a").reason == "response_unclosed_thought"
    assert len(judge("b" * 9_999, "a").answer) == 501


@pytest.mark.parametrize(
    ("reference", "reason"),
    [(reference, "reference_missing") for reference in (None, "", " ", [], [None])]
    + [(reference, "reference_unreadable") for reference in ({}, b"a", [["a"]])],
)
def test_a_reference_that_cannot_be_compared_fails_whatever_the_response_says(reference, reason):
    for response in ("", "a", "<think>"):
        verdict = judge(response, reference)
        assert (verdict.status, verdict.reason) == (Status.FAILED, reason)


@given(st.text(min_size=1), st.text(min_size=1), st.booleans(), st.booleans())
def test_without_steps_equality_is_that_of_composed_text(a, b, ignore_case, collapse):
    if a.isspace() or "think>" in a + b:
        return
    assert judge(a, a, ignore_case=ignore_case, collapse_whitespace=collapse).value == 1.0
    plain = judge(b, a, strip=False)
    assert (
        plain.value == 0.0 or a.encode("utf-16", "surrogatepass") == b.encode("utf-16", "surrogatepass") or not (a + b).isascii()
    )
