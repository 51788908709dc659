"""How fast and how many calls go out: one throttle for all callers of one endpoint.

Three limits are given (requests, tokens, calls in flight) and one is learned: when the endpoint answers "too many requests",
everybody pauses, and then goes on at the rate that the endpoint was seen to accept. So a refusal costs one pause, not a storm.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from plaudit.lm._errors import ModelRateLimited
from plaudit.lm._pace import Pace

_LONGEST_NAP = 0.5  # seconds; a sleeper looks again, because limits change while it sleeps
_SLEEP_ERROR = 0.001  # seconds by which an event loop wakes late: a call that is due waits for the rest of its time awake


class Bucket:
    """A token bucket: `rate` units a second, saved up to `capacity`; an amount above the capacity goes into debt."""

    __slots__ = ("_at", "_level", "capacity", "rate")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._level = capacity
        self._at = now

    def delay(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken; 0 = now.

        >>> bucket = Bucket(rate=2.0, capacity=1.0, now=0.0)
        >>> bucket.take(1.0, now=0.0)
        >>> bucket.delay(1.0, now=0.0)
        0.5
        """
        self._refill(now)
        short = min(amount, self.capacity) - self._level
        # A rounding error must not make a sleeper that slept its time sleep again.
        return short / self.rate if short > 1e-9 * self.capacity else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take the amount; a negative one is given back."""
        self._refill(now)
        self._level = min(self.capacity, self._level - amount)

    def _refill(self, now: float) -> None:
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now


@dataclass(slots=True)
class Ticket:
    """A call that was let out: in which epoch of the pace, as which call of it, with how many tokens booked."""

    epoch: int
    number: int
    tokens: float


class Throttle:
    """Lets calls out in the order in which they came; lives on one event loop.

    Fields:
        requests_per_minute, tokens_per_minute: None = no limit of our own.
        max_in_flight: calls that wait for their answer at the same time.
        longest_pause: seconds; an endpoint that asks for more is given up on at once.
    """

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None, max_in_flight: int, longest_pause: float
    ) -> None:
        now = time.monotonic()
        self._slots = asyncio.Semaphore(max_in_flight)
        self._turn = asyncio.Lock()
        self._requests = _per_minute(requests_per_minute, 1.0, now)
        self._tokens = _per_minute(tokens_per_minute, 6.0, now)
        self._longest_pause = longest_pause
        self.pace = Pace()

    async def admit(self, tokens: float) -> Ticket:
        """Wait until one more call may go out; give the ticket back with `release`.

        Raises ModelRateLimited when the endpoint asked for a longer pause than allowed.
        """
        await self._slots.acquire()
        try:
            async with self._turn:
                while (delay := self._delay(tokens, time.monotonic())) > 0:
                    await asyncio.sleep(min(delay - _SLEEP_ERROR, _LONGEST_NAP) if delay > 2 * _SLEEP_ERROR else 0)
                return self._let_out(tokens, time.monotonic())
        except BaseException:
            self._slots.release()
            raise

    def release(self, ticket: Ticket, tokens: float | None = None) -> None:
        """The call is over; `tokens` is what it really took, None = not known."""
        self._slots.release()
        if self._tokens is not None and tokens is not None:
            self._tokens.take(tokens - ticket.tokens, time.monotonic())

    def _delay(self, tokens: float, now: float) -> float:
        pause = self.pace.paused_until - now
        if pause > self._longest_pause:
            raise ModelRateLimited(
                f"the endpoint asks to wait for another {pause:.0f} s, more than max_retry_after={self._longest_pause:g} s",
                status=429,
            )
        delays = [pause, self.pace.delay(now)]
        if self._requests is not None:
            delays.append(self._requests.delay(1.0, now))
        if self._tokens is not None:
            delays.append(self._tokens.delay(tokens, now))
        return max(delays)

    def _let_out(self, tokens: float, now: float) -> Ticket:
        if self._requests is not None:
            self._requests.take(1.0, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        return Ticket(self.pace.epoch, self.pace.went_out(now), tokens)


def _per_minute(limit: float | None, seconds: float, now: float) -> Bucket | None:
    """A bucket that holds what the limit gives in so many seconds."""
    return None if limit is None else Bucket(limit / 60, max(1.0, limit / 60 * seconds), now)
