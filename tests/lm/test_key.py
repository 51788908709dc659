"""The API key goes into one header and nowhere else."""

import logging
import pickle

import pytest
from servers import Body, ChatServer, Half, HangUp, Status

from plaudit.errors import SpecError
from plaudit.lm import CallError, MissingKey, ModelRejected, OpenAIModel
from plaudit.wire import Fault

KEY = "sk-Very-Secret-0123456789"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


def test_the_key_is_sent_as_a_bearer_token(key):
    with ChatServer(key=key) as server:
        assert OpenAIModel("m", base_url=server.url).generate(["a"])[0][0].text == "ok"


def test_another_variable_may_hold_it(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", KEY)
    with ChatServer(key=KEY) as server:
        assert OpenAIModel("m", base_url=server.url, api_key_env="MY_API_KEY").generate(["a"])[0][0].text == "ok"


def test_an_endpoint_of_ones_own_is_asked_without_a_key(server, model):
    model.generate(["a"])
    assert "authorization" not in server.received[0].headers


def test_the_public_endpoint_needs_one_and_the_error_names_the_variable():
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        OpenAIModel("m").generate(["a"])
    with pytest.raises(MissingKey, match="OTHER_KEY"):
        OpenAIModel("m", api_key_env="OTHER_KEY").generate(["a"])


@pytest.mark.parametrize("broken", [f"{KEY}\nX-Injected: 1", f"{KEY} {KEY}", f"{KEY}é"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(server, model, monkeypatch, broken):
    monkeypatch.setenv("OPENAI_API_KEY", broken)
    with pytest.raises(MissingKey) as caught:
        model.generate(["a"])
    assert "Secret" not in str(caught.value)
    assert server.received == []


def test_line_breaks_around_the_key_do_no_harm(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with ChatServer(key=KEY) as server:
        OpenAIModel("m", base_url=server.url).generate(["a"])


def test_a_wrong_key_is_said_and_not_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-Secret")
    with ChatServer(key=KEY) as server, pytest.raises(ModelRejected, match="status 401") as caught:
        OpenAIModel("m", base_url=server.url).generate(["a"])
    assert "sk-wrong-Secret" not in str(caught.value), "although this server repeats the key that it was given"
    assert "[API key]" in str(caught.value)


def test_a_redirect_that_repeats_the_key_is_said_without_it(key, server, model):
    server.plays(Status(307, headers={"location": f"http://x/?key={key}"}))
    with pytest.raises(ModelRejected) as caught:
        model.generate(["a"])
    assert KEY not in str(caught.value)


@pytest.mark.usefixtures("quick_back_off")
def test_the_key_leaks_nowhere(key, server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    model = OpenAIModel("m", base_url=server.url, max_retries=1)
    echo = f"you sent Bearer {key}"
    troubles = [
        Status(400, Fault(echo)), Status(500, Fault(echo)), Body(echo.encode()), HangUp(), Half(),
        Status(429, Fault(echo), headers={"retry-after": "0"}),
    ]  # fmt: skip
    seen = [repr(model), model.address, model.version, repr(pickle.dumps(model)), repr(vars(model))]
    for trouble in troubles:
        server.react = lambda received, trouble=trouble: trouble
        with pytest.raises(CallError) as caught:
            model.generate(["a"])
        error: BaseException | None = caught.value
        while error is not None:
            seen += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
        seen += [repr(pickle.loads(pickle.dumps(caught.value)))]
    seen += [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert len(caplog.records) >= 5
    assert not [text for text in seen if KEY in text]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:Secret@host/v1", "ftp://host/v1", "host/v1", "http://host/v1?key=x", "http://host/v1#x", "http://",
        "http://h:99999", "http://h ost",
    ],
)  # fmt: skip
def test_a_base_url_with_secrets_or_without_sense_is_refused(url, monkeypatch):
    with pytest.raises(SpecError) as caught:
        OpenAIModel("m", base_url=url)
    assert "Secret" not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(SpecError, match="OPENAI_BASE_URL"):
        OpenAIModel("m").generate(["a"])


def test_the_environment_may_name_the_endpoint(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    assert OpenAIModel("m").generate(["a"])[0][0].text == "ok"
