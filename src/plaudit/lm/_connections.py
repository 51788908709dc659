"""One POST over shared connections: bounded in time and size, no redirects, connections of given-up calls closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ssl import SSLContext

import httpx

_CONNECT_SECONDS = 10.0
# Servers close idle connections after 5 s at the earliest (uvicorn's default): ours go first, so that no call meets a dead one.
_KEEP_ALIVE_SECONDS = 4.0
_IDLE_SECONDS = 30.0  # after which the file descriptor is given back


class TooLarge(Exception):
    """The answer's body is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and whole body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Connections:
    """Connections to one place, on one event loop; as many as there are calls at the same time (the throttle limits those).

    Every connection is an httpx client of its own, lent to one call at a time. httpcore's shared pool walks over all pairs
    of connections for each request, which costs milliseconds at 64 of them, and a call that is cancelled while it connects
    can leave a slot in it that nobody gets back (httpcore issue 1093). Here a client whose call was given up is thrown away.
    """

    most_idle: int
    _idle: list[tuple[float, httpx.AsyncClient]] = field(default_factory=list)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float, largest: int) -> Answer:
        """Send one request and read the whole answer.

        Raises TimeoutError after `timeout` seconds for everything together, TooLarge for a body above `largest` bytes,
        httpx.TransportError when the connection fails.
        """
        client = self._idle.pop()[1] if self._idle else _open(encrypted=url.startswith("https:"))
        whole = False
        try:
            async with asyncio.timeout(timeout), client.stream("POST", url, content=body, headers=headers) as response:
                answer = Answer(response.status_code, response.headers, await _read(response, largest))
            whole = True
            return answer
        finally:
            if whole and len(self._idle) < self.most_idle:
                self._idle.append((time.monotonic(), client))
            else:
                self._close(client)
            while self._idle and time.monotonic() - self._idle[0][0] > _IDLE_SECONDS:
                self._close(self._idle.pop(0)[1])

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._close(self._idle.pop()[1])

    def _close(self, client: httpx.AsyncClient) -> None:
        # In a task of its own: the call may be being cancelled, and what is awaited here could be cut off.
        task = asyncio.get_running_loop().create_task(client.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _open(encrypted: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=_ssl_context() if encrypted else False,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEP_ALIVE_SECONDS),
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
