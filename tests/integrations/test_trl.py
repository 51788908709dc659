"""What plaudit's functions promise to TRL, checked without a trainer."""

from __future__ import annotations

import inspect
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainers import run

from plaudit.errors import ContractError, DataError, TooManyFailures
from plaudit.integrations.trl import reward_func, reward_funcs, reward_weights
from plaudit.reward import Sum, reward
from plaudit.types import Verdict

STEP = SimpleNamespace(global_step=7)


@reward(range=(0, 1))
def right(response, reference):
    return float(response == reference)


@reward(range=(-1, 0))
def short(response):
    return -len(response) / 10


def said(what):
    """A reward that says of each sample what its column `what` says: a number, "abstain" or "fail"."""

    def say(**columns):
        word = columns[what]
        return Verdict.failed("judge_unreachable") if word == "fail" else None if word == "abstain" else word

    return reward(say, range=(-10, 10)).named(what)


def call(function, completions=("4", "5"), prompts=None, **columns):
    completions = list(completions)
    return function(prompts=prompts or [f"p{k}" for k in range(len(completions))], completions=completions, **columns)


def test_the_function_is_what_trl_expects_of_one():
    function = reward_func(right + 0.5 * short, name="math")
    assert function.__name__ == "math"
    assert not inspect.iscoroutinefunction(function)
    assert any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    assert call(function, answer=["4", "4"]) == pytest.approx([0.95, -0.05])


def test_a_function_survives_pickling_and_so_does_the_bond_between_terms():
    function = pickle.loads(pickle.dumps(reward_func(right)))
    assert (function.__name__, call(function, answer=["4", "4"])) == ("right", [1.0, 0.0])
    first, second = pickle.loads(pickle.dumps(reward_funcs(right + 0.5 * short)))
    assert (call(first, answer=["4", "4"]), call(second, answer=["4", "4"])) == ([1.0, 0.0], [-0.05, -0.05])
    assert first._scorer is second._scorer


def test_a_spec_is_taken_for_a_reward(tmp_path):
    spec = tmp_path / "reward.yaml"
    spec.write_text("{use: sum, weights: {b: 0.5}, parts: {a: {use: verify.exact}, b: {use: verify.exact, name: b}}}")
    assert call(reward_func(spec), answer=["4", "4"]) == [1.5, 0.0]
    assert [f.__name__ for f in reward_funcs(str(spec))] == ["a", "b"]


def test_what_has_no_value_is_none():
    function = reward_func(said("word"))
    assert call(function, "abc", word=[0.5, "abstain", "fail"]) == [0.5, None, None]


words = st.lists(st.tuples(*[st.one_of(st.floats(-5, 5), st.sampled_from(["abstain", "fail"]))] * 3), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(words, st.lists(st.floats(0, 3), min_size=3, max_size=3), st.floats(-2, 2), st.sampled_from(["fail", "drop"]))
def test_the_terms_add_up_to_the_total_as_trl_adds_them(rows, weights, bias, on_failure):
    parts = {name: said(name) for name in "abc"}
    whole = Sum(parts, dict(zip(parts, weights, strict=True)), bias, on_failure)
    columns = {name: [row[k] for row in rows] for k, name in enumerate(parts)}
    completions = ["x"] * len(rows)
    total = np.array(call(reward_func(whole), completions, **columns), dtype=float)
    for weighted in (True, False):
        functions = reward_funcs(whole, weighted=weighted)
        factors = [1.0] * len(functions) if weighted else reward_weights(whole)
        assert len(functions) == len(factors) == (4 if bias else 3)
        values = np.array([call(f, completions, **columns) for f in functions], dtype=float)
        unscorable = np.isnan(values).all(axis=0)  # TRL's rule
        added = np.where(unscorable, np.nan, np.nansum(values * np.array(factors)[:, None], axis=0))
        np.testing.assert_allclose(added, total, atol=1e-9)


def test_the_reward_is_scored_once_for_all_terms_and_again_in_the_next_round():
    calls = []

    @reward(range=(0, 1))
    def counted(response):
        calls.append(response)
        return 1.0

    first, second = reward_funcs(counted + short)
    lists = {"prompts": ["p", "q"], "completions": ["a", "b"], "answer": ["1", "2"]}
    assert (first(**lists), second(**lists)) == ([1.0, 1.0], [-0.1, -0.1])
    assert len(calls) == 2
    first(**lists)
    assert len(calls) == 4
    first(**lists)  # asked a second time before the other function: a new round, even with the same lists
    assert len(calls) == 6
    second(**{name: list(values) for name, values in lists.items()})  # copies of the same round
    assert len(calls) == 6
    first(**lists)
    second(**{**lists, "answer": ["1", "3"]})  # another batch of the same texts
    assert len(calls) == 10


def test_equal_batches_of_two_steps_are_two_rounds():
    calls = []

    @reward(range=(0, 100))
    def stepped(context):
        calls.append(context.step)
        return float(context.step)

    first, second = reward_funcs(stepped + short)
    assert first(prompts=["p"], completions=["a"], trainer_state=SimpleNamespace(global_step=1)) == [1.0]
    assert second(prompts=["p"], completions=["a"], trainer_state=SimpleNamespace(global_step=2)) == [-0.1]
    assert calls == [1, 2]


def test_terms_called_from_several_threads_wait_for_the_one_scoring():
    """TRL's AsyncGRPO calls the functions of one group side by side, and several groups at once."""
    gate = threading.Event()
    calls = []

    @reward(range=(0, 1))
    def slow(response):
        gate.wait(5)
        calls.append(response)
        return 0.5

    functions = reward_funcs(slow + short)
    batches = [{"prompts": ["p"], "completions": [letter]} for letter in "abcd"]
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(function, **batch) for batch in batches for function in functions]
        gate.set()
        assert [future.result(10) for future in futures] == [[0.5], [-0.1]] * 4
    assert sorted(calls) == ["a", "b", "c", "d"]


