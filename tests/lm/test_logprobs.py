"""Log-probabilities of sampled tokens come with the completion, or the call fails by name: never None where they were asked."""

from itertools import pairwise

import numpy as np
import pytest
from servers import OPENING, ChatServer, Say, Status, logprob_of

from plaudit.errors import SpecError
from plaudit.lm import AbilityMissing, OpenAIModel, resolve
from plaudit.types import Sampling
from plaudit.wire import Fault

ASKED = Sampling(logprobs=True)


def said(text, before):
    codes = [before, *map(ord, text)]
    return [logprob_of(token, b) for b, token in pairwise(codes)]


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_each_token_has_its_log_probability(server, api):
    server.react = lambda received: Say("four")
    completion = OpenAIModel("m", base_url=server.url, api=api).generate(["2+2="], 1, ASKED)[0][0]
    assert completion.logprobs == pytest.approx(said("four", OPENING if api == "chat" else ord("=")))
    assert completion.tokens is None, "the server was not asked for ids"


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_ids_come_along_where_the_server_gives_them(server, api):
    server.react = lambda received: Say("four")
    model = resolve(f"openai:m?base_url={server.url}&api={api}&token_ids=true")
    completion = model.generate(["2+2="], 1, ASKED)[0][0]
    assert completion.tokens.tolist() == [ord(c) for c in "four"]
    assert len(completion.logprobs) == 4
    assert completion.tokens.dtype == np.int64


def test_without_being_asked_there_are_none(server, model):
    completion = model.generate(["a"])[0][0]
    assert completion.logprobs is None
    assert server.received[0].request.logprobs is False


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_that_leaves_them_out_lacks_the_ability(api):
    with ChatServer(gives_logprobs=False) as server:
        model = OpenAIModel("m", base_url=server.url, api=api)
        with pytest.raises(AbilityMissing, match="lacks the ability 'logprobs'") as caught:
            model.generate(["a"], 1, ASKED)
        assert caught.value.cost.calls == 1
        assert len(server.received) == 1, "it would leave them out again"
        assert model.generate(["a"])[0][0].text == "ok", "and everything else works"


def test_a_server_that_refuses_to_give_them_lacks_the_ability(server, model):
    server.plays(Status(400, Fault("logprobs is not supported with this model", param="logprobs")))
    with pytest.raises(AbilityMissing, match=r"'logprobs'.*not supported with this model"):
        model.generate(["a"], 1, ASKED)


def test_a_server_that_names_tokens_by_text_gives_no_ids(server, monkeypatch):
    import server_reactions

    monkeypatch.setattr(server_reactions, "_names", lambda text, extra: list(text))
    with pytest.raises(AbilityMissing, match="return_tokens_as_token_ids"):
        OpenAIModel("m", base_url=server.url, token_ids=True).generate(["a"], 1, ASKED)


def test_an_empty_completion_has_no_tokens(server, model):
    server.plays(Say("", finish="stop"))
    assert model.generate(["a"], 1, ASKED)[0][0].logprobs.shape == (0,)


def test_a_wrong_option_is_explained(server):
    with pytest.raises(SpecError, match="token_ids is 'maybe'"):
        resolve("openai:m?token_ids=maybe")
    with pytest.raises(SpecError, match="token_ids is 1"):
        OpenAIModel("m", token_ids=1)
