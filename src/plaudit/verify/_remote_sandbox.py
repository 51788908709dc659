"""Programs run by SandboxFusion, a service that is reached by HTTP, instead of the sandbox of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plaudit.errors import SpecError
from plaudit.run.sandbox import Limits, Outcome, Program, SandboxError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import httpx

    from plaudit.run.sandbox._request import End

REMOTE_OUTPUT = 1 << 20
"""Bytes of a stream that the service keeps: it drops the rest without a word, so as many are taken for too many."""

_LARGEST = 16 << 20
"""Bytes of an answer: both streams, each byte written as up to six characters of JSON, and some room."""

_COMPILING = 10.0
"""Seconds that compiling may take at least, however short the program's own limit."""

_BUSY = frozenset({429, 503, 504})
_LANGUAGES = {"javascript": "nodejs", "js": "nodejs", "c++": "cpp", "golang": "go", "sh": "bash", "c#": "csharp"}
_SIGNALS = range(129, 193)


def remote_base(address: object) -> str:
    """The address of the service, without what stands behind it; one without a scheme is reached by http.

    Raises SpecError for what is no http address, or holds a password, a query or a fragment.

    >>> remote_base("sandbox.local:8080/")
    'http://sandbox.local:8080'
    """
    expected = "expected the address of a SandboxFusion service, such as http://localhost:8080"
    if not isinstance(address, str):
        raise SpecError(f"verify.code: remote is a {type(address).__name__}: {expected}")
    base = (address if "://" in address else f"http://{address}").rstrip("/")
    try:
        parts = urlsplit(base)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if "@" in address:
        raise SpecError(f"verify.code: remote names a user or a password, and they would be written down: {expected}")
    if not known or any(mark in "?#" or mark.isspace() for mark in base):
        raise SpecError(f"verify.code: remote is {address!r}: {expected}")
    return base