def test_an_error_reaches_every_term_and_is_not_kept():
    broken = [True]

    @reward(range=(0, 1))
    def flaky(response):
        if broken[0]:
            raise ZeroDivisionError("all of them")
        return 1.0

    first, second = reward_funcs(flaky + short)
    for function in (first, second, first):
        with pytest.raises(ZeroDivisionError):
            call(function)
    broken[0] = False
    assert call(second) == [-0.1, -0.1]


def test_the_reference_is_found_under_its_usual_names_and_other_columns_go_to_meta():
    seen = []

    @reward(range=(0, 1))
    def look(prompt, response, reference, id, tokens, **columns):
        seen.append((prompt, response, reference, id, None if tokens is None else tokens.tolist(), columns))
        return 1.0

    function = reward_func(look)
    call(function, ["4"], completion_ids=[[5, 6]], solution=["4"], level=[3], ground_truth=["four"], id=[12])
    assert seen.pop() == ("p0", "4", "4", "12", [5, 6], {"level": 3, "ground_truth": "four"})
    call(reward_func(look, columns={"reference": "gold"}), ["4"], gold=["4"], answer=["no"], note="all")
    assert seen.pop() == ("p0", "4", "4", None, None, {"answer": "no"})
    with pytest.raises(DataError, match="'gold'"):
        call(reward_func(look, columns={"reference": "gold"}), ["4"], answer=["4"])
    with pytest.raises(ContractError, match="prompt"):
        reward_func(look, columns={"prompt": "question"})


def test_environments_reach_the_reward_by_sample():
    @reward(range=(0, 9))
    def state(id, context):
        return float(context.environments[id])

    assert call(reward_func(state), environments=[3, 4]) == [3.0, 4.0]


def test_logged_names_are_constant_and_every_number_finite():
    whole = said("a") + 0.5 * said("b") + 0.25
    function = reward_func(whole)
    names = []
    for a, b in (([1.0, 2.0], [1.0, "abstain"]), ([3.0, 3.0], ["abstain", 0.5])):
        metrics, columns = {}, {}
        call(function, a=a, b=b, log_metric=metrics.__setitem__, log_extra=columns.__setitem__, trainer_state=STEP)
        assert all(np.isfinite(value) for value in metrics.values())
        assert all(len(values) == 2 for values in columns.values())
        names.append((sorted(metrics), sorted(columns)))
    assert names[0] == names[1]
    assert metrics["reward/a/mean"] == 3.0
    assert metrics["reward/b/abstained"] == 0.5
    assert metrics["reward_terms/b"] == 0.125  # its share of the total: nothing where it abstains
    assert columns["reward/b/value"] == [None, 0.5]
    assert columns["reward/b/reason"] == ["not_applicable", None]


def test_a_mean_over_nothing_is_left_out_not_logged_as_zero():
    metrics = {}
    call(reward_func(said("a")), a=["fail", "abstain"], log_metric=metrics.__setitem__)
    assert "reward/a/mean" not in metrics
    assert (metrics["reward/scored"], metrics["reward/failed"], metrics["reward/a/failed"]) == (0.0, 0.5, 0.5)


def test_the_functions_of_a_split_log_once():
    logged = []
    for function in reward_funcs(right + 0.5 * short):
        call(function, answer=["4", "4"], log_metric=lambda name, value: logged.append(name), log_extra=lambda *_: None)
    assert len(logged) == len(set(logged)) > 0
    quiet = []
    call(reward_func(right, log=False), answer=["4", "4"], log_metric=lambda *_: quiet.append(1))
    assert quiet == []


