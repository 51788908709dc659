"""One program against one suite of tests."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from plaudit.run.sandbox import TIMEOUT, Isolation, Limits, Outcome, Program, Sandbox, SandboxError
from plaudit.verify._code_outputs import same_output, same_value, shown
from plaudit.verify._code_program import defined_names
from plaudit.verify._code_tests import RECORD, Suite
from plaudit.verify._remote_sandbox import RemoteSandbox, remote_sandbox

if TYPE_CHECKING:
    from plaudit.verify._code import Code

_SHOWN = 300
_HANGS = 3
"""After so many tests that ran out of time the rest are not run: a hundred sleeping answers must not hold a place for minutes."""


class Starved(Exception):
    """The machine was too busy to tell how long the program takes."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test: whether it passed, and why not."""

    passed: bool
    why: str = ""


@dataclass
class Run:
    """One program against one suite; `results` runs it.

    Fields:
        enough: processor seconds after which a late program is slow and not starved, however busy the machine is.
        seconds, calls: what it took.
        reason: of the verdict when a test fails.
        complete: whether the tests ran to their end.
    """

    reward: Code
    suite: Suite
    source: str
    stop_early: bool
    enough: float = math.inf
    seconds: float = 0.0
    calls: int = 0
    reason: str = "response_wrong"
    complete: bool = True

    def results(self) -> list[CaseResult]:
        """One result for each test; those that were not run did not pass. Raises Starved and SandboxError."""
        by_kind = {"stdio": self._stdio, "calls": self._called, "asserts": self._asserted}
        found = by_kind[self.suite.kind]()
        return found + [CaseResult(False, "not run")] * (self.suite.n - len(found))

    def _limits(self, seconds: float) -> Limits:
        return Limits(wall=seconds, memory=self.reward.memory, processes=bool(self.reward.command))

    def _program(self) -> Program:
        return Program(self.source, command=self.reward.command or None, file=self.reward.file)

    def _stdio(self) -> list[CaseResult]:
        own, found, hangs = self.reward, list[CaseResult](), 0
        if own.command and not _is_there(own.command[0], own.isolation, own.binds):
            raise SandboxError(f"{own.command[0]} is not in the sandbox: name the folders that it needs in `binds`")
        sandbox = _runner_of(own)
        for given, expected in zip(self.suite.inputs, self.suite.outputs, strict=True):
            outcome = sandbox.run(self._program(), given.encode("utf-8", "surrogateescape"), self._limits(own.timeout))
            self._account(outcome)
            written = outcome.stdout.decode("utf-8", "replace")
            same = outcome.end == "exit" and same_output(written, expected, own.compare, own.tolerance)
            found.append(CaseResult(same, "" if same else _why(outcome, f"wrote {written[:100]!r}")))
            hangs += outcome.end in ("timeout", "starved")
            if hangs >= _HANGS or (self.stop_early and not same):
                break
        return found

    def _called(self) -> list[CaseResult]:
        """Calls in one process; behind a call that hung or killed it the rest go on in a new one."""
        own, suite, found, hangs = self.reward, self.suite, list[CaseResult](), 0
        name = self._function(suite.function or "")
        while len(found) < suite.n and hangs < _HANGS:
            left = suite.inputs[len(found) :]
            limits = self._limits(own.timeout * (len(left) + 1))
            replies, outcome = sandbox_of(own).call(self._program(), [(name, given) for given in left], limits, own.timeout)
            self._account(outcome)
            late = bool(replies) and replies[-1].error == TIMEOUT
            if late:
                self._late([outcome])
            hangs += late or outcome.seconds > own.timeout
            if not replies or replies[0].error is not None:
                why = replies[0].error if replies else _why(outcome, "the program ended")
                return found + [CaseResult(False, f"while it was loaded: {why}"[:_SHOWN])] * len(left)
            for reply, expected in zip(replies[1:], suite.outputs[len(found) :], strict=False):
                same = reply.error is None and same_value(reply.value, expected, own.tolerance)
                found.append(CaseResult(same, "" if same else reply.error or f"returned {shown(reply.value):.100}"))
            if len(replies) - 1 < len(left) and not late:
                found.append(CaseResult(False, _why(outcome, "the program ended")))
            if self.stop_early and not all(result.passed for result in found):
                break
        return found

    def _function(self, name: str) -> str:
        names = defined_names(self.source) or []
        return f"Solution.{name}" if "." not in name and name not in names and "Solution" in names else name

    def _asserted(self) -> list[CaseResult]:
        own, suite = self.reward, self.suite
        if suite.entry_point is not None and not self._defines(suite.entry_point):
            # The response goes on where the prompt ends.
            self.source = suite.prefix + "\n" + self.source
        defined = defined_names(self.source)
        if defined is None:
            self.reason = "response_unparsable"
            return [CaseResult(False, "not Python")] * suite.n
        entry_point = None if suite.entry_point is None else self._function(suite.entry_point)
        called = sorted(set(defined) & set(suite.names))
        if entry_point is not None:
            # What else the prompt defines, the tests have from the prompt.
            called = [entry_point, *(name for name in called if name == "Solution")]
        tests = {
            "tests": suite.source, "setup": suite.setup, "names": called, "entry_point": entry_point, "record": RECORD,
            "early_stop": self.stop_early,
        }  # fmt: skip
        reports, outcome, tested = sandbox_of(own).test(Program(self.source), tests, self._limits(own.timeout))
        self._account(outcome)
        if tested.end in ("timeout", "starved"):
            self._late([outcome, tested])
        return self._reported(reports, tested)

    def _defines(self, name: str) -> bool:
        defined = defined_names(self.source) or []
        return name.partition(".")[0] in defined or "Solution" in defined

    def _reported(self, reports: Sequence[Sequence[object]], tested: Outcome) -> list[CaseResult]:
        """What the reports say of each test; an assertion that was reached more than once holds when it held each time."""
        held: dict[int, CaseResult] = {}
        loose = ""
        for number, passed, text in (report for report in reports if len(report) == 3):
            if not isinstance(number, int):
                loose = str(text)
            elif number not in held or held[number].passed:
                held[number] = CaseResult(
                    bool(passed), "" if passed else str(text) or f"does not hold: {self.suite.claims[number]}"
                )
        self.complete = bool(reports) and list(reports[-1]) == ["end"] and not loose
        missing = CaseResult(False, loose or _why(tested, "not reported"))
        return [held.get(number, missing) for number in range(self.suite.n)]

    def _account(self, outcome: Outcome) -> None:
        self.seconds += outcome.seconds
        self.calls += 1
        if outcome.end == "starved":
            self._late([outcome])
        if outcome.end in ("timeout", "memory"):
            self.reason = f"response_{outcome.end}"

    def _late(self, outcomes: Sequence[Outcome]) -> None:
        """The time is out. Raises Starved when that says nothing about the program."""
        self.reason = "response_timeout"
        if sum(outcome.cpu for outcome in outcomes) >= self.enough:
            return
        if any(outcome.end == "starved" for outcome in outcomes) or sum(o.waited for o in outcomes) > outcomes[0].seconds / 2:
            raise Starved("the program waited for a processor for over half of its time limit")


