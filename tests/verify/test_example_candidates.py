"""The example's hand-written answers: what a careful reader says of them, and where this first stage differs."""

import json
from collections import Counter
from pathlib import Path

import pytest

from plaudit.reward import from_spec
from plaudit.types import Sample, Status
from plaudit.verify import Math

EXAMPLES = Path(__file__).parents[2] / "examples"

# Right answers that this stage does not understand; it never pays for a wrong one.
BEYOND = {"comma_for_point", "in_words", "number_word", "unit_converted"}


@pytest.fixture(scope="module")
def rows():
    with (EXAMPLES / "candidates.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sample_of(row):
    return Sample(row["prompt"], row["completion"], row["reference"], id=row["id"], finish=row["finish"])


def test_the_rows_are_a_dozen_problems_with_at_least_eight_answers_each(rows):
    assert len(rows) == len({row["id"] for row in rows}) == 100
    assert sorted(Counter(row["prompt"] for row in rows).values()) == [8] * 8 + [9] * 4
    assert {row["label"] for row in rows} == {0, 1}
    assert len({row["trap"] for row in rows}) > 60


def test_verify_math_agrees_with_the_careful_reader_but_for_what_it_says_it_cannot_read(rows):
    values = Math()([sample_of(row) for row in rows])
    wrong = {row["trap"] for row, value in zip(rows, values, strict=True) if value != row["label"]}
    assert wrong == BEYOND
    assert not [row["id"] for row, value in zip(rows, values, strict=True) if value > row["label"]]


def test_the_example_reward_scores_every_row_within_its_range(rows):
    reward = from_spec(EXAMPLES / "reward.yaml")
    verdicts = reward.score([sample_of(row) for row in rows])
    assert set(verdicts.status) == {Status.SCORED.value}
    assert reward.facts.range == (-0.2, 1.0)
    by_trap = dict(zip((row["id"] for row in rows), verdicts.values, strict=True))
    assert by_trap["rolls-1"] == 1.0
    assert by_trap["rolls-5"] == 0.0  # right, but outside the form that was asked for
    assert by_trap["press-7"] == -0.2  # endless and wrong
    assert 0.8 < by_trap["farm-8"] < 1.0  # endless and right
