"""Tests chosen by the mutants that they reject, beside as many random ones."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np

from plaudit.reproduce import Progress, Trial, experiment

_FUNCTIONS: dict[str, tuple[str, list[list[Any]]]] = {
    "clamp": (
        """def clamp(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x
""",
        [[5, 0, 9], [50, 0, 9]],
    ),
    "leap": (
        """def leap(y):
    return y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
""",
        [[2023], [2024]],
    ),
    "grade": (
        """def grade(p):
    if p >= 90:
        return 'A'
    if p >= 75:
        return 'B'
    if p >= 50:
        return 'C'
    return 'F'
""",
        [[80], [55]],
    ),
    "second": (
        """def second(xs):
    ys = sorted(set(xs))
    return ys[-2] if len(ys) > 1 else None
""",
        [[[3, 1, 2]], [[5, 9, 7, 1]]],
    ),
    "runs": (
        """def runs(s):
    n = 0
    for k in range(len(s)):
        if k == 0 or s[k] != s[k - 1]:
            n += 1
    return n
""",
        [["abc"], ["hello"]],
    ),
    "triangle": (
        """def triangle(a, b, c):
    if a <= 0 or a + b <= c or b + c <= a or a + c <= b:
        return 0
    return 1 + (a == b) + (b == c) + (a == c)
""",
        [[3, 4, 5], [6, 7, 8]],
    ),
    "search": (
        """def search(xs, x):
    low, high = 0, len(xs)
    while low < high:
        m = (low + high) // 2
        if xs[m] < x:
            low = m + 1
        else:
            high = m
    return low
""",
        [[[1, 3, 5, 7], 5], [[2, 4, 6], 9]],
    ),
    "fee": (
        """def fee(age, member):
    price = 20
    if age < 6:
        return 0
    if age < 18 or age >= 65:
        price = 12
    if member and price > 12:
        price -= 5
    return price
""",
        [[30, True], [40, False]],
    ),
    "balanced": (
        """def balanced(s):
    d = 0
    for c in s:
        if c == '(':
            d += 1
        elif c == ')':
            d -= 1
            if d < 0:
                return False
    return d == 0
""",
        [["(a)"], ["(()"]],
    ),
    "digits": (
        """def digits(n):
    n, total = abs(n), 0
    while n > 0:
        total += n % 10
        n //= 10
    return total
""",
        [[1234], [77]],
    ),
}
_SIZE, _CANDIDATES, _DRAWS = 4, 60, 100


@experiment(
    systems=[79],
    claim="Tests chosen for the wrong programs that they reject detect more unseen wrong programs than as many random tests "
    "(Rethinking Verification for LLM Code Generation: From Generation to Testing).",
    seeds=(0, 1, 2),
    seconds=90,
    smoke=0.2,
)
def chosen_tests_detect_more(seed: int, progress: Progress, *, scale: float = 1.0) -> Trial:
    """Effect: detection on mutants that the choice did not see, chosen tests minus random ones; control: random minus random.

    Random: the mean over many draws of as many tests from the same candidates.
    """
    from plaudit.verify import Code, grow_suite, mutants, quality_of, vary_inputs

    code, draw = Code(timeout=1.0), random.Random(seed)
    effects, controls, details = [], [], {}
    names = list(_FUNCTIONS)[: max(1, round(len(_FUNCTIONS) * scale))]
    for done, name in enumerate(names):
        source, examples = _FUNCTIONS[name]
        changed = [mutant.source for mutant in mutants(source)]
        draw.shuffle(changed)
        seen, unseen = changed[::2], changed[1::2]
        every = _answered(source, name, vary_inputs(examples, _CANDIDATES, seed))
        chosen = grow_suite(source, name, every["inputs"], seen, code=code, most=_SIZE)["inputs"]
        rejected = np.array([[not case.passed for case in code.cases(wrong, every)] for wrong in unseen]).T
        rows = [every["inputs"].index(given) for given in chosen]
        randoms = [quality_of(rejected[draw.sample(range(len(rejected)), len(rows))]).detection for _ in range(_DRAWS)]
        rate = quality_of(rejected[rows]).detection
        effects.append(rate - sum(randoms) / _DRAWS)
        controls.append((sum(randoms[::2]) - sum(randoms[1::2])) / (_DRAWS / 2))
        details[name] = {"tests": len(rows), "unseen mutants": len(unseen), "chosen": rate, "random": sum(randoms) / _DRAWS}
        details[name]["all candidates"] = quality_of(rejected).detection
        progress(f"{name}: {rate:.2f} against {details[name]['random']:.2f}", (done + 1) / len(names))
    return Trial(
        effect=sum(effects) / len(effects), control=sum(controls) / len(controls), unit="detection rate", details=details
    )


def _answered(source: str, name: str, candidates: list[list[Any]]) -> dict[str, Any]:
    """A reference of all candidates that the function, which is ours, answers."""
    names: dict[str, Any] = {}
    exec(source, names)
    inputs, outputs = [], []
    for given in candidates:
        try:
            outputs.append(names[name](*copy.deepcopy(given)))
        except (TypeError, ValueError, IndexError):
            continue
        inputs.append(given)
    return {"fn_name": name, "inputs": inputs, "outputs": outputs}
