"""The laws of the algebra, and which of them do not hold."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit import Facts, Reward, Sample, Verdict, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.errors import ContractError
from plaudit.reward import Sum, reward


@dataclass(frozen=True)
class Column(Reward):
    """Says what stands in a column: a number, None = ABSTAINED, "fail" = FAILED."""

    column: str
    low: float = -2.0
    high: float = 2.0

    @property
    def name(self):
        return self.column

    @property
    def facts(self):
        return Facts(range=(self.low, self.high), reads={f"meta.{self.column}"})

    def score_one(self, sample, context):
        said = sample.meta[self.column]
        return Verdict.abstained() if said is None else Verdict.failed("worker_lost") if said == "fail" else Verdict(said)


NAMES = "abcd"
A, B, C, D = (Column(name) for name in NAMES)

# Sums and products of these are exact in floating point, so that laws can be checked with ==.
exact = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0])
outcomes = st.fixed_dictionaries({name: exact | st.none() | st.just("fail") for name in NAMES})
scored = st.fixed_dictionaries(dict.fromkeys(NAMES, exact))


def rows(outcomes):
    return [Sample("p", "r", meta=meta) for meta in outcomes]


def agree(left, right, outcomes, reasons=False):
    x, y = left.score(rows(outcomes)), right.score(rows(outcomes))
    assert x.status.tolist() == y.status.tolist()
    assert np.array_equal(x.values, y.values, equal_nan=True)
    if reasons:
        assert list(x.reason) == list(y.reason)
        assert list(x.parts) == list(y.parts)


def plus(x, y):
    return x + y


def times(x, y):
    return x * y


OPERATORS = [plus, times, minimum]


@pytest.mark.parametrize("op", OPERATORS, ids=["sum", "product", "minimum"])
@settings(deadline=None, max_examples=60)
@given(st.lists(outcomes, min_size=1, max_size=6))
def test_sum_product_and_minimum_are_associative_under_every_status(op, outcomes):
    left, right = op(op(A, B), C), op(A, op(B, C))
    agree(left, right, outcomes, reasons=True)
    assert left.fingerprint == right.fingerprint
    # Also where the brackets stay: a name keeps a node from being flattened.
    agree(left, op(op(A, B).named("g"), C), outcomes)
    agree(left, op(A, op(B, C).named("g")), outcomes)


@pytest.mark.parametrize("op", OPERATORS, ids=["sum", "product", "minimum"])
@settings(deadline=None, max_examples=60)
@given(st.lists(outcomes, min_size=1, max_size=6))
def test_sum_product_and_minimum_are_commutative_in_value_and_status(op, outcomes):
    agree(op(A, op(B, C)), op(op(C, B), A), outcomes)
    assert op(A, B).fingerprint == op(B, A).fingerprint


@given(st.lists(outcomes, min_size=1, max_size=6), exact.map(abs), exact.map(abs))
def test_a_number_distributes_over_a_sum_under_every_status(outcomes, k, m):
    agree(k * (A + B), k * A + k * B, outcomes, reasons=True)
    agree(k * (A + B).named("g"), k * A + k * B, outcomes)
    agree(k * (m * A), (k * m) * A, outcomes, reasons=True)
    agree((k + m) * A, k * A + m * A, outcomes, reasons=True)


@given(st.lists(scored, min_size=1, max_size=6))
def test_a_product_distributes_over_a_sum_where_everything_is_scored(outcomes):
    agree(A * (B + C), A * B + A * C, outcomes)


def test_a_product_does_not_distribute_over_a_sum_where_a_part_abstains():
    # On the left b adds nothing: 2 * 1. On the right the product a * b leaves b out and is a: 2 + 2 * 1.
    sample = Sample("p", "r", meta={"a": 2.0, "b": None, "c": 1.0})
    assert (A * (B + C)).score([sample]).values == [2.0]
    assert (A * B + A * C).score([sample]).values == [4.0]


@given(st.lists(outcomes, min_size=1, max_size=6))
def test_a_part_counts_in_a_lexicographic_order_and_a_mean_only_where_it_applies(outcomes):
    # ABSTAINED is "left out": the order of the others alone.
    without = [{**meta, "a": None} for meta in outcomes]
    agree(lexicographic(A, B, C), lexicographic(B, C), without)
    agree(Mean({"a": A, "b": B, "c": C}), Mean({"b": B, "c": C}), without)
    last = [{**meta, "c": None} for meta in outcomes]
    agree(lexicographic(A, B, C), lexicographic(A, B), last)


@given(scored, scored)
def test_a_lexicographic_order_is_that_of_tuples_up_to_its_resolution(x, y):
    order = lexicographic(A, B, C, resolution=1 / 16)
    first, second = order(rows([x, y]))
    a, b = (tuple(meta[name] for name in "abc") for meta in (x, y))
    assert (first > second) == (a > b)
    assert (first == second) == (a == b)


def test_an_order_with_more_digits_than_a_float_holds_is_refused():
    with pytest.raises(ContractError, match="do not fit a float64"):
        lexicographic(*(Column(f"c{k}") for k in range(9)))


@st.composite
def trees(draw, depth=3):
    """Any tree over the four columns."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([A, B, C, D]))
    kids = [draw(trees(depth=depth - 1)) for _ in range(draw(st.integers(1, 3)))]
    kind = draw(st.sampled_from(["sum", "product", "minimum", "lexicographic", "clip", "gate", "mean", "named", "scale", "drop"]))
    names = {f"p{k}": kid for k, kid in enumerate(kids)}
    if kind == "sum":
        return sum(kids[1:], kids[0]) + draw(exact)
    if kind == "product":
        return kids[0] if len(kids) == 1 else kids[0] * kids[1]
    if kind == "minimum":
        return minimum(*kids)
    if kind == "lexicographic":
        return lexicographic(*(kid.clip(-1, 1) for kid in kids))
    if kind == "clip":
        return kids[0].clip(*sorted([draw(exact), draw(exact)]))
    if kind == "gate":
        return kids[0].gate(kids[-1].clip(0, None), closed=draw(st.sampled_from([0.0, -1.0])))
    if kind == "mean":
        return Mean(names, {"p0": draw(exact.map(abs)) + 1})
    if kind == "drop":
        return Sum(names, {"p0": draw(exact.map(abs))}, on_failure="drop")
    return kids[0].named("n") if kind == "named" else draw(exact.map(abs)) * kids[0]


