"""Values of prefixes: against counting prefixes by hand, and the identities that tie them to GRPO."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import group_advantage, prefix_values, tree_advantage
from plaudit.errors import DataError

NAN = float("nan")
rollout = st.tuples(st.lists(st.integers(0, 2), max_size=7), st.sampled_from([0.0, 1.0, 0.25, NAN]), st.integers(0, 2))
batches = st.lists(rollout, max_size=12)


def split(batch):
    tokens = np.array([t for row, _, _ in batch for t in row], int)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row, _, _ in batch])]).astype(int)
    return tokens, offsets, np.array([r for _, r, _ in batch], float), np.array([g for _, _, g in batch], int)


def literal(batch):
    found = []
    for row, _, group in batch:
        for t in range(len(row)):
            same = [r for other, r, g in batch if g == group and other[: t + 1] == row[: t + 1] and not math.isnan(r)]
            found.append(statistics.fmean(same) if same else NAN)
    return np.array(found)


@given(batches)
def test_values_equal_the_mean_over_responses_that_begin_alike(batch):
    found, report = prefix_values(*split(batch))
    np.testing.assert_allclose(found, literal(batch), atol=1e-12)
    np.testing.assert_array_equal(report.size, np.unique([g for _, _, g in batch], return_counts=True)[1])


@given(st.integers(0, 30))
def test_values_of_long_responses_with_deep_forks(seed):
    rng = np.random.default_rng(seed)
    trunk = rng.integers(0, 50_000, 120).tolist()
    batch = []
    for _ in range(9):
        keep = int(rng.choice([0, 7, 8, 9, 40, 119, 120]))
        batch.append(([*trunk[:keep], *rng.integers(0, 2**32, 5).tolist()], float(rng.integers(0, 2)), 0))
    np.testing.assert_allclose(prefix_values(*split(batch))[0], literal(batch), atol=1e-12)


@given(batches)
def test_jumps_add_up_to_the_value_of_the_whole_minus_the_mean(batch):
    tokens, offsets, rewards, groups = split(batch)
    values, report = prefix_values(tokens, offsets, rewards, groups)
    advantages, _ = tree_advantage(tokens, offsets, rewards, groups, epsilon=0.0)
    for i, (a, b) in enumerate(itertools.pairwise(offsets)):
        group = report.index[i]
        if a == b or math.isnan(rewards[i]):
            assert np.isnan(advantages[a:b]).all()
        elif report.flat[group]:
            assert (advantages[a:b] == 0).all()
        else:
            jumps = advantages[a:b] * report.std[group] - (rewards[i] - report.mean[group])
            assert jumps.sum() == pytest.approx(values[b - 1] - report.mean[group], abs=1e-6)


@given(st.integers(0, 99))
def test_without_shared_tokens_only_the_first_differs_from_grpo(seed):
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 2, 6).astype(float)
    tokens = np.concatenate([[10 + i, *rng.integers(0, 3, 4)] for i in range(6)])
    offsets, groups = np.arange(0, 31, 5), np.zeros(6, int)
    found, _ = tree_advantage(tokens, offsets, rewards, groups)
    grpo, _ = group_advantage(rewards, groups)
    np.testing.assert_allclose(found.reshape(6, 5)[:, 1:], np.repeat(grpo[:, None], 4, axis=1), atol=1e-9)


def test_a_single_decisive_token_stands_out():
    rng = np.random.default_rng(1)
    size, length, decisive = 32, 12, 5
    tokens = np.zeros((size, length), int)
    tokens[:, decisive] = rng.integers(0, 2, size)
    tokens[:, decisive + 1 :] = rng.integers(0, 50, (size, length - decisive - 1))
    rewards = tokens[:, decisive].astype(float)
    found, _ = tree_advantage(tokens.ravel(), np.arange(0, size * length + 1, length), rewards, np.zeros(size, int))
    assert (np.abs(found.reshape(size, length)).mean(axis=0).argmax()) == decisive


def test_the_order_of_responses_does_not_count():
    tokens, offsets, rewards, groups = split([([1, 2], 1.0, 0), ([1, 3], 0.0, 0), ([1, 2, 4], 0.0, 0), ([1, 2], 1.0, 1)])
    forward = prefix_values(tokens, offsets, rewards, groups)[0]
    order = [2, 0, 3, 1]
    pieces = [tokens[offsets[i] : offsets[i + 1]] for i in order]
    other = prefix_values(np.concatenate(pieces), np.cumsum([0, *map(len, pieces)]), rewards[order], groups[order])[0]
    wanted = np.concatenate([forward[offsets[i] : offsets[i + 1]] for i in order])
    np.testing.assert_array_equal(other, wanted)


@pytest.mark.parametrize(
    ("tokens", "offsets", "rewards", "said"),
    [
        ([1, -2], [0, 2], [1.0], r"tokens\[1\] \(row 0\) is -2"),
        ([1.5, 2.0], [0, 2], [1.0], "integers"),
        ([1, 2], [0, 1], [1.0], "run from 0 to 1"),
        ([1, 2], [0, 2], [1.0, 0.0], "one for each response"),
        ([1, 2], [0, 2], [float("inf")], r"rewards\[0\] is inf"),
    ],
)
def test_bad_input_is_named(tokens, offsets, rewards, said):
    with pytest.raises(DataError, match=said):
        prefix_values(tokens, offsets, rewards, ["a"] * len(rewards))


def test_groups_of_another_length_are_refused():
    with pytest.raises(DataError, match="groups"):
        prefix_values([1, 2], [0, 2], [1.0], ["a", "b"])


def test_nothing_gives_nothing():
    assert tree_advantage([], [0], [], [])[0].shape == (0,)
    assert tree_advantage([], [0, 0], [1.0], ["a"])[0].shape == (0,)
