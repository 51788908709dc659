"""`plaudit report` and `plaudit diff` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report.runs import SPEC, score

from plaudit.cli import main


def test_report_writes_the_page_into_the_run_unless_told_otherwise(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    capsys.readouterr()
    assert main(["report", str(run), "-o", str(tmp_path / "r.html"), "--json", "--rows", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"run", "report", "ended", "n", "scored", "abstained", "failed", "mean", "std", "reasons", "leaves"}
    assert found["report"] == str(tmp_path / "r.html")


def test_a_report_in_the_run_does_not_stop_the_run_from_going_on(run: Path, data: Path) -> None:
    assert main(["report", str(run)]) == 0
    score(run, SPEC, data)
    assert main(["report", str(run)]) == 0


def test_diff_ends_with_0_and_with_1_only_when_asked(
    run: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = score(tmp_path / "second", {**SPEC, "weights": {"correct": 1.0, "steps": 0.1}}, data)
    assert main(["diff", str(run), str(other), "-o", str(tmp_path / "d.html")]) == 0
    said = capsys.readouterr().out
    assert "rows in both" in said
    assert "another reward, the same data" in said
    assert (tmp_path / "d.html").exists()
    assert main(["diff", str(run), str(other), "--fail-if-changed"]) == 1
    assert main(["diff", str(run), str(run), "--fail-if-changed"]) == 0
    capsys.readouterr()
    assert main(["diff", str(run), str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["same_reward"] is False
    assert found["report"] is None


def test_a_folder_that_is_no_run_is_a_mistake_of_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert main(["diff", str(tmp_path), str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_an_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "-o", "/proc/none/report.html"]) == 1
    assert "cannot be written" in capsys.readouterr().err
