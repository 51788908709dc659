"""Rewards that look at the group: length, trust, Pareto fronts; whole groups only, and no sample that was not scored counts."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit import Context, Sample
from plaudit.compose import (
    LengthAware,
    LengthBand,
    NormalizedSum,
    ParetoFront,
    ResponseLength,
    Schedule,
    TrustedThinking,
    length_aware,
    length_band,
    pareto_front,
    thinking_trust,
)
from plaudit.errors import ContractError
from plaudit.reward import check_reward, from_spec, reward
from plaudit.verify import F1, Exact

batch = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.integers(0, 50), st.integers(0, 2)), min_size=1, max_size=12
)  # fmt: skip


def literal_length_aware(correct, lengths, groups, alpha, floor):
    out = []
    for c, n, g in zip(correct, lengths, groups, strict=True):
        scored = [k for k, other in enumerate(groups) if other == g and not np.isnan(correct[k])]
        right = [lengths[k] for k in scored if correct[k] >= 0.5]
        if np.isnan(c) or c < 0.5 or len(right) / len(scored) < floor:
            out.append(c)
            continue
        spread = np.std(right)
        out.append(c * (1 - alpha / (1 + exp(-((n - np.mean(right)) / spread if spread else 0.0)))))
    return out


@given(batch, st.floats(0, 1), st.sampled_from([0.25, 0.5, 0.9]))
def test_the_length_penalty_is_its_literal_definition(rows, alpha, floor):
    correct, lengths, groups = (list(column) for column in zip(*rows, strict=True))
    found = length_aware(correct, lengths, groups, alpha=alpha, min_accuracy=floor)
    assert found == pytest.approx(literal_length_aware(correct, lengths, groups, alpha, floor), nan_ok=True)


@given(batch, st.randoms())
def test_group_rewards_do_not_depend_on_the_order_of_the_samples(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    correct, lengths, groups = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    for function in (length_aware, length_band):
        whole = function(correct, lengths, groups)
        assert function(correct[order], lengths[order], groups[order]) == pytest.approx(whole[order], nan_ok=True)
    front = pareto_front(np.stack([correct, lengths], axis=1), groups)
    assert (pareto_front(np.stack([correct, lengths], axis=1)[order], groups[order]) == front[order]).all()


@given(batch, st.floats(0.05, 1))
def test_a_wrong_answer_never_gains_by_its_length_and_a_right_one_stays_above_every_wrong_one(rows, share):
    correct, lengths, groups = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    for found in (length_aware(correct, lengths, groups), length_aware(correct, lengths, groups, top_share=share)):
        assert (found[correct == 0] == 0).all()
        assert (found[correct == 1] >= 0.8 - 1e-9).all()


def test_the_penalty_is_off_where_accuracy_is_low_and_with_a_share_only_the_best_groups_are_pressed():
    correct, lengths = [1, 0, 0, 0, 1, 1, 1, 0], [90, 1, 1, 1, 90, 10, 10, 1]
    groups = ["low"] * 4 + ["high"] * 4
    found = length_aware(correct, lengths, groups)
    assert found[:4].tolist() == [1, 0, 0, 0]
    assert found[4] < found[5] < 1
    assert length_aware(correct, lengths, groups, top_share=0.5).tolist() == found.tolist()
    assert length_aware(correct, lengths, groups, top_share=0.4).tolist() == correct


def test_a_policy_that_is_still_weak_keeps_its_length_only_with_the_switch():
    # Accuracy rises with length up to an elbow; the policy follows the covariance of reward and length.
    def train(floor):
        generator, length = np.random.default_rng(0), 30.0
        for _ in range(300):
            drawn = np.maximum(length + 10 * generator.standard_normal((64, 8)), 1).ravel()
            right = (generator.random(drawn.size) < np.clip(0.15 + 0.7 * drawn / 200, 0, 0.85)).astype(float)
            rewards = length_aware(right, drawn, np.repeat(np.arange(64), 8), alpha=1.0, min_accuracy=floor)
            length = float(np.clip(length + 20 * np.cov(rewards, drawn)[0, 1] / drawn.std(), 5, 400))
        return length

    switched, always = train(0.75), train(0.0)
    assert always < 30 < switched


def test_the_band_costs_brevity_and_padding_alike_and_nothing_where_nobody_is_right():
    costs = length_band([1, 1, 0, 0], [90, 110, 10, 1000], ["a"] * 4)
    assert costs.tolist() == [0.0, 0.0, pytest.approx(-0.4), -1.0]
    assert length_band([0, 0], [1, 1000], ["a", "a"]).tolist() == [0.0, 0.0]


def test_trust_follows_whether_the_judge_likes_right_answers_better():
    right = [1, 1, 0, 0]
    assert thinking_trust([1, 1, 0, 0], right, ["a"] * 4).tolist() == [1.0] * 4
    assert thinking_trust([0, 0, 1, 1], right, ["a"] * 4) == pytest.approx([exp(-1)] * 4)
    assert thinking_trust([0, 1, 1, 1], [1, 1, 1, 1], ["a"] * 4).tolist() == [0.0] * 4


def test_thinking_fades_with_its_schedule(told, rows):
    both = TrustedThinking(told("c", 0, 1), told("t", 0, 1), weight=0.5, schedule=Schedule(steps=10))
    samples = rows({"c": [1, 0], "t": [1, 0.5]})
    assert [both.score(samples, Context(step=t)).values.tolist() for t in (0, 10)] == [[1.5, 0.25], [1.0, 0.0]]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=10))
def test_the_pareto_front_is_its_literal_definition_and_blind_to_scale(points):
    values = np.array(points, dtype=float)
    beaten = [any((other >= own).all() and (other > own).any() for other in values) for own in values]
    assert pareto_front(values).tolist() == [not b for b in beaten]
    assert (pareto_front(np.exp(values) * [1, 100, 0.01]) == pareto_front(values)).all()


def test_an_unscored_sample_is_neither_on_the_front_nor_does_it_beat_anybody(told, rows):
    front = ParetoFront({"a": told("a"), "b": told("b")})
    verdicts = front.score(rows({"a": [1.0, 9.0, 9.0, 0.0], "b": [1.0, None, "fail", 0.0]}))
    assert verdicts.status.tolist() == ["scored", "abstained", "failed", "scored"]
    assert verdicts.values[[0, 3]].tolist() == [1.0, 0.0]


GROUPED = [
    lambda t: LengthAware(t("c", 0, 1), t("n", 0, 99)),
    lambda t: LengthBand(t("c", 0, 1), t("n", 0, 99)),
    lambda t: TrustedThinking(t("c", 0, 1), t("n", 0, 99)),
    lambda t: NormalizedSum({"c": t("c"), "n": t("n")}),
    lambda t: ParetoFront({"c": t("c"), "n": t("n")}),
]


@pytest.mark.parametrize("make", GROUPED)
def test_an_incomplete_group_is_failed_and_the_others_are_not(make, told, rows):
    samples = rows({"c": [1, 0, 1, 0], "n": [1, 2, 3, 4]}, groups="aabb", sizes=[2, 2, 3, 3])
    verdicts = make(told).score(samples)
    assert verdicts.reason[2:] == ["group_incomplete"] * 2
    assert verdicts.status[:2].tolist() == ["scored"] * 2


@pytest.mark.parametrize("make", GROUPED)
def test_a_gate_around_a_group_reward_is_never_a_silent_value_of_a_smaller_group(make, told, rows):
    samples = rows({"c": [1, 0, 1], "n": [1, 2, 3], "gate": [1, 0, 1]})
    try:
        gated = told("gate", 0, 1).gate(make(told).clip(0, 9))
    except ContractError:
        return
    verdicts = gated.score(samples)
    assert verdicts.status.tolist() == ["failed", "scored", "failed"]
    assert "inside this combination" in (verdicts.explanation[0] or "")


@pytest.mark.parametrize("make", GROUPED)
def test_groups_of_one_equal_rewards_and_nothing_at_all_have_a_documented_result(make, told, rows):
    combined = make(told)
    assert combined.score([]).values.tolist() == []
    assert np.isfinite(combined(rows({"c": [1], "n": [5]}))).all()
    same = combined(rows({"c": [1, 1, 1], "n": [5, 5, 5]}))
    assert len(set(same.tolist())) == 1


def test_group_rewards_keep_the_contract_and_come_back_from_their_specs():
    for tree in (LengthAware(Exact(), ResponseLength("characters")), TrustedThinking(Exact(), F1())):
        assert from_spec(tree.to_yaml()).fingerprint == tree.fingerprint
        assert check_reward(tree, thorough=False).ok
    assert LengthAware(Exact(), ResponseLength("words"), top_share=0.2).facts.scope == "batch"


def test_a_group_reward_refuses_a_correctness_that_leaves_zero_to_one(told):
    for make in (
        lambda: LengthAware(told("c")),
        lambda: LengthAware(reward(lambda response: 1.0)),
        lambda: LengthAware(told("c", 0, 1), alpha=2),
    ):
        with pytest.raises(ContractError):
            make()


def test_groups_are_those_of_the_samples_even_when_prompts_agree(told):
    samples = [Sample("p", f"r{i}", group=g, meta={"a": a, "b": a}) for i, (g, a) in enumerate([("x", 1), ("x", 2), ("y", 0)])]
    assert ParetoFront({"a": told("a"), "b": told("b")})(samples).tolist() == [0.0, 1.0, 1.0]
