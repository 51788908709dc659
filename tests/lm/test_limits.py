"""Limits on calls in flight, requests, tokens and budgets hold; a server that refuses for its rate is not stormed."""

import copy
import time
from collections import Counter
from itertools import pairwise
from statistics import median

import pytest
from limiters import FixedWindow, SlidingWindow, TokenBucket, simulated
from servers import ChatServer, Limit, Say

from plaudit.lm import OpenAIModel
from plaudit.lm._pace import Pace
from plaudit.lm._throttle import Bucket


def test_sixty_four_calls_are_kept_in_flight():
    with ChatServer() as server:
        server.react = lambda received: Say("ok", delay=0.4 + (received.number * 37 % 64) / 64)
        OpenAIModel("m", base_url=server.url).generate(["a"] * 128)
    assert server.peak == 64
    assert server.connections <= 70, "connections are used again"
    assert median(r.in_flight for r in server.received[64:]) >= 56, "a place that becomes free is taken at once"


def test_no_more_calls_are_in_flight_than_allowed():
    with ChatServer(latency=0.01) as server:
        OpenAIModel("m", base_url=server.url, max_in_flight=5).generate(["a"] * 50)
    assert server.peak == 5


def test_requests_per_minute_are_kept(server):
    before = time.monotonic()
    OpenAIModel("m", base_url=server.url, requests_per_minute=1200).generate(["a"] * 50)
    # 20 a second, of which one second may be saved up: 30 of the 50 have to wait their turn.
    assert 1.4 < time.monotonic() - before < 4.0
    first = server.received[0].at
    assert sum(r.at < first + 0.7 for r in server.received) <= 40


def test_tokens_per_minute_are_kept_after_what_calls_really_take(server):
    server.react = lambda received: Say("x", usage=(900, 100))
    model = OpenAIModel("m", base_url=server.url, tokens_per_minute=300_000, max_in_flight=4)
    before = time.monotonic()
    model.generate(["a"] * 40)
    # 5,000 tokens a second, 6 seconds of it saved up: 40,000 tokens take about 2 seconds.
    assert 1.3 < time.monotonic() - before < 5.0


@pytest.mark.parametrize("retry_after", [None, "1"])
def test_a_rate_limited_server_is_used_to_its_limit_and_not_stormed(retry_after):
    rate, n = 60.0, 240
    with ChatServer(latency=0.02, limit=Limit(rate, burst=60, retry_after=retry_after)) as server:
        before = time.monotonic()
        drawn = OpenAIModel("m", base_url=server.url).generate(["a"] * n)
        seconds = time.monotonic() - before
    assert len(drawn) == n
    assert n / seconds > 0.7 * rate, "of which a busy machine may take a part; benchmarks/openai_client.py has the strict figure"
    assert server.count(429) <= 24 + 0.08 * n
    late = [status for at, status in server.statuses if at > server.statuses[0][0] + 1.0]
    assert late.count(429) <= 0.08 * n


SIMULATED = [
    # limit, what the server asks for, share of the limit that is used at least, refused at most (beside the first second)
    (TokenBucket(5, 5), None, 0.95, 0.03),
    (TokenBucket(50, 50), None, 0.95, 0.03),
    (TokenBucket(50, 1), None, 0.94, 0.03),
    (TokenBucket(20, 1), None, 0.95, 0.04),
    (TokenBucket(200, 200), None, 0.95, 0.03),
    (FixedWindow(50), None, 0.95, 0.03),
    (SlidingWindow(50), None, 0.95, 0.03),
    (TokenBucket(5, 5), 1.0, 0.95, 0.02),
    (TokenBucket(50, 50), 1.0, 0.95, 0.01),
    (TokenBucket(200, 200), 1.0, 0.95, 0.01),
    (FixedWindow(50), 1.0, 0.85, 0.01),
    (SlidingWindow(50), 1.0, 0.85, 0.01),
    (TokenBucket(20, 1), 1.0, 0.8, 0.01),
]


def names(value):
    return f"{type(value).__name__}{value.rate}" if hasattr(value, "admits") else None


@pytest.mark.parametrize(("limiter", "retry_after", "share", "refused"), SIMULATED, ids=names)
def test_the_learned_rate_comes_near_to_the_servers(limiter, retry_after, share, refused):
    limiter = copy.deepcopy(limiter)
    events = simulated(limiter, 60.0, retry_after)
    assert sum(admitted for _, admitted in events) >= share * limiter.rate * 60
    late = [admitted for at, admitted in events if at > 1.0]
    assert late.count(False) <= refused * len(late) + 8


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("rate", [5, 50, 200])
def test_refusals_never_come_in_a_storm(rate, retry_after):
    for limiter in (TokenBucket(rate, 1), TokenBucket(rate, rate), FixedWindow(rate), SlidingWindow(rate)):
        refused = Counter(int(at) for at, admitted in simulated(limiter, 30.0, retry_after) if not admitted)
        assert refused[0] <= 24, "before anything is known"
        assert max((count for second, count in refused.items() if second), default=0) <= max(4, 0.06 * rate)


def test_a_limit_that_comes_down_and_goes_up_again_is_followed():
    limiter = TokenBucket(100, 10)

    class Changing:
        def admits(self, now):
            limiter.rate = 100 if now < 20 or now > 40 else 20
            return limiter.admits(now)

    events = simulated(Changing(), 70.0)
    used = [sum(admitted for at, admitted in events if low <= at < low + 10) / 10 for low in (10, 30, 60)]
    assert used == [pytest.approx(100, rel=0.1), pytest.approx(20, rel=0.1), pytest.approx(100, rel=0.1)]


def test_a_server_that_admits_nobody_for_a_minute_is_asked_less_and_less():
    class Closed:
        def admits(self, now):
            return False

    at = [at for at, _ in simulated(Closed(), 120.0) if at > 1.0]
    assert len(at) <= 12
    assert max(b - a for a, b in pairwise(at)) >= 20


def test_without_refusals_there_is_no_pace():
    pace = Pace()
    for k in range(100):
        pace.went_out(k / 100)
    assert pace.rate is None


def test_an_endpoint_is_entered_softly():
    pace, now = Pace(), 0.0
    at = []
    while now < 0.5:
        delay = pace.delay(now)
        if delay == 0:
            pace.went_out(now)
            at.append(now)
        else:
            now += delay
    assert sum(t < 0.005 for t in at) <= 17, "a first answer comes before more than a handful went out"
    assert len(at) > 500, "and half a second later there is no limit to speak of"


def test_many_refusals_of_one_burst_pause_once():
    pace = Pace()
    numbers = [pace.went_out(0.0) for _ in range(64)]
    for number in numbers[20:]:
        pace.was_refused(0, number, 1.0, 0.1)
    assert pace.epoch == 1
    assert pace.paused_until == pytest.approx(1.1)
    assert pace.rate == pytest.approx(20 / 0.25, rel=0.01)


def test_a_bucket_goes_into_debt_for_what_is_larger_than_it():
    bucket = Bucket(rate=10.0, capacity=5.0, now=0.0)
    assert bucket.delay(50.0, 0.0) == 0
    bucket.take(50.0, 0.0)
    assert bucket.delay(1.0, 0.0) == pytest.approx(4.6)
    bucket.take(-40.0, 0.0)  # it took less than expected
    assert bucket.delay(1.0, 0.0) == pytest.approx(0.6)
