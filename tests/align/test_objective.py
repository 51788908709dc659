"""The clipped objective: its value, its gradient against a slow literal reading, and what clipping takes away."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.align import clipped_objective, token_logprobs, token_weights

PROMPTS = [np.array([5, 6, 7]), np.array([4]), np.array([9, 3, 8, 2, 5])]
RESPONSES = [np.array([10, 11, 1]), np.array([7, 7, 7, 7, 1]), np.array([1])]


def one_by_one(model, prompt, response, temperature=1.0):
    """Log-probability of each token, from a text of its own that ends right before it."""
    found = []
    for t in range(len(response)):
        read = torch.tensor([[*prompt.tolist(), *response[:t].tolist()]])
        logits = model(read).logits[0, -1] / temperature
        found.append(torch.log_softmax(logits, -1)[int(response[t])])
    return found


def gradients(model, loss):
    model.zero_grad()
    torch.autograd.backward(loss)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_of_a_padded_batch_equal_each_token_read_alone(tiny_model, temperature):
    batch = token_logprobs(tiny_model, PROMPTS, RESPONSES, temperature)
    alone = torch.stack([x for p, r in zip(PROMPTS, RESPONSES, strict=True) for x in one_by_one(tiny_model, p, r, temperature)])
    torch.testing.assert_close(batch.double(), alone, rtol=1e-5, atol=1e-6)


def test_logprobs_do_not_depend_on_longer_neighbours(tiny_model):
    alone = token_logprobs(tiny_model, PROMPTS[:1], RESPONSES[:1])
    padded = token_logprobs(tiny_model, [PROMPTS[0], np.arange(2, 20)], [RESPONSES[0], np.arange(2, 20)])
    torch.testing.assert_close(alone, padded[: len(alone)], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
@pytest.mark.parametrize("kl_coefficient", [0.0, 0.3])
def test_gradient_equals_the_formula_read_literally(tiny_model, aggregation, kl_coefficient):
    advantages = [1.5, -0.7, 0.4]
    random = np.random.default_rng(1)
    with torch.no_grad():
        now = token_logprobs(tiny_model, PROMPTS, RESPONSES)
    old = now + torch.tensor(random.normal(0, 0.25, len(now)), dtype=torch.float32)
    reference = now + torch.tensor(random.normal(0, 0.5, len(now)), dtype=torch.float32)
    lengths = np.array([len(r) for r in RESPONSES])

    weights = torch.tensor(np.repeat(token_weights(lengths, aggregation, max_tokens=9), lengths))
    spread = torch.tensor(np.repeat(advantages, lengths))
    found = clipped_objective(
        token_logprobs(tiny_model, PROMPTS, RESPONSES), old, spread, weights,
        clip_low=0.2, clip_high=0.3, reference_logprobs=reference, kl_coefficient=kl_coefficient,
    )  # fmt: skip
    fast = gradients(tiny_model, found.loss)

    per_answer, at = [], 0
    for prompt, response, advantage in zip(PROMPTS, RESPONSES, advantages, strict=True):
        losses = []
        for logprob in one_by_one(tiny_model, prompt, response):
            ratio = torch.exp(logprob - old[at].double())
            at_limit = min(max(float(ratio.detach()), 0.8), 1.3)
            free, limited = float(ratio.detach()) * advantage, at_limit * advantage
            # A clipped token is a constant.
            loss = -(ratio * advantage) if free <= limited else torch.tensor(-limited)
            difference = reference[at].double() - logprob
            losses.append(loss + kl_coefficient * (torch.exp(difference) - difference - 1))
            at += 1
        per_answer.append(losses)
    total = sum(len(losses) for losses in per_answer)
    literal = {
        "token": lambda: sum(x for losses in per_answer for x in losses) / total,
        "sequence": lambda: sum(sum(losses) / len(losses) for losses in per_answer) / len(per_answer),
        "constant": lambda: sum(x for losses in per_answer for x in losses) / (len(per_answer) * 9),
    }[aggregation]()
    assert float(found.loss.detach()) == pytest.approx(float(literal.detach()), rel=1e-4)
    slow = gradients(tiny_model, literal)
    assert 0 < int(found.clipped.sum()) < len(found.clipped), "or clipping is not tested here"
    for name, gradient in slow.items():
        torch.testing.assert_close(fast[name], gradient, rtol=1e-3, atol=1e-6)


@given(
    old=st.floats(-5, -0.1), shift=st.floats(-1, 1), advantage=st.sampled_from([-2.0, -1.0, 1.0, 3.0]),
    low=st.sampled_from([None, 0.1, 0.3]), high=st.sampled_from([None, 0.1, 0.4]),
)  # fmt: skip
def test_the_clipped_side_and_only_it_has_no_gradient(old, shift, advantage, low, high):
    new = torch.tensor([old + shift], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    before = torch.tensor([old], dtype=torch.float64)
    found = clipped_objective(new, before, advantage * one, one, clip_low=low, clip_high=high)
    torch.autograd.backward(found.loss)
    ratio = math.exp(float(new.detach() - before))
    beyond = (advantage > 0 and high is not None and ratio > 1 + high) or (advantage < 0 and low is not None and ratio < 1 - low)
    assert bool(found.clipped) == beyond
    if beyond:
        assert float(new.grad) == 0.0
    else:
        assert float(new.grad) == pytest.approx(-ratio * advantage)


@given(st.lists(st.tuples(st.floats(-20, 0), st.floats(-20, 0)), min_size=1, max_size=20))
def test_kl_estimate_is_never_negative_and_zero_where_nothing_moved(pairs):
    new, reference = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    zero = torch.zeros_like(new)
    found = clipped_objective(new, new, zero, zero, reference_logprobs=reference, kl_coefficient=1.0)
    assert bool((found.kl >= 0).all())
    assert bool((found.kl[new == reference] == 0).all())
    same = clipped_objective(new, new, zero, zero, reference_logprobs=new, kl_coefficient=1.0)
    assert float(same.kl.sum()) == 0.0


def test_kl_estimate_is_right_on_average():
    random = np.random.default_rng(0)
    policy, reference = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])
    drawn = random.choice(3, 200_000, p=policy)
    new, other = (torch.tensor(np.log(p[drawn])) for p in (policy, reference))
    zero = torch.zeros_like(new)
    found = clipped_objective(new, new, zero, zero, reference_logprobs=other, kl_coefficient=1.0)
    assert float(found.kl.mean()) == pytest.approx(float((policy * np.log(policy / reference)).sum()), rel=0.02)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_weights_of_all_tokens(lengths):
    found = np.array(lengths)
    assert (token_weights(found, "token") * found).sum() == pytest.approx(1.0)
    assert (token_weights(found, "sequence") * found).tolist() == pytest.approx([1 / len(lengths)] * len(lengths))
    assert token_weights(found, "constant", 100).tolist() == pytest.approx([1 / (100 * len(lengths))] * len(lengths))
