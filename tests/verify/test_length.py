"""verify.length: the field's soft overlong punishment, never positive."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.types import Context, Sample, Status
from plaudit.verify import Length


def judge(sample, **fields):
    return Length(**fields).score_one(sample, Context())


def test_the_slope_lies_between_the_free_length_and_the_maximum():
    lengths = [0, 79, 80, 81, 90, 99, 100, 101, 10_000]
    values = [judge(Sample("q", "x" * n), max_length=100, cache=20, unit="characters").value for n in lengths]
    assert values == [0.0, 0.0, 0.0, -0.05, -0.5, -0.95, -1.0, -1.0, -1.0]


def test_without_a_cache_there_is_only_the_step():
    values = [judge(Sample("q", "x" * n), max_length=100, cache=0, unit="characters").value for n in (100, 101)]
    assert values == [0.0, -1.0]


def test_units_count_what_they_say():
    sample = Sample("q", "two words é", tokens=np.arange(7))
    lengths = {unit: judge(sample, unit=unit).details["length"] for unit in ("tokens", "characters", "words")}
    assert lengths == {"tokens": 7, "characters": 11, "words": 3}


def test_thinking_counts_and_other_peoples_turns_do_not():
    messages = [{"role": "assistant", "content": "<think>one two</think> three"}, {"role": "tool", "content": "four five"}]
    assert judge(Sample("q", messages), unit="words").details["length"] == 3


def test_missing_tokens_are_our_fault_not_the_responses():
    for response in ("", "x" * 10_000):
        verdict = judge(Sample("q", response))
        assert (verdict.status, verdict.reason) == (Status.FAILED, "column_missing")


def test_reasons():
    assert judge(Sample("q", "x"), unit="words").reason is None
    assert judge(Sample("q", "x x x"), unit="words", max_length=2, cache=1).reason == "response_too_long"


@pytest.mark.parametrize(
    "fields", [{"max_length": 0, "cache": 0}, {"max_length": 5, "cache": 6}, {"cache": -1}, {"unit": "bytes"}]
)
def test_bad_fields_are_refused(fields):
    with pytest.raises(SpecError, match=r"verify\.length"):
        Length(**fields)


def test_it_reads_only_what_it_counts():
    assert Length().facts.reads == {"tokens"}
    assert Length(unit="words").facts.reads == {"response"}
    assert Length().facts.range == (-1.0, 0.0)


@given(st.integers(1, 2_000), st.data())
def test_it_equals_trls_soft_overlong_punishment_to_the_last_bit(maximum, data):
    rewards = pytest.importorskip("trl.rewards", reason="TRL is not installed: pip install 'plaudit[learn]'")
    cache = data.draw(st.integers(0, maximum))
    lengths = data.draw(st.lists(st.integers(0, 3_000), min_size=1, max_size=8))
    theirs = rewards.get_soft_overlong_punishment(max_completion_len=maximum, soft_punish_cache=cache)([[0] * n for n in lengths])
    reward = Length(max_length=maximum, cache=cache)
    assert [reward.score_one(Sample("q", "", tokens=np.zeros(n, int)), Context()).value for n in lengths] == theirs
