"""A pointwise judge asks once, reads a reason and a score, and says what they came from."""

import asyncio
import hashlib
import json
import pickle
import threading

import pytest
from servers import ChatServer, Say, graded

from plaudit.errors import ModelError, SpecError
from plaudit.judge import Pointwise
from plaudit.lm import MissingKey, OpenAIModel
from plaudit.reward import from_spec
from plaudit.types import Completion, Context, Cost, Sample, Status


@pytest.mark.parametrize(
    ("options", "score", "value"),
    [({}, 1, 0.0), ({}, 10, 1.0), ({}, 7, 6 / 9), ({"normalize": False}, 7, 7.0), ({"scale": (0, 4)}, 1, 0.25),
     ({"scale": (-1, 1)}, 0, 0.5), ({"scale": (-1, 1), "normalize": False}, -1, -1.0), ({"scale": (0, 1000)}, 250, 0.25)],
)  # fmt: skip
def test_the_score_becomes_the_value(options, score, value):
    with ChatServer(say=graded(score)) as server:
        judge = Pointwise(model="openai:judge", base_url=server.url, **options)
        verdict = judge.one("2+2?", "4")
    assert verdict.status is Status.SCORED
    assert verdict.value == pytest.approx(value)
    low, high = judge.facts.range
    assert low <= verdict.value <= high


def test_the_verdict_carries_the_reasoning_the_reply_and_the_cost(server, judge):
    sample = Sample("2+2?", "4")
    verdict = judge.score([sample])[0]
    assert verdict.explanation == "I checked it against the criteria."
    assert verdict.details["reply"] == graded(7)
    assert verdict.details["score"] == 7
    assert verdict.details["scale"] == [1, 10]
    assert verdict.details["judge"] == "openai:judge"
    assert verdict.details["attempts"] == 1
    digest = hashlib.sha256(json.dumps(judge.messages(sample), sort_keys=True).encode()).hexdigest()
    assert verdict.details["prompt_sha256"] == digest
    assert (verdict.cost.calls, verdict.cost.tokens) == (1, 120)


def test_the_judge_is_asked_for_reasoning_first_at_temperature_zero(server, judge):
    judge.one("2+2?", "4")
    request = server.received[0].request
    assert request.temperature == 0
    assert list(request.schema["properties"]) == ["reasoning", "score"]
    assert request.schema["properties"]["score"]["enum"] == list(range(1, 11))
    assert request.max_tokens == 2048


def test_the_judge_sees_criteria_scale_prompt_and_response(server):
    judge = Pointwise(model="openai:judge", base_url=server.url, criteria="Is it a haiku about {snow}?", scale=(0, 3))
    judge.one([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A haiku, please."}], "Snow falls")
    system, user = server.received[0].request.messages
    assert system["role"] == "system"
    assert "Is it a haiku about {snow}?" in system["content"]
    assert "from 0 " in system["content"]
    assert "to 3 " in system["content"]
    for part in ("[system]\nBe brief.", "[user]\nA haiku, please.", "````response\nSnow falls\n````"):
        assert part in user["content"]


def test_the_reference_is_shown_only_when_told_to(server):
    for with_reference in (False, True):
        judge = Pointwise(model="openai:judge", base_url=server.url, with_reference=with_reference)
        judge.one("Capital of Portugal?", "Lisbon", {"city": "Lissabon"})
        assert ("Lissabon" in server.received[-1].prompt) is with_reference
        assert ("reference" in judge.facts.reads) is with_reference


def test_the_thinking_part_is_not_shown_unless_told_to(server):
    for read, shown in (("final", False), ("whole", True)):
        Pointwise(model="openai:judge", base_url=server.url, read=read).one("2+2?", "<think>five?</think>4")
        assert ("five?" in server.received[-1].prompt) is shown


@pytest.mark.parametrize("reference", [None, "", "  ", [], {}])
def test_without_the_reference_it_needs_it_is_our_failure(server, reference):
    judge = Pointwise(model="openai:judge", base_url=server.url, with_reference=True)
    assert judge.one("2+2?", "4", reference).reason == "reference_missing"
    assert server.received == []


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "response_empty"),
        (" \n", "response_empty"),
        ("<think>hm", "response_unclosed_thought"),
        ("x" * 101, "response_too_large"),
    ],
)
def test_a_response_with_nothing_to_grade_is_at_the_bottom_without_a_call(server, response, reason):
    judge = Pointwise(model="openai:judge", base_url=server.url, max_characters=100, scale=(2, 5), normalize=False)
    verdict = judge.one("2+2?", response)
    assert (verdict.value, verdict.reason) == (2.0, reason)
    assert server.received == []