@given(trees(), st.lists(outcomes, min_size=1, max_size=8))
def test_every_tree_stays_in_its_declared_range_and_keeps_its_declared_parts(tree, outcomes):
    verdicts = tree.score(rows(outcomes))
    lo, hi = tree.facts.range
    good = verdicts.values[~np.isnan(verdicts.values)]
    assert (good >= lo - 1e-9).all()
    assert (good <= hi + 1e-9).all()
    assert tuple(verdicts.parts) == tree.facts.parts
    assert [v.status.value for v in verdicts] == verdicts.status.tolist()


@given(trees(), st.lists(outcomes, min_size=2, max_size=6))
def test_a_tree_says_the_same_of_each_sample_alone(tree, outcomes):
    together = tree.score(rows(outcomes))
    for k, meta in enumerate(outcomes):
        alone = tree.score(rows([meta]))
        assert np.array_equal(alone.values, together.values[k : k + 1], equal_nan=True)
        assert list(alone.reason) == [together.reason[k]]


def test_sums_products_and_minima_are_flattened_and_named_nodes_are_not():
    assert ((A + B) + (C + D)).facts.parts == ("a", "b", "c", "d")
    assert ((A * B) * C).facts.parts == ("a", "b", "c")
    assert minimum(minimum(A, B), C).facts.parts == ("a", "b", "c")
    assert ((A + B).named("ab") + C).facts.parts == ("ab", "c")
    assert (A * B + C).facts.parts == ("product", "c")
    assert sum([A, B, C]).facts.parts == ("a", "b", "c")


def test_weights_and_constants_are_carried_through_a_flattening():
    tree = 2 * (A + 0.5 * B + 1) + (C - 3)
    assert dict(tree.weights) == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert tree.bias == -1.0


def test_an_addend_that_comes_again_under_its_name_is_one_part_with_both_weights():
    assert dict((A + 0.5 * A + B).weights) == {"a": 1.5, "b": 1.0}
    assert dict((A + A.named("again")).weights) == {"a": 1.0, "again": 1.0}


