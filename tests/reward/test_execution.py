"""Four ways to write a leaf, each on its lanes; and whose fault it is when something goes wrong."""

import asyncio
import threading
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest

from plaudit import Context, Facts, Reward, Sample, Verdict, Verdicts, using
from plaudit.errors import ContractError
from plaudit.reward import Combinator, Sum, reward

CALLS = field(default_factory=list, init=False, compare=False, repr=False)
SAMPLES = [Sample("p", "x" * k, group=f"g{k % 2}") for k in range(6)]


@dataclass(frozen=True)
class Leaf(Reward):
    """A leaf on a lane of choice that notes where and on what it ran."""

    lane: str = "inline"
    scope: str = "sample"
    extra: tuple = ()
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(**{"range": (0, 99), "lane": self.lane, "scope": self.scope, **dict(self.extra)})

    def note(self, samples):
        self.calls.append((threading.current_thread(), [s.response for s in samples]))


class One(Leaf):
    def score_one(self, sample, context):
        self.note([sample])
        return Verdict(float(len(sample.response)))


class AsyncOne(Leaf):
    async def ascore_one(self, sample, context):
        self.note([sample])
        await asyncio.sleep(0.001 * (6 - len(sample.response)))
        return Verdict(float(len(sample.response)))


class Batch(Leaf):
    def score_batch(self, samples, context):
        self.note(samples)
        return [Verdict(float(len(s.response))) for s in samples]


class AsyncBatch(Leaf):
    async def ascore_batch(self, samples, context):
        self.note(samples)
        await asyncio.sleep(0)
        return Verdicts(np.array([float(len(s.response)) for s in samples]))


for kind in (One, AsyncOne, Batch, AsyncBatch):
    dataclass(frozen=True)(kind)

KINDS = [
    *((One, lane, "sample") for lane in ("inline", "cpu", "gpu")),
    (AsyncOne, "io", "sample"),
    *((Batch, lane, scope) for lane in ("inline", "cpu", "gpu") for scope in ("sample", "group", "batch")),
    *((AsyncBatch, "io", scope) for scope in ("sample", "group", "batch")),
]


@pytest.mark.parametrize(("kind", "lane", "scope"), KINDS)
def test_every_kind_of_leaf_gives_one_verdict_for_each_sample_in_their_order(kind, lane, scope):
    leaf = kind(lane, scope)
    order = SAMPLES[::-1]
    verdicts = leaf.score(order)
    assert verdicts.values.tolist() == [5, 4, 3, 2, 1, 0]
    assert (verdicts.cost[:, 0] >= 0).all()
    assert verdicts.stamp == leaf.fingerprint
    assert asyncio.run(leaf.ascore(order)).values.tolist() == [5, 4, 3, 2, 1, 0]
    assert leaf(order).tolist() == [5, 4, 3, 2, 1, 0]
    assert leaf.score([]).values.tolist() == []
    assert leaf.one("p", "abc", group="g").value == 3.0


@pytest.mark.parametrize(
    ("leaf", "thread"),
    [
        (One("inline"), "MainThread"),
        (AsyncOne("io"), "plaudit-io"),
        (Batch("gpu"), "plaudit-gpu_0"),
        (One("gpu"), "plaudit-gpu_0"),
    ],
)
def test_inline_runs_in_the_caller_and_the_other_lanes_elsewhere(leaf, thread):
    leaf.score(SAMPLES)
    assert {where.name for where, _ in leaf.calls} == {thread}


def test_batches_of_the_gpu_lane_are_sorted_by_length_and_limited_in_size():
    leaf = Batch("gpu", extra=(("batch_size", 4),))
    leaf.score(SAMPLES[::-1])
    assert [[len(r) for r in responses] for _, responses in leaf.calls] == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize("lane", ["inline", "gpu"])
def test_group_scope_sees_whole_groups_and_never_a_torn_one(lane):
    leaf = Batch(lane, "group", extra=(("batch_size", 4),))
    leaf.score(SAMPLES)
    for _, responses in leaf.calls:
        assert sorted(responses, key=len) in (
            ["", "xx", "xxxx"],
            ["x", "xxx", "xxxxx"],
            sorted(["x" * k for k in range(6)], key=len),
        )


