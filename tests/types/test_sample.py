"""A sample is a prompt, a response to it and what a reward may need to judge it."""

import copy
import pickle

import numpy as np
import pytest

from plaudit import Context, Sample


def full_sample():
    return Sample(
        [{"role": "user", "content": "2+2?"}],
        [{"role": "assistant", "content": "4", "tool_calls": []}],
        reference={"answer": ["4"]},
        id="row-1",
        group="g",
        group_size=2,
        tokens=np.array([5, 6]),
        logprobs=np.array([-0.1, -0.2]),
        tools=[{"type": "function"}],
        finish="stop",
        meta={"level": 3},
    )


@pytest.mark.parametrize("move", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy, copy.copy])
def test_a_sample_survives_pickling_and_copying_with_every_field(move):
    sample, moved = full_sample(), move(full_sample())
    for name in Sample.__slots__:
        before, after = getattr(sample, name), getattr(moved, name)
        assert np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after, name


def test_a_sample_with_no_columns_pickles_too():
    assert dict(pickle.loads(pickle.dumps(Sample("a", "b"))).meta) == {}


@pytest.mark.parametrize("bad", [None, 5, b"bytes", {"role": "user", "content": "a"}, ["text"], [{"content": "no role"}], [None]])
def test_a_prompt_or_response_that_is_neither_text_nor_messages_is_refused_by_name(bad):
    with pytest.raises(TypeError, match=r"Sample\.prompt"):
        Sample(bad, "response")
    with pytest.raises(TypeError, match=r"Sample\.response"):
        Sample("prompt", bad)


def test_samples_are_frozen_and_compare_by_identity():
    sample = Sample("a", "b")
    with pytest.raises(AttributeError):
        sample.response = "c"
    assert sample != Sample("a", "b")


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\u2028", "a" * 1_000_000])
def test_any_text_is_a_response(text):
    assert Sample("a", text).response == text


def test_a_context_sheds_live_objects_when_it_travels_to_a_worker():
    context = Context(step=3, seed=4, models={"policy": object()}, environments={"a": object()}, deadline=5.0)
    moved = pickle.loads(pickle.dumps(context))
    assert (moved.step, moved.seed, moved.deadline) == (3, 4, 5.0)
    assert not moved.models
    assert not moved.environments
