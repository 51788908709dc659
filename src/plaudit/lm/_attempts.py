"""From one request to its reply, however many attempts it takes, and what they cost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

from plaudit.lm._budget import Tally
from plaudit.lm._endpoint import AttemptFailed, Endpoint, Form, Reply
from plaudit.lm._errors import AbilityMissing, CallError, DeadlinePassed, ModelReplyError
from plaudit.lm._phrasing import Request, learned, phrased, refused_ability
from plaudit.types import Cost

if TYPE_CHECKING:
    from plaudit.lm._openai import OpenAIModel

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.5, 30.0  # seconds
_NONSENSE_RETRIES = 2
_log = logging.getLogger("plaudit.lm")
_jitter = random.Random()
R = TypeVar("R", bound=Reply)


async def answered(
    model: OpenAIModel, spent: Tally, endpoint: Endpoint, form: Form[R], request: Request, deadline: float | None
) -> tuple[R, Cost]:
    """The reply to a request and what it cost; `spent` is the running total that the model's budget is held against.

    Raises a CallError that carries the cost.
    """
    attempts, begin = _Attempts(model, spent, endpoint), time.monotonic()
    try:
        async with asyncio.timeout_at(deadline) as scope:
            reply = await attempts.reply(form, request)
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

    async def reply(self, form: Form[R], request: Request) -> R:
        model = self._model
        place = f"{model.version} at {model.effective_base_url}"
        while True:
            said = phrased(request, self._endpoint, model.structured)
            try:
                return await self._once(form, said)
            except AttemptFailed as failure:
                if learned(said, failure, self._endpoint, model.structured):
                    _log.info("%s: %s; asking in other words from now on", place, failure.message)
                    continue
                self._failures += 1
                if not self._goes_on(failure):
                    raise self._ending(place, said, failure) from None
                # After "too many requests" the throttle makes everybody wait.
                pause = 0.0 if failure.refused else _back_off(self._failures, failure.retry_after)
                _log.info("%s: attempt %d failed: %s; again in %.1f s", place, self._failures, failure.message, pause)
            await asyncio.sleep(pause)

    async def _once(self, form: Form[R], request: Request) -> R:
        model = self._model
        most = getattr(request, "max_tokens", 0)
        reply = await self._endpoint.attempt(
            form, request.encode(), most, model.timeout, model.largest_reply, self._going_out
        )  # fmt: skip
        if reply.usage is not None:
            for total in (self.tally, self._spent):
                total.tokens += reply.usage.prompt_tokens + reply.usage.completion_tokens
                total.money += model.prices.of(reply.usage)
        return reply

    def _going_out(self) -> None:
        """Count the call, at the moment when it is sent. Raises BudgetSpent when the budget is."""
        self._model.budget.check(self._spent, self._model.version)
        self.tally.calls += 1
        self._spent.calls += 1

    def _goes_on(self, failure: AttemptFailed) -> bool:
        if not failure.retry or self._failures > self._model.max_retries:
            return False
        if failure.error is ModelReplyError and self._failures > _NONSENSE_RETRIES:
            return False
        if failure.retry_after is not None and failure.retry_after > self._model.max_retry_after:
            return False
        down_since = self._endpoint.down_since
        return down_since is None or time.monotonic() - down_since < self._model.patience

    def _ending(self, place: str, request: Request, failure: AttemptFailed) -> CallError:
        attempts = "" if self._failures == 1 else f" (attempt {self._failures}, the last)"
        ability = refused_ability(request, failure)
        if ability is not None:
            return AbilityMissing(f"{place} lacks the ability {ability!r}: {failure.message}", status=failure.status)
        return failure.error(f"{place}: {failure.message}{attempts}", status=failure.status)


def _back_off(failures: int, retry_after: float | None) -> float:
    """Seconds to wait before the next attempt: doubling, jittered, not below what the endpoint asks for."""
    doubling: float = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2.0 ** min(failures - 1, 20))
    return max(doubling * _jitter.uniform(0.5, 1.0), retry_after or 0.0)
