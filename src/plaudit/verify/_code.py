"""Programs judged by tests: `Code`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.run.sandbox import Isolation, Limits, Outcome, Program, Sandbox, SandboxError
from plaudit.text import Read, final_text
from plaudit.types import Context, Cost, Sample, Status, Verdict, declare_reason
from plaudit.verify._code_outputs import Compare, same_output, same_value
from plaudit.verify._code_program import defined_names, find_program
from plaudit.verify._code_tests import RECORD, NoSuite, Suite, read_suite

declare_reason("sandbox_failed", Status.FAILED, "The sandbox could not run the program; nothing was learnt about it.")

Credit = Literal["all", "fraction"]
_SHOWN = 300


class _Starved(Exception):
    """The machine was too busy to tell how long the program takes."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test: whether it passed, and why not."""

    passed: bool
    why: str = ""


@dataclass(frozen=True)
class Code(Reward):
    """Runs the program of a response against tests, each run alone in a sandbox: 1 when all pass, or the share that does.

    The program is the last closed code block, or the whole response where there is none. The reference holds the tests
    (`plaudit.verify.read_suite`): inputs with outputs, calls with values, or Python assertions. Expected outputs never enter the
    process that runs the program: outputs and returned values are compared here, as plain data of exact types; assertions run in
    a second sandbox that calls the program through a socket. A test that is not reported has not passed, and an exit code proves
    nothing.

    Fields:
        credit: ``"all"`` = 1 only when every test passes; ``"fraction"`` = the share of passed tests.
        timeout: seconds for each test; for assertions, for all of them.
        memory: MiB of address space.
        compare: how outputs are compared: ``"lines"``, ``"tokens"`` or ``"exact"``.
        tolerance: numbers may differ by that share of the expected one; 0 = not at all.
        language: of the code block.
        command: how to run another language than Python, for example ``["/bin/sh", "-c", "node solution.js"]``; the program is in
            the file `file` of the working folder. Inputs with outputs only.
        file: name of that file.
        binds: folders that programs may read, such as a compiler's.
        stop_early: with credit ``"all"``, run no further test when one has failed.
        isolation: ``"bubblewrap"``: namespaces, no network, an empty file system; ``"process"``: limits only, for programs that
            you trust. What is not available here is FAILED ``sandbox_failed``, never weakened.
        read: as everywhere.

    Raises SpecError for limits that are not positive.

    >>> adds = Code(isolation="process")
    >>> adds.one("Write f(a, b) that adds.", "def f(a, b): return a + b", ["assert f(1, 2) == 3", "assert f(0, 0) == 0"]).value
    1.0
    """

    credit: Credit = "all"
    timeout: float = 6.0
    memory: int = 512
    compare: Compare = "lines"
    tolerance: float = 0.0
    language: str = "python"
    command: tuple[str, ...] = ()
    file: str = "solution"
    binds: tuple[str, ...] = ()
    stop_early: bool = True
    isolation: Isolation = "bubblewrap"
    read: Read = "final"

    example: ClassVar[Mapping[str, Any]] = {"isolation": "bubblewrap"}

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.memory > 0 and self.tolerance >= 0):
            given = f"timeout {self.timeout}, memory {self.memory}, tolerance {self.tolerance}"
            raise SpecError(f"verify.code: {given}: expected positive limits and a tolerance from 0 on")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); io lane, as many at once as there are processors."""
        reads = frozenset({"prompt", "response", "reference"})
        return Facts(
            range=(0.0, 1.0), reads=reads, lane="io", version="1", max_in_flight=len(os.sched_getaffinity(0)), systems=()
        )

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        return await asyncio.to_thread(self._judge, sample)

    def _judge(self, sample: Sample) -> Verdict:
        try:
            suite = read_suite(sample.reference)
        except NoSuite as error:
            return Verdict.failed("reference_unreadable", f"verify.code: {error}")
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        if not text.strip():
            return Verdict(0.0, reason="response_empty")
        source = find_program(text, self.language)
        if source is None:
            return Verdict(0.0, reason="response_no_answer", explanation=f"no closed block of {self.language}")
        try:
            run = _Run(self, suite, source)
            results = run.results()
        except _Starved as error:
            return Verdict.failed("worker_starved", str(error))
        except SandboxError as error:
            return Verdict.failed("sandbox_failed", str(error))
        return self._verdict(source, suite, results, run)

    def _verdict(self, source: str, suite: Suite, results: Sequence[CaseResult], run: _Run) -> Verdict:
        passed = sum(result.passed for result in results)
        value = passed / suite.n if self.credit == "fraction" else float(passed == suite.n and run.complete)
        first = next((result.why for result in results if not result.passed), "")
        reason = "response_right" if passed == suite.n and run.complete else run.reason
        return Verdict(
            value,
            reason=reason,
            answer=source[:_SHOWN],
            explanation=None if reason == "response_right" else f"{passed} of {suite.n} tests passed; the first failure: {first}",
            details={
                "passed": passed,
                "tests": suite.n,
                "results": [{"passed": result.passed, "why": result.why} for result in results],
            },
            cost=Cost(seconds=run.seconds, calls=run.calls),
        )


@dataclass
class _Run:
    """One program against one suite."""

    reward: Code
    suite: Suite
    source: str
    seconds: float = 0.0
    calls: int = 0
    reason: str = "response_wrong"
    complete: bool = True
    notes: list[str] = field(default_factory=list)

    def results(self) -> list[CaseResult]:
        """One result for each test; those that were not run did not pass."""
        by_kind = {"stdio": self._stdio, "calls": self._called, "asserts": self._asserted}
        found = by_kind[self.suite.kind]()
        return found + [CaseResult(False, "not run")] * (self.suite.n - len(found))

    @property
    def _limits(self) -> Limits:
        own = self.reward
        return Limits(wall=own.timeout, memory=own.memory, processes=bool(own.command))

    def _program(self) -> Program:
        return Program(self.source, command=self.reward.command or None, file=self.reward.file)

    def _stdio(self) -> list[CaseResult]:
        own, found = self.reward, list[CaseResult]()
        for given, expected in zip(self.suite.inputs, self.suite.outputs, strict=True):
            outcome = _sandbox(own).run(self._program(), given.encode("utf-8", "surrogateescape"), self._limits)
            self._account(outcome)
            written = outcome.stdout.decode("utf-8", "replace")
            same = outcome.end == "exit" and same_output(written, expected, own.compare, own.tolerance)
            found.append(CaseResult(same, "" if same else _why(outcome, f"wrote {written[:100]!r}")))
            if not same and own.stop_early and own.credit == "all":
                break
        return found

    def _called(self) -> list[CaseResult]:
        """Calls in one process; behind a call that hung or killed it the rest go on in a new one."""
        own, suite, found = self.reward, self.suite, list[CaseResult]()
        name = self._function(suite.function or "")
        while len(found) < suite.n:
            left = suite.inputs[len(found) :]
            limits = Limits(wall=own.timeout * len(left), memory=own.memory)
            replies, outcome = _sandbox(own).call(self._program(), [(name, given) for given in left], limits, own.timeout)
            self._account(outcome)
            for reply in replies:
                expected = suite.outputs[len(found)]
                same = reply.error is None and same_value(reply.value, expected, own.tolerance)
                if reply.error == "timeout":
                    self.reason = "response_timeout"
                found.append(CaseResult(same, "" if same else reply.error or f"returned {reply.value!r:.100}"))
            if len(replies) < len(left) and (not replies or replies[-1].error != "timeout"):
                found.append(CaseResult(False, _why(outcome, "the program ended")))
            failed = not all(result.passed for result in found)
            if failed and own.stop_early and own.credit == "all":
                break
        return found[: suite.n]

    def _function(self, name: str) -> str:
        names = defined_names(self.source) or []
        return f"Solution.{name}" if name not in names and "Solution" in names else name

    def _asserted(self) -> list[CaseResult]:
        own, suite = self.reward, self.suite
        source = self.source
        defined = defined_names(source)
        if suite.entry_point is not None and (defined is None or suite.entry_point not in defined):
            # The response goes on where the prompt ends.
            source = suite.setup + "\n" + source
            defined = defined_names(source)
        if defined is None:
            self.reason = "response_unparsable"
            return [CaseResult(False, "not Python")] * suite.n
        names = [suite.entry_point] if suite.entry_point else sorted(set(defined) & set(suite.names))
        tests = {
            "tests": suite.source, "setup": suite.setup, "names": names, "entry_point": suite.entry_point, "record": RECORD,
            "early_stop": own.stop_early and own.credit == "all",
        }  # fmt: skip
        reports, outcome, tested = _sandbox(own).test(Program(source), tests, self._limits)
        self._account(outcome)
        if tested.end in ("timeout", "starved"):
            self._account(tested)
        held: dict[int, CaseResult] = {}
        loose = ""
        for report in reports:
            if report[0] == "end":
                break
            if not isinstance(report[0], int):
                loose = f"{report[2]}"
            elif not (report[0] in held and not held[report[0]].passed):
                held[report[0]] = CaseResult(bool(report[1]), str(report[2]) or ("" if report[1] else "does not hold"))
        self.complete = bool(reports) and reports[-1] == ["end"] and not loose
        missing = CaseResult(False, loose or _why(tested, "not reported"))
        return [held.get(number, missing) for number in range(suite.n)]

    def _account(self, outcome: Outcome) -> None:
        self.seconds += outcome.seconds
        self.calls += 1
        if outcome.end == "starved":
            raise _Starved("the program waited for a processor for over half of its time limit")
        if outcome.end in ("timeout", "memory"):
            self.reason = f"response_{outcome.end}"


def _why(outcome: Outcome, otherwise: str) -> str:
    if outcome.end != "exit":
        return {"timeout": "out of time", "memory": "out of memory", "output": "too much output"}.get(
            outcome.end, f"ended by signal {-outcome.code}"
        )
    last = outcome.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    return last[:_SHOWN] if outcome.code else otherwise


_SANDBOXES: dict[tuple[Isolation, tuple[str, ...]], tuple[int, Sandbox]] = {}
_LOCK = threading.Lock()


def _sandbox(reward: Code) -> Sandbox:
    """One sandbox for each kind of wall, shared by all rewards of this process; a forked child makes its own."""
    key = (reward.isolation, reward.binds)
    with _LOCK:
        owner, sandbox = _SANDBOXES.get(key, (0, None))
        if sandbox is None or owner != os.getpid():
            sandbox = Sandbox(isolation=reward.isolation, binds=reward.binds)
            _SANDBOXES[key] = (os.getpid(), sandbox)
        return sandbox
