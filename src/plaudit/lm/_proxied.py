"""Calls through the proxy that the environment names: httpx knows how to speak with those."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from plaudit.lm._http import CONNECT_SECONDS, Answer, ConnectionFailed, Target, TooLarge, ssl_context

if TYPE_CHECKING:
    import httpx

_closing: set[asyncio.Task[None]] = set()


class ProxiedConnection:
    """An httpx client of its own for one call at a time, with the interface of `HttpConnection`."""

    def __init__(self, url: str) -> None:
        import httpx

        self._url = url
        self._client = httpx.AsyncClient(
            verify=ssl_context(),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=CONNECT_SECONDS),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            follow_redirects=False,
            headers={"accept-encoding": "identity", "accept": "application/json", "user-agent": "plaudit"},
        )
        self.usable = True

    async def open(self, target: Target) -> None:
        """Nothing: httpx connects with the first request."""

    async def post(self, target: Target, body: bytes, headers: Mapping[str, str], largest: int) -> Answer:
        """Send one request and read the whole answer. Raises as `HttpConnection.post`."""
        import httpx

        given = {"content-type": "application/json", **headers}
        try:
            async with self._client.stream("POST", self._url, content=body, headers=given) as response:
                return Answer(response.status_code, response.headers, await _read(response, largest))
        except httpx.HTTPError as error:
            message = f"{type(error).__name__}: {error}"
        # Outside the handler: what httpx raised may hold the request with its key.
        raise ConnectionFailed(message)

    def close(self) -> None:
        """Close it in a task of its own: the call may be being cancelled, and what is awaited there could be cut off."""
        self.usable = False
        task = asyncio.get_running_loop().create_task(self._client.aclose())
        _closing.add(task)
        task.add_done_callback(_closing.discard)


async def _read(response: httpx.Response, largest: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooLarge("the answer is compressed although the request asked for it plain")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > largest:
            raise TooLarge(f"the answer goes on after {largest:,} bytes, no more are read")
    return bytes(body)
