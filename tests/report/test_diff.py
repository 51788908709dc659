"""Two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.report import diff_page
from plaudit.report._diff import joined
from plaudit.run import RunFolder

IDS = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12)


def folder(path: Path, ids: list[str], values: list[float | None], status: list[str] | None = None, **manifest: str) -> Path:
    n = len(ids)
    said = status or ["scored" if v is not None else "failed" for v in values]
    columns = {
        "row": list(range(n)), "id": ids, "value": values, "status": said, "answer": [None] * n, "explanation": [None] * n,
        "reason": [None if s == "scored" else "worker_lost" for s in said], "seconds": [0.0] * n, "leaves": ["s"] * n,
        "only": [float("nan") if v is None else v for v in values],
    }  # fmt: skip
    with RunFolder.open(path, {"fingerprint": "f", "data_sha256": "d", **manifest}) as run:
        run.append(columns)
    return path


@given(IDS, IDS)
def test_rows_are_joined_one_to_one_by_id(a: list[str | None], b: list[str | None]) -> None:
    left, right = joined(a, b)
    assert [a[i] for i in left] == [b[j] for j in right]
    assert len(set(left.tolist())) == len(left)
    assert len(set(right.tolist())) == len(right)
    assert len(left) == sum(min(a.count(name), b.count(name)) for name in set(a))


def test_the_figures_count_what_changed(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", ["x", "y", "z", "w", "gone"], [1.0, 0.0, 0.5, 0.2, 1.0])
    b = folder(tmp_path / "b", ["y", "x", "z", "w", "new", "newer"], [1.0, 1.0, 0.25, None, 0.0, 0.0])
    page, figures = diff_page(a, b)
    expected = {
        "both": 4, "only_a": 1, "only_b": 2, "scored_in_both": 3, "changed": 3, "same": False, "wins": 1, "losses": 1, "ties": 1,
        "agreement": pytest.approx(1 / 3), "mean_a": pytest.approx(0.5), "mean_b": pytest.approx(0.75), "status_changed": 1,
        "mean_change": pytest.approx(0.25), "same_reward": True, "same_data": True,
    }  # fmt: skip
    assert {name: figures[name] for name in expected} == expected
    assert {"a": "scored", "b": "failed", "n": 1} in figures["statuses"]
    assert figures["mean_change_low"] < 0.25 < figures["mean_change_high"]
    html = page.html()
    assert "1 rows only in A, 2 only in B" in html
    assert "the reward is not deterministic" in html


def test_a_run_is_the_same_as_itself(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", ["x", "y"], [1.0, None])
    page, figures = diff_page(a, a)
    assert figures["same"]
    assert figures["changed"] == 0
    assert "Nothing changed" in page.html()


def test_rounding_is_no_change_unless_asked(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", ["x"], [0.3]), folder(tmp_path / "b", ["x"], [0.1 + 0.2])
    assert diff_page(a, b)[1]["same"]
    assert not diff_page(a, b, tolerance=0.0)[1]["same"]


def test_runs_without_a_common_row_say_so(tmp_path: Path) -> None:
    page, figures = diff_page(folder(tmp_path / "a", ["x"], [1.0]), folder(tmp_path / "b", ["y"], [1.0]))
    assert figures["both"] == 0
    assert figures["correlation"] is None
    assert "no row id in common" in page.html()
    json.dumps({k: v for k, v in figures.items() if v == v})


def test_correlations_are_those_of_the_common_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = np.exp(x)
    ids = [f"r{k}" for k in range(300)]
    order = rng.permutation(300)
    a = folder(tmp_path / "a", ids, x.tolist())
    b = folder(tmp_path / "b", [ids[i] for i in order], y[order].tolist())
    figures = diff_page(a, b)[1]
    assert figures["rank_correlation"] == pytest.approx(1)
    assert figures["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_the_largest_changes_come_first_and_of_status_alone_last(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", ["p", "q", "r", "s"], [0.0, 0.0, None, 0.5])
    b = folder(tmp_path / "b", ["p", "q", "r", "s"], [0.1, -0.9, 1.0, 0.5])
    html = diff_page(a, b)[0].html()
    cases = [part.partition('class="id">')[2].partition("<")[0] for part in html.split('<article class="case">')[1:]]
    assert cases == ["q", "p", "r"]


def test_what_differs_between_the_specs_is_marked(tmp_path: Path) -> None:
    spec = {"use": "verify.exact"}
    a = folder(tmp_path / "a", ["x"], [0.0], spec=spec)  # type: ignore[arg-type]
    b = folder(tmp_path / "b", ["x"], [1.0], spec={**spec, "ignore_case": True})  # type: ignore[arg-type]
    assert "+ignore_case: true</mark>" in diff_page(a, b)[0].html()
