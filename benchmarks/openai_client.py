"""How well `OpenAIModel` uses an endpoint: its capacity at 64 calls in flight, its rate limit, and the response cache.

    python benchmarks/openai_client.py [capacity|limit|cache] [--calls N] [--latency S] [--rounds K] [--seconds S]

*capacity*: calls a second and processor time per call, interleaved rounds, medians, against the server's capacity: what 64
connections reach that only move prepared bytes. `httpx, shared pool` is one AsyncClient for all calls, as its documentation shows
it; `httpx, 64 clients` lends each call a client of its own. *limit*: the share of R requests a second that is used when the
server limits to R, and the refusals (429) of it, with the first second apart. *cache*: microseconds of a hit.

The server is a process of its own on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx

from plaudit.lm import OpenAIModel
from plaudit.wire import ChatRequest

IN_FLIGHT = 64
SERVER = Path(__file__).parents[1] / "tests" / "servers.py"
# requests a second that the server takes, how many at once, and what it asks for
CASES = ((50, 50, None), (50, 50, "1"), (50, 5, None), (50, 1, None), (20, 1, None), (100, 100, "1"))
BODY = ChatRequest("m", [{"role": "user", "content": "hi"}], temperature=1.0).encode()


class Server:
    """A test server in a process of its own; a context manager."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, str(SERVER), *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._line()

    def counts(self) -> dict[str, int]:
        """What it answered since the last time."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counted: dict[str, int] = json.loads(self._line())
        return counted

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def served(*options: str) -> Iterator[Server]:
    """A server with these options."""
    server = Server(*options)
    try:
        yield server
    finally:
        server.close()


async def with_bare_bytes(url: str, calls: int) -> tuple[float, float]:
    """Wall and processor seconds of connections that move prepared bytes: what the server can do."""
    parts = urlsplit(url)
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    left = calls

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while left > 0:
            left -= 1
            writer.write(head + BODY)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    return await timed(lambda: asyncio.gather(*(one() for _ in range(IN_FLIGHT))))


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
    await asyncio.sleep(0.5)  # the soft start of a new endpoint is over
    return await timed(lambda: model.agenerate(["hi"] * calls))


async def timed(run: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Wall and processor seconds of something awaited."""
    wall, processor = time.perf_counter(), time.process_time()
    await run()
    return time.perf_counter() - wall, time.process_time() - processor


def capacity(calls: int, latency: float, rounds: int) -> float:
    """Print the table of calls a second; returns plaudit's share of the server's capacity."""
    ways: dict[str, Callable[[str], Coroutine[Any, Any, tuple[float, float]]]] = {
        "the server's capacity": lambda url: with_bare_bytes(url, calls),
        "plaudit.lm": lambda url: with_plaudit(url, calls),
        "httpx, 64 clients": lambda url: with_httpx(url, calls, shared=False),
        "httpx, shared pool": lambda url: with_httpx(url, max(calls // 4, IN_FLIGHT), shared=True),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with served("--latency", str(latency)) as server:
        for _ in range(rounds):
            for name, way in ways.items():
                count = max(calls // 4, IN_FLIGHT) if "shared" in name else calls
                wall, processor = asyncio.run(way(server.url))
                found[name].append((count / wall, 1e3 * processor / count))
    print(f"\ncapacity: {calls} calls, {IN_FLIGHT} in flight, latency {latency} s, medians of {rounds} interleaved rounds")
    best = median(speed for speed, _ in found["the server's capacity"])
    for name, measured in found.items():
        speed, cost = median(s for s, _ in measured), median(c for _, c in measured)
        print(f"  {name:22} {speed:7.0f} calls/s  {speed / best:6.1%} of capacity  {cost:6.2f} ms of processor per call")
    paired = [ours / theirs for (theirs, _), (ours, _) in zip(found["the server's capacity"], found["plaudit.lm"], strict=True)]
    print(f"  plaudit.lm, median of the rounds' ratios: {median(paired):.1%}")
    return median(paired)


def limit(seconds: float, rounds: int) -> None:
    """Print the share of the server's rate limit that is used."""
    print(f"\nlimit: {seconds:g} s of unending demand, server limited to R requests a second; medians of {rounds} rounds")
    for rate, burst, retry_after in CASES:
        shares, refusals = [], []
        for _ in range(rounds):
            options = ["--rate", str(rate), "--burst", str(burst), "--latency", "0.2"]
            with served(*options, *(["--retry-after", retry_after] if retry_after else [])) as server:
                calls = int(rate * seconds)
                model = OpenAIModel("m", base_url=server.url, max_in_flight=IN_FLIGHT)
                before = time.perf_counter()
                model.generate(["hi"] * calls)
                shares.append(calls / (time.perf_counter() - before) / rate)
                refusals.append(server.counts())
        refused = median(r["refused"] for r in refusals)
        late = median(r["after_first_second"] for r in refusals)
        asks = f"Retry-After {retry_after}" if retry_after else "no Retry-After"
        print(
            f"  R {rate:4d}, burst {burst:4d}, {asks:15} {median(shares):6.1%} of R, {refused:4.0f} refused in {calls} calls, "
            f"{late:3.0f} after the first second, at most {max(r['most_in_a_later_second'] for r in refusals)} in one second"
        )


def cache(calls: int) -> float:
    """Print microseconds of a hit, one conversation to a call; returns their median."""
    with tempfile.TemporaryDirectory() as folder, served() as server:
        model = OpenAIModel("m", base_url=server.url, cache=folder)
        prompts = [f"Is {k} a prime number? Answer with yes or no, and say why." for k in range(200)]
        model.generate(prompts)
        spent = []
        for k in range(calls):
            before = time.perf_counter()
            model.generate([prompts[k % 200]])
            spent.append(1e6 * (time.perf_counter() - before))
        asked = server.counts()["ok"]
    spent.sort()
    found = median(spent)
    print(
        f"\ncache: {found:.0f} us for a hit (median of {calls}, 95th percentile {spent[int(0.95 * calls)]:.0f} us); asked {asked}"
    )
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["capacity", "limit", "cache"])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--latency", type=float, action="append", help="seconds of the server; default 0.5 and 0.1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    os.environ.pop("OPENAI_API_KEY", None)
    if options.what in (None, "capacity"):
        for latency in options.latency or (0.5, 0.1):
            capacity(options.calls, latency, options.rounds)
    if options.what in (None, "limit"):
        limit(options.seconds, min(options.rounds, 3))
    if options.what in (None, "cache"):
        cache(options.calls)


if __name__ == "__main__":
    main()
