"""What may pass is tried again, with growing pauses; what will not is not; every end has its own error, with its cost."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from servers import Body, ChatServer, Half, HangUp, Say, Stall, Status

from plaudit.lm import (
    BudgetSpent,
    CallError,
    ModelRateLimited,
    ModelRejected,
    ModelReplyError,
    ModelUnreachable,
    OpenAIModel,
)
from plaudit.wire import Fault

pytestmark = pytest.mark.usefixtures("quick_back_off")

PASSING = [
    Status(500), Status(502), Status(503), Status(504), Status(429, headers={"retry-after": "0"}), Status(408), Status(529),
    HangUp(), Half(),
]  # fmt: skip
NONSENSE = [
    Body(b"<html>gateway</html>", "text/html"), Body(b'{"choices": [{"index": 0, "mess'), Body(b"\xff\xfe\x00"), Body(b""),
    Body(b"[]"), Body(b'{"choices": []}'), Body(b'{"choices": [{"message": {"content": 4}}]}'),
]  # fmt: skip


@pytest.mark.parametrize("trouble", PASSING + NONSENSE, ids=repr)
def test_trouble_that_passes_is_tried_again(server, model, trouble):
    server.plays(trouble)
    completion = model.generate(["a"])[0][0]
    assert completion.text == "ok"
    assert completion.cost.calls == 2, "the attempt that failed is paid for, too"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 501])
def test_a_refusal_for_good_is_not_repeated(server, model, status):
    server.plays(Status(status, Fault("the server says why")))
    with pytest.raises(CallError, match="the server says why") as caught:
        model.generate(["a"])
    assert len(server.received) == 1
    assert caught.value.status == status
    assert caught.value.cost.calls == 1
    assert isinstance(caught.value, ModelRejected if status < 500 else ModelUnreachable)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(Status(500), ModelUnreachable), (HangUp(), ModelUnreachable), (Half(), ModelUnreachable),
     (Status(429, headers={"retry-after": "0"}), ModelRateLimited)],
    ids=repr,
)  # fmt: skip
def test_trouble_that_stays_ends_after_so_many_retries(server, trouble, error):
    model = OpenAIModel("m", base_url=server.url, max_retries=2)
    server.react = lambda received: trouble
    with pytest.raises(error, match="attempt 3, the last") as caught:
        model.generate(["a"])
    assert len(server.received) == 3
    assert caught.value.cost.calls == 3


@pytest.mark.parametrize("trouble", NONSENSE, ids=repr)
def test_a_server_that_only_talks_nonsense_is_asked_three_times(server, model, trouble):
    server.react = lambda received: trouble
    with pytest.raises(ModelReplyError, match="no Chat Completions reply"):
        model.generate(["a"])
    assert len(server.received) == 3


def test_nobody_there_is_unreachable():
    with ChatServer() as gone:
        url = gone.url
    with pytest.raises(ModelUnreachable, match="no connection"):
        OpenAIModel("m", base_url=url, max_retries=1).generate(["a"])


def test_a_stalled_request_times_out_and_is_tried_again(server):
    model = OpenAIModel("m", base_url=server.url, timeout=0.3)
    server.plays(Stall())
    before = time.monotonic()
    assert model.generate(["a"])[0][0].cost.calls == 2
    assert 0.3 <= time.monotonic() - before < 3
    assert server.hung_up == 1, "the connection of the stalled request is closed"


def test_pauses_grow(server):
    model = OpenAIModel("m", base_url=server.url, max_retries=4)
    server.react = lambda received: Status(500)
    with pytest.raises(ModelUnreachable):
        model.generate(["a"])
    at = [r.at for r in server.received]
    pauses = [b - a for a, b in pairwise(at)]
    assert pauses[0] < 0.2
    assert pauses[3] > pauses[0] + 0.1


def test_an_endpoint_that_is_down_for_long_is_not_asked_again_and_again(server):
    model = OpenAIModel("m", base_url=server.url, max_retries=10, patience=0.2)
    server.react = lambda received: Status(500)
    for _ in range(3):
        with pytest.raises(ModelUnreachable):
            model.generate(["a"])
    asked = len(server.received)
    with pytest.raises(ModelUnreachable):
        model.generate(["a"])
    assert len(server.received) == asked + 1, "once it counts as down, one attempt each"
    server.react = server.good
    assert model.generate(["a"])[0][0].text == "ok"


@pytest.mark.parametrize("code", [429, 503])
def test_the_pause_that_the_server_asks_for_is_kept(server, model, code):
    server.plays(Status(code, headers={"retry-after": "1"}))
    model.generate(["a"])
    first, second = server.received
    assert 1.0 <= second.at - first.at < 2.0


def test_the_pause_may_be_a_date_or_milliseconds(server, model):
    server.plays(Status(429, headers={"retry-after-ms": "300"}))
    model.generate(["a"])
    assert 0.3 <= server.received[1].at - server.received[0].at < 5
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server.plays(Status(429, headers={"retry-after": date}))
    model.generate(["a"])
    assert 0.9 <= server.received[3].at - server.received[2].at < 10


@pytest.mark.parametrize("text", ["soon", "-5", "nan", "inf", "Wed, 99 Foo", ""])
def test_a_pause_that_cannot_be_read_is_our_own(server, model, text):
    server.plays(Status(429, headers={"retry-after": text}))
    assert model.generate(["a"])[0][0].text == "ok"
    assert server.received[1].at - server.received[0].at < 2.0


def test_one_pause_holds_for_all_calls(server):
    server.plays(Status(429, headers={"retry-after": "1"}))
    with pytest.raises(ModelRateLimited):
        OpenAIModel("m", base_url=server.url, max_retries=0).generate(["a"])
    OpenAIModel("m", base_url=server.url).generate(["b"] * 3)  # another object, the same endpoint
    later = [r.at - server.received[0].at for r in server.received[1:]]
    assert len(later) == 3
    assert min(later) >= 1.0


def test_a_pause_that_is_too_long_is_given_up_on_without_asking_again(server):
    model = OpenAIModel("m", base_url=server.url, max_retry_after=5)
    server.plays(Status(429, headers={"retry-after": "3600"}))
    before = time.monotonic()
    for _ in range(10):
        with pytest.raises(ModelRateLimited):
            model.generate(["a"])
    assert time.monotonic() - before < 2
    assert len(server.received) == 1


def test_a_spent_quota_is_a_spent_budget(server, model):
    server.plays(Status(429, Fault("You exceeded your current quota", code="insufficient_quota")))
    with pytest.raises(BudgetSpent, match="quota"):
        model.generate(["a"])
    assert len(server.received) == 1


def test_neighbours_of_a_failing_request_are_unaffected(server, model):
    server.react = lambda received: Status(400) if received.prompt == "bad" else Say("fine", delay=0.02)

    async def all_of_them():
        return await asyncio.gather(*(model.agenerate([p]) for p in ["good", "bad"] * 20), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert [isinstance(r, ModelRejected) for r in results] == [False, True] * 20
    assert all(r[0][0].text == "fine" for r in results[::2])