class RemoteSandbox:
    """Runs programs by SandboxFusion's ``POST /run_code``, with the interface of the sandbox of this machine.

    What isolates a program, and whether the limit on memory holds, is up to the service. Only the program and its input are sent.
    Works from any thread; requests go out from one thread of its own, over connections that are kept.

    Args:
        address: of the service, without ``/run_code``.
        language: as the service calls it; ``javascript``, ``js``, ``c++``, ``golang``, ``sh`` and ``c#`` are translated.
        patience: seconds beyond the limits on the program that one request may take, for example in the service's queue.
        pause: seconds before a refused request is sent again; doubled each time.
        attempts: requests for one run at most.

    Raises SpecError for what is no address.

    Source: FullStack Bench: Evaluating LLMs as Full Stack Coders (SandboxFusion).

    >>> RemoteSandbox("http://localhost:8080").url
    'http://localhost:8080/run_code'
    """

    def __init__(
        self, address: str, language: str = "python", *, patience: float = 30.0, pause: float = 0.5, attempts: int = 4
    ) -> None:
        self.url = remote_base(address) + "/run_code"
        self.language = _LANGUAGES.get(language, language)
        self.patience, self.pause, self.attempts = patience, pause, attempts

    def run(self, program: Program, stdin: bytes = b"", limits: Limits | None = None) -> Outcome:
        """Run a program once; of the limits, wall time, memory and output count.

        The exit codes 129 to 192 are what a shell makes of a signal, and are taken for one. Processor time and memory are not
        reported: 0.

        Raises SandboxError when the service is not reached, too busy, too late or answers what cannot be read, and for an input
        that is no UTF-8, which its interface cannot carry.
        """
        limits = limits or Limits()
        try:
            program.source.encode()
        except UnicodeEncodeError:
            return Outcome("exit", 1, b"", b"SyntaxError: the program is no valid text", 0.0, 0.0, 0)
        try:
            text = stdin.decode()
        except UnicodeDecodeError as error:
            raise SandboxError(f"the input is no UTF-8, and {self.url} takes text only: {error}") from error
        compiling = max(_COMPILING, limits.wall)
        request = {
            "code": program.source, "language": self.language, "stdin": text, "compile_timeout": compiling,
            "run_timeout": limits.wall, "memory_limit_MB": limits.memory, "files": {}, "fetch_files": [],
        }  # fmt: skip
        body = json.dumps(request).encode()
        seconds = compiling + limits.wall + self.patience
        answer = _wait_for(self._answer(body, seconds), seconds * self.attempts + self._most_pauses)
        return _outcome(answer, min(limits.output << 20, REMOTE_OUTPUT), self.url)

    @property
    def _most_pauses(self) -> float:
        return sum(max(10.0, self.pause * 2.0**attempt) for attempt in range(self.attempts)) + 5.0

    async def _answer(self, body: bytes, seconds: float) -> bytes:
        """The body of the service's answer, after as many attempts as it takes. Raises SandboxError."""
        said = ""
        for attempt in range(self.attempts):
            try:
                status, wait, answer = await asyncio.wait_for(self._post(body), seconds)
            except TimeoutError:
                # Not sent again: the service may still be busy with it.
                raise SandboxError(f"{self.url} did not answer within {seconds:g} seconds") from None
            if status == 200:
                return answer
            said = f"status {status}" if status else answer.decode("utf-8", "replace")
            if status and status not in _BUSY:
                more = ": redirects are not followed, name the last address" if 300 <= status < 400 else ""
                raise SandboxError(f"{self.url} answered with {said}{more}")
            if attempt + 1 < self.attempts:
                await asyncio.sleep(max(wait, self.pause * 2**attempt))
        raise SandboxError(f"{self.url}: {said}, at each of {self.attempts} attempts")

    async def _post(self, body: bytes) -> tuple[int, float, bytes]:
        """Status, seconds to wait as the service says, and body; status 0 and what went wrong when the connection broke."""
        import httpx

        headers = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
        try:
            async with self._client.stream("POST", self.url, content=body, headers=headers) as response:
                if response.status_code != 200:
                    return response.status_code, _seconds(response.headers.get("retry-after", "")), b""
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise SandboxError(f"{self.url} packed its answer, which was not asked for")
                return 200, 0.0, await self._read(response)
        except httpx.TransportError as error:
            return 0, 0.0, f"{type(error).__name__}: {error}"[:300].encode()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SandboxError(f"{self.url}: {type(error).__name__}: {error}"[:500]) from error

    async def _read(self, response: httpx.Response) -> bytes:
        read = bytearray()
        async for part in response.aiter_raw():
            read += part
            if len(read) > _LARGEST:
                raise SandboxError(f"{self.url} answered with more than {_LARGEST >> 20} MiB")
        return bytes(read)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made in the thread that sends; the whole request has its deadline elsewhere, for each single wait may be short."""
        import httpx

        connect = httpx.Timeout(None, connect=10.0)
        return httpx.AsyncClient(timeout=connect, follow_redirects=False, limits=httpx.Limits(max_connections=None))


def _seconds(header: str) -> float:
    return min(float(header), 10.0) if header.isascii() and header.isdigit() and len(header) < 9 else 0.0


def _outcome(answer: bytes, most: int, url: str) -> Outcome:
    """What the service's answer says of the program. Raises SandboxError for what says nothing."""
    try:
        row = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise SandboxError(f"{url} answered no JSON: {answer[:100]!r}") from error
    status = row.get("status") if isinstance(row, dict) else None
    if status not in ("Success", "Failed"):
        said = row.get("message") if status == "SandboxError" else None
        raise SandboxError(f"{url} could not run the program: {str(said or answer[:200])[:300]}")
    compiled, ran = row.get("compile_result"), row.get("run_result")
    result = ran if ran is not None else compiled
    if not isinstance(result, dict) or (ran is None and status == "Success"):
        raise SandboxError(f"{url} says {status!r} and not what became of the program")
    # What a compiler writes is not what the program writes, though a source can make it say anything.
    stdout, stderr = _stream(ran and ran.get("stdout"), url), _stream(result.get("stderr"), url)
    took = _measured(result.get("execution_time"))
    if result.get("status") == "TimeLimitExceeded":
        return Outcome("timeout", -9, stdout[:most], stderr[:most], took, 0.0, 0)
    code = result.get("return_code")
    if result.get("status") != "Finished" or not isinstance(code, int) or isinstance(code, bool) or abs(code) >= 1 << 32:
        raise SandboxError(f"{url} says neither how the program ended nor that it ran out of time")
    if ran is None and code == 0:
        raise SandboxError(f"{url} compiled the program and did not run it")
    code = 128 - code if code in _SIGNALS else code
    end: End = "signal" if code < 0 else "output" if len(stdout) >= most else "exit"
    return Outcome(end, code, stdout[:most], stderr[:most], took, 0.0, 0)


def _measured(seconds: object) -> float:
    return float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e9 else 0.0


def _stream(text: Any, url: str) -> bytes:
    if text is not None and not isinstance(text, str):
        raise SandboxError(f"{url} gives a {type(text).__name__} as what the program wrote")
    return (text or "").encode("utf-8", "surrogatepass")


_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}
_REMOTES: dict[tuple[int, str, str], RemoteSandbox] = {}
_LOCK = threading.Lock()


def _wait_for(coroutine: Coroutine[Any, Any, bytes], seconds: float) -> bytes:
    """Run a coroutine on the thread that sends; a forked child has its own. May be called where an event loop runs."""
    with _LOCK:
        loop = _LOOPS.get(os.getpid())
        if loop is None:
            loop = _LOOPS[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="plaudit-remote-sandbox", daemon=True).start()
    waiting = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return waiting.result(seconds)
    except TimeoutError:
        raise SandboxError(f"no answer within {seconds:g} seconds") from None
    finally:
        waiting.cancel()


def remote_sandbox(address: str, language: str) -> RemoteSandbox:
    """The one of this process for an address and a language, so that its connections are used again."""
    key = (os.getpid(), address, language)
    with _LOCK:
        return _REMOTES.setdefault(key, RemoteSandbox(address, language))
