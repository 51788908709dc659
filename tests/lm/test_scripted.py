"""`scripted:FILE` says what it is told to: by prompt or in turn, with failures and delays; when it runs out it says so."""

import asyncio
import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError, ModelError, SpecError
from plaudit.judge import Pointwise
from plaudit.lm import (
    BudgetSpent,
    DeadlinePassed,
    ModelRateLimited,
    ModelRejected,
    ModelReplyError,
    ModelUnreachable,
    ScriptedModel,
    resolve,
)
from plaudit.run import event_loop
from plaudit.types import LanguageModel, Sample, Sampling

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2+2?"}]


def said(model, *prompts, n=1):
    return [[c.text for c in row] for row in model.generate(list(prompts), n)]


def test_it_is_a_language_model():
    model = ScriptedModel(["4"])
    assert isinstance(model, LanguageModel)
    assert model.abilities == {"generate"}


def test_texts_are_said_in_turn_over_conversations_and_draws():
    model = ScriptedModel(["a", "b", "c", "d", "e"])
    assert said(model, "x", "y", n=2) == [["a", "b"], ["c", "d"]]
    assert said(model, "x") == [["e"]]
    assert model.asked == ("x", "x", "y", "y", "x")


@pytest.mark.parametrize(
    ("matcher", "hits", "misses"),
    [
        ({"exact": "2+2?"}, ["2+2?"], ["What is 2+2?", "2+2? "]),
        ({"contains": "2+2"}, ["2+2?", "What is 2+2?", CHAT], ["3+3?"]),
        ({"regex": r"\d\+\d\?$"}, ["2+2?", "3+3?", CHAT], ["2+2? Say."]),
        ({"exact": "Be brief.\nWhat is 2+2?"}, [CHAT], ["What is 2+2?"]),
    ],
)
def test_a_line_can_wait_for_its_prompt(matcher, hits, misses):
    model = ScriptedModel([{**matcher, "answer": "hit"}, {"answer": "miss", "times": 100}])
    assert said(model, *hits) == [["hit"]] * len(hits)
    assert said(model, *misses) == [["miss"]] * len(misses)


def test_the_first_line_that_matches_is_taken_as_often_as_it_may_be():
    model = ScriptedModel([{"contains": "a", "answer": "1", "times": 2}, {"contains": "a", "answer": "2"}])
    assert said(model, "a", n=4) == [["1", "1", "2", "2"]]


def test_a_script_that_has_run_out_says_so_and_names_the_prompt():
    model = ScriptedModel(["a", {"contains": "x", "answer": "b"}])
    said(model, "1")
    with pytest.raises(ModelError, match=r"run out after 1 answers: none of its 2 lines answers '2\+2\?'"):
        said(model, "2+2?")


def test_a_file_is_read_line_by_line_and_named_by_its_content(tmp_path):
    lines = [{"contains": "2+2", "answer": "4"}, {"answer": {"score": 7}}, "plain text"]
    path, other = tmp_path / "script.jsonl", tmp_path / "elsewhere.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    other.write_text("\n\n".join(json.dumps(line) for line in lines))
    model = resolve(f"scripted:{path}")
    assert said(model, "2+2?", "x", "y") == [["4"], ['{"score": 7}'], ["plain text"]]
    assert model.address == f"scripted:{path}"
    assert model.version == resolve(f"scripted:{other}").version == ScriptedModel(lines).version
    other.write_text(json.dumps({"contains": "2+2", "answer": "5"}))
    assert resolve(f"scripted:{other}").version != model.version


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: line: expected one whole JSON value"),
        ("3", "line 2: expected a text or an object"),
        ('{"anser": "4"}', "line 2: unknown member 'anser'.*did you mean 'answer'"),
        ("{}", "line 2: expected an answer, or a status or failure"),
        ('{"answer": "4", "failure": "unreachable"}', "not both"),
        ('{"answer": "4", "exact": "a", "contains": "b"}', "exclude each other"),
        ('{"answer": "4", "regex": "("}', "is no pattern"),
        ('{"failure": "bad luck"}', "expected one of unreachable"),
        ('{"status": 200}', "expected an HTTP status from 300"),
        ('{"answer": "4", "times": 0}', "times is 0"),
        ('{"answer": "4", "latency": -1}', "latency is -1"),
        ('{"answer": "4", "finish": "done"}', "finish is 'done'"),
        ('{"answer": "4", "logprobs": ["a"]}', "expected a list of numbers"),
        ('{"answer": "4", "logprobs": [-1], "tokens": [1, 2]}', "as many as there are logprobs"),
        ('{"answer": "4", "contains": 4}', "contains is 4"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(tmp_path, line, message):
    path = tmp_path / "script.jsonl"
    path.write_text(f'{{"answer": "fine"}}\n{line}\n')
    with pytest.raises(DataError, match=message):
        resolve(f"scripted:{path}")


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "s.jsonl").write_bytes(b'{"answer": "a"}\n{"answer": "\xff"}\n')
    with pytest.raises(DataError, match=r"line 2.*UTF-8"):
        resolve(f"scripted:{tmp_path / 's.jsonl'}")


@pytest.mark.parametrize(("rest", "message"), [("", "scripted:FILE"), ("/nowhere/at/all", "cannot be read")])
def test_a_file_that_is_not_there_is_explained(rest, message):
    with pytest.raises(SpecError, match=message):
        resolve(f"scripted:{rest}")


