"""Programs that attack their judge: none earns a reward, and none does harm that outlives it."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from plaudit import Sample
from plaudit.run.sandbox import Limits, Program, Sandbox, isolation_available
from plaudit.verify import Code

pytestmark = pytest.mark.skipif(
    isolation_available("bubblewrap") is not None, reason=f"no isolation here: {isolation_available('bubblewrap')}"
)

ASSERTS = ["assert f(2) == 4", "assert f(3) == 9", "assert f([1]) == 'x'"]

CHEATS = {
    "an object that equals everything": """
class Equal:
    def __eq__(self, other): return True
    def __hash__(self): return 0
def f(x): return Equal()
""",
    "a number that equals everything": """
class Number(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return Number(0)
""",
    "a text that equals everything": """
class Text(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def f(x): return Text("")
""",
    "patched builtins": """
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.bool = lambda *a: True
builtins.AssertionError = type("Quiet", (BaseException,), {})
def f(x): return None
""",
    "patched json and operator": """
import json, operator
json.dumps = lambda *a, **k: '["value", [["i", "4"], ["l", []]]]'
operator.eq = lambda a, b: True
def f(x): return object()
""",
    "an exit in the middle": "import os\ndef f(x): os._exit(0)",
    "an exit at once": "import os\nos._exit(0)\ndef f(x): return x * x",
    "sys.exit(0)": "import sys\ndef f(x): sys.exit(0)",
    "walking the frames for what is expected": """
import sys, gc
def f(x):
    frame = sys._getframe()
    while frame:
        for name, value in list(frame.f_locals.items()) + list(frame.f_globals.items()):
            if "expected" in name or name in ("tests", "claim", "outputs"): return value
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, str) and "assert f(" in thing: raise SystemExit("found " + thing)
    return None
""",
    "searching the memory for the tests": """
import gc
def f(x):
    found = [o for o in gc.get_objects() if isinstance(o, dict) and "tests" in o and "setup" in o]
    return found[0]["tests"] if found else None
""",
    "reading the tests from the disk": """
import os
def f(x):
    for folder, _, files in os.walk("/"):
        for name in files:
            if "test" in name and not folder.startswith(("/usr", "/lib", "/root", "/opt", "/home")): return name
    return None
""",
    "writing a verdict into every descriptor": """
import os
def f(x):
    for descriptor in range(3, 64):
        for line in (b'[0, true, ""]\\n[1, true, ""]\\n[2, true, ""]\\n["end"]\\n', b'["end"]\\n'):
            try: os.write(descriptor, line)
            except OSError: pass
    return None
""",
    "more replies than calls": """
import os
def f(x):
    os.write(3, b'["value", ["l", [["i", "4"], ["l", [["i", "2"]]]]]]\\n' * 3)
    return 4
""",
    "a reply that is no data": 'import os\ndef f(x):\n    os.write(3, b\'["value", {"__reduce__": 1}]\\n\')\n    return 0',
    "a pickle": "import pickle\nclass P:\n    def __reduce__(self): return (eval, ('1',))\ndef f(x): return pickle.dumps(P())",
    "replacing the function under test's caller": """
import __main__, sys
for module in list(sys.modules.values()):
    for name in ("same_value", "run_tests", "record", "encode", "_reply"):
        if hasattr(module, name): setattr(module, name, lambda *a, **k: True)
def f(x): return None
""",
    "an import hook": """
import sys
class Hook:
    def find_spec(self, name, path=None, target=None): raise SystemExit(0)
sys.meta_path.insert(0, Hook())
def f(x): return None
""",
    "redefining assert's exception": "import builtins\nbuiltins.AssertionError = Exception\ndef f(x): raise AssertionError",
    "a traced judge": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(x): return None",
    "a generator that never ends": "def f(x):\n    while True: yield x",
    "a value of 65 levels": "def f(x):\n    v = []\n    for _ in range(65): v = [v]\n    return v",
    "a value of 50 megabytes": "def f(x): return 'x' * 50_000_000",
    "a name and a doc that lie": "def f(x): return None\nf.__name__ = 'passed'; f.__doc__ = 'assert f(2) == 4'",
    "the tests in a comment": "# assert f(2) == 4\n# all tests passed\ndef f(x): return 0",
}


@pytest.mark.parametrize("credit", ["all", "fraction"])
@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes_all_its_tests(name, credit):
    judge = Code(credit=credit, timeout=3)
    verdict = judge.one("Write f.", f"```python\n{CHEATS[name]}\n```", ASSERTS)
    assert verdict.value is not None, verdict.explanation
    # "more replies than calls" really returns 4 for f(2); nothing else may pass.
    allowed = 1 / 3 if name == "more replies than calls" and credit == "fraction" else 0.0
    assert verdict.value <= allowed, verdict.details


HARM = {
    "fork bomb": "import os\nwhile True: os.fork()",
    "fork bomb by multiprocessing": "import multiprocessing as m\n[m.Process(target=print).start() for _ in range(1000)]",
    "fork bomb by threads": "import threading, time\n[threading.Thread(target=time.sleep, args=(9,)).start() for _ in range(10**5)]",  # noqa: E501
    "memory bomb": "x = bytearray(10**10)",
    "memory bomb in small pieces": "x = []\nwhile True: x.append(bytearray(10**6))",
    "disk filler": "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(10**6))",
    "many files": "import os\nfor k in range(10**6): open(f'/tmp/{k}', 'w').close()",
    "output flood": "while True: print('x' * 10**6)",
    "flood of the error stream": "import sys\nwhile True: sys.stderr.write('x' * 10**6)",
    "busy loop": "while True: pass",
    "busy loop that catches everything": "import signal\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass",  # noqa: E501
    "ignored signals": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\nwhile 1: pass",  # noqa: E501
    "sleeping": "import time\ntime.sleep(1000)",
    "a regular expression that explodes": "import re\nre.match(r'(a+)+$', 'a' * 50 + 'b')",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()",
    "a huge number printed": "import sys\nsys.set_int_max_str_digits(0)\nprint(9 ** (9 ** 8))",
    "NUL and invalid UTF-8": "import sys\nsys.stdout.buffer.write(b'\\x00\\xff\\xfe' * 100)",
    "a thread that outlives main": "import threading, time\nthreading.Thread(target=lambda: time.sleep(1000)).start()",
    "a daemon that holds the streams": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)",
    "a TCP connection": "import socket\nsocket.create_connection(('127.0.0.1', 80), 1)",
    "a UDP packet": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
    "a Unix socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')",
    "a look-up of a name": "import socket\nprint(socket.getaddrinfo('example.com', 80))",
    "ptrace of the parent": "import ctypes\nprint('yes' if ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 else 1/0)",
    "a signal to the first process outside": "import os\nos.kill(os.getppid() or 10**6, 9)",
    "signals to all": "import os\nos.kill(-1, 9)\nos.kill(2, 9)",
    "mounting": "import ctypes\nprint('yes' if ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0 else 1/0)",
    "a new user namespace": "import ctypes\nprint('yes' if ctypes.CDLL(None).unshare(0x10000000) == 0 else 1/0)",
    "setuid 0": "import os\nos.setuid(0)",
    "chroot": "import os\nos.chroot('/tmp')",
    "a device": "import os, stat\nos.mknod('/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))",
    "another program": "import subprocess\nprint(subprocess.run(['/bin/sh', '-c', 'id'], capture_output=True))",
    "the host's passwords": "print(open('/etc/passwd').read())",
    "the host's environment": "print(open('/proc/1/environ').read())",
    "a link out of the sandbox": "import os\nos.symlink('/etc/passwd', '/tmp/l')\nprint(open('/tmp/l').read())",
    "writing into the interpreter": "import os\nopen(os.__file__, 'a').write('x')",
    "writing into the sandbox's own code": "open('/box/inside/roles.py', 'a').write('x')",
    "a core dump": "import os\nos.abort()",
    "a crash": "import ctypes\nctypes.string_at(0)",
}
FINE = {"NUL and invalid UTF-8"}  # ends by itself without an error, and is merely no text


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1) as made:
        yield made


@pytest.mark.parametrize("name", HARM)
def test_harm_is_refused_or_ends_at_its_limits(sandbox, name):
    began = time.monotonic()
    outcome = sandbox.run(Program(HARM[name]), limits=Limits(wall=1.0, memory=256, disk=8, output=1))
    assert time.monotonic() - began < 8
    assert outcome.end != "exit" or outcome.code != 0 or name in FINE, outcome
    assert len(outcome.stdout) <= 1 << 20
    assert b"root:" not in outcome.stdout
    # The next program finds nothing of it.
    after = sandbox.run(Program("import os\nprint(os.listdir('/tmp'), os.getpid())"), limits=Limits(wall=5.0))
    assert after.stdout == b"[] 1\n", after


def test_environment_variables_of_the_host_do_not_come_in(sandbox, monkeypatch):
    monkeypatch.setenv("PLAUDIT_SECRET", "abc")
    with Sandbox(workers=1) as fresh:
        assert b"PLAUDIT_SECRET" not in fresh.run(Program("import os\nprint(dict(os.environ))")).stdout


def test_nothing_is_left_behind_after_many_runs(sandbox):
    def children():
        return subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "stat="], capture_output=True, text=True).stdout.split()

    sandbox.run(Program("pass"))
    before, descriptors = len(children()), len(os.listdir("/proc/self/fd"))
    for k in range(300):
        sandbox.run(Program("print(1)" if k % 10 else "1/0"))
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(children()) == before
    assert not any("Z" in state for state in children())


def test_a_weaker_wall_is_never_taken_by_itself(monkeypatch):
    from plaudit.run.sandbox import _start

    monkeypatch.setattr(_start.shutil, "which", lambda name: None)
    isolation_available.cache_clear()
    try:
        verdict = Code(binds=("/nowhere",)).score([Sample("p", "def f(x): return 1", ["assert f(1) == 1"])])[0]
    finally:
        isolation_available.cache_clear()
    assert verdict.reason == "sandbox_failed"
    assert "bubblewrap is not installed" in verdict.explanation


def test_the_sandbox_that_ends_with_its_owner():
    code = (
        "import os, time\nfrom plaudit.run.sandbox import *\n"
        "s = Sandbox(workers=1)\ns.run(Program('print(1)'))\nprint(s._idle['program'][0]._process.pid, flush=True)\ntime.sleep(60)"  # noqa: E501
    )
    import sys

    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    inside = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{inside}").exists() and "Z" not in Path(f"/proc/{inside}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the sandbox outlives its owner"
        time.sleep(0.05)
