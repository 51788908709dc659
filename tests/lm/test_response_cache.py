"""What an endpoint answered is kept on disk by what was asked; the k-th draw stays the k-th; a failure is never kept."""

import asyncio
import threading
import time
from statistics import median

import pytest
from servers import ChatServer, Say, Status

from plaudit.errors import RunError, SpecError
from plaudit.lm import ModelRejected, OpenAIModel, resolve, response_cache
from plaudit.types import Cost, Sampling


@pytest.fixture
def counting(server):
    """Each request is answered with its number, and each choice of it with a letter."""
    server.react = lambda received: Say(f"answer {received.number}", delay=0.01)
    return server


@pytest.fixture
def cached(server, tmp_path):
    return OpenAIModel("m", base_url=server.url, cache=str(tmp_path / "answers"))


def texts(drawn):
    return [[c.text for c in row] for row in drawn]


def test_the_second_time_nothing_is_asked(counting, cached):
    first = cached.generate(["a", "b"])
    again = cached.generate(["b", "a"])
    assert texts(again) == texts(first)[::-1]
    assert len(counting.received) == 2
    assert again[0][0].cost == Cost(), "a hit costs nothing"
    assert cached.spent.calls == 2


def test_without_the_option_everything_is_asked_again(counting, model):
    model.generate(["a"])
    model.generate(["a"])
    assert len(counting.received) == 2


def test_another_object_and_another_process_find_it(counting, cached):
    first = cached.generate(["a"])
    copy = resolve(cached.address)
    assert texts(copy.generate(["a"])) == texts(first)
    assert len(counting.received) == 1


@pytest.mark.parametrize(
    "change",
    [{"model": "n"}, {"revision": "2"}, {"api": "auto"}, {"token_ids": True}],
)
def test_another_model_is_another_question(counting, cached, change):
    from dataclasses import replace

    cached.generate(["a"])
    replace(cached, **change).generate(["a"])
    assert len(counting.received) == 2


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.5), Sampling(top_p=0.5), Sampling(max_tokens=5), Sampling(stop=("x",)), Sampling(seed=1),
     Sampling(schema={"type": "string"}), Sampling(logprobs=True)],
    ids=repr,
)  # fmt: skip
def test_other_sampling_is_another_question(counting, cached, sampling):
    cached.generate(["a"])
    cached.generate(["a"], 1, sampling)
    assert len(counting.received) == 2
    cached.generate(["a"], 1, sampling)
    assert len(counting.received) == 2


def test_the_same_text_as_a_message_is_another_question(counting, cached):
    cached.generate(["a"])
    cached.generate([[{"role": "system", "content": "a"}]])
    assert len(counting.received) == 2


def test_the_kth_draw_stays_the_kth(counting, cached):
    counting.react = lambda received: Say(f"answer {received.number}", choices=1)
    three = texts(cached.generate(["a"], 3))[0]
    assert texts(cached.generate(["a"], 2))[0] == three[:2]
    assert texts(cached.generate(["a"]))[0] == three[:1]
    five = texts(cached.generate(["a"], 5))[0]
    assert five[:3] == three
    assert len(set(five)) == 5
    assert len(counting.received) == 5, "only the two that were missing are drawn"


def test_the_same_conversation_twice_in_one_call_gets_draws_of_its_own(counting, cached):
    drawn = texts(cached.generate(["a", "a", "b"], 1, Sampling(temperature=1.0)))
    assert drawn[0] != drawn[1]
    assert texts(cached.generate(["a", "a", "b"])) == drawn
    assert [drawn[0] + drawn[1]] == texts(cached.generate(["a"], 2)), "they are draws 0 and 1"


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.0), Sampling(seed=7)], ids=["greedy", "seeded"])
def test_what_would_be_the_same_anyway_is_drawn_once(counting, cached, sampling):
    drawn = texts(cached.generate(["a", "a"], 1, sampling))
    assert drawn[0] == drawn[1]
    assert len(counting.received) == 1


