"""What plaudit's functions promise to verl, checked without verl."""

from __future__ import annotations

import asyncio
import inspect
import math
import pickle
import time

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ContractError, DataError, SpecError, TooManyFailures
from plaudit.integrations import verl
from plaudit.integrations.verl import reward_function
from plaudit.reward import reward
from plaudit.types import Verdict


@reward(range=(0, 1))
def right(response, reference):
    return float(response == reference)


@reward(range=(-5, 5))
def word(word):
    """What the column says: a number, "abstain" or "fail"."""
    return Verdict.failed("judge_unreachable") if word == "fail" else None if word == "abstain" else word


@reward(range=(0, 1))
async def judged(response):
    await asyncio.sleep(0.05)
    return 0.5


@reward(range=(0, 1), scope="group", batch=True)
def share_right(responses, references, group):
    hits = [float(a == b) for a, b in zip(responses, references, strict=True)]
    return [sum(h for h, g in zip(hits, group, strict=True) if g == own) / group.count(own) for own in group]


def call(function, solution="4", truth="4", **info):
    return function(data_source="math", solution_str=solution, ground_truth=truth, extra_info=info)


def test_a_number_for_what_has_no_reward_must_be_given():
    with pytest.raises(TypeError, match="on_unscored"):
        reward_function(right)
    for wrong in (None, math.nan, math.inf, "0", True):
        with pytest.raises(ContractError, match="on_unscored"):
            reward_function(right, on_unscored=wrong)


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.floats(-5, 5), st.sampled_from(["abstain", "fail"])), st.floats(-9, 9), st.sampled_from([math.nan, 0.0]))
def test_every_call_gives_the_same_keys_and_numbers_only(said, on_unscored, on_unscored_leaf):
    function = reward_function(
        right + word, on_unscored=on_unscored, on_unscored_leaf=on_unscored_leaf, max_failure_rate=None
    )  # fmt: skip
    row = call(function, word=said)
    assert list(row) == ["score", "scored", "abstained", "failed", "seconds", "reward/right", "reward/word"]
    assert all(type(value) in (int, float) for value in row.values())
    assert row["scored"] + row["abstained"] + row["failed"] == 1
    assert math.isfinite(row["score"])
    if said == "fail":
        assert (row["score"], row["failed"]) == (on_unscored, 1)
    else:
        assert (row["scored"], row["reward/right"]) == (1, 1.0)
    if isinstance(said, str):
        assert row["reward/word"] == on_unscored_leaf or math.isnan(on_unscored_leaf)
    else:
        assert row["score"] == pytest.approx(1.0 + said)


def test_the_samples_columns_are_verls_extra_info():
    seen = []

    @reward(range=(0, 1))
    def look(prompt, response, reference, data_source, level, extra_info):
        seen.append((prompt, response, reference, data_source, level, extra_info["level"]))
        return 1.0

    call(reward_function(look, on_unscored=0), question="2+2=?", level=3)
    assert seen == [("2+2=?", "4", "4", "math", 3, 3)]


def test_the_prompt_is_where_the_user_says_and_its_absence_is_said_once(caplog):
    @reward(range=(0, 99))
    def length(prompt):
        return float(len(prompt) if isinstance(prompt, str) else len(prompt[0]["content"]))

    assert call(reward_function(length, on_unscored=0, prompt_key="task"), task="12345", prompt="no")["score"] == 5.0
    assert call(reward_function(length, on_unscored=0), raw_prompt=[{"role": "user", "content": "123"}])["score"] == 3.0
    with pytest.raises(DataError, match="'task'"):
        call(reward_function(length, on_unscored=0, prompt_key="task"), prompt="no")
    function = reward_function(length, on_unscored=0)
    assert call(function)["score"] == call(function)["score"] == 0.0
    assert len([r for r in caplog.records if "extra_info['prompt']" in r.getMessage()]) == 1


def test_the_async_form_awaits_many_responses_at_once():
    function = reward_function(judged, on_unscored=0, form="async")
    assert inspect.iscoroutinefunction(function)
    assert inspect.iscoroutinefunction(verl.compute_score_async)

    async def many():
        return await asyncio.gather(*(call(function) for _ in range(20)))

    start = time.perf_counter()
    rows = asyncio.run(many())
    assert [row["score"] for row in rows] == [0.5] * 20
    assert time.perf_counter() - start < 0.5  # 20 waits of 0.05 s one after another take a second


