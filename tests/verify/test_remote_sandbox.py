"""What `verify.code` does with a remote: a service with SandboxFusion's interface, here one that really runs the programs."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plaudit.errors import DataError, SpecError
from plaudit.run.sandbox import Limits, Program, SandboxError
from plaudit.types import Status
from plaudit.verify import Code, grow_suite
from plaudit.verify import _remote_sandbox as module
from plaudit.verify._remote_sandbox import RemoteSandbox, remote_base

SUMS = {"inputs": ["1 2\n", "3 4\n", "-1 1\n"], "outputs": ["3\n", "7\n", "0\n"]}
ADD = "a, b = map(int, input().split())\nprint(a + b)"
FINISHED = {"status": "Finished", "execution_time": 0.1, "return_code": 0, "stdout": "3\n", "stderr": ""}


def run_really(request):
    """A row as the service writes it, for a Python program."""
    began = time.monotonic()
    arguments = [sys.executable, "-I", "-c", request["code"]]
    try:
        done = subprocess.run(arguments, input=request["stdin"].encode(), capture_output=True, timeout=request["run_timeout"])
    except subprocess.TimeoutExpired:
        late = {"status": "TimeLimitExceeded", "execution_time": time.monotonic() - began, "return_code": None}
        return {"status": "Failed", "message": "", "compile_result": None, "run_result": {**late, "stdout": "", "stderr": ""}}
    result = {
        "status": "Finished", "execution_time": time.monotonic() - began, "return_code": done.returncode,
        "stdout": done.stdout[: 1 << 20].decode("utf-8", "replace"), "stderr": done.stderr[: 1 << 20].decode("utf-8", "replace"),
    }  # fmt: skip
    status = "Failed" if done.returncode else "Success"
    return {"status": status, "message": "", "compile_result": None, "run_result": result, "files": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        service = self.server.service
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with service.lock:
            service.requests.append((self.path, request))
            behave = service.plan.pop(0) if service.plan else None
        if callable(behave):
            behave(self)
        elif isinstance(behave, int):
            self.answer(behave, b"not now")
        elif isinstance(behave, bytes):
            self.answer(200, behave)
        else:
            self.answer(200, json.dumps(behave or run_really(request)).encode())

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Service:
    """Its requests, and what it does instead of running the program, request by request."""

    def __init__(self):
        self.requests, self.plan, self.lock, self.closing = [], [], threading.Lock(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.service, self.server.daemon_threads = self, True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def hang(self, handler):
        self.closing.wait(20)
        handler.close_connection = True

    def trickle(self, handler):
        """A head that never ends: each single wait is short."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.closing.wait(0.1):
            try:
                handler.wfile.write(b"x: y\r\n")
            except OSError:
                break
        handler.close_connection = True


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    service = Service()
    yield service
    service.closing.set()
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def quick(service, monkeypatch):
    """The reward with that service, which waits less."""
    fast = RemoteSandbox(service.address, patience=0.5, pause=0.01, attempts=3)
    monkeypatch.setitem(module._REMOTES, (module.os.getpid(), service.address, "python"), fast)
    return Code(credit="fraction", timeout=5, remote=service.address)


def drop(handler):
    handler.close_connection = True
    handler.connection.close()


def redirect(handler):
    handler.answer(307, b"", location=f"{handler.server.service.address}/elsewhere")


def packed(handler):
    handler.answer(200, b"x", **{"content-encoding": "gzip"})


# What the programs get


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (ADD, 1.0),
        ("a, b = map(int, input().split())\nprint(abs(a + b) if a != 3 else 8)", 2 / 3),
        ("print(3)", 1 / 3),
        (ADD + "\nraise SystemExit(1)", 1.0),
        ("import os, signal\nprint(3, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)", 0.0),
        ("def add(", 0.0),
    ],
)
def test_a_program_gets_what_it_gets_in_the_sandbox_of_this_machine(quick, program, value):
    verdict = quick.one("Add.", f"```python\n{program}\n```", SUMS)
    assert verdict.value == pytest.approx(value), verdict