@pytest.mark.parametrize(
    "reply",
    [f"```json\n{graded(7)}\n```", f"Let me see. {graded(7)}", f"<think>3?</think>{graded(7)}",
     '{"reasoning": "fine", "score": 7.0}', '{"reasoning": "fine", "score": 7, "confidence": 1}'],
)  # fmt: skip
def test_replies_of_models_that_ignore_the_schema_are_read(server, judge, reply):
    server.react = lambda received: Say(reply)
    assert judge.one("2+2?", "4").value == pytest.approx(6 / 9)


def test_an_endpoint_that_takes_no_schema_judges_all_the_same():
    with ChatServer(say=graded(7), takes_schema=False) as server:
        verdict = Pointwise(model="openai:judge", base_url=server.url).one("2+2?", "4")
    assert verdict.value == pytest.approx(6 / 9)
    assert verdict.details["attempts"] == 2


def test_a_reasoning_model_may_reason_apart(server, judge):
    server.react = lambda received: Say('{"score": 7, "reasoning": ""}', reasoning="It is right.")
    verdict = judge.one("2+2?", "4")
    assert verdict.explanation == "It is right."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "gpt-4o"}, "expected an address"),
        ({"model": ""}, "expected an address"),
        ({"model": 3}, "expected an address or a language model"),
        ({"scale": (10, 1)}, "scale"),
        ({"scale": (1, 1)}, "scale"),
        ({"scale": (0.5, 1)}, "scale"),
        ({"scale": (1, 2, 3)}, "scale"),
        ({"criteria": " "}, "criteria"),
        ({"read": "all"}, "read is"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": "policy:", "base_url": "http://h/v1"}, "base_url goes with"),
        ({"model": "openai:m?base_url=http://h/v1", "base_url": "http://h/v1"}, "given twice"),
        ({"model": OpenAIModel("m"), "base_url": "http://h/v1"}, "has its own"),
    ],
)
def test_a_wrong_field_is_refused_at_construction(fields, message):
    with pytest.raises(SpecError, match=message):
        Pointwise(**{"model": "openai:m", **fields})


def test_a_spec_builds_an_equal_judge():
    judge = Pointwise("openai:m?timeout=5", "Is it kind?", (0, 4), False, "whole", True, 0.5, 99, 1000, "http://h/v1")
    assert from_spec(judge.spec) == judge
    assert from_spec(judge.to_yaml()).fingerprint == judge.fingerprint
    assert from_spec({"use": "judge.pointwise", "model": "openai:m", "scale": [0, 4]}).scale == (0, 4)


def test_the_fingerprint_covers_what_the_numbers_depend_on():
    base = Pointwise("openai:m")
    others = [
        Pointwise("openai:m2"), Pointwise("openai:m?revision=2"), Pointwise("openai:m", criteria="Is it kind?"),
        Pointwise("openai:m", scale=(1, 5)), Pointwise("openai:m", normalize=False), Pointwise("openai:m", read="whole"),
        Pointwise("openai:m", with_reference=True), Pointwise("openai:m", temperature=1.0), Pointwise("openai:m", max_tokens=99),
        Pointwise("openai:m", max_characters=99), Pointwise("policy:"),
    ]  # fmt: skip
    assert len({r.fingerprint for r in [base, *others]}) == len(others) + 1


