"""Functions written for TRL, verl and OpenRLHF give as rewards what they give when called by hand, unchanged."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from plaudit.errors import ContractError
from plaudit.reward import from_spec, reward
from plaudit.types import Context, Sample

pytestmark = pytest.mark.filterwarnings("ignore:.*declares no range")

FILE = Path(__file__).parent / "foreign_functions.py"
CONVERSATIONS = ["<think>\nfour\n</think>\n4", "<think>four 4", "4", "<think>a<think>b</think>c", ""]


def load(name, style, **facts):
    return from_spec({"use": "function", "path": f"{FILE}:{name}", "style": style, **facts})


def chat(text):
    return [{"role": "assistant", "content": text}]


def words(n):
    return np.arange(n) % 7


class TestTrlsOwnFunctions:
    def test_think_format_reward(self):
        from trl.rewards import think_format_reward

        direct = think_format_reward([chat(text) for text in CONVERSATIONS])
        samples = [Sample([{"role": "user", "content": "2+2"}], chat(text)) for text in CONVERSATIONS]
        loaded = reward(think_format_reward, style="trl", range=(0, 1))
        assert loaded(samples).tolist() == direct
        assert 0 < sum(direct) < len(direct)

    def test_a_text_answer_to_a_chat_prompt_becomes_a_message(self):
        from trl.rewards import think_format_reward

        samples = [Sample([{"role": "user", "content": "2+2"}], text) for text in CONVERSATIONS]
        assert reward(think_format_reward, style="trl")(samples).tolist() == think_format_reward([chat(t) for t in CONVERSATIONS])

    def test_plain_text_for_a_function_that_reads_messages_is_an_error_that_says_so(self):
        from trl.rewards import think_format_reward

        with pytest.raises(TypeError) as caught:
            reward(think_format_reward, style="trl")([Sample("2+2", "4"), Sample("2+2", "5")])
        assert any("chat messages" in note for note in caught.value.__notes__)

    @pytest.mark.parametrize("lengths", [[0, 50, 85, 90, 100, 101, 500]])
    def test_soft_overlong_punishment(self, lengths):
        from trl.rewards import get_soft_overlong_punishment

        function = get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)
        loaded = reward(function, style="trl", range=(-1, 0))
        assert loaded.name == "soft_overlong_punishment_reward"
        samples = [Sample("p", "r", tokens=words(n)) for n in lengths]
        assert loaded(samples).tolist() == function([list(range(n)) for n in lengths])

    def test_repetition_penalty(self):
        from trl.rewards import get_repetition_penalty_reward

        function = get_repetition_penalty_reward(ngram_size=2, max_penalty=-1.0)
        tokens = [[1, 2, 3, 4], [5, 5, 5, 5, 5], [1], []]
        samples = [Sample("p", "r", tokens=np.array(ids, dtype=int)) for ids in tokens]
        assert reward(function, style="trl")(samples).tolist() == function(tokens)

    def test_accuracy_reward(self):
        pytest.importorskip("math_verify", reason="TRL's accuracy_reward needs math_verify")
        from trl.rewards import accuracy_reward

        texts, gold = [r"\boxed{4}", r"\boxed{5}"], ["$4$", "$4$"]
        samples = [Sample([{"role": "user", "content": "2+2"}], chat(t), g) for t, g in zip(texts, gold, strict=True)]
        assert reward(accuracy_reward, style="trl")(samples).tolist() == accuracy_reward([chat(t) for t in texts], gold)

    def test_they_load_from_a_spec_by_their_module(self):
        spec = {"use": "function", "path": "trl.rewards:think_format_reward", "style": "trl", "range": [0.0, 1.0]}
        loaded = from_spec(spec)
        assert loaded.name == "think_format_reward"
        assert from_spec(loaded.spec).fingerprint == loaded.fingerprint


class TestTrlConvention:
    def test_none_abstains(self):
        samples = [Sample("p", "it is 4", "4"), Sample("p", "it is 5", "4"), Sample("p", "it is 5")]
        verdicts = load("trl_digits", "trl").score(samples)
        assert verdicts.values[:2].tolist() == [1.0, 0.0]
        assert verdicts.reason[2] == "not_applicable"

    def test_the_reference_comes_under_the_name_that_the_function_uses_but_a_column_of_that_name_wins(self):
        assert load("trl_digits", "trl").one("p", "4", "4").value == 1.0
        assert load("trl_digits", "trl").one("p", "4", "5", meta={"answer": "4"}).value == 1.0

    def test_rows_of_other_tasks_abstain(self):
        samples = [Sample("p", "4", "4", meta={"task": "math"}), Sample("p", "4", "4", meta={"task": "code"})]
        assert load("trl_by_task", "trl").score(samples).status.tolist() == ["scored", "abstained"]

    def test_everything_that_trl_passes_arrives_and_what_is_logged_is_kept(self):
        samples = [Sample("p", "r", tokens=words(n), meta={"level": n}) for n in (1, 3)]
        verdicts = load("trl_everything", "trl").score(samples, Context(step=20))
        assert verdicts.values.tolist() == pytest.approx([120.1, 320.3])
        assert verdicts[1].details == {"log_extra": {"length": 3}, "log_metric": {"mean_length": 2.0}}

    def test_a_missing_column_fails_that_row_and_no_other(self):
        samples = [Sample("p", "r", tokens=words(2)), Sample("p", "r", tokens=words(2), meta={"level": 1}), Sample("p", "r")]
        verdicts = load("trl_everything", "trl").score(samples)
        assert verdicts.status.tolist() == ["failed", "scored", "failed"]
        assert verdicts.reason[0] == "column_missing"
        assert "'level'" in verdicts.explanation[0]
        assert "'completion_ids'" in verdicts.explanation[2]

    def test_async_functions_run_on_the_io_lane(self):
        loaded = load("trl_async", "trl")
        assert loaded.facts.lane == "io"
        assert loaded([Sample([{"role": "user", "content": "q"}], "abc")] * 3).tolist() == [3.0] * 3

    def test_columns_of_the_names_that_trl_withholds_are_withheld(self):
        seen = []

        def look(completions, **kwargs):
            seen.append(set(kwargs))
            return [1.0] * len(completions)

        reward(look, style="trl").one("p", "r", meta={"prompt": "x", "completion": "y", "level": 2})
        assert seen == [{"prompts", "level", "trainer_state", "log_extra", "log_metric"}]

    def test_a_function_of_group_scope_sees_whole_groups(self):
        def among(completions, group_of=None, **kwargs):
            return [1 / len(completions)] * len(completions)

        samples = [Sample("p", "r", group="a", group_size=2)] * 2 + [Sample("p", "r", group="b", group_size=2)]
        verdicts = reward(among, style="trl", scope="group").score(samples)
        assert verdicts.values[:2].tolist() == [0.5, 0.5]
        assert verdicts.reason[2] == "group_incomplete"

    def test_environments_come_by_sample_id(self):
        def state(completions, environments, **kwargs):
            return [float(e) for e in environments]

        loaded = reward(state, style="trl")
        samples = [Sample("p", "r", id="a"), Sample("p", "r", id="b")]
        assert loaded.score(samples, Context(environments={"a": 1, "b": 2})).values.tolist() == [1.0, 2.0]
        assert loaded.score(samples, Context(environments={"b": 2})).reason[0] == "column_missing"

    def test_a_wrong_number_of_values_is_an_error(self):
        with pytest.raises(ContractError, match="returned 1 values for 2 samples"):
            reward(lambda completions, **kwargs: [1.0], style="trl", scope="batch")([Sample("p", "r")] * 2)

    def test_a_partial_has_the_name_of_what_it_wraps(self):
        def scaled(completions, by, **kwargs):
            return [by] * len(completions)

        loaded = reward(functools.partial(scaled, by=3.0), style="trl")
        assert (loaded.name, loaded.one("p", "r").value) == ("scaled", 3.0)


class TestVerlConvention:
    def test_a_number(self):
        samples = [Sample("p", "so\n#### 7", "7"), Sample("p", "#### 8", "7"), Sample("p", "7", "7")]
        assert load("verl_gsm8k", "verl", range=[0, 1])(samples).tolist() == [1.0, 0.0, 0.0]

    def test_a_dict_gives_its_score_its_answer_and_its_details(self):
        meta = {"data_source": "gsm8k", "extra_info": {"level": 2}}
        verdict = load("verl_parts", "verl").one("p", "it is 4", "4", meta=meta)
        assert (verdict.value, verdict.answer) == (pytest.approx(1.2), "4")
        assert verdict.details == {"acc": True, "pred": "4", "source": "gsm8k"}

    def test_without_extra_info_the_columns_are_it(self):
        assert load("verl_parts", "verl").one("p", "it is 5", "4", meta={"level": 3}).value == pytest.approx(0.3)

    def test_the_solution_is_everything_that_the_policy_wrote(self):
        seen = []
        said = [{"role": "assistant", "reasoning_content": "hm", "content": "4"}]
        reward(lambda solution_str, **kwargs: seen.append(solution_str) or 1.0, style="verl").one("p", said)
        assert seen == ["<think>\nhm\n</think>\n4"]

    def test_async_and_batch_functions(self):
        samples = [Sample("p", "4", "4"), Sample("p", "44", "4")]
        assert load("verl_async", "verl")(samples).tolist() == [1.0, 0.0]
        verdicts = load("verl_batch", "verl", batch=True).score(samples)
        assert verdicts.values.tolist() == [1.0, 2.0]
        assert verdicts[0].details == {"n": 2}

    def test_a_dict_without_a_score_is_refused(self):
        with pytest.raises(ContractError, match="'score'"):
            reward(lambda **kwargs: {"acc": 1}, style="verl")([Sample("p", "r")] * 2)


class TestOpenRlhfConvention:
    def test_lists_of_length_one_and_tensors(self):
        samples = [Sample("2+2= ", "4", "4"), Sample("2+2= ", "five", "4")]
        verdicts = load("openrlhf_reward", "openrlhf").score(samples)
        assert verdicts.values.tolist() == [1.0, 0.0]
        assert verdicts[1].details == {"scores": 0.0, "extra_logs": {"length": 4.0}}

    def test_a_plain_list(self):
        assert load("openrlhf_plain", "openrlhf").one("12345", "67").value == pytest.approx(0.07)

    def test_a_chat_prompt_is_the_messages_texts_and_the_query_begins_with_it(self):
        verdict = load("openrlhf_reward", "openrlhf").one([{"role": "user", "content": "2+2?"}], chat("4"), "4")
        assert verdict.value == 1.0

    def test_more_than_one_reward_for_one_sample_is_refused(self):
        with pytest.raises(ContractError, match="2 entries"):
            reward(lambda queries, prompts, labels: [1.0, 2.0], style="openrlhf")([Sample("p", "r")] * 2)


ALL = [
    ("trl_digits", "trl", {}), ("trl_everything", "trl", {}), ("trl_async", "trl", {}), ("verl_gsm8k", "verl", {}),
    ("verl_parts", "verl", {}), ("verl_async", "verl", {}), ("verl_batch", "verl", {"batch": True}),
    ("openrlhf_reward", "openrlhf", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "style", "facts"), ALL)
def test_every_style_round_trips_through_a_spec_and_combines(name, style, facts):
    loaded = load(name, style, range=[-1e6, 1e6], **facts)
    again = from_spec(loaded.to_yaml())
    assert type(again) is type(loaded)
    assert again.spec == loaded.spec
    assert again.fingerprint == loaded.fingerprint
    meta = {"level": 1, "extra_info": {"level": 1}}
    sample = Sample([{"role": "user", "content": "q"}], chat("a 4"), "4", tokens=words(3), meta=meta)
    alone = loaded.score([sample], Context(step=1)).values[0]
    assert (2 * loaded + 1).score([sample], Context(step=1)).values[0] == pytest.approx(2 * alone + 1)


@pytest.mark.parametrize(
    ("name", "style", "facts"),
    [
        ("trl_digits", "trl", {"lane": "io"}),
        ("trl_async", "trl", {"lane": "cpu"}),
        ("verl_gsm8k", "verl", {"scope": "group"}),
        ("verl_gsm8k", "verl", {"lane": "gpu"}),
        ("openrlhf_plain", "openrlhf", {"batch": True}),
        ("trl_async", "openrlhf", {}),
    ],
)
def test_facts_that_do_not_fit_the_convention_are_refused(name, style, facts):
    with pytest.raises((ContractError, ValueError)):
        load(name, style, **facts)


def test_a_slow_foreign_function_can_live_in_a_worker():
    loaded = load("verl_gsm8k", "verl", range=[0, 1], lane="cpu", timeout=5.0)
    assert loaded([Sample("p", "#### 7", "7"), Sample("p", "#### 8", "7")]).tolist() == [1.0, 0.0]
