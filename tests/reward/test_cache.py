"""A cache answers only what was asked before, of the same reward, about the same fields, in the same group."""

import functools
import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plaudit import Context, Cost, Dense, Facts, Reward, Sample, Verdict, using
from plaudit.reward import Stateful, reward
from plaudit.run import VerdictCache

CALLS = field(default_factory=list, init=False, compare=False, repr=False)


@dataclass(frozen=True)
class Remote(Reward):
    """An io reward that notes what it is asked."""

    size: int = 1
    reads: tuple[str, ...] = ("response",)
    facts_: tuple = ()
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(**{"range": (0, 99), "reads": set(self.reads), "lane": "io", **dict(self.facts_)})

    async def ascore_one(self, sample, context):
        self.calls.append(sample)
        return self.say(sample, context)

    def say(self, sample, context):
        return Verdict(float(len(sample.response) * self.size))


@dataclass(frozen=True)
class Whole(Reward):
    """Scores whole groups (or batches) by how many samples it sees."""

    scope: str = "group"
    partial: bool = False
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(range=(0, 99), reads={"response"}, scope=self.scope, lane="io", partial_groups=self.partial)

    async def ascore_batch(self, samples, context):
        self.calls.append([s.response for s in samples])
        return [Verdict(float(len(samples) + len(s.response) / 100)) for s in samples]


@pytest.fixture
def cache(tmp_path):
    with VerdictCache(tmp_path / "verdicts.sqlite") as opened, using(cache=opened):
        yield opened


SAMPLES = [Sample("p", "x" * k) for k in range(3)]


def asked(leaf, samples, context=None):
    """How many new calls scoring makes."""
    before = len(leaf.calls)
    leaf.score(samples, context)
    return len(leaf.calls) - before


def test_what_was_asked_before_is_not_asked_again(cache):
    leaf = Remote()
    assert asked(leaf, SAMPLES) == 3
    assert asked(leaf, SAMPLES) == 0
    assert asked(leaf, [*SAMPLES, Sample("p", "new")]) == 1
    assert asked(leaf.named("other").reward, SAMPLES[::-1]) == 0
    assert leaf.score(SAMPLES[::-1]).values.tolist() == [2, 1, 0]


def test_another_reward_or_another_field_of_it_is_asked_again(cache):
    assert asked(Remote(), SAMPLES) == 3
    assert asked(Remote(size=2), SAMPLES) == 3
    assert asked(Remote(facts_=(("version", "2"),)), SAMPLES) == 3


def test_only_what_the_reward_reads_makes_a_difference(cache):
    leaf = Remote(reads=("response", "meta.level"))
    sample = Sample("p", "r", "ref", id="a", meta={"level": 1, "other": 1})
    assert asked(leaf, [sample]) == 1
    for same in (
        replace(sample, id="b"),
        replace(sample, prompt="another"),
        replace(sample, reference=None),
        replace(sample, meta={"level": 1}),
        replace(sample, tokens=np.arange(3)),
    ):
        assert asked(leaf, [same]) == 0
    for other in (replace(sample, response="R"), replace(sample, meta={"level": 2}), replace(sample, meta={"level": "1"})):
        assert asked(leaf, [other]) == 1


def test_a_column_that_is_missing_is_not_one_that_is_null(cache):
    leaf = Remote(reads=("response", "meta.level"))
    assert asked(leaf, [Sample("p", "r", meta={"level": None})]) == 1
    assert asked(leaf, [Sample("p", "r")]) == 1
    assert asked(leaf, [Sample("p", "r"), Sample("p", "r", meta={"level": None})]) == 0


def test_arrays_messages_huge_numbers_and_odd_text_are_told_apart(cache):
    leaf = Remote(reads=("response", "reference", "prompt", "tokens"))
    base = Sample([{"role": "user", "content": "a"}], "r", 10**400, tokens=np.arange(3))
    assert asked(leaf, [base]) == 1
    assert asked(leaf, [replace(base)]) == 0
    for other in (
        replace(base, prompt=[{"role": "user", "content": "b"}]),
        replace(base, reference=10**400 + 1),
        replace(base, tokens=np.arange(1, 4)),
        replace(base, response="\ud800"),
        replace(base, response="\ud801"),
    ):
        assert asked(leaf, [other]) == 1


