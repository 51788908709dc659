"""What `servers.ChatServer` can do with a request, good and bad.

The server's tokens are the characters' code points, and the log-probability of one is `logprob_of` it and the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from plaudit.wire import (
    ChatReply,
    ChatRequest,
    Choice,
    Fault,
    TextChoice,
    TextLogprobs,
    TextReply,
    TextRequest,
    TokenizeReply,
    TokenizeRequest,
    TokenLogprob,
    Usage,
)

if TYPE_CHECKING:
    from servers import ChatServer, Connection

OPENING = 2  # the special token in front of a text


def logprob_of(token: int, before: int) -> float:
    """What this server's model says of a token behind another."""
    return -0.01 - (token * 31 + before * 17) % 97 / 50


def logprobs_of(tokens: Sequence[int]) -> list[float | None]:
    """The log-probabilities of tokens; the first one has none."""
    return [None, *(logprob_of(token, before) for before, token in pairwise(tokens))]


def rendered(request: TokenizeRequest) -> list[int]:
    """The tokens of a text, or of a conversation in this server's chat template."""
    if isinstance(request.prompt, str):
        return [OPENING] * request.special + [ord(c) for c in request.prompt]
    text = "".join(f"<{message['role']}>{message['content']}" for message in request.prompt)
    return [OPENING, *(ord(c) for c in text + "<assistant>")]


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    number: int
    at: float
    headers: Mapping[str, str]
    body: bytes
    path: str
    request: ChatRequest | TextRequest | TokenizeRequest
    in_flight: int

    @property
    def prompt(self) -> str:
        if not isinstance(self.request, ChatRequest):
            return str(self.request.prompt)
        return "\n".join(str(message.get("content")) for message in self.request.messages)


class Reaction:
    """What the server does with a request: it writes to the connection, and says whether the connection lives on."""

    async def act(self, wire: Connection, received: Received) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Say(Reaction):
    """A good reply after `delay` seconds; a number in `usage` for the prompt's and the completion's tokens."""

    text: str | None
    delay: float = 0.0
    finish: str | None = "stop"
    refusal: str | None = None
    reasoning: str | None = None
    choices: int | None = None
    usage: tuple[int, int] | None = (100, 20)

    async def act(self, wire: Connection, received: Received) -> bool:
        await asyncio.sleep(self.delay)
        request = received.request
        if isinstance(request, TokenizeRequest):
            await wire.answer(200, TokenizeReply(tuple(rendered(request))).encode())
            return True
        count = request.n if self.choices is None else self.choices
        usage = None if self.usage is None else Usage(*self.usage)
        reply: ChatReply | TextReply
        if isinstance(request, ChatRequest):
            chosen = self._chosen(request, wire.server)
            reply = ChatReply(request.model, (chosen,) * count, usage, id=f"chatcmpl-{received.number}", created=1)
        else:
            reply = TextReply(request.model, (self._continued(request, wire.server),) * count, self._usage(request))
        await wire.answer(200, reply.encode())
        return True

    def _chosen(self, request: ChatRequest, server: ChatServer) -> Choice:
        logprobs = None
        if request.logprobs and server.gives_logprobs:
            names = _names(self.text or "", request.extra)
            numbers = logprobs_of([OPENING, *map(ord, self.text or "")])[1:]
            logprobs = tuple(TokenLogprob(name, x) for name, x in zip(names, numbers, strict=True) if x is not None)
        return Choice(self.text, self.finish, self.refusal, self.reasoning, logprobs=logprobs)

    def _continued(self, request: TextRequest, server: ChatServer) -> TextChoice:
        """The text behind the prompt, no longer than asked for."""
        before = [OPENING, *map(ord, request.prompt)] if isinstance(request.prompt, str) else request.prompt
        text = (self.text or "")[: request.max_tokens]
        whole = [*before, *map(ord, text)]
        scores, logprobs, of_prompt = logprobs_of(whole), None, None
        shown = "".join(map(chr, before)) + text if request.echo else text
        if request.logprobs is not None and server.gives_logprobs and (not request.echo or server.scores):
            first = 0 if request.echo else len(before)
            logprobs = TextLogprobs(tuple(_names("".join(map(chr, whole[first:])), request.extra)), tuple(scores[first:]))
        if request.prompt_logprobs is not None and server.scores:
            pairs = zip(before, scores[: len(before)], strict=True)
            of_prompt = tuple(None if x is None else {token: x, token + 1: -9.0} for token, x in pairs)
        return TextChoice(shown, self.finish, logprobs, of_prompt)

    def _usage(self, request: TextRequest) -> Usage | None:
        if self.usage is None:
            return None
        return Usage(len(request.prompt), self.usage[1]) if isinstance(request.prompt, list) else Usage(*self.usage)


def _names(text: str, extra: Mapping[str, object]) -> list[str]:
    """What the tokens of a text are called."""
    return [f"token_id:{ord(c)}" if extra.get("return_tokens_as_token_ids") else c for c in text]


@dataclass(frozen=True)
class Status(Reaction):
    """An error status with an error body."""

    code: int
    fault: Fault = field(default_factory=lambda: Fault("as told"))
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0

    async def act(self, wire: Connection, received: Received) -> bool:
        await asyncio.sleep(self.delay)
        await wire.answer(self.code, self.fault.encode(), self.headers)
        return True


@dataclass(frozen=True)
class Body(Reaction):
    """Any bytes as the body of a status 200."""

    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def act(self, wire: Connection, received: Received) -> bool:
        await wire.answer(200, self.body, {"content-type": self.content_type, **self.headers})
        return True


@dataclass(frozen=True)
class Stall(Reaction):
    """Nothing for `seconds`, then the line goes dead."""

    seconds: float = 30.0

    async def act(self, wire: Connection, received: Received) -> bool:
        await asyncio.sleep(self.seconds)
        return False


@dataclass(frozen=True)
class HangUp(Reaction):
    """The connection closes without a word."""

    async def act(self, wire: Connection, received: Received) -> bool:
        return False


@dataclass(frozen=True)
class Half(Reaction):
    """Half a JSON: the connection closes in the middle of the body that was announced."""

    async def act(self, wire: Connection, received: Received) -> bool:
        body = ChatReply("m", (Choice("a reply that breaks off"),)).encode()
        await wire.write(wire.head(200, len(body)) + body[: len(body) // 2])
        return False


@dataclass(frozen=True)
class Drip(Reaction):
    """A good reply, one byte at a time."""

    pause: float = 0.05

    async def act(self, wire: Connection, received: Received) -> bool:
        body = ChatReply("m", (Choice("slow"),)).encode()
        await wire.write(wire.head(200, len(body)))
        for k in range(len(body)):
            await wire.write(body[k : k + 1])
            await asyncio.sleep(self.pause)
        return True


@dataclass(frozen=True)
class Flood(Reaction):
    """A body without an end, in chunks; `announced` puts a length into the head instead."""

    announced: int | None = None
    most: int = 64 * 1024 * 1024

    async def act(self, wire: Connection, received: Received) -> bool:
        head = wire.head(200, self.announced)
        await wire.write(head)
        chunk = b"x" * 65536
        for _ in range(self.most // len(chunk)):
            wire.flooded += len(chunk)
            await wire.write(chunk if self.announced is not None else b"%x\r\n%s\r\n" % (len(chunk), chunk))
        return False
