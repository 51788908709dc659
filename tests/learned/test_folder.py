"""A saved reward model scores as it did, or is refused with a sentence that says why."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plaudit.errors import ModelError, RunError
from plaudit.learned import RewardModel, read_folder
from plaudit.types import Sample


@pytest.fixture
def folder(colours, tmp_path):
    colours.save(tmp_path / "rm")
    return tmp_path / "rm"


def edit(folder, change):
    path = folder / "plaudit.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def reweigh(folder, change):
    path = folder / "head.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        RewardModel.load(folder)
    return str(caught.value)


SAMPLES = [Sample("Say a colour.", f"I say {word}.") for word in ("red", "ten", "violet")]


def test_the_saved_model_scores_like_the_trained_one(colours, folder):
    assert RewardModel.load(folder)(SAMPLES) == pytest.approx(list(colours.scores(SAMPLES)), abs=1e-5)


def test_the_folder_holds_what_scores_depend_on_and_how_good_they_were(folder):
    description = json.loads((folder / "plaudit.json").read_text())
    assert description["backbone"]["version"]
    assert description["training"]["data"]
    assert description["weights"]["sha256"]
    assert len(description["self_test"]["rows"]) >= 2
    assert sorted(path.name for path in folder.iterdir()) == ["head.safetensors", "plaudit.json"]


def test_missing_weights_are_refused(folder):
    (folder / "head.safetensors").unlink()
    assert "is missing" in refusal(folder)


def test_a_head_without_one_of_its_tensors_is_refused(folder):
    reweigh(folder, lambda w: w.pop("out.weight"))
    assert "without out.weight" in refusal(folder)


def test_a_tensor_that_nobody_reads_is_refused(folder):
    reweigh(folder, lambda w: w.update(score=np.zeros((1, 4), np.float32)))
    assert "score that nobody reads" in refusal(folder)


def test_a_head_that_was_initialised_anew_is_refused(folder):
    random = np.random.default_rng(0)
    reweigh(folder, lambda w: w.update({"out.weight": random.standard_normal(w["out.weight"].shape).astype(np.float32)}))
    assert "initialised anew" in refusal(folder)


def test_other_weights_with_a_description_that_agrees_fail_the_self_test(folder):
    import hashlib

    reweigh(folder, lambda w: w.update({"out.weight": w["out.weight"] + 0.05}))
    digest = hashlib.sha256((folder / "head.safetensors").read_bytes()).hexdigest()
    edit(folder, lambda d: d["weights"].update(sha256=digest))
    assert "fails its self-test" in refusal(folder)


def test_weights_of_another_shape_or_type_are_refused(folder):
    reweigh(folder, lambda w: w.update({"out.bias": np.zeros(2, np.float32)}))
    assert "expected float32 (1,)" in refusal(folder)
    reweigh(folder, lambda w: w.update({"out.bias": np.zeros(1, np.float16)}))
    assert "float16" in refusal(folder)


def test_weights_that_are_no_numbers_are_refused(folder):
    reweigh(folder, lambda w: w.update({"out.bias": np.full(1, np.nan, np.float32)}))
    assert "not numbers" in refusal(folder)


@pytest.mark.parametrize("keep", [0, 7, 40, 200])
def test_truncated_weights_are_refused(folder, keep):
    path = folder / "head.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "damaged" in refusal(folder)


def test_a_pickle_in_the_place_of_weights_is_refused_and_not_run(folder, tmp_path):
    import torch

    torch.save({"out.weight": torch.zeros(1)}, folder / "head.safetensors")
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "reward_model"}', '{"kind": "tokenizer"}', "[" * 50_000])
def test_a_description_that_cannot_be_read_is_refused(folder, text):
    (folder / "plaudit.json").write_text(text)
    assert "plaudit.json" in refusal(folder)


@pytest.mark.parametrize("key", ["features", "backbone", "head", "weights", "scores", "self_test", "template", "format"])
def test_a_description_without_one_of_its_parts_is_refused(folder, key):
    edit(folder, lambda d: d.pop(key))
    assert "plaudit.json" in refusal(folder)


def test_known_scores_that_are_missing_or_no_numbers_are_refused(folder):
    edit(folder, lambda d: d["self_test"].update(rows=[]))
    assert "no known scores" in refusal(folder)


def test_a_score_that_is_off_is_refused(folder):
    edit(folder, lambda d: d["self_test"]["rows"][0].update(score=d["self_test"]["rows"][0]["score"] + 1))
    assert "fails its self-test" in refusal(folder)


def test_another_version_of_the_backbone_is_refused(folder):
    edit(folder, lambda d: d["backbone"].update(version="older"))
    said = refusal(folder)
    assert "version older" in said
    assert "train again" in said


def test_a_folder_that_is_not_there_says_how_to_make_one(tmp_path):
    assert "plaudit train" in refusal(tmp_path / "nothing")


def test_the_refusal_comes_at_the_first_score_too(folder):
    reward = RewardModel(folder)
    edit(folder, lambda d: d["backbone"].update(version="older"))
    with pytest.raises(ModelError, match="older"):
        reward(SAMPLES)


def test_a_folder_that_changes_after_it_was_loaded_is_read_again(folder):
    reward = RewardModel.load(folder)
    reward(SAMPLES)
    (folder / "head.safetensors").unlink()
    with pytest.raises(ModelError, match="missing"):
        reward(SAMPLES)


def test_saving_never_replaces_something_else(colours, folder, tmp_path):
    with pytest.raises(RunError, match="there already"):
        colours.save(folder)
    colours.save(folder, overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(RunError):
        colours.save(folder, overwrite=True)
    assert (folder / "notes.txt").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_moved_folder_is_the_same_reward_and_a_changed_one_is_not(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert RewardModel(folder).fingerprint == RewardModel(tmp_path / "copy").fingerprint
    reweigh(tmp_path / "copy", lambda w: w.update({"out.bias": w["out.bias"] + 1}))
    assert RewardModel(folder).fingerprint != RewardModel(tmp_path / "copy").fingerprint


def test_reading_a_folder_needs_no_backbone(folder):
    edit(folder, lambda d: d["backbone"].update(version="of another machine"))
    assert read_folder(folder).backbone[1] == "of another machine"
