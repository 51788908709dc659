"""The checks of ``plaudit doctor``: each tries the real thing, in bounded time."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

State = Literal["ok", "missing", "broken"]

_HANG_SECONDS = 0.2
_LATE_MS = 100.0  # how late a hung worker may be killed before something is wrong with the machine
_LITTLE_MB = 500.0
_EXTRA = re.compile(r"extra\s*==\s*[\"']([\w.-]+)[\"']")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    Fields:
        area, name: what was looked at.
        state: "ok"; "missing": something optional is not there; "broken": it does not work as it should.
        said: what was found.
        mend: what to do; empty when there is nothing to mend.
        essential: whether plaudit is of little use when it is broken.
    """

    area: str
    name: str
    state: State
    said: str
    mend: str = ""
    essential: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def examine(online: bool = False) -> Iterator[Finding]:
    """All findings, one by one; a check that raises is itself a finding."""
    checks: list[tuple[str, str, Callable[[], Iterator[Finding]], bool]] = [
        ("versions", "packages", _versions, True),
        ("versions", "extras", _extras, False),
        ("execution", "cpu lane", _cpu_lane, True),
        ("execution", "io lane", _io_lane, True),
        ("execution", "cache", _cache, False),
        ("execution", "sandbox", _sandbox, False),
        ("rewards", "catalogue", _catalogue, False),
        ("models", "openai", lambda: _openai(online), False),
        ("machine", "terminal", _terminal, False),
        ("machine", "disk", _disk, True),
    ]
    for area, name, check, essential in checks:
        try:
            yield from check()
        except Exception as error:  # whatever is wrong with the machine, the other checks go on
            yield Finding(area, name, "broken", f"{type(error).__name__}: {error}", essential=essential)


def _versions() -> Iterator[Finding]:
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    yield Finding("versions", "python", "ok", python, essential=True)
    for name in ("plaudit", "numpy", "pyarrow", "httpx", "typer", "rich", "pyyaml", "cloudpickle"):
        version = _version(name)
        state: State = "ok" if version else "broken"
        yield Finding("versions", name, state, version or "not installed", "" if version else f"pip install {name}", True)


def _extras() -> Iterator[Finding]:
    wanted: dict[str, list[str]] = {}
    for text in metadata.requires("plaudit") or []:
        if found := _EXTRA.search(text):
            wanted.setdefault(found[1], []).append(re.split(r"[^\w.-]", text, maxsplit=1)[0])
    for extra, names in wanted.items():
        if extra in ("all", "dev"):
            continue
        versions = {name: _version(name) for name in names}
        said = ", ".join(f"{name} {version}" if version else f"no {name}" for name, version in versions.items())
        if all(versions.values()):
            yield Finding("versions", f"extra {extra}", "ok", said)
        else:
            yield Finding("versions", f"extra {extra}", "missing", said, f"pip install 'plaudit[{extra}]'")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_lane() -> Iterator[Finding]:
    from plaudit.run import CpuPool, Ending

    with CpuPool(workers=1, memory_mb=256) as pool:
        begin = time.perf_counter()
        pool.warm(timeout=30)
        (first,) = pool.submit(abs, [-1], timeout=10).result(timeout=40)
        started = _ms(begin)
        begin = time.perf_counter()
        (again,) = pool.submit(abs, [-2], timeout=10).result(timeout=20)
        took = _ms(begin)
        works = (first.value, again.value) == (1, 2)
        said = f"workers start in {started:.0f} ms, a task takes {took:.1f} ms" if works else f"a task ended {first.ending}"
        mend = "" if works else "are there limits on processes (ulimit -u) or on shared memory?"
        yield Finding("execution", "cpu lane", "ok" if works else "broken", said, mend, essential=True)

        begin = time.perf_counter()
        (hung,) = pool.submit(time.sleep, [60.0], timeout=_HANG_SECONDS).result(timeout=30)
        late = _ms(begin) - 1000 * _HANG_SECONDS
        killed = hung.ending is Ending.OVERRAN
        said = f"a hung task is killed {late:.0f} ms after its deadline" if killed else f"a hung task ended {hung.ending}"
        slow = "the machine is very busy: give it a calmer moment" if killed and late > _LATE_MS else ""
        yield Finding("execution", "deadlines", "ok" if killed and not slow else "broken", said, slow, essential=not killed)

        (greedy,) = pool.submit(bytearray, [1 << 30], timeout=20).result(timeout=40)
        capped = greedy.ending is Ending.OUT_OF_MEMORY
        said = "a task that wants too much is stopped" if capped else f"a task that wants 1 GB of 256 MB ended {greedy.ending}"
        mend = "" if capped else "this system does not limit address space: a task can take all memory"
        yield Finding("execution", "memory cap", "ok" if capped else "broken", said, mend)


def _io_lane() -> Iterator[Finding]:
    from plaudit.run import event_loop

    async def nothing() -> int:
        return 1

    begin = time.perf_counter()
    event_loop().submit(nothing()).result(timeout=10)
    yield Finding("execution", "io lane", "ok", f"the event loop answers in {_ms(begin):.1f} ms", essential=True)


