"""`check_reward` finds each broken promise, names the sample, and leaves good rewards alone."""

import asyncio
import gc
import json
import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from plaudit import Context, Facts, Reward, Sample, Stateful, Verdict, Verdicts, check_reward, using
from plaudit.errors import ContractError
from plaudit.reward import CheckReport, Finding, reward
from plaudit.run import VerdictCache
from plaudit.types import Dense
from plaudit.verify import Exact


@dataclass(frozen=True)
class Broken(Reward):
    """Keeps every promise but those that its fields break."""

    breaks: str = ""
    seen: list = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def facts(self):
        return Facts(
            range=(0, 1),
            reads={"response", "reference"},
            parts=("length",),
            stateful=self.breaks == "state",
        )

    def score_one(self, sample, context):
        text = sample.response
        value = min(len(text), 20) / 20
        parts = {"length": Verdict(value)}
        if self.breaks == "range" and len(text) > 12:
            value = 2.0
        if self.breaks == "range on hostile input" and len(text) > 1000:
            value = len(text)
        if self.breaks == "reads prompt":
            value *= "2" in sample.prompt
        if self.breaks == "reads a column" and sample.meta.get("level"):
            value /= 2
        if self.breaks == "reads the id" and sample.id is None:
            value /= 2
        if self.breaks == "reads the step" and context.step:
            value /= 2
        if self.breaks == "random":
            value = float(np.random.default_rng().random())
        if self.breaks == "mutates meta":
            sample.meta["seen"] = True
        if self.breaks == "mutates reference" and isinstance(sample.reference, list):
            sample.reference.append(0)
        if self.breaks in ("state", "remembers"):
            self.seen.append(text)
            value = value / len(self.seen) if self.breaks == "remembers" else value
        if self.breaks == "abstains for the response" and "surely" in text:
            return Verdict.abstained(parts=parts)
        if self.breaks == "abstains when hostile" and "\x00" in text:
            return Verdict.abstained(parts=parts)
        if self.breaks == "raises on nesting":
            json.loads(text) if text.startswith("[") else None
        if self.breaks == "fails the empty" and not text:
            return Verdict.failed("reference_unreadable", "nothing there", parts=parts)
        if self.breaks == "chases its tail" and len(text) > 900_000:
            time.sleep(60)
        if self.breaks == "details":
            return Verdict(value, parts=parts, details={"seen": {1, 2}})
        if self.breaks == "confidence":
            return Verdict(value, parts=parts, confidence=1.5)
        if self.breaks == "std":
            return Verdict(value, parts=parts, std=-1.0)
        if self.breaks == "dense":
            return Verdict(value, parts=parts, dense=Dense("step", [1.0], [0], [len(text) + 1]))
        if self.breaks == "parts":
            return Verdict(value, parts={"width": Verdict(value)})
        return Verdict(value, parts=parts)

    def state_dict(self):
        return {"seen": len(self.seen)}


@dataclass(frozen=True)
class Remembering(Stateful):
    """Stateful, and either keeps its promise not to change while scoring or does not."""

    honest: bool = True
    counts: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def facts(self):
        return Facts(range=(0, 1), reads={"response"}, stateful=True)

    def score_one(self, sample, context):
        if not self.honest:
            self.counts["n"] = self.counts.get("n", 0) + 1
        return Verdict(0.5)

    def update(self, samples, verdicts, context):
        self.counts["n"] = self.counts.get("n", 0) + len(samples)

    def state_dict(self):
        return dict(self.counts)

    def load_state_dict(self, state):
        self.counts.update(state)


