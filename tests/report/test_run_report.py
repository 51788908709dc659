"""The report of a run: its figures are those of the run, its rows those of the data file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report.runs import ROWS, SPEC, score

from plaudit.errors import DataError, RunError
from plaudit.report import leaf_shares, leaf_shares_of, run_page
from plaudit.types import Verdict, Verdicts


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, re.S)
    assert found is not None, re.findall(r'<section id="([^"]+)"', html)
    return found[0]


def test_the_figures_are_those_of_the_run(run: Path) -> None:
    page, figures = run_page(run)
    assert (figures["n"], figures["scored"], figures["abstained"], figures["failed"], figures["ended"]) == (7, 5, 1, 1, True)
    assert figures["mean"] == pytest.approx((1.5 + 1 / 6 + 7 / 6 + 1.5 + 0) / 5)
    assert [leaf["name"] for leaf in figures["leaves"]] == ["correct", "steps"]
    assert sum(leaf["share"] for leaf in figures["leaves"]) == pytest.approx(1)
    assert sum(leaf["variance"] for leaf in figures["leaves"]) == pytest.approx(1)
    json.dumps(figures)
    assert "7</b><span>rows" in page.html()


def test_best_and_worst_rows_show_their_answer_with_the_rewards_of_its_steps(run: Path) -> None:
    html = run_page(run, rows=2)[0].html()
    best, worst = section(html, "best-rows"), section(html, "worst-rows")
    assert re.findall(r'class="id">([^<]+)', best) == ["right", "best"]
    assert "steps judged by steps" in best
    assert 'title="step 1: 1"' in best
    assert "cut" not in best
    assert re.findall(r'class="big">([^<]+)', worst)[0] == "0"
    assert "response_" in worst


def test_rows_that_failed_or_cannot_be_read_are_listed(run: Path) -> None:
    html = section(run_page(run)[0].html(), "failures")
    assert "Rows that cannot be read (1)" in html
    assert "completion" in html


def test_a_run_that_has_not_ended_says_so_and_has_a_report(tmp_path: Path, data: Path) -> None:
    page, figures = run_page(score(tmp_path / "half", SPEC, data, ended=False))
    assert not figures["ended"]
    assert "This run has not ended" in page.html()
    assert figures["leaves"][0]["mean"] is not None


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_without_the_data_file_the_figures_stand_and_the_texts_are_said_to_be_missing(
    run: Path, data: Path, change: str, tmp_path: Path
) -> None:
    kept = data.rename(tmp_path / "moved.jsonl")
    if change == "changed":
        data.write_text('{"id": "right", "prompt": "x", "completion": "not what was scored"}\n')
    html = run_page(run)[0].html()
    assert ("is not there any more" if change == "gone" else "has changed since the run") in html
    assert "not what was scored" not in html
    assert "Leaves: correct" in html
    assert "4*5=20" in run_page(run, data=kept)[0].html()


def test_another_file_is_refused_as_the_data(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(ROWS[0]) + "\n")
    with pytest.raises(DataError, match="is not the file that the run"):
        run_page(run, data=other)


def test_a_relative_name_is_looked_for_beside_the_run_too(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "data": "answers.jsonl"}))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert "4*5=20" in run_page(run)[0].html()


class TestJudgingAgain:
    def test_it_can_be_left_out(self, run: Path) -> None:
        assert "judged by" not in run_page(run, rescore_rows=False)[0].html()

    def test_code_that_a_run_names_is_run_only_on_request(self, tmp_path: Path, data: Path) -> None:
        code = tmp_path / "mine.py"
        code.write_text("def one(response): return 1.0\n")
        spec = {"use": "function", "path": f"{code}:one"}
        run = score(tmp_path / "own", spec, data)
        marker = tmp_path / "ran"
        code.write_text(f"open({str(marker)!r}, 'w').close()\ndef one(response): return 1.0\n")
        assert "runs code of its own (function)" in run_page(run)[0].html()
        assert not marker.exists()
        assert "has changed since the run" in run_page(run, rescore_rows=True)[0].html()
        assert marker.exists()

    def test_a_reward_that_has_changed_since_is_not_asked(self, run: Path) -> None:
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["spec"]["weights"]["steps"] = 0.25
        (run / "manifest.json").write_text(json.dumps(manifest))
        html = run_page(run)[0].html()
        assert "its fingerprint differs" in html
        assert "judged by" not in html

    def test_a_value_that_depends_on_other_rows_is_not_asked_for_alone(self, run: Path) -> None:
        from dataclasses import dataclass

        from plaudit.report._rescore import _refusal
        from plaudit.reward import Facts, Reward

        @dataclass(frozen=True)
        class Grouped(Reward):
            @property
            def facts(self) -> Facts:
                return Facts(range=(0, 1), scope="group")

            def score_batch(self, samples: Any, context: Any) -> Any:
                return [Verdict(1.0) for _ in samples]

        assert "more than its own row" in str(_refusal(Grouped(), Grouped().fingerprint, True))


@pytest.mark.parametrize("damage", ["no folder", "no manifest"])
def test_what_is_no_run_is_named_with_what_is_expected(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "nothing"
    if damage == "no manifest":
        folder.mkdir()
    with pytest.raises(RunError, match="expected the folder that `plaudit score"):
        run_page(folder)


@pytest.mark.parametrize("rows", [[], [{"id": "a", "prompt": "what?", "completion": "no"}]], ids=["empty", "nothing scored"])
def test_a_run_without_values_has_an_honest_report(tmp_path: Path, rows: list[Any]) -> None:
    data = tmp_path / "few.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"prompt": 1}\n')
    page, figures = run_page(score(tmp_path / "empty", SPEC, data))
    assert figures["scored"] == 0
    assert figures["mean"] is None
    assert "Nothing to draw" in page.html()


class TestLeafShares:
    def test_shares_of_the_variance_add_up_and_may_work_against_the_rest(self) -> None:
        rng = np.random.default_rng(0)
        a, noise = rng.normal(size=1000), rng.normal(size=1000)
        against = -0.3 * a + 0.01 * noise
        found = leaf_shares(a + against, {"a": a, "against": against}, {"a": 1.0, "against": 1.0})
        assert sum(leaf.variance for leaf in found) == pytest.approx(1)
        assert found[1].variance < 0

    def test_a_leaf_that_was_not_run_adds_nothing(self) -> None:
        a = np.array([1.0, np.nan])
        (leaf,) = leaf_shares(np.array([1.0, 0.0]), {"a": a}, {"a": 1.0}, np.array([[b"s"], [b"-"]], dtype="S1"))
        assert (leaf.scored, leaf.not_run, leaf.mean, leaf.variance) == (1, 1, 1.0, pytest.approx(1.0))

    def test_parts_of_verdicts_are_leaves(self) -> None:
        many = Verdicts.of(
            [Verdict(1.0, parts={"a": Verdict(1.0)}), Verdict.failed("worker_lost", parts={"a": Verdict.abstained()})]
        )
        (leaf,) = leaf_shares_of(many)
        assert (leaf.name, leaf.scored, leaf.abstained, leaf.weight) == ("a", 1, 1, None)
        assert np.isnan(leaf.share)