def _why(outcome: Outcome, otherwise: str) -> str:
    if outcome.end != "exit":
        return {"timeout": "out of time", "memory": "out of memory", "output": "too much output"}.get(
            outcome.end, f"ended by signal {-outcome.code}"
        )
    last = outcome.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    return last[:_SHOWN] if outcome.code else otherwise


_SANDBOXES: dict[tuple[Isolation, tuple[str, ...]], tuple[int, Sandbox]] = {}
_LOCK = threading.Lock()


def _runner_of(reward: Code) -> Sandbox | RemoteSandbox:
    """What runs programs with inputs and outputs: the remote when there is one."""
    return sandbox_of(reward) if reward.remote is None else remote_sandbox(reward.remote, reward.language)


def sandbox_of(reward: Code) -> Sandbox:
    """One sandbox for each kind of wall, shared by all rewards of this process; a forked child makes its own.

    Raises SandboxError for a reward with a remote: that was asked for in place of this one.
    """
    if reward.remote is not None:
        raise SandboxError("a remote runs programs with inputs and outputs only: leave out `remote` for calls and assertions")
    return shared_sandbox(reward.isolation, reward.binds)


@cache
def _is_there(program: str, isolation: Isolation, binds: tuple[str, ...]) -> bool:
    looks = Program(f"import os\nprint(os.access({program!r}, os.X_OK))")
    return shared_sandbox(isolation, binds).run(looks, limits=Limits(wall=60)).stdout == b"True\n"


def shared_sandbox(isolation: Isolation, binds: tuple[str, ...]) -> Sandbox:
    """The sandbox of this process for one kind of wall."""
    key = (isolation, binds)
    with _LOCK:
        owner, sandbox = _SANDBOXES.get(key, (0, None))
        if sandbox is None or owner != os.getpid():
            sandbox = Sandbox(isolation=isolation, binds=binds)
            _SANDBOXES[key] = (os.getpid(), sandbox)
        return sandbox
