"""Local models by address: folders and the shipped policies, and what is wrong with a folder said at construction."""

import json
import pickle
import shutil
import time

import numpy as np
import pytest
from lm.local_models import random_model

from plaudit.errors import ModelError, SpecError
from plaudit.lm import LocalModel, WorldModel, hf_model, resolve
from plaudit.types import Sampling
from plaudit.worlds import load_policy, policy_folder

PROMPTS = ["7+5=?\n", "(50-9)*2=?\n", "81/9+6=?\n"]


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(policy_folder(), tmp_path / "policy")


def test_a_folder_is_a_model_by_its_path(folder):
    model = resolve(f"hf:{folder}?device=cpu&max_tokens=40")
    assert type(model) is LocalModel
    assert (model.address, model.max_tokens) == (f"hf:{folder}?device=cpu&max_tokens=40", 40)
    policy = load_policy()
    live = LocalModel(policy.model, policy.tokenizer)
    rows = [[live.tokenize([prompt], ["12\n"])[0]] for prompt in PROMPTS]
    for [got], [expected] in zip(model.read(PROMPTS, rows), live.read(PROMPTS, rows), strict=True):
        np.testing.assert_array_equal(got.logprob, expected.logprob)


def test_the_version_is_what_the_folder_holds_and_not_where_it_lies(folder, tmp_path):
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    (elsewhere / "README.md").write_text("words that change no number")
    first, second = hf_model(str(folder)), hf_model(str(elsewhere))
    assert first.version == second.version
    assert first.version != hf_model(f"{folder}?dtype=bfloat16").version
    assert first.version != hf_model(f"{folder}?max_tokens=7").version
    assert first.version == hf_model(f"{folder}?batch_tokens=7").version
    configuration = json.loads((elsewhere / "generation_config.json").read_text())
    (elsewhere / "generation_config.json").write_text(json.dumps({**configuration, "eos_token_id": [1, 3]}))
    changed = hf_model(str(elsewhere))
    assert changed.version != first.version
    assert changed.ends == {1, 3}


def test_an_address_is_loaded_once_while_somebody_holds_it(folder):
    first = hf_model(f"{folder}?device=cpu")
    assert hf_model(f"{folder}?device=cpu") is first
    assert hf_model(f"{folder}?device=cpu&max_tokens=3") is not first
    policy = resolve("world:arithmetic")
    assert resolve("world:arithmetic") is policy


def test_a_model_by_address_travels_as_its_address(folder):
    model = hf_model(f"{folder}?device=cpu")
    assert pickle.loads(pickle.dumps(model)) is model
    assert len(pickle.dumps(model)) < 1000


def test_number_types_are_as_asked(folder):
    import torch

    assert hf_model(f"{folder}?device=cpu").network.dtype == torch.float32
    assert hf_model(f"{folder}?device=cpu&dtype=auto").network.dtype == torch.bfloat16
    assert hf_model(f"{folder}?device=cpu&dtype=float16").network.dtype == torch.float16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("device=cpu&max_token=3", "unknown option 'max_token'; did you mean 'max_tokens'"),
        ("device=cpu&device=cpu", "'device' is given twice"),
        ("max_tokens=0", "max_tokens is '0': expected a whole number of at least 1"),
        ("max_tokens=many", "max_tokens is 'many'"),
        ("batch_tokens=-1", "batch_tokens is '-1'"),
        ("dtype=float8", "dtype is 'float8': expected one of auto, float32"),
        ("device", "options cannot be read"),
        ("revision=main", "revision goes with a name at the hub"),
    ],
)
def test_a_wrong_option_is_explained(folder, options, message):
    with pytest.raises(SpecError, match=message):
        hf_model(f"{folder}?{options}")


@pytest.mark.parametrize(
    ("rest", "error", "message"),
    [
        ("", SpecError, "expected 'hf:NAME_OR_FOLDER'"),
        ("./no/such/folder", ModelError, "there is no folder"),
        ("/no/such/folder", ModelError, "there is no folder"),
        ("~/no/such/folder", ModelError, "there is no folder"),
    ],
)
def test_a_name_that_leads_nowhere_is_explained(rest, error, message):
    with pytest.raises(error, match=message):
        hf_model(rest)


