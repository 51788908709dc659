"""The rate that an endpoint accepts, found out from its refusals."""

from __future__ import annotations

import random
from math import exp, log

# Before the first refusal nothing is known: a handful goes out at once, then ever more in a second, without a limit soon.
_FIRST_CALLS, _FIRST_PER_SECOND, _DOUBLES_IN = 16.0, 200.0, 0.1
_SLOWEST_GUESS = 16.0  # calls a second, after the first refusal: a burst that is refused whole says little
_SHARE = 0.01  # of calls that may be refused, in the long run
_EAGER_SHARE = 0.2  # while the rate is not known well
_PAUSED_SHARE = 1 / 30  # of the time that may go into pauses that the endpoint asks for
_FIRST_STEP, _FINEST_STEP, _LARGEST_STEP = 0.5, 0.02, 0.7  # logarithm of the factor by which a refusal slows down
_GROWTH = 1.4  # most, of the rate's logarithm in a second: it doubles in half a second
_IMPATIENCE = 30.0  # most times faster, when there was no refusal for long
_SPAN = 2.0  # seconds over which the accepted rate is averaged
_ABOVE_ACCEPTED = 1.2  # most times the accepted rate, after a refusal
_READY = 0.7  # of a call that is saved up after a single refusal: the endpoint's next place is nearly there
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 30.0  # seconds, where the endpoint does not say how long, from the second refusal in a row


class Pace:
    """How many calls a second go out; no limit but a soft start until the first refusal.

    Each refusal slows down by a step, each call that goes out speeds up by a small share of it, so that about one call in a
    hundred is refused whatever kind of limit there is: "A Stochastic Approximation Method" (Robbins and Monro), on the logarithm
    of the rate. The step becomes smaller while refusals come as seldom as they should, and larger when they do not. An endpoint
    that asks for pauses makes refusals dear: they are then as rare as costs a thirtieth of the time, and what was accepted
    between two of them bounds the rate from below. Refusals of calls that went out before a slowing-down count as one.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.paused_until = 0.0
        self._rate: float | None = None
        self._step = _FIRST_STEP
        self._saved, self._saved_at = _FIRST_CALLS, 0.0
        self._began: float | None = None  # the first call of all
        self._epoch_began: float | None = None
        self._out = 0  # calls of this epoch
        self._before = (0, 1.0)  # calls of the last epoch that are not refused, and its seconds
        self._refused_before = 0
        self._bends = 0  # refusals that slowed a known rate down
        self._asked_pause = 0.0
        self._streak = 0
        self._last = 0.0
        self._accepted = 0.0  # decaying sum
        self._jitter = random.Random()

    @property
    def rate(self) -> float | None:
        """Calls a second; None = not known, as many as there are."""
        return self._rate

    def delay(self, now: float) -> float:
        """Seconds until one more call may go out, pauses apart; 0 = now."""
        self._save(now)
        return 0.0 if self._saved >= 1 - 1e-9 else (1 - self._saved) / self._speed(now)

    def went_out(self, now: float) -> int:
        """A call goes out now; returns which one of the epoch it is, from 1."""
        if self._began is None:
            self._began = now
        if self._epoch_began is None:
            self._epoch_began = now
        self._save(now)
        self._saved -= 1
        self._out += 1
        if self._rate is not None:
            share = self._share()
            patience_lost = min(_IMPATIENCE, (self._out * share / 4) ** 2)
            self._rate *= exp(min(self._step * share * (1 + patience_lost), _GROWTH * (now - self._last)))
        self._accepted = self._accepted * exp(-(now - self._last) / _SPAN) + 1
        self._last = now
        return self._out

    def was_refused(self, epoch: int, number: int, retry_after: float | None, now: float) -> None:
        """The call with that number of that epoch was refused; `retry_after` is the pause that the endpoint asks for."""
        self._accepted -= 1
        if epoch == self.epoch:
            self._slow_down(number - 1, retry_after, now)
            return
        if retry_after is not None:
            self.paused_until = max(self.paused_until, now + retry_after)
        if epoch == self.epoch - 1 and self._rate is not None:
            self._refused_before += 1
            calls, seconds = self._before
            accepted = calls - self._refused_before
            if accepted >= 5 and self._refused_before > 0.1 * calls:
                self._rate = min(self._rate, accepted / seconds)

    def _share(self) -> float:
        """Of the calls that go out, how many may be refused."""
        if self._bends == 0 or self._rate is None:
            return _EAGER_SHARE
        share = max(_SHARE, _EAGER_SHARE / (1 + self._bends))
        return min(share, _PAUSED_SHARE / (self._asked_pause * self._rate)) if self._asked_pause else share

    def _slow_down(self, accepted: int, retry_after: float | None, now: float) -> None:
        """So many calls of this epoch were accepted before the refused one."""
        seconds = max(now - (now if self._epoch_began is None else self._epoch_began), 1e-3)
        if self._rate is None:
            self._rate = max(_SLOWEST_GUESS, accepted / max(seconds, 0.25))
        else:
            self._rate = self._slower(self._rate, accepted, seconds, bool(retry_after), now)
            self._bends += 1
        self._streak = 0 if accepted else self._streak + 1
        self._before, self._refused_before = (self._out, max(seconds, 0.05)), 1
        self._asked_pause = retry_after or 0.0
        self.epoch += 1
        self._out, self._epoch_began = 0, None
        self._save(now)
        self._saved = min(self._saved, 0.0 if self._streak else _READY)
        if retry_after is None and self._streak:
            retry_after = min(_LONGEST_PAUSE, _FIRST_PAUSE * 4.0 ** min(self._streak - 1, 10)) * self._jitter.uniform(0.75, 1.25)
        self.paused_until = max(self.paused_until, now + (retry_after or 0.0))

    def _slower(self, rate: float, accepted: int, seconds: float, paused: bool, now: float) -> float:
        """The rate after a refusal."""
        if accepted == 0:  # the pause before was too short, which says little about the rate
            return rate * exp(-self._step) if self._streak < 3 else rate
        if paused and accepted >= 5:
            least = accepted / (seconds + self._asked_pause)  # also where the endpoint saved nothing up during the pause
            self._step = min(_LARGEST_STEP, max(_FINEST_STEP, 0.5 * log(max(rate / least, 1.0))))
            return max(rate * exp(-self._step), 0.98 * least)
        expected = 1 / self._share()
        if accepted < 0.2 * expected:
            self._step = min(_LARGEST_STEP, 1.5 * self._step)
        elif accepted > 0.5 * expected:
            self._step = max(_FINEST_STEP, 0.6 * self._step)
        rate *= exp(-self._step)
        if accepted < 5 or paused:
            return rate
        began = now if self._began is None else self._began
        mean = self._accepted * exp(-(now - self._last) / _SPAN) / _SPAN / (1 - exp(-max(now - began, 1e-3) / _SPAN))
        return min(rate, _ABOVE_ACCEPTED * mean)

    def _speed(self, now: float) -> float:
        """Calls that may be saved up in a second."""
        if self._rate is not None:
            return self._rate
        since = 0.0 if self._began is None else now - self._began
        return float(_FIRST_PER_SECOND * 2.0 ** min(since / _DOUBLES_IN, 30.0))

    def _save(self, now: float) -> None:
        """A bucket: one call is saved up at most, so that those behind a pause do not come all at once."""
        most = _FIRST_CALLS if self._rate is None else 1.0
        self._saved = min(most, self._saved + (now - self._saved_at) * self._speed(now))
        self._saved_at = now
