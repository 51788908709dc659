"""Advantages among the samples of a group: against a slow literal reading of each formula, and on hostile input."""

import math
import time
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import NORMALIZATIONS, group_advantage
from plaudit.errors import DataError

NAN = float("nan")
numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
maybe_scored = st.one_of(st.just(NAN), numbers, st.sampled_from([0.0, 1.0]))
batches = st.lists(st.tuples(maybe_scored, st.integers(0, 6)), max_size=40)
every_way = pytest.mark.parametrize("normalize", list(NORMALIZATIONS))


def literal(rewards, groups, normalize, epsilon=1e-6):
    """One sample after the other, as a person would."""
    scored = [r for r in rewards if not math.isnan(r)]
    whole = stdev(scored) if len(scored) > 1 else 0.0
    found = []
    for r, group in zip(rewards, groups, strict=True):
        mates = [x for x, g in zip(rewards, groups, strict=True) if g == group and not math.isnan(x)]
        if math.isnan(r):
            found.append(NAN)
        elif max(mates) == min(mates):
            found.append(0.0)
        elif normalize == "leave_one_out":
            found.append(r - (math.fsum(mates) - r) / (len(mates) - 1))
        else:
            below = {"std": stdev(mates) + epsilon, "mean": 1.0, "batch_std": whole + epsilon}[normalize]
            found.append((r - mean(mates)) / below)
    return np.array(found)


def split(batch):
    return np.array([r for r, _ in batch], dtype=float), np.array([g for _, g in batch], dtype=int)


@every_way
@given(batch=batches)
def test_equals_the_formula_read_literally(batch, normalize):
    rewards, groups = split(batch)
    found, _ = group_advantage(rewards, groups, normalize)
    np.testing.assert_allclose(found, literal(rewards.tolist(), groups.tolist(), normalize), rtol=1e-7, atol=1e-7)


@every_way
@given(batch=batches, seed=st.integers(0, 99))
def test_order_of_the_samples_does_not_count(batch, normalize, seed):
    rewards, groups = split(batch)
    order = np.random.default_rng(seed).permutation(len(rewards))
    straight, shuffled = (group_advantage(rewards[o], groups[o], normalize)[0] for o in (np.arange(len(order)), order))
    np.testing.assert_allclose(straight[order], shuffled, rtol=1e-9, atol=1e-7)


@every_way
@given(batch=batches)
def test_unscored_samples_change_nothing_for_the_others(batch, normalize):
    rewards, groups = split(batch)
    scored = ~np.isnan(rewards)
    found, _ = group_advantage(rewards, groups, normalize)
    alone, _ = group_advantage(rewards[scored], groups[scored], normalize)
    assert np.array_equal(np.isnan(found), ~scored)
    np.testing.assert_array_equal(found[scored], alone)


@every_way
@given(batch=batches)
def test_advantages_of_a_group_sum_to_nothing(batch, normalize):
    rewards, groups = split(batch)
    found, report = group_advantage(rewards, groups, normalize)
    totals = np.bincount(report.index, np.nan_to_num(found), minlength=len(report.size))
    scale = max(1.0, float(np.nanmax(np.abs(found), initial=0.0)))
    assert np.all(np.abs(totals) < 1e-7 * scale * 40)


@given(batch=batches, shift=numbers)
def test_a_constant_added_to_every_reward_changes_nothing(batch, shift):
    rewards, groups = split(batch)
    before, after = (group_advantage(np.round(r, 3), groups, "mean")[0] for r in (rewards, rewards + shift))
    np.testing.assert_allclose(before, after, atol=1e-6)


@given(batch=batches)
def test_groups_are_named_by_number_or_text_alike(batch):
    rewards, groups = split(batch)
    by_number, _ = group_advantage(rewards, groups)
    by_text, _ = group_advantage(rewards, [f"prompt {g}" for g in groups])
    far_apart, _ = group_advantage(rewards, groups * 10**12)
    np.testing.assert_array_equal(by_number, by_text)
    np.testing.assert_array_equal(by_number, far_apart)