def test_max_in_flight_limits_the_io_lane():
    flying = []

    @dataclass(frozen=True)
    class Flying(Leaf):
        async def ascore_one(self, sample, context):
            self.calls.append(1)
            flying.append(sum(self.calls))
            await asyncio.sleep(0.005)
            self.calls.append(-1)
            return Verdict(1.0)

    Flying("io", extra=(("max_in_flight", 2),)).score(SAMPLES)
    assert max(flying) == 2


# A leaf that is written wrongly.


def test_a_class_that_writes_two_leaf_methods_is_refused_when_it_is_made():
    with pytest.raises(ContractError, match=r"score_one and score_batch.*exactly one"):

        class Both(Reward):
            facts = property(lambda self: Facts())

            def score_one(self, sample, context): ...
            def score_batch(self, samples, context): ...


def test_a_subclass_that_adds_another_leaf_method_is_refused_too():
    with pytest.raises(ContractError, match="exactly one"):

        class More(One):
            async def ascore_one(self, sample, context): ...


def test_a_class_that_writes_none_says_so_when_it_is_asked():
    @dataclass(frozen=True)
    class Nothing(Reward):
        facts = property(lambda self: Facts(range=(0, 1)))

    with pytest.raises(ContractError, match="writes none of score_one, ascore_one, score_batch, ascore_batch"):
        Nothing().score(SAMPLES)


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (One("io"), "async methods live on the io lane"),
        (AsyncOne("inline"), "async methods live on the io lane"),
        (One("inline", "group"), "a group needs a batch method"),
        (AsyncOne("io", "batch"), "a batch needs a batch method"),
    ],
)
def test_a_method_that_does_not_fit_its_lane_or_scope_is_refused(leaf, said):
    with pytest.raises(ContractError, match=said):
        leaf.score(SAMPLES)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda n: None, "returned NoneType: expected 6 results"),
        (lambda n: [Verdict(1.0)] * (n - 1), "returned 5 results for 6 items"),
        (lambda n: [1.0] * n, "returned float for item 0: expected a Verdict"),
        (lambda n: [Verdict(1.0, parts={"extra": Verdict(1.0)})] * n, r"parts \['extra'\], facts.parts declares \[\]"),
        (lambda n: Verdicts(np.ones(n + 1)), "returned 7 results for 6 items"),
    ],
)
def test_results_that_are_not_one_verdict_each_are_the_authors_mistake_and_raise(result, said):
    @dataclass(frozen=True)
    class Odd(Leaf):
        def score_batch(self, samples, context):
            return result(len(samples))

    with pytest.raises(ContractError, match=said):
        Odd().score(SAMPLES)


def test_a_leaf_that_returns_a_number_raises_too():
    @dataclass(frozen=True)
    class Number(Leaf):
        def score_one(self, sample, context):
            return 1.0

    with pytest.raises(ContractError, match="expected a Verdict"):
        Number().score(SAMPLES)


def test_something_that_is_no_sample_is_refused_by_its_place():
    with pytest.raises(ContractError, match=r"samples\[1\] is str"):
        One().score([Sample("p", "r"), "text"])


def test_declared_parts_that_a_verdict_lacks_were_not_run():
    @dataclass(frozen=True)
    class Vector(Leaf):
        def score_one(self, sample, context):
            return Verdict(1.0, parts={"b": Verdict(2.0)} if sample.response else {})

    verdicts = Vector(extra=(("parts", ("a", "b")),)).score(SAMPLES[:2])
    assert list(verdicts.parts) == ["a", "b"]
    assert verdicts.parts["b"].reason == ["not_run", None]
    assert verdicts.parts["a"].reason == ["not_run", "not_run"]


# Errors.


@dataclass(frozen=True)
class Fails(Leaf):
    """Raises on the responses that are given."""

    bad: tuple[str, ...] = ()

    def check(self, response):
        if response in self.bad:
            raise ValueError(f"cannot read {response!r}")
        return Verdict(float(len(response)))


@dataclass(frozen=True)
class FailsOne(Fails):
    def score_one(self, sample, context):
        return self.check(sample.response)


@dataclass(frozen=True)
class FailsAsync(Fails):
    async def ascore_one(self, sample, context):
        return self.check(sample.response)


