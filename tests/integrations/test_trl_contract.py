"""TRL's own GRPOTrainer trains a tiny policy with plaudit's functions; what it logs is what the reward said."""

from __future__ import annotations

import math

import pytest
from trainers import installed, run

TERMS = {"digits": 1.0, "short": 0.5}
BIAS = 0.25


@pytest.fixture(scope="module", params=["newest", pytest.param("1.9", marks=pytest.mark.slow)])
def trained(request, tmp_path_factory):
    library = installed("trl", "PLAUDIT_TRL_OLD") if request.param == "1.9" else None
    (found,) = run("grpo_run.py", tmp_path_factory.mktemp("trl"), library=library)
    assert found["trl"].startswith("1.9.") == (request.param == "1.9")
    return found


def steps_of(run):
    return [row for row in run["log"] if "reward" in row]


def rows_of(run, step):
    return [row for row in run["table"] if row["step"] == step]


def mean(values):
    return sum(values) / len(values)


def test_the_logged_total_is_the_sum_of_the_logged_terms(trained):
    for name in ("text", "one", "split", "weights"):
        for step in steps_of(trained[name]):
            terms = [value for key, value in step.items() if key.startswith("reward_terms/")]
            assert len(terms) == 3
            assert step["reward"] == pytest.approx(sum(terms), abs=1e-5)


def test_without_abstentions_the_total_is_the_weighted_sum_of_the_leaf_means(trained):
    for step in steps_of(trained["text"]):
        assert step["reward"] == pytest.approx(BIAS + sum(w * step[f"reward/{leaf}/mean"] for leaf, w in TERMS.items()), abs=1e-5)


def test_every_completion_carries_its_leaf_values_and_its_total(trained):
    for step in steps_of(trained["text"]):
        rows = rows_of(trained["text"], step["step"])
        assert len(rows) == 8
        for row in rows:
            assert row["total"] == pytest.approx(row["reward/digits/value"] + 0.5 * row["reward/short/value"] + BIAS, abs=1e-5)
            assert row["reward/status"] == "scored"
        for leaf in TERMS:
            assert step[f"reward/{leaf}/mean"] == pytest.approx(mean([row[f"reward/{leaf}/value"] for row in rows]))


def test_the_trainers_own_metrics_agree_with_ours(trained):
    for step in steps_of(trained["text"]):
        assert step["rewards/total/mean"] == pytest.approx(step["reward"])
        assert step["reward/scored"] == 1.0
        assert step["reward/failed"] == step["reward/abstained"] == 0.0
        assert step["reward/seconds_p95"] >= 0.0


def test_a_chat_arrives_as_messages_with_its_reference_its_columns_and_its_token_ids(trained):
    first = trained["seen"][0]
    assert first["prompt"][0]["role"] == "user"
    assert first["response"][0]["role"] == "assistant"
    assert first["reference"] == str(2 * int(first["prompt"][0]["content"][0]))
    assert first["level"] in (1, 2)
    assert 0 < len(first["tokens"]) <= 12


def test_split_into_terms_trains_exactly_as_the_one_function(trained):
    for name in ("split", "weights"):
        for one, split in zip(steps_of(trained["one"]), steps_of(trained[name]), strict=True):
            assert split["reward"] == pytest.approx(one["reward"], abs=1e-6)
            assert split["reward/digits/scored"] == one["reward/digits/scored"]
        for one, split in zip(trained["one"]["table"], trained[name]["table"], strict=True):
            assert one["completion"] == split["completion"]
            assert split["advantage"] == pytest.approx(one["advantage"], abs=1e-4)


def test_a_term_that_abstains_is_none_and_the_others_make_the_total(trained):
    abstained = [row for row in trained["split"]["table"] if row["reward/digits/reason"] == "not_applicable"]
    assert abstained
    assert len(abstained) < len(trained["split"]["table"])
    for row in abstained:
        assert row["digits"] is None
        assert row["short"] == pytest.approx(0.5 * row["reward/short/value"])
        assert row["bias"] == BIAS
        assert row["reward/status"] == "scored"


def test_a_row_whose_total_failed_is_none_in_every_term_and_moves_nothing(trained):
    table = trained["judged"]["table"]
    failed = [row for row in table if row["reward/status"] == "failed"]
    assert failed
    assert len(failed) < len(table)
    for row in failed:
        assert row["digits"] is None
        assert row["slow_judge"] is None
        assert row["reward/digits/value"] is not None  # the leaf itself was scored, and is still to be seen
        assert row["reward/slow_judge/reason"] == "judge_unreachable"
        assert row["reward/reason"] == "part_failed:slow_judge"
        assert row["advantage"] == 0.0
    for step in steps_of(trained["judged"]):
        rows = rows_of(trained["judged"], step["step"])
        assert step["reward/failed"] == pytest.approx(mean([row["reward/status"] == "failed" for row in rows]))


def test_a_group_reward_sees_the_trainers_groups(trained):
    table = trained["group"]["table"]
    for k in range(0, len(table), 4):
        group = table[k : k + 4]
        assert len({row["prompt"] for row in group}) == 1
        assert sum(row["share_of_digits"] for row in group) == pytest.approx(1.0, abs=1e-5)


def test_the_trainers_step_reaches_the_reward(trained):
    assert [step["reward"] for step in steps_of(trained["step"])] == [0.0, 1.0]


def test_metric_names_stay_the_same_from_step_to_step(trained):
    for name in ("text", "judged", "group"):
        names = [{key for key in step if key.startswith("reward")} for step in steps_of(trained[name])]
        assert all(found == names[0] for found in names)
        assert all(math.isfinite(step[key]) for step in steps_of(trained[name]) for key in names[0])


@pytest.fixture(scope="module", params=["newest", "1.9"])
def trained_together(request, tmp_path_factory):
    library = installed("trl", "PLAUDIT_TRL_OLD") if request.param == "1.9" else None
    return run("grpo_run.py", tmp_path_factory.mktemp("ranks"), library=library, ranks=2)


@pytest.mark.slow
def test_a_group_split_over_two_processes_is_scored_whole(trained_together):
    main, _ = trained_together
    assert len(main["group"]["table"]) == 8  # two steps of one group, two rows of it on each process
    for step in (1, 2):
        rows = rows_of(main["group"], step)
        assert sum(row["reward/share_of_digits/value"] for row in rows) == pytest.approx(1.0, abs=1e-6)
        for row in rows:
            assert row["sum"] == pytest.approx(row["reward/share_of_digits/value"] + 0.5 * row["reward/short/value"], abs=1e-5)


@pytest.mark.slow
def test_all_processes_log_the_numbers_of_all_samples(trained_together):
    main, other = trained_together
    for name in ("group", "split"):
        for here, there in zip(steps_of(main[name]), steps_of(other[name]), strict=True):
            assert {k: v for k, v in here.items() if k.startswith("reward")} == {
                k: v for k, v in there.items() if k.startswith("reward")
            }
            rows = rows_of(main[name], here["step"])
            assert here["reward/scored"] == pytest.approx(mean([row["reward/status"] == "scored" for row in rows]))
            assert here["reward"] == pytest.approx(sum(v for k, v in here.items() if k.startswith("reward_terms/")), abs=1e-5)
