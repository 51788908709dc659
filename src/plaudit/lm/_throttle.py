"""How fast and how many calls go out: one throttle for all callers of one endpoint.

Three limits are given (requests, tokens, calls in flight) and one is learned: when the endpoint answers "too many requests",
everybody pauses, and then goes on at the rate that the endpoint was seen to accept. So a refusal costs one pause, not a storm.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass

from plaudit.lm._errors import ModelRateLimited

_LONGEST_NAP = 0.5  # seconds; a sleeper looks again, because limits change while it sleeps
_WINDOW = 10.0  # seconds over which the accepted rate is measured
_MARGIN = 0.95  # share of the accepted rate to go on with
_FIRST_HOLD, _LONGEST_HOLD = 10.0, 120.0  # seconds at that rate before trying for more
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds, where the endpoint does not say how long


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

    def change(self, rate: float, capacity: float, now: float) -> None:
        """Go on with another rate; what is saved up stays, as far as it fits."""
        self._refill(now)
        self.rate, self.capacity = rate, capacity
        self._level = min(self._level, capacity)

    def _refill(self, now: float) -> None:
        self._level = min(self.capacity, self._level + (now - self._at) * self.rate)
        self._at = now


@dataclass(slots=True)
class Ticket:
    """A call that was let out: in which epoch of the pace, with how many tokens booked."""

    epoch: int
    tokens: float


class Pace:
    """The rate that an endpoint accepts, learned from its refusals; no limit until the first.

    Refusals of calls that went out before the last slowing-down belong to the same epoch: they sharpen the measurement and
    slow nothing down twice. After a hold the rate grows again, slowly at first (a cubic, as in "CUBIC: A New TCP-Friendly
    High-Speed TCP Variant"); when that meets the same limit again, the next hold is twice as long.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.paused_until = 0.0
        self._ceiling: float | None = None
        self._previous = float("inf")
        self._sent: deque[float] = deque(maxlen=4096)
        self._measured = (0, 1.0)
        self._refused = 0
        self._streak = 0
        self._hold = _FIRST_HOLD
        self._jitter = random.Random()

    def rate(self, now: float) -> float | None:
        """Calls a second; None = as many as there are."""
        if self._ceiling is None:
            return None
        beyond = max(0.0, now - self.paused_until - self._hold) / _WINDOW
        return self._ceiling * (_MARGIN + beyond**3)

    def went_out(self, now: float) -> None:
        """A call goes out now."""
        self._sent.append(now)

    def was_accepted(self, epoch: int) -> None:
        """A call of that epoch was not refused."""
        if epoch == self.epoch:
            self._streak = 0

    def was_refused(self, epoch: int, retry_after: float | None, now: float) -> None:
        """A call of that epoch was refused; `retry_after` is the pause in seconds that the endpoint asks for."""
        if epoch == self.epoch:
            self._slow_down(retry_after, now)
        elif retry_after is not None:
            self.paused_until = max(self.paused_until, now + retry_after)
        if epoch >= self.epoch - 1:
            self._refused += 1
            sent, span = self._measured
            self._ceiling = min(self._previous, max(1, sent - self._refused) / span)

    def _slow_down(self, retry_after: float | None, now: float) -> None:
        before, ceiling = self.rate(now), self._ceiling
        same_limit = before is not None and ceiling is not None and before < 1.5 * ceiling
        self._hold = min(_LONGEST_HOLD, 2 * self._hold) if same_limit else _FIRST_HOLD
        self._previous = float("inf") if before is None else before
        recent = [at for at in self._sent if at > now - _WINDOW]
        self._measured = (len(recent), max(1.0, now - recent[0]) if recent else 1.0)
        self._sent.clear()
        self._refused = 0
        self._streak += 1
        self.epoch += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._streak - 1, 20)) * self._jitter.uniform(0.75, 1.25)
        self.paused_until = max(self.paused_until, now + (pause if retry_after is None else retry_after))


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
        self._learned = Bucket(1.0, 1.0, now)
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
                    await asyncio.sleep(min(delay, _LONGEST_NAP))
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
        delays = [pause]
        if self._requests is not None:
            delays.append(self._requests.delay(1.0, now))
        if self._tokens is not None:
            delays.append(self._tokens.delay(tokens, now))
        rate = self.pace.rate(now)
        if rate is not None:
            # A tenth of a second may be saved up: an event loop does not wake to the millisecond.
            self._learned.change(rate, max(1.0, rate / 10), now)
            delays.append(self._learned.delay(1.0, now))
        return max(delays)

    def _let_out(self, tokens: float, now: float) -> Ticket:
        if self._requests is not None:
            self._requests.take(1.0, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        if self.pace.rate(now) is not None:
            self._learned.take(1.0, now)
        self.pace.went_out(now)
        return Ticket(self.pace.epoch, tokens)


def _per_minute(limit: float | None, seconds: float, now: float) -> Bucket | None:
    """A bucket that holds what the limit gives in so many seconds."""
    return None if limit is None else Bucket(limit / 60, max(1.0, limit / 60 * seconds), now)