def test_an_object_that_cannot_be_pinned_is_asked_about_again(cache):
    leaf = Remote(reads=("response", "reference"))
    assert asked(leaf, [Sample("p", "r", object())]) == 1
    assert asked(leaf, [Sample("p", "r", object())]) == 1


@dataclass(frozen=True)
class Flaky(Remote):
    """Fails until it has been asked often enough."""

    def say(self, sample, context):
        return Verdict(50.0) if len(self.calls) > 2 else Verdict.failed("judge_unreachable")


@dataclass(frozen=True)
class OutOfRange(Remote):
    def say(self, sample, context):
        return Verdict(50.0 if len(self.calls) > 2 else 1000.0)


@dataclass(frozen=True)
class Raising(Remote):
    def say(self, sample, context):
        if len(self.calls) <= 2:
            raise RuntimeError(f"{len(self.calls)}")
        return Verdict(50.0)


@pytest.mark.parametrize("kind", [Flaky, OutOfRange, Raising])
def test_a_failure_is_never_kept(cache, kind):
    leaf = kind()
    assert leaf.score(SAMPLES[:1]).n_failed == 1
    assert leaf.score(SAMPLES[:1]).n_failed == 1
    assert leaf.score(SAMPLES[:1]).values == [50.0]
    assert asked(leaf, SAMPLES[:1]) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Remote(facts_=(("deterministic", False),)),
        lambda: Remote(facts_=(("stateful", True),)),
        lambda: Whole(scope="batch"),
        lambda: Unversioned(object()),
    ],
    ids=["random", "stateful", "batch scope", "unversioned"],
)
def test_what_may_answer_differently_is_always_asked(cache, make):
    leaf = make()
    first = asked(leaf, SAMPLES)
    assert first == asked(leaf, SAMPLES) > 0


@dataclass(frozen=True)
class Unversioned(Remote):
    size: object = 1

    def say(self, sample, context):
        return Verdict(1.0)


def test_the_inline_lane_is_not_looked_up(cache):
    @dataclass(frozen=True)
    class Inline(Reward):
        calls: list = CALLS
        facts = property(lambda self: Facts(range=(0, 1)))

        def score_one(self, sample, context):
            self.calls.append(sample)
            return Verdict(1.0)

    leaf = Inline()
    assert asked(leaf, SAMPLES) == asked(leaf, SAMPLES) == 3


# Groups.


def group(*responses, **fields):
    return [Sample("p", response, group="g", **fields) for response in responses]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=1, max_size=4), min_size=2, max_size=6))
def test_a_group_is_never_served_from_another_group(cache, groups):
    """Whatever was asked before, the answer is that of the whole group as it is now."""
    leaf, known = Whole(), set()
    for responses in groups:
        samples = group(*responses)
        verdicts = leaf.score(samples)
        assert verdicts.values.tolist() == [len(responses) + len(r) / 100 for r in responses]
        known.add(tuple(sorted(responses)))
    for responses in known:
        before = len(leaf.calls)
        leaf.score(group(*responses))
        assert len(leaf.calls) == before, "a group that was asked about is known, in any order"


def test_a_smaller_group_does_not_answer_for_a_larger_one_nor_the_other_way_round(cache):
    leaf = Whole()
    assert leaf.score(group("a", "b")).values.tolist() == [2.01, 2.01]
    assert leaf.score(group("a", "b", "b")).values.tolist() == [3.01] * 3
    assert leaf.score(group("a")).values.tolist() == [1.01]
    assert asked(leaf, group("b", "a")) == 0
    assert asked(leaf, group("b", "b", "a")) == 0