@dataclass(frozen=True)
class FailsBatch(Fails):
    def score_batch(self, samples, context):
        self.note(samples)
        return [self.check(s.response) for s in samples]


@dataclass(frozen=True)
class FailsAsyncBatch(Fails):
    async def ascore_batch(self, samples, context):
        return [self.check(s.response) for s in samples]


FAILING = [
    (FailsOne, "inline"), (FailsOne, "cpu"), (FailsOne, "gpu"), (FailsAsync, "io"), (FailsBatch, "inline"), (FailsBatch, "cpu"),
    (FailsBatch, "gpu"), (FailsAsyncBatch, "io"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "lane"), FAILING)
@pytest.mark.parametrize("bad", [("x",), ("", "xxxxx"), ("", "x"), ("xxx", "xxxx", "xxxxx"), ("", "x", "xx", "xxx", "xxxx")])
def test_an_error_costs_the_samples_that_raise_it_and_no_other(kind, lane, bad):
    verdicts = kind(lane, bad=bad).score(SAMPLES)
    for sample, verdict in zip(SAMPLES, verdicts, strict=True):
        if sample.response in bad:
            assert verdict.reason == "reward_error"
            assert f"ValueError: cannot read {sample.response!r}" in verdict.explanation
        else:
            assert verdict.value == len(sample.response)


@pytest.mark.parametrize(("kind", "lane"), FAILING)
def test_the_same_error_on_every_sample_is_raised_itself(kind, lane):
    with pytest.raises(ValueError, match="cannot read"):
        kind(lane, bad=tuple(s.response for s in SAMPLES)).score(SAMPLES)


@pytest.mark.parametrize(("kind", "lane"), FAILING)
def test_an_error_on_the_only_sample_is_its_verdict(kind, lane):
    verdict = kind(lane, bad=("x",)).score([Sample("p", "x")])[0]
    assert verdict.reason == "reward_error"


def test_different_errors_on_every_sample_are_verdicts():
    @dataclass(frozen=True)
    class Various(Leaf):
        def score_one(self, sample, context):
            raise (ValueError if len(sample.response) % 2 else KeyError)(sample.response)

    verdicts = Various().score(SAMPLES)
    assert list(verdicts.reason) == ["reward_error"] * 6
    assert "KeyError" in verdicts[0].explanation


def test_a_broken_batch_is_not_called_for_every_sample():
    leaf = FailsBatch(bad=tuple("x" * k for k in range(500)))
    with pytest.raises(ValueError, match="cannot read"):
        leaf.score([Sample("p", "x" * k) for k in range(500)])
    assert len(leaf.calls) < 20


def test_two_culprits_in_a_large_batch_are_found_alone():
    samples = [Sample("p", "x" * k) for k in range(500)]
    leaf = FailsBatch(extra=(("range", (0, 999)),), bad=("", "x" * 499))
    verdicts = leaf.score(samples)
    assert np.flatnonzero(np.isnan(verdicts.values)).tolist() == [0, 499]
    assert len(leaf.calls) < 60


def test_a_group_whose_leaf_raises_fails_as_a_whole_and_alone():
    @dataclass(frozen=True)
    class Grouped(Fails):
        def score_batch(self, samples, context):
            return [self.check(s.response) for s in samples]

    verdicts = Grouped("inline", "group", bad=("xx",)).score(SAMPLES)
    assert [r == "reward_error" for r in verdicts.reason] == [True, False] * 3


class Odd(BaseException):
    pass


def test_even_an_error_outside_the_usual_hierarchy_costs_one_sample():
    @dataclass(frozen=True)
    class Strange(Leaf):
        def score_one(self, sample, context):
            if sample.response == "x":
                raise Odd
            return Verdict(1.0)

    assert Strange().score(SAMPLES).n_failed == 1


@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_cancellation_that_a_library_lets_slip_costs_one_sample(in_flight):
    @reward(range=(0, 1))
    async def leaks(response):
        if response == "x":
            raise asyncio.CancelledError
        await asyncio.sleep(0.001)
        return 1.0

    with using(max_in_flight=in_flight):
        assert list(leaks.score(SAMPLES).reason) == [None, "reward_error", None, None, None, None]