def _cache() -> Iterator[Finding]:
    import warnings

    from plaudit.cli._resources import default_cache
    from plaudit.run import VerdictCache

    path = default_cache()
    with warnings.catch_warnings(record=True) as said, VerdictCache(path) as cache:
        warnings.simplefilter("always")
        begin = time.perf_counter()
        cache.put_many([(b"plaudit doctor", b"works")])
        works = cache.get_many([b"plaudit doctor"]) == [b"works"]
    mend = "" if works else "set PLAUDIT_CACHE to a file in a folder that can be written, or use --no-cache"
    size = path.stat().st_size / 1e6 if path.exists() else 0.0
    text = (
        f"{path}, {size:.1f} MB, writes in {_ms(begin):.1f} ms" if works else "; ".join(str(w.message) for w in said) or str(path)
    )
    yield Finding("execution", "cache", "ok" if works else "broken", text, mend)


def _sandbox() -> Iterator[Finding]:
    from plaudit.run.sandbox import Limits, Program, Sandbox, isolation_available

    missing = isolation_available("bubblewrap")
    if missing is None:
        with Sandbox(workers=1) as sandbox:
            begin = time.perf_counter()
            first = sandbox.run(Program("import os\nprint(os.getpid())"), limits=Limits(wall=20))
            started = _ms(begin)
            begin = time.perf_counter()
            sandbox.run(Program("pass"), limits=Limits(wall=20))
            again = _ms(begin)
            socket = sandbox.run(Program("import socket\nsocket.socket()"), limits=Limits(wall=20))
        if first.stdout == b"1\n" and socket.code == 1:
            layers = "namespaces, empty root, no network, rlimits and seccomp by bubblewrap"
            yield Finding("execution", "sandbox", "ok", f"{layers}; starts in {started:.0f} ms, a run takes {again:.1f} ms")
            return
        missing = f"a program inside is not isolated, or did not run: {first.stderr.decode('utf-8', 'replace')[-200:]}"
    mend = "apt-get install bubblewrap, on a system that allows user namespaces; or isolation: process for programs you trust"
    weaker = "rlimits and seccomp" if isolation_available("process") is None else "nothing"
    yield Finding("execution", "sandbox", "missing", f"{missing}; verify.code fails unless told to do with {weaker}", mend)


def _catalogue() -> Iterator[Finding]:
    from plaudit import catalog
    from plaudit.cli._list import read_entry

    works = 0
    for name in catalog.names():
        try:
            read_entry(name)
            works += 1
        except Exception as error:  # the code behind a name may be anybody's
            mend = "update or remove the package that brings it"
            yield Finding("rewards", name, "broken", f"{type(error).__name__}: {error}", mend)
    yield Finding("rewards", "catalogue", "ok", f"{works} rewards load")


def _openai(online: bool) -> Iterator[Finding]:
    from plaudit.lm import OpenAIModel

    model = OpenAIModel("any")
    url = model.effective_base_url
    key = os.environ.get(model.api_key_env, "").strip()
    if not key and "api.openai.com" in url:
        mend = f"export {model.api_key_env}=…, or OPENAI_BASE_URL=http://HOST:PORT/v1 for a server of your own"
        yield Finding("models", "openai:", "missing", f"no key for {url}", mend)
        return
    said = f"{url}, {'with' if key else 'without'} a key"
    if not online:
        yield Finding("models", "openai:", "ok", f"{said}, not asked (--online asks)")
        return
    yield _asked(url, key, said)


def _asked(url: str, key: str, said: str) -> Finding:
    import httpx

    try:
        answer = httpx.get(f"{url}/models", headers={"authorization": f"Bearer {key}"} if key else {}, timeout=10.0)
    except httpx.HTTPError as error:
        return Finding("models", "openai:", "broken", f"{said}: {error}", "is the server up, and the address right?")
    if answer.status_code in (401, 403):
        return Finding("models", "openai:", "broken", f"{said}: the key is refused", "set another OPENAI_API_KEY")
    if answer.status_code >= 500:
        return Finding("models", "openai:", "broken", f"{said}: status {answer.status_code}", "try again later")
    return Finding("models", "openai:", "ok", f"{said}, answers in {answer.elapsed.total_seconds() * 1000:.0f} ms")


def _terminal() -> Iterator[Finding]:
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    size = shutil.get_terminal_size()
    where = f"{size.columns} columns" if sys.stdout.isatty() else "not a terminal"
    if encoding.replace("-", "") == "utf8":
        yield Finding("machine", "terminal", "ok", f"{encoding}, {where}")
    else:
        mend = "export PYTHONUTF8=1, or a locale such as C.UTF-8"
        yield Finding("machine", "terminal", "missing", f"{encoding}, {where}: other characters are spelt out", mend)


def _disk() -> Iterator[Finding]:
    from plaudit.run import CpuPool

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else float("nan")
    yield Finding("machine", "processors", "ok", f"{CpuPool().workers}, {memory:.1f} GB of memory")
    for name, place in (("this folder", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(place).free / 1e6
        with_space = f"{place}, {free / 1000:.1f} GB free"
        if free < _LITTLE_MB:
            yield Finding("machine", name, "broken", with_space, "free some space", essential=free < 10)
        elif not os.access(place, os.W_OK):
            yield Finding("machine", name, "missing", f"{place} cannot be written", "give -o a folder elsewhere")
        else:
            yield Finding("machine", name, "ok", with_space)


def _ms(begin: float) -> float:
    return 1000 * (time.perf_counter() - begin)
