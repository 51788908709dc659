"""Chat Completions replies: read exactly, never guessed; every half or wrong reply is an error that names its place."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.wire import ChatReply, Choice, Fault, TokenLogprob, Usage, WireError, parse_reply

TEXTS = st.text(max_size=30)
CHOICES = st.builds(
    Choice,
    content=TEXTS,
    finish_reason=st.sampled_from(["stop", "length", "content_filter", "eos", None]),
    refusal=st.none() | TEXTS,
    reasoning=st.none() | TEXTS,
    logprobs=st.none() | st.lists(st.builds(TokenLogprob, TEXTS, st.floats(-100, 0)), max_size=3).map(tuple),
)
REPLIES = st.builds(
    ChatReply,
    model=TEXTS,
    choices=st.lists(CHOICES, min_size=1, max_size=3).map(tuple),
    usage=st.none() | st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
    id=TEXTS,
    created=st.integers(0, 2**31),
)
GOOD = ChatReply("m", (Choice("4"),), Usage(10, 1), "id", 1).body()


@given(REPLIES)
def test_the_client_reads_what_the_server_built(reply):
    assert parse_reply(reply.encode()) == reply


@given(REPLIES, st.data())
def test_half_a_reply_is_never_a_reply(reply, data):
    body = reply.encode()
    with pytest.raises(WireError):
        parse_reply(body[: data.draw(st.integers(0, len(body) - 1))])


@given(st.data())
def test_a_reply_with_any_member_put_wrong_is_read_or_refused_but_never_crashes(data):
    body = json.loads(ChatReply("m", (Choice("4", logprobs=(TokenLogprob("4", -0.1),)),), Usage(10, 1)).encode())
    place = body
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(st.sampled_from([None, True, 3, -1, 1.5, "x", [], [1], {}, {"a": 1}]))
    with contextlib.suppress(WireError):
        parse_reply(json.dumps(body).encode())


def changed(path, value):
    body = json.loads(json.dumps(GOOD))
    place = body
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (["choices"], ..., "choices"),
        (["choices"], [], "choices"),
        (["choices"], "4", "choices"),
        (["choices", 0], "4", "choices[0]"),
        (["choices", 0, "index"], "0", "choices[0].index"),
        (["choices", 0, "message"], ..., "choices[0].message"),
        (["choices", 0, "message"], "4", "choices[0].message"),
        (["choices", 0, "message", "content"], 4, "choices[0].message.content"),
        (["choices", 0, "message", "content"], None, "choices[0].message.content"),
        (["choices", 0, "message", "content"], [{"type": "text", "text": "4"}], "choices[0].message.content"),
        (["choices", 0, "message", "refusal"], True, "choices[0].message.refusal"),
        (["choices", 0, "message", "tool_calls"], "f()", "choices[0].message.tool_calls"),
        (["choices", 0, "message", "reasoning_content"], ["x"], "choices[0].message.reasoning_content"),
        (["choices", 0, "finish_reason"], 0, "choices[0].finish_reason"),
        (["choices", 0, "logprobs"], {"content": [{"token": "4"}]}, "choices[0].logprobs.content[0].logprob"),
        (["choices", 0, "logprobs"], {"content": [{"token": "4", "logprob": True}]}, "choices[0].logprobs.content[0].logprob"),
        (["usage"], 11, "usage"),
        (["usage", "prompt_tokens"], "10", "usage.prompt_tokens"),
        (["usage", "prompt_tokens"], -1, "usage.prompt_tokens"),
        (["usage", "completion_tokens"], 1.0, "usage.completion_tokens"),
        (["model"], None, "model"),
    ],
)
def test_a_wrong_or_missing_member_is_named(path, value, field):
    with pytest.raises(WireError) as caught:
        parse_reply(changed(path, value))
    assert caught.value.field == field


def test_two_choices_cannot_have_the_same_index():
    body = json.loads(ChatReply("m", (Choice("a"), Choice("b"))).encode())
    body["choices"][1]["index"] = 0
    with pytest.raises(WireError, match=r"choices\[1\].index"):
        parse_reply(json.dumps(body).encode())


def test_choices_come_in_the_order_of_their_indices():
    body = json.loads(ChatReply("m", (Choice("a"), Choice("b"))).encode())
    body["choices"].reverse()
    assert [c.content for c in parse_reply(json.dumps(body).encode()).choices] == ["a", "b"]


def test_an_error_object_with_a_status_of_success_says_what_the_server_said():
    with pytest.raises(WireError, match="provider is down"):
        parse_reply(Fault("the provider is down").encode())


def test_a_refusal_a_tool_call_and_a_filtered_reply_need_no_content():
    for choice in (
        Choice(None, refusal="I will not."),
        Choice(None, "tool_calls", tool_calls=({"id": "1", "function": {"name": "f"}},)),
        Choice(None, "content_filter"),
        Choice(None, "length"),
    ):
        assert parse_reply(ChatReply("m", (choice,)).encode()).choices == (choice,)


def test_reasoning_is_read_under_either_name():
    body = json.loads(ChatReply("m", (Choice("4"),)).encode())
    body["choices"][0]["message"]["reasoning"] = "17 + 25"
    assert parse_reply(json.dumps(body).encode()).choices[0].reasoning == "17 + 25"


def test_the_values_of_a_bad_reply_are_not_repeated_in_the_error():
    with pytest.raises(WireError) as caught:
        parse_reply(changed(["choices", 0, "index"], "sk-secret"))
    assert "sk-secret" not in str(caught.value)