def test_one_sample_that_raises_beside_a_failed_rollout_is_not_every_sample():
    verdicts = FailsBatch(bad=("x",)).score([SAMPLES[1], Sample("p", "y", finish="error")])
    assert list(verdicts.reason) == ["reward_error", "rollout_failed"]


def test_an_interrupt_is_nobodys_verdict():
    @dataclass(frozen=True)
    class Stopped(Leaf):
        def score_one(self, sample, context):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stopped().score(SAMPLES)


# Values.


@pytest.mark.parametrize("value", [1.5, -0.1, 1e9])
def test_a_value_outside_the_declared_range_is_failed(value):
    verdict = reward(lambda response: value, range=(0, 1)).one("p", "r")
    assert verdict.reason == "out_of_range"
    assert "declared range (0, 1)" in verdict.explanation


@pytest.mark.parametrize("value", [1 + 1e-9, -1e-9])
def test_a_rounding_error_is_let_through(value):
    assert reward(lambda response: value, range=(0, 1)).one("p", "r").value == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_value_that_is_no_finite_number_is_failed(value):
    assert reward(lambda response: value, range=(0, 1)).one("p", "r").reason == "invalid_value"


# Undeclared ranges.


def test_an_undeclared_range_warns_once_by_name_and_only_when_it_leaves_the_whole_open():
    loose = reward(lambda response: 1.0, name="loose_reward_of_this_test")
    other = reward(lambda response: 0.5, name="other_loose_reward_of_this_test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loose.clip(0, 1).score(SAMPLES)
        assert loose.facts.range is None, "building and asking for facts says nothing"
    with pytest.warns(UserWarning, match=r"loose_reward_of_this_test declares no range: write @reward\(range=") as caught:
        (loose + One()).score(SAMPLES)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loose.score(SAMPLES)
        (loose * One()).score(SAMPLES)
    with pytest.warns(UserWarning, match="other_loose"):
        (loose + other).score(SAMPLES)


def test_a_range_declared_as_unbounded_is_declared():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reward(lambda response: 1e300, range=(-np.inf, np.inf)).one("p", "r").value == 1e300


# Limits.


@reward(range=(-1, 1), lane="cpu", timeout=0.4)
def hangs(response):
    if response == "hang":
        time.sleep(60)
    if response == "eat":
        return float(len(bytearray(1 << 40)))
    return 0.5


@reward(lane="cpu", timeout=0.4, name="hangs_open")
def hangs_without_a_range(response):
    time.sleep(60 if response == "hang" else 0)
    return 0.5


@pytest.mark.filterwarnings("ignore:hangs.* declares no range")
def test_a_response_that_overruns_its_worker_is_at_the_bottom_and_its_neighbours_are_not():
    samples = [Sample("p", r) for r in ("a", "hang", "b", "eat", "c")]
    verdicts = hangs.score(samples)
    assert verdicts.values.tolist() == [0.5, -1, 0.5, -1, 0.5]
    assert list(verdicts.reason) == [None, "response_timeout", None, "response_memory", None]
    open_ended = hangs_without_a_range.score(samples[:3])
    assert list(open_ended.reason) == [None, "no_bottom", None]
    assert "response_timeout" in open_ended[1].explanation


def test_a_slow_answer_on_the_io_lane_is_our_failure():
    @reward(range=(0, 1), timeout=0.05)
    async def slow(response):
        await asyncio.sleep(5 if response == "slow" else 0)
        return 1.0

    verdicts = slow.score([Sample("p", "fast"), Sample("p", "slow")])
    assert verdicts[0].value == 1.0
    assert (verdicts[1].status.value, verdicts[1].reason) == ("failed", "timed_out")


@pytest.mark.parametrize(("kind", "lane", "scope"), [k for k in KINDS if k[2] == "sample"])
def test_after_the_deadline_of_the_call_nothing_new_is_started(kind, lane, scope):
    leaf = kind(lane, scope)
    verdicts = leaf.score(SAMPLES, Context(deadline=time.monotonic() - 1))
    assert list(verdicts.reason) == ["deadline_passed"] * 6
    assert leaf.calls == []


def test_what_was_done_before_the_deadline_counts():
    @reward(range=(0, 1))
    def slow(response):
        time.sleep(0.1)
        return 1.0

    verdicts = slow.score(SAMPLES, Context(deadline=time.monotonic() + 0.25))
    assert 1 <= verdicts.n_scored < 6
    assert set(verdicts.reason[verdicts.n_scored :]) == {"deadline_passed"}


# Rollouts and groups.


def test_a_failed_rollout_is_never_shown_to_a_leaf():
    leaf, remote = One(), AsyncOne("io")
    samples = [SAMPLES[0], Sample("p", "broken", finish="error")]
    for tree in (
        leaf,
        remote,
        leaf + remote,
        leaf.gate(remote),
        Sum({"a": leaf, "b": remote}, on_failure="drop"),
        leaf.clip(0, 1),
    ):
        verdict = tree.score(samples)[1]
        assert (verdict.status.value, verdict.reason) == ("failed", "rollout_failed")
    assert all("broken" not in responses for _, responses in leaf.calls + remote.calls)


@pytest.mark.parametrize(
    ("sizes", "complete"),
    [([3, 3, 3], True), ([4, 4, 4], False), ([None, None, 3], True), ([3, 3, 2], False), ([None] * 3, True)],
)
def test_an_incomplete_group_is_failed_unless_the_reward_can_work_on_it(sizes, complete):
    samples = [Sample("p", f"r{k}", group="g", group_size=size) for k, size in enumerate(sizes)]
    verdicts = Batch("inline", "group").score(samples)
    assert list(verdicts.reason) == ([None] * 3 if complete else ["group_incomplete"] * 3)
    assert Batch("inline", "group", extra=(("partial_groups", True),)).score(samples).n_scored == 3
    assert Batch("inline", "sample").score(samples).n_scored == 3


def test_a_failed_rollout_makes_its_group_incomplete_and_no_other():
    samples = [*SAMPLES, Sample("p", "broken", group="g0", finish="error")]
    verdicts = Batch("inline", "group").score(samples)
    assert list(verdicts.reason) == ["group_incomplete", None] * 3 + ["rollout_failed"]


def test_samples_without_a_group_are_grouped_by_their_prompt():
    chat = [{"role": "user", "content": "a"}]
    samples = [
        Sample("a", "1"),
        Sample("b", "2"),
        Sample("a", "3"),
        Sample(chat, "4"),
        Sample([dict(chat[0])], "5"),
        Sample("c", "6", group="a"),
    ]

    @reward(range=(0, 9), scope="group", batch=True, lane="gpu")
    def size(responses):
        return [float(len(responses))] * len(responses)

    from dataclasses import replace

    assert replace(size, lane="cpu").score(samples).values.tolist() == [2, 1, 2, 2, 2, 1]


# Trees.


def test_a_node_of_ones_own_names_its_operands_and_combines_their_columns():
    @dataclass(frozen=True)
    class Best(Combinator):
        a: Reward
        b: Reward

        @property
        def facts(self):
            from plaudit.reward import joint_facts

            return joint_facts(self.operands(), (0, 99))

        def operands(self):
            return {"a": self.a, "b": self.b}

        def combine(self, operands):
            from plaudit.reward import combined

            values = np.fmax(operands["a"].values, operands["b"].values)
            return combined(operands, values, ~np.isnan(values))

    best = Best(One(), reward(lambda response: 2.0, range=(0, 9)))
    assert best.score(SAMPLES).values.tolist() == [2, 2, 2, 3, 4, 5]
    assert best.facts.parts == ("a", "b")
    assert best.facts.lane == "inline"


def test_siblings_on_the_io_lane_run_side_by_side():
    def waiting(name):
        @reward(range=(0, 1), name=name)
        async def wait(response, n=name):
            await asyncio.sleep(0.2)
            return 1.0

        return wait

    start = time.monotonic()
    (waiting("a") + waiting("b") + waiting("c")).score(SAMPLES[:2])
    assert time.monotonic() - start < 0.5


def test_facts_of_a_tree_are_those_of_its_widest_part():
    sample, whole = One(extra=(("reads", frozenset({"response"})),)), Batch("gpu", "group", extra=(("deterministic", False),))
    facts = (sample + whole).facts
    assert (facts.scope, facts.lane, facts.deterministic, facts.stateful) == ("group", "gpu", False, False)
    assert facts.reads == {"prompt", "response", "reference"}
