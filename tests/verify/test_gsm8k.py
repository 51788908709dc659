"""GSM8K's labelled model solutions: the published accuracies to the last digit, and no disagreement with a label."""

import os
import runpy
from pathlib import Path

import pytest

from plaudit.verify import Math

pytestmark = pytest.mark.skipif(
    "PLAUDIT_DATA" not in os.environ, reason="PLAUDIT_DATA is not set: the labelled solutions are not here"
)

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gsm8k.py"))


@pytest.fixture(scope="module")
def rows():
    return BENCHMARK["load"](Path(os.environ["PLAUDIT_DATA"]) / "gsm8k" / "example_model_solutions.jsonl.gz")


def test_every_verdict_is_the_labels_and_every_accuracy_the_published_one(rows):
    samples, labels = rows
    right = (Math()(samples) == 1.0).tolist()
    assert len(samples) == 5_276
    assert [s.id for s, a, b in zip(samples, right, labels, strict=True) if a != b] == []
    accuracies = {model: BENCHMARK["model_row"](model, samples, right, labels)["accuracy"] for model in BENCHMARK["PUBLISHED"]}
    assert accuracies == BENCHMARK["PUBLISHED"]


def test_shuffled_labels_do_not_agree(rows):
    samples, labels = rows
    right = (Math()(samples) == 1.0).tolist()
    assert BENCHMARK["control"](right, labels)["agree"] < 0.6 * len(labels)
