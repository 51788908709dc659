"""`policy:` is known only when something is scored: the context has the model."""

import pytest
from lm.local_models import random_model

from plaudit.errors import ModelError, SpecError
from plaudit.lm import LocalModel, context_name, model_for, model_reads, resolve
from plaudit.types import Context
from plaudit.worlds import load_policy


@pytest.fixture(scope="module")
def policy():
    return LocalModel(random_model("llama"), load_policy().tokenizer)


def test_the_policy_and_other_models_of_the_context_are_found_by_name(policy):
    reference = LocalModel(random_model("llama"), policy.tokenizer, address="policy:reference")
    context = Context(models={"policy": policy, "reference": reference})
    assert model_for("policy:", context) is policy
    assert model_for("policy:policy", context) is policy
    assert model_for("policy:reference", context) is reference
    assert model_for("reference:", context) is reference


def test_another_address_is_resolved_without_a_context():
    model = resolve("world:arithmetic")
    assert model_for("world:arithmetic", Context()) is model


def test_a_model_is_itself(policy):
    assert model_for(policy, Context()) is policy
    assert model_reads(policy) == frozenset()


@pytest.mark.parametrize(("address", "name"), [("policy:", "policy"), ("policy:reference", "reference"), ("teacher:", "teacher")])
def test_a_missing_model_is_named_with_what_there_is(policy, address, name):
    with pytest.raises(ModelError, match=rf"'{address}' and Context.models has no '{name}' \(it has: none\): pass it"):
        model_for(address, Context())
    with pytest.raises(ModelError, match=r"\(it has: other\)"):
        model_for(address, Context(models={"other": policy}))


def test_what_a_reward_reads_follows_from_the_address():
    assert model_reads("policy:") == {"models.policy"}
    assert model_reads("policy:reference") == {"models.reference"}
    assert model_reads("hf:some/model") == frozenset()
    assert context_name("openai:gpt-x") is None


@pytest.mark.parametrize("address", ["policy", ":policy", ""])
def test_an_address_without_a_scheme_is_explained(address):
    with pytest.raises(SpecError, match="expected SCHEME:NAME"):
        context_name(address)


def test_without_a_context_policy_is_not_resolved():
    with pytest.raises(SpecError, match=r"'policy:' is a model of the call's context.*Context\(models="):
        resolve("policy:")
