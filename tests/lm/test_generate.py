"""`openai:` draws completions over Chat Completions, from any thread and event loop, and says what they cost."""

import asyncio
import multiprocessing
import pickle
import threading

import pytest
from servers import Say

from plaudit.errors import ModelError
from plaudit.lm import OpenAIModel
from plaudit.run import event_loop
from plaudit.types import LanguageModel, Sampling


def test_it_is_a_language_model(model):
    assert isinstance(model, LanguageModel)
    assert model.abilities == {"generate", "schema", "logprobs"}


def test_completions_come_in_the_order_of_the_conversations(server, model):
    server.react = lambda received: Say(f"echo {received.prompt}", delay=0.05 if "a" in received.prompt else 0.0)
    drawn = model.generate(["a", "b", [{"role": "system", "content": "s"}, {"role": "user", "content": "c"}]])
    assert [[c.text for c in row] for row in drawn] == [["echo a"], ["echo b"], ["echo s\nc"]]


def test_n_completions_come_from_one_request(server, model):
    assert len(model.generate(["a"], n=3)[0]) == 3
    assert len(server.received) == 1


def test_a_server_that_gives_fewer_choices_is_asked_again(server, model):
    server.react = lambda received: Say("one", choices=1)
    assert len(model.generate(["a"], n=3)[0]) == 3
    assert [r.request.n for r in server.received] == [3, 2, 1]


def test_what_was_asked_for_arrives_at_the_server(server, model):
    schema = {"type": "integer"}
    model.generate(["a"], 2, Sampling(temperature=0.0, top_p=0.5, max_tokens=7, stop=("x",), seed=3, schema=schema))
    (request,) = [r.request for r in server.received]
    assert (request.temperature, request.top_p, request.max_tokens, request.stop, request.seed) == (0.0, 0.5, 7, ("x",), 3)
    assert (request.n, request.schema) == (2, schema)


@pytest.mark.parametrize(
    ("reaction", "text", "reasoning", "finish"),
    [
        (Say("4", reasoning="2 and 2"), "4", "2 and 2", "stop"),
        (Say("4 and", finish="length"), "4 and", None, "length"),
        (Say(None, refusal="I will not."), "I will not.", None, "stop"),
        (Say(None, finish="content_filter"), "", None, "error"),
        (Say("4", finish="eos_of_mine"), "4", None, None),
    ],
)
def test_the_parts_of_a_choice_become_the_parts_of_a_completion(server, model, reaction, text, reasoning, finish):
    server.plays(reaction)
    completion = model.generate(["a"])[0][0]
    assert (completion.text, completion.reasoning, completion.finish) == (text, reasoning, finish)


def test_cost_counts_calls_tokens_money_and_seconds(server):
    model = OpenAIModel("m", base_url=server.url, price_prompt=2.0, price_completion=10.0)
    server.react = lambda received: Say("x", usage=(1000, 100), delay=0.05)
    first, second = model.generate(["a"], n=2)[0]
    assert (first.cost.calls, first.cost.tokens, first.cost.money) == (1, 1100, pytest.approx(0.003))
    assert 0.05 <= first.cost.seconds < 5
    assert second.cost.calls == 0, "the cost of a request stands on the first of its completions, so that sums are right"
    model.generate(["b"])
    assert (model.spent.calls, model.spent.tokens) == (2, 2200)


def test_a_server_that_counts_no_tokens_costs_none(server, model):
    server.plays(Say("x", usage=None))
    assert model.generate(["a"])[0][0].cost.tokens == 0


def test_it_works_from_many_threads_and_event_loops_at_once(server, model):
    texts: list[str] = []

    def from_a_thread():
        texts.append(model.generate(["a"])[0][0].text)

    def from_a_loop_of_its_own():
        texts.append(asyncio.run(model.agenerate(["a"]))[0][0].text)

    async def from_inside_a_running_loop():
        texts.append(model.generate(["a"])[0][0].text)

    threads = [threading.Thread(target=target) for target in (from_a_thread, from_a_loop_of_its_own) * 4]
    threads.append(threading.Thread(target=lambda: asyncio.run(from_inside_a_running_loop())))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert texts == ["ok"] * 9


def test_on_plaudits_own_loop_it_can_be_awaited_but_not_blocked_on(model):
    async def awaits():
        return (await model.agenerate(["a"]))[0][0].text

    async def blocks():
        model.generate(["a"])

    assert event_loop().submit(awaits()).result(10) == "ok"
    with pytest.raises(ModelError, match="agenerate"):
        event_loop().submit(blocks()).result(10)


def test_objects_of_one_endpoint_share_its_connections(server):
    for _ in range(5):
        OpenAIModel("m", base_url=server.url).generate(["a"])
    assert server.connections == 1


def test_a_pickled_model_is_an_equal_one_that_works_and_has_spent_nothing(model):
    model.generate(["a"])
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    assert copy.spent.calls == 0
    assert copy.generate(["a"])[0][0].text == "ok"


def _in_a_child(model, queue):
    queue.put(model.generate(["a"])[0][0].text)


def test_a_forked_child_opens_connections_of_its_own(model):
    model.generate(["a"])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(model, queue))
    child.start()
    assert queue.get(timeout=20) == "ok"
    child.join(10)
    assert child.exitcode == 0
    assert model.generate(["a"])[0][0].text == "ok"


def test_one_failing_conversation_cancels_the_others_and_raises(server, model):
    from servers import Stall, Status

    server.react = lambda received: Status(400) if received.prompt == "bad" else Stall(10)
    with pytest.raises(ModelError, match="status 400"):
        model.generate(["slow", "bad", "slow too"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], 0), "n is 0"),
        (("one text",), "expected a list of conversations"),
    ],
)
def test_what_it_cannot_do_is_said(model, arguments, message):
    with pytest.raises(ModelError, match=message):
        model.generate(*arguments)
