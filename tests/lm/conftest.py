"""What every test of a language model starts from: no settings of the machine, and a real server."""

import pytest
from servers import ChatServer

import plaudit.lm._attempts as attempts
from plaudit.lm import OpenAIModel


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with ChatServer() as running:
        yield running


@pytest.fixture
def model(server):
    return OpenAIModel("m", base_url=server.url)


@pytest.fixture
def quick_back_off(monkeypatch):
    """The same back-off at a tenth of its length."""
    monkeypatch.setattr(attempts, "_FIRST_BACK_OFF", 0.05)