def test_other_rewards_of_one_name_are_numbered_the_same_way_wherever_the_brackets_stand():
    x, y, z = (Column("a", low=low) for low in (-2.0, -3.0, -4.0))
    for op in OPERATORS:
        assert op(op(x, y), z).facts.parts == op(x, op(y, z)).facts.parts == ("a", "a_2", "a_3")


def test_a_part_that_was_given_a_name_keeps_it_through_a_flattening():
    assert (Sum({"mine": A}) + B).facts.parts == ("mine", "b")
    assert (Sum({"a_2": A}) + B).facts.parts == ("a_2", "b")


def test_a_sum_that_drops_failures_does_so_for_its_own_parts_alone():
    lenient = Sum({"a": A, "b": B}, on_failure="drop")
    tree = lenient + C
    assert tree.score(rows([{"a": "fail", "b": 1.0, "c": 1.0}])).values == [2.0]
    assert tree.score(rows([{"a": 1.0, "b": 1.0, "c": "fail"}])).n_failed == 1
    both = lenient + Sum({"c": C}, on_failure="drop")
    assert both.facts.parts == ("a", "b", "c")


@pytest.mark.parametrize(
    "make",
    [
        lambda: -A,
        lambda: A - B,
        lambda: 1 - A,
        lambda: -0.5 * A,
        lambda: A * -1,
        lambda: Sum({"a": A}, {"a": float("nan")}),
        lambda: Sum({"a": A}, {"b": 1.0}),
        lambda: Sum({}),
        lambda: Sum({"a": 1.0}),
        lambda: minimum(),
        lambda: lexicographic(),
        lambda: lexicographic(A, resolution=0),
        lambda: A.clip(1, 0),
        lambda: A.gate(B),
        lambda: A.gate(B.clip(0), closed=0.5),
        lambda: A.named(""),
        lambda: A.named("a/b"),
        lambda: A["part"],
        lambda: (A + B)["c"],
        lambda: list(A),
        lambda: A + "b",
        lambda: A * "b",
    ],
)
def test_what_would_turn_higher_is_better_around_or_means_nothing_is_refused(make):
    with pytest.raises((TypeError, ContractError)):
        make()


def test_a_part_without_a_range_is_refused_only_where_a_range_is_needed():
    open_ended = reward(lambda response: 1.0).named("open_ended")
    assert (open_ended + A).facts.range is None
    assert (open_ended * A).facts.range is None
    assert minimum(open_ended, A).facts.range is None
    for make in (lambda: A.gate(open_ended), lambda: lexicographic(open_ended, A)):
        with pytest.raises(ContractError, match=r"@reward\(range="):
            make()
    assert A.gate(open_ended.clip(0, 1)).facts.range == (0.0, 1.0)
    with pytest.raises(ContractError, match="bounded"):
        lexicographic(reward(lambda response: 1.0, range=(0, float("inf"))), A)


def test_numpy_numbers_are_weights_too():
    assert dict((np.float64(0.5) * A + A * np.float32(2)).weights) == {"a": 2.5}


def test_a_value_that_overflows_is_failed_and_not_infinite():
    huge = Column("a", high=1e308)
    verdicts = (1e10 * huge).score(rows([{"a": 1e300}]))
    assert (verdicts.status.tolist(), list(verdicts.reason)) == (["failed"], ["invalid_value"])


def test_operators_act_on_the_value_and_leave_reasons_with_the_parts():
    wrong = reward(lambda response: Verdict(0.0, reason="response_wrong", answer="5"), range=(0, 1)).named("right")
    whole = (wrong + A).score(rows([{"a": 1.0}]))[0]
    assert (whole.value, whole.reason, whole.answer) == (1.0, None, "5")
    assert whole.parts["right"].reason == "response_wrong"
    assert wrong.clip(0, 1).score(rows([{}]))[0].reason == "response_wrong"


def test_a_named_part_is_a_reward_over_the_same_pass():
    total = A + 0.5 * B
    assert total["b"].score(rows([{"a": 1.0, "b": 2.0}])).values == [2.0]
    assert total["b"].facts.range == B.facts.range
    assert total.named("total")["b"].facts.range == B.facts.range
    assert total["b"].name == "b"
