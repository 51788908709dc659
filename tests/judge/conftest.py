"""What every test of a judge starts from: no settings of the machine, and a real server that grades."""

import pytest
from servers import ChatServer, graded

import plaudit.lm._attempts as attempts
from plaudit.judge import Pointwise


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(attempts, "_FIRST_BACK_OFF", 0.05)


@pytest.fixture
def server():
    with ChatServer(say=graded(7)) as running:
        yield running


@pytest.fixture
def judge(server):
    return Pointwise(model="openai:judge", base_url=server.url)