def test_offline_a_name_that_is_not_in_the_hubs_cache_is_an_error_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    begin = time.monotonic()
    with pytest.raises(ModelError, match="hf:nobody/nothing-0B: its tokenizer cannot be loaded"):
        hf_model("nobody/nothing-0B")
    assert time.monotonic() - begin < 30


def test_an_unusable_device_is_explained(folder):
    for device in ("no-such-device", "cuda:99"):
        with pytest.raises(ModelError, match=f"device '{device}' cannot be used"):
            hf_model(f"{folder}?device={device}")


def test_a_folder_without_a_tokenizer_is_refused(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match=r"the folder has no tokenizer \(none of tokenizer.json"):
        hf_model(f"{folder}?device=cpu")


def test_a_folder_with_a_broken_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        hf_model(f"{folder}?device=cpu")


def test_a_folder_with_another_models_tokenizer_is_refused(folder):
    random_model("llama").save_pretrained(folder)
    assert hf_model(f"{folder}?device=cpu").network.vocabulary == 97
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["x"] = 97
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="does not belong to the model: its token 'x' has id 97, the model's vocabulary has 97"):
        hf_model(f"{folder}?device=cpu")


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        hf_model(f"{folder}?device=cpu")


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    configuration = json.loads((folder / "config.json").read_text())
    configuration |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"}}
    (folder / "config.json").write_text(json.dumps(configuration))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError):
        hf_model(f"{folder}?device=cpu")
    assert not (tmp_path / "ran").exists()


def test_a_shipped_policy_is_a_model_by_name():
    for name in ("arithmetic", "arithmetic-weak", "arithmetic-strong"):
        model = resolve(f"world:{name}")
        assert isinstance(model, WorldModel)
        assert model.version.startswith(f"world:{name}@")
    assert len({resolve(f"world:{name}").version for name in ("arithmetic", "arithmetic-weak", "arithmetic-strong")}) == 3
    model = resolve("world:arithmetic")
    assert pickle.loads(pickle.dumps(model)) is model


@pytest.mark.parametrize(
    ("address", "message"),
    [("world:chess", "policy 'chess': expected one of arithmetic"), ("world:arithmetic?dtype=auto", "unknown option 'dtype'")],
)
def test_a_wrong_world_is_explained(address, message):
    with pytest.raises(SpecError, match=message):
        resolve(address)


def test_the_worlds_sampler_and_the_general_one_draw_the_same(monkeypatch):
    model = resolve("world:arithmetic")
    how = Sampling(seed=7, max_tokens=80)
    quick = model.generate(PROMPTS * 10, 4, how)
    monkeypatch.setattr("plaudit.lm._local_load.draw", None)  # nobody may ask it now
    general = model.generate(PROMPTS * 10, 4, how, deadline=time.monotonic() + 600)
    for first, second in zip(quick, general, strict=True):
        for one, other in zip(first, second, strict=True):
            assert (one.text, one.finish, one.tokens.tolist()) == (other.text, other.finish, other.tokens.tolist())
            np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)
    with pytest.raises(TypeError):
        model.generate(PROMPTS, sampling=how)


def test_a_tiny_policy_knows_top_p_stop_strings_and_the_end_of_its_context():
    model = resolve("world:arithmetic-strong")
    [[stopped]] = model.generate(["7+5=?\n"], sampling=Sampling(temperature=0.0, stop=("\n",)))
    assert (stopped.text, stopped.finish) == ("7+5=12", "stop")
    [[likely]] = model.generate(["7+5=?\n"], sampling=Sampling(top_p=1e-6, seed=0))
    assert likely.text == "7+5=12\n#### 12"
    assert likely.logprobs.sum() == 0.0
    [[cut]] = model.generate(["1" * 250], sampling=Sampling(seed=0, max_tokens=192))
    assert len(cut.tokens) <= 6