SAMPLES = [
    Sample(
        f"2 + {2 + 2 * (k // 3)}",
        response,
        [str(4 + 2 * (k // 3))],
        id=f"row-{k}",
        group=f"g{k // 3}",
        group_size=3,
        meta={"level": k % 2, "n": k},
    )
    for k, response in enumerate(["4", "It is 4, surely.", "seven", "five", "<think>hm</think>6", "surely"])
]


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        ("range", "range"),
        ("range on hostile input", "range"),
        ("reads prompt", "reads"),
        ("reads a column", "reads"),
        ("reads the id", "reads"),
        ("reads the step", "reads"),
        ("random", "determinism"),
        ("remembers", "determinism"),
        ("mutates meta", "purity"),
        ("mutates reference", "purity"),
        ("abstains for the response", "abstention"),
        ("abstains when hostile", "abstention"),
        ("raises on nesting", "fault"),
        ("fails the empty", "fault"),
        ("details", "verdict"),
        ("confidence", "verdict"),
        ("std", "verdict"),
        ("dense", "verdict"),
        ("parts", "samples"),
    ],
)
def test_each_broken_promise_is_found_by_its_check(breaks, check):
    report = check_reward(Broken(breaks), SAMPLES)
    assert not report.ok
    assert report[check].result == "failed", report
    with pytest.raises(ContractError, match="breaks its contract"):
        report.raise_if_failed()


@pytest.mark.parametrize("samples", [SAMPLES, None], ids=["given", "made up"])
@pytest.mark.parametrize("thorough", [True, False])
def test_a_reward_that_keeps_every_promise_passes(samples, thorough):
    report = check_reward(Broken(), samples, thorough=thorough)
    assert report.ok, str(report)
    assert {finding.result for finding in report} <= {"ok", "skipped"}


def test_the_sentence_names_the_sample_the_field_and_what_became_of_it():
    sentence = check_reward(Broken("reads a column"), SAMPLES)["reads"].sentence
    assert "meta.level changed" in sentence or "meta.level taken away" in sentence
    assert "row-" in sentence
    assert "became" in sentence
    assert "row-0" in check_reward(Broken("abstains for the response"), SAMPLES)["abstention"].sentence


def test_rewards_that_are_given_conversations_meet_hostile_conversations():
    naive = reward(lambda response: float("4" in response[-1]["content"]), range=(0, 1)).named("naive")
    chat = [Sample("p", [{"role": "assistant", "content": text}]) for text in ("4", "5")]
    report = check_reward(naive, chat)
    said = " ".join(finding.sentence for finding in report if finding.check == "fault")
    assert "no messages" in said
    assert "no content" in said
    assert check_reward(Exact(), [replace(s, reference="4") for s in chat]).ok


def test_a_hung_inline_reward_is_reported_and_not_suffered():
    start = time.monotonic()
    report = check_reward(Broken("chases its tail"), SAMPLES, seconds=0.3)
    assert time.monotonic() - start < 30
    assert "not judged within 0.3 s" in report["hostile"].sentence
    assert "megabyte" in report["hostile"].sentence


@reward(range=(0, 1), lane="cpu")
def hangs_in_a_worker(response):
    time.sleep(60 if response == "\x00" else 0)
    return 0.5


@reward(range=(0, 1))
async def hangs_on_the_network(response):
    await asyncio.sleep(60 if response == "\x00" else 0)
    return 0.5


@pytest.mark.parametrize("slow", [hangs_in_a_worker, hangs_on_the_network])
def test_a_reward_that_has_no_time_limit_and_hangs_is_reported_too(slow):
    start = time.monotonic()
    report = check_reward(slow, SAMPLES, thorough=False, seconds=0.5)
    assert time.monotonic() - start < 30
    assert report["hostile"].sentence == "'NUL': is not judged within 0.5 s"


def test_state_may_change_in_update_alone():
    assert check_reward(Remembering()).ok
    finding = check_reward(Remembering(honest=False))["purity"]
    assert finding.result == "failed"
    assert "update()" in finding.sentence


def batch_reward(scope, value, **facts):
    @reward(range=(-9, 9), scope=scope, batch=True, **facts)
    def relative(responses):
        return value(responses)

    return relative


def test_a_group_relative_value_keeps_group_scope_and_breaks_sample_scope():
    def centred(responses):
        sizes = np.array([min(len(r), 8) for r in responses], dtype=float)
        return sizes - sizes.mean()

    one_group = [Sample("p", r, group="g") for r in ("a", "bb", "cccc")]
    report = check_reward(batch_reward("sample", centred), one_group)
    assert {report["batches"].result, report["scope"].result} == {"failed"}
    assert check_reward(batch_reward("batch", centred), one_group)["scope"].result == "skipped"
    # A function of group scope is called once for each group, so the same lines keep it.
    report = check_reward(batch_reward("group", centred), SAMPLES)
    assert {report["batches"].result, report["scope"].result} == {"ok"}


@dataclass(frozen=True)
class CallMean(Reward):
    """Says that it looks at its group and looks at the whole call."""

    @property
    def facts(self):
        return Facts(range=(-1, 1), reads={"response", "group", "prompt"}, scope="group")

    def score_batch(self, samples, context):
        sizes = [min(len(s.response), 9) / 9 for s in samples]
        return [Verdict(size - float(np.mean(sizes))) for size in sizes]


def test_a_class_that_looks_beyond_the_group_breaks_group_scope():
    report = check_reward(CallMean(), SAMPLES)
    assert {report["batches"].result, report["scope"].result} == {"failed"}


@dataclass(frozen=True)
class GroupMean(Reward):
    @property
    def facts(self):
        return Facts(range=(-1, 1), reads={"response", "group", "prompt"}, scope="group")

    def score_batch(self, samples, context):
        sums = {}
        for s in samples:
            sums.setdefault(s.group or s.prompt, []).append(min(len(s.response), 9) / 9)
        return [Verdict(min(len(s.response), 9) / 9 - float(np.mean(sums[s.group or s.prompt]))) for s in samples]


@pytest.mark.parametrize("samples", [None, SAMPLES, [Sample(s.prompt, s.response) for s in SAMPLES]])
def test_a_true_group_reward_passes(samples):
    report = check_reward(GroupMean(), samples)
    assert report.ok, str(report)
    assert report["scope"].result == "ok"


def test_a_value_that_depends_on_the_place_in_the_batch_is_found():
    ranked = batch_reward("batch", lambda responses: [float(k) for k in range(len(responses))])
    assert check_reward(ranked, SAMPLES)["order"].result == "failed"


@dataclass(frozen=True)
class Scratch(Reward):
    """Keeps an intermediate result on itself, where another thread finds it."""

    pad: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def facts(self):
        return Facts(range=(0, 100), reads={"response"})

    def score_one(self, sample, context):
        self.pad["n"] = min(len(sample.response), 100)
        time.sleep(0.001)
        return Verdict(float(self.pad["n"]))


def test_a_reward_that_is_not_thread_safe_is_found():
    report = check_reward(Scratch(), [Sample("p", "x" * (3 * k)) for k in range(20)])
    assert report["threads"].result == "failed"
    assert report["determinism"].result == "ok"


@dataclass(frozen=True)
class Locked(Reward):
    lock: object = field(default_factory=threading.Lock, compare=False)

    @property
    def facts(self):
        return Facts(range=(0, 1), reads={"response"})

    def score_one(self, sample, context):
        return Verdict(0.5)


def test_a_reward_that_cannot_be_pickled_is_found():
    report = check_reward(Locked())
    assert "cannot be pickled" in report["pickling"].sentence
    assert report["hostile"].result == "ok", "it is then tried in this process"


@dataclass(frozen=True)
class LosesItsField(Reward):
    size: int = 3

    @property
    def facts(self):
        return Facts(range=(0, 9), reads={"response"})

    def score_one(self, sample, context):
        return Verdict(float(self.size))

    def __reduce__(self):
        return LosesItsField, ()


def test_a_field_that_pickling_loses_is_found():
    report = check_reward(LosesItsField(size=5))
    assert report["pickling"].result == "failed"


def test_a_spec_that_does_not_come_back_is_found():
    @dataclass(frozen=True)
    class Odd(Broken):
        @property
        def spec(self):
            return {"use": "verify.exact", "ignore_case": 3}

    assert "does not load" in check_reward(Odd())["spec"].sentence


def test_a_reward_without_an_address_is_checked_but_for_its_spec():
    finding = check_reward(reward(lambda response: 0.5, range=(0, 1)))["spec"]
    assert finding.result == "skipped"
    assert "no spec" in finding.sentence


def test_a_reward_declared_random_is_not_compared_with_itself():
    noisy = reward(lambda response: float(np.random.default_rng().random()), range=(0, 1), deterministic=False)
    report = check_reward(noisy)
    assert report.ok, str(report)
    assert {report[c].result for c in ("determinism", "order", "batches", "scope", "reads")} == {"skipped"}
    assert report["range"].result == "ok"


def test_where_nothing_is_scored_the_report_says_so():
    silent = reward(lambda response: None, range=(0, 1))
    assert check_reward(silent)["samples"].result == "skipped"
    finding = check_reward(silent, SAMPLES)["samples"]
    assert finding.result == "failed"
    assert "not_applicable" in finding.sentence
    assert check_reward(Broken(), [])["samples"].result == "failed"


def test_a_reward_that_always_raises_gets_a_report_and_no_traceback():
    def crash(response):
        raise RuntimeError("no model")

    report = check_reward(reward(crash, range=(0, 1)))
    assert "RuntimeError: no model" in report["samples"].sentence


def test_an_undeclared_range_is_skipped_by_name():
    with pytest.warns(UserWarning, match="declares no range"):
        finding = check_reward(reward(lambda response: 0.5).named("check_undeclared"))["range"]
    assert finding.result == "skipped"
    assert "@reward(range=" in finding.sentence


def test_compositions_are_checked_like_leaves():
    right = reward(lambda response, reference: float(reference[0] in response), range=(0, 1)).named("right")
    short = reward(lambda response: -min(len(response), 50) / 50, range=(-1, 0)).named("short")
    report = check_reward(right.gate(right) + 0.5 * short, SAMPLES)
    assert report.ok, str(report)
    # A body that abstains behind a gate makes abstention depend on the response: the policy chooses by passing the gate.
    picky = reward(lambda response, n=0: None if n % 2 else 1.0, range=(0, 1)).named("picky")
    assert check_reward(right.gate(picky), SAMPLES)["abstention"].result == "failed"


@dataclass(frozen=True)
class Remote(Reward):
    calls: list = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def facts(self):
        return Facts(range=(0, 1e9), reads={"response"}, lane="io")

    async def ascore_one(self, sample, context):
        self.calls.append(sample.response)
        return Verdict(0.5)


@dataclass(frozen=True)
class CountingRemote(Remote):
    async def ascore_one(self, sample, context):
        self.calls.append(sample.response)
        return Verdict(float(len(self.calls)))


def test_the_io_lane_is_asked_a_modest_number_of_times():
    remote = Remote()
    assert check_reward(remote, SAMPLES * 10).ok
    assert len(remote.calls) - len(SAMPLES) * 10 < 80
    remote.calls.clear()
    assert check_reward(remote, SAMPLES, thorough=True).ok
    assert len(remote.calls) > 200


@reward(range=(0, 1), lane="cpu", timeout=30)
def in_a_worker(response):
    return float(len(response) % 2)


def test_the_cpu_lane_is_checked_too():
    report = check_reward(in_a_worker, SAMPLES, thorough=False)
    assert report.ok, str(report)


def test_a_cache_in_force_does_not_answer_for_the_reward(tmp_path):
    with VerdictCache(tmp_path / "cache.sqlite") as cache, using(cache=cache):
        assert check_reward(CountingRemote(), SAMPLES)["determinism"].result == "failed"


def test_the_callers_samples_are_never_touched():
    meta = {"level": 1}
    sample = Sample("p", "r", ["4"], meta=meta)
    check_reward(Broken("mutates meta"), [sample])
    check_reward(Broken("mutates reference"), [sample])
    assert meta == {"level": 1}
    assert sample.reference == ["4"]


def test_a_checked_class_that_was_written_inside_a_function_stays_usable():
    # cloudpickle rewrites such a class when it is loaded again in the same process.
    @dataclass(frozen=True)
    class Local(Reward):
        k: int = 1

        @property
        def facts(self):
            return Facts(range=(0, 9), reads={"response"})

        def score_one(self, sample, context):
            return Verdict(float(self.k))

    assert check_reward(Local(2)).ok

    @dataclass(frozen=True)
    class Further(Local):
        j: int = 2

    assert Further().k == 1
    gc.collect()


def test_the_report_is_a_table_json_and_a_lookup():
    report = check_reward(Broken("range"), SAMPLES)
    assert str(report).splitlines()[0].startswith("broken: ")
    assert "FAILED   range" in str(report)
    row = json.loads(json.dumps(report.to_json()))
    assert row["ok"] is False
    assert {finding["result"] for finding in row["findings"]} == {"ok", "failed", "skipped"} - (
        set() if any(f.result == "skipped" for f in report) else {"skipped"}
    )
    with pytest.raises(KeyError, match="was not checked"):
        report["colour"]
    many = CheckReport("r", "0", (Finding("a", "ok", "x"), Finding("a", "failed", "y")))
    assert many["a"].sentence == "y"


def test_many_failures_of_one_check_are_counted_and_not_listed():
    noisy = [finding for finding in check_reward(Broken("confidence"), SAMPLES) if finding.check == "verdict"]
    assert len(noisy) == 6
    assert "more" in noisy[-1].sentence


def test_what_is_no_reward_is_refused():
    with pytest.raises(ContractError, match="expected a reward"):
        check_reward(lambda response: 1.0)


def test_a_context_reaches_every_call():
    @reward(range=(0, 1))
    def from_the_policy(response, context):
        return float(context.models["policy"] == "here")

    report = check_reward(from_the_policy, SAMPLES, Context(models={"policy": "here"}))
    assert report.ok, str(report)


def test_verdicts_as_columns_are_looked_at_too():
    @dataclass(frozen=True)
    class Columns(Reward):
        code: str

        @property
        def facts(self):
            return Facts(range=(0, 1), reads={"response"})

        def score_batch(self, samples, context):
            return Verdicts(np.ones(len(samples)), reason=[self.code] * len(samples))

    assert "reasons" in {finding.check for finding in check_reward(Columns("worker_lost")).failed}
    assert "made_up" in check_reward(Columns("made_up"))["reasons"].sentence
    assert check_reward(Columns("response_wrong")).ok
