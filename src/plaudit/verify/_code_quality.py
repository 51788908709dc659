"""How good a suite of tests is as a reward, and how to make a weak one stronger."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.run.sandbox import Limits, Program, Reply
from plaudit.verify._code import Code
from plaudit.verify._code_outputs import same_value
from plaudit.verify._code_run import sandbox_of

_ORDERS = 200
"""Random orders of the tests from which the curve over suite sizes is estimated."""


@dataclass(frozen=True, slots=True)
class SuiteQuality:
    """What a suite of tests makes of programs that are known to be right or wrong.

    Fields:
        detection: share of wrong programs that some test rejects; NaN without wrong programs.
        accurate: whether every wrong program is rejected and every right one accepted.
        invalid: numbers of the tests that reject a right program; they are left out of all else.
        patterns: number of different ways in which tests reject: distinct non-empty rows of rejected programs.
        diversity: patterns for each valid test; NaN without valid tests.
        strength: mean share of wrong programs that one test rejects.
        correlation: mean correlation of two tests over the wrong programs; NaN where none varies.
        curve: (n,) share of random suites of 1 to n tests that reject every wrong program.
    """

    detection: float
    accurate: bool
    invalid: tuple[int, ...]
    patterns: int
    diversity: float
    strength: float
    correlation: float
    curve: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Mean of the curve: how early random tests of the suite suffice."""
        return float(self.curve.mean()) if len(self.curve) else float("nan")

    def ceiling(self, n: int) -> float:
        """Detection that n tests of this strength p and correlation r stay under: 1 - (1 - p)^(n / (1 + (n - 1) r))."""
        r = 0.0 if np.isnan(self.correlation) else max(0.0, self.correlation)
        return float(1 - (1 - self.strength) ** (n / (1 + (n - 1) * r)))


def quality_of(wrong: NDArray[np.bool_], right: NDArray[np.bool_] | None = None, seed: int = 0) -> SuiteQuality:
    """The quality of a suite from what it rejects.

    Args:
        wrong: (tests, wrong programs) True where the test rejects the program.
        right: (tests, right programs) the same; None = no right programs are known.
        seed: of the random orders of the tests behind the curve.

    Source: "Rethinking Verification for LLM Code Generation: From Generation to Testing". Raises DataError for other shapes.

    >>> quality = quality_of(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], bool))
    >>> round(quality.detection, 2), quality.patterns, round(quality.diversity, 2), quality.accurate
    (0.67, 2, 0.67, False)
    """
    wrong = np.asarray(wrong, bool)
    right = np.zeros((len(wrong), 0), bool) if right is None else np.asarray(right, bool)
    if wrong.ndim != 2 or right.ndim != 2 or len(wrong) != len(right):
        raise DataError(
            f"rejections of shapes {wrong.shape} and {right.shape}: expected (tests, programs), the same tests in both"
        )
    invalid = right.any(axis=1)
    rejects = wrong[~invalid]
    tests, programs = rejects.shape
    rows = {row.tobytes() for row in rejects if row.any()}
    return SuiteQuality(
        detection=float(rejects.any(axis=0).mean()) if programs else float("nan"),
        accurate=bool(rejects.any(axis=0).all() and not invalid.any()),
        invalid=tuple(int(k) for k in np.flatnonzero(invalid)),
        patterns=len(rows),
        diversity=len(rows) / tests if tests else float("nan"),
        strength=float(rejects.mean()) if rejects.size else 0.0,
        correlation=_mean_correlation(rejects),
        curve=_curve(rejects, seed),
    )


def suite_quality(
    reference: Any, right: Sequence[str] = (), wrong: Sequence[str] = (), *, code: Code | None = None, seed: int = 0
) -> SuiteQuality:
    """The quality of the tests of one problem, by running programs that are known to be right or wrong.

    Args:
        reference: the tests, as `Code` takes them.
        right, wrong: sources of programs; `mutants` of a right program are often wrong.
        code: limits and isolation; None = those of `Code`.

    Raises DataError for a reference without tests, RunError where the sandbox does not work.

    >>> weak = ["assert double(2) == 4"]
    >>> right, wrong = "def double(x): return x * 2", ["def double(x): return x ** 2", "def double(x): return 0"]
    >>> suite_quality(weak, [right], wrong, code=Code(isolation="process")).detection
    0.5
    """
    code = code or Code()
    tables = [
        np.array([[not case.passed for case in code.cases(source, reference)] for source in sources], bool).T
        for sources in (wrong, right)
    ]
    tests = max(len(table) for table in tables)
    tables = [table if table.size else np.zeros((tests, 0), bool) for table in tables]
    return quality_of(tables[0], tables[1], seed)


def _mean_correlation(rejects: NDArray[np.bool_]) -> float:
    varied = rejects[rejects.any(axis=1) & ~rejects.all(axis=1)].astype(float)
    if len(varied) < 2:
        return float("nan")
    return float(np.corrcoef(varied)[np.triu_indices(len(varied), 1)].mean())


