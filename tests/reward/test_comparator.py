"""A comparator says which of two responses is better; it is written, run and named like a reward."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from plaudit import Comparator, Context, Cost, Facts, Preference, Sample
from plaudit.errors import ContractError
from plaudit.reward import from_spec

CALLS = field(default_factory=list, init=False, compare=False, repr=False)
PAIRS = [(Sample("p", "a" * i), Sample("p", "b" * j)) for i, j in [(1, 2), (3, 1), (2, 2), (0, 5)]]
EXPECTED = [0.0, 1.0, 0.5, 0.0]


def longer(pair):
    a, b = (len(s.response) for s in pair)
    return Preference(0.5 if a == b else float(a > b))


@dataclass(frozen=True)
class Leaf(Comparator):
    lane: str = "inline"
    bad: tuple[str, ...] = ()
    timeout: float | None = None
    calls: list = CALLS

    @property
    def facts(self):
        return Facts(reads={"response"}, lane=self.lane, timeout=self.timeout)

    def say(self, pair):
        if pair[0].response in self.bad:
            raise ValueError(f"cannot compare {pair[0].response!r}")
        return longer(pair)


@dataclass(frozen=True)
class One(Leaf):
    def compare_one(self, pair, context):
        if pair[0].response == "hang":
            time.sleep(60)
        return self.say(pair)


@dataclass(frozen=True)
class AsyncOne(Leaf):
    lane: str = "io"

    async def acompare_one(self, pair, context):
        await asyncio.sleep(0.005)
        return self.say(pair)


@dataclass(frozen=True)
class Batch(Leaf):
    def compare_batch(self, pairs, context):
        self.calls.append(len(pairs))
        return [self.say(pair) for pair in pairs]


@dataclass(frozen=True)
class AsyncBatch(Leaf):
    lane: str = "io"

    async def acompare_batch(self, pairs, context):
        return [self.say(pair) for pair in pairs]


KINDS = [One(), One("cpu"), One("gpu"), AsyncOne(), Batch(), Batch("cpu"), Batch("gpu"), AsyncBatch()]


@pytest.mark.parametrize("comparator", KINDS, ids=lambda c: f"{type(c).__name__}-{c.lane}")
def test_each_of_the_four_kinds_gives_one_preference_for_each_pair_in_their_order(comparator):
    assert [p.p for p in comparator.compare(PAIRS)] == EXPECTED
    assert [p.p for p in asyncio.run(comparator.acompare(PAIRS))] == EXPECTED
    assert comparator.compare([]) == []


@pytest.mark.parametrize("kind", [type(c) for c in KINDS])
def test_an_error_costs_its_own_pair_and_the_same_one_on_all_pairs_is_raised(kind):
    comparator = kind(bad=("aaa",))
    found = comparator.compare(PAIRS)
    assert [p.p for p in found] == [0.0, None, 0.5, 0.0]
    assert found[1].reason == "reward_error"
    with pytest.raises(ValueError, match="cannot compare"):
        kind(bad=("a", "aaa", "aa", "")).compare(PAIRS)


def test_a_pair_with_a_failed_rollout_is_failed_and_not_shown():
    broken = (Sample("p", "a", finish="error"), Sample("p", "b"))
    found = Batch().compare([broken, PAIRS[0]])
    assert (found[0].reason, found[1].p) == ("rollout_failed", 0.0)


def test_a_hung_pair_is_our_failure_since_neither_response_is_known_to_be_at_fault():
    found = One("cpu", timeout=0.3).compare([(Sample("p", "hang"), Sample("p", "b")), PAIRS[1]])
    assert (found[0].p, found[0].status.value, found[1].p) == (None, "failed", 1.0)


@pytest.mark.parametrize(("pairs", "said"), [([(PAIRS[0][0],)], "expected two samples"), ([PAIRS[0], ("a", "b")], r"pairs\[1\]")])
def test_what_is_no_pair_of_samples_is_refused(pairs, said):
    with pytest.raises(ContractError, match=said):
        One().compare(pairs)


def test_a_comparator_that_returns_something_else_is_refused():
    @dataclass(frozen=True)
    class Number(Leaf):
        def compare_one(self, pair, context):
            return 0.5

    @dataclass(frozen=True)
    class Short(Leaf):
        def compare_batch(self, pairs, context):
            return []

    with pytest.raises(ContractError, match="expected a Preference"):
        Number().compare(PAIRS)
    with pytest.raises(ContractError, match="0 results for 4 items"):
        Short().compare(PAIRS)


def test_two_leaf_methods_are_refused_and_a_method_must_fit_its_lane():
    with pytest.raises(ContractError, match="exactly one of compare_one"):

        class Both(Comparator):
            facts = property(lambda self: Facts())

            def compare_one(self, pair, context): ...
            async def acompare_one(self, pair, context): ...

    with pytest.raises(ContractError, match="io lane"):
        One("io").compare(PAIRS)


def test_the_deadline_and_the_context_reach_a_comparator():
    assert {p.reason for p in One().compare(PAIRS, Context(deadline=time.monotonic() - 1))} == {"deadline_passed"}

    @dataclass(frozen=True)
    class Step(Leaf):
        def compare_one(self, pair, context):
            return Preference(context.step / 10)

    assert Step().compare(PAIRS[:1], Context(step=3))[0].p == 0.3


def test_blocking_on_plaudits_own_loop_is_refused_here_too():
    @dataclass(frozen=True)
    class Asks(Leaf):
        lane: str = "io"

        async def acompare_one(self, pair, context):
            return AsyncOne().compare([pair])[0]

    with pytest.raises(ContractError, match=r"await acompare\(\)"):
        Asks().compare(PAIRS)


def test_what_a_comparison_cost_is_kept_and_seconds_are_measured():
    @dataclass(frozen=True)
    class Paid(Leaf):
        def compare_one(self, pair, context):
            time.sleep(0.002)
            return Preference(1.0, cost=Cost(calls=2))

    cost = Paid().compare(PAIRS[:1])[0].cost
    assert cost.calls == 2
    assert cost.seconds > 0.001


def test_a_comparator_has_a_spec_and_a_fingerprint_like_a_reward():
    assert One().fingerprint == One().fingerprint != One("gpu").fingerprint
    again = from_spec({**One("gpu").spec, "use": f"{__name__}:One"})
    assert again == One("gpu")
