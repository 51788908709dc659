"""The status table, cell by cell, as docs/contract.md prints it; and its table of reasons."""

import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from plaudit import Facts, Reward, Sample, Verdict, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.reward import Sum

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
SAMPLE = [Sample("p", "r")]


@dataclass(frozen=True)
class Says(Reward):
    """Always the same verdict, and counts how often it is asked."""

    label: str
    outcome: float | str
    asked = []  # noqa: RUF012

    @property
    def name(self):
        return self.label

    @property
    def facts(self):
        return Facts(range=(-1, 1), reads={"response"})

    def score_one(self, sample, context):
        Says.asked.append(self.label)
        if self.outcome == "ABSTAINED":
            return Verdict.abstained()
        return Verdict.failed("worker_lost", "it went away") if self.outcome == "FAILED" else Verdict(self.outcome)


def table(first_column):
    """The rows of the table whose head starts so, as lists of cells; the head too."""
    lines = PAGE.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[0], rows[2:]


def mean(parts, on_failure="fail"):
    return Mean(parts, on_failure=on_failure)


def total(parts, on_failure="fail"):
    return Sum(parts, on_failure=on_failure)


OPERATORS = {
    "sum": total,
    "mean": mean,
    "product": lambda parts: math.prod(list(parts.values())[1:], start=next(iter(parts.values()))),
    "minimum": lambda parts: minimum(*parts.values()),
    "lexicographic": lambda parts: lexicographic(*parts.values()),
}

OUTCOMES = {
    "ABSTAINED, SCORED": ("ABSTAINED", 0.5),
    "all ABSTAINED": ("ABSTAINED", "ABSTAINED"),
    "FAILED, SCORED": ("FAILED", 0.5),
    "FAILED, ABSTAINED": ("FAILED", "ABSTAINED"),
}

HEAD, ROWS = table("operator")
CELLS = [(row[0], HEAD[k], row[k]) for row in ROWS for k in range(1, len(HEAD))]


def test_the_page_has_every_operator_and_every_case():
    assert [row[0] for row in ROWS] == list(OPERATORS)
    assert {head.split(" under")[0] for head in HEAD[1:]} == set(OUTCOMES)


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])
@pytest.mark.parametrize(("operator", "case", "cell"), CELLS)
def test_each_cell_of_the_table_is_what_the_operator_does(operator, case, cell, turned):
    case, _, dropping = case.partition(" under")
    x, y = (Says(label, outcome) for label, outcome in zip("xy", OUTCOMES[case], strict=True))
    parts = {"y": y, "x": x} if turned else {"x": x, "y": y}
    make = OPERATORS[operator]
    if cell == "–":
        with pytest.raises(TypeError):
            make(parts, on_failure="drop")
        return
    verdict = (make(parts, on_failure="drop") if dropping else make(parts)).score(SAMPLE)[0]
    if cell in ("left out", "adds nothing"):
        assert verdict.value == make({"x": y}).score(SAMPLE)[0].value
        assert verdict.reason is None
    else:
        status, code = cell.split(" ")
        assert (verdict.status.name, verdict.reason) == (status, code.strip("`").replace("NAME", "x"))
    assert list(verdict.parts) == list(parts)
    assert verdict.parts["x"].status.name == OUTCOMES[case][0]
    if verdict.status.name == "FAILED":
        assert "x: worker_lost: it went away" in verdict.explanation


GATE_HEAD, GATE_ROWS = table("cond")
CONDITIONS = {"SCORED above 0": 0.5, "SCORED at most 0": 0.0, "ABSTAINED": "ABSTAINED", "FAILED": "FAILED"}
BODIES = {"body SCORED": 0.25, "body ABSTAINED": "ABSTAINED", "body FAILED": "FAILED"}


@pytest.mark.parametrize("closed", [-1.0, -2.0])
@pytest.mark.parametrize(
    ("cond", "body", "cell"), [(row[0], GATE_HEAD[k], row[k]) for row in GATE_ROWS for k in range(1, len(GATE_HEAD))]
)
def test_each_cell_of_the_gates_table_is_what_a_gate_does(cond, body, cell, closed):
    gate = Says("cond", CONDITIONS[cond]).gate(Says("body", BODIES[body]), closed=closed)
    Says.asked.clear()
    verdict = gate.score(SAMPLE)[0]
    what, _, run = cell.partition(", ")
    assert ("body" in Says.asked) == (run != "not run")
    if run == "not run":
        assert (verdict.parts["body"].status.name, verdict.parts["body"].reason) == ("ABSTAINED", "not_run")
    if what == "body":
        assert (verdict.value, verdict.reason) == (0.25, None)
    elif what == "`closed`":
        assert (verdict.value, verdict.reason) == (closed, "closed")
    else:
        status, code = what.split(" ")
        code = code.strip("`").replace("BODY", "body").replace("COND", "cond")
        assert (verdict.status.name, verdict.reason) == (status, code)


def test_negative_and_missing_conditions_close_a_gate_too():
    assert Says("cond", -0.5).gate(Says("body", 0.5), closed=-1).score(SAMPLE).values == [-1.0]


@pytest.mark.parametrize("outcome", [0.5, "ABSTAINED", "FAILED"])
def test_a_name_changes_nothing_and_a_clip_only_the_value(outcome):
    plain = Says("x", outcome)
    named, clipped = plain.named("n").score(SAMPLE)[0], plain.clip(0, 0.25).score(SAMPLE)[0]
    verdict = plain.score(SAMPLE)[0]
    assert (named.status, named.reason, named.value) == (verdict.status, verdict.reason, verdict.value)
    assert clipped.status is verdict.status
    assert clipped.value == (0.25 if outcome == 0.5 else None)


def test_every_row_is_judged_by_its_own_statuses():
    @dataclass(frozen=True)
    class Read(Reward):
        column: str

        @property
        def name(self):
            return self.column

        @property
        def facts(self):
            return Facts(range=(-1, 1), reads={f"meta.{self.column}"})

        def score_one(self, sample, context):
            said = sample.meta[self.column]
            return Verdict.failed("worker_lost") if said == "f" else Verdict.abstained() if said is None else Verdict(said)

    rows = [Sample("p", "r", meta={"x": x, "y": y}) for x in (1.0, None, "f") for y in (0.5, None, "f")]
    verdicts = (Read("x") + Read("y")).score(rows)
    assert np.array_equal(verdicts.values, [1.5, 1, np.nan, 0.5] + [np.nan] * 5, equal_nan=True)
    assert list(verdicts.reason)[2:] == ["part_failed:y", None, "all_abstained", "part_failed:y"] + ["part_failed:x"] * 3


def test_the_table_of_reasons_is_the_one_in_the_code():
    # In a process of its own: other tests and other rooms add rows to the table.
    code = "from plaudit.types import REASONS\nfor r in REASONS.values(): print(f'`{r.code}`|{r.status.name}|{r.sentence}')"
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    _, rows = table("code")
    assert ["|".join(row) for row in rows] == lines
