"""Rewards that tests train on."""

from dataclasses import dataclass

from plaudit.reward import Facts, Reward, Stateful
from plaudit.types import Verdict


@dataclass(frozen=True)
class Shorter(Reward):
    """Fewer characters are better."""

    @property
    def facts(self):
        return Facts(range=(-1000, 0), reads=frozenset({"response"}))

    def score_one(self, sample, context):
        return Verdict(-float(len(sample.response)))


@dataclass(frozen=True)
class Constant(Reward):
    """The same for every answer."""

    @property
    def facts(self):
        return Facts(range=(0, 1), reads=frozenset({"response"}))

    def score_one(self, sample, context):
        return Verdict(0.5)


@dataclass(frozen=True)
class OutOfOrder(Reward):
    """Like Shorter, but FAILED or ABSTAINED in some steps."""

    failed_steps: tuple[int, ...] = ()
    abstained_steps: tuple[int, ...] = ()

    @property
    def facts(self):
        return Facts(range=(-1000, 0), reads=frozenset({"response"}))

    def score_one(self, sample, context):
        if context.step in self.failed_steps:
            return Verdict.failed("judge_unreachable", "the judge is out")
        if context.step in self.abstained_steps:
            return Verdict.abstained()
        return Verdict(-float(len(sample.response)))


@dataclass(frozen=True)
class AgainstTheMean(Stateful):
    """Length against the mean length of all batches so far: what it says depends on its past."""

    def __post_init__(self):
        object.__setattr__(self, "state", {"total": 0.0, "count": 0})

    @property
    def facts(self):
        return Facts(range=(-1, 1), reads=frozenset({"response"}), stateful=True)

    def score_one(self, sample, context):
        mean = self.state["total"] / max(self.state["count"], 1)
        return Verdict(1.0 if len(sample.response) < mean else -len(sample.response) / 1000)

    def update(self, samples, verdicts, context):
        self.state["total"] += sum(len(sample.response) for sample in samples)
        self.state["count"] += len(samples)

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        self.state.update(state)


@dataclass(frozen=True)
class Witness(Reward):
    """Keeps what it is handed."""

    def __post_init__(self):
        object.__setattr__(self, "calls", [])

    @property
    def facts(self):
        return Facts(range=(-1000, 0), scope="batch", reads=frozenset({"response"}))

    def score_batch(self, samples, context):
        self.calls.append((list(samples), context))
        return [Verdict(-float(len(sample.response))) for sample in samples]
