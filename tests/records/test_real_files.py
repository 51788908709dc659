"""Public data as it is published: every row is read, none is rejected, and the counts are those of the data's own page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plaudit.records import Rejected, read_pairs, read_samples

DATA = os.environ.get("PLAUDIT_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="PLAUDIT_DATA does not name a folder of public data")


def folder() -> Path:
    path = Path(DATA or "")
    if not path.is_dir():
        pytest.skip(f"PLAUDIT_DATA names {path}, which is no folder")
    return path


SAMPLES = [
    ("gsm8k/train.jsonl.gz", {"prompt": "question", "completion": "answer"}, 7473),
    ("gsm8k/example_model_solutions.jsonl.gz", {"prompt": "question", "completion": "175b_verification.solution"}, 1319),
    ("math500/test.jsonl.gz", {"prompt": "problem", "completion": "solution"}, 500),
    ("math_cot_100_rm/math_cot_100.jsonl.gz", {"prompt": "question", "completions": "code"}, 800),
    ("processbench/gsm8k.jsonl.gz", {"prompt": "problem", "completions": "steps"}, None),
]


@pytest.mark.parametrize(("name", "columns", "n"), SAMPLES)
def test_samples(name: str, columns: dict[str, str], n: int | None) -> None:
    path = folder() / name
    if not path.exists():
        pytest.skip(f"{name} is not in PLAUDIT_DATA")
    bad: list[Rejected] = []
    rows = list(read_samples(path, columns=columns, on_reject=bad.append))
    assert not bad, bad[0]
    assert n is None or len(rows) == n
    assert len({row.sample.id for row in rows}) == len(rows)
    assert all(row.sample.response for row in rows)


def test_columns_of_gsm8ks_labelled_solutions_stay_readable() -> None:
    path = folder() / "gsm8k" / "example_model_solutions.jsonl.gz"
    columns = {"prompt": "question", "completion": "6b_finetuning.solution"}
    right = [row.sample.meta["6b_finetuning"]["is_correct"] for row in read_samples(path, columns=columns)]
    assert round(100 * sum(right) / len(right), 1) == 21.7


PAIRS = [
    ("blimp/blimp.jsonl.gz", {"chosen": "sentence_good", "rejected": "sentence_bad"}, 67_000),
    (
        "plan_rewardbench/safety_refusal.jsonl.gz",
        {"prompt": "query", "chosen": "chosen.messages", "rejected": "reject.messages"},
        51,
    ),
    ("ifbench_rm_pairs/data.converted.jsonl.gz", {"chosen": "text_chosen", "rejected": "text_rejected"}, 444),
]


@pytest.mark.parametrize(("name", "columns", "n"), PAIRS)
def test_pairs(name: str, columns: dict[str, str], n: int) -> None:
    path = folder() / name
    if not path.exists():
        pytest.skip(f"{name} is not in PLAUDIT_DATA")
    bad: list[Rejected] = []
    pairs = list(read_pairs(path, columns=columns, on_reject=bad.append))
    assert not bad, bad[0]
    assert len(pairs) == n
    equal = sum(pair.chosen == pair.rejected for pair in pairs)
    assert equal == (7 if name.startswith("blimp") else 0), "seven of BLiMP's own pairs are equal sentences"
