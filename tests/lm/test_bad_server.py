"""Endpoints that misbehave: each trouble is an error with its name, or a FAILED verdict with its reason; never a number."""

import asyncio
import socket
import threading
import time

import pytest
from servers import Body, ChatServer, Drip, Flood, Half, HangUp, Reaction, Say, Stall, Status, graded

from plaudit.judge import Pointwise
from plaudit.lm import AbilityMissing, ModelRejected, ModelReplyError, ModelUnreachable, OpenAIModel
from plaudit.types import Sample, Sampling
from plaudit.types import Status as Outcome
from plaudit.wire import ChatReply, Choice, Fault

pytestmark = pytest.mark.usefixtures("quick_back_off")

GOOD = graded(7)
QUICK = "max_retries=1&timeout=0.6&largest_reply=100000"


class Raw(Reaction):
    """Bytes as they are, then the connection closes, or stays open without a word."""

    def __init__(self, data, stall=False):
        self.data, self.stall = data, stall

    async def act(self, wire, received):
        await wire.write(self.data)
        if self.stall:
            await asyncio.sleep(30)
        return False


def reply(text):
    return ChatReply("m", (Choice(text),)).encode()


def chunked(*parts, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"

TROUBLE = {
    "a stalled stream": (Raw(CHUNKED + chunked(reply(GOOD)[:20], end=b""), stall=True), "judge_unreachable"),
    "a stream that breaks off": (Raw(CHUNKED + chunked(reply(GOOD)[:20], end=b"")), "judge_unreachable"),
    "a reply cut in the middle": (Half(), "judge_unreachable"),
    "a reply that drips": (Drip(pause=0.05), "judge_unreachable"),
    "silence": (Stall(5), "judge_unreachable"),
    "a closed connection": (HangUp(), "judge_unreachable"),
    "no HTTP": (Raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "judge_unreachable"),
    "headers without an end": (Raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, stall=True), "judge_unreachable"),
    "a length that is a lie": (Raw(HEAD + b"content-length: -5\r\n\r\n"), "judge_unreachable"),
    "two lengths": (Raw(HEAD + b"content-length: 2\r\ncontent-length: 9\r\n\r\n{}"), "judge_unreachable"),
    "a wrong key": (Status(401, Fault("Incorrect API key provided", code="invalid_api_key")), "judge_rejected"),
    "a redirect": (Status(308, headers={"location": "https://elsewhere.example/v1"}), "judge_rejected"),
    "not UTF-8": (Body(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "judge_broken"),
    "a huge reply": (Flood(), "judge_broken"),
    "a huge reply that is announced": (Flood(10**12), "judge_broken"),
    "an empty body": (Body(b""), "judge_broken"),
    "NaN": (Body(b'{"choices": [{"index": 0, "message": {"content": "x"}}], "usage": {"prompt_tokens": NaN}}'), "judge_broken"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_sample_that_meets_it_is_failed_with_its_reason(name):
    trouble, reason = TROUBLE[name]
    with ChatServer() as server:
        server.react = lambda received: trouble
        judge = Pointwise(model=f"openai:judge?{QUICK}", base_url=server.url)
        before = time.monotonic()
        verdict = judge.one("2+2?", "4")
    assert (verdict.status, verdict.value, verdict.reason) == (Outcome.FAILED, None, reason)
    assert verdict.explanation
    assert time.monotonic() - before < 6


@pytest.mark.parametrize("name", TROUBLE)
def test_its_neighbours_are_scored(name):
    trouble, _ = TROUBLE[name]
    with ChatServer(say=GOOD) as server:
        server.react = lambda received: trouble if "BAD" in received.prompt else server.good(received)
        judge = Pointwise(model=f"openai:judge?{QUICK}", base_url=server.url)
        verdicts = judge.score([Sample("2+2?", text) for text in ("4", "BAD", "5", "6")])
    # A refused key is refused for every call that goes out after it.
    good = [v.value for k, v in enumerate(verdicts) if k != 1 and v.reason != "judge_rejected"]
    assert good == [pytest.approx(6 / 9)] * len(good)
    assert name == "a wrong key" or len(good) == 3
    assert verdicts[1].status is Outcome.FAILED


def test_a_chunked_reply_a_reply_without_a_length_and_a_hint_before_it_are_read(server, model):
    body = reply("fine")
    for data in (
        CHUNKED + chunked(body[:10], body[10:]),
        HEAD + b"connection: close\r\n\r\n" + body,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HEAD + b"content-length: %d\r\n\r\n" % len(body) + body,
        b"HTTP/1.0 200 OK\r\n\r\n" + body,
    ):
        server.plays(Raw(data))
        assert model.generate(["a"])[0][0].text == "fine"
        assert len(server.received) == 1
        server.received.clear()


def test_what_a_server_sends_unasked_is_never_taken_for_an_answer(server, model):
    body = reply("fine")
    whole = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    poison = HEAD + b"content-length: 2\r\n\r\n{}"

    class Twice(Reaction):
        async def act(self, wire, received):
            await wire.write(whole + poison)
            return True

    server.plays(Twice(), Twice())
    texts = [model.generate(["a"])[0][0].text for _ in range(4)]
    assert texts == ["fine", "fine", "ok", "ok"]


def test_a_wrong_key_is_asked_once_and_names_the_variable(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-wrong-Secret")
    with ChatServer(key="sk-right") as server:
        model = OpenAIModel("m", base_url=server.url, api_key_env="MY_KEY")
        for _ in range(3):
            with pytest.raises(ModelRejected, match=r"status 401.*environment variable MY_KEY") as caught:
                model.generate(["a"])
            assert "Secret" not in str(caught.value)
        assert len(server.received) == 1, "a key that was refused a moment ago is not sent again"
        monkeypatch.setenv("MY_KEY", "sk-right")
        assert model.generate(["a"])[0][0].text == "ok"


def test_a_redirect_names_where_it_leads(server, model):
    server.plays(Status(301, headers={"location": "https://elsewhere.example/v1/chat/completions"}))
    with pytest.raises(ModelRejected, match=r"elsewhere\.example.*redirects are not followed"):
        model.generate(["a"])
    assert len(server.received) == 1


def test_an_endpoint_without_logprobs_is_said_and_not_retried():
    with ChatServer(gives_logprobs=False) as server:
        with pytest.raises(AbilityMissing, match="'logprobs'"):
            OpenAIModel("m", base_url=server.url).generate(["a"], 1, Sampling(logprobs=True))
        assert len(server.received) == 1


def test_compressed_and_endless_replies_are_refused_unread(server, model):
    server.plays(Body(b"\x1f\x8b" + b"\0" * 100, headers={"content-encoding": "br"}))
    with pytest.raises(ModelReplyError, match="compressed"):
        model.generate(["a"])


def test_a_port_that_takes_connections_and_never_answers_times_out():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        before = time.monotonic()
        with pytest.raises(ModelUnreachable, match="no answer within"):
            OpenAIModel("m", base_url=url, timeout=0.3, max_retries=0).generate(["a"])
    assert time.monotonic() - before < 2


def test_a_name_that_is_no_host_is_unreachable():
    with pytest.raises(ModelUnreachable, match="no connection"):
        OpenAIModel("m", base_url="http://no.such.host.invalid/v1", max_retries=0, timeout=20).generate(["a"])


def test_https_to_a_server_without_it_is_unreachable(server):
    with pytest.raises(ModelUnreachable, match=r"no answer within 1 s|no connection"):
        OpenAIModel("m", base_url=server.url.replace("http:", "https:"), max_retries=0, timeout=1).generate(["a"])


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    with ChatServer(say="through the proxy") as proxy:
        # A proxy is asked with the whole address in the place of the path.
        seen = []

        def answer():
            connection, _ = listener.accept()
            seen.append(connection.recv(65536))
            body = reply("through the proxy")
            connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
            connection.close()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=answer, daemon=True).start()
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
            model = OpenAIModel("m", base_url="http://far.away.invalid/v1", max_retries=0)
            assert model.generate(["a"])[0][0].text == "through the proxy"
        assert seen[0].startswith(b"POST http://far.away.invalid/v1/chat/completions HTTP/1.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert OpenAIModel("m", base_url=proxy.url).generate(["a"])[0][0].text == "through the proxy"


def test_a_server_that_closes_between_calls_is_reached_again(server, model):
    class Closing(Say):
        async def act(self, wire, received):
            await super().act(wire, received)
            return False

    server.react = lambda received: Closing("ok")
    for _ in range(5):
        assert model.generate(["a"])[0][0].cost.calls == 1, "a connection that the server closed is not used"
        time.sleep(0.02)
