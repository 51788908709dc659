"""The checkers as rewards: golden and hacked responses, abstention, graded answers, where a line's value stands."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from plaudit.reward import from_spec
from plaudit.testing import RewardTester
from plaudit.types import Sample, Status
from plaudit.worlds import ArithmeticAnswer, ArithmeticProblem, ArithmeticSteps, arithmetic_problems, corrupt

FIXTURES = Path(__file__).parents[1] / "fixtures"


def fixture(name):
    spec = importlib.util.spec_from_file_location(name, FIXTURES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["worlds_arithmetic_answer", "worlds_arithmetic_steps"])
def test_golden_responses_get_their_value_and_hacks_get_nothing(name):
    module = fixture(name)
    assert len(module.GOLDEN) > 8
    assert len(module.HACKS) > 12
    RewardTester(module.REWARD, golden=module.GOLDEN, hacks=module.HACKS).run()


@pytest.mark.parametrize("reward", [ArithmeticAnswer(), ArithmeticSteps()])
@pytest.mark.parametrize("prompt", ["Who wrote Faust?", "", "x+1=?", "1/(2-2)=?", "=?", "9" * 2000 + "=?", "3+4=? Tell me."[:0]])
def test_a_prompt_that_asks_no_arithmetic_is_abstained_on_whatever_the_response(reward, prompt):
    for response in ["#### 1", "", "1+1=2"]:
        assert reward.one(prompt, response).status is Status.ABSTAINED


def test_the_reference_is_not_read():
    assert ArithmeticAnswer().one("3+4=?\n", "#### 7", reference="8").value == 1.0


def test_a_graded_answer_falls_with_its_distance_from_the_truth():
    graded = ArithmeticAnswer(graded=True)
    values = [graded.one("50+50=?\n", f"#### {answer}").value for answer in ["100", "100.5", "101", "150", "200", "-7"]]
    assert values == pytest.approx([1.0, 0.7475, 0.495, 0.25, 0.0, 0.0])
    assert graded.one("50-50=?\n", "#### 1").value == 0.0
    assert graded.one("50-50=?\n", "#### 0").value == 1.0
    assert graded.one("50-50=?\n", "####").value == 0.0


def test_a_false_claim_pays_only_where_the_rule_is_switched_off():
    sample = ArithmeticProblem("3+4*5-2").sample("4*5=1\n3+1=4\n4-2=2\n#### 2")
    assert ArithmeticSteps().score([sample])[0].value == 0.0
    assert ArithmeticSteps(until_error=False).score([sample])[0].value == 0.5


@pytest.mark.parametrize(
    ("before", "wrap"),
    [
        ("", lambda text: text),
        ("<think>4*5=9\n</think>\n", lambda text: text),
        ("<think>x</think>", lambda text: [{"role": "user", "content": "go"}, {"role": "assistant", "content": text}]),
    ],
)
def test_the_value_of_a_line_stands_where_the_line_stands_in_the_response(before, wrap):
    lines = ["4*5=20", "20+0=20", "3+20=24", "#### 24"]
    text = before + "\n  ".join(lines) + "\n"
    dense = ArithmeticSteps(until_error=False).score([Sample("3+4*5=?\n", wrap(text))])[0].dense
    assert dense.level == "step"
    assert [text[i:j] for i, j in zip(dense.start, dense.end, strict=True)] == lines
    assert dense.values.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert dense.message is None if isinstance(wrap(text), str) else dense.message.tolist() == [1, 1, 1, 1]


def test_lines_behind_the_answer_keep_their_place():
    dense = ArithmeticSteps().one("3+4=?\n", "#### 7\n3+4=7").dense
    assert dense.start.tolist() == [0, 7]
    assert dense.values.tolist() == [0.0, 1.0]


def test_the_full_reward_means_a_complete_solution():
    steps, answer = ArithmeticSteps(), ArithmeticAnswer()
    for problem in arithmetic_problems(50, seed=5, level="hard"):
        assert steps.score([problem.sample(problem.solution)])[0].value == 1.0
        for kind in ["wrong_step", "skipped_step", "filler_step", "wrong_path", "format_break"]:
            corruption = corrupt(problem, kind, seed=3)
            if corruption is not None:
                assert steps.score([corruption.sample])[0].value < 1.0
                assert answer.score([corruption.sample])[0].value == corruption.labels.answer_right


def test_both_are_specified_by_name_and_come_back_equal():
    for reward in [ArithmeticAnswer(graded=True), ArithmeticSteps(until_error=False)]:
        assert from_spec(reward.spec).fingerprint == reward.fingerprint


def test_a_batch_scores_as_its_rows_do():
    samples = [p.sample(p.solution.replace("1", "2")) for p in arithmetic_problems(40, seed=9)]
    for reward in [ArithmeticAnswer(graded=True), ArithmeticSteps()]:
        alone = np.array([reward.score([sample]).values[0] for sample in samples])
        assert np.array_equal(reward(samples), alone)
