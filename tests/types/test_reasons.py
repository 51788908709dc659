"""One table says which reason codes there are, and what status each belongs to."""

import pytest

from plaudit.types import REASONS, Pair, Preference, Status, Verdict, declare_reason, reason


def test_every_code_of_the_response_is_scored_and_none_of_ours_is_named_so():
    for row in REASONS.values():
        assert row.code.startswith("response_") <= (row.status is Status.SCORED)
        assert row.sentence.endswith(".")


def test_a_code_may_carry_a_name_after_a_colon():
    assert reason("part_failed:right.0") is REASONS["part_failed"]


def test_an_undeclared_code_is_refused_wherever_it_turns_up():
    with pytest.raises(KeyError, match="declare_reason"):
        reason("made_up")
    with pytest.raises(KeyError, match="made_up"):
        Verdict.failed("made_up")
    with pytest.raises(KeyError, match="made_up"):
        Verdict(1.0, reason="made_up")


@pytest.mark.parametrize("code", ["Bad", "with space", "", "dash-ed"])
def test_a_code_is_lower_case_with_underscores(code):
    with pytest.raises(ValueError, match="expected lower-case"):
        declare_reason(code, Status.FAILED, "Some sentence.")
    assert code not in REASONS


def test_a_code_cannot_change_its_meaning_and_the_responses_fault_cannot_be_ours():
    with pytest.raises(ValueError, match="already declared"):
        declare_reason("worker_lost", Status.FAILED, "Something else.")
    with pytest.raises(ValueError, match="SCORED"):
        declare_reason("response_blamed", Status.FAILED, "The response did it.")


def test_a_room_may_declare_its_own_code_again_and_again():
    row = declare_reason("test_only_reason", Status.ABSTAINED, "For this test.")
    assert declare_reason("test_only_reason", Status.ABSTAINED, "For this test.") == row
    assert Verdict.abstained("test_only_reason").reason == "test_only_reason"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Verdict(None),
        lambda: Verdict(float("nan")),
        lambda: Verdict(float("inf")),
        lambda: Verdict(1.0, Status.FAILED, "worker_lost"),
        lambda: Verdict(0.0, Status.ABSTAINED, "not_applicable"),
        lambda: Verdict(None, Status.FAILED),
        lambda: Verdict(1.0, reason="worker_lost"),
        lambda: Verdict(None, Status.FAILED, "response_wrong"),
        lambda: Verdict.abstained("worker_lost"),
        lambda: Preference(None),
        lambda: Preference(1.5),
        lambda: Preference(-0.1),
        lambda: Preference(0.5, Status.FAILED, "judge_unreachable"),
        lambda: Preference(None, Status.FAILED),
    ],
)
def test_a_value_a_status_and_a_reason_that_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match=r"expected|belongs to"):
        make()


def test_a_pair_is_a_row_of_data_with_defaults_that_claim_nothing():
    pair = Pair("2+2", "4", "5")
    assert (pair.margin, pair.tie, pair.annotator, dict(pair.meta)) == (None, False, None, {})
