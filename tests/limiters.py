"""Rate limits as servers keep them, and calls against them in simulated time: the real `Pace`, no sockets."""

from __future__ import annotations

import heapq
import random
from collections import deque

from plaudit.lm._pace import Pace


class TokenBucket:
    """At most `rate` a second, `burst` at once."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self._level, self._at = rate, burst, burst, 0.0

    def admits(self, now):
        self._level = min(self.burst, self._level + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        admitted = self._level >= 1
        self._level -= admitted
        return admitted


class FixedWindow:
    """So many in each window of time, counted from 0 at its start."""

    def __init__(self, rate, window=1.0):
        self.rate, self._most, self._window, self._number, self._count = rate, rate * window, window, -1, 0

    def admits(self, now):
        number = int(now / self._window)
        if number != self._number:
            self._number, self._count = number, 0
        self._count += 1
        return self._count <= self._most


class SlidingWindow:
    """So many in any window of time."""

    def __init__(self, rate, window=1.0):
        self.rate, self._most, self._window, self._times = rate, rate * window, window, deque()

    def admits(self, now):
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        if len(self._times) + 1 > self._most:
            return False
        self._times.append(now)
        return True


def simulated(limiter, seconds, retry_after=None, latency=0.2, trip=0.005, late=0.0003, in_flight=64):
    """Instant of arrival and whether admitted, for each call of a demand without an end; a loop wakes `late` seconds late."""
    rng, pace = random.Random(1), Pace()
    pace._jitter.seed(1)
    now, flying, events = 0.0, [], []
    while now < seconds:
        delay = max(pace.paused_until - now, pace.delay(now)) if len(flying) < in_flight else None
        if delay is not None and delay <= 0:
            number, arrival = pace.went_out(now), now + trip / 2 + rng.uniform(0, 0.0003)
            admitted = limiter.admits(arrival)
            events.append((arrival, admitted))
            done = arrival + (latency if admitted else trip / 2)
            heapq.heappush(flying, (done, len(events), admitted, pace.epoch, number))
            now += 0.0002
            continue
        wake = None if delay is None else now + min(delay, 0.5) + rng.uniform(0, late)
        if flying and (wake is None or flying[0][0] <= wake):
            at, _, admitted, epoch, number = heapq.heappop(flying)
            now = max(now, at)
            if not admitted:
                pace.was_refused(epoch, number, retry_after, now)
        else:
            now = max(now, wake)
    return events
