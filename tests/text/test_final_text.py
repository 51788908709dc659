"""What is read of a response: the last assistant message after its thinking part, or everything the policy wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.text import final_text, message_text, opens_in_thought
from plaudit.types import Sample


def read(response, prompt="q", how="final"):
    return final_text(Sample(prompt, response), how)


def says(content, role="assistant", **fields):
    return {"role": role, "content": content, **fields}


def test_text_without_thinking_is_read_as_it_stands():
    assert read(" It is 4.\n") == " It is 4.\n"
    assert read("") == ""


def test_inline_thinking_is_cut_up_to_the_last_closing_tag():
    assert read("<think>5?</think>4") == "4"
    assert read("<think>5?</think>6?<think>no</think>\n4") == "\n4"
    assert read("a</think>b</think>c") == "c"


def test_a_template_that_wrote_the_opening_tag_leaves_only_the_closing_one_to_see():
    assert read("5? No.</think>4") == "4"
    assert read("5? No.</think>4", prompt="2+2=\n<think>\n") == "4"


def test_an_unclosed_thought_has_no_answer():
    assert read("<think>It must be 4") is None
    assert read("<think>a</think>b<think>c") is None
    assert read("It must be 4", prompt="2+2=<think>\n") is None
    assert read("It must be 4", prompt=[says("2+2="), says("<think>\n")]) is None
    assert read([says("<think>It must be 4")]) is None


def test_a_prefill_that_opens_no_thought_changes_nothing():
    assert read("4", prompt=[says("2+2=", role="user"), says("It is ")]) == "4"
    assert read("4", prompt=[says("What does <think> do? <think>", role="user")]) == "4"
    assert not opens_in_thought([])


def test_the_last_assistant_message_is_read_whatever_follows_it():
    conversation = [says("5"), says("Sure?", role="user"), says("4"), says("Thanks", role="user")]
    assert read(conversation) == "4"
    assert read([says("4"), says("result: 9", role="tool")]) == "4"


def test_only_the_first_message_of_a_response_can_continue_the_prompts_thought():
    assert read([says("still thinking</think>ok"), says("go on", role="user"), says("4")], prompt="q<think>") == "4"
    assert read([says("4", reasoning_content="2+2")], prompt="q<think>") == "4"


def test_separate_reasoning_is_not_read():
    assert read([says("4", reasoning_content="is it 5?")]) == "4"
    assert read([says("4", reasoning="is it 5?")]) == "4"
    assert read([says(None, reasoning_content="is it 5?")]) is None
    assert read([says("", reasoning_content="is it 5?")]) is None


def test_a_message_that_only_calls_a_tool_is_empty_not_unclosed():
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    assert read([says(None, reasoning_content="add them", tool_calls=[call])]) == ""


def test_nothing_written_is_empty_text():
    assert read([]) == ""
    assert read([says("2+2=4", role="user")]) == ""
    assert read([says(None)]) == ""


def test_content_parts_are_joined_and_other_media_left_out():
    parts = [{"type": "text", "text": "It "}, {"type": "image_url", "image_url": {"url": "x"}}, "is ", {"text": "4"}]
    assert read([says(parts)]) == "It is 4"
    assert read([says([{"type": "thinking", "thinking": "5"}, {"type": "output_text", "text": "4"}])]) == "4"


def test_malformed_content_names_its_place():
    with pytest.raises(DataError, match=r"Sample.response\[1\]\['content'\] is int"):
        read([says("a", role="user"), says(4)])
    with pytest.raises(DataError, match=r"\['content'\]\[0\] is int"):
        read([says([4])])
    with pytest.raises(DataError, match=r"\['text'\] is int"):
        message_text(says([{"type": "text", "text": 4}]))
    with pytest.raises(DataError, match=r"\['reasoning_content'\] is int"):
        read([says("4", reasoning_content=4)])


def test_whole_reads_everything_that_the_policy_wrote_and_nothing_else():
    assert read("<think>5?</think>4", how="whole") == "<think>5?</think>4"
    assert read("<think>5?", how="whole") == "<think>5?"
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    conversation = [
        says("Let me see.", reasoning_content="use the tool", tool_calls=[call]),
        says("4", role="tool"),
        says("It is 4."),
    ]
    assert read(conversation, how="whole") == (
        "<think>\nuse the tool\n</think>\nLet me see.\n"
        '<tool_call>{"name": "add", "arguments": "{\\"a\\": 2}"}</tool_call>\n'
        "It is 4."
    )
    assert read([says(None, tool_calls=[call])], how="whole").startswith("<tool_call>")


def test_an_unknown_way_of_reading_is_refused():
    with pytest.raises(ValueError, match="expected 'final' or 'whole'"):
        read("4", how="all")


@given(st.text(), st.text())
def test_what_stands_behind_closed_thinking_is_read_exactly(thought, answer):
    if "</think>" in answer or "<think>" in answer:
        return
    assert read(f"<think>{thought}</think>{answer}") == answer
    assert read([says(answer, reasoning_content=thought)]) in (answer, None)


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "\n"]), max_size=12))
def test_no_tag_of_thinking_is_ever_part_of_what_is_read(pieces):
    text = read("".join(pieces))
    assert text is None or ("<think>" not in text and "</think>" not in text)
