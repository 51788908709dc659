"""Running: seeds are kept, nothing is measured twice, one experiment's trouble is its own."""

import dataclasses
import json
import subprocess
import sys

import pytest

from plaudit.errors import RunError, SpecError
from plaudit.reproduce import ResultFolder, Trial, chosen, experiment, find_experiments, run_experiment, run_experiments


def counting(calls, fail_at=None, raising=ValueError):
    @experiment(systems=[], claim="It is counted.", seconds=1)
    def it_is_counted(seed, progress):
        calls.append(seed)
        if seed == fail_at:
            raise raising("stop")
        return Trial(1 + seed / 10, 0.0, "points", {"seed": seed}, {"gain": [0, float("nan"), 1]})

    return it_is_counted


def test_experiments_come_out_in_every_way(claims):
    outcome = {
        name: run_experiment(getattr(claims, name)).state
        for name in ("it_holds", "it_does_not", "its_control_shows_it_too", "it_crashes", "one_seed_with_items")
    }
    assert outcome == {
        "it_holds": "holds",
        "it_does_not": "does not hold",
        "its_control_shows_it_too": "does not hold",
        "it_crashes": "error",
        "one_seed_with_items": "holds",
    }


def test_the_others_go_on_after_a_crash_whose_traceback_is_kept(claims):
    findings = list(run_experiments([claims.it_crashes, claims.it_holds]))
    assert "ValueError: the second" in findings[0].error
    assert "it_crashes" in findings[0].error
    assert findings[0].seeds == (0,)
    assert findings[1].holds


def test_finished_seeds_are_not_run_again(tmp_path):
    calls = []
    folder = ResultFolder(tmp_path)
    first = run_experiment(counting(calls), folder)
    again = run_experiment(counting(calls), folder)
    assert calls == [0, 1, 2]
    assert again.to_json() == first.to_json()
    more = run_experiment(counting(calls), folder, seeds=5)
    assert calls == [0, 1, 2, 3, 4]
    assert more.seeds == (0, 1, 2, 3, 4)
    run_experiment(counting(calls), folder, fresh=True)
    assert calls == [0, 1, 2, 3, 4, 0, 1, 2]


def test_what_is_kept_is_what_was_measured(tmp_path, claims):
    folder = ResultFolder(tmp_path)
    for each in (claims.it_holds, claims.one_seed_with_items):
        assert (
            run_experiment(each, folder).to_json()
            == run_experiment(each, folder).to_json()
            == run_experiment(each, folder).to_json()
        )


@pytest.mark.parametrize("raising", [KeyboardInterrupt, ValueError])
def test_after_a_stop_the_run_goes_on_at_the_seed_where_it_stopped(tmp_path, raising):
    calls = []
    folder = ResultFolder(tmp_path)
    if raising is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            run_experiment(counting(calls, 1, raising), folder)
    else:
        assert run_experiment(counting(calls, 1, raising), folder).state == "error"
    assert run_experiment(counting(calls), folder).holds
    assert calls == [0, 1, 1, 2]


def test_a_seed_of_other_code_is_measured_again(tmp_path, monkeypatch):
    calls = []
    folder = ResultFolder(tmp_path)
    run_experiment(counting(calls), folder)
    monkeypatch.setattr("plaudit.reproduce._store.__version__", "another")
    run_experiment(counting(calls), folder)
    assert calls == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"code": 1}', "[" * 100_000])
def test_a_damaged_file_is_measured_again(tmp_path, damage):
    calls = []
    folder = ResultFolder(tmp_path)
    run_experiment(counting(calls), folder)
    (tmp_path / "seeds" / "it-is-counted" / "1.json").write_text(damage)
    (tmp_path / "it-is-counted.json").write_text(damage)
    assert folder.findings() == []
    assert run_experiment(counting(calls), folder).holds
    assert calls == [0, 1, 2, 1]


@pytest.mark.parametrize("key", ["effect", "unit", "curves", "details", "seconds"])
def test_a_file_that_lacks_something_is_measured_again(tmp_path, key):
    calls = []
    folder = ResultFolder(tmp_path)
    run_experiment(counting(calls), folder)
    path = tmp_path / "seeds" / "it-is-counted" / "2.json"
    value = json.loads(path.read_text())
    del value[key]
    path.write_text(json.dumps(value))
    run_experiment(counting(calls), folder)
    assert calls == [0, 1, 2, 2]


def test_checkpoints_of_a_seed_last_until_it_is_done(tmp_path):
    stops = [True]

    @experiment(systems=[], claim="It goes on.", seconds=1, seeds=(0, 1))
    def it_goes_on(seed, progress):
        (progress.folder / "step").touch()
        if stops:
            stops.pop()
            raise KeyboardInterrupt
        return Trial(1.0 + seed / 10, 0.0, "points", {"found": sorted(path.name for path in progress.folder.iterdir())})

    folder = ResultFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(it_goes_on, folder)
    assert (folder.work(it_goes_on, 0) / "step").exists()
    run_experiment(it_goes_on, folder)
    assert not folder.work(it_goes_on, 0).exists()


def test_a_smoke_run_is_no_result(tmp_path, claims):
    full, smoke = ResultFolder(tmp_path), ResultFolder(tmp_path, smoke=True)
    finding = run_experiment(claims.it_takes_long, smoke, smoke=True)
    assert (finding.smoke, finding.measured, finding.seeds) == (True, 0.01, (0,))
    assert full.findings() == []
    assert full.seed(claims.it_takes_long, 0) is None


def test_two_runs_do_not_share_a_folder(tmp_path):
    with ResultFolder(tmp_path).locked(), pytest.raises(RunError, match="in use"), ResultFolder(tmp_path).locked():
        pass
    with ResultFolder(tmp_path).locked():
        pass


def test_a_folder_that_cannot_be_made_is_said_to_be_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be kept there"), ResultFolder(tmp_path / "file").locked():
        pass
    with pytest.raises(RunError, match="cannot be written"):
        run_experiment(counting([]), ResultFolder(tmp_path / "file"))


def test_an_observer_hears_every_step(claims):
    heard = []
    run_experiment(
        claims.it_holds, observe=lambda step: heard.append((step.seed, step.said, step.done, step.seed_done is not None))
    )
    assert heard[:3] == [(0, "", None, False), (0, "half of 0", 0.5, False), (0, "", None, True)]
    assert len(heard) == 9


def test_experiments_are_chosen_by_name_or_by_the_number_of_a_system(claims):
    known = {each.name: each for each in (claims.it_holds, claims.it_does_not, claims.it_crashes)}
    assert [each.name for each in chosen(["3"], known)] == ["it-holds", "it-does-not"]
    assert [each.name for each in chosen(["[005]", "it_holds", "99"], known)] == ["it-crashes", "it-holds"]
    with pytest.raises(SpecError, match="did you mean 'it-holds'"):
        chosen(["it-hold"], known)
    with pytest.raises(SpecError, match="no experiment checks system 8; there are experiments for 3, 5, 99"):
        chosen(["8"], known)


def test_two_experiments_of_one_name_are_refused(monkeypatch):
    from plaudit.reproduce.experiments import arithmetic_checkers

    other = dataclasses.replace(arithmetic_checkers.step_checker_sees_wrong_steps, function=print)
    monkeypatch.setattr("plaudit.reproduce._scan.catalog.names", lambda group: ["other"])
    monkeypatch.setattr("plaudit.reproduce._scan.catalog.load", lambda group, name: other)
    with pytest.raises(SpecError, match="two experiments are called 'step-checker-sees-wrong-steps'"):
        find_experiments()


def test_every_experiment_keeps_the_rules_and_none_loads_torch_to_be_listed():
    code = "import sys; from plaudit.reproduce import find_experiments; find_experiments(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
    for name, each in find_experiments().items():
        assert name == each.name
        assert each.function.__doc__, f"{name} does not say what its effect and its control are"
        assert each.claim.endswith((".", ")")), f"the claim of {name} is a sentence"
