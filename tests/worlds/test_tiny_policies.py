"""The shipped policies, and the script that trains them."""

import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from plaudit.errors import ModelError  # noqa: E402
from plaudit.stats import bootstrap_interval, wilson_interval  # noqa: E402
from plaudit.worlds import (  # noqa: E402  # noqa: E402
    POLICIES,
    ArithmeticAnswer,
    arithmetic_problems,
    load_policy,
    measure_policy,
    policy_folder,
    train_policy,
)
from plaudit.worlds.measure_policy import measure  # noqa: E402
from plaudit.worlds.train_policy import Recipe, new_model, save, train  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def measured():
    return {name: measure(load_policy(name), n=60, seed=2) for name in POLICIES}


def test_the_default_policy_is_often_right_and_often_wrong(measured):
    found = measured["arithmetic"]
    assert 0.3 < found.pass_1 < 0.65
    assert found.pass_k > 0.7
    assert found.pass_1_interval[0] < found.pass_1 < found.pass_1_interval[1]


def test_the_three_policies_stand_in_their_order(measured):
    weak, default, strong = (measured[name].pass_1 for name in ("arithmetic-weak", "arithmetic", "arithmetic-strong"))
    assert weak + 0.1 < default < strong - 0.1


@pytest.mark.parametrize("name", POLICIES)
def test_a_folder_is_small_and_holds_16_bits(name):
    folder = policy_folder(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 * 2**20
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.config.model_type == "llama"
    assert 0.9e6 < sum(parameter.numel() for parameter in model.parameters()) < 1.2e6


@pytest.mark.parametrize("name", POLICIES)
def test_the_tokenizer_has_one_token_for_each_character(name):
    tokenizer = transformers.AutoTokenizer.from_pretrained(policy_folder(name))
    text = "3+4*(5-2)/7^2=?\n #### -7/2"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer("x é")["input_ids"].count(tokenizer.unk_token_id) == 2
    assert tokenizer.apply_chat_template([{"role": "user", "content": "1+1=?\n"}], tokenize=False) == "1+1=?\n"


def test_a_policy_is_in_float32_and_not_in_training():
    policy = load_policy("arithmetic")
    assert {parameter.dtype for parameter in policy.model.parameters()} == {torch.float32}
    assert not policy.model.training


def test_an_unknown_policy_is_refused(tmp_path):
    with pytest.raises(ModelError, match="arithmetic-weak"):
        load_policy("arithmetics")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_policy(tmp_path)


def test_a_folder_whose_tokenizer_is_larger_than_its_model_is_refused(tmp_path):
    model = new_model()
    model.resize_token_embeddings(10)
    save(model, tmp_path)
    with pytest.raises(ModelError, match="tokens"):
        load_policy(tmp_path)


def test_training_lowers_the_loss_and_repeats_itself(tmp_path):
    recipe = Recipe(clean_steps=16, noisy_steps=2, batch=8, level="easy")
    losses, weights = [], []
    for _ in range(2):
        model = new_model(seed=3)
        seen = []
        training = train(model, recipe, seed=3, report=lambda step, steps, loss, seconds, seen=seen: seen.append(loss))
        assert (training.steps, training.interrupted) == (18, False)
        losses.append(seen)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert np.mean(losses[0][-5:]) < losses[0][0] - 0.3
    assert losses[0] == losses[1]
    assert torch.equal(weights[0], weights[1])


def test_an_interrupted_training_keeps_what_it_has():
    def stop(step, steps, loss, seconds):
        if step == 3:
            raise KeyboardInterrupt

    training = train(new_model(), Recipe(clean_steps=100, batch=4, level="easy"), report=stop)
    assert (training.steps, training.interrupted) == (3, True)


def test_the_script_writes_a_folder_that_loads(tmp_path, capsys):
    folder = tmp_path / "new"
    train_policy.main(["--out", str(folder), "--threads", "1", "--clean-steps", "3", "--noisy-steps", "2", "--batch", "4"])
    printed = capsys.readouterr()
    assert "5 steps, loss" in printed.out
    assert "step 5 of 5" in printed.err
    assert len(load_policy(folder).sample(["1+1=?\n"], 2, max_tokens=5, seed=0)[0]) == 2
    assert json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_trls_grpo_trainer_trains_it(tmp_path):
    datasets, trl = pytest.importorskip("datasets"), pytest.importorskip("trl")
    reward = ArithmeticAnswer()
    problems = arithmetic_problems(8, seed=1)
    model = transformers.AutoModelForCausalLM.from_pretrained(policy_folder(), dtype=torch.float32)
    before = model.model.layers[0].mlp.down_proj.weight.detach().clone()

    def exact(prompts, completions, **columns):
        from plaudit.types import Sample

        return reward([Sample(p, c) for p, c in zip(prompts, completions, strict=True)]).tolist()

    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=8, num_generations=4, max_completion_length=48, max_steps=2,
        learning_rate=1e-3, report_to=[], use_cpu=True, bf16=False, save_strategy="no", logging_steps=1, disable_tqdm=True,
    )  # fmt: skip
    trainer = trl.GRPOTrainer(
        model=model,
        reward_funcs=exact,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict({"prompt": [problem.prompt for problem in problems]}),
        processing_class=transformers.AutoTokenizer.from_pretrained(policy_folder()),
    )
    trainer.train()
    rewards = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    assert len(rewards) == 2
    assert 0 < np.mean(rewards) < 1
    assert not torch.equal(before, model.model.layers[0].mlp.down_proj.weight)


def test_the_measurement_is_printed_for_people_and_for_machines(capsys):
    arguments = ["arithmetic", "--problems", "8", "--answers", "2", "--threads", "1"]
    measure_policy.main([*arguments, "--json"])
    found = json.loads(capsys.readouterr().out)["arithmetic"]
    assert found["problems"] == 8
    measure_policy.main(arguments)
    assert f"{found['pass_1']:.3f}" in capsys.readouterr().out


def test_intervals_hold_their_share_and_shrink_with_more_data():
    low, high = wilson_interval(50, 100)
    assert low < 0.5 < high
    assert wilson_interval(0, 20)[0] == pytest.approx(0.0, abs=1e-12)
    values = np.random.default_rng(0).random(400)
    wide, narrow = bootstrap_interval(values[:100]), bootstrap_interval(values)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_the_world_needs_no_torch_until_a_policy_is_asked():
    code = (
        "import sys, plaudit.worlds as w; p = w.arithmetic_problems(3); w.ArithmeticSteps()([x.sample(x.solution) for x in p]); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
