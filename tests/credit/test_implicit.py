"""Rewards from log-ratios, and advantages of responses that have rewards inside."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import (
    bounded_returns,
    group_advantage,
    implicit_rewards,
    min_form,
    outcome_process_advantage,
    process_advantage,
    returns_to_go,
    trajectory_advantage,
)
from plaudit.errors import DataError

NAN = float("nan")
step = st.tuples(st.one_of(st.floats(-1, 1).map(lambda x: round(x, 2)), st.just(NAN)), st.integers(1, 4))
response = st.tuples(st.lists(step, max_size=5), st.sampled_from([0.0, 1.0, NAN]), st.integers(0, 2))
batches = st.lists(response, max_size=9)


def split(batch):
    rewards = np.array([r for steps, _, _ in batch for r, _ in steps], float)
    tokens = np.array([n for steps, _, _ in batch for _, n in steps], int)
    offsets = np.concatenate([[0], np.cumsum([len(steps) for steps, _, _ in batch])]).astype(int)
    return rewards, offsets, np.array([o for _, o, _ in batch], float), np.array([g for _, _, g in batch], int), tokens


def literal_process(batch):
    a_token = []
    for steps, _, _ in batch:
        known = [(r, n) for r, n in steps if not math.isnan(r)]
        a_token.append(math.fsum(r for r, _ in known) / sum(n for _, n in known) if known else NAN)
    found = []
    for i, (steps, _, group) in enumerate(batch):
        others = [a_token[j] for j, (_, _, g) in enumerate(batch) if g == group and j != i and not math.isnan(a_token[j])]
        for k, (reward, _) in enumerate(steps):
            to_come = [r - n * statistics.fmean(others) for r, n in steps[k:] if not math.isnan(r)] if others else []
            found.append(NAN if math.isnan(reward) else math.fsum(to_come))
    return np.array(found)


@given(batches)
def test_process_advantages_equal_the_formula_read_literally(batch):
    rewards, offsets, _, groups, tokens = split(batch)
    np.testing.assert_allclose(process_advantage(rewards, offsets, groups, tokens)[0], literal_process(batch), atol=1e-9)


@given(batches)
def test_outcome_and_process_add(batch):
    rewards, offsets, outcomes, groups, _ = split(batch)
    found, report = outcome_process_advantage(rewards, offsets, outcomes, groups, whiten=False)
    of = np.repeat(np.arange(len(batch)), np.diff(offsets))
    within, _ = process_advantage(np.where(np.isnan(outcomes[of]), NAN, rewards), offsets, groups)
    outcome, expected = group_advantage(outcomes, groups, "leave_one_out")
    np.testing.assert_allclose(found, np.nan_to_num(within) + outcome[of], atol=1e-12)
    np.testing.assert_array_equal(report.flat, expected.flat)
    nothing, _ = outcome_process_advantage(np.zeros(len(rewards)), offsets, outcomes, groups, whiten=False)
    np.testing.assert_allclose(nothing, outcome[of], atol=1e-12)


@given(batches)
def test_whitened_advantages_have_mean_0_and_deviation_1(batch):
    rewards, offsets, outcomes, groups, _ = split(batch)
    found, _ = outcome_process_advantage(rewards, offsets, outcomes, groups)
    known = found[~np.isnan(found)]
    if known.size > 1 and known.std() > 1e-3:
        assert known.mean() == pytest.approx(0, abs=1e-9)
        assert known.std(ddof=1) == pytest.approx(1, abs=1e-4)
    elif known.size:
        assert np.isfinite(known).all()


@given(batches, st.floats(-2, 2))
def test_trajectory_advantages_add_episode_and_step(batch, alpha):
    rewards, offsets, outcomes, groups, _ = split(batch)
    found, _ = trajectory_advantage(rewards, offsets, outcomes, groups, alpha=alpha)
    of = np.repeat(np.arange(len(batch)), np.diff(offsets))
    episode = group_advantage(outcomes, groups)[0][of] if len(of) else np.zeros(0)
    own = group_advantage(np.where(np.isnan(outcomes[of]), NAN, rewards), groups[of])[0] if len(of) else np.zeros(0)
    np.testing.assert_allclose(found, episode + alpha * np.nan_to_num(own), atol=1e-9)
    np.testing.assert_array_equal(trajectory_advantage(rewards, offsets, outcomes, groups, alpha=0.0)[0], episode)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=1, max_size=12), st.floats(0.01, 2))
def test_steps_hold_the_sum_of_the_log_ratios_of_their_tokens(pairs, beta):
    model, reference = (np.array(column) for column in zip(*pairs, strict=True))
    tokens = implicit_rewards(model, reference, beta)
    np.testing.assert_allclose(tokens, beta * (model - reference), atol=1e-12)
    counts = [1, len(pairs) - 1] if len(pairs) > 1 else [1]
    steps = implicit_rewards(model, reference, beta, counts)
    np.testing.assert_allclose(steps, [tokens[:1].sum(), tokens[1:].sum()][: len(counts)], atol=1e-9)


@given(batches)
def test_bounded_returns_have_a_largest_of_one(batch):
    rewards, offsets, *_ = split(batch)
    found = bounded_returns(rewards, offsets)
    largest = np.nanmax(np.abs(returns_to_go(found, offsets)), initial=0.0)
    assert largest == pytest.approx(1.0) or not np.nan_to_num(rewards).any() or largest == 0
    assert np.array_equal(np.isnan(found), np.isnan(rewards))


def test_a_baseline_a_token_does_not_favour_one_giant_step():
    # The same text with the same score, cut in one step or in four: a baseline a step would tell them apart.
    whole, pieces, other = [0.8], [0.2] * 4, [0.1]
    rewards, offsets = np.array(whole + pieces + other), [0, 1, 5, 6]
    found, _ = process_advantage(rewards, offsets, ["a"] * 3, [40, 10, 10, 10, 10, 40])
    assert found[0] == pytest.approx(found[1])


def test_a_fatal_step_charges_what_comes_before_it_and_not_what_comes_after():
    scores, offsets = np.array([0.8, -0.9, 0.8, 0.8, 0.8, 0.8]), [0, 3, 6]
    found, _ = process_advantage(min_form(scores, offsets, 0.05), offsets, ["a", "a"])
    assert found[0] < 0
    assert found[1] < 0
    assert found[2] > found[1] + 0.5


def test_a_response_alone_in_its_group_learns_nothing():
    found, report = process_advantage([0.5, 0.5, 0.25], [0, 2, 3], ["a", "b"])
    assert found.tolist() == [0, 0, 0]
    assert report.flat.all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: implicit_rewards([1.0], [1.0, 2.0]), "one for each token"),
        (lambda: implicit_rewards([1.0], [1.0], step_tokens=[2]), "sums of step_tokens run from 0 to 2: expected 0 to 1"),
        (lambda: implicit_rewards([1.0], [float("inf")]), r"reference\[0\] is inf"),
        (lambda: process_advantage([1.0], [0, 1], ["a", "b"]), "groups"),
        (lambda: outcome_process_advantage([1.0], [0, 1], [1.0, 1.0], ["a"]), "one for each response"),
        (lambda: trajectory_advantage([1.0], [0, 1], [1.0], ["a"], alpha=NAN), "alpha is nan"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