def test_seeded_draws_go_on_where_they_stopped(counting, cached):
    class Seeded(Say):
        async def act(self, wire, received):
            from plaudit.wire import ChatReply, Choice

            choices = tuple(Choice(f"draw {k} of seed {received.request.seed}") for k in range(received.request.n))
            await wire.answer(200, ChatReply("m", choices).encode())
            return True

    counting.react = lambda received: Seeded("")
    sampling = Sampling(seed=7)
    assert texts(cached.generate(["a"], 1, sampling)) == [["draw 0 of seed 7"]]
    drawn = cached.generate(["a"], 3, sampling)
    assert texts(drawn) == [[f"draw {k} of seed 7" for k in range(3)]]
    assert sum((c.cost for c in drawn[0]), Cost()).calls == 1


def test_failures_are_never_kept(counting, cached):
    counting.plays(Status(400), Say(None, finish="content_filter"), Say("well"))
    with pytest.raises(ModelRejected):
        cached.generate(["a"])
    assert cached.generate(["a"])[0][0].finish == "error"
    assert cached.generate(["a"])[0][0].text == "well"
    assert cached.generate(["a"])[0][0].text == "well"
    assert len(counting.received) == 3


def test_two_that_ask_the_same_at_once_get_the_same(counting, cached):
    async def both():
        return await asyncio.gather(*(cached.agenerate(["a"]) for _ in range(8)))

    assert len({row[0][0].text for row in asyncio.run(both())}) == 1
    assert len(counting.received) == 1


def test_reasoning_finish_and_logprobs_come_back(counting, cached):
    counting.plays(Say("four", finish="length", reasoning="2 and 2"))
    first = cached.generate(["a"], 1, Sampling(logprobs=True))[0][0]
    again = cached.generate(["a"], 1, Sampling(logprobs=True))[0][0]
    assert (again.text, again.finish, again.reasoning) == ("four", "length", "2 and 2")
    assert again.logprobs.tolist() == first.logprobs.tolist()


def test_a_with_block_caches_every_endpoint(counting, model, tmp_path):
    with response_cache(tmp_path / "all"):
        model.generate(["a"])
        model.generate(["a"])
    assert len(counting.received) == 1
    model.generate(["a"])
    assert len(counting.received) == 2


def test_threads_share_it(counting, cached):
    found = []
    threads = [threading.Thread(target=lambda: found.append(texts(cached.generate(["a"], 2)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert all(row == found[0] for row in found)


def test_a_hit_takes_microseconds_and_no_event_loop(counting, cached):
    prompts = [f"prompt {k}" for k in range(50)]
    cached.generate(prompts)
    spent = []
    for k in range(500):
        before = time.perf_counter()
        cached.generate([prompts[k % 50]])
        spent.append(time.perf_counter() - before)
    assert median(spent) < 400e-6, "under 100 us on a quiet machine; benchmarks/openai_client.py has the figure"


def test_a_folder_that_holds_something_else_is_refused(server, tmp_path):
    (tmp_path / "responses.sqlite").write_text("my notes")
    with pytest.raises(RunError, match="not a database"):
        OpenAIModel("m", base_url=server.url, cache=str(tmp_path)).generate(["a"])


def test_a_nameless_folder_is_refused():
    with pytest.raises(SpecError, match="cache is ''"):
        OpenAIModel("m", cache="")
    with pytest.raises(SpecError, match="empty"), response_cache(""):
        pass


def test_a_wide_call_over_a_half_full_cache_asks_for_the_other_half(counting, cached):
    cached.generate([f"p{k}" for k in range(0, 40, 2)])
    drawn = cached.generate([f"p{k}" for k in range(40)])
    assert len(counting.received) == 40
    assert all(row[0].text for row in drawn)
    with ChatServer() as elsewhere:
        OpenAIModel("m", base_url=elsewhere.url, cache=cached.cache).generate(["p0"])
        assert len(elsewhere.received) == 1, "another place may run another model under this name"
