"""verl's own reward managers call plaudit's functions: what they make of the results is what the reward said.

Run against the code of verl 0.9.0: its loader (verl.trainer.ppo.reward), its reward loop with the managers naive, dapo, gdpo
and remote (verl.experimental.reward_loop), its older naive and batch managers (verl.workers.reward_manager), and its metrics.
"""

from __future__ import annotations

import pytest
from trainers import installed, run

# 4 is right; short is -0.1 a character; the judge says 0.5, abstains on "T…"; short fails on "b…".
SCORES = {"4": 1.45, "5": 0.45, "T4": -0.1, "boom": 0.25}
RESPONSES = ["4", "5", "T4", "boom", "4", "5"]
EXPECTED = [1.45, 0.45, -0.1, 0.25, 1.45, 0.45]
KEYS = ["score", "scored", "abstained", "failed", "seconds", "reward/right", "reward/short", "reward/judge"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    (found,) = run("verl_run.py", tmp_path_factory.mktemp("verl"), library=installed("verl", "PLAUDIT_VERL"))
    assert found["verl"] == "0.9.0"
    return found


@pytest.mark.parametrize("how", ["package", "file", "async", "dapo", "gdpo"])
def test_every_way_to_load_and_every_manager_gives_the_same_scores(scored, how):
    assert scored[how]["scores"] == pytest.approx(EXPECTED)
    assert scored[how]["last"] == pytest.approx(EXPECTED)


def test_the_keys_are_the_same_for_every_sample_and_all_numbers(scored):
    assert scored["package"]["keys"] == [KEYS] * 6
    assert set(scored["package"]["kinds"].values()) <= {"f", "i"}


def test_what_has_no_reward_counts_as_was_asked_and_says_so(scored):
    columns = scored["package"]["columns"]
    assert columns["score"][3] == 0.25
    assert (columns["scored"], columns["failed"]) == ([1, 1, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0])
    assert columns["reward/short"][3] == "NaN"
    assert columns["reward/right"][3] == 0.0
    assert columns["reward/judge"][2] == "NaN"
    assert columns["scored"][2] == 1  # a leaf that abstains leaves the sum of the others


def test_a_function_of_a_file_and_a_spec_inside_verls_configuration_work(scored):
    assert scored["own"]["scores"] == [1.5, 0.5, 0.0, 0.5, 1.5, 0.5]
    assert scored["inline"]["scores"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_the_function_travels_to_another_process(scored):
    assert scored["shipped"]["score"] == pytest.approx(1.45)


def test_the_older_managers_work(scored):
    assert scored["driver"] == pytest.approx(EXPECTED)
    assert scored["batch"]["scores"] == pytest.approx([1 / 3] * 6)  # one right answer in each group of three
    assert scored["batch"]["columns"]["scored"] == [1] * 6


def test_verls_own_reward_function_loads_unchanged(scored):
    found = scored["foreign"]
    direct = [row["score"] if isinstance(row, dict) else row for row in found["direct"]]
    assert found["values"] == pytest.approx([float(value) for value in direct])
    assert set(found["values"]) >= {0.0, 1.0, -1.0}
    assert found["answers"][3:5] == ["12", "13"]  # what its dict calls "pred"
    assert found["spec"] == {"use": "function", "path": "verl.utils.reward_score:default_compute_score", "style": "verl"}


def test_verls_validation_metrics_take_every_key(scored):
    assert list(scored["validation"]) == KEYS
    assert "mean@3" in scored["validation"]["reward/short"]


@pytest.mark.slow
def test_verls_reward_loop_on_ray_actors(tmp_path):
    (found,) = run("verl_run.py", tmp_path, library=installed("verl", "PLAUDIT_VERL"), arguments=("ray",))
    for kind in ("naive", "remote"):
        assert found[kind]["scores"] == pytest.approx(EXPECTED)
        assert list(found[kind]["columns"]) == KEYS
