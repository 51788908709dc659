"""One reward over many tokens: sums are kept, and the best policy is left as it is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import decompose_return, redistribute_by_attention, redistribute_by_prefix, returns_to_go
from plaudit.errors import DataError

NAN = float("nan")
weights = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))
rows = st.lists(st.tuples(st.lists(weights, min_size=1, max_size=6), st.floats(-5, 5)), min_size=1, max_size=5)
shares = st.sampled_from([0.0, 0.3, 0.8, 1.0])


def split(batch):
    values = np.array([x for row, _ in batch for x in row], float)
    return values, np.concatenate([[0], np.cumsum([len(row) for row, _ in batch])]).astype(int), np.array([r for _, r in batch])


@given(rows, shares)
def test_attention_spreads_the_reward_and_no_more(batch, share):
    attention, offsets, rewards = split(batch)
    found = redistribute_by_attention(attention, offsets, rewards, share)
    np.testing.assert_allclose(np.add.reduceat(found, offsets[:-1]), rewards, atol=1e-9)
    for (row, reward), a, b in zip(batch, offsets[:-1], offsets[1:], strict=True):
        total = sum(row)
        wanted = [share * reward * (x / total if total else 1 / len(row)) for x in row]
        wanted[-1] += (1 - share) * reward
        np.testing.assert_allclose(found[a:b], wanted, atol=1e-9)


@given(rows, shares)
def test_spreading_by_attention_is_shaping_by_the_attention_so_far(batch, share):
    attention, offsets, rewards = split(batch)
    found = redistribute_by_attention(attention, offsets, rewards, share)
    terminal = np.zeros(len(attention))
    terminal[offsets[1:] - 1] = rewards
    moved = returns_to_go(found, offsets) - returns_to_go(terminal, offsets)
    for (row, reward), a, b in zip(batch, offsets[:-1], offsets[1:], strict=True):
        part = np.array(row) / sum(row) if sum(row) else np.full(len(row), 1 / len(row))
        potential = share * reward * np.concatenate([[0.0], np.cumsum(part)[:-1]])
        np.testing.assert_allclose(moved[a:b], -potential, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-305, 1e-90, 1.0, 1e90])
def test_the_unit_of_the_attention_does_not_count(scale):
    np.testing.assert_allclose(redistribute_by_attention(np.array([1.0, 3.0]) * scale, [0, 2], [4.0], 1.0), [1.0, 3.0])


def test_rewards_that_are_not_scored_leave_their_tokens_alone():
    found = redistribute_by_attention([1.0, 1.0, 2.0], [0, 2, 3], [NAN, 3.0])
    assert np.isnan(found[:2]).all()
    assert found[2] == 3.0
    found = redistribute_by_prefix([1.0, 1.0, 2.0], [0, 2, 3], [NAN, 0.0], 0.5)
    assert np.isnan(found[:2]).all()
    assert found[2] == 2.0


@given(rows, shares)
def test_prefix_changes_telescope(batch, share):
    scores, offsets, before = split(batch)
    found = redistribute_by_prefix(scores, offsets, before, share)
    np.testing.assert_allclose(np.add.reduceat(found, offsets[:-1]), scores[offsets[1:] - 1] - before, atol=1e-9)
    dense = redistribute_by_prefix(scores, offsets, before)
    wanted = np.concatenate([np.diff([start, *row]) for row, start in batch])
    np.testing.assert_allclose(dense, wanted, atol=1e-9)


def test_a_prefix_without_score_hands_its_change_to_the_next():
    np.testing.assert_array_equal(redistribute_by_prefix([0.25, NAN, 1.0], [0, 3], [0.0]), [0.25, NAN, 0.75])


def test_redistribution_leaves_the_best_answer_of_a_small_language_as_it_is():
    # All texts of four letters over two, any reward of the whole, any forecast: the total orders them as the reward does.
    rng = np.random.default_rng(0)
    texts = list(itertools.product([0, 1], repeat=4))
    forecast = {text[:t]: rng.normal() for text in texts for t in range(5)}
    final = np.array([forecast[text] for text in texts])
    scores = np.array([forecast[text[: t + 1]] for text in texts for t in range(4)])
    for share in (0.0, 0.5, 1.0):
        found = redistribute_by_prefix(scores, np.arange(0, 65, 4), np.full(16, forecast[()]), share).reshape(16, 4)
        # Backward induction over the tree of prefixes, exact.
        best = dict(zip(texts, found.sum(axis=1), strict=True))
        assert max(best, key=best.__getitem__) == texts[int(final.argmax())]


@given(st.integers(0, 50), st.sampled_from([0.0, 1e-3, 1.0]))
def test_decomposition_is_the_ridge_regression_of_returns_on_summed_factors(seed, ridge):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, 12)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    factors, returns = rng.normal(size=(offsets[-1], 3)), rng.normal(size=12)
    rewards, found = decompose_return(factors, offsets, returns, ridge=ridge)
    sums = np.add.reduceat(factors, offsets[:-1], axis=0)
    wanted = np.linalg.solve(sums.T @ sums / 12 + ridge * np.eye(3), sums.T @ returns / 12)
    np.testing.assert_allclose(found, wanted, atol=1e-8)
    np.testing.assert_allclose(rewards, factors @ wanted, atol=1e-8)
    exact, _ = decompose_return(factors, offsets, returns, ridge=ridge, exact=True)
    np.testing.assert_allclose(np.add.reduceat(exact, offsets[:-1]), returns, atol=1e-8)


def test_a_few_factors_find_the_true_rewards_among_distractors():
    rng = np.random.default_rng(0)
    steps, true = rng.normal(size=(100 * 12, 3)), np.array([1.0, -0.5, 0.25])
    offsets, rewards = np.arange(0, 1201, 12), steps @ true
    returns = np.add.reduceat(rewards, offsets[:-1])

    def rank_correlation(factors):
        found, _ = decompose_return(factors, offsets, returns)
        return np.corrcoef(found.argsort().argsort(), rewards.argsort().argsort())[0, 1]

    assert rank_correlation(steps) > 0.99
    assert rank_correlation(rng.normal(size=(1200, 3))) < 0.5  # factors that have nothing to do with the task


def test_unscored_returns_are_left_out_of_the_fit():
    factors, offsets = np.eye(3), [0, 1, 2, 3]
    rewards, _weights = decompose_return(factors, offsets, [1.0, NAN, 2.0], ridge=0)
    np.testing.assert_allclose(rewards, [1.0, 0.0, 2.0], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: redistribute_by_attention([1.0, -1.0], [0, 2], [1.0]), r"attention\[1\] is -1"),
        (lambda: redistribute_by_attention([1.0, NAN], [0, 2], [1.0]), r"attention\[1\] is nan"),
        (lambda: redistribute_by_attention([], [0, 0], [1.0]), "row 0 has no token"),
        (lambda: redistribute_by_attention([1.0], [0, 1], [1.0], 1.5), "share is 1.5"),
        (lambda: redistribute_by_prefix([1.0], [0, 1], [1.0, 2.0]), "one for each response"),
        (lambda: redistribute_by_prefix([1.0], [0, 1], [float("inf")]), r"before\[0\] is inf"),
        (lambda: decompose_return([[1.0], [NAN]], [0, 2], [1.0]), r"factors\[1\]"),
        (lambda: decompose_return([1.0], [0, 1], [1.0]), "factors have shape"),
        (lambda: decompose_return([[1.0]], [0, 1], [NAN]), "no return"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
