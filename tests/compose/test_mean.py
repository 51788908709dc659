"""The mean of the parts that apply."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit import Facts, Reward, Sample, Verdict, check_reward, from_spec
from plaudit.compose import Mean
from plaudit.errors import ContractError, SpecError
from plaudit.reward import Sum, leaves, reward
from plaudit.verify import Exact


@dataclass(frozen=True)
class Column(Reward):
    """Says what stands in a column: a number, None = ABSTAINED, "fail" = FAILED."""

    column: str

    @property
    def name(self):
        return self.column

    @property
    def facts(self):
        return Facts(range=(-2, 2), reads={f"meta.{self.column}"})

    def score_one(self, sample, context):
        said = sample.meta[self.column]
        return Verdict.abstained() if said is None else Verdict.failed("worker_lost") if said == "fail" else Verdict(said)


PARTS = {name: Column(name) for name in "abc"}
values = st.floats(-2, 2)
# Not so small that half of a weight is rounded away.
weights = st.fixed_dictionaries(dict.fromkeys("abc", st.just(0.0) | st.floats(1e-300, 1e6))).filter(lambda w: any(w.values()))


def scored(mean, **meta):
    return mean.score([Sample("p", "r", meta=meta)])[0]


@given(st.fixed_dictionaries(dict.fromkeys("abc", values)), weights)
def test_where_every_part_applies_it_is_the_weighted_mean(meta, weights):
    expected = np.average([meta[name] for name in "abc"], weights=[weights[name] for name in "abc"])
    assert scored(Mean(PARTS, weights), **meta).value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.fixed_dictionaries(dict.fromkeys("abc", values | st.none())), weights)
def test_a_part_that_abstains_might_as_well_not_be_there(meta, weights):
    there = {name for name in "abc" if meta[name] is not None and weights[name]}
    verdict = scored(Mean(PARTS, weights), **meta)
    if not there:
        assert (verdict.status.value, verdict.reason) == ("abstained", "all_abstained")
    else:
        rest = Mean({name: PARTS[name] for name in "abc" if name in there}, {name: weights[name] for name in there})
        assert verdict.value == scored(rest, **meta).value
        assert min(meta[name] for name in there) <= verdict.value <= max(meta[name] for name in there)


@given(
    st.fixed_dictionaries(dict.fromkeys("abc", st.sampled_from([-1.0, 0.5, None, "fail"]))),
    st.fixed_dictionaries(dict.fromkeys("abc", st.sampled_from([0.5, 1.0, 3.0]))),
)
def test_a_failed_part_fails_the_whole_unless_failures_are_dropped(meta, weights):
    verdict, lenient = scored(Mean(PARTS, weights), **meta), scored(Mean(PARTS, weights, on_failure="drop"), **meta)
    broken = [name for name in "abc" if meta[name] == "fail"]
    if not broken:
        assert (verdict.value, verdict.reason) == (lenient.value, lenient.reason)
        return
    assert verdict.reason == f"part_failed:{broken[0]}"
    rest = {name: None if said == "fail" else said for name, said in meta.items()}
    if any(said is not None for said in rest.values()):
        assert lenient.value == scored(Mean(PARTS, weights), **rest).value
    else:
        assert lenient.reason == f"part_failed:{broken[0]}", "an outage is no abstention"


@given(st.fixed_dictionaries(dict.fromkeys("abc", values | st.none())), weights, st.sampled_from([0.5, 2.0, 1024.0]))
def test_only_the_ratio_of_the_weights_matters(meta, weights, factor):
    scaled = {name: factor * weight for name, weight in weights.items()}
    assert scored(Mean(PARTS, weights), **meta).value == scored(Mean(PARTS, scaled), **meta).value


def test_more_criteria_earn_no_more_and_in_a_sum_they_would():
    few, many = {"a": 1.0, "b": None, "c": None}, {"a": 1.0, "b": 1.0, "c": 1.0}
    assert scored(Mean(PARTS), **few).value == scored(Mean(PARTS), **many).value == 1.0
    assert scored(Sum(PARTS), **few).value < scored(Sum(PARTS), **many).value


def test_a_part_of_weight_zero_is_shown_and_does_not_count():
    mean = Mean(PARTS, {"a": 0, "b": 1, "c": 1})
    verdict = scored(mean, a=2.0, b=0.0, c=1.0)
    assert (verdict.value, verdict.parts["a"].value) == (0.5, 2.0)
    assert scored(mean, a=2.0, b=None, c=None).status.value == "abstained"


def test_the_range_spans_the_parts_that_count():
    wide, narrow = reward(lambda response: 0.0, range=(-5, 5)), reward(lambda response: 0.0, range=(0, 1))
    assert Mean({"w": wide, "n": narrow}).facts.range == (-5.0, 5.0)
    assert Mean({"w": wide, "n": narrow}, {"w": 0}).facts.range == (0.0, 1.0)
    undeclared = reward(lambda response: 0.0)
    assert Mean({"u": undeclared, "n": narrow}).facts.range is None
    assert Mean({"u": undeclared, "n": narrow}, {"u": 0}).facts.range == (0.0, 1.0)


def test_it_stands_in_a_tree_like_any_reward():
    mean = Mean({"a": PARTS["a"], "b": PARTS["b"]})
    tree = mean.clip(0, 1) + 0.5 * mean.named("again")
    assert scored(tree, a=1.0, b=0.0).value == 0.75
    assert [leaf.name for leaf in leaves(tree)] == ["a", "b"]
    assert mean.facts.parts == ("a", "b")
    assert check_reward(Mean({"right": Exact(), "loose": Exact(ignore_case=True)})).ok


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mean({}),
        lambda: Mean({"a": 1.0}),
        lambda: Mean(PARTS, {"d": 1.0}),
        lambda: Mean(PARTS, {"a": -1.0}),
        lambda: Mean(PARTS, {"a": float("nan")}),
        lambda: Mean(PARTS, {"a": float("inf")}),
        lambda: Mean(PARTS, dict.fromkeys("abc", 0.0)),
        lambda: Mean(PARTS, on_failure="ignore"),
    ],
)
def test_a_mean_of_nothing_or_with_weights_that_mean_nothing_is_refused(make):
    with pytest.raises(ContractError, match=r"compose\.mean"):
        make()


def test_its_spec_names_parts_and_weights():
    spec = {
        "use": "compose.mean",
        "weights": {"right": 3},
        "parts": {"right": {"use": "verify.exact"}, "form": {"use": "verify.format", "tags": ["think", "answer"]}},
    }
    mean = from_spec(spec)
    assert dict(mean.weights) == {"right": 3.0, "form": 1.0}
    assert from_spec(mean.to_yaml()).fingerprint == mean.fingerprint
    with pytest.raises(SpecError, match="did you mean 'weights'"):
        from_spec({**spec, "weight": {}})
    with pytest.raises(SpecError, match=r"compose\.mean: weights name \['wrong'\]"):
        from_spec({**spec, "weights": {"wrong": 1}})
