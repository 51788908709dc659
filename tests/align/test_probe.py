"""Reward accuracy beside policy gain: the measures against literal readings, and the whole probe on known rewards."""

import math

import numpy as np
import pytest
from align.rewards import Constant, Shorter
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.align import (
    GainProbe,
    GrpoConfig,
    ProbedReward,
    answer_problems,
    evaluate_policy,
    gold_of_best,
    pair_accuracy,
    policy_gain_probe,
    quadratic_fit,
)
from plaudit.errors import DataError
from plaudit.reward import reward
from plaudit.types import Sample
from plaudit.worlds import ArithmeticAnswer, arithmetic_problems

some = st.sampled_from([0.0, 0.5, 1.0])
tables = st.integers(1, 5).flatmap(lambda n: st.tuples(*(arrays(float, (3, n), elements=some) for _ in range(2))))


@given(tables)
def test_accuracy_equals_counting_the_pairs(pair):
    values, truth = pair
    right, pairs = 0.0, 0
    for v, t in zip(values.tolist(), truth.tolist(), strict=True):
        for i in range(len(v)):
            for j in range(len(v)):
                if t[i] > t[j]:
                    pairs += 1
                    right += 1.0 if v[i] > v[j] else 0.5 if v[i] == v[j] else 0.0
    found = pair_accuracy(values, truth)
    assert found == pytest.approx(right / pairs) if pairs else math.isnan(found)


@given(tables)
def test_the_best_by_gold_is_the_best_and_a_constant_picks_blindly(pair):
    _, truth = pair
    assert gold_of_best(truth, truth).tolist() == truth.max(axis=1).tolist()
    np.testing.assert_allclose(gold_of_best(np.zeros_like(truth), truth), truth.mean(axis=1))
    assert np.all(gold_of_best(-truth, truth) == truth.min(axis=1))


def test_an_answer_that_is_not_scored_is_never_picked_and_never_above():
    values, truth = [[np.nan, -5.0]], [[1.0, 0.0]]
    assert gold_of_best(values, truth).tolist() == [0.0]
    assert pair_accuracy(values, truth) == 0.0


def test_the_parabola_is_found_again():
    accuracy = np.linspace(0.5, 0.95, 8)
    fit = quadratic_fit(accuracy, -2 * (accuracy - 0.8) ** 2 + 0.1)
    assert fit.coefficients == pytest.approx((-2, 3.2, 0.1 - 2 * 0.64))
    assert fit.argmax == pytest.approx(0.8)
    assert fit.turns_down
    rising = quadratic_fit(accuracy, accuracy)
    assert rising.argmax == pytest.approx(0.95)
    assert not rising.turns_down
    assert math.isnan(quadratic_fit([0.5, 0.5, 0.9], [0.0, 0.1, 0.2]).argmax)


def test_rank_correlation_leaves_out_rewards_that_were_not_trained_on():
    rows = [ProbedReward(str(k), k / 10, gain, trained, 1.0, 0.0, math.nan)
            for k, (gain, trained) in enumerate([(0.0, 0.3), (0.1, math.nan), (0.2, 0.1)])]  # fmt: skip
    probe = GainProbe(tuple(rows), 0.4, 0.8)
    assert probe.rank_correlation() == pytest.approx(1.0)
    assert probe.rank_correlation("policy_gain") == pytest.approx(-1.0)
    assert math.isnan(GainProbe(tuple(rows[:1]), 0.4, 0.8).rank_correlation())


def test_the_probe_tells_gold_from_its_opposite_and_from_nothing(shipped):
    problems = arithmetic_problems(40, split="evaluation")
    opposite = reward(lambda prompt, response: 1 - ArithmeticAnswer().one(prompt, response).value, range=(0, 1)).named("opposite")
    rewards = {"gold": ArithmeticAnswer(), "opposite": opposite, "constant": Constant()}
    probe = policy_gain_probe(shipped, problems, rewards, ArithmeticAnswer(), n=4, max_tokens=60)
    by_name = {row.name: row for row in probe.rows}
    assert [row.name for row in probe.rows] == ["opposite", "constant", "gold"]
    assert [row.accuracy for row in probe.rows] == [0.0, 0.5, 1.0]
    assert by_name["gold"].best_of_n == pytest.approx(probe.ceiling - probe.baseline)
    assert by_name["constant"].best_of_n == pytest.approx(0.0)
    assert by_name["opposite"].best_of_n < 0
    assert by_name["constant"].flat_groups == 1.0
    assert by_name["constant"].group_std == 0.0
    assert probe.rank_correlation() == pytest.approx(1.0)
    assert all(math.isnan(row.policy_gain) for row in probe.rows)


def test_the_probe_trains_copies_on_the_rewards_that_are_asked_for(small, problems):
    before = {name: tensor.clone() for name, tensor in small.model.state_dict().items()}
    config = GrpoConfig(steps=8, prompts_per_step=6, group_size=4, learning_rate=1e-3, max_tokens=16, kl_every=1)
    probe = policy_gain_probe(
        small, problems[:16], {"short": Shorter(), "constant": Constant()}, Shorter(), n=2, max_tokens=16,
        config=config, training_problems=problems, trained=["short"],
    )  # fmt: skip
    by_name = {row.name: row for row in probe.rows}
    assert by_name["short"].policy_gain > 0, "the gold here is what was trained on"
    assert by_name["short"].kl > 0
    assert math.isnan(by_name["constant"].policy_gain)
    assert all((before[name] == tensor).all() for name, tensor in small.model.state_dict().items())


def test_gold_must_know_and_trainings_need_problems(shipped, problems):
    with pytest.raises(DataError, match="8 of 8 answers unscored"):
        policy_gain_probe(shipped, [Sample("2+2\n", "")] * 2, {}, ArithmeticAnswer(), n=2, max_tokens=4)
    with pytest.raises(DataError, match="training_problems"):
        policy_gain_probe(shipped, problems, {}, ArithmeticAnswer(), config=GrpoConfig())


def test_evaluation_counts_what_is_not_scored_apart(shipped):
    rows = [Sample("1+1=?\n", ""), Sample("2\n", "")]
    found = evaluate_policy(shipped, rows, ArithmeticAnswer(), 2, max_tokens=20)
    assert found.unscored == 0.5
    assert np.isnan(found.by_problem).tolist() == [False, True]
    assert found.mean == found.by_problem[0]
    nothing = evaluate_policy(shipped, rows[1:], ArithmeticAnswer(), 2, max_tokens=5)
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.interval[0])


def test_the_same_seed_gives_two_policies_the_same_random_numbers(shipped):
    rows = [Sample("37*14-25*3+8=?\n", "")]
    first, again, other = (answer_problems(shipped, rows, 3, seed=seed, max_tokens=60) for seed in (1, 1, 2))
    assert [s.response for s in first] == [s.response for s in again]
    assert [s.tokens.tolist() for s in first] != [s.tokens.tolist() for s in other]