def test_too_many_failures_stop_the_run_once_the_window_is_full():
    function = reward_func(said("a"), max_failure_rate=0.5, failure_window=4)
    call(function, a=["fail", "fail"])  # two of two, but the window holds four
    call(function, a=[1.0, 1.0])
    with pytest.raises(TooManyFailures, match=r"3 of the last 4 .* judge_unreachable 3 times"):
        call(function, a=["fail", "fail", "fail", 1.0], completions="abcd")
    assert call(reward_func(said("a")), a=["fail", "fail"]) == [None, None]


def test_each_reason_of_failure_is_said_aloud_once(caplog):
    function = reward_func(said("a"))
    for _ in range(3):
        call(function, a=["fail", 1.0])
    assert [record.getMessage() for record in caplog.records] == ["a: a sample FAILED with judge_unreachable; it has no reward"]


@reward(range=(0, 1), scope="group", batch=True)
def share(responses, group, group_size):
    assert all(group.count(own) == size for own, size in zip(group, group_size, strict=True))
    lengths = [len(r) for r in responses]
    return [n / sum(m for m, g in zip(lengths, group, strict=True) if g == own) for n, own in zip(lengths, group, strict=True)]


def test_groups_are_the_runs_of_equal_prompts():
    assert call(reward_func(share), ["a", "abc", "ab", "ab"], ["p", "p", "q", "q"]) == [0.25, 0.75, 0.5, 0.5]


def test_the_same_prompt_twice_in_a_row_is_two_groups_when_the_size_is_said():
    completions, prompts = ["a", "abc", "ab", "ab"], ["p"] * 4
    assert call(reward_func(share, num_generations=2), completions, prompts) == [0.25, 0.75, 0.5, 0.5]


@pytest.mark.parametrize(("prompts", "size"), [(["p", "p", "q"], None), (["p", "p", "q"], 2), (["p", "q", "p", "q"], 2)])
def test_groups_that_cannot_be_known_are_refused(prompts, size):
    with pytest.raises(DataError, match="num_generations"):
        call(reward_func(share, num_generations=size), ["a"] * len(prompts), prompts)


def test_processes_that_cannot_be_asked_are_not_guessed_at(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DataError, match="other processes cannot be asked"):
        call(reward_func(share), ["a", "b"], ["p", "p"])
    assert call(reward_func(share, num_generations=2), ["a", "b"], ["p", "p"]) == [0.5, 0.5]
    assert call(reward_func(right), answer=["4", "4"]) == [1.0, 0.0]


@pytest.mark.parametrize("options", [{"split": "leaves"}, {"num_generations": 0}, {"max_failure_rate": 2}, {"failure_window": 0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ContractError):
        reward_funcs(right, **options)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="2 prompts and 1 completions"):
        reward_func(right)(prompts=["p", "q"], completions=["a"])


def test_without_a_split_there_is_one_function_and_a_reward_that_is_no_sum_is_its_own_term():
    assert [f.__name__ for f in reward_funcs(right + short, split=None)] == ["sum"]
    assert [f.__name__ for f in reward_funcs(right.clip(0, 1))] == ["right"]
    assert reward_weights(right) == [1.0]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return run("ranks_run.py", tmp_path_factory.mktemp("gloo"), ranks=2)


class TestTwoProcesses:
    """p has four rows, three on the first process; each process scores one of the two groups and gets its own rows back."""

    def test_a_split_group_is_scored_whole(self, ranks):
        assert [found["group"] for found in ranks] == [[0.75, 0.75, 0.25], [0.75, 0.75, 0.75, 0.75, 0.25]]
        assert [found["guessed"] for found in ranks] == [found["group"] for found in ranks]

    def test_each_group_is_scored_by_one_process_only(self, ranks):
        assert [found["calls"][0] for found in ranks] == [["ax", "ay", "bxxx", "az"], ["bx", "by", "bz", "az"]]

    def test_both_log_the_numbers_of_all_samples(self, ranks):
        assert ranks[0]["logged"] == ranks[1]["logged"]
        assert ranks[0]["logged"]["reward/first_letters/mean"] == 0.625

    def test_batch_scope_sees_the_batch_of_all(self, ranks):
        assert [found["batch"] for found in ranks] == [[4.0] * 3, [4.0] * 5]

    def test_an_error_of_one_is_raised_on_both_and_nobody_waits_for_ever(self, ranks):
        assert ranks[0]["broken"] == "RunError: scoring failed on rank 1: ZeroDivisionError: only here"
        assert ranks[1]["broken"] == "ZeroDivisionError: only here"
        assert [found["after"] for found in ranks] == [[1.0, 1.0]] * 2

    def test_too_many_failures_stop_both(self, ranks):
        assert all(found["stopped"].startswith("TooManyFailures: fails_on_one_rank: 2 of the last 4") for found in ranks)

    def test_what_cannot_be_gathered_is_refused_on_both(self, ranks):
        assert all(found["uneven"].startswith("DataError") for found in ranks)
        assert all("environments live in several processes" in found["environments"] for found in ranks)
