"""The rate that an endpoint accepts, found out from its refusals."""

from __future__ import annotations

import random
from collections import deque
from math import sqrt

_SHORTEST_WINDOW, _LONGEST_WINDOW = 1.0, 10.0  # seconds over which the accepted rate is measured
_ENOUGH_CALLS = 10  # that the window should hold
_MARGIN = 0.95  # share of the accepted rate to go on with
_NARROW = 1.15  # ratio of a refused rate to an accepted one that needs no further search
_SLOWEST = 0.05  # calls a second
_FIRST_RATE = 4.0  # at least, after the first refusal: a burst that is refused whole says little
_FIRST_HOLD, _LONGEST_HOLD = 2.0, 120.0  # seconds at a rate before trying for more
_CALLS_PER_HOLD = 5  # at least, that put a rate to the test
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds, where the endpoint does not say how long


class Pace:
    """The rate that an endpoint accepts, learned from its refusals; no limit until the first.

    The first refusal sets the rate to what was accepted so far. A rate is held for a while; then it grows, slowly at first
    (a cubic, as in "CUBIC: A New TCP-Friendly High-Speed TCP Variant"), until the next refusal, which brackets the limit: it
    lies between the last rate that survived its hold and the one that was refused. The rate goes on in the middle of a wide
    bracket, and at the lower end of a narrow one, for twice as long as before. Refusals of calls that went out before a
    slowing-down slow nothing down a second time.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.paused_until = 0.0
        self._steady: float | None = None
        self._good = 0.0
        self._hold = _FIRST_HOLD
        self._sent: deque[float] = deque(maxlen=4096)
        self._measured: tuple[int, float] | None = None
        self._streak = 0
        self._misses = 0
        self._jitter = random.Random()

    def rate(self, now: float) -> float | None:
        """Calls a second; None = as many as there are."""
        if self._steady is None:
            return None
        hold = self._holds(self._steady)
        beyond = max(0.0, now - self.paused_until - hold) / hold
        return self._steady * (1 + beyond**3)

    def _holds(self, rate: float) -> float:
        """Seconds to stay at a rate: long enough that several calls put it to the test."""
        return max(self._hold, _CALLS_PER_HOLD / rate)

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
            self._slow_down(now)
            self._pause(retry_after, now)
        elif retry_after is not None:
            self.paused_until = max(self.paused_until, now + retry_after)
        if self._measured is not None and epoch >= self.epoch - 1:
            sent, span = self._measured = (self._measured[0] - 1, self._measured[1])
            self._steady = max(_FIRST_RATE if self.epoch == 1 else _SLOWEST, _MARGIN * sent / span)

    def _slow_down(self, now: float) -> None:
        refused = self.rate(now)
        sent, span = self._lately(now)
        self._measured = None
        if refused is None or self._steady is None:
            self._measured = (sent, max(span, _SHORTEST_WINDOW))
        elif span >= _SHORTEST_WINDOW and sent / span < refused / 2:
            # Fewer calls went out than the pace allowed: only what was sent is known to be too much.
            self._measured = (sent, span)
            self._good, self._hold = 0.0, _FIRST_HOLD
        else:
            self._bracket(self._steady, refused, survived=now - self.paused_until > self._holds(self._steady))
        self._sent.clear()
        self.epoch += 1

    def _bracket(self, steady: float, refused: float, survived: bool) -> None:
        self._misses = 0 if survived else self._misses + 1
        if survived:
            self._good = steady
        elif self._misses > 2:
            self._good /= 2  # the limit has come down
        elif refused <= 1.01 * self._good:
            self._good *= 0.9  # it survived on what the endpoint had saved up
        if refused <= _NARROW * self._good:
            self._steady = self._good
            self._hold = min(_LONGEST_HOLD, 2 * self._hold)
        else:
            self._steady = max(_SLOWEST, sqrt(self._good * refused) if self._good else refused / 2)
            self._hold = max(_FIRST_HOLD, self._hold / 2)

    def _pause(self, retry_after: float | None, now: float) -> None:
        self._streak += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._streak - 1, 20)) * self._jitter.uniform(0.75, 1.25)
        self.paused_until = max(self.paused_until, now + (pause if retry_after is None else retry_after))

    def _lately(self, now: float) -> tuple[int, float]:
        """How many calls went out since the last pause, within a window that holds enough of them, and how long that is."""
        count, age = 0, 0.0
        for at in reversed(self._sent):
            if now - at > _LONGEST_WINDOW or (age > _SHORTEST_WINDOW and count >= _ENOUGH_CALLS):
                break
            count, age = count + 1, now - at
        return count, age