def test_only_the_program_its_input_and_the_limits_are_sent(quick, service):
    secret = {"inputs": ["1 2\n"], "outputs": ["3 is what is expected"]}
    assert quick.one("Add.", ADD, secret).value == 0.0
    ((path, request),) = service.requests
    assert path == "/run_code"
    assert request == {
        "code": ADD, "language": "python", "stdin": "1 2\n", "compile_timeout": 10.0, "run_timeout": 5, "memory_limit_MB": 512,
        "files": {}, "fetch_files": [],
    }  # fmt: skip


def test_a_program_out_of_time_is_told(service):
    verdict = Code(timeout=0.5, remote=service.address).one("Add.", "while True: pass", SUMS)
    assert (verdict.value, verdict.reason) == (0.0, "response_timeout")


def test_as_much_output_as_the_service_keeps_is_too_much(quick):
    verdict = quick.one("Write.", "print('x' * (1 << 21))", {"inputs": [""], "outputs": ["x"]})
    assert verdict.value == 0.0
    assert "too much output" in verdict.explanation


def test_a_program_that_is_no_text_is_wrong_and_is_not_sent(quick, service):
    assert quick.one("Add.", "print('\ud800')", SUMS).value == 0.0
    assert service.requests == []


def test_other_languages_need_no_command(service):
    service.plan = [{"status": "Success", "run_result": FINISHED}]
    judge = Code(language="javascript", remote=service.address)
    assert judge.one("Three.", "```js\nconsole.log(3)\n```", {"inputs": [""], "outputs": ["3"]}).value == 1.0
    assert service.requests[0][1]["language"] == "nodejs"


@pytest.mark.parametrize(
    ("compiled", "reason"),
    [
        ({**FINISHED, "return_code": 1, "stderr": "error: expected ';'"}, "response_wrong"),
        ({"status": "TimeLimitExceeded", "execution_time": 10.0}, "response_timeout"),
    ],
)
def test_a_program_that_does_not_compile_is_wrong(service, compiled, reason):
    service.plan = [{"status": "Failed", "compile_result": compiled, "run_result": None}]
    verdict = Code(language="cpp", remote=service.address).one("Three.", "```cpp\nint\n```", {"inputs": [""], "outputs": ["3"]})
    assert (verdict.value, verdict.reason) == (0.0, reason)


def test_it_works_where_an_event_loop_runs_and_for_many_at_once(quick):
    async def judged():
        return [case.passed for case in quick.cases(ADD, SUMS)]

    assert asyncio.run(judged()) == [True] * 3
    many = [quick.one("Add.", ADD, SUMS).value for _ in range(2)]
    threads = [threading.Thread(target=lambda: many.append(quick.one("Add.", ADD, SUMS).value)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert many == [1.0] * 8


# What the service does wrong is not the program's fault


@pytest.mark.parametrize("refusal", [429, 503, 504, drop])
def test_a_busy_service_is_asked_again(quick, service, refusal):
    service.plan = [refusal, refusal]
    assert quick.one("Add.", ADD, SUMS).value == 1.0
    assert len(service.requests) == 3 + 2


def test_it_waits_as_long_as_the_service_says(quick, service):
    service.plan = [lambda handler: handler.answer(429, b"", **{"retry-after": "1"})]
    began = time.monotonic()
    assert quick.one("Add.", ADD, {"inputs": ["1 2"], "outputs": ["3"]}).value == 1.0
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([504] * 3, "status 504, at each of 3 attempts"),
        ([500], "status 500"),
        ([422], "status 422"),
        ([redirect], "redirects are not followed"),
        ([packed], "packed"),
        ([b"<html>welcome</html>"], "no JSON"),
        ([b"[" * 200_000], "no JSON"),
        ([b"9" * 10_000], "no JSON"),
        ([b"\xff\xfe\xfd"], "no JSON"),
        ([b"[]"], "could not run"),
        ([{"status": "SandboxError", "message": "no space left"}], "no space left"),
        ([{"status": "Success", "run_result": None}], "not what became"),
        ([{"status": "Success", "run_result": {**FINISHED, "status": "Error"}}], "neither how"),
        ([{"status": "Success", "run_result": {**FINISHED, "return_code": True}}], "neither how"),
        ([{"status": "Success", "run_result": {**FINISHED, "return_code": None}}], "neither how"),
        ([{"status": "Success", "run_result": {**FINISHED, "stdout": ["3"]}}], "gives a list"),
        ([{"status": "Failed", "compile_result": FINISHED, "run_result": None}], "did not run it"),
    ],
)
def test_what_the_service_cannot_do_is_a_failed_sandbox(quick, service, plan, said):
    service.plan = list(plan)
    verdict = quick.one("Add.", ADD, SUMS)
    assert (verdict.value, verdict.status, verdict.reason) == (None, Status.FAILED, "sandbox_failed")
    assert said in verdict.explanation
    assert len(service.requests) == len(plan)