def test_two_groups_of_one_call_are_looked_up_each_for_itself(cache):
    leaf = Whole()
    leaf.score(group("a", "b"))
    both = [*group("a", "b"), *(replace(s, group="h") for s in group("a", "c"))]
    assert asked(leaf, both) == 1
    assert leaf.calls[-1] == ["a", "c"]


def test_a_group_with_a_failed_rollout_is_not_the_whole_group(cache):
    leaf = Whole(partial=True)
    whole = group("a", "b", "c")
    broken = [*whole[:2], replace(whole[2], finish="error")]
    assert leaf.score(whole).values.tolist() == [3.01] * 3
    verdicts = leaf.score(broken)
    assert verdicts.values[:2].tolist() == [2.01, 2.01], "three samples are known, two are asked about"
    assert verdicts.reason[2] == "rollout_failed"
    assert leaf.score(whole).values.tolist() == [3.01] * 3
    assert asked(leaf, broken) == 0


def test_an_incomplete_group_is_refused_whatever_the_cache_holds(cache):
    leaf = Whole()
    leaf.score(group("a", "b", group_size=2))
    verdicts = leaf.score(group("a", "b", group_size=3))
    assert list(verdicts.reason) == ["group_incomplete"] * 2


@reward(range=(0, 9), scope="group", batch=True, lane="cpu")
def size_of_group(responses, log):
    with open(log[0], "a") as file:
        file.write(f"{len(responses)}\n")
    return [float(len(responses))] * len(responses)


def test_a_group_reward_on_the_cpu_lane_is_kept_by_whole_groups_too(cache, tmp_path):
    log = tmp_path / "log"
    say = functools.partial(group, meta={"log": str(log)})
    assert size_of_group.score(say("a", "b")).values.tolist() == [2, 2]
    assert size_of_group.score(say("a", "b", "c")).values.tolist() == [3, 3, 3]
    assert size_of_group.score(say("b", "a")).values.tolist() == [2, 2]
    assert log.read_text().split() == ["2", "3"]


# Context.


def test_what_is_read_of_the_context_is_part_of_the_question(cache):
    leaf = Remote(reads=("response", "context.step"))
    assert asked(leaf, SAMPLES, Context(step=1)) == 3
    assert asked(leaf, SAMPLES, Context(step=2)) == 3
    assert asked(leaf, SAMPLES, Context(step=1, seed=5)) == 0
    unaware = Remote()
    assert asked(unaware, SAMPLES, Context(step=1)) == 3
    assert asked(unaware, SAMPLES, Context(step=2)) == 0


def test_a_function_that_takes_the_context_is_asked_again_at_the_next_step(cache):
    @reward(range=(0, 9))
    async def scheduled(response, context):
        return float(context.step)

    assert scheduled.score(SAMPLES[:1], Context(step=1)).values == [1.0]
    assert scheduled.score(SAMPLES[:1], Context(step=2)).values == [2.0]


class Policy:
    address, abilities = "policy:", frozenset()

    def __init__(self, version):
        self.version = version


def test_a_model_of_the_context_counts_by_its_version(cache):
    leaf = Remote(reads=("response", "models.policy"))
    at = lambda version: Context(models={"policy": Policy(version)})  # noqa: E731
    assert asked(leaf, SAMPLES, at("1")) == 3
    assert asked(leaf, SAMPLES, at("1")) == 0
    assert asked(leaf, SAMPLES, at("2")) == 3
    assert asked(leaf, SAMPLES, at(None)) == asked(leaf, SAMPLES, at(None)) == 3
    assert asked(leaf, SAMPLES) == 3, "without the model there is nothing to pin"


# What comes back.


@dataclass(frozen=True)
class Rich(Remote):
    @property
    def facts(self):
        return Facts(range=(0, 99), reads={"response"}, lane="io", parts=("a", "b"))

    def say(self, sample, context):
        if not sample.response:
            return Verdict.abstained("not_applicable", "nothing to say", details={"why": ["empty"]})
        return Verdict(
            1 / 3,
            reason="response_wrong",
            parts={"a": Verdict(0.1, std=0.2, answer="x"), "b": Verdict.failed("solver_unknown", "lost")},
            dense=Dense("step", [0.5, float("nan")], [0, 1], [1, 2], [0, 0]),
            std=0.25,
            confidence=0.75,
            answer="\ud800 \x00 é",
            explanation="because",
            details={"tests": [1, None, {"ok": True}], "nan": float("inf")},
            cost=Cost(0.5),
        )


