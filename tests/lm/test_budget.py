"""Prices, spending and budgets: shared by concurrent calls, held before each call, passed by no more than is in flight."""

import asyncio

import pytest
from servers import Say, Status

from plaudit.errors import SpecError
from plaudit.lm import BudgetSpent, OpenAIModel
from plaudit.lm._budget import Budget, Prices, Tally
from plaudit.types import Cost
from plaudit.wire import Usage


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


def test_concurrent_calls_share_a_budget_of_calls(server):
    model = OpenAIModel("m", base_url=server.url, budget_calls=10)
    server.react = lambda received: Say("ok", delay=0.05)

    async def all_of_them():
        return await asyncio.gather(*(model.agenerate(["a"]) for _ in range(40)), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert sum(isinstance(r, BudgetSpent) for r in results) == 30
    assert len(server.received) == 10


@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_budget_of_tokens_is_passed_by_no_more_than_is_in_flight(server, in_flight):
    model = OpenAIModel("m", base_url=server.url, budget_tokens=1200, max_in_flight=in_flight)
    server.react = lambda received: Say("ok", delay=0.02)

    async def all_of_them():
        return await asyncio.gather(*(model.agenerate(["a"]) for _ in range(60)), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert any(isinstance(r, BudgetSpent) for r in results)
    assert 1200 <= model.spent.tokens < 1200 + in_flight * 120  # 120 tokens each


def test_a_failed_attempt_counts(server):
    model = OpenAIModel("m", base_url=server.url, budget_calls=2)
    server.react = lambda received: Status(500)
    with pytest.raises(BudgetSpent, match="2 calls"):
        model.generate(["a"])
    assert len(server.received) == 2


def test_the_error_names_the_limit_and_carries_the_cost(server):
    model = OpenAIModel("m", base_url=server.url, budget_money=0.0001, price_prompt=1.0, price_completion=5.0)
    model.generate(["a"])
    with pytest.raises(BudgetSpent, match=r"budget of 0\.0001 money is spent.*raise budget_money") as caught:
        model.generate(["a"])
    assert caught.value.cost.calls == 0
    assert model.spent == Cost(calls=1, tokens=120, money=pytest.approx((100 * 1.0 + 20 * 5.0) / 1e6))


def test_nothing_is_allowed_with_a_budget_of_nothing(server):
    with pytest.raises(BudgetSpent):
        OpenAIModel("m", base_url=server.url, budget_calls=0).generate(["a"])
    assert server.received == []


def test_prices_and_budgets_by_themselves():
    assert Prices(2.0, 10.0).of(Usage(1_000_000, 500_000)) == 7.0
    Budget().check(Tally(10**9, 10**9, 1e9), "m")
    with pytest.raises(BudgetSpent, match="3 calls"):
        Budget(calls=3).check(Tally(calls=3), "m")


@pytest.mark.parametrize("option", [{"price_prompt": -1.0}, {"budget_calls": 1.5}, {"budget_money": float("nan")}])
def test_a_price_or_budget_without_sense_is_refused(option):
    with pytest.raises(SpecError, match=next(iter(option))):
        OpenAIModel("m", **option)
