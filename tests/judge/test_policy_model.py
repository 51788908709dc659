"""The judge may be a model of the context: the policy itself, its reference, a teacher that lives in this process."""

import pytest

from plaudit.errors import ModelError
from plaudit.judge import Pointwise
from plaudit.lm import LocalModel
from plaudit.reward import from_spec
from plaudit.types import Completion, Context, Sample
from plaudit.worlds import load_policy

GRADED = '{"reasoning": "It is right.", "score": 7}'


@pytest.fixture
def reference(monkeypatch):
    """A live local model whose words are set, because no model that small grades."""
    policy = load_policy()
    model = LocalModel(policy.model, policy.tokenizer, address="policy:reference", version="start")
    monkeypatch.setattr(
        model, "_generate", lambda conversations, n, *_: [[Completion(GRADED, finish="stop")] * n] * len(conversations)
    )
    return model


def test_a_judge_at_policy_reference_is_the_contexts_model_of_that_name(reference):
    judge = from_spec({"use": "judge.pointwise", "model": "policy:reference"})
    assert judge.facts.reads == {"prompt", "response", "models.reference"}
    verdict = judge.score([Sample("2+2?", "4")], Context(models={"reference": reference}))[0]
    assert verdict.value == pytest.approx(6 / 9)
    assert verdict.details["judge"] == "start"


def test_a_judge_that_the_context_lacks_is_named():
    with pytest.raises(ModelError, match=r"'policy:reference' and Context.models has no 'reference'"):
        Pointwise("policy:reference").score([Sample("a", "b"), Sample("a", "c")])


def test_a_policy_whose_context_is_too_short_for_the_question_refuses_it():
    policy = load_policy()
    model = LocalModel(policy.model, policy.tokenizer)
    verdict = Pointwise("policy:").score([Sample("7", "7")], Context(models={"policy": model}))[0]
    assert (verdict.value, verdict.reason) == (None, "judge_rejected")
    assert "the model's context of 256 has no room" in verdict.explanation
