"""A judge is asked about a rule's noes only, as many as the budget allows, and can only raise them; the rates add up."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit import Context, Sample, Verdict, Verdicts
from plaudit.compose import Appeal, AppealOutcomes, Column, NoiseCorrected, appeal_outcomes
from plaudit.errors import ContractError, DataError
from plaudit.reward import from_spec, reward
from plaudit.testing import RewardTester
from plaudit.verify import F1, Exact


class Recorded:
    """A rule and a judge that say what stands in the columns; the judge notes whom it was asked about."""

    def __init__(self):
        self.asked = []

        @reward(range=(0, 1))
        def judge(response, judged):
            self.asked.append(response)
            return Verdict.failed("worker_lost") if judged == "fail" else Verdict.abstained() if judged is None else judged

        self.judge = judge

    def appeal(self, **fields):
        return Appeal(Column("ruled", low=0, high=1), self.judge, **fields)


@pytest.fixture
def recorded():
    return Recorded()


def samples(ruled, judged):
    pairs = enumerate(zip(ruled, judged, strict=True))
    return [Sample("p", f"r{i}", meta={"ruled": a, "judged": b}) for i, (a, b) in pairs]


def test_only_the_rules_noes_are_asked_and_only_raised(recorded):
    ruled = [1.0, 0.0, 1.0, 0.0, 0.3, 0.0]
    judged = [0.0, 1.0, 0.0, 0.0, 1.0, 0.7]
    verdicts = recorded.appeal().score(samples(ruled, judged))
    assert sorted(recorded.asked) == ["r1", "r3", "r5"]
    assert verdicts.values.tolist() == [1.0, 1.0, 1.0, 0.0, 0.3, 0.7]
    assert [row and row["appeal"] for row in verdicts.details] == [None, "overturned", None, "upheld", None, "overturned"]
    json.dumps(verdicts.details)


def test_a_judge_that_would_lower_a_rule_negative_below_its_value_does_not(recorded):
    verdicts = recorded.appeal(negative=0.3, accept=0.6).score(samples([0.3, 0.2, 0.31], [0.0, 0.59, 1.0]))
    assert verdicts.values.tolist() == [0.3, 0.2, 0.31]
    assert sorted(recorded.asked) == ["r0", "r1"]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.4, 0.9, 1.0, None, "fail"])), min_size=1),
    st.floats(0, 1), st.none() | st.integers(0, 5), st.integers(0, 3),
)  # fmt: skip
def test_whatever_is_said_nothing_falls_and_nobody_beyond_the_budget_is_asked(pairs, budget, at_most, seed):
    recorded = Recorded()
    ruled, judged = zip(*pairs, strict=True)
    verdicts = recorded.appeal(budget=budget, at_most=at_most, seed=seed).score(samples(ruled, judged))
    noes = sum(value == 0 for value in ruled)
    expected = min(math.floor(budget * noes + 1e-9), noes if at_most is None else at_most)
    assert len(recorded.asked) == len(set(recorded.asked)) == expected == appeal_outcomes(verdicts).asked
    assert (verdicts.codes == 0).all()
    assert (verdicts.values >= np.array(ruled)).all()
    asked = [int(name[1:]) for name in recorded.asked]
    raised = set(np.flatnonzero(verdicts.values > np.array(ruled)).tolist())
    assert raised == {i for i in asked if judged[i] in (0.9, 1.0)}
    assert all(ruled[i] == 0 for i in asked)


def test_half_the_budget_asks_half_the_noes_and_the_same_ones_in_any_order_and_after_any_seed_others(recorded):
    given_samples = samples([0.0] * 100 + [1.0] * 50, [1.0] * 150)

    def asked(rows, seed):
        recorded.asked.clear()
        verdicts = recorded.appeal(budget=0.29, seed=seed).score(rows)
        assert verdicts.values.sum() == 50 + 29
        return set(recorded.asked)

    first = asked(given_samples, 0)
    assert len(first) == 29
    assert first == asked(given_samples[::-1], 0)
    assert first != asked(given_samples, 1)


def test_a_number_limits_what_the_share_allows(recorded):
    rows = samples([0.0] * 10, [1.0] * 10)
    assert recorded.appeal(at_most=3).score(rows).values.sum() == 3
    assert recorded.appeal(at_most=30).score(rows).values.sum() == 10
    assert recorded.appeal(at_most=3, budget=0.2).score(rows).values.sum() == 2
    assert len(recorded.asked) == 15
    assert recorded.appeal(budget=0).score(rows).values.sum() == 0
    assert recorded.appeal(at_most=0).score(rows).values.sum() == 0
    assert len(recorded.asked) == 15


def test_what_a_judge_says_of_a_yes_counts_nowhere_even_where_it_is_known(recorded):
    appeal = recorded.appeal(accept=0.4)
    columns = {"rule": Verdicts.of([Verdict(0.6), Verdict(0.0)]), "judge": Verdicts.of([Verdict(1.0), Verdict(0.5)])}
    verdicts = appeal.combine(columns)
    assert verdicts.values.tolist() == [0.6, 0.5]
    assert list(verdicts.details) == [None, {"appeal": "overturned"}]


def test_a_judge_that_fails_or_abstains_leaves_the_rules_value_and_is_counted(recorded):
    verdicts = recorded.appeal().score(samples([0.0, 0.0, 0.0, 1.0], ["fail", None, 1.0, 0.0]))
    assert verdicts.values.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert verdicts.n_scored == 4
    assert [row and row["appeal"] for row in verdicts.details] == ["failed", "abstained", "overturned", None]
    assert verdicts.parts["judge"].status.tolist() == ["failed", "abstained", "scored", "abstained"]
    assert appeal_outcomes(verdicts) == AppealOutcomes(positives=1, negatives=3, asked=3, overturned=1, unanswered=2)


def test_a_rule_that_fails_or_abstains_asks_nobody(recorded, told):
    ruled = [{"rule": "fail", "judged": 1.0}, {"rule": None, "judged": 1.0}, {"rule": 0.0, "judged": 1.0}]
    verdicts = Appeal(told("rule", 0, 1), recorded.judge).score([Sample("p", f"r{i}", meta=m) for i, m in enumerate(ruled)])
    assert verdicts.status.tolist() == ["failed", "abstained", "scored"]
    assert list(verdicts.reason)[:2] == ["part_failed:rule", "all_abstained"]
    assert recorded.asked == ["r2"]
    assert appeal_outcomes(verdicts) == AppealOutcomes(negatives=1, asked=1, overturned=1)


def test_a_closed_gate_around_it_keeps_the_judge_out(recorded):
    rows = [Sample("p", f"r{i}", meta={"ruled": 0.0, "judged": 1.0, "open": float(i < 2)}) for i in range(6)]
    for fields in ({}, {"budget": 0.5}):
        recorded.asked.clear()
        values = Column("open", low=0, high=1).gate(recorded.appeal(**fields)).score(rows).values
        assert len(recorded.asked) == (1 if fields else 2)
        assert set(recorded.asked) <= {"r0", "r1"}
        assert values.sum() == len(recorded.asked)


def test_outcomes_are_found_below_a_correction_and_under_another_name(recorded):
    rows = samples([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    expected = AppealOutcomes(positives=1, negatives=3, asked=3, overturned=1)
    corrected = NoiseCorrected(recorded.appeal().named("rule first"), false_negative=0.1).score(rows)
    assert appeal_outcomes(corrected.parts["rule first"]) == expected
    assert appeal_outcomes(recorded.appeal().named("x").score(rows)) == expected


def test_an_overturned_no_has_the_judges_reason_and_every_other_row_the_rules():
    verdicts = Appeal(Exact(), F1(), accept=0.9).score([Sample("p", text, "a b") for text in ("a b", "b a", "c")])
    rule, judge = verdicts.parts["rule"], verdicts.parts["judge"]
    assert list(verdicts.reason) == [rule.reason[0], judge.reason[1], rule.reason[2]]
    assert judge.reason[0] == "not_run"
    assert "draw" not in verdicts.parts


def test_the_whole_budget_looks_at_single_samples_and_a_smaller_one_at_the_batch(recorded):
    assert recorded.appeal().facts.scope == "sample"
    assert recorded.appeal(budget=0.5).facts.scope == recorded.appeal(at_most=4).facts.scope == "batch"
    assert {43, 59} <= set(recorded.appeal().facts.systems)
    assert recorded.appeal(budget=0.5).facts.parts == ("rule", "judge", "draw")


def test_the_rates_by_hand():
    # 6 yeses, 8 noes; of 4 asked one is unanswered, one of three overturned: 8/3 of the noes are right, 5/3 stay wrong.
    found = AppealOutcomes(positives=6, negatives=8, asked=4, overturned=1, unanswered=1)
    assert found.false_negative == pytest.approx((8 / 3) / (8 / 3 + 6))
    assert found.remaining == pytest.approx((5 / 3) / (8 / 3 + 6))
    full = AppealOutcomes(positives=6, negatives=8, asked=8, overturned=2)
    assert full.false_negative == 0.25
    assert full.remaining == 0
    assert full + found == AppealOutcomes(12, 16, 12, 3, 1)
    for empty in (AppealOutcomes(), AppealOutcomes(6, 8), AppealOutcomes(6, 8, 2, 0, 2), AppealOutcomes(0, 8, 8)):
        assert math.isnan(empty.false_negative)
        assert math.isnan(empty.remaining)


def test_the_estimated_rates_come_near_the_planted_ones_and_the_corrected_reward_near_the_truth(recorded):
    draw = np.random.default_rng(0)
    n = 20_000
    right = draw.random(n) < 0.5
    missed = draw.random(n) < 0.3
    ruled, judged = (right & ~missed).astype(float), right.astype(float)
    rows = samples(ruled.tolist(), judged.tolist())
    asking = recorded.appeal(budget=0.2)
    verdicts = asking.score(rows)
    found = appeal_outcomes(verdicts)
    assert found.asked == math.floor(0.2 * (ruled == 0).sum()) == len(recorded.asked)
    planted = float(missed[right].mean())
    # The standard error of the share overturned is about 0.008, so that of the rate about 0.008 too.
    assert found.false_negative == pytest.approx(planted, abs=0.03)
    assert found.remaining == pytest.approx(float((verdicts.values[right] == 0).mean()), abs=0.03)
    for checker, rate in ((Column("ruled", low=0, high=1), found.false_negative), (asking, found.remaining)):
        assert NoiseCorrected(checker, false_negative=rate)(rows)[right].mean() == pytest.approx(1.0, abs=0.05)
    assert ruled[right].mean() < 0.72


def test_outcomes_of_other_verdicts_are_refused():
    with pytest.raises(DataError, match=r"expected those of compose\.appeal"):
        appeal_outcomes(Exact().score([Sample("p", "r", "r")]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"budget": 1.5}, "budget is 1.5"),
        ({"budget": math.nan}, "budget is nan"),
        ({"at_most": -1}, "at_most is -1"),
        ({"at_most": 2.5}, "at_most is 2.5"),
        ({"at_most": True}, "at_most is True"),
        ({"accept": 0.0}, "above negative"),
        ({"accept": 1.5}, "within reach of the judge"),
        ({"negative": -0.5}, "nothing to appeal"),
        ({"judge": Column("judged", low=0, high=2)}, "earn more than a yes"),
        ({"judge": reward(lambda response: 1.0)}, "declares no range"),
        ({"judge": reward(lambda responses: [1.0] * len(responses), range=(0, 1), scope="group", batch=True)}, "a whole group"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, said):
    with pytest.raises(ContractError, match=said):
        Appeal(**{"rule": Exact(), "judge": F1(), **fields})


@pytest.mark.parametrize("fields", [{}, {"budget": 0.25, "seed": 7}, {"at_most": 5, "negative": 0.1, "accept": 0.8}])
def test_a_spec_gives_the_same_reward_again(fields):
    built = Appeal(Exact(), F1(), **fields)
    again = from_spec(built.spec)
    assert again == built
    assert again.fingerprint == built.fingerprint
    assert from_spec(built.to_yaml()).fingerprint == built.fingerprint
    assert built.spec["use"] == "compose.appeal"


def test_rule_and_judge_cannot_be_exchanged_unseen():
    assert Appeal(Exact(), F1()).fingerprint != Appeal(F1(), Exact()).fingerprint


def test_a_limited_appeal_keeps_the_contract():
    golden = [(Sample("p", "red house", "red house"), 1.0)]
    report = RewardTester(Appeal(Exact(), F1(), accept=0.9, budget=0.5), golden=golden, context=Context()).run()
    assert report["golden"].result == "ok"


def test_explain_shows_the_rule_and_the_judge():
    text = str(Appeal(Exact(), F1(), accept=0.9).explain(Sample("p", "house red", "red house")))
    assert "rule" in text
    assert "judge" in text
