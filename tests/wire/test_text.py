"""Completions and /tokenize: the client reads what the server built, the server what the client built; all else is named."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.wire import (
    Fault,
    TextChoice,
    TextLogprobs,
    TextReply,
    TextRequest,
    TokenizeReply,
    TokenizeRequest,
    Usage,
    WireError,
    parse_text_reply,
    parse_text_request,
    parse_tokenize_reply,
    parse_tokenize_request,
)

TEXTS = st.text(max_size=20)
NUMBERS = st.none() | st.floats(-100, 0)
LOGPROBS = st.lists(st.tuples(TEXTS, NUMBERS), max_size=4).map(
    lambda pairs: TextLogprobs(tuple(t for t, _ in pairs), tuple(x for _, x in pairs))
)
CANDIDATES = st.none() | st.dictionaries(st.integers(0, 10**9), st.floats(-100, 0), max_size=3)
REPLIES = st.builds(
    TextReply,
    model=TEXTS,
    choices=st.lists(
        st.builds(
            TextChoice,
            text=TEXTS,
            finish_reason=st.sampled_from(["stop", "length", None]),
            logprobs=st.none() | LOGPROBS,
            prompt_logprobs=st.none() | st.lists(CANDIDATES, max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    usage=st.none() | st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
    id=TEXTS,
    created=st.integers(0, 2**31),
)
REQUESTS = st.builds(
    TextRequest,
    model=st.text(min_size=1, max_size=10),
    prompt=TEXTS | st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
    n=st.integers(1, 5),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    max_tokens=st.none() | st.integers(0, 100),
    stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
    seed=st.none() | st.integers(-(2**31), 2**31),
    schema=st.none() | st.just({"type": "object"}),
    logprobs=st.none() | st.integers(0, 5),
    echo=st.booleans(),
    prompt_logprobs=st.none() | st.integers(0, 5),
    extra=st.just({}) | st.just({"return_tokens_as_token_ids": True}),
)


@given(REPLIES)
def test_the_client_reads_what_the_server_built(reply):
    assert parse_text_reply(reply.encode()) == reply


@given(REQUESTS)
def test_the_server_reads_what_the_client_built(request_):
    assert parse_text_request(request_.encode()) == request_


@given(REPLIES, st.data())
def test_half_a_reply_is_never_a_reply(reply, data):
    body = reply.encode()
    with pytest.raises(WireError):
        parse_text_reply(body[: data.draw(st.integers(0, len(body) - 1))])


@given(st.data())
def test_a_reply_with_any_member_put_wrong_is_read_or_refused_but_never_crashes(data):
    choice = TextChoice("4", logprobs=TextLogprobs(("4",), (-0.1,)), prompt_logprobs=(None, {5: -0.1}))
    body = json.loads(TextReply("m", (choice,), Usage(10, 1)).encode())
    place = body
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(st.sampled_from([None, True, 3, -1, 1.5, "x", [], [1], {}, {"a": 1}]))
    with contextlib.suppress(WireError):
        parse_text_reply(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({}, "choices[0].text"),
        ({"text": 4}, "choices[0].text"),
        ({"text": "", "index": -1}, "choices[0].index"),
        ({"text": "", "logprobs": 3}, "choices[0].logprobs"),
        ({"text": "", "logprobs": {"token_logprobs": [1]}}, "choices[0].logprobs.tokens"),
        ({"text": "", "logprobs": {"token_logprobs": [1], "tokens": []}}, "choices[0].logprobs.tokens"),
        ({"text": "", "logprobs": {"token_logprobs": ["a"], "tokens": ["t"]}}, "choices[0].logprobs.token_logprobs[0]"),
        ({"text": "", "prompt_logprobs": [{"x": -1.0}]}, "choices[0].prompt_logprobs[0]"),
        ({"text": "", "prompt_logprobs": [{"5": {"rank": 1}}]}, "choices[0].prompt_logprobs[0].5"),
        ({"text": "", "prompt_logprobs": {}}, "choices[0].prompt_logprobs"),
    ],
)
def test_a_wrong_member_of_a_reply_is_named(choice, field):
    with pytest.raises(WireError) as caught:
        parse_text_reply(json.dumps({"choices": [choice]}).encode())
    assert caught.value.field == field


def test_bare_numbers_of_older_servers_and_null_counts_are_understood():
    choice = {"text": "", "prompt_logprobs": [None, {"5": -0.5}]}
    body = {"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": None}}
    reply = parse_text_reply(json.dumps(body).encode())
    assert reply.choices[0].prompt_logprobs == (None, {5: -0.5})
    assert reply.usage == Usage(2, 0)


def test_an_error_object_with_a_status_of_success_says_what_the_server_said():
    with pytest.raises(WireError, match="out of memory"):
        parse_text_reply(Fault("out of memory").encode())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": 3}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt[0]"),
        ({"prompt": [[1], [2]]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": 1}, "echo"),
        ({"prompt_logprobs": -1}, "prompt_logprobs"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ],
)
def test_a_wrong_member_of_a_request_is_named(change, field):
    with pytest.raises(WireError) as caught:
        parse_text_request(json.dumps({"model": "m", "prompt": "hi"} | change).encode())
    assert caught.value.field == field


def test_a_schema_and_any_object_exclude_each_other():
    with pytest.raises(WireError, match="json_object"):
        TextRequest("m", "a", schema={}, json_object=True).body()


def test_extra_members_cannot_stand_in_for_declared_ones():
    with pytest.raises(WireError, match=r"extra\.echo"):
        TextRequest("m", "a", extra={"echo": True})


@given(TEXTS, st.booleans())
def test_a_text_to_tokenise_arrives_as_it_is(text, special):
    request = TokenizeRequest("m", text, special)
    assert parse_tokenize_request(request.encode()) == request
    assert request.body()["content"] == text, "the name that llama.cpp reads"


def test_a_conversation_to_tokenise_arrives_with_its_messages():
    messages = [{"role": "user", "content": "hi"}]
    request = TokenizeRequest("m", messages)
    assert parse_tokenize_request(request.encode()).prompt == messages
    assert request.body()["add_generation_prompt"] is True


@given(st.lists(st.integers(0, 10**6), max_size=5).map(tuple))
def test_token_ids_come_back(tokens):
    assert parse_tokenize_reply(TokenizeReply(tokens).encode()).tokens == tokens


@pytest.mark.parametrize("body", [b"{}", b'{"tokens": [-1]}', b'{"tokens": "a"}', b'{"tokens": [1], "count": 2}', b"[]"])
def test_half_a_list_of_tokens_is_refused(body):
    with pytest.raises(WireError):
        parse_tokenize_reply(body)
