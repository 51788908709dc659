"""The quickstart end to end, at a small size: every stage runs on real model output, and what it prints is what it found."""

import json
import subprocess
import sys

import numpy as np
import pytest

from plaudit.align import GrpoConfig
from plaudit.errors import DataError, RunError
from plaudit.quickstart import FILES, SPEC, quickstart, quickstart_on, write_report
from plaudit.reward import from_spec, reward


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    said = []
    folder = tmp_path_factory.mktemp("quickstart")
    config = GrpoConfig(steps=2, prompts_per_step=4, group_size=4)
    result = quickstart(folder, problems=32, config=config, held_out=20, say=lambda *words: said.append(words))
    result.report = write_report(result, [("All of it.", "plaudit quickstart")])
    result.said = said
    return result


def test_each_stage_is_announced_and_the_last_one_reaches_its_end(found):
    stages = list(dict.fromkeys(stage for stage, _, _ in found.said))
    assert stages[0] == "Sampling"
    assert stages[-1] == "Training the policy"
    assert max(done for _, done, _ in found.said if done is not None) == 1.0


def test_the_summary_has_the_promised_names_and_agrees_with_what_was_found(found):
    row = found.to_json()
    assert set(row["best_of_8"]) == {"policy", "majority", "reward_model", "weighted", "oracle"}
    assert row["best_of_8"]["policy"] == pytest.approx(row["pass_at_1"])
    assert row["best_of_8"]["oracle"] >= max(row["best_of_8"].values())
    assert 0 <= row["attack_success"] <= 1
    assert row["grpo"]["gain"] == pytest.approx(row["grpo"]["after"] - row["grpo"]["before"])
    assert row["report"].endswith("report.html")
    json.dumps(row, allow_nan=False)


def test_the_reward_model_never_saw_the_problems_it_is_tested_on(found):
    test = {found.scored.samples[k].prompt for k in found.picking.test.tolist()}
    seen = {sample.prompt for k, sample in enumerate(found.scored.samples) if k not in set(found.picking.test.tolist())}
    assert not test & seen
    assert len(found.picking.test) == len(found.scored.samples) // 2


def test_the_files_are_there_and_the_answers_can_be_scored_again(found):
    again = from_spec(SPEC).score(found.scored.samples)
    np.testing.assert_array_equal(again.values, found.scored.verdicts.values)
    lines = (found.folder / "answers.jsonl").read_text().splitlines()
    assert len(lines) == len(found.scored.samples)
    assert {"prompt", "id", "label"} <= set(json.loads(lines[0]))
    assert (found.folder / "reward-model" / "plaudit.json").is_file()


def test_the_report_shows_every_part_and_fetches_nothing(found):
    text = found.report.read_text()
    for part in ("What the answers earned", "Where the reward sits", "Picking the best of N", "How the reward model is fooled",
                 "Training the policy", "Do it again"):  # fmt: skip
        assert part in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_an_odd_number_of_problems_is_refused(tmp_path):
    with pytest.raises(RunError, match="even number"):
        quickstart(tmp_path, problems=17)


def test_own_candidates_are_scored_picked_and_fooled_and_what_is_left_out_is_said(tmp_path):
    rows = []
    for k in range(12):
        for j in range(4):
            right = j == k % 4
            rows.append(
                {
                    "prompt": f"What is {k} + 1?",
                    "completion": f"It is #### {k + 1 if right else k + 5 + j}",
                    "reference": str(k + 1),
                }
            )
    rows.append({"prompt": "alone?", "completion": "#### 1", "reference": "1"})
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n")
    result = quickstart_on(path, from_spec("verify.math"), tmp_path / "run")
    assert result.scored.per_group == 4
    assert result.picking.curves["policy"].accuracy[0] == pytest.approx(0.25)
    assert result.picking.curves["oracle"].accuracy[-1] == 1.0
    assert result.trained is None
    assert any("1 row could not be read" in note for note in result.notes)
    assert any("1 candidate is left out" in note for note in result.notes)
    assert (tmp_path / "run" / "rejected.jsonl").is_file()
    assert write_report(result, []).is_file()


def test_rewards_on_a_scale_of_their_own_are_not_shown_as_shares_of_right_answers(tmp_path):
    rows = [
        {"prompt": f"Say {k}", "completion": " ".join(["word"] * (1 + (3 * j + k) % 7)) + f" {k}"}
        for k in range(8)
        for j in range(4)
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    words = reward(lambda response: 10.0 * len(response.split()), range=(0, 1000)).named("words")
    result = quickstart_on(path, words, tmp_path / "run")
    text = write_report(result, []).read_text()
    assert "mean reward, one answer" in text
    assert "Mean reward of the pick" in text
    assert "right, one answer" not in text


def test_a_finished_quickstart_is_cleared_without_touching_other_files(tmp_path):
    from plaudit.cli._quickstart import _clear

    for name in (*FILES, "mine.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "policy").unlink()
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "weights").write_text("x")
    (tmp_path / "rm").mkdir()
    _clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "rm"]


def test_the_files_that_are_cleared_are_those_that_are_written(found):
    assert {path.name for path in found.folder.iterdir()} <= set(FILES)


def test_commands_can_be_pasted_into_a_shell():
    from plaudit.cli._quickstart import _line

    assert _line("plaudit", "score", "my data.jsonl", "--row", 1) == "plaudit score 'my data.jsonl' --row 1"


def test_too_few_prompts_with_several_candidates_are_refused(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text('{"prompt": "a", "completion": "#### 1", "reference": "1"}\n')
    with pytest.raises(DataError, match="at least 4 prompts with several candidates"):
        quickstart_on(path, from_spec("verify.math"), tmp_path / "run")


def test_the_command_needs_data_and_reward_together(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "plaudit.cli", "quickstart", "--data", "x.jsonl", "-o", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--data and --reward belong together" in done.stderr
