"""Extraction takes time in proportion to the text, whatever the text is made of."""

import time

import pytest

from plaudit.text import boxed_answer, boxed_answers, extract_answer, final_text, later_statement
from plaudit.types import Sample

SHAPES = [
    "\\boxed{", "\\boxed{}", "\\boxedx", "\\boxed{1} or ", "{", "}", "\\", " ", "\n", "$", "#", "\n#### x", "\nA: x", "A:",
    "nswer is ", "the answer is not ", "NSWER: ", "answer to a b c d e ", "Final answer\n", "<answer>", "</answer>", "<think>",
    "</think>", "9", "1,", "1 ", "1/", "1 or ", "-", "not ", "\u2028", "\ud800",
]  # fmt: skip


def seconds(call, text):
    start = time.perf_counter()
    call(text)
    return time.perf_counter() - start


def everything(text):
    final_text(Sample("", text))
    final_text(Sample("", text), "whole")
    boxed_answers(text)
    answer = extract_answer(text)
    if answer is not None:
        later_statement(text, answer)


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_ten_megabytes_are_read_in_a_moment(shape):
    # Quadratic time would take hours here; the bound leaves a slow machine much room.
    assert seconds(everything, shape * (10_000_000 // len(shape))) < 5


@pytest.mark.parametrize("shape", ["\\boxed{", "\\boxed{1, ", "\\boxed{\\fbox{"])
def test_twenty_thousand_open_boxes_are_one_unclosed_box(shape):
    text = shape * 20_000
    assert seconds(boxed_answer, text) < 0.5
    assert boxed_answer(text).complete is False


def test_nested_boxes_that_are_closed_are_read_in_a_moment():
    assert seconds(everything, "\\boxed{" * 20_000 + "}" * 20_000) < 1


def test_a_box_that_is_closed_too_far_away_is_not_closed():
    assert boxed_answer("\\boxed{" + "1" * 9_000 + "}").complete
    assert not boxed_answer("\\boxed{" + "1" * 11_000 + "}").complete
