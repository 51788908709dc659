"""``plaudit train``: from a file to a reward model, with what it must be compared to beside it."""

import gzip
import json
import os
from pathlib import Path

import pytest

from plaudit.cli import main
from plaudit.learned import RewardModel

COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "brown")
NUMBERS = ("ten", "two", "seven", "forty", "eight", "sixty", "nine", "ninety")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def pairs(tmp_path):
    rows = [
        {"prompt": f"Question {k}: say a colour.", "chosen": f"I say {c}.", "rejected": f"I say {n}."}
        for k, (c, n) in enumerate((c, n) for c in COLOURS for n in NUMBERS)
    ]
    return write(tmp_path / "pairs.jsonl", rows)


def train(capsys, *arguments, tmp_path):
    status = main(["train", *arguments, "--embeddings", str(tmp_path / "kept")])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_pairs_become_a_reward_model_that_scores(pairs, tmp_path, capsys):
    status, out, err = train(capsys, pairs, "-o", str(tmp_path / "rm"), "--epochs", "10", tmp_path=tmp_path)
    assert status == 0
    assert "longer wins" in out
    assert "prompt-blind" in out
    assert "95% interval" in out
    assert "plaudit score" in out
    assert "epoch 1/10" in err
    reward = RewardModel.load(tmp_path / "rm")
    assert reward.one("Say a colour.", "I say violet.").value > reward.one("Say a colour.", "I say fifteen.").value


def test_json_is_one_document_with_intervals(pairs, tmp_path, capsys):
    arguments = (pairs, "-o", str(tmp_path / "rm"), "--epochs", "5", "--head", "linear", "--json")
    status, out, _ = train(capsys, *arguments, tmp_path=tmp_path)
    found = json.loads(out)
    assert status == 0
    assert found["pairs"] == 64
    assert found["head"] == "linear"
    assert [row["name"] for row in found["held_out"]] == ["reward model", "longer wins", "prompt-blind"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in found["held_out"])


def test_the_same_seed_trains_the_same_model(pairs, tmp_path, capsys):
    for name in ("a", "b"):
        train(capsys, pairs, "-o", str(tmp_path / name), "--epochs", "3", "--seed", "4", tmp_path=tmp_path)
    a, b = ((tmp_path / name / "head.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b


def test_labelled_rows_are_understood_under_any_column_name(tmp_path, capsys):
    rows = [{"prompt": f"q{k // 2}", "completion": f"I say {w}.", "good": w in COLOURS} for k, w in enumerate(COLOURS + NUMBERS)]
    path = write(tmp_path / "rows.jsonl", rows)
    arguments = (path, "-o", str(tmp_path / "rm"), "--loss", "cross-entropy", "--label", "good", "--head", "linear", "--json")
    status, out, _ = train(capsys, *arguments, tmp_path=tmp_path)
    assert status == 0
    assert json.loads(out)["loss"] == "cross_entropy"


def test_a_language_model_is_a_backbone_too(tmp_path, capsys):
    rows = [
        {"prompt": f"{a}+{b}=?\n", "chosen": f"{a}+{b}={a + b}\n#### {a + b}", "rejected": f"{a}+{b}={a - b}\n#### {a - b}"}
        for a in range(3, 11) for b in range(4, 9)
    ]  # fmt: skip
    path = write(tmp_path / "sums.jsonl", rows)
    arguments = (
        path,
        "-o",
        str(tmp_path / "rm"),
        "--model",
        "world:arithmetic",
        "--head",
        "gated-linear",
        "--layers",
        "none",
        "--json",
    )
    status, out, _ = train(capsys, *arguments, tmp_path=tmp_path)
    assert status == 0
    assert json.loads(out)["held_out"][0]["value"] > 0.8
    assert RewardModel.load(tmp_path / "rm").one("7+5=?\n", "7+5=12\n#### 12").value is not None


def test_rows_that_cannot_be_used_are_counted_on_standard_error(pairs, tmp_path, capsys):
    with open(pairs, "a") as file:
        file.write('{"prompt": "p", "chosen": "same", "rejected": "same"}\nnot json\n')
    status, _, err = train(capsys, pairs, "-o", str(tmp_path / "rm"), "--epochs", "2", tmp_path=tmp_path)
    assert status == 0
    assert "same text: 1" in err
    assert "1 row cannot be read" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--head", "transformer"], "expected one of linear, mlp"),
        (["--loss", "hinge"], "expected one of bradley-terry"),
        (["--model", "encoder:nothing"], "nothing"),
        (["--layers", "3"], "belongs to a language model"),
        (["--head", "gated-linear"], "use linear or mlp"),
        (["--model", "world:arithmetic", "--layers", "a"], "expected whole numbers"),
    ],
)
def test_a_wrong_option_ends_with_a_sentence_and_status_2(pairs, tmp_path, capsys, arguments, said):
    status, _, err = train(capsys, pairs, "-o", str(tmp_path / "rm"), *arguments, tmp_path=tmp_path)
    assert status == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "rm").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"prompt": "p", "completion": "a"}], "neither pairs (chosen, rejected) nor a column 'label'"),
        ([{"prompt": "p", "completion": "a", "label": 1}, {"prompt": "p", "completion": "b", "label": 1}], "the label 1"),
        (
            [{"prompt": "p", "completion": "a", "label": 1}, {"prompt": "q", "completion": "b", "label": 0}],
            "--loss cross-entropy",
        ),
        ([{"prompt": "p", "chosen": "a", "rejected": "a"}], "no pair is left"),
    ],
)
def test_data_that_teaches_nothing_ends_with_a_sentence(tmp_path, capsys, rows, said):
    path = write(tmp_path / "rows.jsonl", rows)
    status, _, err = train(capsys, path, "-o", str(tmp_path / "rm"), tmp_path=tmp_path)
    assert status == 2
    assert said in " ".join(err.split())


def test_a_folder_that_is_taken_is_refused_before_the_work(pairs, tmp_path, capsys):
    (tmp_path / "rm").mkdir()
    (tmp_path / "rm" / "notes.txt").write_text("mine")
    status, _, err = train(capsys, pairs, "-o", str(tmp_path / "rm"), tmp_path=tmp_path)
    assert status == 2
    assert "there already" in err
    assert "epoch" not in err


@pytest.mark.slow
def test_real_preferences_of_people_are_learnt_to_some_degree(tmp_path, capsys):
    root = os.environ.get("PLAUDIT_DATA")
    if not root:
        pytest.skip("PLAUDIT_DATA names no folder of real data")
    source = Path(root) / "ukp_convarg"
    files = sorted(source.glob("*strict*.jsonl.gz"))
    if not files:
        pytest.skip(f"{source} holds no strict pairs")
    rows = []
    with gzip.open(files[0], "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            better, worse = ("a1", "a2") if row["label"] == "a1" else ("a2", "a1")
            rows.append({"prompt": row["topic"], "chosen": row[better], "rejected": row[worse]})
    rows = rows[:: max(1, len(rows) // 600)]  # arguments come back in many pairs: the embeddings are what costs
    path = write(tmp_path / "arguments.jsonl", rows)
    arguments = (path, "-o", str(tmp_path / "rm"), "--head", "linear", "--json")
    status, out, _ = train(capsys, *arguments, tmp_path=tmp_path)
    own = json.loads(out)["held_out"][0]
    assert status == 0
    assert own["value"] > 0.5
