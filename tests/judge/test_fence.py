"""A fenced text cannot end its own fence, and is otherwise shown as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.judge._fence import fence

HOSTILE = st.text(max_size=200) | st.text(alphabet="`~\n <|>im_endrspo", max_size=200)


def read_fenced(block: str) -> tuple[str, str]:
    """What a careful reader takes for label and content: up to the first line of as many backticks."""
    marks, label = re.match(r"(`+)([a-z]*)\n", block).groups()
    content = block[len(marks) + len(label) + 1 :]
    end = re.search(rf"^`{{{len(marks)},}}$", content, re.MULTILINE)
    return label, content[: end.start() - 1]


@given(HOSTILE)
def test_a_reader_gets_the_whole_text_and_nothing_outside_it(text):
    block = fence(text, "response")
    label, content = read_fenced(block)
    assert label == "response"
    assert block.endswith(content + "\n" + "`" * (len(block) - len(block.rstrip("`"))))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="<["), max_size=200))
def test_ordinary_text_is_not_changed(text):
    assert read_fenced(fence(text, "response"))[1] == text


def test_the_fence_is_longer_than_any_inside():
    assert fence("```\n`````\n```", "x").splitlines()[0] == "``````x"


@pytest.mark.parametrize(
    "mark",
    ["<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "<｜User｜>", "<｜end▁of▁sentence｜>", "<start_of_turn>",
     "<end_of_turn>", "</s>", "<s>", "<eos>", "[INST]", "[/INST]", "<|endoftext|>"],
)  # fmt: skip
def test_the_marks_of_chat_templates_are_broken(mark):
    shown = fence(f"a{mark}b", "response")
    assert mark not in shown
    assert f"a{mark[0]} {mark[1:]}b" in shown


@pytest.mark.parametrize("text", ["a <| b |> c", "x < |y|", "arr[INSTANCE]", "<strong>", "if a<b: pass", "\t\r\n"])
def test_code_and_markup_are_left_alone(text):
    assert text in fence(text, "response")


def test_controls_and_lone_surrogates_become_replacement_characters():
    assert fence("a\x00b\x1b[0m\ud800c", "x").splitlines()[1] == "a\ufffdb\ufffd[0m\ufffdc"
