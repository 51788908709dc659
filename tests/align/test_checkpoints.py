"""A training that is killed, interrupted or resumed ends as one that was left alone."""

import copy
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from align.killed_training import CONFIG as KILLED
from align.rewards import AgainstTheMean, OutOfOrder, Shorter

from plaudit.align import GrpoConfig, grpo
from plaudit.align._checkpoint import TrainingFolder
from plaudit.errors import RunError, TooManyFailures
from plaudit.worlds import ArithmeticAnswer, Policy, arithmetic_problems, load_policy

CONFIG = GrpoConfig(
    steps=5, prompts_per_step=6, group_size=4, max_tokens=16, checkpoint_every=2, minibatches=2, epochs=2, kl_every=2
)


def fresh(policy):
    return Policy(copy.deepcopy(policy.model), policy.tokenizer)


def weights(training):
    return {name: tensor.clone() for name, tensor in training.policy.model.state_dict().items()}


def told(training):
    """The history without what a clock said."""
    return [{name: x for name, x in row.items() if not name.startswith("seconds")} for row in training.history]


def assert_equal(resumed, undisturbed):
    a, b = weights(resumed), weights(undisturbed)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert told(resumed) == told(undisturbed)


@pytest.fixture
def listens_to_ctrl_c():
    """A process that was started in the background may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stop(Exception):
    pass


def at_step(number, what):
    def progress(row):
        if row["step"] == number:
            what()

    return progress


def crash():
    raise Stop


def test_a_killed_process_goes_on_bit_by_bit_as_if_nothing_had_been(small, tmp_path):
    script = Path(__file__).with_name("killed_training.py")
    ended = subprocess.run([sys.executable, script, tmp_path / "run"], capture_output=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert [step for step, _ in TrainingFolder(tmp_path / "run").checkpoints()] == [1, 2]
    problems = arithmetic_problems(64, seed=3)
    resumed = grpo(fresh(small), problems, Shorter(), KILLED, folder=tmp_path / "run", resume=True)
    assert_equal(resumed, grpo(fresh(small), problems, Shorter(), KILLED))
    assert resumed.steps == 5


def test_a_stateful_reward_goes_on_from_what_it_had_learned(small, problems, tmp_path):
    with pytest.raises(Stop):
        grpo(fresh(small), problems, AgainstTheMean(), CONFIG, folder=tmp_path, progress=at_step(4, crash))
    resumed = grpo(fresh(small), problems, AgainstTheMean(), CONFIG, folder=tmp_path, resume=True)
    assert_equal(resumed, grpo(fresh(small), problems, AgainstTheMean(), CONFIG))


def test_ctrl_c_keeps_the_step_that_is_under_way(small, problems, tmp_path, listens_to_ctrl_c):
    press = at_step(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    config = replace(CONFIG, checkpoint_every=None)
    stopped = grpo(fresh(small), problems, Shorter(), config, folder=tmp_path, progress=press)
    assert stopped.interrupted
    assert stopped.steps == 3
    assert [step for step, _ in TrainingFolder(tmp_path).checkpoints()] == [3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = grpo(fresh(small), problems, Shorter(), config, folder=tmp_path, resume=True)
    assert_equal(resumed, grpo(fresh(small), problems, Shorter(), config))


def test_a_second_ctrl_c_ends_at_once(small, problems, listens_to_ctrl_c):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        grpo(fresh(small), problems, Shorter(), CONFIG, progress=at_step(1, twice))


def test_a_finished_training_resumes_to_itself(small, problems, tmp_path):
    first = grpo(fresh(small), problems, Shorter(), CONFIG, folder=tmp_path)
    again = grpo(fresh(small), problems, Shorter(), CONFIG, folder=tmp_path, resume=True)
    assert_equal(again, first)


def test_too_many_failures_keep_what_was_learned_before(small, problems, tmp_path):
    config = replace(CONFIG, checkpoint_every=None, failure_window=1)
    with pytest.raises(TooManyFailures):
        grpo(fresh(small), problems, OutOfOrder(failed_steps=(3,)), config, folder=tmp_path)
    assert [step for step, _ in TrainingFolder(tmp_path).checkpoints()] == [3]


def test_a_checkpoint_is_a_folder_that_loads_like_any_model(small, problems, tmp_path):
    training = grpo(fresh(small), problems, Shorter(), replace(CONFIG, steps=2), folder=tmp_path)
    loaded = load_policy(tmp_path / "checkpoint-000002")
    trained = weights(training)
    assert all(torch.equal(tensor, trained[name]) for name, tensor in loaded.model.state_dict().items())
    assert loaded.sample(["1+1=?\n"], temperature=0.0)[0][0].text


def test_only_the_newest_checkpoints_stay_and_every_step_is_in_the_history(small, problems, tmp_path):
    grpo(fresh(small), problems, Shorter(), replace(CONFIG, checkpoint_every=1, keep_checkpoints=2), folder=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-000004", "checkpoint-000005"]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert not list(tmp_path.glob(".*partial"))


def test_a_half_written_line_and_a_half_written_checkpoint_do_no_harm(small, problems, tmp_path):
    with pytest.raises(Stop):
        grpo(fresh(small), problems, Shorter(), CONFIG, folder=tmp_path, progress=at_step(3, crash))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "rewa')
    half = tmp_path / ".checkpoint-000004.99.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    resumed = grpo(fresh(small), problems, Shorter(), CONFIG, folder=tmp_path, resume=True)
    assert_equal(resumed, grpo(fresh(small), problems, Shorter(), CONFIG))
    assert not half.exists()


def test_a_folder_of_something_else_is_refused(small, problems, tmp_path):
    config = replace(CONFIG, steps=1)
    grpo(fresh(small), problems, Shorter(), config, folder=tmp_path / "run")
    with pytest.raises(RunError, match="resume=True"):
        grpo(fresh(small), problems, Shorter(), config, folder=tmp_path / "run")
    with pytest.raises(RunError, match="config was"):
        grpo(fresh(small), problems, Shorter(), replace(config, seed=1), folder=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="reward was"):
        grpo(fresh(small), problems, ArithmeticAnswer(), config, folder=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="problems was"):
        grpo(fresh(small), problems[1:], Shorter(), config, folder=tmp_path / "run", resume=True)
    other = fresh(small)
    with torch.no_grad():
        other.model.lm_head.weight[0, 0] += 1
    with pytest.raises(RunError, match="weights was"):
        grpo(other, problems, Shorter(), config, folder=tmp_path / "run", resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"thesis\.txt"):
        grpo(fresh(small), problems, Shorter(), config, folder=tmp_path / "mine")


def test_two_trainings_do_not_share_a_folder(small, problems, tmp_path):
    def other():
        with pytest.raises(RunError, match="being written"):
            grpo(fresh(small), problems, Shorter(), CONFIG, folder=tmp_path, resume=True)

    grpo(fresh(small), problems, Shorter(), replace(CONFIG, steps=1), folder=tmp_path, progress=at_step(1, other))
