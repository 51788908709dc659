"""The leaves of a tree, their names and weights; and `explain`, which draws it."""

import numpy as np
import pytest

from plaudit import Sample, explain, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.reward import leaves, reward

SAMPLE = Sample("2+2", "4!", "4")


def constant(name, value, low=-1, high=1):
    return reward(lambda response: value, range=(low, high)).named(name)


A, B, C = constant("a", 1.0), constant("b", -0.5), constant("c", None)


def listed(tree):
    return [(leaf.name, leaf.weight) for leaf in leaves(tree)]


def test_weights_are_multiplied_along_sums_and_unknown_below_anything_else():
    assert listed(2 * (A + 0.5 * B).named("ab") + C) == [("a", 2.0), ("b", 1.0), ("c", 1.0)]
    assert listed(A + minimum(B, C)) == [("a", 1.0), ("b", None), ("c", None)]
    assert listed(A.clip(0, 1) + B) == [("a", None), ("b", 1.0)]
    assert listed(A.gate(C.clip(0))) == [("a", None), ("c", None)]
    assert listed(lexicographic(A, B) * Mean({"b": B, "c": C})) == [("a", None), ("b", None), ("c", None)]
    assert listed(A) == [("a", 1.0)]


def test_a_leaf_that_comes_twice_is_listed_once_with_both_weights():
    assert listed(A + 0.5 * A.named("again")) == [("a", 1.5)]
    assert listed(A + minimum(A, B)) == [("a", None), ("b", None)]


def test_leaves_of_one_name_are_told_apart_by_their_path():
    x, y = constant("same", 0.25), constant("same", 0.75)
    names = [leaf.name for leaf in leaves(minimum(A, x).named("left") + minimum(B, y).named("right"))]
    assert len(set(names)) == 4
    assert any(name.startswith("left.") for name in names)
    assert any(name.startswith("right.") for name in names)


def test_the_nearest_name_above_a_leaf_is_its_name():
    plain = reward(lambda response: 1.0, range=(0, 1))
    assert listed(plain.named("given") + B) == [("given", 1.0), ("b", 1.0)]
    assert listed(plain.clip(0, 0.5).named("capped") + B) == [("capped", None), ("b", 1.0)]


def test_each_leaf_finds_its_columns_in_the_columns_of_the_whole():
    tree = 0.5 * (A + B).named("ab") + minimum(A.named("x"), B).clip(0, 1)
    verdicts = tree.score([SAMPLE] * 3)
    assert {leaf.name: leaf.of(verdicts).values.tolist() for leaf in leaves(tree)} == {"a": [1.0] * 3, "b": [-0.5] * 3}
    for leaf in leaves(A):
        assert leaf.of(A.score([SAMPLE])).values == [1.0]


def test_the_weights_of_the_leaves_add_up_to_the_value_of_a_linear_tree():
    tree = 2 * (A + 0.5 * B).named("ab") + 3 * B.named("again")
    verdicts = tree.score([SAMPLE])
    total = sum(leaf.weight * leaf.of(verdicts).values for leaf in leaves(tree))
    assert np.allclose(total, verdicts.values)


def test_explain_shows_raw_value_weight_share_status_and_reason_of_every_node():
    wrong = reward(lambda response: 0.0, range=(0, 1)).named("wrong")
    tree = A + 0.5 * B + C + 0.25 * wrong.gate(A.clip(0, 1)).named("gated")
    text = str(explain(tree, SAMPLE))
    lines = text.splitlines()
    assert lines[0] == "sum = 0.75"
    assert "a = 1  × 1  (80%)" in lines[1]
    assert "b = -0.5  × 0.5  (20%)" in lines[2]
    assert "c = ABSTAINED  × 1" in lines[3]
    assert "not_applicable" in lines[3]
    assert "gated = 0  × 0.25  (0%)  [gate]  closed" in lines[4]
    assert any("ABSTAINED" in line and "not_run" in line for line in lines[5:])
    assert str(tree.explain(SAMPLE)) == text


def test_explain_says_why_something_failed():
    broken = reward(lambda response: float("nan"), range=(0, 1)).named("broken")
    text = str(explain(A + broken, SAMPLE))
    assert "sum = FAILED" in text
    assert "part_failed:broken" in text
    assert "invalid_value" in text


def test_explain_as_json_has_the_same_tree():
    row = explain(A + 0.5 * B, SAMPLE).to_json()
    assert (row["name"], row["value"], row["status"]) == ("sum", 0.75, "scored")
    assert [(part["name"], part["weight"], part["share"]) for part in row["parts"]] == [("a", 1.0, 0.8), ("b", 0.5, 0.2)]


@pytest.mark.parametrize("tree", [A, A.named("x"), A.clip(0, 1), (A + B)["a"], A.gate(A.clip(0))])
def test_every_kind_of_tree_can_be_explained(tree):
    assert explain(tree, SAMPLE).verdict.value == 1.0
    assert str(explain(tree, SAMPLE))
