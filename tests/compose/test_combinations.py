"""Power means, normalised sums, hierarchies, gates, routes: bounds, limits, statuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit import Context, Sample
from plaudit.compose import (
    Column,
    GatedAccumulation,
    Hierarchical,
    Mean,
    NormalizedSum,
    PowerMean,
    Progressive,
    Reliability,
    Route,
    Schedule,
    gated_accumulation,
    hierarchical,
    inconsistency,
    normalized_sum,
    power_mean,
    reliability_gate,
    scheduled_weight,
)
from plaudit.errors import ContractError
from plaudit.reward import check_reward, from_spec, leaves
from plaudit.verify import F1, Exact, Math

shares = st.floats(0, 1)
rows_of = st.lists(shares, min_size=2, max_size=5)


@given(rows_of, st.data())
def test_minimum_harmonic_geometric_and_arithmetic_mean_stand_in_this_order(values, data):
    weights = data.draw(st.lists(st.floats(0.01, 10), min_size=len(values), max_size=len(values)))
    means = [power_mean([values], weights, p)[0] for p in (-np.inf, -8, -1, 0, 0.5, 1)]
    assert (np.diff(means) >= -1e-9).all()
    assert means[0] == min(values)
    assert means[-1] == pytest.approx(np.average(values, weights=weights))
    assert min(values) <= means[2] <= max(values)


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1))
def test_power_minus_one_of_two_parts_is_the_lambda_harmonic_reward(subject, prompt, balance):
    expected = 1 / (balance / subject + (1 - balance) / prompt)
    assert power_mean([[subject, prompt]], [balance, 1 - balance])[0] == pytest.approx(expected)


def test_a_copy_that_ignores_the_prompt_is_rejected_by_the_harmonic_mean_and_preferred_by_the_arithmetic_one():
    copy, balanced = [1.0, 0.1], [0.5, 0.5]
    arithmetic, harmonic = (power_mean([copy, balanced], [1, 1], p) for p in (1, -1))
    assert arithmetic[0] > arithmetic[1]
    assert harmonic[0] < harmonic[1]


def test_power_means_survive_the_smallest_and_largest_floats():
    assert power_mean([[1e-308, 1e-308]], [1, 1], -8)[0] == pytest.approx(1e-308)
    assert power_mean([[1e308, 1e308]], [1, 1], 0.5)[0] == pytest.approx(1e308)


@given(st.lists(st.tuples(shares | st.none(), shares | st.none()), min_size=1, max_size=5))
def test_with_power_one_it_is_the_mean_of_the_parts_that_apply(pairs):
    samples = [Sample("p", "r", meta={"a": a, "b": b}) for a, b in pairs]
    parts = {name: Column(name, low=0, high=1, missing="abstain") for name in "ab"}
    ours, mean = PowerMean(parts, power=1).score(samples), Mean(parts).score(samples)
    assert ours.values == pytest.approx(mean.values, nan_ok=True)
    assert (ours.codes == mean.codes).all()


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=8),
    st.floats(0.01, 100),
    st.floats(-9, 9),
)
def test_a_sum_normalised_in_the_group_does_not_care_about_the_scale_of_a_part(pairs, factor, shift):
    values, groups = np.array(pairs, dtype=float), np.zeros(len(pairs))
    scaled = values * [factor, 1] + [shift, 0]
    assert normalized_sum(scaled, [1, 2], groups) == pytest.approx(normalized_sum(values, [1, 2], groups), abs=1e-5)


def test_a_part_without_variance_adds_nothing_and_unscored_samples_enter_no_mean(told, rows):
    samples = rows({"a": [0.1, 0.1, 0.1], "b": [0.0, 2.0, "fail"]})
    verdicts = NormalizedSum({"a": told("a"), "b": told("b")}).score(samples)
    assert verdicts.values[:2].tolist() == [-1.0, 1.0]
    assert verdicts.reason[2] == "part_failed:b"


@given(shares, st.lists(shares, min_size=1, max_size=3), shares, st.floats(0, 0.5))
def test_aspects_never_cost_and_never_lift_a_response_over_a_better_one_below_the_threshold(h, aspects, threshold, softness):
    value = hierarchical([h], [aspects], [1.0] * len(aspects), threshold, softness)[0]
    assert h - 1e-12 <= value <= h + sum(aspects) + 1e-12
    if h < threshold and softness == 0:
        assert value == h


def test_a_narrow_soft_gate_is_the_hard_one():
    h = np.array([0.1, 0.59, 0.61, 0.9])
    soft, hard = (hierarchical(h, np.ones((4, 1)), [1.0], 0.6, s) for s in (1e-4, 0.0))
    assert soft == pytest.approx(hard)


def test_an_aspect_that_contradicts_the_whole_is_told_by_its_inconsistency():
    h, pairs = np.arange(4.0), [[a, b] for a in range(4) for b in range(a)]
    assert (inconsistency(h, 2 * h, pairs), inconsistency(h, -h, pairs)) == (0.0, 1.0)
    assert np.isnan(inconsistency(h, np.zeros(4), pairs))


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.lists(st.floats(-5, 5), min_size=2, max_size=2), st.booleans())
def test_gated_accumulation_is_its_literal_definition(values, gates, keep):
    total, is_open = 0.0, True
    for k, value in enumerate(values):
        if is_open or (keep and value < 0):
            total += value
        is_open = is_open and (k == 2 or value >= gates[k])
    assert gated_accumulation([values], gates, keep)[0] == pytest.approx(total)


def test_farming_steps_pays_in_a_sum_and_not_behind_the_gate(told, rows):
    parts = {"done": told("done", 0, 1), "steps": told("steps", 0, 100)}
    farm, finish = rows({"done": [0.0, 1.0], "steps": [50.0, 1.0]})
    gated = GatedAccumulation(parts, {"done": 0.5})
    assert gated([farm, finish]).tolist() == [0.0, 2.0]
    plain = parts["done"] + parts["steps"]
    assert plain([farm])[0] > plain([finish])[0]


@given(st.floats(-5, 5), shares, st.floats(-1, 1))
def test_reliability_moves_a_reward_towards_neutral_and_never_past_it(value, p, neutral):
    gated = reliability_gate([value], [p], neutral)[0]
    assert min(value, neutral) - 1e-9 <= gated <= max(value, neutral) + 1e-9
    assert reliability_gate([value], [1.0], neutral)[0] == pytest.approx(value)


def test_a_route_runs_one_reward_for_each_sample_and_no_other():
    route = Route("task", {"math": Math(), "word": Exact()}, other="abstain")
    tasks = ["math", "word", "chess", None]
    verdicts = route.score([Sample("p", "1.0", "1", meta={} if t is None else {"task": t}) for t in tasks])
    assert verdicts.status.tolist() == ["scored", "scored", "abstained", "failed"]
    assert verdicts.values[:2].tolist() == [1.0, 0.0]
    assert verdicts.parts["word"].reason[0] == verdicts.parts["math"].reason[1] == "not_run"
    assert [leaf.name for leaf in leaves(route)] == ["route", "math", "word"]


def test_the_order_in_which_routes_are_written_does_not_count():
    one, two = Route("t", {"a": Math(), "b": Exact()}), Route("t", {"b": Exact(), "a": Math()})
    assert one.fingerprint == two.fingerprint
    sample = Sample("p", "1.0", "1", meta={"t": "a"})
    assert one([sample])[0] == two([sample])[0] == 1.0


@given(st.integers(0, 5000), st.sampled_from(["linear", "cosine", "exponential"]), st.floats(0, 2), st.floats(0, 2))
def test_a_schedule_goes_from_start_to_end_and_never_back(step, curve, start, end):
    now, later = (scheduled_weight(t, start, end, 700, curve, after=50) for t in (step, step + 1))
    assert min(start, end) - 1e-9 <= now <= max(start, end) + 1e-9
    assert (later - now) * (end - start) >= -1e-12
    assert scheduled_weight(50, start, end, 700, curve, after=50) == pytest.approx(start)


def test_a_scheduled_reward_fades_and_without_a_step_it_is_failed_unless_told():
    sample, fading = [Sample("2+2", "4", "4")], Schedule(steps=10) * Exact()
    assert [fading.score(sample, Context(step=t)).values[0] for t in (0, 5, 10)] == [1.0, 0.5, 0.0]
    assert fading.score(sample).reason == ["part_failed:schedule"]
    assert (Schedule(steps=10, unknown=0.25) * Exact())(sample)[0] == 0.25


def test_only_the_stage_in_force_is_run():
    rule = Progressive((F1(), Exact()), starts=(100,))
    sample = [Sample("p", "house red", "red house")]
    assert [rule.score(sample, Context(step=t)).values[0] for t in (0, 99, 100)] == [1.0, 1.0, 0.0]
    assert rule.score(sample, Context(step=0)).parts["stage_2"].reason == ["not_run"]
    assert rule(sample)[0] == 0.0
    assert Progressive((F1(), Exact()), (100,), unknown="fail").score(sample).reason == ["step_missing"]


@pytest.mark.parametrize(
    "make",
    [
        lambda t: PowerMean({"a": t("a")}),
        lambda t: PowerMean({"a": t("a", 0, 1)}, power=2),
        lambda t: PowerMean({}),
        lambda t: NormalizedSum({"a": t("a")}, within="group", means={"a": 0.0}),
        lambda t: NormalizedSum({"a": t("a")}, within="stored", stds={"a": 0.0}),
        lambda t: NormalizedSum({"group": t("a")}),
        lambda t: Hierarchical(t("a"), {"b": t("b")}),
        lambda t: GatedAccumulation({"a": t("a"), "b": t("b", 0, 1)}),
        lambda t: GatedAccumulation({"a": t("a"), "b": t("b", -1, 1)}, {"a": 0.5}),
        lambda t: Reliability(t("a"), t("b")),
        lambda t: Route("c", {}),
        lambda t: Route("c", {"route": t("a")}),
        lambda t: Route("c", {"a": t("a")}, other="skip"),
        lambda t: Progressive((t("a"), t("b")), ()),
        lambda t: Progressive((t("a"), t("b"), t("c")), (5, 5)),
        lambda t: Schedule(start=-1),
        lambda t: Schedule(steps=0),
    ],
)
def test_combinations_that_mean_nothing_are_refused(make, told):
    with pytest.raises(ContractError, match="compose"):
        make(told)


def test_they_round_trip_through_specs_and_keep_the_contract():
    trees = [
        Route("task", {"math": Math(), "word": Exact()}, other=F1()),
        Progressive((F1(), Exact()), starts=(100,)),
        GatedAccumulation({"right": Exact(), "close": F1()}, {"right": 0.5}),
        Hierarchical(F1(), {"exact": Exact()}, softness=0.1),
        Reliability(Exact(), Column("p", low=0, high=1)),
    ]
    for tree in trees:
        assert from_spec(tree.to_yaml()).fingerprint == tree.fingerprint
    assert check_reward(NormalizedSum({"right": Exact(), "close": F1()})).ok
