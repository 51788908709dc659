"""The ledger has a row for every system, and its page says what the results say."""

import importlib.util
import json
from pathlib import Path

import pytest

from plaudit.reproduce import N_SYSTEMS, ResultFolder, find_experiments, ledger, run_experiment, systems

DOCS = Path(__file__).parents[2] / "docs"
ROOMS = {
    "verify", "similarity", "likelihood", "judge", "learned", "compose", "credit", "search", "align", "data", "bench", "stress",
    "design", "patch", "all",
}  # fmt: skip


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_system_has_a_number_a_name_and_rooms():
    assert [system.number for system in systems()] == list(range(N_SYSTEMS))
    assert len({system.name for system in systems()}) == N_SYSTEMS
    for system in systems():
        assert system.rooms, system
        assert set(system.rooms) <= ROOMS, system


def test_a_row_names_its_rewards_and_the_worst_of_its_checks(claims):
    checks = [claims.it_holds, claims.it_does_not, claims.it_crashes, claims.it_takes_long]
    findings = [run_experiment(each) for each in checks[:3]]
    rows = ledger(checks, findings, {"mine.b": (3,), "mine.a": (3, 4)})
    assert rows[3].rewards == ("mine.a", "mine.b")
    assert [finding.holds for _, finding in rows[3].checks] == [False, True]
    assert {n: rows[n].state for n in (3, 4, 5, 7, 99)} == {
        3: "does not hold", 4: "no check yet", 5: "error", 7: "not run", 99: "holds"
    }  # fmt: skip


def test_a_smoke_run_leaves_the_ledger_as_it_is(claims):
    rows = ledger([claims.it_takes_long], [run_experiment(claims.it_takes_long, smoke=True)], {})
    assert rows[7].state == "not run"


def test_the_page_has_a_row_for_every_system(generate, claims):
    page = generate.ledger_page([claims.it_holds, claims.it_does_not], [run_experiment(claims.it_holds)], {"mine.a": (99,)})
    rows = [line for line in page.splitlines() if line[:5] == f"| {line[2:5]}" and line[2:5].isdigit()]
    assert len(rows) == N_SYSTEMS
    assert "293 systems: 1 holds, 1 not run, 291 no check yet. With a reward in the catalogue: 1." in page
    row = rows[99]
    assert "`mine.a`<br>`plaudit reproduce it-holds`" in row
    assert "| **holds** | 1.01 (0.985, 1.03) points; control 0.00333 (-0.0484, 0.055); 3 seeds | It holds. |" in row
    assert all(line.count(" | ") == rows[0].count(" | ") for line in rows)


def test_results_are_taken_over_into_the_file_that_is_committed(generate, tmp_path, monkeypatch):
    known = find_experiments()
    each = known["step-checker-sees-wrong-steps"]
    folder, path = ResultFolder(tmp_path / "runs"), tmp_path / "ledger.json"
    run_experiment(each, folder, seeds=1)
    generate.take_over(tmp_path / "runs", path)
    (finding,) = generate.read_results(path)
    assert (finding.name, finding.seeds, finding.holds) == (each.name, (0,), None)
    run_experiment(each, folder, seeds=2)
    generate.take_over(tmp_path / "runs", path)
    assert [finding.seeds for finding in generate.read_results(path)] == [(0, 1)]
    monkeypatch.setattr(generate, "find_experiments", dict)
    generate.take_over(tmp_path / "runs", path)
    assert json.loads(path.read_text()) == []


def test_the_committed_results_are_of_experiments_that_are_there_and_not_of_smoke_runs(generate):
    findings = generate.read_results()
    assert {finding.name for finding in findings} <= set(find_experiments())
    assert not any(finding.smoke for finding in findings)


@pytest.mark.parametrize(("name", "page"), [("catalogue.md", "catalogue"), ("ledger.md", "ledger_page")])
def test_a_generated_page_is_current(generate, name, page):
    assert (DOCS / name).read_text(encoding="utf-8") == getattr(generate, page)(), "write it again: python docs/generate.py"
