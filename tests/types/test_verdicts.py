"""Verdicts are columns; a verdict is a view on a row."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit import Cost, Dense, Status, Verdict, Verdicts
from plaudit.types import ABSTAINED, FAILED, SCORED, concatenate

numbers = st.floats(-1e6, 1e6, allow_nan=False)
texts = st.text(max_size=5)


def plain_verdicts():
    common = {
        "std": st.none() | st.floats(0, 10),
        "confidence": st.none() | st.floats(0, 1),
        "answer": st.none() | texts,
        "explanation": st.none() | texts,
        "details": st.dictionaries(texts, st.integers(), max_size=2),
        "cost": st.builds(Cost, st.floats(0, 10), st.integers(0, 5), st.integers(0, 5), st.floats(0, 1)),
        "dense": st.none() | st.just(Dense("step", [1.0, float("nan")], [0, 2], [2, 3])),
    }
    scored = st.builds(Verdict, numbers, st.just(Status.SCORED), st.sampled_from([None, "response_wrong", "closed"]), **common)
    failed = st.builds(Verdict, st.none(), st.just(Status.FAILED), st.sampled_from(["worker_lost", "part_failed:a"]), **common)
    return scored | failed | st.builds(Verdict, st.none(), st.just(Status.ABSTAINED), st.just("not_applicable"), **common)


def with_parts(children):
    def add(v, parts):
        fields = {name: getattr(v, name) for name in Verdict.__slots__}
        return Verdict(**{**fields, "parts": parts})

    return st.builds(add, plain_verdicts(), st.tuples(children, children).map(lambda both: dict(zip("ab", both, strict=True))))


verdicts = plain_verdicts() | with_parts(plain_verdicts())
lists = st.lists(with_parts(plain_verdicts()), max_size=5) | st.lists(plain_verdicts(), max_size=5)


def same(a, b):
    """Equal in every field, arrays too."""
    for name in Verdict.__slots__:
        x, y = getattr(a, name), getattr(b, name)
        if name == "parts":
            assert list(x) == list(y)
            for part in x:
                same(x[part], y[part])
        elif name == "dense":
            assert (x is None) == (y is None)
            assert x is None or (x.level == y.level and np.array_equal(x.values, y.values, equal_nan=True))
        elif name == "details":
            assert dict(x) == dict(y)
        else:
            assert x == y, name


@settings(deadline=None, max_examples=40)
@given(lists)
def test_columns_of_verdicts_give_the_same_verdicts_back(rows):
    columns = Verdicts.of(rows)
    assert len(columns) == len(rows)
    for row, view, k in zip(rows, columns, range(len(rows)), strict=True):
        same(row, view)
        same(row, columns[k])
        same(row, columns[k - len(rows)])


@settings(deadline=None, max_examples=40)
@given(lists)
def test_verdicts_survive_pickling_in_every_column(rows):
    for before, after in zip(rows, pickle.loads(pickle.dumps(Verdicts.of(rows, stamp="s"))), strict=True):
        same(before, after)


@settings(deadline=None, max_examples=40)
@given(lists, st.data())
def test_taking_rows_slices_and_masks_picks_what_a_list_would(rows, data):
    columns = Verdicts.of(rows)
    picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6) if rows else st.just([]))
    cut = data.draw(st.slices(len(rows)))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), dtype=bool)
    kept = [row for row, keep in zip(rows, mask, strict=True) if keep]
    for found, expected in [
        (columns.take(picked), [rows[i] for i in picked]),
        (columns[cut], rows[cut]),
        (columns.take(mask), kept),
    ]:
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(b, a)


@settings(deadline=None, max_examples=40)
@given(lists, st.integers(0, 5))
def test_cutting_and_concatenating_is_the_identity(rows, at):
    columns = Verdicts.of(rows, stamp="s")
    whole = concatenate([columns[:at], columns[at:]])
    assert whole.stamp == "s"
    for a, b in zip(whole, rows, strict=True):
        same(b, a)


def test_statuses_are_counted_and_means_are_over_what_was_scored():
    rows = [Verdict(1.0), Verdict(0.0, reason="response_wrong"), Verdict.abstained(), Verdict.failed("worker_lost")]
    columns = Verdicts.of(rows)
    assert columns.codes.tolist() == [SCORED, SCORED, ABSTAINED, FAILED]
    assert columns.status.tolist() == ["scored", "scored", "abstained", "failed"]
    assert (columns.n_scored, columns.n_abstained, columns.n_failed) == (2, 1, 1)
    assert columns.mean() == 0.5
    assert np.isnan(columns.values).tolist() == [False, False, True, True]
    assert np.isnan(Verdicts.of([Verdict.abstained()]).mean())
    assert "n=4" in repr(columns)


def test_the_matrix_has_a_column_for_each_part_in_order_and_nan_where_it_is_not_scored():
    whole = Verdict(1.0, parts={"b": Verdict(2.0), "a": Verdict.abstained()})
    assert np.array_equal(Verdicts.of([whole, whole]).matrix(), [[2, np.nan]] * 2, equal_nan=True)
    assert Verdicts.of([Verdict(1.0)]).matrix().shape == (1, 0)
    assert Verdicts.of([]).matrix().shape == (0, 0)


def test_a_part_that_one_row_lacks_was_not_run_there():
    columns = Verdicts.of([Verdict(1.0, parts={"a": Verdict(2.0)}), Verdict(0.0)])
    assert columns.parts["a"].reason == [None, "not_run"]


def test_verdicts_that_were_made_from_arrays_alone_survive_pickling():
    moved = pickle.loads(pickle.dumps(Verdicts(np.array([1.0, 0.5]))))
    assert (moved.values.tolist(), list(moved.reason), moved.parts) == ([1.0, 0.5], [None, None], {})


def test_empty_verdicts_are_verdicts():
    empty = Verdicts.of([])
    assert (len(empty), list(empty), len(concatenate([])), len(concatenate([empty, empty]))) == (0, [], 0, 0)


def test_full_repeats_one_verdict():
    same(Verdicts.full(3, Verdict(0.5, answer="x"))[2], Verdict(0.5, answer="x"))
    assert len(Verdicts.full(0, Verdict(0.5))) == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Verdicts(np.array([np.nan])), "finite exactly where"),
        (lambda: Verdicts(np.array([1.0]), np.array([FAILED])), "finite exactly where"),
        (lambda: Verdicts(np.array([1.0, 2.0]), reason=[None]), "reason has 1"),
        (lambda: Verdicts(np.array([1.0]), parts={"a": Verdicts(np.array([1.0, 2.0]))}), r"parts\['a'\]"),
        (lambda: Verdicts(np.array([1.0]), answer=["a", "b"]), "answer has 2"),
        (lambda: Verdicts(np.ones((2, 2))), r"\(n,\)"),
        (lambda: concatenate([Verdicts.of([Verdict(1.0)]), Verdicts.of([Verdict(1.0, parts={"a": Verdict(1.0)})])]), "differ"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("index", [3, -4])
def test_a_row_that_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError):
        Verdicts.of([Verdict(1.0)] * 3)[index]


def test_a_numpy_index_and_a_float_conversion_work():
    columns = Verdicts.of([Verdict(1.5), Verdict.abstained()])
    assert float(columns[np.int64(0)]) == 1.5
    assert np.isnan(float(columns[1]))


@pytest.mark.parametrize(
    "fields",
    [
        ("page", [1.0], [0], [1]),
        ("step", [1.0], [0, 1], [1, 2]),
        ("step", [1.0], [3], [2]),
        ("token", [1.0], [-1], [2]),
        ("step", [[1.0]], [[0]], [[1]]),
    ],
)
def test_dense_rewards_need_a_level_and_intervals_that_go_forward(fields):
    with pytest.raises(ValueError, match="Dense"):
        Dense(*fields)


def test_costs_add_up():
    assert Cost(1.0, 2, 3, 0.5) + Cost(0.5, 1, 1, 0.25) == Cost(1.5, 3, 4, 0.75)
