"""Requests a second and processor time per call of `OpenAIModel` at 64 in flight, against httpx alone, in one run.

    python benchmarks/openai_client.py [CALLS] [LATENCY]

The server runs in a process of its own. `httpx, shared pool` is one AsyncClient for all calls, as its documentation shows it;
`httpx, 64 clients` lends each call a client of its own, which is what `plaudit.lm` does, without anything else.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from plaudit.lm import OpenAIModel

IN_FLIGHT = 64


async def with_httpx(url: str, calls: int, shared: bool) -> tuple[float, float]:
    """Wall and processor seconds of so many calls."""
    clients: list[httpx.AsyncClient] = []
    common = httpx.AsyncClient(limits=httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT), timeout=60)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 1.0}
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> str:
        async with slots:
            client = common if shared else clients.pop() if clients else httpx.AsyncClient(verify=False, timeout=60)
            reply = (await client.post(f"{url}/chat/completions", json=body)).json()
            if not shared:
                clients.append(client)
            return str(reply["choices"][0]["message"]["content"])

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return await timed(lambda: asyncio.gather(*(one() for _ in range(calls))))


async def with_plaudit(url: str, calls: int) -> tuple[float, float]:
    """Wall and processor seconds of so many calls."""
    model = OpenAIModel("m", base_url=url, max_in_flight=IN_FLIGHT)
    await model.agenerate(["hi"] * IN_FLIGHT)
    return await timed(lambda: model.agenerate(["hi"] * calls))


async def timed(run: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Wall and processor seconds of something awaited."""
    wall, processor = time.perf_counter(), time.process_time()
    await run()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print the table."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    latency = sys.argv[2] if len(sys.argv) > 2 else "0.05"
    os.environ.pop("OPENAI_API_KEY", None)
    command = [sys.executable, str(Path(__file__).parents[1] / "tests" / "servers.py"), "--latency", latency]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        url = server.stdout.readline().strip()
        ways: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
            "httpx, shared pool": lambda: with_httpx(url, calls, shared=True),
            "httpx, 64 clients": lambda: with_httpx(url, calls, shared=False),
            "plaudit.lm": lambda: with_plaudit(url, calls),
        }
        print(f"{calls} calls, {IN_FLIGHT} in flight, latency {latency} s")
        for name, way in ways.items():
            wall, processor = asyncio.run(way())
            print(f"{name:20} {calls / wall:8.0f} calls/s  {1e3 * processor / calls:6.2f} ms of processor per call", flush=True)
        server.stdin.close()


if __name__ == "__main__":
    main()