def test_a_huge_answer_is_not_read_to_its_end(quick, service):
    sent = []

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(400):
                handler.wfile.write(b" " * (1 << 20))
                sent.append(1)
        except OSError:
            pass
        handler.close_connection = True

    service.plan = [flood]
    verdict = quick.one("Add.", ADD, SUMS)
    assert verdict.reason == "sandbox_failed"
    assert "more than 16 MiB" in verdict.explanation
    assert len(sent) < 100


@pytest.mark.parametrize("how", ["hang", "trickle"])
def test_a_service_that_never_answers_is_left_in_time(service, monkeypatch, how):
    monkeypatch.setattr(module, "_COMPILING", 0.2)
    service.plan = [getattr(service, how)]
    began = time.monotonic()
    with pytest.raises(SandboxError, match="did not answer within"):
        RemoteSandbox(service.address, patience=0.3).run(Program(ADD), b"1 2", Limits(wall=0.5))
    assert time.monotonic() - began < 5
    assert len(service.requests) == 1


def test_no_service_at_all_is_a_failed_sandbox(service):
    nowhere = RemoteSandbox("http://127.0.0.1:1", pause=0.01, attempts=2)
    with pytest.raises(SandboxError, match=r"ConnectError.*2 attempts"):
        nowhere.run(Program(ADD), b"1 2")


def test_an_input_that_is_no_text_cannot_be_sent(service):
    with pytest.raises(SandboxError, match="no UTF-8"):
        RemoteSandbox(service.address).run(Program(ADD), b"\xff")
    assert service.requests == []


# What is refused


@pytest.mark.parametrize("tests", [["assert add(1, 2) == 3"], {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}])
def test_calls_and_assertions_are_refused_for_their_values_would_be_sent(quick, service, tests):
    verdict = quick.one("Add.", "def add(a, b): return a + b", tests)
    assert (verdict.value, verdict.reason) == (None, "reference_unreadable")
    assert "leave out `remote`" in verdict.explanation
    with pytest.raises(DataError, match="leave out `remote`"):
        quick.cases("def add(a, b): return a + b", tests)
    assert service.requests == []


def test_growing_a_suite_of_calls_does_not_silently_run_here(quick):
    with pytest.raises((SandboxError, DataError), match="leave out `remote`"):
        grow_suite("def add(a, b):\n    return a + b\n", "add", [[1, 2], [3, 4]], ["def add(a, b): return a"], code=quick)


def test_more_output_than_the_service_keeps_is_no_test(quick):
    verdict = quick.one("Write.", "print(1)", {"inputs": [""], "outputs": ["x" * (1 << 20)]})
    assert verdict.reason == "reference_unreadable"


@pytest.mark.parametrize(
    "address", ["", "ftp://host", "http://", "http://host:port", "http://a b", "http://user:key@host", "http://host?x=1", 8080]
)
def test_what_is_no_address_is_refused_and_a_password_is_not_shown(address):
    with pytest.raises(SpecError) as raised:
        Code(remote=address)
    assert "key" not in str(raised.value)


def test_an_address_may_have_a_path_and_lack_a_scheme():
    assert remote_base("https://host/sandbox/") == "https://host/sandbox"
    assert remote_base("host:8080") == "http://host:8080"


@pytest.mark.parametrize("further", [{"command": ("/bin/sh", "solution")}, {"binds": ("/usr/bin",)}])
def test_a_remote_has_no_command_and_no_binds(further):
    with pytest.raises(SpecError, match="name the language only"):
        Code(remote="http://localhost:8080", **further)


def test_the_address_is_no_part_of_the_fingerprint():
    assert Code(remote="http://a").fingerprint == Code(remote="http://b").fingerprint == Code().fingerprint
