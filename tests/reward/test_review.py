"""What fresh eyes found in the contract, each as it must be."""

import functools
import operator
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from plaudit.errors import ContractError, SpecError
from plaudit.reward import Facts, Reward, Sum, from_spec, leaves, reward
from plaudit.reward._memo import _as_data
from plaudit.run import VerdictCache, event_loop, using
from plaudit.types import FAILED, Sample, Verdict, Verdicts
from plaudit.verify import Exact


@reward(range=(0, 1))
def a(response):
    return 1.0


@reward(range=(0, 1))
def b(response):
    return 0.5


@dataclass(frozen=True)
class Vector(Reward):
    """Raises on "boom"; hangs on "hang" where it runs on the cpu lane."""

    lane: Any = "inline"

    @property
    def facts(self):
        return Facts(range=(0, 1), parts=("c",), lane=self.lane, timeout=0.3 if self.lane == "cpu" else None)

    def score_one(self, sample, context):
        if sample.response == "boom":
            raise ValueError("boom")
        while sample.response == "hang":
            pass
        return Verdict(0.5, parts={"c": Verdict(0.25)})


@pytest.mark.parametrize(("lane", "bad"), [("inline", "boom"), ("cpu", "hang")])
def test_a_part_of_a_verdict_that_was_lost_is_failed_and_not_as_if_it_did_not_apply(lane, bad):
    verdicts = (a + Vector(lane)["c"]).score([Sample("q", "fine"), Sample("q", bad)])
    assert verdicts.status.tolist() == ["scored", "failed"]
    assert verdicts.reason[1] == "part_failed:c"


def test_a_failed_rollout_is_failed_whatever_the_tree_makes_of_it():
    for tree in (Vector()["c"], a.clip(0, 1), a + b):
        verdict = tree.score([Sample("q", "r", finish="error")])[0]
        assert (verdict.status.value, verdict.reason) == ("failed", "rollout_failed")


def of(function):
    @reward(range=(0, 1))
    def leaf(response):
        return float(bool(function(response)))

    return leaf


def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(response):
            return factor(function(response))

        return wrapper

    return decorate


def half(value):
    return 0.5 * value


def tenth(value):
    return 0.1 * value


def test_bound_builtins_and_wrappers_count_by_what_is_inside_them():
    assert of(re.compile("ok").match).fingerprint != of(re.compile("no").match).fingerprint
    assert of(re.compile("ok").match).fingerprint == of(re.compile("ok").match).fingerprint
    assert of(operator.itemgetter(0)).unversioned, "nothing says what it holds: only equal to itself, and never cached"
    plain = reward(scaled(half)(lambda response: 1.0), range=(0, 1))
    assert plain.fingerprint != reward(scaled(tenth)(lambda response: 1.0), range=(0, 1)).fingerprint


def test_data_is_told_apart_where_configuration_is_not():
    assert len({_as_data(1), _as_data(1.0), _as_data(True), _as_data("1")}) == 4
    assert _as_data({"a": 1, "b": 2}) != _as_data({"b": 2, "a": 1})


def test_a_field_that_a_spec_keeps_for_itself_is_refused():
    @dataclass(frozen=True)
    class Taken(Reward):
        name: str = "x"

        @property
        def facts(self):
            return Facts(range=(0, 1))

        def score_one(self, sample, context):
            return Verdict(0.0)

    with pytest.raises(ContractError, match="'name', which a spec keeps"):
        _ = Taken().fingerprint


def test_take_reads_a_list_of_truths_as_a_mask():
    verdicts = Verdicts.of([Verdict(0.0), Verdict(1.0), Verdict(2.0)])
    assert verdicts.take([True, False, True]).values.tolist() == [0.0, 2.0]
    assert verdicts.take([]).values.tolist() == []


def test_columns_without_a_value_need_a_reason():
    with pytest.raises(ValueError, match="reason"):
        Verdicts(np.array([np.nan]), np.array([FAILED], dtype=np.int8))


def test_a_batch_function_gets_its_default_where_a_row_lacks_the_column():
    @reward(range=(0, 9), batch=True)
    def level_of(responses, level=3):
        return [float(x) for x in (level if isinstance(level, list) else [level] * len(responses))]

    assert level_of([Sample("q", "r", meta={"level": 1}), Sample("q", "r")]).tolist() == [1.0, 3.0]


def test_a_function_of_group_scope_is_called_once_for_each_group_and_sees_whole_groups():
    sizes = []

    @reward(range=(0, 1), scope="group", batch=True)
    def share(responses, level):
        sizes.append(len(responses))
        return [1 / len(responses)] * len(responses)

    here = {"level": 1}
    samples = [Sample("p", "1", meta=here), Sample("q", "2", meta=here), Sample("p", "3", meta=here), Sample("q", "4")]
    verdicts = share.score(samples)
    assert sizes == [2]
    assert verdicts.status.tolist() == ["scored", "failed", "scored", "failed"]
    assert [verdicts.reason[1], verdicts.reason[3]] == ["group_incomplete", "column_missing"]


