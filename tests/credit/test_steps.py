"""From step scores to step rewards: against loops over single responses, and what each scheme promises of its sums."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import (
    STEP_AGGREGATES,
    accuracy_gains,
    aggregate_steps,
    centre_steps,
    clip_steps,
    delta_steps,
    min_form,
    renorm_steps,
    returns_to_go,
    steps_to_tokens,
)
from plaudit.errors import DataError

NAN = float("nan")
scores = st.floats(-1, 1).map(lambda x: round(x, 3))
shares = st.floats(0, 1).map(lambda x: round(x, 3))
responses = st.lists(st.lists(st.one_of(scores, st.just(NAN)), max_size=7), max_size=6)
complete = st.lists(st.lists(scores, min_size=1, max_size=7), min_size=1, max_size=6)
discounts = st.sampled_from([0.0, 0.5, 0.9, 1.0])


def flat(rows):
    return np.array([x for row in rows for x in row], float), np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(
        int
    )


def one_by_one(rows, scheme):
    """Each response by itself, its unscored steps taken out before and put back as NaN."""
    found = []
    for row in rows:
        here = iter(scheme([x for x in row if not math.isnan(x)]))
        found += [NAN if math.isnan(x) else next(here) for x in row]
    return np.array(found)


def literal_returns(row, discount):
    return [math.fsum(discount ** (j - k) * row[j] for j in range(k, len(row))) for k in range(len(row))]


def literal_min_form(row, temperature):
    if not row:
        return []
    if temperature == 0:
        return [x / row.count(min(row)) if x == min(row) else 0.0 for x in row]
    weights = [math.exp(-(x - min(row)) / temperature) for x in row]
    return [x * w / math.fsum(weights) for x, w in zip(row, weights, strict=True)]


def literal_delta(row):
    judged = row[:-1]
    return [a - b for a, b in zip(judged, [*judged[1:], 0.0], strict=False)] + [0.0] if row else []


@given(responses, discounts)
def test_returns_equal_the_sum_written_out(rows, discount):
    values, offsets = flat(rows)
    wanted = one_by_one(rows, lambda row: literal_returns(row, discount))
    np.testing.assert_allclose(returns_to_go(values, offsets, discount), wanted, atol=1e-12)


@given(st.integers(0, 50), discounts)
def test_returns_of_long_rows_equal_the_recursion(seed, discount):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 300, 5)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.normal(size=offsets[-1])
    found = returns_to_go(values, offsets, discount)
    for a, b in itertools.pairwise(offsets):
        after = 0.0
        for t in range(b - 1, a - 1, -1):
            after = values[t] + discount * after
            assert found[t] == pytest.approx(after, abs=1e-9)


def test_a_row_of_huge_rewards_does_not_blur_the_next():
    assert returns_to_go([1e99, 0.1, 0.2], [0, 1, 3]).tolist() == [1e99, 0.1 + 0.2, 0.2]


@given(responses, st.sampled_from([0.0, 0.02, 0.1, 1.0]))
def test_min_form_equals_the_softmax_of_each_response(rows, temperature):
    values, offsets = flat(rows)
    wanted = one_by_one(rows, lambda row: literal_min_form(row, temperature))
    np.testing.assert_allclose(min_form(values, offsets, temperature), wanted, atol=1e-12)


@given(complete, st.sampled_from([0.0, 1e-9, 0.1, 2.0]))
def test_min_form_adds_up_to_the_minimum_within_its_bound(rows, temperature):
    values, offsets = flat(rows)
    sums = aggregate_steps(min_form(values, offsets, temperature), offsets, "sum")
    least = aggregate_steps(values, offsets, "minimum")
    count = np.diff(offsets)
    assert (sums >= least - 1e-12).all()
    assert (sums <= least + temperature * np.log(count) + 1e-12).all()
    assert (sums <= aggregate_steps(values, offsets, "mean") + 1e-12).all()


@given(st.lists(st.floats(-1, 0.5), min_size=1, max_size=6), st.integers(1, 20))
def test_good_filler_raises_the_sum_and_leaves_the_minimum(row, fillers):
    padded = [*row, *[0.9] * fillers]

    def worth(scheme, steps):
        return aggregate_steps(scheme(steps, [0, len(steps)]), [0, len(steps)], "sum")[0]

    assert worth(lambda s, o: np.array(s), padded) > worth(lambda s, o: np.array(s), row) + 0.8 * fillers
    assert worth(lambda s, o: min_form(s, o, 0.0), padded) == pytest.approx(worth(lambda s, o: min_form(s, o, 0.0), row))
    assert worth(lambda s, o: min_form(s, o, 0.01), padded) == pytest.approx(
        worth(lambda s, o: min_form(s, o, 0.01), row), abs=1e-8
    )


@given(responses)
def test_delta_equals_its_definition(rows):
    values, offsets = flat(rows)
    np.testing.assert_allclose(delta_steps(values, offsets), one_by_one(rows, literal_delta), atol=1e-12)


@given(complete)
def test_what_is_to_come_after_delta_is_the_score_of_the_step(rows):
    values, offsets = flat(rows)
    returns = returns_to_go(delta_steps(values, offsets), offsets)
    wanted = values.copy()
    wanted[offsets[1:] - 1] = 0.0  # the answer step is left to the outcome
    np.testing.assert_allclose(returns, wanted, atol=1e-12)
    np.testing.assert_allclose(returns_to_go(delta_steps(values, offsets, answer_step=False), offsets), values, atol=1e-12)


@given(complete, st.integers(1, 9))
def test_no_number_of_filler_steps_pays_under_clip_or_delta(rows, fillers):
    values, offsets = flat([[0.9, *row] for row in rows])
    padded, wider = flat([[0.9, *[0.9] * fillers, *row] for row in rows])
    for scheme in (lambda v, o: clip_steps(v, o, threshold=0.5), delta_steps, lambda v, o: delta_steps(clip_steps(v, o, 0.5), o)):
        short, long = (aggregate_steps(scheme(v, o), o, "sum") for v, o in ((values, offsets), (padded, wider)))
        assert (long <= short + 1e-12).all()


@given(responses)
def test_clip_is_never_above_zero_and_by_itself_takes_the_mean(rows):
    values, offsets = flat(rows)
    known = [x for x in values if not math.isnan(x)]
    mean = statistics.fmean(known) if known else 0.0
    found = clip_steps(values, offsets)
    np.testing.assert_allclose(found, [NAN if math.isnan(x) else min(x - mean, 0.0) for x in values], atol=1e-12)


LITERAL = {
    "mean": statistics.fmean,
    "product": math.prod,
    "minimum": min,
    "maximum": max,
    "last": lambda row: row[-1],
    "sum": math.fsum,
}


@pytest.mark.parametrize("how", list(STEP_AGGREGATES))
@given(rows=responses)
def test_aggregates_equal_their_names(rows, how):
    values, offsets = flat(rows)
    known = [[x for x in row if not math.isnan(x)] for row in rows]
    wanted = [LITERAL[how](row) if row else NAN for row in known]
    np.testing.assert_allclose(aggregate_steps(values, offsets, how), wanted, atol=1e-12)


def test_what_the_aggregates_see_of_one_fatal_step_in_a_long_chain():
    chain, fatal = [0.95] * 12, [0.95] * 11 + [0.05]
    values, offsets = flat([chain, fatal])
    drop = {how: np.subtract(*aggregate_steps(values, offsets, how)) for how in ("mean", "minimum")}
    assert drop["minimum"] == pytest.approx(0.9)
    assert drop["mean"] < 0.1


@given(st.lists(st.lists(shares, max_size=5), max_size=5), st.booleans(), st.booleans())
def test_centred_steps_equal_the_formula(rows, log_odds, per_step):
    values, offsets = flat(rows)

    def literal(row):
        cut = [min(max(p, 1e-6), 1 - 1e-6) for p in row]
        worth = [math.log(p / (1 - p)) for p in cut] if log_odds else [p - 0.5 for p in row]
        return [x / (len(row) if per_step else 1) for x in worth]

    found = centre_steps(values, offsets, log_odds=log_odds, per_step=per_step)
    np.testing.assert_allclose(found, one_by_one(rows, literal), atol=1e-7)


@given(st.lists(st.tuples(st.lists(shares, min_size=1, max_size=5), st.booleans()), min_size=1, max_size=6))
def test_renorm_never_pays_in_failure_nor_charges_in_success(rows):
    values, offsets = flat([row for row, _ in rows])
    outcomes = np.array([float(right) for _, right in rows])
    found = renorm_steps(values, offsets, outcomes, answer_step=False)
    of = np.repeat(outcomes, np.diff(offsets))
    assert (found[of == 1] >= 0).all()
    assert (found[of == 0] <= 0).all()
    assert (np.abs(found) <= 1).all()
    placed = renorm_steps(values, offsets, outcomes)
    np.testing.assert_array_equal(placed[offsets[1:] - 1], outcomes)


def test_an_outcome_that_is_not_scored_leaves_the_steps_unscored():
    assert np.isnan(renorm_steps([0.5, 0.5], [0, 1, 2], [NAN, 1.0])).tolist() == [True, False]


def literal_gains(before, row, smallest, window, discount):
    gains = [b - a for a, b in zip([before, *row], row, strict=False)]
    found = []
    for i in range(len(gains)):
        ahead = next((j for j in range(i, min(len(gains), i + window + 1)) if abs(gains[j]) >= smallest - 1e-12), None)
        found.append(0.0 if ahead is None else discount ** (ahead - i) * gains[ahead])
    return found


eighths = st.integers(0, 8).map(lambda k: k / 8)


@given(st.lists(st.tuples(eighths, st.lists(eighths, max_size=8)), max_size=5), st.integers(0, 4), st.sampled_from([0.125, 0.25]))
def test_accuracy_gains_equal_the_look_ahead_written_out(rows, window, smallest):
    values, offsets = flat([row for _, row in rows])
    before = [b for b, _ in rows]
    found = accuracy_gains(before, values, offsets, smallest=smallest, window=window, discount=0.5)
    wanted = [x for b, row in rows for x in literal_gains(b, row, smallest, window, 0.5)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@given(st.lists(st.tuples(eighths, st.lists(eighths, min_size=1, max_size=8)), min_size=1, max_size=5))
def test_accuracy_gains_without_look_ahead_telescope(rows):
    values, offsets = flat([row for _, row in rows])
    before = np.array([b for b, _ in rows])
    found = aggregate_steps(accuracy_gains(before, values, offsets, smallest=0.125, window=0), offsets, "sum")
    np.testing.assert_allclose(found, values[offsets[1:] - 1] - before, atol=1e-12)


def test_useful_steps_are_paid_more_than_idle_and_idle_more_than_harmful_ones():
    rng = np.random.default_rng(0)
    kinds = rng.choice(["useful", "idle", "harmful"], size=(200, 8), p=[0.3, 0.5, 0.2])
    change = np.select([kinds == "useful", kinds == "harmful"], [0.25, -0.25], 0.0)
    after = np.clip(0.5 + np.cumsum(change, axis=1), 0, 1)
    found = accuracy_gains(np.full(200, 0.5), after.ravel(), np.arange(0, 1601, 8)).reshape(200, 8)
    mean = {kind: found[kinds == kind].mean() for kind in ("useful", "idle", "harmful")}
    assert mean["useful"] > mean["idle"] > mean["harmful"]


@pytest.mark.parametrize("place", ["end", "every"])
@given(rows=responses, seed=st.integers(0, 99))
def test_placing_on_tokens_keeps_the_sum_of_every_step(rows, seed, place):
    values, offsets = flat(rows)
    counts = np.random.default_rng(seed).integers(1, 5, len(values))
    tokens = steps_to_tokens(values, offsets, counts, place)
    pieces = np.split(tokens, np.cumsum(counts)[:-1]) if len(values) else []
    assert tokens.shape == (counts.sum(),)
    np.testing.assert_allclose([piece.sum() for piece in pieces], np.nan_to_num(values), atol=1e-12)
    if place == "end":
        assert all(np.all(piece[:-1] == 0) for piece in pieces)


@pytest.mark.parametrize("scheme", [min_form, clip_steps, delta_steps, returns_to_go])
@pytest.mark.parametrize(
    ("values", "offsets", "said"),
    [
        ([1.0, float("inf")], [0, 2], r"\[1\] is inf"),
        ([1.0, 2.0], [0, 1], "run from 0 to 1"),
        ([1.0, 2.0], [0, 2, 1, 2], "row 1"),
        ([[1.0]], [0, 1], "shape"),
        (["x"], [0, 1], "no numbers"),
        ([1.0], [0.0, 1.0], "integers"),
        ([1.0], [], "offsets have shape"),
    ],
)
def test_bad_arrays_are_refused_by_place(scheme, values, offsets, said):
    with pytest.raises(DataError, match=said):
        scheme(values, offsets)


@pytest.mark.parametrize("scheme", [min_form, clip_steps, delta_steps, returns_to_go])
def test_no_response_and_empty_responses_give_nothing(scheme):
    assert scheme([], [0]).shape == scheme([], [0, 0, 0]).shape == (0,)


def test_other_bad_input_is_named():
    with pytest.raises(DataError, match=r"scores\[1\] is 1.5"):
        centre_steps([0.5, 1.5], [0, 2])
    with pytest.raises(DataError, match="one for each response"):
        renorm_steps([0.5], [0, 1], [1.0, 1.0])
    with pytest.raises(DataError, match="one a step"):
        steps_to_tokens([1.0, 1.0], [0, 2], [3])
    with pytest.raises(DataError, match=r"step_tokens\[1\] is 0"):
        steps_to_tokens([1.0, 1.0], [0, 2], [3, 0])
    with pytest.raises(DataError, match="how is 'median'"):
        aggregate_steps([1.0], [0, 1], "median")
    with pytest.raises(DataError, match="product of row 0 is too large"):
        aggregate_steps([1e90] * 9, [0, 9], "product")
    with pytest.raises(DataError, match="temperature"):
        min_form([1.0], [0, 1], -1.0)
