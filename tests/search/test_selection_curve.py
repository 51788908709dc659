"""The curves of best-of-n and of votes, beside a literal reading of their definition."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.search import selection_curve
from plaudit.stats import bootstrap_interval

N = 5


@st.composite
def problems(draw):
    rows = draw(st.integers(1, 4))
    answers = [[draw(st.sampled_from(["a", "b", "c", None])) for _ in range(N)] for _ in range(rows)]
    scores = np.array([[draw(st.integers(0, 3)) for _ in range(N)] for _ in range(rows)], dtype=float)
    return answers, scores


def literal(answers, scores, right, n, vote):
    """Share of correct picks over all subsets, ties broken evenly between distinct answers."""
    results = []
    for row, values in zip(answers, scores, strict=True):
        hits = []
        for subset in combinations(range(N), n):
            support = {}
            for k in subset:
                if not vote:
                    support[k] = values[k]
                elif row[k] is not None:
                    support[row[k]] = support.get(row[k], 0) + values[k]
            if not support:
                hits.append(0.0)
                continue
            winners = [key for key, value in support.items() if value == max(support.values())]
            hits.append(np.mean([(key if vote else row[key]) == right for key in winners]))
        results.append(np.mean(hits))
    return np.mean(results)


@given(problems(), st.integers(1, N))
def test_every_curve_is_the_mean_over_all_subsets(made, n):
    answers, scores = made
    correct = np.array([[answer == "a" for answer in row] for row in answers])
    curves = selection_curve(correct, answers, {"best": scores}, {"weighted": scores}, ns=(n,))
    ones = np.ones_like(scores)
    assert curves["majority"].accuracy[0] == pytest.approx(literal(answers, ones, "a", n, True))
    assert curves["best"].accuracy[0] == pytest.approx(literal(answers, scores, "a", n, False))
    assert curves["weighted"].accuracy[0] == pytest.approx(literal(answers, scores, "a", n, True))
    assert curves["policy"].accuracy[0] == pytest.approx(correct.mean())
    with_right = [np.mean([any(row[list(s)]) for s in combinations(range(N), n)]) for row in correct]
    assert curves["oracle"].accuracy[0] == pytest.approx(np.mean(with_right))


@given(problems(), st.randoms())
def test_the_order_of_the_answers_does_not_matter(made, random):
    answers, scores = made
    order = list(range(N))
    random.shuffle(order)
    moved = [[row[k] for k in order] for row in answers]
    arrays = [np.array([[answer == "a" for answer in row] for row in rows]) for rows in (answers, moved)]
    one = selection_curve(arrays[0], answers, {"best": scores}, ns=(1, 3))
    other = selection_curve(arrays[1], moved, {"best": scores[:, order]}, ns=(1, 3))
    for name in one:
        np.testing.assert_allclose(one[name].accuracy, other[name].accuracy)


def test_a_perfect_score_is_as_good_as_the_oracle_and_one_answer_as_good_as_the_policy():
    rng = np.random.default_rng(0)
    correct = rng.random((200, 8)) < 0.4
    answers = [["right" if right else str(k) for k, right in enumerate(row)] for row in correct]
    curves = selection_curve(correct, answers, {"perfect": correct.astype(float)})
    np.testing.assert_allclose(curves["perfect"].accuracy, curves["oracle"].accuracy)
    for curve in curves.values():
        assert curve.accuracy[0] == pytest.approx(correct.mean())
        assert np.all((curve.low <= curve.accuracy) & (curve.accuracy <= curve.high))


def test_scores_that_are_all_tiny_still_differ():
    # Probabilities of whole responses are of this size.
    correct = np.array([[True, False, False]])
    curve = selection_curve(correct, [["a", "b", "c"]], {"tiny": np.array([[3e-20, 2e-20, 1e-20]])}, ns=(3,))["tiny"]
    assert curve.accuracy.tolist() == [1.0]


def test_sums_in_another_order_are_still_ties():
    weights = np.array([[0.1, 0.2, 0.3, 0.3, 0.2, 0.1]]) * 1e-20
    correct = np.array([[True, True, True, False, False, False]])
    curve = selection_curve(correct, [["a", "a", "a", "b", "b", "b"]], weights={"sum": weights}, ns=(6,))["sum"]
    assert curve.accuracy[0] == pytest.approx(0.5)


def test_the_interval_is_that_of_the_mean_over_problems_and_one_problem_has_none():
    correct = np.random.default_rng(2).random((50, 4)) < 0.5
    answers = [[str(k) for k in range(4)]] * 50
    curve = selection_curve(correct, answers, ns=(1,), seed=3)["policy"]
    assert (curve.low[0], curve.high[0]) == bootstrap_interval(correct.mean(-1), resamples=1_000, seed=3)
    alone = selection_curve(correct[:1], answers[:1], ns=(1,))["policy"]
    assert (alone.low[0], alone.high[0]) == (-np.inf, np.inf)


def test_many_answers_are_sampled_in_bounded_memory():
    rng = np.random.default_rng(1)
    correct = rng.random((100, 64)) < 0.3
    answers = [["r" if right else str(k % 7) for k, right in enumerate(row)] for row in correct]
    curves = selection_curve(correct, answers, {"noise": rng.random((100, 64))}, ns=(1, 16, 64))
    assert curves["noise"].accuracy[1] == pytest.approx(0.3, abs=0.08)
    assert curves["majority"].accuracy[2] > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ns": (9,)}, "between 1 and the 8"),
        ({"scores": {"x": np.full((2, 8), np.nan)}}, "problem 0, answer 0 is nan"),
        ({"scores": {"x": np.zeros((2, 7))}}, r"shape \(2, 7\)"),
        ({"answers": [["1"] * 8]}, "2 rows of 8"),
        ({"weights": {"w": np.full((2, 8), -1.0)}}, "w holds the weight -1"),
        ({"scores": {"policy": np.zeros((2, 8))}}, "two curves named 'policy'"),
        ({"scores": {"x": np.zeros((2, 8))}, "weights": {"x": np.zeros((2, 8))}}, "two curves named 'x'"),
    ],
)
def test_bad_input_says_what_was_expected(change, message):
    arguments = {"correct": np.ones((2, 8), dtype=bool), "answers": [["1"] * 8] * 2} | change
    with pytest.raises(DataError, match=message):
        selection_curve(**arguments)
