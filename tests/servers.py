"""A real HTTP server on the loopback that speaks Chat Completions, Completions and /tokenize, and misbehaves as told.

    with ChatServer(say="4") as server:
        model = OpenAIModel("m", base_url=server.url)

Every request goes to `server.react`, a function from `Received` to one of the reactions below; the server keeps what it
received, when, how many were in flight, what it answered, and which clients hung up before it was done.

Run as a program it serves until its standard input closes and prints its URL first: ``python tests/servers.py --latency 0.02``.
Each line that it is sent is answered with what it counted since the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server_reactions import (
    OPENING,
    Body,
    Drip,
    Flood,
    Half,
    HangUp,
    Reaction,
    Received,
    Say,
    Stall,
    Status,
    logprob_of,
)

from plaudit.wire import (
    ChatRequest,
    Fault,
    TextRequest,
    TokenizeRequest,
    WireError,
    parse_request,
    parse_text_request,
    parse_tokenize_request,
)

__all__ = [
    "OPENING",
    "Body",
    "ChatServer",
    "Drip",
    "Flood",
    "Half",
    "HangUp",
    "Limit",
    "Reaction",
    "Received",
    "Say",
    "Stall",
    "Status",
    "graded",
    "logprob_of",
]


def graded(score: object, reasoning: str = "I checked it against the criteria.") -> str:
    """The text of a judge's verdict."""
    return json.dumps({"reasoning": reasoning, "score": score})


class Connection:
    """The server's end of one connection."""

    def __init__(self, server: ChatServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.flooded = 0

    def head(self, status: int, length: int | None, headers: Mapping[str, str] | None = None) -> bytes:
        lines = {"content-type": "application/json", "connection": "keep-alive", **(headers or {})}
        lines |= {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
        return (f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.server.statuses.append((time.monotonic(), status))
        await self.write(self.head(status, len(body), headers) + body)

    async def read(self) -> tuple[str, dict[str, str], bytes] | None:
        """Path, headers and body of the next request; None when the client has gone."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            return lines[0].split(" ")[1], headers, await self.reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


@dataclass
class Limit:
    """At most `rate` requests a second, `burst` at once; the others get 429, with Retry-After when it is given."""

    rate: float
    burst: float = 1.0
    retry_after: str | None = None
    _level: float | None = None
    _at: float = 0.0

    def admits(self, now: float) -> bool:
        level = self.burst if self._level is None else min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        self._level = level - 1 if level >= 1 else level
        return level >= 1

    def refusal(self) -> Status:
        headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
        return Status(429, Fault("too many requests", code="rate_limit_exceeded"), headers)


class ChatServer:
    """The server, in a thread of its own; a context manager.

    `say` is the text of good replies, or a function from `Received` to it; `latency` their seconds; `limit` a rate limit;
    `key` an API key that requests must bring; `takes_schema=False` refuses a schema and `takes_json=False` any other
    ``response_format`` with a 400; `gives_logprobs=False` leaves log-probabilities out, `scores=False` those of prompts;
    `tokenizes=False` answers 404 to /tokenize.
    """

    def __init__(
        self,
        say: str | Callable[[Received], str] = "ok",
        latency: float = 0.0,
        limit: Limit | None = None,
        key: str | None = None,
        takes_schema: bool = True,
        takes_json: bool = True,
        gives_logprobs: bool = True,
        scores: bool = True,
        tokenizes: bool = True,
    ) -> None:
        self._say = say
        self._latency = latency
        self._limit = limit
        self._key = key
        self._takes_schema = takes_schema
        self._takes_json = takes_json
        self._tokenizes = tokenizes
        self.gives_logprobs = gives_logprobs
        self.scores = scores
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat-server", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.react: Callable[[Received], Reaction] = self.good
        self.received: list[Received] = []
        self.statuses: list[tuple[float, int]] = []
        self.in_flight = 0
        self.peak = 0
        self.connections = 0
        self.hung_up = 0
        self.flooded = 0

    def good(self, received: Received) -> Reaction:
        """The good reply to a request."""
        return Say(self._say if isinstance(self._say, str) else self._say(received), delay=self._latency)

    def plays(self, *reactions: Reaction) -> None:
        """React in this order, and well to everything after it."""
        queue = list(reactions)
        self.react = lambda received: queue.pop(0) if queue else self.good(received)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        assert self._server is not None, "the server is not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def count(self, status: int) -> int:
        """How many answers had that status."""
        return sum(code == status for _, code in self.statuses)

    def __enter__(self) -> ChatServer:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        wire = Connection(self, reader, writer)
        try:
            while (incoming := await wire.read()) is not None and await self._handle(wire, *incoming):
                pass
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self.flooded += wire.flooded
            self._open.discard(task)
            writer.close()

    async def _handle(self, wire: Connection, path: str, headers: dict[str, str], body: bytes) -> bool:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            try:
                parse = _PARSERS[path]
                request = parse(body)
            except KeyError:
                return await Status(404, Fault("Not Found")).act(wire, None)  # type: ignore[arg-type]
            except WireError as error:
                return await Status(400, Fault(str(error), param=error.field)).act(wire, None)  # type: ignore[arg-type]
            received = Received(len(self.received), time.monotonic(), headers, body, path, request, self.in_flight)
            self.received.append(received)
            reaction = asyncio.ensure_future(self._reaction(received).act(wire, received))
            gone = asyncio.ensure_future(wire.reader.read(1))
            await asyncio.wait({reaction, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not reaction.done():
                self.hung_up += 1
                reaction.cancel()
                return False
            gone.cancel()
            await asyncio.wait({gone})
            try:
                return reaction.result()
            except ConnectionError:
                self.hung_up += 1
                return False
        finally:
            self.in_flight -= 1

    def _reaction(self, received: Received) -> Reaction:
        given = received.headers.get("authorization")
        if self._key is not None and given != f"Bearer {self._key}":
            # A careless server repeats the key it was given.
            return Status(401, Fault(f"Incorrect API key provided: {given}", code="invalid_api_key"))
        if self._limit is not None and not self._limit.admits(received.at):
            return self._limit.refusal()
        request = received.request
        if isinstance(request, TokenizeRequest):
            return Say("") if self._tokenizes else Status(404, Fault("Not Found"))
        if (request.schema is not None and not self._takes_schema) or (request.json_object and not self._takes_json):
            return Status(400, Fault("This response_format type is unavailable now", type="invalid_request_error"))
        return self.react(received)


_PARSERS: dict[str, Callable[[bytes], ChatRequest | TextRequest | TokenizeRequest]] = {
    "/v1/chat/completions": parse_request,
    "/v1/completions": parse_text_request,
    "/tokenize": parse_tokenize_request,
}


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--say", default="ok")
    parser.add_argument("--rate", type=float, help="limit of requests a second")
    parser.add_argument("--burst", type=float, default=1.0)
    parser.add_argument("--retry-after")
    options = parser.parse_args()
    limit = None if options.rate is None else Limit(options.rate, options.burst, options.retry_after)
    with ChatServer(say=options.say, latency=options.latency, limit=limit) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            answered, server.statuses = server.statuses, []
            refused = [at - answered[0][0] for at, status in answered if status == 429]
            late = Counter(int(after) for after in refused if after >= 1)
            counts = {"ok": len(answered) - len(refused), "refused": len(refused), "after_first_second": late.total()}
            print(json.dumps({**counts, "most_in_a_later_second": max(late.values(), default=0)}), flush=True)


if __name__ == "__main__":
    main()
