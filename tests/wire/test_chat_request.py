"""Chat Completions requests: what the client builds, the server reads back unchanged; anything else is named and refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.wire import ChatRequest, WireError, parse_request

USER = [{"role": "user", "content": "hi"}]
NUMBERS = st.none() | st.floats(0, 2)
REQUESTS = st.builds(
    ChatRequest,
    model=st.text(min_size=1, max_size=10),
    messages=st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": st.text()}), min_size=1, max_size=3
    ),
    n=st.integers(1, 5),
    temperature=NUMBERS,
    top_p=NUMBERS,
    max_tokens=st.none() | st.integers(1, 10_000),
    stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
    seed=st.none() | st.integers(-(2**31), 2**31),
    schema=st.none() | st.just({"type": "object"}),
    logprobs=st.booleans(),
    extra=st.just({}) | st.just({"chat_template_kwargs": {"enable_thinking": False}}),
)


@given(REQUESTS)
def test_the_server_reads_what_the_client_built(request_):
    assert parse_request(request_.encode()).body() == request_.body()


def test_members_that_nobody_set_are_left_to_the_server():
    assert ChatRequest("m", USER).body() == {"model": "m", "messages": USER}


def test_the_limit_of_tokens_goes_by_the_name_that_the_model_takes():
    body = ChatRequest("m", USER, max_tokens=5, max_tokens_member="max_completion_tokens").body()
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


def test_a_schema_becomes_a_strict_response_format():
    body = ChatRequest("m", USER, schema={"type": "integer"}, schema_name="age").body()
    wanted = {"name": "age", "strict": True, "schema": {"type": "integer"}}
    assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.0}, "n"),
        ({"temperature": "0"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [3]}, "stop[0]"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema"),
    ],
)
def test_a_wrong_member_is_named(change, field):
    with pytest.raises(WireError) as caught:
        parse_request(json.dumps({"model": "m", "messages": USER} | change).encode())
    assert caught.value.field == field


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_member_is_named(missing):
    body = {"model": "m", "messages": USER}
    del body[missing]
    with pytest.raises(WireError, match=missing):
        parse_request(json.dumps(body).encode())


def test_extra_members_cannot_stand_in_for_declared_ones():
    with pytest.raises(WireError, match=r"extra\.temperature"):
        ChatRequest("m", USER, extra={"temperature": 1.0})
