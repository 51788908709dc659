"""One HTTP/1.1 connection for one POST at a time: h11 reads the protocol, asyncio moves the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urlsplit

import h11

CONNECT_SECONDS = 10.0
_LARGEST_HEAD = 64 * 1024
_OURS = ((b"content-type", b"application/json"), (b"accept", b"application/json"), (b"accept-encoding", b"identity"),
         (b"user-agent", b"plaudit"))  # fmt: skip


class TooLarge(Exception):
    """The answer's body is larger than allowed, or may be once it is unpacked."""


class ConnectionFailed(Exception):
    """No connection, or one that broke before the whole answer was there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and whole body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points, in the bytes of the protocol."""

    host: str
    port: int
    encrypted: bool
    authority: bytes
    path: bytes


@lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """The parts of an http or https URL.

    >>> target_of("http://localhost:8000/v1/chat/completions").authority
    b'localhost:8000'
    """
    parts = urlsplit(url)
    encrypted = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if encrypted else 80)
    name = host if host.isascii() else host.encode("idna").decode()
    shown = f"[{name}]" if ":" in name else name
    authority = shown if port == (443 if encrypted else 80) else f"{shown}:{port}"
    return Target(name, port, encrypted, authority.encode(), quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._").encode())


class HttpConnection(asyncio.Protocol):
    """A connection that carries one call at a time and knows whether it can carry another.

    What the server sends when nobody asked makes it unusable: it could be taken for the answer to the next call.
    """

    def __init__(self) -> None:
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reading = False
        self._heard = False
        self._ended = False
        self._error: Exception | None = None

    @property
    def usable(self) -> bool:
        """Whether it is open, and idle between two calls."""
        return not self._ended and self._transport is not None and self._protocol.our_state is h11.IDLE

    async def open(self, target: Target) -> None:
        """Connect. Raises ConnectionFailed."""
        loop, secure = asyncio.get_running_loop(), ssl_context() if target.encrypted else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS) as limit:
                await loop.create_connection(
                    lambda: self, target.host, target.port, ssl=secure, server_hostname=target.host if secure else None
                )
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ConnectionFailed(f"no connection within {CONNECT_SECONDS:g} s") from error
        except (OSError, UnicodeError, ValueError) as error:  # SSL's errors are OSErrors
            raise ConnectionFailed(f"no connection: {type(error).__name__}: {error}") from error

    async def post(self, target: Target, body: bytes, headers: Mapping[str, str], largest: int) -> Answer:
        """Send one request and read the whole answer; after anything else than an answer the connection is to be closed.

        Raises ConnectionFailed when it breaks or is not HTTP, TooLarge for a body above `largest` bytes.
        """
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        length = (b"content-length", str(len(body)).encode())
        self._reading, self._heard = True, False
        try:
            request = h11.Request(
                method=b"POST", target=target.path, headers=[(b"host", target.authority), *_OURS, *given, length]
            )
            self._write(request, h11.Data(data=body), h11.EndOfMessage())
            head = await self._next()
            while isinstance(head, h11.InformationalResponse):
                head = await self._next()
            said = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            answer = Answer(head.status_code, said, await self._body(said, largest))
        except h11.ProtocolError as error:
            if not self._heard:
                raise ConnectionFailed(f"the connection closed before an answer came{self._why()}") from error
            raise ConnectionFailed(f"the answer is not HTTP or breaks off: {error}") from error
        self._reading = False
        more, _ = self._protocol.trailing_data
        if more:
            self.close()
        elif self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE and not self._ended:
            self._protocol.start_next_cycle()
        return answer

    def close(self) -> None:
        """Close it at once, without waiting for anything."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    async def _body(self, headers: Mapping[str, str], largest: int) -> bytes:
        if headers.get("content-encoding", "identity") != "identity":
            raise TooLarge("the answer is compressed although the request asked for it plain")
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > largest:
            raise TooLarge(f"the answer announces {int(announced[:20]):,} bytes, at most {largest:,} are read")
        body = bytearray()
        while isinstance(part := await self._next(), h11.Data):
            body += part.data
            if len(body) > largest:
                raise TooLarge(f"the answer goes on after {largest:,} bytes, no more are read")
        return bytes(body)

    def _write(self, *events: Any) -> None:
        if self._transport is None or self._ended:
            raise ConnectionFailed(f"the connection is closed{self._why()}")
        self._transport.write(b"".join(self._protocol.send(event) or b"" for event in events))

    async def _next(self) -> Any:
        """The next event of the protocol."""
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            if self._ended:
                raise ConnectionFailed(f"the connection closed before the whole answer was there{self._why()}")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return event

    def _why(self) -> str:
        return "" if self._error is None else f": {type(self._error).__name__}: {self._error}"

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._ended:
            transport.abort()  # given up while it was being opened

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if not self._reading:
            self.close()
            return
        self._heard = True
        self._protocol.receive_data(data)
        self._wake()

    def eof_received(self) -> None:
        """No more bytes will come: close, which is what returning nothing means."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if not self._ended and self._reading:
            self._protocol.receive_data(b"")  # the end of an answer without a length
        self._ended, self._error = True, self._error or error
        self._wake()


@lru_cache(maxsize=1)
def ssl_context() -> SSLContext:
    """The certificates that are trusted; reading them takes tens of milliseconds, once."""
    import httpx

    return httpx.create_ssl_context()
