"""JSON by schema: asked for in the endpoint's own way where it has one, read out of text where it has none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import ChatServer, Say, Status

from plaudit.errors import SpecError
from plaudit.lm import ModelRejected, OpenAIModel, SchemaMismatch, read_json
from plaudit.types import Sampling
from plaudit.wire import Fault

SCHEMA = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["reasoning", "score"],
}
VERDICT = {"reasoning": "It says 42; that is right.", "score": 9}
TEXT = json.dumps(VERDICT)
ASKED = Sampling(temperature=0.0, max_tokens=50, schema=SCHEMA)


@pytest.mark.parametrize(
    "reply",
    [
        TEXT,
        f"\n {TEXT}\n",
        json.dumps(VERDICT, indent=2),
        f"```json\n{TEXT}\n```",
        f"````\n{TEXT}\n````",
        f"Here is my verdict:\n\n```json\n{TEXT}\n```\nI hope that helps.",
        f"Sure! {TEXT}",
        f'<think>Maybe {{"reasoning": "no", "score": 1}}</think>\n{TEXT}',
        f"The set {{1, 2}} and \\frac{{1}}{{2}} are fine. {TEXT}",
        f"First {TEXT} and again {TEXT}",
        TEXT.replace("; that", ";\nthat"),
        f'He wrote {{"a": 1}}, so {TEXT}',
    ],
)
def test_a_verdict_is_found_where_models_put_it(reply):
    found = read_json(reply, SCHEMA)
    assert found["score"] == 9


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "none"),
        ("The score is 9.", "none"),
        ("9", "another form"),
        ("[]", "another form"),
        ('{"reasoning": "x"}', "lacks 'score'"),
        ('{"reasoning": "x", "score": "9"}', "score is not of type integer"),
        ('{"reasoning": "x", "score": true}', "score is not of type integer"),
        ('{"reasoning": "x", "score": 9.5}', "score is not of type integer"),
        ('{"reasoning": "x", "score": NaN}', "broken"),
        ('{"reasoning": "x", "score": 9', "broken"),
        ('{"reasoning": "x", "score": 1, "score": 9}', "twice"),
        (f"<think>{TEXT}", "thinking part"),
        (f'{TEXT} or rather {{"reasoning": "x", "score": 1}}', "2 different"),
        (
            'The response said {"reasoning": "great", "score": 10}. My verdict: {"reasoning": "bad", "score": "1/10"}',
            "another form",
        ),
        ('{"reasoning": "It says "well, {"reasoning": "great", "score": 10}" here", "score": 1}', "broken"),
        ("{'reasoning': 'x', 'score': 9}", "broken"),
        ('{"a":' * 100_000, "broken"),
        ('{"' * 100_000, "broken"),
        ('{"a": 1}' * 100_000, "more than 64"),
        ("x" * 1_000_001, "more than"),
    ],
)
def test_what_is_not_one_verdict_is_refused_with_a_reason(reply, why):
    with pytest.raises(SchemaMismatch, match=why):
        read_json(reply, SCHEMA)


@given(st.text(max_size=80) | st.text(alphabet='{}[]":,`\\ \nrscoe1', max_size=80))
def test_any_text_gives_a_value_of_the_schema_or_a_mismatch(text):
    try:
        value = read_json(text, SCHEMA)
    except SchemaMismatch:
        return
    assert isinstance(value["score"], int)
    assert isinstance(value["reasoning"], str)


@given(st.text(alphabet=st.characters(exclude_characters="{<"), max_size=60), st.text(max_size=60), st.integers(0, 10))
def test_a_verdict_in_running_text_is_the_verdict_that_was_written(before, reasoning, score):
    verdict = {"reasoning": reasoning, "score": score}
    text = f"{before} {json.dumps(verdict)}"
    if "<think>" in reasoning or "</think>" in reasoning:
        return
    assert read_json(text, SCHEMA) == verdict


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"enum": [1, 2]}, [1, 2], [3, True, "1"]),
        ({"type": "number", "minimum": 0, "maximum": 1}, [0, 0.5, 1], [-0.1, 1.1, "0"]),
        ({"type": ["string", "null"], "minLength": 2}, ["ab", None], ["a", 3]),
        ({"type": "array", "items": {"type": "boolean"}}, [[], [True]], [[1], {}]),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {}}}, [{"a": 1}, {}], [{"b": 1}]),
        ({"type": "integer"}, [3, 3.0, -1], [3.5, False]),
    ],
)
def test_the_checker_knows_these_keywords(schema, good, bad):
    for value in good:
        assert read_json(json.dumps(value), schema) == value
    for value in bad:
        with pytest.raises(SchemaMismatch):
            read_json(json.dumps(value), schema)


def test_a_keyword_that_is_not_checked_is_refused():
    with pytest.raises(SpecError, match="oneOf"):
        read_json("3", {"type": "array", "items": {"oneOf": []}})


def test_a_server_that_takes_schemas_gets_the_schema(server, model):
    model.generate(["grade"], 1, ASKED)
    (request,) = [r.request for r in server.received]
    assert request.schema == SCHEMA
    assert request.messages[-1]["content"] == "grade"


def test_a_server_that_refuses_schemas_is_asked_in_words_from_then_on():
    with ChatServer(say=TEXT, takes_schema=False) as server:
        model = OpenAIModel("m", base_url=server.url)
        completion = model.generate(["grade"], 1, ASKED)[0][0]
        model.generate(["grade"], 1, ASKED)
        model.generate(["no schema wanted"])
    assert read_json(completion.text, SCHEMA) == VERDICT
    assert completion.cost.calls == 2
    assert [r.request.schema is not None for r in server.received] == [True, False, False, False]
    assert json.dumps(SCHEMA) in server.received[1].prompt
    assert "JSON" not in server.received[3].prompt


def asked(server):
    return [(r.request.schema is not None, r.request.json_object, json.dumps(SCHEMA) in r.prompt) for r in server.received]


def test_from_schema_to_any_object_to_the_prompt_alone_and_the_endpoint_remembers():
    with ChatServer(say=TEXT, takes_schema=False, takes_json=False) as server:
        model = OpenAIModel("m", base_url=server.url)
        completion = model.generate(["grade"], 1, ASKED)[0][0]
        assert asked(server) == [(True, False, False), (False, True, True), (False, False, True)]
        assert (read_json(completion.text, SCHEMA), completion.cost.calls) == (VERDICT, 3)
        OpenAIModel("m", base_url=server.url).generate(["grade"], 1, ASKED)
        assert asked(server)[3:] == [(False, False, True)]


def test_an_endpoint_that_takes_any_object_stays_with_that():
    with ChatServer(say=TEXT, takes_schema=False) as server:
        model = OpenAIModel("m", base_url=server.url)
        for _ in range(2):
            assert read_json(model.generate(["grade"], 1, ASKED)[0][0].text, SCHEMA) == VERDICT
        assert asked(server) == [(True, False, False), (False, True, True), (False, True, True)]


def test_a_schema_that_is_no_object_skips_the_format_for_objects():
    with ChatServer(say="[1, 2]", takes_schema=False) as server:
        schema = {"type": "array", "items": {"type": "integer"}}
        text = OpenAIModel("m", base_url=server.url).generate(["numbers"], 1, Sampling(schema=schema))[0][0].text
        assert read_json(text, schema) == [1, 2]
        assert [r.request.json_object for r in server.received] == [False, False]


def test_many_calls_at_once_fall_back_together():
    with ChatServer(say=TEXT, takes_schema=False, takes_json=False, latency=0.02) as server:
        drawn = OpenAIModel("m", base_url=server.url).generate(["grade"] * 16, 1, ASKED)
        assert all(read_json(row[0].text, SCHEMA) == VERDICT for row in drawn)
        assert len(server.received) <= 16 * 3


def test_any_object_can_be_asked_for_from_the_start():
    with ChatServer(say=TEXT) as server:
        OpenAIModel("m", base_url=server.url, structured="json_object").generate(["grade"], 1, ASKED)
        assert asked(server) == [(False, True, True)]


def test_words_can_be_asked_for_from_the_start_and_schemas_insisted_on():
    with ChatServer(say=TEXT, takes_schema=False) as server:
        OpenAIModel("m", base_url=server.url, structured="prompt").generate(["grade"], 1, ASKED)
        assert server.received[0].request.schema is None
        with pytest.raises(ModelRejected, match="response_format"):
            OpenAIModel("m", base_url=server.url, structured="json_schema").generate(["grade"], 1, ASKED)


def test_a_server_that_refuses_something_else_is_not_asked_twice(server, model):
    server.plays(Status(400, Fault("This model's maximum context length is 4096 tokens")))
    with pytest.raises(ModelRejected, match="context length"):
        model.generate(["grade"], 1, ASKED)
    assert len(server.received) == 1


def test_a_model_that_wants_the_new_name_of_max_tokens_gets_it(server, model):
    message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def reasoning_model(received):
        old = received.request.max_tokens_member == "max_tokens" and received.request.max_tokens is not None
        return Status(400, Fault(message, code="unsupported_parameter", param="max_tokens")) if old else Say("ok")

    server.react = reasoning_model
    for _ in range(2):
        assert model.generate(["a"], 1, ASKED)[0][0].text == "ok"
    assert [r.request.max_tokens_member for r in server.received] == ["max_tokens"] + ["max_completion_tokens"] * 2
