"""A stateful reward owns its numbers; scoring never changes them, and its verdicts say which ones were in force."""

import asyncio
import pickle
from dataclasses import dataclass, field

import numpy as np

from plaudit import Context, Facts, Sample, Stateful, Verdict
from plaudit.reward import from_spec, reward, stamp_of, stateful_leaves
from plaudit.verify import Exact

SAMPLES = [Sample("p", "x" * k) for k in range(4)]


@dataclass(frozen=True)
class Baseline(Stateful):
    """The length above the running mean of lengths."""

    rate: float = 0.5
    lane: str = "inline"
    numbers: dict = field(default_factory=lambda: {"mean": np.zeros(1)}, init=False, compare=False, repr=False)

    @property
    def facts(self):
        return Facts(range=(-99, 99), reads={"response"}, stateful=True, lane=self.lane)

    def score_one(self, sample, context):
        return Verdict(len(sample.response) - float(self.numbers["mean"][0]))

    def update(self, samples, verdicts, context):
        mean = float(np.mean([len(s.response) for s in samples]))
        self.numbers["mean"] = (1 - self.rate) * self.numbers["mean"] + self.rate * mean

    def state_dict(self):
        return {"mean": self.numbers["mean"].copy()}

    def load_state_dict(self, state):
        self.numbers["mean"] = np.asarray(state["mean"], dtype=float)


def test_scoring_changes_nothing_and_update_changes_the_stamp_but_not_the_fingerprint():
    baseline = Baseline()
    first = baseline.score(SAMPLES)
    assert baseline.score(SAMPLES).stamp == first.stamp
    assert first.stamp.partition("@")[0] == baseline.fingerprint
    baseline.update(SAMPLES, first, Context())
    second = baseline.score(SAMPLES)
    assert second.values.tolist() == (first.values - 0.75).tolist()
    assert second.stamp != first.stamp
    assert second.stamp.partition("@")[0] == baseline.fingerprint == Baseline().fingerprint


def test_a_state_that_is_loaded_again_gives_the_same_stamp_and_numbers():
    baseline, other = Baseline(), Baseline()
    baseline.update(SAMPLES, baseline.score(SAMPLES), Context())
    other.load_state_dict(baseline.state_dict())
    assert stamp_of(other) == stamp_of(baseline)
    assert other.score(SAMPLES).values.tolist() == baseline.score(SAMPLES).values.tolist()


def test_the_stamp_of_a_tree_covers_the_state_of_every_leaf_once():
    baseline = Baseline()
    tree = Exact().clip(0, 1) + 0.5 * baseline + baseline.named("again")
    assert [leaf is baseline for leaf in stateful_leaves(tree)] == [True]
    before = tree.score(SAMPLES).stamp
    assert before.partition("@")[0] == tree.fingerprint
    baseline.update(SAMPLES, baseline.score(SAMPLES), Context())
    assert tree.score(SAMPLES).stamp != before
    assert "@" not in Exact().score(SAMPLES).stamp
    assert tree.facts.stateful
    assert not Exact().facts.stateful


def test_the_state_travels_to_a_worker_and_through_pickling():
    baseline = Baseline(lane="cpu")
    baseline.update(SAMPLES, baseline.score(SAMPLES), Context())
    assert baseline.score(SAMPLES).values.tolist() == [-0.75, 0.25, 1.25, 2.25]
    moved = pickle.loads(pickle.dumps(baseline))
    assert stamp_of(moved) == stamp_of(baseline)


def test_the_stamp_is_there_when_awaited_too():
    baseline = Baseline()
    assert asyncio.run(baseline.ascore(SAMPLES)).stamp == stamp_of(baseline)


def test_a_spec_describes_the_configuration_and_not_the_state():
    baseline = Baseline(0.25)
    baseline.update(SAMPLES, baseline.score(SAMPLES), Context())
    assert {k: v for k, v in baseline.spec.items() if k != "use"} == {"rate": 0.25}
    fresh = from_spec(baseline.spec)
    assert fresh.fingerprint == baseline.fingerprint
    assert fresh.state_dict() == {"mean": np.zeros(1)}


def test_two_instances_with_different_states_are_not_equal_leaves():
    learned, fresh = Baseline(), Baseline()
    learned.update(SAMPLES, learned.score(SAMPLES), Context())
    both = learned + fresh.named("fresh")
    assert both.score(SAMPLES[:1]).values.tolist() == [-0.75]
    assert (learned + fresh).score(SAMPLES[:1]).values.tolist() == [-0.75]


def test_a_function_cannot_hold_state_by_accident():
    assert stamp_of(reward(lambda response: 1.0)).count("@") == 0