def test_a_spec_is_loaded_once(tmp_path):
    spec = tmp_path / "reward.yaml"
    spec.write_text("{use: verify.exact}")
    given = {"reward": str(spec), "on_unscored": 0.0, "max_failure_rate": None}
    first = verl.compute_score("x", "4", "4", {}, **given)
    spec.unlink()
    assert verl.compute_score("x", "5", "4", {}, **given)["score"] == 0.0
    assert first["score"] == 1.0
    with pytest.raises(SpecError):
        verl.compute_score("x", "4", "4", {}, reward=str(tmp_path / "none.yaml"), on_unscored=0.0)
    with pytest.raises(TypeError, match="on_unscored"):
        verl.compute_score("x", "4", "4", {}, reward="verify.exact")


def test_what_verl_adds_when_a_reward_model_runs_is_taken_along():
    @reward(range=(0, 1))
    def look(reward_router_address):
        return float(reward_router_address == "localhost:1234")

    function = reward_function(look, on_unscored=0)
    row = function("x", "4", "4", {}, reward_router_address="localhost:1234", reward_model_tokenizer=object())
    assert row["score"] == 1.0


def test_functions_travel_by_cloudpickle():
    function = cloudpickle.loads(cloudpickle.dumps(reward_function(right + judged, on_unscored=0)))
    assert call(function)["score"] == 1.5
    assert pickle.loads(pickle.dumps(verl.compute_score)) is verl.compute_score


@pytest.mark.parametrize("form", ["sample", "async"])
def test_a_group_reward_is_refused_where_verl_passes_one_response(form):
    with pytest.raises(ContractError, match="whole group"):
        reward_function(share_right, on_unscored=0, form=form)


def batch(function, solutions, infos):
    n = len(solutions)
    return function(data_sources=["m"] * n, solution_strs=solutions, ground_truths=["4"] * n, extra_infos=infos)


@pytest.mark.parametrize(
    "infos",
    [
        [{"index": k % 2} for k in range(4)],
        [{"uid": "ab"[k % 2], "index": 7} for k in range(4)],
        [{"prompt": "ab"[k % 2]} for k in range(4)],
        [{"split": "ab"[k % 2], "index": 7} for k in range(4)],
    ],
)
def test_the_batch_form_finds_the_groups(infos):
    rows = batch(reward_function(share_right, on_unscored=0, form="batch"), ["4", "4", "4", "5"], infos)
    assert [row["score"] for row in rows] == [1.0, 0.5, 1.0, 0.5]


def test_groups_that_cannot_be_known_are_refused_and_incomplete_ones_fail():
    with pytest.raises(DataError, match="whole groups"):
        batch(reward_function(share_right, on_unscored=0, form="batch"), ["4", "4"], [{}, {}])
    function = reward_function(share_right, on_unscored=-1, form="batch", group_size=2)
    rows = batch(function, ["4", "4", "4"], [{"index": 1}, {"index": 1}, {"index": 2}])
    assert [(row["score"], row["failed"]) for row in rows] == [(1.0, 0), (1.0, 0), (-1.0, 1)]


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="2 solution_strs and 1 ground_truths"):
        reward_function(right, on_unscored=0, form="batch")(["m", "m"], ["4", "4"], ["4"], [{}, {}])


def test_too_many_failures_stop_the_run_by_default():
    function = reward_function(word, on_unscored=0, failure_window=10)
    for k in range(9):
        call(function, word="fail" if k % 2 else 1.0)  # four of nine
    call(function, word="fail")  # five of ten are not more than half
    with pytest.raises(TooManyFailures, match="6 of the last 10"):
        call(function, word="fail")


def test_wrong_options_are_refused():
    with pytest.raises(ContractError, match="known"):
        reward_function(right, on_unscored=0, prompt="question")
    with pytest.raises(ContractError, match="form"):
        reward_function(right, on_unscored=0, form="many")
