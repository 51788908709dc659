"""One POST over shared connections: bounded in time and size, no redirects, connections of given-up calls closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from plaudit.lm._http import Answer, ConnectionFailed, HttpConnection, TooLarge, target_of
from plaudit.lm._proxied import ProxiedConnection

__all__ = ["Answer", "ConnectionFailed", "Connections", "TooLarge"]

# Servers close idle connections after 5 s at the earliest (uvicorn's default): ours go first, so that no call meets a dead one.
_KEEP_ALIVE_SECONDS = 4.0


@dataclass(slots=True)
class Connections:
    """Connections to one place, on one event loop; as many as there are calls at the same time (the throttle limits those).

    Each is lent to one call at a time. One whose call was given up is closed at once, so that the server sees it.
    """

    most_idle: int
    _idle: list[tuple[float, HttpConnection | ProxiedConnection]] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float, largest: int) -> Answer:
        """Send one request and read the whole answer.

        Raises TimeoutError after `timeout` seconds for everything together, TooLarge for a body above `largest` bytes,
        ConnectionFailed when there is no connection or it breaks.
        """
        target = target_of(url)
        connection = self._take()
        whole = False
        try:
            async with asyncio.timeout(timeout):
                if connection is None:
                    connection = ProxiedConnection(url) if _proxied(url) else HttpConnection()
                    await connection.open(target)
                answer = await connection.post(target, body, headers, largest)
            whole = True
            return answer
        finally:
            if connection is not None:
                if whole and connection.usable and len(self._idle) < self.most_idle:
                    self._idle.append((time.monotonic(), connection))
                else:
                    connection.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> HttpConnection | ProxiedConnection | None:
        """The connection that was used last, as long as the server has surely kept it; the older ones are closed."""
        now = time.monotonic()
        while self._idle and now - self._idle[0][0] > _KEEP_ALIVE_SECONDS:
            self._idle.pop(0)[1].close()
        while self._idle:
            connection = self._idle.pop()[1]
            if connection.usable:
                return connection
            connection.close()
        return None


def _proxied(url: str) -> bool:
    """Whether the environment sends calls to that place through a proxy."""
    proxies = getproxies()
    if not proxies:
        return False
    parts = urlsplit(url)
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.hostname or "")
