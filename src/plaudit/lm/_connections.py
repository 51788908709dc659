"""One POST over shared connections: bounded in time and size, no redirects, connections of given-up calls closed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ssl import SSLContext

import httpx

_CONNECT_SECONDS = 10.0
# Servers close idle connections after 5 s at the earliest (uvicorn's default): ours go first, so that no call meets a dead one.
_KEEP_ALIVE_SECONDS = 4.0
_ABORTED_BEFORE_RENEWAL = 64


class TooLarge(Exception):
    """The answer's body is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and whole body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Lease:
    client: httpx.AsyncClient
    users: int = 0
    aborted: int = 0


@dataclass(slots=True)
class Connections:
    """A connection pool on one event loop.

    A call that is cancelled while it connects can leave a slot in httpcore's pool that nobody gets back (httpcore issue 1093).
    So the pool has no limit of its own (the throttle has one), and after many aborted calls it is replaced.
    """

    keep_alive: int
    _current: _Lease | None = None
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float, largest: int) -> Answer:
        """Send one request and read the whole answer.

        Raises TimeoutError after `timeout` seconds for everything together, TooLarge for a body above `largest` bytes,
        httpx.TransportError when the connection fails.
        """
        if self._current is None:
            self._current = _Lease(self._open())
        lease = self._current
        lease.users += 1
        try:
            async with asyncio.timeout(timeout), lease.client.stream("POST", url, content=body, headers=headers) as response:
                return Answer(response.status_code, response.headers, await _read(response, largest))
        except (asyncio.CancelledError, TimeoutError):
            lease.aborted += 1
            raise
        finally:
            lease.users -= 1
            if lease.aborted >= _ABORTED_BEFORE_RENEWAL and lease is self._current:
                self._current = None
            if lease is not self._current and lease.users == 0:
                self._close(lease)

    def close(self) -> None:
        """Close the connections as soon as nobody uses them."""
        lease, self._current = self._current, None
        if lease is not None and lease.users == 0:
            self._close(lease)

    def _close(self, lease: _Lease) -> None:
        task = asyncio.get_running_loop().create_task(lease.client.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _open(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=self.keep_alive, keepalive_expiry=_KEEP_ALIVE_SECONDS
        )
        return httpx.AsyncClient(
            verify=_ssl_context(),
            limits=limits,
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            # A compressed answer would have to be unpacked before its size is known.
            headers={"accept-encoding": "identity", "accept": "application/json", "user-agent": "plaudit"},
        )


@lru_cache(maxsize=1)
def _ssl_context() -> SSLContext:
    return httpx.create_ssl_context()  # reads the certificates: tens of milliseconds, once


async def _read(response: httpx.Response, largest: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooLarge("the answer is compressed although the request asked for it plain")
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > largest:
        raise TooLarge(f"the answer announces {int(announced):,} bytes, at most {largest:,} are read")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > largest:
            raise TooLarge(f"the answer goes on after {largest:,} bytes, no more are read")
    return bytes(body)
