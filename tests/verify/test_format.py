"""verify.format: tags in their order, each once, and a pattern that cannot hang the trainer."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.types import Context, Sample
from plaudit.verify import Format


def judge(response, prompt="q", **fields):
    return Format(**fields).score_one(Sample(prompt, response), Context())


@pytest.mark.parametrize(
    ("fields", "response", "wrong"),
    [
        ({}, "<answer>4</answer>", "<think> is missing"),
        ({}, "<think>a<answer>4</answer>", "</think> is missing"),
        ({}, "<think>a</think><think>b</think><answer>4</answer>", "<think> stands 2 times"),
        ({}, "<think>a</think><answer>4</answer></Answer>", "</answer> stands 2 times"),
        ({}, "<answer>4</answer><think>a</think>", "<answer> stands inside or before <think>"),
        ({}, "<think><answer>4</answer></think>", "<answer> stands inside or before <think>"),
        ({}, "<think>a</think></answer>4<answer>", "</answer> stands before <answer>"),
        ({}, "<answer>4<think></answer>a</think>", "<answer> stands inside or before <think>"),
        ({}, "so <think>a</think><answer>4</answer>", "text stands outside the tags, before <think>"),
        ({}, "<think>a</think>so<answer>4</answer>", "text stands outside the tags, before <answer>"),
        ({}, "<think>a</think><answer>4</answer>so", "text stands outside the tags, behind </answer>"),
        ({}, "<think> </think><answer>4</answer>", "<think> is empty"),
        ({"tags": (), "pattern": "a+"}, "b", "the pattern 'a+' does not match"),
    ],
)
def test_the_verdict_says_what_is_wrong(fields, response, wrong):
    verdict = judge(response, **fields)
    assert (verdict.value, verdict.reason, verdict.explanation) == (0.0, "response_format", wrong)


@pytest.mark.parametrize(
    ("fields", "response"),
    [
        ({}, "<think>a</think>\n<answer>4</answer>"),
        ({"tags": ("think",), "outside": "text"}, "<think>a</think>It is 4."),
        ({"empty": True}, "<think>\n\n</think><answer>4</answer>"),
        ({"opened": True}, "a</think><answer>4</answer>"),
        ({"tags": ("plan", "code", "result")}, "<plan>a</plan><code>b</code><result>c</result>"),
        ({"tags": (), "pattern": r"\d+"}, "42"),
        ({"tags": (), "pattern": r"\d+", "match": "search"}, "It is 42."),
        ({"tags": ("answer",), "pattern": r"(?s).*\d.*"}, "<answer>4</answer>"),
        ({"tags": ("answer",), "read": "final"}, "<think>a</think><answer>4</answer>"),
    ],
)
def test_what_is_asked_for_passes(fields, response):
    assert judge(response, **fields).value == 1.0


def test_the_pattern_counts_beside_the_tags():
    assert judge("<answer>x</answer>", tags=("answer",), pattern=r"(?s).*\d.*").value == 0.0
    assert judge("4", tags=("answer",), pattern=r"\d").value == 0.0


def test_a_prompt_that_opens_the_thought_opens_it_once():
    assert judge("a</think><answer>4</answer>", prompt="q\n<think>\n").value == 1.0
    assert judge("<think>a</think><answer>4</answer>", prompt="q\n<think>\n").explanation == "<think> stands 2 times"
    message = [{"role": "assistant", "reasoning_content": "a", "content": "<answer>4</answer>"}]
    assert judge(message, prompt="q\n<think>\n").value == 1.0


def test_nothing_to_read():
    assert judge("").reason == "response_empty"
    assert judge("<think>a", read="final", tags=("answer",)).reason == "response_unclosed_thought"


@pytest.mark.parametrize(
    "fields",
    [{"tags": ()}, {"tags": ("<think>",)}, {"tags": ("a", "A")}, {"tags": ("",)}, {"pattern": "("}, {"pattern": "a{99999999999}"},
     {"tags": (), "pattern": "a", "opened": True}, {"timeout": 0.0}],
)  # fmt: skip
def test_bad_fields_are_refused(fields):
    with pytest.raises(SpecError, match=r"verify\.format"):
        Format(**fields)


def test_tags_alone_run_inline_and_a_pattern_runs_where_it_can_be_killed():
    assert Format().facts.lane == "inline"
    facts = Format(pattern="a", timeout=0.5).facts
    assert (facts.lane, facts.timeout) == ("cpu", 0.5)


def test_a_catastrophic_pattern_costs_its_deadline_and_no_more():
    reward = Format(tags=(), pattern=r"(a+)+b", timeout=0.5)
    samples = [Sample("q", "aab"), Sample("q", "a" * 40), Sample("q", "ab")]
    start = time.perf_counter()
    verdicts = reward.score(samples)
    assert time.perf_counter() - start < 10
    assert (verdicts.values[0], verdicts.values[2]) == (1.0, 1.0)
    # A machine with more work than processors says so instead of blaming the response.
    assert verdicts.reason[1] in ("response_timeout", "worker_starved")
    assert (verdicts.values[1] == 0.0) == (verdicts.reason[1] == "response_timeout")


names = st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), min_size=1, max_size=4, unique=True).map(tuple)
contents = st.text(st.characters(exclude_characters="<>"), min_size=1, max_size=20).filter(lambda s: not s.isspace())


@given(names, st.data())
def test_well_formed_passes_and_any_tag_lost_doubled_or_moved_fails(tags, data):
    blocks = [f"<{tag}>{data.draw(contents)}</{tag}>" for tag in tags]
    text = "\n".join(blocks)
    assert judge(text, tags=tags).value == 1.0
    pick = data.draw(st.integers(0, len(tags) - 1))
    mark = data.draw(st.sampled_from([f"<{tags[pick]}>", f"</{tags[pick]}>"]))
    assert judge(text.replace(mark, ""), tags=tags).value == 0.0
    place = data.draw(st.integers(0, len(text)))
    assert judge(text[:place] + mark + text[place:], tags=tags).value == 0.0
    if len(tags) > 1:
        assert judge("\n".join(blocks[1:] + blocks[:1]), tags=tags).value == 0.0
        assert judge(text, tags=tags[::-1]).value == 0.0