def test_a_hit_is_the_first_verdict_in_every_column_but_what_it_cost(cache):
    leaf, samples = Rich(), [Sample("p", "ab"), Sample("p", "")]
    first, again = leaf.score(samples), leaf.score(samples)
    assert len(leaf.calls) == 2
    assert first.stamp == again.stamp
    for a, b in zip(first, again, strict=True):
        for name in ("value", "status", "reason", "std", "confidence", "answer", "explanation"):
            assert getattr(a, name) == getattr(b, name), name
        assert dict(a.details) == dict(b.details)
        assert list(a.parts) == list(b.parts) == ["a", "b"]
        for part in a.parts:
            assert (a.parts[part].value, a.parts[part].reason, a.parts[part].std, a.parts[part].answer) == (
                b.parts[part].value, b.parts[part].reason, b.parts[part].std, b.parts[part].answer
            )  # fmt: skip
        assert (a.dense is None) == (b.dense is None)
        if a.dense is not None:
            for name in ("values", "start", "end", "message"):
                assert np.array_equal(getattr(a.dense, name), getattr(b.dense, name), equal_nan=True)
                assert getattr(a.dense, name).dtype == getattr(b.dense, name).dtype
    assert again.cost[:, 1:].sum() == 0


def test_a_hit_costs_nothing_and_says_what_the_first_call_did(cache):
    @dataclass(frozen=True)
    class Paid(Remote):
        def say(self, sample, context):
            return Verdict(1.0, cost=Cost(1.0, calls=1, tokens=20, money=0.5))

    leaf = Paid()
    assert leaf.score(SAMPLES[:1])[0].cost.calls == 1
    again = leaf.score(SAMPLES[:1])[0]
    assert (again.cost.calls, again.cost.money) == (0, 0.0)
    assert again.details["cached_cost"] == [1, 20, 0.5]


def test_leaves_of_a_tree_are_kept_each_for_itself(cache):
    a, b = Remote(), Remote(size=2)
    (a + b).score(SAMPLES)
    assert asked(a, SAMPLES) == asked(b, SAMPLES) == 0
    assert (a * b).score(SAMPLES).values.tolist() == [0, 2, 8]


def test_without_a_cache_everything_is_asked():
    leaf = Remote()
    assert asked(leaf, SAMPLES) == asked(leaf, SAMPLES) == 3


def test_an_answer_that_is_garbled_in_the_file_is_asked_for_again(cache):
    leaf = Remote()
    leaf.score(SAMPLES)
    keys = []
    original = cache.get_many
    cache.get_many = lambda wanted: (keys.extend(wanted), original(wanted))[1]
    leaf.score(SAMPLES)
    for garbage in (
        b"",
        b"not json",
        b"[]",
        b'{"v": 1.0}',
        b'{"v": null, "s": "scored"}',
        b'{"v": 1, "s": "scored", "r": "gone"}',
    ):
        cache.put_many(list(zip(keys, itertools.repeat(garbage))))
        assert asked(leaf, SAMPLES) == 3, garbage
        cache.put_many([])


def test_a_stateful_tree_keeps_its_stateless_leaves(cache):
    @dataclass(frozen=True)
    class Running(Stateful):
        facts = property(lambda self: Facts(range=(0, 1), reads={"response"}, stateful=True))

        def score_one(self, sample, context):
            return Verdict(0.5)

        def update(self, samples, verdicts, context): ...
        def state_dict(self):
            return {"n": 1}

        def load_state_dict(self, state): ...

    leaf = Remote()
    tree = leaf + Running()
    tree.score(SAMPLES)
    before = len(leaf.calls)
    assert "@" in tree.score(SAMPLES).stamp
    assert len(leaf.calls) == before
