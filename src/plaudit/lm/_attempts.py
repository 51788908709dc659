"""From one request to its reply, however many attempts it takes, and what they cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plaudit.lm._endpoint import AttemptFailed, Endpoint
from plaudit.lm._errors import BudgetSpent, CallError, DeadlinePassed, ModelReplyError
from plaudit.lm._structured import ask_for_json
from plaudit.types import Cost
from plaudit.wire import ChatReply, ChatRequest

if TYPE_CHECKING:
    from plaudit.lm._openai import OpenAIModel

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.5, 30.0  # seconds
_NONSENSE_RETRIES = 2
_log = logging.getLogger("plaudit.lm")
_jitter = random.Random()


@dataclass(slots=True)
class Tally:
    """What one or many requests have cost so far; only plaudit's event loop writes it."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def cost(self, seconds: float = 0.0) -> Cost:
        """The sums, with these wall seconds."""
        return Cost(seconds, self.calls, self.tokens, self.money)


async def answered(
    model: OpenAIModel, spent: Tally, endpoint: Endpoint, request: ChatRequest, deadline: float | None
) -> tuple[ChatReply, Cost]:
    """The reply to a request and what it cost; `spent` is the running total that the model's budget is held against.

    Raises a CallError that carries the cost.
    """
    attempts, begin = _Attempts(model, spent, endpoint), time.monotonic()
    try:
        async with asyncio.timeout_at(deadline) as scope:
            reply = await attempts.reply(request)
        return reply, attempts.tally.cost(time.monotonic() - begin)
    except CallError as error:
        error.cost = attempts.tally.cost(time.monotonic() - begin)
        raise
    except TimeoutError as error:
        if not scope.expired():
            raise
        cost = attempts.tally.cost(time.monotonic() - begin)
        raise DeadlinePassed(f"{model.version}: the deadline passed before the answer came", cost=cost) from error


class _Attempts:
    """The attempts at one request."""

    def __init__(self, model: OpenAIModel, spent: Tally, endpoint: Endpoint) -> None:
        self._model = model
        self._spent = spent
        self._endpoint = endpoint
        self._failures = 0
        self.tally = Tally()

    async def reply(self, request: ChatRequest) -> ChatReply:
        place = f"{self._model.version} at {self._model.effective_base_url}"
        while True:
            phrased = self._phrased(request)
            try:
                return await self._once(phrased)
            except AttemptFailed as failure:
                if self._learned(phrased, failure):
                    _log.info("%s: %s; asking in other words from now on", place, failure.message)
                    continue
                self._failures += 1
                if not self._goes_on(failure):
                    attempts = "" if self._failures == 1 else f" (attempt {self._failures}, the last)"
                    raise failure.error(f"{place}: {failure.message}{attempts}", status=failure.status) from None
                # After "too many requests" the throttle makes everybody wait.
                pause = 0.0 if failure.refused else _back_off(self._failures, failure.retry_after)
                _log.info("%s: attempt %d failed: %s; again in %.1f s", place, self._failures, failure.message, pause)
            await asyncio.sleep(pause)

    async def _once(self, request: ChatRequest) -> ChatReply:
        model = self._model
        body = request.encode()
        reply = await self._endpoint.attempt(body, request.max_tokens, model.timeout, model.largest_reply, self._going_out)
        if reply.usage is not None:
            prompt, completion = reply.usage.prompt_tokens, reply.usage.completion_tokens
            for total in (self.tally, self._spent):
                total.tokens += prompt + completion
                total.money += (prompt * model.price_prompt + completion * model.price_completion) / 1e6
        return reply

    def _going_out(self) -> None:
        """Count the call, at the moment when it is sent. Raises BudgetSpent when the budget is."""
        model, spent = self._model, self._spent
        for name, used, most in (
            ("calls", spent.calls, model.budget_calls),
            ("tokens", spent.tokens, model.budget_tokens),
            ("money", spent.money, model.budget_money),
        ):
            if most is not None and used >= most:
                raise BudgetSpent(f"{model.version}: the budget of {most:g} {name} is spent ({used:g}); raise budget_{name}")
        self.tally.calls += 1
        spent.calls += 1

    def _goes_on(self, failure: AttemptFailed) -> bool:
        if not failure.retry or self._failures > self._model.max_retries:
            return False
        if failure.error is ModelReplyError and self._failures > _NONSENSE_RETRIES:
            return False
        if failure.retry_after is not None and failure.retry_after > self._model.max_retry_after:
            return False
        down_since = self._endpoint.down_since
        return down_since is None or time.monotonic() - down_since < self._model.patience

    def _phrased(self, request: ChatRequest) -> ChatRequest:
        """The request in the words that this endpoint is known to understand."""
        if request.max_tokens is not None and self._endpoint.max_completion_tokens:
            request = replace(request, max_tokens_member="max_completion_tokens")
        structured = self._model.structured
        if request.schema is None or structured == "json_schema" or (structured == "auto" and self._endpoint.takes_schema):
            return request
        return replace(request, schema=None, messages=ask_for_json(request.messages, request.schema))

    def _learned(self, request: ChatRequest, failure: AttemptFailed) -> bool:
        """Whether the endpoint refused a member of the request that can be put in other words."""
        if failure.status not in (400, 422) or failure.fault is None:
            return False
        said = f"{failure.fault.param} {failure.fault.message}".lower()
        if request.max_tokens is not None and request.max_tokens_member == "max_tokens" and "max_completion_tokens" in said:
            self._endpoint.max_completion_tokens = True
            return True
        if request.schema is not None and self._model.structured == "auto" and _blames_schema(said):
            self._endpoint.takes_schema = False
            return True
        return False


def _back_off(failures: int, retry_after: float | None) -> float:
    """Seconds to wait before the next attempt: doubling, jittered, not below what the endpoint asks for."""
    doubling: float = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2.0 ** min(failures - 1, 20))
    return max(doubling * _jitter.uniform(0.5, 1.0), retry_after or 0.0)


def _blames_schema(said: str) -> bool:
    words = ("response_format", "response format", "json_schema", "structured output", "guided", "grammar")
    return any(word in said for word in words)
