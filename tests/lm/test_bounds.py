"""A server can neither hold a call for ever, nor fill the memory, nor send it elsewhere; a given-up call is hung up."""

import asyncio
import gzip
import time

import pytest
from servers import Body, ChatServer, Drip, Flood, Stall, Status

from plaudit.lm import DeadlinePassed, ModelRejected, ModelReplyError, ModelUnreachable, OpenAIModel
from plaudit.wire import ChatReply, Choice


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("announced", [None, 10**9])
def test_a_huge_reply_is_broken_off(announced):
    with ChatServer() as server:
        model = OpenAIModel("m", base_url=server.url, largest_reply=200_000)
        server.plays(Flood(announced))
        with pytest.raises(ModelReplyError, match="200,000"):
            model.generate(["a"])
        assert len(server.received) == 1, "the next one would be as large"
        assert wait_until(lambda: server.hung_up == 1)
    assert server.flooded < 20_000_000


def test_a_reply_of_just_the_largest_size_is_read(server):
    body = ChatReply("m", (Choice("x" * 1000),)).encode()
    for largest, fits in ((len(body), True), (len(body) - 1, False)):
        server.plays(Body(body))
        model = OpenAIModel("m", base_url=server.url, largest_reply=largest)
        if fits:
            assert model.generate(["a"])[0][0].text == "x" * 1000
        else:
            with pytest.raises(ModelReplyError):
                model.generate(["a"])


def test_a_compressed_reply_is_refused_unread(server, model):
    bomb = gzip.compress(b" " * 50_000_000)
    server.plays(Body(bomb, headers={"content-encoding": "gzip"}))
    with pytest.raises(ModelReplyError, match="compressed"):
        model.generate(["a"])


def test_a_reply_that_drips_in_is_cut_off_at_the_time_limit(server):
    model = OpenAIModel("m", base_url=server.url, timeout=0.5, max_retries=0)
    server.plays(Drip(pause=0.05))
    before = time.monotonic()
    with pytest.raises(ModelUnreachable, match=r"no answer within 0\.5 s"):
        model.generate(["a"])
    assert time.monotonic() - before < 1.5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-redirect")
    with ChatServer() as elsewhere:
        server.plays(Status(status, headers={"location": elsewhere.url + "/chat/completions"}))
        with pytest.raises(ModelRejected, match="redirects are not followed"):
            OpenAIModel("m", base_url=server.url).generate(["a"])
        assert elsewhere.received == []


def test_cancelling_closes_the_connection(server, model):
    server.react = lambda received: Stall(30)

    async def cancel_after_a_while():
        task = asyncio.ensure_future(model.agenerate(["a"] * 5))
        while len(server.received) < 5:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_after_a_while())
    assert wait_until(lambda: server.hung_up == 5), "the server sees that nobody waits any more"


def test_a_model_lives_through_many_cancelled_calls(server):
    model = OpenAIModel("m", base_url=server.url, max_in_flight=8)

    async def churn():
        for round_ in range(40):
            tasks = [asyncio.ensure_future(model.agenerate(["a"])) for _ in range(16)]
            await asyncio.sleep(0.0005 * (round_ % 8))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return await asyncio.wait_for(model.agenerate(["b"] * 32), 20)

    assert len(asyncio.run(churn())) == 32


def test_the_deadline_ends_calls_waits_and_retries(server, model):
    for trouble in (Stall(30), Status(500), Status(429, headers={"retry-after": "20"})):
        server.react = lambda received, trouble=trouble: trouble
        before = time.monotonic()
        with pytest.raises(DeadlinePassed) as caught:
            model.generate(["a"], deadline=before + 0.4)
        assert 0.3 < time.monotonic() - before < 2.0
        assert caught.value.cost.calls >= 1


def test_after_the_deadline_nothing_is_sent(server, model):
    with pytest.raises(DeadlinePassed):
        model.generate(["a"], deadline=time.monotonic() - 1)
    assert server.received == []
