"""The ability `read` over HTTP: given continuations are scored by servers that score prompts, and by no other."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest
from servers import OPENING, Body, ChatServer, logprob_of

from plaudit.errors import ModelError, SpecError
from plaudit.lm import AbilityMissing, ModelRejected, OpenAIModel
from plaudit.types import Reader
from plaudit.wire import TextChoice, TextLogprobs, TextReply, Usage

WAYS = ["prompt_logprobs", "echo"]


def reader(server, way="prompt_logprobs", **options):
    return OpenAIModel("m", base_url=server.url, reading=way, **{"api": "auto", **options})


def expected(before, continuation):
    """By the definition: each token given the one before, of which the first is the prompt's last."""
    codes = [ord(before), *map(ord, continuation)]
    return [logprob_of(token, b) for b, token in pairwise(codes)]


@pytest.mark.parametrize("way", WAYS)
def test_each_continuation_is_read_behind_its_prompt(server, way):
    model = reader(server, way)
    assert isinstance(model, Reader)
    assert "read" in model.abilities
    prompts, texts = ["2+2=", "Say hello: "], [["4", "five"], ["hello"]]
    ids = [model.tokenize([p] * len(row), row) for p, row in zip(prompts, texts, strict=True)]
    assert ids[0][1].tolist() == [ord(c) for c in "five"]
    readings = model.read(prompts, ids)
    for prompt, row, texts_of_row in zip(prompts, readings, texts, strict=True):
        for reading, text in zip(row, texts_of_row, strict=True):
            assert reading.logprob == pytest.approx(expected(prompt[-1], text), abs=1e-5)
            assert reading.logprob.dtype == np.float32
            assert reading.tokens.tolist() == [ord(c) for c in text]
            assert (reading.entropy, reading.logsumexp, reading.attention, reading.hidden) == (None, None, None, {})


def test_it_can_be_awaited(server):
    [[reading]] = asyncio.run(reader(server).aread(["2+2="], [[[52]]]))
    assert reading.logprob == pytest.approx([logprob_of(52, ord("="))], abs=1e-5)


def test_the_prompt_is_tokenised_once_and_opens_as_the_server_says(server):
    reader(server).read(["ab"], [[[99], [100, 101]]])
    assert [r.path for r in server.received] == ["/tokenize", "/v1/completions", "/v1/completions"]
    assert sorted(r.request.prompt for r in server.received[1:]) == [[OPENING, 97, 98, 99], [OPENING, 97, 98, 100, 101]]


def test_messages_go_through_the_servers_chat_template(server):
    reader(server, api="chat").read(["hi", [{"role": "system", "content": "s"}]], [[[52]], [[53]]])
    sent = {tuple(r.request.prompt) for r in server.received if r.path == "/v1/completions"}
    assert sent == {
        (OPENING, *map(ord, "<user>hi<assistant>"), 52),
        (OPENING, *map(ord, "<system>s<assistant>"), 53),
    }


def test_a_model_whose_endpoint_is_not_known_to_read_says_so_by_name(model):
    assert "read" not in model.abilities
    with pytest.raises(ModelError, match="lacks the ability 'read'"):
        model.read(["a"], [[[1]]])


def test_openais_own_endpoint_is_refused_at_construction(monkeypatch):
    with pytest.raises(SpecError, match="lacks the ability 'read'"):
        OpenAIModel("m", reading="echo")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert "read" in OpenAIModel("m", reading="echo").abilities


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_takes_the_request_and_gives_no_scores_lacks_the_ability(way):
    with ChatServer(scores=False) as server, pytest.raises(AbilityMissing, match=f"'read' in the form reading='{way}'"):
        reader(server, way).read(["a"], [[[1]]])


def test_a_server_without_tokenize_lacks_that_ability():
    with ChatServer(tokenizes=False) as server:
        with pytest.raises(AbilityMissing, match="lacks the ability 'tokenize'"):
            reader(server).tokenize(["a"], ["b"])
        with pytest.raises(AbilityMissing, match="lacks the ability 'tokenize'"):
            reader(server).read(["a"], [[[1]]])


@pytest.mark.parametrize(
    ("choice", "usage"),
    [
        (TextChoice("", prompt_logprobs=(None, {97: -1.0}, {98: -1.0}, {100: -1.0})), None),  # of another token
        (TextChoice("", prompt_logprobs=(None, {97: -1.0}, {98: -1.0})), None),  # too few
        (TextChoice("", prompt_logprobs=(None, {97: -1.0}, {98: -1.0}, None)), None),  # a hole
        (TextChoice("", prompt_logprobs=(None, {97: -1.0}, {98: -1.0}, {99: -1.0})), Usage(5, 1)),  # something put in front
    ],
)
def test_scores_that_do_not_belong_to_the_tokens_are_refused(server, choice, usage):
    server.react = lambda received: (
        server.good(received) if received.path == "/tokenize" else Body(TextReply("m", (choice,), usage).encode())
    )
    with pytest.raises(AbilityMissing, match="'read'"):
        reader(server).read(["ab"], [[[99]]])


def test_an_echo_without_an_end_or_with_a_hole_is_refused(server):
    for given in ((None, -1.0, -1.0), (None, -1.0, -1.0, None), (None, *[-1.0] * 8)):
        reply = TextReply("m", (TextChoice("x", logprobs=TextLogprobs(("t",) * len(given), given)),))
        server.react = lambda received, reply=reply: (
            server.good(received) if received.path == "/tokenize" else Body(reply.encode())
        )
        with pytest.raises(AbilityMissing, match="'read'"):
            reader(server, "echo").read(["ab"], [[[99]]])


@pytest.mark.parametrize("ids", [[], [-1], [1.5], [[1]]])
def test_a_continuation_that_is_no_row_of_token_ids_is_refused_before_anything_is_sent(server, ids):
    with pytest.raises(ModelError, match="continuation 1 of prompt 0"):
        reader(server).read(["a"], [[[1], ids]])
    assert server.received == []


def test_what_the_server_says_to_an_id_out_of_range_is_repeated(server):
    from servers import Status

    from plaudit.wire import Fault

    server.react = lambda received: (
        server.good(received) if received.path == "/tokenize" else Status(400, Fault("token id 999999 is out of vocabulary"))
    )
    with pytest.raises(ModelRejected, match="out of vocabulary"):
        reader(server).read(["a"], [[[999_999]]])


def test_hidden_states_are_not_to_be_had_over_http(server):
    with pytest.raises(ModelError, match="gives 'logprob' only, asked for 'entropy'"):
        reader(server).read(["a"], [[[1]]], what={"logprob", "entropy"})


def test_prompts_and_rows_must_be_as_many(server):
    with pytest.raises(ModelError, match="2 prompts and 1 lists"):
        reader(server).read(["a", "b"], [[[1]]])