def test_the_fingerprint_does_not_cover_where_and_how_the_model_is_reached(monkeypatch):
    base = Pointwise("openai:m").fingerprint
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    for same in (
        Pointwise("openai:m", base_url="http://h/v1"),
        Pointwise("openai:m?base_url=http://h/v1&timeout=5&max_in_flight=3"),
        Pointwise(OpenAIModel("m", base_url="http://h/v1", budget_calls=3)),
    ):
        assert same.fingerprint == base
    assert Pointwise(OpenAIModel("m", revision="2")).fingerprint == Pointwise("openai:m?revision=2").fingerprint


PINNED = {"1": "eef6c444"}


def test_the_words_of_the_prompt_change_only_with_the_version():
    judge = Pointwise("openai:m", with_reference=True)
    digest = hashlib.sha256(json.dumps(judge.messages(Sample("p", "r", "x"))).encode()).hexdigest()[:8]
    assert PINNED.get(judge.facts.version) == digest, f"raise PROMPT_VERSION and pin {digest}"


def test_facts_follow_the_fields():
    assert Pointwise("openai:m").facts.deterministic
    assert not Pointwise("openai:m", temperature=0.7).facts.deterministic
    assert Pointwise("openai:m").facts.lane == "io"
    assert Pointwise("policy:").facts.reads == {"prompt", "response", "models.policy"}


def test_a_missing_key_names_the_variable_to_set():
    judge = Pointwise("openai:gpt-4o-mini")
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        judge.score([Sample("a", "b"), Sample("a", "c")])


class Scripted:
    """A language model that says the same thing to everybody and takes no schema."""

    address, version, abilities = "scripted:7", "7", frozenset({"generate"})

    def __init__(self, text=None):
        self.text = graded(7) if text is None else text
        self.asked = []

    async def agenerate(self, conversations, n=1, sampling=None, *, deadline=None):
        self.asked.append((conversations, sampling))
        return [[Completion(self.text, finish="stop", cost=Cost(calls=1))] for _ in conversations]

    def generate(self, conversations, n=1, sampling=None, *, deadline=None):
        return asyncio.run(self.agenerate(conversations, n, sampling, deadline=deadline))


def test_the_policy_itself_can_judge():
    policy = Scripted()
    verdict = Pointwise("policy:").score([Sample("2+2?", "4")], Context(models={"policy": policy}))[0]
    assert verdict.value == pytest.approx(6 / 9)
    assert policy.asked[0][1].schema is None, "a model without the ability is asked in words alone"


def test_a_context_without_that_model_is_said():
    with pytest.raises(ModelError, match=r"Context\.models has no 'policy'"):
        Pointwise("policy:").score([Sample("a", "b"), Sample("a", "c")])


def test_a_language_model_object_can_judge():
    model = Scripted()
    assert Pointwise(model).one("2+2?", "4").value == pytest.approx(6 / 9)


def test_a_model_that_cannot_write_is_refused_at_construction():
    class Silent(Scripted):
        abilities = frozenset({"read"})

    with pytest.raises(ModelError, match="generate"):
        Pointwise(Silent())


def test_a_pickled_judge_judges(judge):
    judge.one("2+2?", "4")
    copy = pickle.loads(pickle.dumps(judge))
    assert copy == judge
    assert copy.one("2+2?", "4").value == pytest.approx(6 / 9)


def test_it_judges_from_threads_and_running_loops(judge):
    values = []

    async def awaiting():
        values.append((await judge.ascore([Sample("2+2?", "4")]))[0].value)
        values.append((await judge.ascore_one(Sample("2+2?", "4"), Context())).value)
        values.append(judge.one("2+2?", "4").value)

    threads = [threading.Thread(target=lambda: asyncio.run(awaiting())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert values == [pytest.approx(6 / 9)] * 12


def test_it_composes_with_the_algebra(judge):
    from plaudit.verify import Exact

    total = 0.5 * judge + Exact().named("exact")
    assert total.one("2+2?", "4", "4").value == pytest.approx(0.5 * 6 / 9 + 1)


def test_importing_plaudit_loads_neither_judge_nor_httpx():
    import subprocess
    import sys

    code = "import sys, plaudit; print([m for m in sys.modules if m.startswith(('httpx', 'plaudit.lm', 'plaudit.judge'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
