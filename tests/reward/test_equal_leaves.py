"""Equal leaves run once in a call, wherever they stand; a closed gate does not run its body."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit import Facts, Reward, Sample, Verdict, lexicographic, minimum
from plaudit.compose import Mean
from plaudit.reward import leaves, reward

CALLS = field(default_factory=list, init=False, compare=False, repr=False)


@dataclass(frozen=True)
class Inline(Reward):
    size: int = 1
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(range=(0, 9), reads={"response"})

    def score_one(self, sample, context):
        self.calls.append(sample.response)
        return Verdict(float(self.size))


@dataclass(frozen=True)
class Remote(Reward):
    size: int = 1
    wait: float = 0.02
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(range=(0, 9), reads={"response"}, lane="io")

    async def ascore_one(self, sample, context):
        self.calls.append(sample.response)
        await asyncio.sleep(self.wait * len(sample.response))
        return Verdict(float(self.size))


@dataclass(frozen=True)
class Grouped(Reward):
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(range=(0, 9), reads={"response"}, scope="group")

    def score_batch(self, samples, context):
        self.calls.extend(s.response for s in samples)
        return [Verdict(float(len(samples))) for _ in samples]


@dataclass(frozen=True)
class Batched(Grouped):
    @property
    def facts(self):
        return Facts(range=(0, 9), reads={"response"}, scope="batch")


@reward(range=(0, 1), lane="cpu")
def in_a_worker(response, log):
    with open(log, "a") as file:
        file.write(response + "\n")
    return 1.0


def is_open(letters):
    return reward(lambda response: float(response[0] in letters), range=(0, 1)).named(f"open_{letters}")


SAMPLES = [Sample("p", letter * (k + 1), group=f"g{k // 2}") for k, letter in enumerate("abcdef")]
RESPONSES = [s.response for s in SAMPLES]


@pytest.mark.parametrize(
    "tree",
    [
        lambda x, y: x + y,
        lambda x, y: x + y.named("again"),
        lambda x, y: x * y + minimum(x, y.named("z")),
        lambda x, y: lexicographic(x, y) + Mean({"x": x, "y": y}),
        lambda x, y: is_open("abc").gate(x) + y.named("plain"),
        lambda x, y: y.named("plain") + is_open("abc").gate(x),
        lambda x, y: is_open("abc").gate(x) + is_open("cdef").gate(y),
        lambda x, y: x.gate(y),
        lambda x, y: is_open("abcdef").gate(is_open("abcdef").gate(x)) + y.clip(0, 1),
    ],
)
@pytest.mark.parametrize("kind", [Inline, Remote, Grouped, Batched])
def test_equal_leaves_run_once_on_every_sample(kind, tree):
    x, y = kind(), kind()
    whole = tree(x, y)
    whole.score(SAMPLES)
    assert Counter(x.calls + y.calls) == Counter(RESPONSES)
    assert asyncio.run(whole.ascore(SAMPLES)).n_scored == 6
    assert Counter(x.calls + y.calls) == Counter(RESPONSES * 2)


def test_a_leaf_on_the_cpu_lane_runs_once_as_well(tmp_path):
    log = tmp_path / "log"
    samples = [Sample("p", s.response, meta={"log": str(log)}) for s in SAMPLES]
    (in_a_worker + is_open("abc").gate(in_a_worker) + in_a_worker.named("again")).score(samples)
    assert Counter(log.read_text().split()) == Counter(RESPONSES)


def test_leaves_that_differ_in_one_field_are_not_equal():
    x, y = Inline(1), Inline(2)
    assert (x + y).score(SAMPLES).values.tolist() == [3.0] * 6
    assert x.calls == y.calls == RESPONSES


def test_two_classes_that_share_their_source_and_differ_in_what_they_close_over_are_not_equal():
    def make(size):
        @dataclass(frozen=True)
        class Constant(Reward):
            @property
            def facts(self):
                return Facts(range=(0, 9), reads={"response"})

            def score_one(self, sample, context):
                return Verdict(float(size))

        return Constant()

    assert (make(1) + make(2)).score(SAMPLES[:1]).values == [3.0]


@pytest.mark.parametrize("kind", [Inline, Remote])
def test_a_closed_gate_does_not_run_its_body(kind):
    body = kind()
    verdicts = is_open("ac").gate(body).score(SAMPLES)
    assert sorted(body.calls) == ["a", "ccc"]
    assert verdicts.values.tolist() == [1, 0, 1, 0, 0, 0]
    assert list(verdicts.reason) == [None, "closed", None, "closed", "closed", "closed"]
    assert list(verdicts.parts["remote" if kind is Remote else "inline"].reason).count("not_run") == 4


def test_a_body_of_group_scope_runs_on_the_whole_groups_of_the_open_rows():
    body = Grouped()
    verdicts = is_open("af").gate(body).score(SAMPLES)
    assert sorted(body.calls) == ["a", "bb", "eeeee", "ffffff"]
    assert verdicts.values.tolist() == [4, 0, 0, 0, 0, 4]
    assert [r == "not_run" for r in verdicts.parts["grouped"].reason] == [False, True, True, True, True, False]


def test_nested_gates_run_a_body_only_where_all_are_open():
    body = Inline()
    is_open("abc").gate(is_open("cde").gate(body)).score(SAMPLES)
    assert body.calls == ["ccc"]


letters = st.sets(st.sampled_from("abcdef")).map("".join)


@settings(deadline=None, max_examples=40)
@given(letters, letters, st.booleans(), st.permutations([0.0, 0.002]))
def test_what_a_gate_shows_of_its_body_does_not_depend_on_who_ran_it_first(first, second, plain, waits):
    """Two gates over one slow leaf, open for different rows, and perhaps the leaf itself."""
    leaf = Remote(wait=0.001)
    delays = [Remote(2, wait=w) for w in waits]
    # The conditions arrive at different times, so the leaf is asked for rows in either order.
    gates = [
        (is_open(letters + "_") * delay).gate(leaf).named(name)
        for letters, delay, name in zip((first, second), delays, "xy", strict=True)
    ]
    tree = gates[0] + gates[1] + leaf.named("plain") if plain else gates[0] + gates[1]
    verdicts = tree.score(SAMPLES)
    for name, open_for in zip("xy", (first, second), strict=True):
        shown = verdicts.parts[name].parts["remote"]
        assert [r is None for r in shown.reason] == [s.response[0] in open_for for s in SAMPLES]
        assert np.array_equal(verdicts.parts[name].values, [float(s.response[0] in open_for) for s in SAMPLES])
    ran = {r for r in RESPONSES if plain or r[0] in first + second}
    assert Counter(leaf.calls) == Counter(ran)
    # And its column, as logs show it, has a value wherever it ran.
    (listed,) = [found for found in leaves(tree) if found.reward == leaf]
    assert [r is None for r in listed.of(verdicts).reason] == [r in ran for r in RESPONSES]


def test_parts_of_one_vector_reward_share_its_pass():
    @dataclass(frozen=True)
    class Vector(Reward):
        calls: list = CALLS

        @property
        def facts(self):
            return Facts(range=(0, 1), reads={"response"}, parts=("right", "short"))

        def score_one(self, sample, context):
            self.calls.append(sample.response)
            return Verdict(0.5, parts={"right": Verdict(1.0), "short": Verdict(0.25)})

    model = Vector()
    tree = model["right"] + 2 * model["short"] + model
    verdicts = tree.score(SAMPLES[:2])
    assert model.calls == RESPONSES[:2]
    assert verdicts.values.tolist() == [2.0, 2.0]
    assert verdicts.parts["vector"].matrix().tolist() == [[1.0, 0.25]] * 2
    assert model["short"].score(SAMPLES[:1]).values == [0.25]
    assert model["short"].facts.range is None, "a leaf declares the range of its scalar, not those of its parts"
    assert [leaf.name for leaf in leaves(tree)] == ["right", "short", "vector"]


def test_the_cost_of_a_shared_leaf_counts_once():
    @dataclass(frozen=True)
    class Priced(Inline):
        def score_one(self, sample, context):
            from plaudit import Cost

            return Verdict(1.0, cost=Cost(calls=1, money=0.5))

    leaf = Priced()
    cost = (leaf + is_open("a").gate(leaf) + leaf.named("again")).score(SAMPLES[:1])[0].cost
    assert (cost.calls, cost.money) == (1, 0.5)
