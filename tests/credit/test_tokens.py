"""Marks, segments and readings on tokens."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import (
    SegmentLocation,
    contrastive_token_rewards,
    end_rewards,
    fit_location,
    normalize_location,
    segments_by_entropy,
    span_rewards,
    steps_to_tokens,
)
from plaudit.errors import DataError

NAN = float("nan")
logprobs = st.lists(st.tuples(st.floats(-30, 0), st.floats(-30, 0)), max_size=20)
LENGTHS = [6, 0, 4]
OFFSETS = [0, 6, 6, 10]
span = st.sampled_from([0, 2]).flatmap(
    lambda row: st.tuples(
        st.just(row), st.integers(0, LENGTHS[row]), st.integers(0, LENGTHS[row]), st.sampled_from([1.0, -1.0, NAN])
    )
)
spans = st.lists(span.map(lambda s: (s[0], min(s[1:3]), max(s[1:3]), s[3])), max_size=6)


@given(logprobs)
def test_contrast_equals_its_formula_and_changes_sign_with_the_readings(pairs):
    better, worse = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    found = contrastive_token_rewards(better, worse)
    np.testing.assert_allclose(found, [1 / (1 + math.exp(b - a)) - 0.5 for a, b in pairs], atol=1e-12)
    np.testing.assert_allclose(contrastive_token_rewards(worse, better), -found, atol=1e-15)


def columns(batch):
    return tuple(np.array([s[i] for s in batch], float if i == 3 else int) for i in range(4))


@pytest.mark.parametrize("place", ["every", "last", "share"])
@given(batch=spans)
def test_spans_equal_marking_token_by_token(batch, place):
    found, report = span_rewards(*columns(batch), OFFSETS, place=place)
    wanted = np.zeros(10)
    for k, (row, a, b, value) in enumerate(batch):
        tokens = set(range(a, b))
        crossing = any(tokens & set(range(c, d)) for j, (r, c, d, _) in enumerate(batch) if j != k and r == row)
        assert report.overlapping[k] == crossing
        assert report.empty[k] == (a == b)
        if tokens and not crossing and not math.isnan(value):
            for t in [b - 1] if place == "last" else sorted(tokens):
                wanted[OFFSETS[row] + t] = value / (b - a) if place == "share" else value
    np.testing.assert_allclose(found, wanted)


def test_overlapping_spans_are_refused_when_asked_and_counted_otherwise():
    args = ([0, 0, 2], [0, 2, 0], [3, 4, 1], [1.0, -1.0, 1.0], OFFSETS)
    assert span_rewards(*args)[1].skipped_share == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="span 0 shares a token"):
        span_rewards(*args, overlap="refuse")


units = st.lists(
    st.sampled_from([0, 2]).flatmap(
        lambda row: st.tuples(st.just(row), st.integers(0, LENGTHS[row] - 1), st.sampled_from([0.5, -0.5, NAN]), st.floats(0, 3))
    ),
    max_size=8,
)


@given(units)
def test_judgements_of_several_kinds_add_up_where_their_units_end(batch):
    row, last, values, weights = (np.array([u[i] for u in batch], int if i < 2 else float) for i in range(4))
    found = end_rewards(row, last, values, OFFSETS, weights)
    wanted = np.zeros(10)
    for r, t, value, weight in batch:
        wanted[OFFSETS[r] + t] += 0.0 if math.isnan(value) else value * weight
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@given(st.lists(st.lists(st.floats(0, 4), max_size=6), max_size=5), st.sampled_from([-1.0, 1.75, math.inf]))
def test_segments_cover_every_token_once_and_end_where_the_model_hesitates(rows, threshold):
    entropy = np.array([x for row in rows for x in row], float)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(int)
    tokens, segments = segments_by_entropy(entropy, offsets, threshold)
    for i, row in enumerate(rows):
        ends = [t for t, x in enumerate(row) if x > threshold or t == len(row) - 1]
        own = tokens[segments[i] : segments[i + 1]]
        assert (np.cumsum(own) - 1).tolist() == ends
    assert tokens.sum() == len(entropy)


def test_the_fit_finds_a_planted_trend_and_removes_it_in_spite_of_a_broken_bin():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 12, 3000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.concatenate([np.log(np.arange(1, n + 1) / n) for n in lengths])
    scores = 0.5 + 0.8 * place + (2.0 + 0.25 * place) * rng.normal(size=len(place))
    location = fit_location(scores, offsets)
    assert location.mean_slope == pytest.approx(0.8, abs=0.1)
    assert location.mean_level == pytest.approx(0.5, abs=0.1)
    assert location.std_slope == pytest.approx(0.25, abs=0.1)
    assert location.std_level == pytest.approx(2.0, abs=0.1)
    flat = normalize_location(scores, offsets, location)
    assert abs(np.corrcoef(place, flat)[0, 1]) < 0.03 < np.corrcoef(place, (scores - scores.mean()) / scores.std())[0, 1]
    broken = np.where(place < -2.2, scores + 50, scores)
    assert fit_location(broken, offsets).mean_slope == pytest.approx(0.8, abs=0.25)


def test_normalised_segments_on_tokens_keep_their_sum():
    scores, counts = normalize_location([1.0, NAN, 4.0], [0, 2, 3], SegmentLocation(0.0, 0.0, 0.0, 2.0)), [2, 3, 5]
    tokens = steps_to_tokens(scores, [0, 2, 3], counts, "every")
    assert tokens[:2].sum() == 0.5
    assert (tokens[2:5] == 0).all()
    assert tokens[5:].sum() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: contrastive_token_rewards([1.0], [1.0, 2.0]), "one for each token"),
        (lambda: span_rewards([0], [0], [7], [1.0], OFFSETS), "span 0 is 0 to 7 in response 0, which has 6 tokens"),
        (lambda: span_rewards([0], [3], [2], [1.0], OFFSETS), "span 0 is 3 to 2"),
        (lambda: span_rewards([0], [-1], [2], [1.0], OFFSETS), "span 0 is -1 to 2"),
        (lambda: span_rewards([3], [0], [1], [1.0], OFFSETS), "span 0 is in response 3"),
        (lambda: span_rewards([0, 0], [0], [1], [1.0], OFFSETS), "row has shape"),
        (lambda: span_rewards([0], [0], [1], [float("inf")], OFFSETS), r"values\[0\] is inf"),
        (lambda: end_rewards([1], [0], [1.0], OFFSETS), "response 1, which has 0 tokens"),
        (lambda: segments_by_entropy([NAN], [0, 1]), r"entropy\[0\] is nan"),
        (lambda: fit_location([1.0, 2.0], [0, 2]), "2 segments"),
        (lambda: fit_location(np.ones(100), np.arange(101)), "1 places"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
