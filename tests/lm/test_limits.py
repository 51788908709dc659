"""Limits on calls in flight, requests, tokens and budgets hold; a server that refuses for its rate is not stormed."""

import heapq
import random
import time
from statistics import median

import pytest
from servers import ChatServer, Limit, Say

from plaudit.lm import BudgetSpent, OpenAIModel
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
    rate, n = 60.0, 180
    with ChatServer(latency=0.02, limit=Limit(rate, burst=60, retry_after=retry_after)) as server:
        before = time.monotonic()
        drawn = OpenAIModel("m", base_url=server.url).generate(["a"] * n)
        seconds = time.monotonic() - before
    assert len(drawn) == n
    assert n / seconds > 0.5 * rate
    # The first burst is refused at most once per call in flight; after it, refusals are rare.
    assert server.count(429) <= 64 + 0.08 * n
    late = [status for at, status in server.statuses if at > server.statuses[0][0] + 1.0]
    assert late.count(429) <= 0.08 * n


def simulated(rate, burst, retry_after, n, latency=0.05, in_flight=64):
    """Seconds and refusals for n calls against a token bucket, in simulated time: the real `Pace`, no sockets."""
    rng, pace, learned = random.Random(1), Pace(), Bucket(1.0, 1.0, 0.0)
    pace._jitter.seed(1)
    now, level, refilled, flying, done, refused, due, count = 0.0, burst, 0.0, [], 0, 0, n, 0
    while done < n:
        delay = None
        if due and len(flying) < in_flight:
            pace_rate = pace.rate(now)
            delay = pace.paused_until - now
            if pace_rate is not None:
                learned.change(pace_rate, max(1.0, pace_rate * 0.02), now)
                delay = max(delay, learned.delay(1.0, now))
        if delay is not None and delay <= 0:
            if pace.rate(now) is not None:
                learned.take(1.0, now)
            pace.went_out(now)
            arrival = now + rng.uniform(0, 0.002)
            level, refilled = min(burst, level + max(0.0, arrival - refilled) * rate), max(refilled, arrival)
            admitted = level >= 1
            level -= admitted
            due, count = due - 1, count + 1
            heapq.heappush(flying, (arrival + (latency if admitted else 0.005), count, admitted, pace.epoch))
            now += 0.0005
            continue
        wake = [now + min(delay, 0.5) + rng.uniform(0, 0.001)] if delay is not None else []
        if flying and (not wake or flying[0][0] <= wake[0]):
            at, _, admitted, epoch = heapq.heappop(flying)
            now = max(now, at)
            if admitted:
                done += 1
                pace.was_accepted(epoch)
            else:
                refused, due = refused + 1, due + 1
                pace.was_refused(epoch, retry_after, now)
        else:
            now = max(now, wake[0])
    return now, refused


@pytest.mark.parametrize(
    ("rate", "burst", "retry_after", "n", "share"),
    [
        (40, 40, 1.0, 4000, 0.85),
        (40, 10, 1.0, 4000, 0.75),
        (40, 1, None, 4000, 0.6),
        (200, 200, 1.0, 4000, 0.85),
        (5, 5, 1.0, 2000, 0.85),
        (0.5, 1, 2.0, 300, 0.6),
        (10, 600, 30.0, 3000, 0.85),
    ],
)
def test_the_learned_rate_comes_near_to_the_servers_in_the_long_run(rate, burst, retry_after, n, share):
    seconds, refused = simulated(rate, burst, retry_after, n)
    assert n / seconds >= share * rate
    assert refused <= 64 + 0.06 * n + 60


def test_without_refusals_there_is_no_pace():
    pace = Pace()
    for k in range(100):
        pace.went_out(k / 100)
        pace.was_accepted(pace.epoch)
    assert pace.rate(1.0) is None


def test_many_refusals_of_one_burst_pause_once():
    pace = Pace()
    for _ in range(64):
        pace.went_out(0.0)
    for _ in range(44):
        pace.was_refused(0, None, 0.1)
    assert pace.epoch == 1
    assert pace.paused_until < 0.1 + 0.7
    assert pace.rate(0.2) == pytest.approx(20 * 0.95)


def test_a_bucket_goes_into_debt_for_what_is_larger_than_it():
    bucket = Bucket(rate=10.0, capacity=5.0, now=0.0)
    assert bucket.delay(50.0, 0.0) == 0
    bucket.take(50.0, 0.0)
    assert bucket.delay(1.0, 0.0) == pytest.approx(4.6)
    bucket.take(-40.0, 0.0)  # it took less than expected
    assert bucket.delay(1.0, 0.0) == pytest.approx(0.6)


def test_a_budget_of_calls_is_never_exceeded(server):
    model = OpenAIModel("m", base_url=server.url, budget_calls=10)
    with pytest.raises(BudgetSpent, match="10 calls"):
        model.generate(["a"] * 30)
    with pytest.raises(BudgetSpent):
        model.generate(["a"])
    assert len(server.received) <= 10
    assert model.spent.calls == 10


@pytest.mark.parametrize(
    "budget", [{"budget_tokens": 250}, {"budget_money": 0.00025, "price_prompt": 1.0, "price_completion": 1.0}]
)
def test_a_budget_of_tokens_or_money_stops_further_calls(server, budget):
    model = OpenAIModel("m", base_url=server.url, **budget)
    for _ in range(3):  # 120 tokens each
        model.generate(["a"])
    with pytest.raises(BudgetSpent):
        model.generate(["a"])
    assert len(server.received) == 3