def test_empty_scripts_are_refused(tmp_path):
    (tmp_path / "s.jsonl").write_text("\n")
    with pytest.raises(SpecError, match="is empty"):
        resolve(f"scripted:{tmp_path / 's.jsonl'}")
    with pytest.raises(SpecError, match="is empty"):
        ScriptedModel([])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"failure": "unreachable"}, ModelUnreachable),
        ({"failure": "rejected"}, ModelRejected),
        ({"failure": "rate_limited"}, ModelRateLimited),
        ({"failure": "reply"}, ModelReplyError),
        ({"failure": "budget"}, BudgetSpent),
        ({"failure": "deadline"}, DeadlinePassed),
        ({"status": 429}, ModelRateLimited),
        ({"status": 503}, ModelUnreachable),
        ({"status": 401}, ModelRejected),
        ({"status": 302}, ModelRejected),
    ],
)
def test_a_line_can_fail_like_an_endpoint(line, error):
    model = ScriptedModel([{**line, "message": "no luck today"}, "after it"])
    with pytest.raises(error, match="no luck today") as caught:
        said(model, "a")
    assert caught.value.cost.calls == 1
    assert caught.value.status == line.get("status")
    assert said(model, "a") == [["after it"]]


def test_latencies_pass_side_by_side_and_the_deadline_ends_them():
    model = ScriptedModel([{"contains": "", "answer": "late", "latency": 0.2}])
    before = time.monotonic()
    said(model, *"abcde")
    assert 0.2 <= time.monotonic() - before < 0.9
    with pytest.raises(DeadlinePassed):
        model.generate(["a"], deadline=time.monotonic() + 0.05)


def test_log_probabilities_come_where_the_script_gives_them():
    model = ScriptedModel([{"answer": "4", "logprobs": [-0.5], "tokens": [52]}, {"answer": "5", "logprobs": [-1.5]}, "6"])
    assert "logprobs" in model.abilities
    first, second = (model.generate(["a"], 1, Sampling(logprobs=True))[0][0] for _ in range(2))
    assert (first.logprobs.tolist(), first.tokens.tolist()) == ([-0.5], [52])
    assert (second.logprobs.tolist(), second.tokens) == ([-1.5], None)
    with pytest.raises(ModelError, match=r"answer '6' .* logprobs"):
        model.generate(["a"], 1, Sampling(logprobs=True))
    with pytest.raises(ModelError, match="lacks the ability 'logprobs'"):
        ScriptedModel(["a"]).generate(["a"], 1, Sampling(logprobs=True))


def test_a_json_value_as_an_answer_gives_the_ability_schema():
    model = ScriptedModel([{"answer": {"reasoning": "It is right.", "score": 8}}])
    assert "schema" in model.abilities
    assert json.loads(model.generate(["a"], 1, Sampling(schema={"type": "object"}))[0][0].text)["score"] == 8


def test_it_plays_a_judge_and_its_troubles():
    script = [
        {"contains": "RESPONSE ONE", "answer": {"reasoning": "Right.", "score": 10}},
        {"contains": "RESPONSE TWO", "failure": "unreachable"},
        {"contains": "RESPONSE THREE", "status": 429},
        {"contains": "", "answer": {"reasoning": "Meh.", "score": 1}},
    ]
    judge = Pointwise(model=ScriptedModel(script))
    verdicts = judge.score([Sample("q", f"RESPONSE {n}") for n in ("ONE", "TWO", "THREE", "FOUR")])
    assert [v.value for v in verdicts] == [1.0, None, None, 0.0]
    assert [v.reason for v in verdicts] == [None, "judge_unreachable", "judge_rate_limited", None]


def test_a_pickled_copy_begins_anew():
    model = ScriptedModel(["a", "b"])
    said(model, "x")
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    assert (said(copy, "x"), said(model, "x")) == ([["a"]], [["b"]])


def test_it_works_on_any_loop_and_cannot_block_plaudits_own():
    model = ScriptedModel([{"contains": "", "answer": "a"}])

    async def blocks():
        model.generate(["a"])

    assert asyncio.run(model.agenerate(["a"]))[0][0].text == "a"
    assert event_loop().submit(model.agenerate(["a"])).result(10)[0][0].text == "a"
    with pytest.raises(ModelError, match="agenerate"):
        event_loop().submit(blocks()).result(10)


@pytest.mark.parametrize(("conversations", "n", "message"), [("text", 1, "expected a list"), (["a"], 0, "n is 0")])
def test_what_makes_no_sense_is_said(conversations, n, message):
    with pytest.raises(ModelError, match=message):
        ScriptedModel(["a"]).generate(conversations, n)


ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"answer": st.text(max_size=5)},
        optional={"contains": st.text(alphabet="ab", max_size=2), "times": st.integers(1, 3)},
    ),
    min_size=1,
    max_size=6,
)


@given(ENTRIES, st.lists(st.text(alphabet="abc", max_size=4), min_size=1, max_size=8))
def test_the_same_questions_get_the_same_answers(entries, prompts):
    def run():
        try:
            return said(ScriptedModel(entries), *prompts)
        except ModelError as error:
            return str(error)

    first = run()
    assert run() == first
    if isinstance(first, list):
        for prompt, [text] in zip(prompts, first, strict=True):
            assert any(e["answer"] == text and e.get("contains", "") in prompt for e in entries)
