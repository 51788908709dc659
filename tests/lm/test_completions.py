"""`openai:` over Completions: texts are continued as they are, messages go to Chat Completions."""

import json

import pytest
from servers import ChatServer, Say, Status

from plaudit.errors import ModelError
from plaudit.lm import OpenAIModel, read_json, resolve
from plaudit.types import Sampling
from plaudit.wire import Fault, TextRequest

CHAT = [{"role": "user", "content": "hi"}]


def test_a_text_goes_to_completions_when_that_is_asked_for(server):
    model = OpenAIModel("m", base_url=server.url, api="completions")
    assert model.generate(["2+2="], 2)[0][0].text == "ok"
    (received,) = server.received
    assert received.path == "/v1/completions"
    assert isinstance(received.request, TextRequest)
    assert (received.request.prompt, received.request.n) == ("2+2=", 2)


def test_chat_is_the_default_also_for_texts(server, model):
    model.generate(["2+2="])
    assert server.received[0].path == "/v1/chat/completions"


def test_auto_sends_texts_to_completions_and_messages_to_chat(server):
    OpenAIModel("m", base_url=server.url, api="auto").generate(["2+2=", CHAT])
    assert {r.path: r.prompt for r in server.received} == {"/v1/completions": "2+2=", "/v1/chat/completions": "hi"}


def test_messages_cannot_be_continued_as_a_text(server):
    model = resolve(f"openai:m?base_url={server.url}&api=completions")
    with pytest.raises(ModelError, match="conversation 1 is a list of messages"):
        model.generate(["a", CHAT])
    assert server.received == []


def test_what_was_asked_for_arrives_at_the_server(server):
    model = OpenAIModel("m", base_url=server.url, api="completions")
    model.generate(["a"], 2, Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=("\n",), seed=3))
    request = server.received[0].request
    assert (request.temperature, request.top_p, request.max_tokens, request.stop, request.seed) == (0.5, 0.9, 7, ("\n",), 3)
    assert (request.logprobs, request.echo, request.prompt_logprobs) == (None, False, None)


def test_finish_cost_and_text_are_read(server):
    server.plays(Say("four and", finish="length"))
    completion = OpenAIModel("m", base_url=server.url, api="completions").generate(["2+2="])[0][0]
    assert (completion.text, completion.finish, completion.cost.tokens) == ("four and", "length", 120)


def test_schemas_fall_back_as_in_chats():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with ChatServer(say='{"n": 4}', takes_schema=False, takes_json=False) as server:
        model = OpenAIModel("m", base_url=server.url, api="completions")
        text = model.generate(["How many?"], 1, Sampling(schema=schema))[0][0].text
    assert read_json(text, schema) == {"n": 4}
    assert [(r.request.schema is not None, r.request.json_object) for r in server.received] == [
        (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert json.dumps(schema) in server.received[2].prompt


def test_an_error_of_the_server_is_its_own(server):
    server.plays(Status(400, Fault("prompt is too long")))
    with pytest.raises(ModelError, match="prompt is too long"):
        OpenAIModel("m", base_url=server.url, api="completions").generate(["a"])
