"""One model at one endpoint: its throttle, its connections, what it is known to understand, and what its answers mean."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Generic, Literal, Protocol, TypeVar

from plaudit.lm._connections import Answer, ConnectionFailed, Connections, TooLarge
from plaudit.lm._errors import BudgetSpent, CallError, ModelRateLimited, ModelRejected, ModelReplyError, ModelUnreachable
from plaudit.lm._throttle import Throttle, Ticket
from plaudit.wire import Fault, Usage, WireError, parse_fault

_RETRIED = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
_MOST_ENDPOINTS = 64
_KEY_REFUSED_SECONDS = 60.0  # for which a key that was refused is not sent again

Structure = Literal["json_schema", "json_object", "prompt"]


class Reply(Protocol):
    """What an endpoint answers: it may say how many tokens it counted."""

    @property
    def usage(self) -> Usage | None: ...


R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class Form(Generic[R]):
    """A format that an endpoint answers in.

    Fields:
        path: behind the base URL.
        name: what a reply is called in errors.
        parse: reads the body of a reply; raises WireError.
    """

    path: str
    name: str
    parse: Callable[[bytes], R]


class AttemptFailed(Exception):
    """One attempt came to nothing.

    Fields:
        error: what it becomes when it is not tried again.
        retry: another attempt may succeed.
        refused: "too many requests": the throttle has been told.
        retry_after: seconds that the endpoint asks for; None = it does not say.
        fault: the endpoint's own words; None = it sent none.
    """

    def __init__(
        self,
        error: type[CallError],
        message: str,
        *,
        retry: bool,
        status: int | None = None,
        refused: bool = False,
        retry_after: float | None = None,
        fault: Fault | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.retry = retry
        self.status = status
        self.refused = refused
        self.retry_after = retry_after
        self.fault = fault


@dataclass(frozen=True, slots=True)
class EndpointKey:
    """What callers must have in common to share an endpoint's throttle and connections."""

    pid: int
    base_url: str
    key_env: str
    key: str | None = field(repr=False)
    model: str
    requests_per_minute: float | None
    tokens_per_minute: float | None
    max_in_flight: int
    max_retry_after: float