def test_good_rows_survive_bad_ones_that_stand_at_even_distances():
    @dataclass(frozen=True)
    class Picky(Reward):
        @property
        def facts(self):
            return Facts(range=(0, 1))

        def score_batch(self, samples, context):
            if any(s.response == "bad" for s in samples):
                raise ValueError("bad")
            return [Verdict(1.0)] * len(samples)

    verdicts = Picky().score([Sample(f"q{i}", "bad" if i % 8 == 0 else "good") for i in range(64)])
    assert (verdicts.n_scored, verdicts.n_failed) == (56, 8)


def test_a_body_that_raises_on_the_few_rows_it_sees_does_not_undo_the_call():
    @reward(range=(0, 1))
    def opens(response):
        return float(response == "open")

    @reward(range=(0, 1))
    def breaks(response):
        raise ValueError("no")

    verdicts = opens.gate(breaks).score([Sample("q", "open")] * 2 + [Sample("q", "shut")] * 5)
    assert (verdicts.n_scored, verdicts.n_failed) == (5, 2)


def test_a_gpu_reward_may_score_another_one():
    @dataclass(frozen=True)
    class Inner(Reward):
        @property
        def facts(self):
            return Facts(range=(0, 1), lane="gpu")

        def score_batch(self, samples, context):
            return [Verdict(1.0)] * len(samples)

    @dataclass(frozen=True)
    class Outer(Inner):
        def score_batch(self, samples, context):
            return list(Inner().score(samples))

    assert Outer()([Sample("q", "r")]).tolist() == [1.0]


def test_a_task_that_wants_to_leave_the_process_does_not_stop_the_loop():
    @reward(range=(0, 1))
    async def leaves_early(response):
        raise SystemExit(3)

    @reward(range=(0, 1))
    async def fine(response):
        return 1.0

    assert leaves_early.score([Sample("q", "r")]).reason[0] == "reward_error"

    async def stray():
        raise SystemExit(4)

    with pytest.raises(SystemExit):
        event_loop().submit(stray()).result(5)
    assert fine([Sample("q", "r")]).tolist() == [1.0]


def test_parts_of_parts_are_found():
    tree = (a + b).named("s") + b.named("z")
    assert tree["s"]["a"]([Sample("q", "r")]).tolist() == [1.0]


def test_numbers_that_are_none_are_refused_where_they_are_given():
    assert Sum({"a": a}, bias=1)([Sample("q", "r")]).tolist() == [2.0]
    for make in (
        lambda: a + float("nan"),
        lambda: a + float("inf"),
        lambda: a.gate(b, float("nan")),
        lambda: a.clip(float("nan")),
    ):
        with pytest.raises(ContractError):
            make()


def test_details_that_are_no_json_are_only_not_kept(tmp_path):
    @dataclass(frozen=True)
    class Odd(Reward):
        @property
        def facts(self):
            return Facts(range=(0, 1), lane="gpu")

        def score_batch(self, samples, context):
            return [Verdict(1.0, details={(0, 1): 2})] * len(samples)

    with using(cache=VerdictCache(tmp_path / "cache.sqlite")):
        assert Odd()([Sample("q", "r")]).tolist() == [1.0]


def test_names_of_leaves_keep_their_dots_and_stay_distinct():
    assert [leaf.name for leaf in leaves(a.named("v1.5") + b)] == ["v1.5", "b"]
    inner = Sum({"b": b, "c": Vector()})
    names = [leaf.name for leaf in leaves(Sum({"x.b": a, "x": inner}))]
    assert len(set(names)) == 3


@pytest.mark.parametrize("key", ["on", "no", "null", "true"])
def test_a_key_that_yaml_does_not_read_as_text_is_refused(key):
    with pytest.raises(SpecError, match="quotes"):
        from_spec(f"{{use: sum, parts: {{{key}: {{use: verify.exact}}}}}}")


def test_one_key_in_two_spellings_is_refused():
    with pytest.raises(SpecError, match="twice"):
        from_spec("{use: sum, parts: {1: {use: verify.exact}, '1': {use: verify.math}}}")


def test_a_spec_says_numbers_of_numpy_as_numbers():
    assert "low: 0.0" in Exact().clip(np.float64(0), 1).to_yaml()


def test_a_class_in_a_file_is_a_reward_of_a_spec(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom plaudit import Facts, Reward, Verdict\n\n"
        "@dataclass(frozen=True)\nclass Polite(Reward):\n    word: str = 'please'\n\n"
        "    @property\n    def facts(self):\n        return Facts(range=(0, 1), reads={'response'})\n\n"
        "    def score_one(self, sample, context):\n        return Verdict(float(self.word in sample.response))\n"
    )
    (tmp_path / "spec.yaml").write_text("{use: 'mine.py:Polite', word: thanks}")
    made = from_spec(tmp_path / "spec.yaml")
    assert made([Sample("q", "thanks")]).tolist() == [1.0]
    assert from_spec(made.spec).fingerprint == made.fingerprint


def test_a_single_sample_is_not_a_list_of_them():
    with pytest.raises(ContractError, match="list of samples"):
        a.score(Sample("q", "r"))  # type: ignore[arg-type]


def test_a_function_may_call_the_reference_by_the_name_that_its_file_has():
    right = reward(lambda response, answer: float(response == answer), range=(0, 1))
    assert right([Sample("q", "4", "4")]).tolist() == [1.0]