def _curve(rejects: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Share of orders of the tests in which the first n reject every program, for each n."""
    tests, programs = rejects.shape
    if not tests or not programs:
        return np.zeros(0)
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(tests), (_ORDERS, 1)), axis=1)
    place = np.argsort(orders, axis=1)  # (orders, tests): when each test comes
    first = np.where(rejects[None], place[:, :, None], tests).min(axis=1)  # (orders, programs)
    return np.asarray((first.max(axis=1)[:, None] < np.arange(1, tests + 1)).mean(axis=0), np.float64)


def grow_suite(
    solution: str,
    function: str,
    inputs: Sequence[Sequence[Any]],
    wrong: Sequence[str],
    *,
    code: Code | None = None,
    most: int = 20,
) -> dict[str, Any]:
    """A reference of calls for `Code`: from many inputs those few that reject the most wrong programs that no other one rejects.

    Args:
        solution: a right program; what it returns is what will be expected.
        function: the function that is called.
        inputs: lists of arguments to choose from; those on which the solution fails or returns no plain data are left out.
        wrong: programs to be rejected, such as the `mutants` of the solution.
        code: limits and isolation; None = those of `Code`.
        most: inputs to choose at most; at least one is chosen.

    Raises DataError when the solution answers no input.

    >>> code, solution = Code(isolation="process"), "def f(x): return max(x, 0)"
    >>> grow_suite(solution, "f", [[1], [2], [-1], [0]], ["def f(x): return x", "def f(x): return -1"], code=code)["inputs"]
    [[-1]]
    """
    code = code or Code()
    answers = _answers(code, solution, function, inputs)
    kept = [
        k for k, reply in enumerate(answers) if reply is not None and reply.error is None and same_value(reply.value, reply.value)
    ]
    if not kept:
        raise DataError(f"grow_suite: the solution answers none of {len(inputs)} inputs of {function}")
    expected = [answers[k].value for k in kept]  # type: ignore[union-attr]
    chosen_from = [list(inputs[k]) for k in kept]
    rejects = np.zeros((len(kept), len(wrong)), bool)
    for j, source in enumerate(wrong):
        for i, reply in enumerate(_answers(code, source, function, chosen_from)):
            rejects[i, j] = reply is not None and not (
                reply.error is None and same_value(reply.value, expected[i], code.tolerance)
            )
    chosen: list[int] = []
    open_ = np.ones(len(wrong), bool)
    while len(chosen) < most and (not chosen or rejects[:, open_].any()):
        best = int(rejects[:, open_].sum(axis=1).argmax())
        chosen.append(best)
        open_ &= ~rejects[best]
    return {"fn_name": function, "inputs": [chosen_from[k] for k in chosen], "outputs": [expected[k] for k in chosen]}


def _answers(code: Code, source: str, function: str, inputs: Sequence[Sequence[Any]]) -> list[Reply | None]:
    """One reply for each input; None = not known, for the program ended before or could not be loaded for lack of time."""
    limits = Limits(wall=code.timeout * 2, memory=code.memory)
    replies, _ = sandbox_of(code).call(Program(source), [(function, list(given)) for given in inputs], limits, code.timeout)
    if replies and replies[0].error is not None:
        return [replies[0]] * len(inputs)
    found: list[Reply | None] = [*replies[1:]]
    return found + [None] * (len(inputs) - len(found))


_NUMBERS = (0, 1, -1, 2, 10, 100, -7)


def vary_inputs(inputs: Sequence[Sequence[Any]], n: int, seed: int = 0) -> list[list[Any]]:
    """Further lists of arguments like those given: boundary values, neighbours, empty, repeated, reversed and mixed ones.

    Args:
        inputs: lists of plain arguments, at least one.
        n: how many, at most: none is given twice.

    >>> all(isinstance(given[0], list) for given in vary_inputs([[[3, 1, 2]]], 5))
    True
    """
    draw = random.Random(seed)
    found: dict[str, list[Any]] = {}
    for _ in range(20 * n):
        if len(found) >= n:
            break
        given = [draw.choice(inputs)[k] for k in range(len(inputs[0]))] if draw.random() < 0.3 else list(draw.choice(inputs))
        for k in draw.sample(range(len(given)), draw.randint(1, len(given))) if given else ():
            given[k] = _vary(given[k], draw)
        found.setdefault(repr(given), given)
    return list(found.values())


def _vary(value: Any, draw: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice([*_NUMBERS, value + 1, value - 1, -value, value * 2])
    if isinstance(value, float):
        return draw.choice([0.0, -value, value + 1, value / 2, float(round(value))])
    if isinstance(value, (str, list, tuple)):
        return _vary_sequence(value, draw)
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if draw.random() < 0.7}
        return {k: _vary(v, draw) if draw.random() < 0.5 else v for k, v in kept.items()}
    return value


def _vary_sequence(value: Any, draw: random.Random) -> Any:
    if not value or draw.random() < 0.1:
        return value[:0]
    at = draw.randrange(len(value))
    inner = value[at : at + 1] if isinstance(value, str) else type(value)([_vary(value[at], draw)])
    changed = [value[:1], value[::-1], value + value, value[:at] + value[at + 1 :], value[: at + 1] + value[at:]]
    changed += [value[:at] + inner + value[at + 1 :]]
    changed += [value.upper()] if isinstance(value, str) else [type(value)(sorted(value, key=str))]
    return draw.choice(changed)
