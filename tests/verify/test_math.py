"""verify.math: what decides, what is reported, and whose fault it is when nothing can be decided."""

import json
import os
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.reward import from_spec
from plaudit.types import Context, Sample, Status
from plaudit.verify import Math


def judge(response, reference="42", math=None, **fields):
    return (math or Math()).score_one(Sample("q", response, reference, **fields), Context())


class TestReport:
    def test_a_right_answer_says_what_was_read_by_which_rule_and_which_stage_decided(self):
        verdict = judge(r"It is \boxed{ 42 }.")
        assert (verdict.value, verdict.reason, verdict.answer) == (1.0, "response_right", "42")
        assert dict(verdict.details) == {"rule": "boxed", "stage": "identical"}

    def test_a_number_written_otherwise_is_decided_by_the_rational_stage(self):
        assert judge(r"\boxed{84/2}").details["stage"] == "rational"

    def test_a_wrong_number_is_wrong(self):
        verdict = judge("The answer is 43.")
        assert (verdict.value, verdict.reason, verdict.answer, verdict.details["rule"]) == (0.0, "response_wrong", "43", "stated")

    def test_a_contradiction_is_explained(self):
        verdict = judge("\\boxed{42}\nFinal answer: 43")
        assert (verdict.reason, verdict.details["stage"]) == ("response_wrong", "contradicted")
        assert "43" in verdict.explanation

    def test_a_long_answer_is_shown_in_part(self):
        assert len(judge("<answer>" + "x" * 5_000 + "</answer>").answer) == 501


class TestFaultOfTheResponse:
    @pytest.mark.parametrize(
        ("response", "reason"),
        [
            ("", "response_empty"),
            ("<think>x</think> \n", "response_empty"),
            ("I give up.", "response_no_answer"),
            (r"\boxed{}", "response_no_answer"),
            ("<think>42", "response_unclosed_thought"),
            (r"\boxed{six times seven}", "response_unparsable"),
            (r"\boxed{42", "response_unparsable"),
            (r"\boxed{41, 42}", "response_wrong"),
            (r"\boxed{6 \times 7}", "response_wrong"),
            ("x" * 200_001, "response_too_large"),
        ],
    )
    def test_it_is_scored_zero_with_the_reason(self, response, reason):
        verdict = judge(response)
        assert (verdict.value, verdict.reason) == (0.0, reason)

    def test_a_response_that_was_cut_off_has_no_answer_unless_it_states_one(self):
        assert judge("6 rows of 7 make 42", finish="length").reason == "response_no_answer"
        assert judge("The answer is 42", finish="length").reason == "response_unparsable"
        assert judge("#### 42", finish="length").reason == "response_unparsable"
        assert judge(r"So \boxed{42}. And so on, and so", finish="length").value == 1.0
        assert judge("The answer is 42. And so on, and", finish="length").value == 1.0
        assert judge("6 rows of 7 make 42", finish="stop").value == 1.0


class TestFaultOfTheReference:
    @pytest.mark.parametrize("reference", [None, "", "  \n", [], [None], ["", None], ()])
    def test_a_missing_reference_fails(self, reference):
        verdict = judge(r"\boxed{42}", reference)
        assert (verdict.status, verdict.reason, verdict.value) == (Status.FAILED, "reference_missing", None)

    @pytest.mark.parametrize(
        "reference",
        [
            "a long story without an answer, " * 20, r"\boxed{42", "9" * 20_000, True, {"a": 1}, b"42", float("nan"),
            float("inf"), Decimal("nan"), "...",
            pytest.param(10**5_000, id="5000 digits"), pytest.param([10**5_000], id="list of 5000 digits"),
        ],
    )  # fmt: skip
    def test_a_reference_that_is_no_answer_fails_whatever_the_response_says(self, reference):
        written = reference if isinstance(reference, str) else "42"
        responses = ["", r"\boxed{42}", f"\\boxed{{{written}}}", "<think>", written]
        verdicts = [judge(response, reference) for response in responses]
        assert {(v.status, v.reason) for v in verdicts} == {(Status.FAILED, "reference_unreadable")}

    def test_the_explanation_shows_the_reference(self):
        assert "boxed{42" in judge("42", r"\boxed{42").explanation

    @pytest.mark.parametrize(
        "reference", [42, 42.0, np.int64(42), np.float32(42), Fraction(84, 2), Decimal("42.0"), "42", ["41", 42], (42,)]
    )
    def test_numbers_of_every_type_are_references(self, reference):
        assert judge(r"\boxed{42}", reference).value == 1.0
        assert judge(r"\boxed{43}", reference).value == 0.0

    def test_a_float_reference_is_the_decimal_that_python_writes(self):
        assert judge("0.1", 0.1).value == 1.0
        assert judge("0.30000000000000004", 0.1 + 0.2).value == 1.0
        assert judge("0.3", 0.1 + 0.2).value == 0.0

    def test_of_several_references_the_best_or_the_mean_counts(self):
        mean = Math(several="mean")
        assert judge(r"\boxed{0.5}", ["1/2", "0.5", "0.6", "x"]).value == 1.0
        assert judge(r"\boxed{0.5}", ["1/2", "0.5", "0.6", "x"], mean).value == 0.5
        assert judge(r"\boxed{7}", ["1/2", "0.5"], mean).value == 0.0

    def test_of_several_references_texts_count_by_their_words(self):
        assert [judge(r, ["1/2", "one half"]).value for r in (r"\boxed{0.5}", r"\boxed{one half}", r"\boxed{half}")] == [
            1.0,
            1.0,
            0.0,
        ]

    @pytest.mark.parametrize(
        "solution",
        [
            "She sells 9.\n#### 18",
            "She sells 9.\nA: 18",
            r"Hence $\boxed{18}$ dollars.",
            "<answer>18</answer>",
            "The answer is 18.",
        ],
    )
    def test_a_worked_solution_is_a_reference(self, solution):
        assert judge(r"\boxed{18}", solution).value == 1.0
        assert judge(r"\boxed{9}", solution).value == 0.0


