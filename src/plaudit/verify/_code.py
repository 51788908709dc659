"""Programs judged by tests: `Code`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from plaudit.errors import DataError, RunError, SpecError
from plaudit.reward import Facts, Reward, address_field
from plaudit.run.sandbox import Isolation, SandboxError
from plaudit.text import Read, final_text
from plaudit.types import Context, Cost, Sample, Status, Verdict, declare_reason
from plaudit.verify._code_outputs import Compare
from plaudit.verify._code_program import find_program
from plaudit.verify._code_run import CaseResult, Run, Starved
from plaudit.verify._code_tests import NoSuite, Suite, read_suite
from plaudit.verify._remote_sandbox import REMOTE_OUTPUT, remote_base

declare_reason("sandbox_failed", Status.FAILED, "The sandbox could not run the program; nothing was learnt about it.")

Credit = Literal["all", "fraction"]
_SHOWN = 300
_ATTEMPTS = 4
"""How often `Code.cases` tries on a machine that is too busy, each time with twice the time."""


@dataclass(frozen=True)
class Code(Reward):
    """Runs the program of a response against tests, each run alone in a sandbox: 1 when all pass, or the share that does.

    The program is the last closed code block, or the whole response where there is none. The reference holds the tests: inputs
    with outputs, calls with values, or Python assertions. Expected outputs never enter the
    process that runs the program: outputs and returned values are compared here, as plain data of exact types; assertions run in
    a second sandbox that calls the program through a socket. A test that is not reported has not passed, and an exit code proves
    nothing. There is one suite for a sample: all its tests belong to the problem, so there is no best or mean of references.

    Fields:
        credit: ``"all"`` = 1 only when every test passes; ``"fraction"`` = the share of passed tests.
        timeout: seconds for each test, and for loading the program; for assertions, for all of them. After three tests that ran
            out of time the rest are not run and have not passed.
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
        remote: address of a SandboxFusion service that runs the programs, also in other languages, in place of the sandbox of
            this machine: `isolation` is then the service's affair, and `command` and `binds` have no place. Inputs with outputs
            only: calls and assertions would send the expected values. What the service cannot do is FAILED ``sandbox_failed``.

    Raises SpecError for limits that are not positive, for another language without a command or a remote, and for a remote that
    is no address or comes with a command or binds.

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
    remote: str | None = address_field(default=None)

    example: ClassVar[Mapping[str, Any]] = {"isolation": "bubblewrap"}

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.memory > 0 and self.tolerance >= 0):
            given = f"timeout {self.timeout}, memory {self.memory}, tolerance {self.tolerance}"
            raise SpecError(f"verify.code: {given}: expected positive limits and a tolerance from 0 on")
        if self.command and not self.command[0].startswith("/"):
            raise SpecError(f"verify.code: command {list(self.command)}: expected a program's whole path first, as in /bin/sh")
        if self.language != "python" and not self.command and self.remote is None:
            raise SpecError(f"verify.code: language {self.language!r} without a command: say how it is run")
        if self.remote is not None:
            remote_base(self.remote)
            if self.command or self.binds:
                raise SpecError(
                    "verify.code: a remote with a command or binds: it knows its languages itself, name the language only"
                )

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
        if sample.reference is None:
            return Verdict.failed("reference_missing", "verify.code: the reference holds the tests, and there is none")
        try:
            suite = self._suite(sample.reference)
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
            run = Run(self, suite, source, self.stop_early and self.credit == "all")
            results = run.results()
        except Starved as error:
            return Verdict.failed("worker_starved", str(error))
        except SandboxError as error:
            return Verdict.failed("sandbox_failed", str(error))
        return self._verdict(source, suite, results, run)

    def _suite(self, reference: Any) -> Suite:
        suite = read_suite(reference)
        if self.command and suite.kind != "stdio":
            raise NoSuite(
                f"the tests are {suite.kind} in Python, and the programs are run by a command: expected inputs and outputs"
            )
        if self.remote is not None:
            if suite.kind != "stdio":
                raise NoSuite(
                    f"the tests are {suite.kind}, and a remote runs inputs with outputs only: leave out `remote` for them"
                )
            if any(len(output.encode("utf-8", "surrogatepass")) >= REMOTE_OUTPUT for output in suite.outputs):
                raise NoSuite(f"a test expects {REMOTE_OUTPUT >> 20} MiB of output or more, and the remote keeps less")
        return suite

    def cases(self, source: str, reference: Any) -> list[CaseResult]:
        """The result of every test for a program itself, not a response with one; nothing stops early.

        Raises DataError for a reference that holds no tests, RunError where the sandbox does not work or the machine is too busy.

        >>> code = Code(isolation="process")
        >>> [case.passed for case in code.cases("def f(a): return a * a", ["assert f(2) == 4", "assert f(3) == 6"])]
        [True, False]
        """
        patient, said = self, ""
        for _ in range(_ATTEMPTS):
            try:
                return Run(patient, self._suite(reference), source, False, enough=self.timeout).results()
            except NoSuite as error:
                raise DataError(f"verify.code: {error}") from error
            except Starved as error:
                said, patient = str(error), replace(patient, timeout=2 * patient.timeout)
        raise RunError(f"verify.code: {said}, even when given {patient.timeout / 2:g} seconds")

    def _verdict(self, source: str, suite: Suite, results: Sequence[CaseResult], run: Run) -> Verdict:
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
