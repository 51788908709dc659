"""Advantages from comparisons, on judges whose order, noise and bias are known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import bootstrapped_advantage, group_advantage, win_rate_advantage, win_rates
from plaudit.errors import DataError

NAN = float("nan")
comparison = st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0, 0.75, NAN])).filter(
    lambda c: c[0] != c[1]
)


def round_robin(judge, size, groups=1):
    """All pairs inside each of the groups, and what the judge says of them."""
    pairs = [(g * size + i, g * size + j) for g in range(groups) for i, j in itertools.combinations(range(size), 2)]
    return [a for a, _ in pairs], [b for _, b in pairs], [judge(a, b) for a, b in pairs]


@given(st.lists(comparison, max_size=20))
def test_win_rates_equal_counting(batch):
    found, compared = win_rates([a for a, _, _ in batch], [b for _, b, _ in batch], [p for *_, p in batch], 6)
    for i in range(6):
        own = [p if a == i else 1 - p for a, b, p in batch if i in (a, b) and not math.isnan(p)]
        assert compared[i] == len(own)
        assert found[i] == pytest.approx(sum(own) / len(own)) if own else math.isnan(found[i])


@pytest.mark.parametrize("size", [2, 3, 8, 24])
def test_a_full_order_has_the_spread_of_the_card_and_rises_with_quality(size):
    args = round_robin(lambda a, b: float(a < b), size)
    rates, _ = win_rates(*args, size)
    assert rates.std() == pytest.approx(math.sqrt((size + 1) / (12 * (size - 1))))
    found, _ = win_rate_advantage(*args, ["a"] * size)
    assert (np.diff(found) < 0).all()


def test_tiny_gaps_are_blown_up_by_scores_and_not_by_a_judge_who_says_tie():
    rng = np.random.default_rng(0)
    scores = 0.5 + 1e-6 * rng.normal(size=8)
    by_score, _ = group_advantage(scores, ["a"] * 8, epsilon=1e-9)
    by_wins, report = win_rate_advantage(*round_robin(lambda a, b: 0.5, 8), ["a"] * 8)
    assert np.abs(by_score).max() > 1
    assert (by_wins == 0).all()
    assert report.flat.all()


def test_groups_judged_by_coins_are_left_out_and_judged_ones_are_kept():
    rng = np.random.default_rng(0)
    size, groups = 8, 200
    labels = np.repeat(np.arange(groups), size)
    coins, _ = win_rate_advantage(*round_robin(lambda a, b: float(rng.random() < 0.5), size, groups), labels, chance=1.5)
    judged, _ = win_rate_advantage(*round_robin(lambda a, b: float(a < b), size, groups), labels, chance=1.5)
    assert (coins.reshape(groups, size) == 0).all(axis=1).mean() > 0.95
    assert not (judged == 0).any()


def test_failed_comparisons_count_for_neither_and_a_sample_without_any_is_not_scored():
    found, report = win_rate_advantage([0, 1, 0], [1, 2, 2], [1.0, NAN, NAN], ["a"] * 3)
    assert np.isnan(found).tolist() == [False, False, True]
    assert report.scored.tolist() == [2]


def win(a, b):
    return 1 / (1 + math.exp(-2 * (a - b)))


def test_expected_bootstrapped_advantage_rises_with_rank_and_depends_on_order_alone():
    quality = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    expected = np.zeros(5)
    for reference in range(5):  # every reference as likely; the judge's chance enters by its two answers
        for i in range(5):
            if i != reference:
                expected[i] += 2 * win(quality[i], quality[reference]) - 1
    assert (np.diff(expected) > 0).all()
    assert expected[2] == pytest.approx(0, abs=1e-12)

    def drawn(q):
        found = np.zeros(5)
        for reference in range(5):
            better = np.where(q > q[reference], 1.0, 0.0)
            found += bootstrapped_advantage(better, np.arange(5) == reference, ["a"] * 5, largest_mean=1.0)[0]
        return found

    assert (np.diff(drawn(quality)) > 0).all()
    np.testing.assert_array_equal(drawn(quality), drawn(np.exp(quality)))


@given(st.lists(st.one_of(st.sampled_from([0.0, 0.5, 1.0, NAN]), st.floats(0, 1)), min_size=2, max_size=6), st.integers(0, 5))
def test_bootstrapped_advantages_are_the_signs_against_the_reference(preferences, which):
    reference = np.arange(len(preferences)) == which % len(preferences)
    found, _ = bootstrapped_advantage(preferences, reference, ["a"] * len(preferences), largest_mean=1.0)
    for x, p, own in zip(found, preferences, reference, strict=True):
        assert math.isnan(x) if math.isnan(p) and not own else x == (0.0 if own else 1.0 if p > 0.5 else -1.0)


def test_a_reference_that_all_beat_tells_nothing():
    found, report = bootstrapped_advantage([0.9, 0.9, 0.9, 0.1], [True, False, False, False], ["a", "a", "a", "a"])
    assert found.tolist() == [0, 1, 1, -1]
    found, report = bootstrapped_advantage([0.9, 0.9, 0.9, NAN], [True, False, False, False], ["a", "a", "a", "a"])
    assert np.array_equal(found, [0, 0, 0, NAN], equal_nan=True)
    assert report.mean.tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: win_rates([0], [0], [1.0], 2), "comparison 0 is of samples 0 and 0"),
        (lambda: win_rates([0], [2], [1.0], 2), "two different ones from 0 to 1"),
        (lambda: win_rates([0], [1], [1.5], 2), r"preferences\[0\] is 1.5"),
        (lambda: win_rates([0, 1], [1], [1.0], 2), "first has shape"),
        (lambda: win_rate_advantage([0], [1], [1.0], ["a", "b"]), "two groups"),
        (lambda: bootstrapped_advantage([1.0, 1.0], [False, False], ["a", "a"]), "group of row 0 has 0 references"),
        (lambda: bootstrapped_advantage([1.0, 1.0], [True, True], ["a", "a"]), "has 2 references"),
        (lambda: bootstrapped_advantage([1.0], [1.0], ["a"]), "booleans"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
