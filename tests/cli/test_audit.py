"""`plaudit audit`: a verifier beside known labels."""

from __future__ import annotations

import pytest

from plaudit.cli._audit import style_of
from plaudit.stats import wilson_interval

ROWS = [
    ("4", True, "plain"),
    ("\\boxed{4}", True, "plain"),
    ("5", False, "plain"),
    ("four", True, "words"),
    ("4", False, "words"),
    ("no idea", False, "words"),
]
EXACT = "{use: verify.exact}"


@pytest.fixture
def labelled(plaudit):
    rows = [
        {"id": str(k), "prompt": "2+2?", "completion": text, "reference": "4", "label": label, "category": category}
        for k, (text, label, category) in enumerate(ROWS)
    ]
    plaudit.rows("labelled.jsonl", rows)
    return rows


def test_rates_are_counted_with_their_intervals(plaudit, labelled):
    ended = plaudit("audit", EXACT, "labelled.jsonl", "--json")
    assert ended.status == 0
    found = ended.json["rewards"][EXACT]
    # Accepted: rows 0 and 4, of which 4 is labelled wrong; right are 0, 1 and 3.
    assert (found["all"]["n"], found["all"]["unscored"]) == (6, 0)
    assert found["all"]["precision"]["value"] == 0.5
    assert found["all"]["recall"]["value"] == pytest.approx(1 / 3)
    assert found["all"]["false_positive_rate"]["value"] == pytest.approx(1 / 3)
    assert found["all"]["false_negative_rate"]["value"] == pytest.approx(2 / 3)
    assert found["all"]["recall"]["interval"] == pytest.approx(list(wilson_interval(1, 3)))
    assert found["category"]["plain"]["precision"]["value"] == 1.0
    assert found["style"]["boxed"]["recall"]["value"] == 0.0
    assert found["style"]["boxed"]["false_positive_rate"] is None  # no wrong response in that style


def test_two_verifiers_are_compared_row_by_row(plaudit, labelled):
    math = "{use: verify.math}"
    found = plaudit("audit", math, "labelled.jsonl", "--against", EXACT, "--json").json
    assert set(found["rewards"]) == {math, EXACT}
    assert [(row["id"], row["label"], row["said"]) for row in found["disagreements"]] == [("1", True, [True, False])]
    text = plaudit("audit", math, "labelled.jsonl", "--against", EXACT).out
    assert "the two disagree on 1 of 6 rows" in text
    assert "accepted against rejected, is right" in text


def test_labels_must_be_there_and_clear(plaudit, labelled):
    for label, said in ((None, "no such column"), ("maybe", "'maybe'"), (0.5, "0.5")):
        plaudit.rows("bad.jsonl", [{**labelled[0], "label": label}])
        ended = plaudit("audit", EXACT, "bad.jsonl")
        assert ended.status == 2
        assert said in " ".join(ended.err.split())
        assert "--label" in ended.err


@pytest.mark.parametrize("label", [1, 1.0, "1", "true", "Correct"])
def test_labels_may_be_written_in_several_ways(plaudit, labelled, label):
    plaudit.rows("one.jsonl", [{**labelled[0], "gold": label}])
    found = plaudit("audit", EXACT, "one.jsonl", "--label", "gold", "--json").json["rewards"][EXACT]
    assert found["all"]["recall"]["count"] == 1


def test_rows_that_are_not_scored_count_in_no_rate(plaudit, labelled):
    plaudit.rows("none.jsonl", [{**labelled[0], "reference": None}])
    ended = plaudit("audit", EXACT, "none.jsonl", "--json")
    assert ended.status == 1
    found = ended.json["rewards"][EXACT]["all"]
    assert (found["n"], found["unscored"], found["recall"]) == (1, 1, None)


@pytest.mark.parametrize(
    ("response", "style"),
    [
        ("<answer>4</answer>", "answer tags"),
        ("```\n4\n```", "code block"),
        ("#### 4", "after ####"),
        ("The answer is 4.", "the answer is"),
        (" -3.5% ", "number only"),
        ("", "other"),
    ],
)
def test_styles_of_answers(response, style):
    assert style_of(response) == style