class Endpoint:
    """Lives on plaudit's event loop; every model object with the same `EndpointKey` uses the same one.

    Fields:
        structure: how it is asked for JSON: the next way once it refused one.
        max_completion_tokens: it wants that member's new name; True once it refused the old one.
        down_since: instant of the first failure since the last answer; None = it answers.
    """

    def __init__(self, key: EndpointKey) -> None:
        self._key = key
        self._connections = Connections(key.max_in_flight)
        self._users = 0
        self._tokens_per_byte = 0.25
        self._completion_tokens: float | None = None
        self.throttle = Throttle(key.requests_per_minute, key.tokens_per_minute, key.max_in_flight, key.max_retry_after)
        self.structure: Structure = "json_schema"
        self.max_completion_tokens = False
        self.down_since: float | None = None
        self._key_refused: tuple[float, str] | None = None

    @property
    def is_idle(self) -> bool:
        """Nobody waits for it."""
        return self._users == 0

    def close(self) -> None:
        """Close its connections as soon as nobody uses them."""
        self._connections.close()

    async def attempt(
        self, form: Form[R], body: bytes, max_tokens: int | None, timeout: float, largest: int, going_out: Callable[[], None]
    ) -> R:
        """Wait for the throttle, call `going_out`, send the request once, read the reply.

        Raises AttemptFailed; ModelRateLimited when the endpoint asked for too long a pause; what `going_out` raises.
        """
        self._users += 1
        try:
            ticket = await self.throttle.admit(self._expected_tokens(body, max_tokens))
            used = None
            try:
                self._refuse_refused_key()
                going_out()
                answer = await self._post(form.path, body, timeout, largest)
                self._note(answer, ticket)
                reply = self._read(answer, form)
                used = self._learn(body, reply.usage)
                return reply
            finally:
                self.throttle.release(ticket, used)
        finally:
            self._users -= 1

    async def _post(self, path: str, body: bytes, timeout: float, largest: int) -> Answer:
        headers = {} if self._key.key is None else {"authorization": f"Bearer {self._key.key}"}
        try:
            answer = await self._connections.post(self._url(path), body, headers, timeout, largest)
            return self._redacted_answer(answer)
        except TooLarge as error:
            raise AttemptFailed(ModelReplyError, str(error), retry=False) from error
        except TimeoutError:
            message = f"no answer within {timeout:g} s"
        except ConnectionFailed as error:
            message = f"the connection failed: {self._redacted(str(error))}"
        # Outside the handlers: what the transport raised may hold the request with its key.
        if self.down_since is None:
            self.down_since = time.monotonic()
        raise AttemptFailed(ModelUnreachable, message, retry=True)

    def _url(self, path: str) -> str:
        base = self._key.base_url
        # Counting tokens is no part of OpenAI's interface: servers have it beside that, not under it.
        return (base.removesuffix("/v1") if path == "/tokenize" else base) + path

    def _refuse_refused_key(self) -> None:
        """Raise AttemptFailed when this key was refused a moment ago: another call would be refused just so."""
        if self._key_refused is not None:
            at, message = self._key_refused
            if time.monotonic() - at < _KEY_REFUSED_SECONDS:
                raise AttemptFailed(ModelRejected, f"{message}; refused a moment ago, not sent again", retry=False, status=401)
            self._key_refused = None

    def _note(self, answer: Answer, ticket: Ticket) -> None:
        if answer.status < 500:
            self.down_since = None
        elif self.down_since is None:
            self.down_since = time.monotonic()
        if _is_refusal(answer):
            self.throttle.pace.was_refused(ticket.epoch, ticket.number, _retry_after(answer), time.monotonic())

    def _read(self, answer: Answer, form: Form[R]) -> R:
        if 200 <= answer.status < 300:
            try:
                return form.parse(answer.body)
            except WireError as error:
                excerpt = parse_fault(answer.body).message[:120]
                message = f"the answer is no {form.name} reply: {error}; it begins {excerpt!r}"
                raise AttemptFailed(ModelReplyError, message, retry=True, status=answer.status) from None
        raise self._failure(answer)

    def _failure(self, answer: Answer) -> AttemptFailed:
        status = answer.status
        if 300 <= status < 400:
            target = answer.headers.get("location", "nowhere")[:200]
            message = f"status {status}, a redirect to {target!r}: redirects are not followed; set base_url to the final address"
            return AttemptFailed(ModelRejected, message, retry=False, status=status)
        fault = parse_fault(answer.body)
        message = f"status {status}: {fault.message or 'no message'}"
        if status in (401, 403):
            sent = "no API key was sent" if self._key.key is None else "an API key was sent"
            message += f" ({sent}; the environment variable {self._key.key_env} holds it)"
        if status == 401 and self._key.key is not None:
            self._key_refused = (time.monotonic(), message)
        error: type[CallError] = ModelRejected
        retry = status in _RETRIED
        if status == 429:
            error = ModelRateLimited
            if "insufficient_quota" in (fault.code, fault.type):
                error, retry = BudgetSpent, False
        elif status >= 500 or retry:
            error = ModelUnreachable
        refused = _is_refusal(answer) and retry
        return AttemptFailed(
            error, message, retry=retry, status=status, refused=refused, retry_after=_retry_after(answer), fault=fault
        )

    def _redacted(self, text: str) -> str:
        return text if self._key.key is None else text.replace(self._key.key, "[API key]")

    def _redacted_answer(self, answer: Answer) -> Answer:
        """The answer without the key, which a careless server repeats; so that nothing further on can show it."""
        key = self._key.key
        if key is None:
            return answer
        headers = {name: self._redacted(value) for name, value in answer.headers.items()}
        return Answer(answer.status, headers, answer.body.replace(key.encode(), b"[API key]"))

    def _expected_tokens(self, body: bytes, max_tokens: int | None) -> float:
        likely = self._completion_tokens
        if likely is None:
            likely = 512 if max_tokens is None else min(512, max_tokens)
        return len(body) * self._tokens_per_byte + likely

    def _learn(self, body: bytes, usage: Usage | None) -> float | None:
        if usage is None:
            return None
        self._tokens_per_byte += 0.1 * (usage.prompt_tokens / len(body) - self._tokens_per_byte)
        before = self._completion_tokens
        self._completion_tokens = usage.completion_tokens if before is None else before + 0.1 * (usage.completion_tokens - before)
        return usage.prompt_tokens + usage.completion_tokens


def _is_refusal(answer: Answer) -> bool:
    """Whether it means "too many requests": an overloaded server that says when to come again does so with 503."""
    return answer.status in (429, 529) or (answer.status == 503 and _retry_after(answer) is not None)


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the endpoint asks to wait, from ``retry-after-ms`` or ``retry-after``; None = it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = answer.headers.get(name, "").strip()
        try:
            seconds = float(text) * unit
        except ValueError:
            continue
        if isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        when = parsedate_to_datetime(answer.headers.get("retry-after", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


_endpoints: OrderedDict[EndpointKey, Endpoint] = OrderedDict()


def endpoint_for(key: EndpointKey) -> Endpoint:
    """The endpoint that all callers with this key share; call it on plaudit's event loop only."""
    found = _endpoints.get(key)
    if found is None:
        found = _endpoints[key] = Endpoint(key)
    _endpoints.move_to_end(key)
    for old in list(_endpoints):
        if len(_endpoints) <= _MOST_ENDPOINTS:
            break
        if old.pid != os.getpid():
            del _endpoints[old]  # inherited over a fork: its connections belong to the parent
        elif old != key and _endpoints[old].is_idle:
            _endpoints.pop(old).close()
    return found
