"""Answers in words, letters of a multiple choice, and formulas at the end of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.text import choice_answer, extract_answer, last_formula, worded_answer


def text_of(answer):
    return None if answer is None else answer.text


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is C.", "C"),
        ("The answer is (C) 11.", "C"),
        ("Answer: **C**", "C"),
        ("I choose option B", "B"),
        ("Because of this:\nD", "D"),
        ("C. 11 is a prime.", "C"),
        ("B。 不是 A", "B"),
        ("答案是C。", "C"),
        ("La réponse est D.", "D"),
        ("The answer is A. No: the answer is B.", "B"),
        ("The answer is A or B.", "A or B"),
        ("The answer is A, or B.", "A, or B"),
        ("A cat is a cat.", None),
        ("The answer is correct.", None),
        ("The answer is X.", None),
        ("nothing", None),
    ],
)
def test_the_last_letter_that_is_chosen_is_read(text, letter):
    assert text_of(choice_answer(text)) == letter


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("So the answer is **Alice**. Good.", "Alice"),
        ("The answer is Bob. No, the answer is Carol.", "Carol"),
        ("Answer: no solution", "no solution"),
        ("答案：是", "是"),
        ("I answered twice.", None),
    ],
)
def test_the_last_statement_in_words_is_read(text, words):
    assert text_of(worded_answer(text)) == words


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        (r"So the solution is $x \neq 5$.", r"x \neq 5"),
        (r"First $a$, then \(b+c\).", "b+c"),
        (r"\[ x = 2 \]", "x = 2"),
        ("$$x^2$$ as said", "x^2"),
        ("It costs $5 or $6.", None),
        ("$x$ in 3 steps", None),
        ("no formula", None),
    ],
)
def test_a_formula_counts_when_no_digit_stands_behind_it(text, formula):
    assert text_of(last_formula(text)) == formula


@given(st.text(max_size=300), st.sampled_from(["choice", "worded", "formula", "whole"]))
def test_positions_point_at_the_answer(text, rule):
    answer = extract_answer(text, (rule,))
    if answer is not None:
        assert text[answer.start : answer.end] == answer.text
