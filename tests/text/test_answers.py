"""Where the answer of a response stands: one rule at a time, then all in their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.text import (
    RULES,
    boxed_answer,
    boxed_answers,
    denied,
    extract_answer,
    hashed_answer,
    labelled_answer,
    last_number,
    later_statement,
    stated_answer,
    tagged_answer,
)


def text_of(answer):
    return None if answer is None else answer.text


class TestBoxes:
    @pytest.mark.parametrize(
        ("text", "content"),
        [
            (r"\boxed{5}", "5"),
            (r"\boxed{ 5 }", "5"),
            (r"\boxed {5}", "5"),
            (r"\fbox{5}", "5"),
            (r"\boxed 5$", "5"),
            (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
            (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
            (r"\boxed{\text{a \} b}}", r"\text{a \} b}"),
            (r"\boxed{4} then \boxed{5}", "5"),
            (r"\boxed{4} then \fbox{5}", "5"),
            (r"\boxed{\boxed{5}}", r"\boxed{5}"),
            (r"\boxed{3, \fbox{4}, 5}", r"3, \fbox{4}, 5"),
            (r"\boxed{\fbox{3}, \fbox{4}}", r"\fbox{3}, \fbox{4}"),
            (r"\boxed{\fbox{3}^{2}_{1} + 5}", r"\fbox{3}^{2}_{1} + 5"),
            (r"{\boxed{3}} {\boxed{4}}", "4"),
            (r"\boxed{41 and \boxed{42}", "42"),
            (r"\boxed{}", ""),
            (r"\boxedanswer{5}", None),
            ("no box", None),
        ],
    )
    def test_the_last_box_is_read_with_balanced_braces(self, text, content):
        assert text_of(boxed_answer(text)) == content

    @pytest.mark.parametrize("text", [r"\boxed{5", r"\boxed{4} or \boxed{5", r"\boxed{\frac{1}{2}", r"\boxed{5\}"])
    def test_a_last_box_that_is_never_closed_is_incomplete_and_no_other_takes_its_place(self, text):
        assert boxed_answer(text).complete is False

    @pytest.mark.parametrize(
        ("text", "contents"),
        [
            (r"It is \boxed{3} or \boxed{5}.", ["3", "5"]),
            (r"$\boxed{3}$, $\boxed{4}$ and $\boxed{5}$", ["3", "4", "5"]),
            (r"\boxed{1} papers and \boxed{2} bins", ["1", "2"]),
            ("\\[\\boxed{3}\\]\nor\n\\[\\boxed{5}\\]", ["3", "5"]),
            (r"\boxed{3}. Then \boxed{5}", ["5"]),
            (r"\boxed{3}, no wait, \boxed{5}", ["5"]),
            (r"\boxed{3} is wrong, it is \boxed{5}", ["5"]),
            (r"\boxed{3} \boxed{5}", ["5"]),
            (r"$\boxed{3}$ $\boxed{5}$", ["5"]),
            ("Part one: \\boxed{3}\nPart two: \\boxed{5}", ["5"]),
            ("nothing", []),
        ],
    )
    def test_boxes_of_the_closing_sentence_stand_together(self, text, contents):
        assert [answer.text for answer in boxed_answers(text)] == contents

    @given(st.recursive(st.text(st.sampled_from("ab1 ,"), max_size=5), lambda inner: st.builds("x{{{}}}y".format, inner)))
    def test_any_balanced_content_comes_back(self, content):
        assert boxed_answer(f"so {{ }} \\boxed{{{content}}}. Done {{}}").text == content.strip()


class TestTags:
    @pytest.mark.parametrize(
        ("text", "content", "complete"),
        [
            ("<answer> 5 </answer>", "5", True),
            ("<answer>4</answer> <answer>5</answer>", "5", True),
            ("<answer>4 <answer>5</answer>", "5", True),
            ("<answer>4</answer> <answer>5", "5", False),
            ("<answer></answer>", "", True),
        ],
    )
    def test_the_last_tag_is_read(self, text, content, complete):
        answer = tagged_answer(text)
        assert (answer.text, answer.complete) == (content, complete)

    @pytest.mark.parametrize("text", ["5</answer>", "</answer>5<answe>", "nothing"])
    def test_without_an_opening_tag_there_is_none(self, text):
        assert tagged_answer(text) is None


class TestLines:
    @pytest.mark.parametrize(
        ("text", "content"),
        [
            ("sum is 18\n#### 18", "18"),
            ("#### 17\n#### $1,234 \n more", "$1,234"),
            ("#### -3.5", "-3.5"),
            ("#### 18\n#### Step 3: done", "18"),
            ("#### 2. Compute the total", None),
            ("##### 18", None),
            ("x #### 18", None),
            ("#### Conclusion", None),
        ],
    )
    def test_four_hashes_mark_an_answer_but_not_a_heading(self, text, content):
        assert text_of(hashed_answer(text)) == content

    @pytest.mark.parametrize(
        ("text", "content"),
        [
            ("9 * 2\nA: 18", "18"),
            ("A: 17\nA: 18 eggs", "18 eggs"),
            ("**A:** 18", "18"),
            ("USA: 18", None),
            ("A: 5\nB: 6\nC: 7", None),
            ("A: maybe", None),
        ],
    )
    def test_a_line_labelled_a_is_an_answer_but_not_a_choice(self, text, content):
        assert text_of(labelled_answer(text)) == content


class TestStatements:
    @pytest.mark.parametrize(
        ("text", "content"),
        [
            ("The answer is 5.", "5"),
            ("The final answer is: **5**", "5"),
            ("**Answer:** $5$.", "$5$"),
            ("Therefore, the answer to the question is simply 5 apples. Good.", "5 apples"),
            ("ANSWER: 5", "5"),
            ("answer = 5", "5"),
            ("The answer is\n5", "5"),
            ("### Final Answer\n\n5 apples", "5 apples"),
            ("The answer is 1,234.50, because of tax.", "1,234.50"),
            ("The answer is 4. No, the answer is 5.", "5"),
            ("The answer is 5. I am sure that the answer is correct.", "5"),
            ("Answer: Janet makes 18 dollars a day.", "18"),
            ("Final Answer: The largest $n$ is 34.", "34"),
            ("The answer is not 5.", "5"),
            ("The answer is 4 or 5.", "4 or 5"),
            ("Answer: Tom has 3 and Ann has 5.", "Tom has 3 and Ann has 5"),
            (r"The final answer is $20\%$. I hope it is correct.", r"$20\%$"),
            ("The answer is obvious. So we get 5.", None),
            ("She answered 5 questions.", None),
            ("no statement 5", None),
        ],
    )
    def test_the_last_statement_with_a_digit_is_read(self, text, content):
        assert text_of(stated_answer(text)) == content


class TestLastNumber:
    @pytest.mark.parametrize(
        ("text", "content"),
        [
            ("6 * 7 = 42 apples.", "42"),
            ("so 42.", "42"),
            ("so **42**!", "42"),
            ("costs $1,234.50, tax included", "$1,234.50"),
            ("Total:42", "42"),
            ("x=42", "42"),
            ("drops to -42 degrees", "-42"),
            ("a share of 3/4 each", "3/4"),
            ("a length of 2 3/4 inches", "2 3/4"),
            ("a total of 996 000 people", "996 000"),
            (r"so \frac{3}{4} of it", r"\frac{3}{4}"),
            ("up by 5 percent today", "5 percent"),
            ("worth 5 million today", "5 million"),
            ("赚了8722美元", "8722"),
            ("1. 42", "42"),
            ("no digits", None),
            ("٤٢", None),
        ],
    )
    def test_a_number_that_stands_alone_is_read_bare(self, text, content):
        assert text_of(last_number(text)) == content

    @pytest.mark.parametrize(
        "text",
        [
            "so 6 * 7",
            "so 16 - 3 - 4",
            "that is 2\\sqrt{5}",
            "that is 10^5",
            "that is x_{12}",
            "at 12:30",
            "on the 42nd",
            "a 5x growth",
            "one of 3, 5, 42",
            "41 or 42",
            "41 and 42",
            "[41, 42]",
            "$41$, $42$",
            "41 42",
            "41\n42",
            "41 / 42 / 43",
            "42 * 2 =",
        ],
    )
    def test_a_number_that_is_part_of_something_is_never_read_bare(self, text):
        assert not text_of(last_number(text)).strip("$.").isdigit()


class TestOrder:
    def test_the_more_explicit_rule_wins(self):
        text = r"A: 1" + "\nThe answer is 2.\n#### 3\n<answer>4</answer> \\boxed{5} 6"
        found = [extract_answer(text, RULES[k:]).text for k in range(len(RULES))]
        assert found == ["5", "4", "3", "2", "1", "6", "6"]

    def test_rules_can_be_left_out(self):
        assert extract_answer("so 42", ("boxed", "tag")) is None

    def test_a_later_statement_by_another_rule_is_found_behind_the_answer(self):
        text = "\\boxed{4}\nThe answer is 5."
        later = later_statement(text, boxed_answer(text))
        assert (later.text, text[later.start : later.end]) == ("5", "5")
        assert later_statement("The answer is 3. \\boxed{4} and 7", boxed_answer("The answer is 3. \\boxed{4}")) is None

    @pytest.mark.parametrize(
        "text", [r"not \boxed{4}", r"isn't $\boxed{4}$", r"x \neq \boxed{4}", r"\boxed{4} is wrong", r"$\boxed{4}$ isn't it"]
    )
    def test_denials_are_seen_on_both_sides(self, text):
        assert denied(text, boxed_answer(text))

    @pytest.mark.parametrize(
        "text", [r"Why not? \boxed{4}", r"It is \boxed{4}. Is it not nice?", r"\boxed{4} is right", r"knot \boxed{4}"]
    )
    def test_other_words_are_no_denial(self, text):
        assert not denied(text, boxed_answer(text))


PIECES = [
    "\\boxed{", "\\fbox{", "}", "{", "<answer>", "</answer>", "#### ", "\n", "A: ", "The answer is ", "Answer:", "5", "7.5", ",",
    " or ", " ", "$", "**", "\\frac{1}{2}", "/", "-", ".", "not ", "é", "\ud800",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(RULES))
def test_positions_point_at_the_answer_in_the_text_that_was_read(text, rule):
    answer = extract_answer(text, (rule,))
    if answer is not None:
        assert answer.rule == rule
        assert text[answer.start : answer.end] == answer.text == answer.text.strip()
        later = later_statement(text, answer)
        assert later is None or (later.start >= answer.end and text[later.start : later.end] == later.text)


@given(st.text(max_size=200), st.integers(-(10**9), 10**9))
def test_an_explicit_final_answer_is_found_behind_any_text(text, value):
    assert extract_answer(f"{text}\n\\boxed{{{value}}}").text == str(value)
    assert hashed_answer(f"{text}\n#### {value}").text == str(value)
    assert stated_answer(f"{text}\nThe answer is {value}.").text == str(value)
