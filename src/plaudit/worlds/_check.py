"""The exact checker of written solutions: each step right, each step useful, the first error, the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from plaudit.errors import DataError
from plaudit.worlds._number import NUMBER, Value, digits, read_number
from plaudit.worlds._problem import ArithmeticProblem
from plaudit.worlds._rewriting import Piece, open_operations, readings, worth
from plaudit.worlds._solution import ANSWER_MARK, Step

MAX_RESPONSE = 10_000
MAX_LINES = 256
"""The largest response that is checked: characters, lines that are not blank."""

_STEP = re.compile(rf"({NUMBER}) *([-+*/^]) *({NUMBER}) *= *({NUMBER})\Z")


class TooLarge(DataError):
    """A response has more characters or lines than the checker reads."""


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """One line of a solution.

    Fields:
        start, end: where it stands in the response, half-open, in characters, without the white space around it.
        readable: it has the form ``A operator B = C``, and no longer numbers than a right solution can have.
        right: its two sides are equal; False when it cannot be read.
        useful: it does an operation that was still open, on numbers that stand there: a repeated step, a filler and a step with
            numbers of its own are not useful.
        skipped: operations that it took as done though no earlier line says so.
    """

    start: int
    end: int
    readable: bool
    right: bool
    useful: bool
    skipped: int = 0

    @property
    def good(self) -> bool:
        """Right and useful."""
        return self.right and self.useful


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """The answer line of a solution.

    Fields:
        start, end: where the line stands in the response, half-open, in characters.
        text: what stands behind ``####``.
        value: the number it writes; None = none that can be read. A fraction counts only in lowest terms.
        right: it is the exact answer.
        supported: it is what the steps come to, right or wrong; open operations count as done rightly.
        last: it is the only answer line, and nothing stands behind it.
    """

    start: int
    end: int
    text: str
    value: Value | None
    right: bool
    supported: bool
    last: bool

    @property
    def good(self) -> bool:
        """Right, supported by the steps, and in its place."""
        return self.right and self.supported and self.last


@dataclass(frozen=True, slots=True)
class CheckedSolution:
    """What the checker finds in a response.

    Fields:
        steps: the lines that are not answer lines, in their order; blank lines are left out.
        answer: the last answer line; None = there is none.
        skipped: operations that no line does; those behind the last step count too when an answer follows.
        first_error: index of the first step that cannot be read or is not right; `len(steps)` when only the answer line is
            wrong, missing or not in its place; None = no error.
    """

    steps: tuple[CheckedStep, ...]
    answer: CheckedAnswer | None
    skipped: int
    first_error: int | None

    @property
    def answer_right(self) -> bool:
        """The answer is right and in its place."""
        return self.answer is not None and self.answer.right and self.answer.last

    @property
    def well_formed(self) -> bool:
        """Every line can be read, and exactly one answer line ends the response."""
        ends = self.answer is not None and self.answer.last and self.answer.value is not None
        return ends and all(step.readable for step in self.steps)


def check_solution(problem: ArithmeticProblem, response: str) -> CheckedSolution:
    """Check a written solution line by line, exactly.

    A step may do any open operation: terms of a sum and factors of a product in any order. It is checked against what the
    steps before it leave, so a right step behind a false one is right. Time grows with the number of lines, not with what they
    say. Raises DataError when the response has over 10,000 characters or 256 lines that are not blank.

    >>> checked = check_solution(ArithmeticProblem("3+4*5"), "4*5=20\\n1+1=2\\n3+20=24\\n#### 24")
    >>> [(step.right, step.useful) for step in checked.steps]
    [(True, True), (True, False), (False, True)]
    >>> checked.first_error, checked.answer.right, checked.answer.supported
    (2, False, True)
    """
    steps: list[CheckedStep] = []
    answers: list[tuple[int, int]] = []
    last = None
    follow = _Following(problem)
    supports: list[bool] = []
    for start, end in _lines(response):
        line = response[start:end]
        last = start
        if line.startswith(ANSWER_MARK):
            answers.append((start, end))
            supports.append(follow.supports(_answer_value(line)))
        else:
            steps.append(follow.step(line, start, end))
    answer = None
    if answers:
        start, end = answers[-1]
        text = response[start + len(ANSWER_MARK) : end].strip()
        value = _answer_value(response[start:end])
        alone = len(answers) == 1 and last == start
        answer = CheckedAnswer(start, end, text, value, value == problem.value, supports[-1], alone)
    skipped = sum(step.skipped for step in steps) + (follow.left_open() if answer is not None else 0)
    first = next((k for k, step in enumerate(steps) if not step.right), None)
    if first is None and not (answer is not None and answer.right and answer.last):
        first = len(steps)
    return CheckedSolution(tuple(steps), answer, skipped, first)


def _lines(response: str) -> list[tuple[int, int]]:
    """Where the lines stand that are not blank, without the white space around them."""
    if len(response) > MAX_RESPONSE:
        raise TooLarge(f"the response has {len(response):,} characters: at most {MAX_RESPONSE:,} are checked")
    found: list[tuple[int, int]] = []
    start = 0
    for line in response.split("\n"):
        if stripped := line.strip():
            begin = start + len(line) - len(line.lstrip())
            found.append((begin, begin + len(stripped)))
        start += len(line) + 1
    if len(found) > MAX_LINES:
        raise TooLarge(f"the response has {len(found):,} lines: at most {MAX_LINES} are checked")
    return found


def _answer_value(line: str) -> Value | None:
    return read_number(line[len(ANSWER_MARK) :].strip(), decimals=True)


def read_step(line: str) -> Step | None:
    """The step that a line writes; None = it has another form.

    >>> read_step("6/4 = (3/2)"), read_step("6/4=6/4")
    (Step(operator='/', left=6, right=4, claim=Fraction(3, 2)), None)
    """
    match = _STEP.match(line)
    if match is None:
        return None
    left, right, claim = (read_number(match[k]) for k in (1, 3, 4))
    if left is None or right is None or claim is None or (match[2] == "^" and right not in (2, 3)):
        return None
    return Step(match[2], left, right, claim)


class _Following:
    """What a solution has left open so far, in each of its readings."""

    def __init__(self, problem: ArithmeticProblem) -> None:
        self.longest = problem.longest
        self.pieces: list[Piece] = [problem.form]

    def step(self, line: str, start: int, end: int) -> CheckedStep:
        step = read_step(line)
        if step is None or any(max(digits(x.numerator), digits(x.denominator)) > self.longest for x in step[1:]):
            return CheckedStep(start, end, readable=False, right=False, useful=False)
        after = readings(self.pieces, *step)
        if after is None:
            return CheckedStep(start, end, readable=True, right=step.is_right, useful=False)
        self.pieces, skipped = after
        return CheckedStep(start, end, readable=True, right=step.is_right, useful=True, skipped=skipped)

    def supports(self, value: Value | None) -> bool:
        return value is not None and any(worth(piece) == value for piece in self.pieces)

    def left_open(self) -> int:
        return min((open_operations(piece) for piece in self.pieces), default=0)
