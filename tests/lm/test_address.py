"""One string names a model with its options; it can be read back and never holds a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import SpecError
from plaudit.lm import OpenAIModel, openai_model, resolve

NAMES = st.text(alphabet="abcXYZ019-_./:@", min_size=1, max_size=20)
MODELS = st.builds(
    OpenAIModel,
    NAMES,
    base_url=st.none() | st.just("https://host:8443/a/v1"),
    api_key_env=st.sampled_from(["OPENAI_API_KEY", "MY_KEY"]),
    requests_per_minute=st.none() | st.floats(0.001, 1e6),
    max_in_flight=st.integers(1, 500),
    timeout=st.floats(0.001, 1e6),
    structured=st.sampled_from(["auto", "prompt", "json_schema", "json_object"]),
    budget_tokens=st.none() | st.integers(0, 10**9),
    price_prompt=st.floats(0, 1e3),
    api=st.sampled_from(["chat", "completions", "auto"]),
    token_ids=st.booleans(),
    cache=st.none() | st.just("a folder/of mine"),
    revision=st.none() | st.text(min_size=1, max_size=10).filter(lambda t: t.encode("utf-8", "ignore").decode() == t),
)


@given(MODELS)
def test_a_models_address_names_an_equal_model(model):
    assert model.address.startswith("openai:")
    assert openai_model(model.address.removeprefix("openai:")) == model


def test_an_address_goes_through_the_catalogue():
    model = resolve("openai:Qwen/Qwen3-8B?base_url=http://localhost:8000/v1&max_in_flight=8&timeout=5")
    assert (model.model, model.base_url, model.max_in_flight, model.timeout) == (
        "Qwen/Qwen3-8B", "http://localhost:8000/v1", 8, 5.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("gpt-4o", "expected SCHEME:NAME"),
        (":gpt-4o", "expected SCHEME:NAME"),
        ("opnai:gpt-4o", "openai"),
        ("openai:", "model is ''"),
        ("openai:two words", "without spaces"),
        ("openai:m?base_ulr=http://h/v1", "did you mean 'base_url'"),
        ("openai:m?model=x", "unknown option 'model'"),
        ("openai:m?_spent=x", "unknown option"),
        ("openai:m?timeout=soon", "expected a number"),
        ("openai:m?max_in_flight=1.5", "expected a whole number"),
        ("openai:m?max_in_flight=0", "max_in_flight is 0"),
        ("openai:m?timeout=nan", "timeout is nan"),
        ("openai:m?timeout=5&timeout=6", "given twice"),
        ("openai:m?timeout", "cannot be read"),
        ("openai:m?structured=maybe", "structured is 'maybe'"),
    ],
)
def test_a_wrong_address_is_explained(address, message):
    with pytest.raises(SpecError, match=message):
        resolve(address)


def test_the_version_is_the_name_with_the_revision():
    assert OpenAIModel("m").version == "openai:m"
    assert OpenAIModel("m", base_url="http://elsewhere/v1").version == "openai:m"
    assert OpenAIModel("m", revision="2026-01").version == "openai:m@2026-01"
    assert OpenAIModel("m", api="completions").version == "openai:m?api=completions", "a text is not put into a chat template"
