"""`RewardTester` holds a reward to golden samples, hacks, a reference implementation and its own declarations."""

import pytest

from plaudit import Sample, Status, Verdict
from plaudit.reward import reward
from plaudit.testing import RewardTester
from plaudit.verify import Exact

GOLDEN = [(Sample("2+2", "4", "4"), 1.0), (Sample("2+2", "5", "4"), 0.0)]
HACKS = [Sample("2+2", "4 or 5", "4"), Sample("2+2", "", "4")]


def failed(tester):
    return {finding.check for finding in tester.report().failed}


def test_a_good_reward_passes_everything_and_the_report_says_what_was_done():
    report = RewardTester(Exact(), golden=GOLDEN, hacks=HACKS, reference=lambda s: float(s.response == s.reference)).run()
    assert {report[check].result for check in ("golden", "hacks", "reference", "process", "spec", "reads")} == {"ok"}
    assert "2 golden samples" in report["golden"].sentence


def test_a_wrong_golden_value_is_named_with_what_came_instead():
    with pytest.raises(AssertionError, match=r"golden 1 \('5'\): expected 1; got 0 response_wrong"):
        RewardTester(Exact(), golden=[GOLDEN[0], (Sample("2+2", "5", "4"), 1.0)]).run()


def test_a_hack_that_earns_something_is_named():
    lenient = reward(lambda response, reference: float(reference in response), range=(0, 1)).named("lenient")
    with pytest.raises(AssertionError, match=r"hack 0 \('4 or 5'\): expected 0, got 1"):
        RewardTester(lenient, golden=GOLDEN, hacks=HACKS).run()


def test_golden_expectations_may_be_statuses_reasons_and_conditions():
    sample = Sample("2+2", "4")  # has no reference: FAILED reference_missing
    right = [Status.FAILED, "reference_missing", lambda verdict: verdict.value is None]
    wrong = [Status.SCORED, "worker_lost", lambda verdict: verdict.value == 1, 0.0]
    assert RewardTester(Exact(), golden=[*GOLDEN, *((sample, said) for said in right)]).run().ok
    report = RewardTester(Exact(), golden=[*GOLDEN, *((sample, said) for said in wrong)]).report()
    sentences = [finding.sentence for finding in report.failed]
    assert [f"golden {k + 2} " in said for k, said in enumerate(sentences)] == [True] * 4
    for said, expected in zip(sentences, ("SCORED", "reason 'worker_lost'", "<lambda> to hold", "expected 0"), strict=True):
        assert expected in said
        assert "got FAILED reference_missing" in said


def test_hacks_need_a_bottom_to_be_held_to():
    open_ended = reward(lambda response: 0.0, range=(float("-inf"), 1))
    assert failed(RewardTester(open_ended, golden=[(GOLDEN[0][0], 0.0)], hacks=HACKS)) == {"hacks"}


def test_a_reference_implementation_that_disagrees_is_a_failure_also_about_what_is_scored():
    assert failed(RewardTester(Exact(), golden=GOLDEN, reference=lambda s: 1.0)) == {"reference"}
    assert failed(RewardTester(Exact(), golden=GOLDEN, reference=lambda s: None)) == {"reference"}
    silent = reward(lambda response: None if response == "5" else 1.0, range=(0, 1))
    golden = [(GOLDEN[0][0], 1.0), (GOLDEN[1][0], Status.ABSTAINED)]
    report = RewardTester(silent, golden=golden, reference=lambda s: float("nan") if s.response == "5" else 1.0).report()
    assert report["reference"].result == "ok"


def test_a_broken_declaration_fails_the_tester_too():
    greedy = reward(lambda response: 2.0, range=(0, 1))
    assert {"range", "samples"} <= failed(RewardTester(greedy, golden=[(GOLDEN[0][0], lambda v: True)]))


def test_what_cannot_be_tried_is_skipped_with_a_reason():
    report = RewardTester(reward(lambda response: Verdict(0.5), range=(0, 1))).report()
    assert {report[check].result for check in ("golden", "hacks", "process")} == {"skipped"}
    assert "no spec" in report["process"].sentence


def test_a_fingerprint_that_depends_on_the_process_is_found(tmp_path, monkeypatch):
    (tmp_path / "unsteady.py").write_text(
        "import os\nfrom dataclasses import dataclass\nfrom plaudit.verify import Exact\n"
        "@dataclass(frozen=True)\nclass Unsteady(Exact):\n"
        "    def identity(self): return {**super().identity(), 'pid': os.getpid()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import unsteady

    assert failed(RewardTester(unsteady.Unsteady(), golden=GOLDEN)) == {"process"}
