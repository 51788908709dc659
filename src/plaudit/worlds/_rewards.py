"""The exact checkers of the arithmetic world as rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from plaudit.reward import Facts, Reward
from plaudit.text import final_text, message_text
from plaudit.types import Context, Dense, Sample, Verdict
from plaudit.worlds._check import CheckedAnswer, CheckedSolution, TooLarge, check_solution
from plaudit.worlds._number import Value
from plaudit.worlds._problem import ArithmeticProblem, problem_in

SHOWN = 200
"""Characters of an answer that a verdict repeats."""


@dataclass(frozen=True)
class ArithmeticAnswer(Reward):
    """1 when the response ends with the exact answer of the arithmetic problem in the prompt, else 0.

    The prompt ends with ``EXPRESSION=?``; any other prompt is ABSTAINED ``not_applicable``. The answer is a line
    ``#### NUMBER`` at the end of the response, and there is only one: a whole number, a decimal or a fraction in lowest terms,
    without leading zeros, signs, units or words. The truth is worked out from the prompt; the reference is not read.

    Fields:
        graded: near misses get part of the reward, by the distance d to the truth t: ``1 - min(d, 1)/2 - min(d/|t|, 1)/2``.
            For long problems on which nothing is right at first. A whole number that is wrong gets less than 1/2.

    Source: "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data Contamination"
    (RandomCalculation and its rewards).

    >>> ArithmeticAnswer().one("3+4*5=?\\n", "4*5=20\\n3+20=23\\n#### 23").value
    1.0
    >>> ArithmeticAnswer(graded=True).one("3+4*5=?\\n", "#### 46/3").value
    0.3333333333333333
    """

    graded: bool = False

    example: ClassVar[Mapping[str, Any]] = {}

    @property
    def facts(self) -> Facts:
        """Range (0, 1); inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response"}), systems=(99,))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        read = _read(sample)
        if isinstance(read, Verdict):
            return read
        answer = read.checked.answer
        if answer is None:
            return Verdict(0.0, reason="response_no_answer")
        shown = _shown(answer)
        if not answer.last:
            return Verdict(0.0, reason="response_format", answer=shown, explanation="the answer line is not one line at the end")
        if answer.value is None:
            return Verdict(0.0, reason="response_unparsable", answer=shown)
        if answer.right:
            return Verdict(1.0, reason="response_right", answer=shown)
        value = _closeness(answer.value, read.problem.value) if self.graded else 0.0
        return Verdict(value, reason="response_wrong", answer=shown)


@dataclass(frozen=True)
class ArithmeticSteps(Reward):
    """The share of the solution's lines that are right and useful, by the exact step checker.

    With w lines of work and an answer line in the response, and k operations in the problem: (good lines) / (max(w, k) + 1).
    Filler, repeated and unreadable lines count against it, and so do steps that are left out; 1 is a complete solution and
    nothing else. A line of work is good when it is true and does an operation that was still open; the answer line when it is
    right, follows from the lines above it, and ends the response. Each line's own value, 1 or 0, is in `dense`, at level "step".

    The prompt ends with ``EXPRESSION=?``; any other prompt is ABSTAINED ``not_applicable``.

    Fields:
        until_error: nothing behind the first line that is false or unreadable is good. Without it a policy may claim a handy
            false result and earn the easier lines that rest on it.

    Source: "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data Contamination" (the problems);
    "Let's Verify Step by Step" (labels up to the first error).

    >>> verdict = ArithmeticSteps().one("3+4*5=?\\n", "4*5=20\\n3+20=24\\n#### 24")
    >>> round(verdict.value, 3), verdict.dense.values.tolist(), verdict.details["first_error"]
    (0.333, [1.0, 0.0, 0.0], 1)
    """

    until_error: bool = True

    example: ClassVar[Mapping[str, Any]] = {}

    @property
    def facts(self) -> Facts:
        """Range (0, 1); inline."""
        return Facts(range=(0.0, 1.0), reads=frozenset({"prompt", "response"}), systems=(99,))

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        """The verdict on one sample."""
        read = _read(sample)
        if isinstance(read, Verdict):
            return read
        checked, needed = read.checked, read.problem.n_operations
        values = self._line_values(checked)
        value = float(values.sum()) / (max(len(checked.steps), needed) + 1)
        answer = checked.answer
        places = [(step.start, step.end) for step in checked.steps] + ([(answer.start, answer.end)] if answer else [])
        # Lines behind an answer line are steps as well: the response's own order counts.
        order = sorted(range(len(places)), key=lambda k: places[k])
        starts = np.array([places[k][0] for k in order], dtype=np.int64) + read.offset
        ends = np.array([places[k][1] for k in order], dtype=np.int64) + read.offset
        message = None if read.message is None else np.full(len(order), read.message, dtype=np.int64)
        return Verdict(
            value,
            reason="response_right" if value == 1.0 else "response_wrong",
            dense=Dense("step", values[order], starts, ends, message),
            answer=_shown(answer),
            details={
                "steps": len(checked.steps),
                "needed": needed,
                "right": sum(step.right for step in checked.steps),
                "useful": sum(step.useful for step in checked.steps),
                "skipped": checked.skipped,
                "first_error": checked.first_error,
                "answer_right": checked.answer_right,
            },
        )

    def _line_values(self, checked: CheckedSolution) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(steps + answer,) 1 for a good line, else 0; the answer line, where there is one, is the last."""
        good = [step.good for step in checked.steps] + ([checked.answer.good] if checked.answer is not None else [])
        if self.until_error and checked.first_error is not None:
            good = [each and k < checked.first_error for k, each in enumerate(good)]
        return np.array(good, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Solved:
    """A response that was read: its problem, what the checker says, and where the text stands in the sample."""

    problem: ArithmeticProblem
    checked: CheckedSolution
    offset: int
    message: int | None


def _read(sample: Sample) -> _Solved | Verdict:
    problem = problem_in(sample.prompt)
    if problem is None:
        return Verdict.abstained("not_applicable", "the prompt does not end with an expression and '=?'")
    text = final_text(sample)
    if text is None:
        return Verdict(0.0, reason="response_unclosed_thought")
    if not text or text.isspace():
        return Verdict(0.0, reason="response_empty")
    try:
        checked = check_solution(problem, text)
    except TooLarge as error:
        return Verdict(0.0, reason="response_too_large", explanation=str(error))
    # What is read is the end of the response, or of its last assistant message.
    if isinstance(sample.response, str):
        return _Solved(problem, checked, len(sample.response) - len(text), None)
    last = max(k for k, message in enumerate(sample.response) if message["role"] == "assistant")
    return _Solved(problem, checked, len(message_text(sample.response[last])) - len(text), last)


def _shown(answer: CheckedAnswer | None) -> str | None:
    if answer is None:
        return None
    return answer.text if len(answer.text) <= SHOWN else answer.text[:SHOWN] + "…"


def _closeness(value: Value, truth: Value) -> float:
    distance, size = abs(Fraction(value - truth)), abs(Fraction(truth))
    # 0 has no relative distance: any other answer is as far as can be.
    relative = distance / size if size else Fraction(1)
    return float(1 - min(distance, Fraction(1)) / 2 - min(relative, Fraction(1)) / 2)
