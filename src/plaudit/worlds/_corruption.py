"""Solutions with one known fault, and the labels that a checker of solutions must give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Literal, get_args

from plaudit.errors import DataError
from plaudit.types import Sample
from plaudit.worlds._check import CheckedSolution
from plaudit.worlds._number import Value, digits, write_number
from plaudit.worlds._problem import ArithmeticProblem
from plaudit.worlds._rewriting import readings
from plaudit.worlds._solution import Step, solve, write_solution

CorruptionKind = Literal["none", "wrong_step", "skipped_step", "filler_step", "wrong_path", "format_break"]

_TRIES = 200


@dataclass(frozen=True, slots=True)
class SolutionLabels:
    """What is true of a written solution, line by line.

    Fields:
        right, useful: one entry for each step, as in `CheckedStep`.
        skipped: operations that no line does.
        first_error: as in `CheckedSolution`.
        answer_right: the answer is right and in its place.
        answer_supported: the steps come to what the answer line says; False without an answer.
        well_formed: the format is kept.
    """

    right: tuple[bool, ...]
    useful: tuple[bool, ...]
    skipped: int
    first_error: int | None
    answer_right: bool
    answer_supported: bool
    well_formed: bool

    @classmethod
    def of(cls, checked: CheckedSolution) -> SolutionLabels:
        """What the exact checker says."""
        return cls(
            tuple(step.right for step in checked.steps),
            tuple(step.useful for step in checked.steps),
            checked.skipped,
            checked.first_error,
            checked.answer_right,
            checked.answer is not None and checked.answer.supported,
            checked.well_formed,
        )


@dataclass(frozen=True, slots=True)
class Corruption:
    """A solution with one fault.

    Fields:
        kind: the fault; "none" is the canonical solution itself.
        problem, response: what was asked and what is written.
        labels: what is true of the response, known from how it was made.
    """

    kind: CorruptionKind
    problem: ArithmeticProblem
    response: str
    labels: SolutionLabels

    @property
    def sample(self) -> Sample:
        """The response as a sample of its problem."""
        return self.problem.sample(self.response)


def corrupt(problem: ArithmeticProblem, kind: CorruptionKind, seed: int = 0) -> Corruption | None:
    """The canonical solution with one fault of that kind, at a random place; None = this problem has no room for it.

    - ``wrong_step``: one result is false, and everything after it, the answer too, goes on from there.
    - ``skipped_step``: one line is left out.
    - ``filler_step``: a true line is put in that leads nowhere: an earlier one again, or one that changes nothing.
    - ``wrong_path``: one result is false and later steps go on from there, but the answer line states the right answer.
    - ``format_break``: the answer line is missing, doubled or followed by text, or a step has no result.

    Raises DataError for an unknown kind.

    >>> corrupted = corrupt(ArithmeticProblem("3+4*5"), "wrong_step", seed=0)
    >>> print(corrupted.response)
    4*5=18
    3+18=21
    #### 21
    >>> corrupted.labels.right, corrupted.labels.first_error
    ((False, True), 0)
    """
    if kind not in get_args(CorruptionKind):
        raise DataError(f"kind is {kind!r}: expected one of {', '.join(get_args(CorruptionKind))}")
    if kind == "none":
        return _made(problem, kind, problem.steps, problem.answer)
    return _MAKERS[kind](problem, Random(f"corrupt {kind} {seed} {problem.expression}"))


def wrong_result(value: Value, random: Random) -> Value:
    """A false result that looks like a slip: one digit, one place or the sign is off.

    >>> wrong_result(20, Random(1)) != 20
    True
    """
    kind = random.random()
    if kind < 0.15 and value != 0:
        return -value
    if value.denominator != 1:
        return Fraction(value.numerator + random.choice([d for d in (-1, 1) if value.numerator + d]), value.denominator)
    size = len(str(abs(value.numerator)))
    place: int = 10 ** random.randrange(size)
    return value.numerator + random.choice((-1, 1)) * place * random.choice((1, 1, 1, 2, 3))


def _made(problem: ArithmeticProblem, kind: CorruptionKind, steps: tuple[Step, ...], answer: str) -> Corruption:
    n = len(steps)
    labels = SolutionLabels((True,) * n, (True,) * n, 0, None, answer_right=True, answer_supported=True, well_formed=True)
    return Corruption(kind, problem, write_solution(steps, answer), labels)


def _slipped(problem: ArithmeticProblem, random: Random) -> tuple[int, list[Step]] | None:
    """The steps with one false result that changes the outcome, and its place."""
    n = problem.n_operations
    for _ in range(_TRIES if n else 0):
        place = random.randrange(n)

        def claim(k: int, value: Value, place: int = place) -> Value:
            return wrong_result(value, random) if k == place else value

        try:
            steps = solve(problem.tree, claim)
        except ZeroDivisionError:
            continue
        fits = all(digits(step.claim) <= problem.longest for step in steps)
        if steps[-1].claim != problem.value and fits:
            return place, steps
    return None


def _wrong_step(problem: ArithmeticProblem, random: Random) -> Corruption | None:
    slipped = _slipped(problem, random)
    if slipped is None:
        return None
    place, steps = slipped
    right = tuple(k != place for k in range(len(steps)))
    labels = SolutionLabels(right, (True,) * len(steps), 0, place, answer_right=False, answer_supported=True, well_formed=True)
    return Corruption("wrong_step", problem, write_solution(steps, write_number(steps[-1].claim, bare=True)), labels)


def _wrong_path(problem: ArithmeticProblem, random: Random) -> Corruption | None:
    slipped = _slipped(problem, random)
    if slipped is None:
        return None
    place, steps = slipped
    right = tuple(k != place for k in range(len(steps)))
    labels = SolutionLabels(right, (True,) * len(steps), 0, place, answer_right=True, answer_supported=False, well_formed=True)
    return Corruption("wrong_path", problem, write_solution(steps, problem.answer), labels)


def _skipped_step(problem: ArithmeticProblem, random: Random) -> Corruption | None:
    if not problem.steps:
        return None
    place = random.randrange(len(problem.steps))
    kept = (*problem.steps[:place], *problem.steps[place + 1 :])
    n = len(kept)
    labels = SolutionLabels((True,) * n, (True,) * n, 1, None, answer_right=True, answer_supported=True, well_formed=True)
    return Corruption("skipped_step", problem, write_solution(kept, problem.answer), labels)


def _filler_step(problem: ArithmeticProblem, random: Random) -> Corruption | None:
    steps = problem.steps
    place = random.randint(0, len(steps))
    pieces = [problem.form]
    for step in steps[:place]:
        pieces, _ = readings(pieces, *step) or (pieces, 0)
    candidates = [*steps[:place], *_identities(problem, place)]
    random.shuffle(candidates)
    # A line that does an open operation is no filler: the same product twice, a term 0.
    fillers = [step for step in candidates if readings(pieces, *step) is None]
    if not fillers:
        return None
    n = len(steps) + 1
    useful = tuple(k != place for k in range(n))
    labels = SolutionLabels((True,) * n, useful, 0, None, answer_right=True, answer_supported=True, well_formed=True)
    return Corruption(
        "filler_step", problem, write_solution((*steps[:place], fillers[0], *steps[place:]), problem.answer), labels
    )


def _identities(problem: ArithmeticProblem, place: int) -> list[Step]:
    """Lines that change nothing, about the last result or the answer."""
    x = problem.steps[place - 1].claim if place else problem.value
    return [Step("+", x, 0, x), Step("*", x, 1, x), Step("-", x, x, 0)]


def _format_break(problem: ArithmeticProblem, random: Random) -> Corruption | None:
    steps, answer = problem.steps, problem.answer
    n = len(steps)
    kinds = ["missing", "doubled", "followed"] + ["no_result"] * bool(steps)
    kind = random.choice(kinds)
    right, useful, skipped, error = (True,) * n, (True,) * n, 0, n
    lines = [*map(str, steps), f"#### {answer}"]
    if kind == "missing":
        lines.pop()
    elif kind == "doubled":
        lines.append(lines[-1])
    elif kind == "followed":
        lines.append("done")
        right, useful = (*right, False), (*useful, False)
    else:
        error = random.randrange(n)
        lines[error] = lines[error].partition("=")[0] + "="
        right = useful = tuple(k != error for k in range(n))
        skipped = 1
    labels = SolutionLabels(
        right, useful, skipped, error, answer_right=kind == "no_result", answer_supported=kind != "missing", well_formed=False
    )
    return Corruption("format_break", problem, "\n".join(lines), labels)


_MAKERS: dict[str, Callable[[ArithmeticProblem, Random], Corruption | None]] = {
    "wrong_step": _wrong_step,
    "skipped_step": _skipped_step,
    "filler_step": _filler_step,
    "wrong_path": _wrong_path,
    "format_break": _format_break,
}
