"""Inputs judged by how near they bring a program to a line: `Coverage`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from plaudit.errors import SpecError
from plaudit.reward import Facts, Reward
from plaudit.run.sandbox import TIMEOUT, Isolation, Limits, Program, SandboxError
from plaudit.text import Read, final_text
from plaudit.types import Context, Cost, Sample, Verdict
from plaudit.verify._code_program import find_program
from plaudit.verify._code_run import shared_sandbox
from plaudit.verify._flow import distances_to, line_graph, nearest

_EVENTS = 2_000_000
"""Lines after which a run is ended with what it has reached so far."""

_TRACER = """
import sys as _sys

class _Enough(BaseException):
    pass

def trace(source, function, given):
    lines, left, error = set(), [EVENTS], None
    def watch(frame, event, argument):
        if frame.f_code.co_filename != "<target>":
            return None
        lines.add(frame.f_lineno)
        left[0] -= 1
        if left[0] < 0:
            raise _Enough
        return watch
    names = {"__name__": "target"}
    exec(compile(source, "<target>", "exec"), names)
    called = names[function]
    _sys.settrace(watch)
    try:
        called(given)
    except BaseException as caught:
        error = type(caught).__name__
    finally:
        _sys.settrace(None)
    return [sorted(lines), error]
""".replace("EVENTS", str(_EVENTS))


@dataclass(frozen=True, slots=True)
class _Target:
    """A line of a program to be reached, with the distance of every line to it."""

    source: str
    function: str
    line: int
    distances: Mapping[int, int]
    farthest: int


@dataclass(frozen=True)
class Coverage(Reward):
    """How near the input in a response brings a program to a target line: 1 = reached, else 1 - d / d_max.

    d is the fewest steps of control flow, calls included, from any line that was run to the target; d_max those from the entry of
    the function. The response's input is its last closed code block, or all of it. The reference says what is to be reached:
    ``{"source": PYTHON, "function": NAME, "line": N}``, or the same as JSON; the function takes the input as one text. The
    program is trusted no more than any other: it runs in the sandbox, and is traced there.

    Fields:
        graded: False = only reaching the line counts.
        timeout: seconds; an input on which the program runs longer gets 0.
        memory: MiB of address space.
        isolation: as in `Code`.
        read: as everywhere.

    Source: "R1-Fuzz: Specializing Language Models for Textual Fuzzing via Reinforcement Learning" (the distance is the natural
    reading of its abstract). Raises SpecError for limits that are not positive.

    >>> source = "def check(text):\\n    if text[0] == 'a':\\n        if text[1] == 'z':\\n            return 1\\n    return 0"
    >>> target = {"source": source, "function": "check", "line": 4}
    >>> reach = Coverage(isolation="process")
    >>> [round(reach.one("Reach line 4.", text, target).value, 2) for text in ("b", "ab", "az")]
    [0.33, 0.67, 1.0]
    """

    graded: bool = True
    timeout: float = 6.0
    memory: int = 512
    isolation: Isolation = "bubblewrap"
    read: Read = "final"

    example: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.memory > 0):
            raise SpecError(f"verify.coverage: timeout {self.timeout}, memory {self.memory}: expected positive limits")

    @property
    def facts(self) -> Facts:
        """Range (0, 1); io lane, as many at once as there are processors."""
        return Facts(range=(0.0, 1.0), lane="io", version="1", max_in_flight=len(os.sched_getaffinity(0)), systems=(120,))

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        return await asyncio.to_thread(self._judge, sample)

    def _judge(self, sample: Sample) -> Verdict:
        try:
            target = _read_target(sample.reference)
        except ValueError as error:
            return Verdict.failed("reference_unreadable", f"verify.coverage: {error}")
        text = final_text(sample, self.read)
        if text is None:
            return Verdict(0.0, reason="response_unclosed_thought")
        given = find_program(text, "text")
        if given is None:
            return Verdict(0.0, reason="response_no_answer" if text.strip() else "response_empty")
        given = given.removesuffix("\n") if "```" in text or "~~~" in text else given
        limits = Limits(wall=self.timeout + 1, memory=self.memory)
        calls = [("trace", [target.source, target.function, given])]
        try:
            replies, outcome = shared_sandbox(self.isolation, ()).call(Program(_TRACER), calls, limits, self.timeout)
        except (SandboxError, ValueError) as error:
            if isinstance(error, ValueError):  # an input too large to be handed over
                return Verdict(0.0, reason="response_no_answer", explanation=str(error))
            return Verdict.failed("sandbox_failed", str(error))
        cost = Cost(seconds=outcome.seconds, calls=1)
        if len(replies) < 2 or replies[1].error is not None:
            late = bool(replies) and replies[-1].error == TIMEOUT
            if late and outcome.waited > outcome.seconds / 2:
                return Verdict.failed("worker_starved", "the program waited for a processor for over half of its time limit")
            why = replies[-1].error if replies else None
            return Verdict(0.0, reason="response_timeout" if late else "response_wrong", explanation=why, cost=cost)
        lines, raised = _lines(replies[1].value)
        return self._verdict(target, given, lines, raised, cost)

    def _verdict(self, target: _Target, given: str, lines: list[int], raised: str | None, cost: Cost) -> Verdict:
        distance = nearest(target.distances, lines)
        share = 0.0 if distance is None else max(0.0, 1 - distance / max(1, target.farthest))
        reached = distance == 0
        return Verdict(
            1.0 if reached else share if self.graded else 0.0,
            reason="response_right" if reached else "response_wrong",
            answer=given[:300],
            details={"distance": distance, "farthest": target.farthest, "lines": lines[:1000], "raised": raised},
            cost=cost,
        )


def _lines(value: Any) -> tuple[list[int], str | None]:
    """What the traced process says it ran; the program may have lied, but only about itself."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], list):
        return [line for line in value[0] if type(line) is int], value[1] if isinstance(value[1], str) else None
    return [], "the trace was lost"


def _read_target(reference: Any) -> _Target:
    """The target of a reference. Raises ValueError with what was expected."""
    if isinstance(reference, str):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the reference is a text and no JSON: {error}") from error
    if not isinstance(reference, Mapping) or not {"source", "function", "line"} <= set(reference):
        raise ValueError("the reference: expected source, function and line")
    source, function, line = reference["source"], reference["function"], reference["line"]
    if not (isinstance(source, str) and isinstance(function, str) and type(line) is int):
        raise ValueError("the reference: expected source and function as texts and line as a whole number")
    return _target(source, function, line)


@lru_cache(maxsize=256)
def _target(source: str, function: str, line: int) -> _Target:
    try:
        graph = line_graph(source)
        entry = _first_line(source, function)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the program cannot be read: {error}") from error
    if line not in graph:
        raise ValueError(f"line {line} of the program holds no code; lines with code: {sorted(graph)[:50]}")
    distances = distances_to(graph, line)
    if entry not in distances:
        raise ValueError(f"line {line} cannot be reached from {function}")
    return _Target(source, function, line, distances, distances[entry])


def _first_line(source: str, function: str) -> int:
    import ast

    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    raise ValueError(f"it has no function {function}")
