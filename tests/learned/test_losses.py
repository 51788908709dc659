"""The losses are the formulas that they are named after."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.learned import bradley_terry, cross_entropy

numbers = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


@given(numbers, st.floats(-5, 5))
def test_bradley_terry_depends_on_differences_alone(scores, shift):
    a, b = torch.tensor(scores, dtype=torch.float64), torch.tensor(scores[::-1], dtype=torch.float64)
    assert float(bradley_terry(a + shift, b + shift)) == pytest.approx(float(bradley_terry(a, b)))


@given(numbers)
def test_bradley_terry_is_cross_entropy_of_the_difference(scores):
    a, b = torch.tensor(scores, dtype=torch.float64), torch.zeros(len(scores), dtype=torch.float64)
    assert float(bradley_terry(a, b)) == pytest.approx(float(cross_entropy(a, torch.ones_like(a))))


def test_a_margin_asks_for_more_distance():
    ahead, behind = torch.tensor([2.0]), torch.tensor([0.0])
    assert float(bradley_terry(ahead, behind, margin=torch.tensor([2.0]))) == pytest.approx(np.log(2))
    assert float(bradley_terry(ahead, behind)) < float(bradley_terry(ahead, behind, margin=torch.tensor([1.0])))


def test_a_weight_of_two_counts_like_a_row_that_stands_there_twice():
    a, b = torch.tensor([0.3, -1.0]), torch.tensor([0.1, 0.5])
    twice = bradley_terry(torch.cat([a, a[:1]]), torch.cat([b, b[:1]]))
    assert float(bradley_terry(a, b, weight=torch.tensor([2.0, 1.0]))) == pytest.approx(float(twice))


def test_weights_of_zero_give_a_loss_of_zero_and_no_nan():
    scores = torch.tensor([3.0], requires_grad=True)
    loss = cross_entropy(scores, torch.tensor([0.0]), weight=torch.tensor([0.0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(scores.grad[0]) == 0


def test_soft_labels_are_best_met_by_their_own_logit():
    label = torch.tensor([0.8])
    best = torch.logit(label)
    assert float(cross_entropy(best, label)) < min(float(cross_entropy(best + d, label)) for d in (-0.5, 0.5))