class TestOptions:
    def test_fewer_rules_are_stricter(self):
        strict = Math(rules=("boxed",))
        assert judge("#### 42", math=strict).reason == "response_no_answer"
        assert judge(r"\boxed{42}", math=strict).value == 1.0

    def test_whole_reads_the_thinking_too(self):
        assert judge(r"<think>\boxed{42}", math=Math(read="whole")).value == 1.0

    def test_percent_and_units_are_conventions(self):
        assert judge(r"\boxed{25\%}", "1/4", math=Math(percent="value")).value == 1.0
        assert judge(r"\boxed{25\%}", "25", math=Math(percent="value")).value == 0.0
        assert judge(r"\boxed{25 km}", "25", math=Math(units="strict")).value == 0.0

    def test_the_size_guard_is_an_option(self):
        assert judge("The answer is 42", math=Math(max_chars=10)).reason == "response_too_large"

    def test_a_timeout_moves_it_to_the_cpu_lane(self):
        assert (Math().facts.lane, Math().facts.timeout) == ("inline", None)
        assert (Math(timeout=2.0).facts.lane, Math(timeout=2.0).facts.timeout) == ("cpu", 2.0)

    @pytest.mark.parametrize("fields", [{"rules": ("box",)}, {"rules": ()}, {"max_chars": 0}, {"timeout": 0.0}])
    def test_bad_fields_are_refused(self, fields):
        with pytest.raises(SpecError, match=r"verify\.math"):
            Math(**fields)

    def test_it_is_built_from_a_spec(self):
        built = from_spec({"use": "verify.math", "rules": ["boxed", "hash"], "percent": "value"})
        assert built == Math(rules=("boxed", "hash"), percent="value")
        assert from_spec(built.spec).fingerprint == built.fingerprint != Math().fingerprint


values = st.integers(-(10**6), 10**6)
closings = st.sampled_from([r"\boxed{%s}", "\n#### %s", "\nThe answer is %s.", "<answer>%s</answer>", "\nA: %s", " so we get %s"])
WORDS = "we add the apples of Tom and then look at 3 of 7 crates , which cost $ 2.50 each ."
prose = st.lists(st.sampled_from(WORDS.split(" ")), max_size=30)


@given(prose.map(" ".join), closings, values, values)
def test_what_a_response_commits_to_decides(text, closing, said, gold):
    verdict = judge(text + " = " + closing % said, str(gold))
    assert verdict.value == float(said == gold), verdict


@given(st.text(max_size=300), values)
def test_any_text_is_scored(text, gold):
    verdict = judge(text, str(gold))
    assert verdict.status is Status.SCORED
    assert verdict.value in (0.0, 1.0)


@given(st.lists(values, min_size=2, max_size=6, unique=True), st.randoms())
def test_naming_several_candidates_never_pays(candidates, random):
    gold = random.choice(candidates)
    wraps = ("%s", r"\boxed{%s}", "<answer>%s</answer>", "The answer is %s.", "#### %s")
    # "123 456" is the usual way to group thousands, and so one number; a line break ends a statement.
    joins = [(", ", wraps), (" or ", wraps), ("; ", wraps), ("\n", wraps[:3])]
    if all(len(str(abs(candidate))) != 3 for candidate in candidates):
        joins.append((" ", wraps))
    for separator, ways in joins:
        for wrap in ways:
            response = wrap % separator.join(map(str, candidates))
            assert judge(response, str(gold)).value == 0.0, response
    boxes = " or ".join(f"\\boxed{{{c}}}" for c in candidates)
    assert judge(boxes, str(gold)).value == 0.0


@pytest.mark.skipif("PLAUDIT_DATA" not in os.environ, reason="PLAUDIT_DATA is not set: the labelled pairs are not here")
def test_labelled_pairs_are_judged_as_labelled():
    path = Path(os.environ["PLAUDIT_DATA"]) / "math_equivalence.jsonl"
    with path.open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if not row["debatable"]]
    counts: Counter[str] = Counter()
    for row in rows:
        bare = row["kind"] == "pair" and "boxed" not in row["pred"]
        verdict = judge(f"\\boxed{{{row['pred']}}}" if bare else row["pred"], str(row["gold"]))
        right = verdict.value == 1.0
        counts[("T" if right == row["equal"] else "F") + ("P" if right else "N")] += 1
    assert counts["FP"] <= 2, counts
    assert counts.total() > 700
    assert (counts["TP"] + counts["TN"]) / counts.total() >= 0.975, counts