@every_way
def test_a_group_without_variance_gives_exactly_nothing_although_its_mean_is_rounded(normalize):
    rewards = np.array([0.1] * 3 + [1.0, 0.0, 0.0])
    assert np.mean(rewards[:3]) != 0.1, "or this test shows nothing"
    found, report = group_advantage(rewards, [0, 0, 0, 1, 1, 1], normalize, epsilon=0.0)
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3] > 0 > found[4]
    assert report.flat.tolist() == [True, False]
    assert report.flat_share == 0.5
    assert report.flat_samples.tolist() == [True] * 3 + [False] * 3


@every_way
def test_groups_with_one_scored_sample_or_none(normalize):
    found, report = group_advantage([3.0, 7.0, NAN, NAN, NAN], ["a", "b", "b", "c", "c"], normalize)
    assert found[:2].tolist() == [0.0, 0.0]
    assert report.size.tolist() == [1, 2, 2]
    assert report.scored.tolist() == [1, 1, 0]
    assert report.flat.tolist() == [True, True, False], "a group of which nothing is known is not flat"
    assert report.flat_share == 1.0
    assert np.isnan(report.mean[2])


def test_standard_deviation_by_the_number_or_the_number_less_one():
    rewards, groups = [0.0, 0.0, 1.0, 1.0], [5, 5, 5, 5]
    assert group_advantage(rewards, groups, epsilon=0.0, ddof=0)[0].tolist() == [-1.0, -1.0, 1.0, 1.0]
    by_sample, report = group_advantage(rewards, groups, epsilon=0.0)
    assert report.std[0] == pytest.approx(stdev(rewards))
    assert by_sample[2] == pytest.approx(0.5 / stdev(rewards))


def test_no_samples():
    found, report = group_advantage([], [])
    assert found.shape == (0,)
    assert report.size.shape == (0,)
    assert math.isnan(report.flat_share)


def test_inputs_are_left_alone():
    rewards, groups = np.array([1.0, NAN, 0.0]), np.array([0, 0, 0])
    kept = rewards.copy(), groups.copy()
    group_advantage(rewards, groups)
    np.testing.assert_array_equal(rewards, kept[0])
    np.testing.assert_array_equal(groups, kept[1])


@pytest.mark.parametrize(
    ("rewards", "groups", "says"),
    [
        ([0.0, math.inf], [0, 0], r"rewards\[1\] is inf"),
        ([0.0, 0.0, -math.inf], [0, 0, 0], r"rewards\[2\] is -inf"),
        ([1e200, 0.0], [0, 0], r"rewards\[0\]"),
        ([0.0, 1.0], [0], "expected \\(n,\\) and \\(n,\\)"),
        ([[0.0], [1.0]], [0, 1], "shape \\(2, 1\\)"),
        (["good"], [0], "no numbers"),
        ([0.0, 1.0], [0.0, NAN], r"groups\[1\] is NaN"),
        ([0.0, 1.0], ["a", None], r"groups\[1\] is None"),
    ],
)
def test_hostile_input_is_refused_with_its_row(rewards, groups, says):
    with pytest.raises(DataError, match=says):
        group_advantage(rewards, groups)


def test_unknown_options_are_refused():
    with pytest.raises(DataError, match="leave_one_out"):
        group_advantage([0.0], [0], "median")
    with pytest.raises(DataError, match="ddof"):
        group_advantage([0.0], [0], ddof=2)
    with pytest.raises(DataError, match="epsilon"):
        group_advantage([0.0], [0], epsilon=NAN)


def test_is_far_faster_than_a_loop_over_groups():
    random = np.random.default_rng(0)
    n = 200_000
    rewards, groups = random.random(n), np.repeat(np.arange(n // 8), 8)[random.permutation(n)]
    vectorised = min(timed(group_advantage, rewards, groups) for _ in range(3))
    loop = timed(by_group, rewards, groups)
    np.testing.assert_allclose(group_advantage(rewards, groups)[0], by_group(rewards, groups), rtol=1e-7, atol=1e-9)
    assert loop / vectorised > 4, "more than 10 on a quiet machine"


def by_group(rewards, groups):
    """Plain Python: lists by group, then their statistics."""
    members = {}
    for k, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(k)
    found = [0.0] * len(rewards)
    values = rewards.tolist()
    for rows in members.values():
        mates = [values[k] for k in rows]
        middle = sum(mates) / len(mates)
        spread = (sum((x - middle) ** 2 for x in mates) / (len(mates) - 1)) ** 0.5
        for k in rows:
            found[k] = (values[k] - middle) / (spread + 1e-6)
    return found


def timed(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin
