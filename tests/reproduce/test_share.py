"""The rotating share: every run of this suite puts the experiments to the test whose turn it is.

The commit that is checked out decides whose turn it is, the day where there is none. They run with one seed, at their smoke size
where they have one; all together take about four minutes by their own word. `make reproduce` runs everything in full.
"""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.reproduce import Trial, experiment, find_experiments, quick_share, run_experiment, share, turn

SECONDS = 240.0
DUE = quick_share(find_experiments().values(), SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("each", DUE, ids=lambda each: each.name)
def test_an_experiment_whose_turn_it_is_runs_and_points_the_right_way(each):
    finding = run_experiment(each, smoke=True)
    assert finding.error is None, finding.error
    if each.smoke is None:  # at a smoke size the numbers say nothing
        assert finding.passed, f"{each.claim}: measured {finding.measured}, control {finding.control} {finding.unit}"


def made(seconds):
    def one(k, length):
        def function(seed, progress, *, scale=1.0):
            return Trial(1, 0, "points")

        function.__name__ = f"claim_{k}"
        return experiment([], "It is so.", seconds=length, seeds=(0,), smoke=0.5)(function)

    return [one(k, length) for k, length in enumerate(seconds)]


lengths = st.lists(st.floats(0.1, 1000), max_size=30)


@given(lengths, st.integers(1, 8))
def test_the_parts_are_disjoint_hold_everything_and_take_about_equally_long(seconds, n):
    all_ = made(seconds)
    parts = [share(all_, k, n) for k in range(1, n + 1)]
    assert sorted(each.name for part in parts for each in part) == sorted(each.name for each in all_)
    times = [sum(each.seconds for each in part) for part in parts]
    assert max(times) - min(times) <= max(seconds, default=0) + 1e-9
    assert [each.name for each in share(reversed(all_), 1, n)] == [each.name for each in parts[0]]


@pytest.mark.parametrize(("k", "n"), [(0, 3), (4, 3), (1, 0)])
def test_a_part_that_is_not_there_is_refused(k, n):
    with pytest.raises(SpecError, match="K/N"):
        share([], k, n)


@given(lengths)
def test_a_quick_share_keeps_near_its_budget(seconds):
    due = quick_share(made(seconds), 100)
    assert all(each.smoke_seconds <= 100 for each in due)
    assert sum(each.smoke_seconds for each in due) <= 200 + 1e-9


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_decides_whose_turn_it_is(tmp_path):
    git(tmp_path, "init", "-q")
    turns = set()
    for k in range(12):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", str(k))
        part, why = turn(3, tmp_path)
        assert (part, why) == turn(3, tmp_path)
        assert git(tmp_path, "rev-parse", "HEAD").startswith(why.removeprefix("commit "))
        turns.add(part)
    assert turns == {1, 2, 3}


def test_without_a_commit_the_day_decides(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    part, why = turn(5, tmp_path)
    assert 1 <= part <= 5
    assert why.startswith("day ")
