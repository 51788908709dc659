"""A reward is called from anywhere: threads, running event loops, forked children, notebooks, other rewards."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from plaudit import Context, Facts, Reward, Sample, Verdict, using
from plaudit.errors import ContractError
from plaudit.reward import reward

SAMPLES = [Sample("p", "x" * k) for k in range(4)]
CALLS = field(default_factory=list, init=False, compare=False, repr=False)


@reward(range=(0, 99))
def inline(response):
    return float(len(response))


@reward(range=(0, 99))
async def remote(response):
    await asyncio.sleep(0.01)
    return float(len(response))


@reward(range=(0, 99), lane="cpu", timeout=30)
def worker(response):
    return float(len(response))


@reward(range=(0, 99), lane="gpu", batch=True)
def device(responses):
    return [float(len(r)) for r in responses]


EVERY_LANE = inline + remote + worker + device
EXPECTED = [0.0, 4.0, 8.0, 12.0]


def test_all_lanes_work_together_in_one_tree():
    assert EVERY_LANE.score(SAMPLES).values.tolist() == EXPECTED


def test_from_many_threads_at_once():
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: EVERY_LANE.score(SAMPLES).values.tolist(), range(16)))
    assert found == [EXPECTED] * 16


def test_blocking_inside_a_running_event_loop():
    async def notebook():
        # What `score` does in a notebook cell, whose loop is running already.
        return EVERY_LANE.score(SAMPLES).values.tolist()

    assert asyncio.run(notebook()) == EXPECTED


def test_awaiting_leaves_the_callers_loop_free():
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        results = await asyncio.gather(*(EVERY_LANE.ascore(SAMPLES) for _ in range(4)), slow.ascore(SAMPLES))
        ticking.cancel()
        return [r.values.tolist() for r in results[:4]], ticks

    @reward(range=(0, 1))
    async def slow(response):
        await asyncio.sleep(0.2)
        return 1.0

    found, ticks = asyncio.run(main())
    assert found == [EXPECTED] * 4
    assert ticks > 5


def test_from_two_event_loops_in_two_threads():
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(asyncio.run, EVERY_LANE.ascore(SAMPLES)) for _ in range(2)]
        assert [f.result().values.tolist() for f in futures] == [EXPECTED] * 2


def _in_a_child(queue):
    queue.put(EVERY_LANE.score(SAMPLES).values.tolist())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_after_the_parent_has_used_every_lane():
    EVERY_LANE.score(SAMPLES)
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    child = fork.Process(target=_in_a_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == EXPECTED
    child.join(30)
    assert child.exitcode == 0
    assert EVERY_LANE.score(SAMPLES).values.tolist() == EXPECTED, "and the parent goes on"


def test_in_a_script_whose_functions_are_in_main(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from plaudit import Sample
        from plaudit.reward import reward
        WORD = "please"
        def helper(text): return float(WORD in text)
        @reward(range=(0, 1), lane="cpu", timeout=30)
        def polite(response): return helper(response)
        print(polite.score([Sample("p", "please"), Sample("p", "now")]).values.tolist())
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[1.0, 0.0]", done.stderr


@dataclass(frozen=True)
class Nested(Reward):
    """Awaits another reward, as a judge that asks several does."""

    inner: Reward
    depth: int = 2

    @property
    def facts(self):
        return Facts(range=(0, 999), lane="io", parts=self.inner.facts.parts)

    async def ascore_one(self, sample, context):
        inner = Nested(self.inner, self.depth - 1) if self.depth else self.inner
        return (await inner.ascore([sample], context))[0]


@pytest.mark.parametrize("inner", [inline, remote, worker, device, EVERY_LANE], ids=["inline", "io", "cpu", "gpu", "tree"])
def test_a_reward_may_await_another_inside_its_own_leaf(inner):
    expected = inner.score(SAMPLES).values.tolist()
    with using(max_in_flight=1):
        assert Nested(inner).score(SAMPLES).values.tolist() == expected


def test_blocking_on_plaudits_own_loop_is_refused_and_says_what_to_do():
    @reward(range=(0, 99))
    async def blocks(response):
        return remote.score([Sample("p", response)])[0]

    @reward(range=(0, 99))
    async def computes(response):
        return inline.score([Sample("p", response)])[0]

    with pytest.raises(ContractError, match=r"await ascore\(\)"):
        blocks.score(SAMPLES)
    assert computes.score(SAMPLES).values.tolist() == [0, 1, 2, 3], "an inline reward needs no waiting"


def test_cancelling_the_caller_cancels_the_requests():
    started, cancelled = [], []

    @reward(range=(0, 1))
    async def endless(response):
        started.append(response)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(response)
            raise

    async def main():
        task = asyncio.create_task((inline + endless).ascore(SAMPLES))
        while len(started) < 4:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    until = time.monotonic() + 5
    while len(cancelled) < 4 and time.monotonic() < until:
        time.sleep(0.005)
    assert sorted(cancelled) == sorted(started)


def test_a_caller_that_gives_up_waiting_cancels_as_well():
    async def main():
        @reward(range=(0, 1))
        async def endless(response):
            await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(endless.ascore(SAMPLES), 0.05)

    asyncio.run(main())


def test_an_error_in_one_branch_cancels_the_others():
    cancelled = threading.Event()

    @reward(range=(0, 1))
    async def endless(response):
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    @reward(range=(0, 1), lane="gpu", batch=True)
    def broken(responses):
        time.sleep(0.05)
        raise RuntimeError("no device")

    start = time.monotonic()
    with pytest.raises(RuntimeError, match="no device"):
        (endless + broken).score(SAMPLES)
    assert cancelled.wait(5)
    assert time.monotonic() - start < 5


# Context.


@pytest.mark.parametrize("lane", ["inline", "cpu", "gpu", "io"])
def test_the_context_reaches_every_lane(lane):
    if lane == "io":

        @reward(range=(0, 99))
        async def reads(response, context):
            return float(context.step + context.seed)
    else:

        @reward(range=(0, 99), lane=lane, batch=lane == "gpu")
        def reads(context, response=None, responses=None):
            value = float(context.step + context.seed)
            return value if responses is None else [value] * len(responses)

    tree = (inline + reads)["reads"]
    assert tree.score(SAMPLES, Context(step=3, seed=4)).values.tolist() == [7] * 4
    assert asyncio.run(tree.ascore(SAMPLES, Context(step=3, seed=4))).values.tolist() == [7] * 4


def test_live_models_and_environments_reach_the_lanes_of_this_process():
    @reward(range=(0, 99))
    async def asks(response, id, context):
        return float(context.models["policy"] + context.environments[id])

    context = Context(models={"policy": 40}, environments={"a": 2})
    assert asks.score([Sample("p", "r", id="a")], context).values == [42.0]


def test_settings_hold_for_the_thread_that_made_them():
    seen = []

    @reward(range=(0, 1))
    async def counts(response):
        seen.append(1)
        await asyncio.sleep(0.01)
        peak.append(len(seen))
        seen.pop()
        return 1.0

    peak = []
    with using(max_in_flight=1):
        counts.score(SAMPLES)
    assert max(peak) == 1
    counts.score(SAMPLES)
    assert max(peak) > 1


# One sample.


def test_one_takes_the_fields_of_a_sample():
    verdict = reward(lambda response, level: float(level), range=(0, 9)).one("p", "r", meta={"level": 3})
    assert (verdict.value, isinstance(verdict, Verdict)) == (3.0, True)
    with pytest.raises(TypeError):
        inline.one("p", "r", colour="blue")


def test_scoring_is_the_same_from_a_generator_of_samples():
    assert inline.score(iter(SAMPLES)).values.tolist() == [0, 1, 2, 3]
    assert os.getpid()
