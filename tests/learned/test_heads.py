"""Heads score each response by itself, and the gated head's tokens add up to its score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError, SpecError
from plaudit.learned import HEADS, FeatureRows, Head, Training, concatenate_rows, fit_head, score_rows, targets_of_pairs
from plaudit.learned._head import contributions, first_weights, inputs_of, tensors


def some_rows(lengths, seed=0, d=5, p=3):
    random = np.random.default_rng(seed)
    lengths = np.array(lengths, dtype=np.int64)
    tokens = random.standard_normal((int(lengths.sum()), d)).astype(np.float32)
    return FeatureRows(tokens, lengths, random.standard_normal((len(lengths), p)).astype(np.float32))


def some_weights(head, rows, seed=0):
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(w.shape).astype(np.float32) for name, w in first_weights(head, rows, seed).items()}


@pytest.mark.parametrize("kind", HEADS)
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_a_score_depends_neither_on_the_other_responses_nor_on_their_order(kind, lengths, seed):
    rows, head = some_rows(lengths, seed), Head(kind)
    weights = some_weights(head, rows, seed)
    together = score_rows(head, weights, rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert score_rows(head, weights, rows.take(order)) == pytest.approx(together[order], rel=1e-4, abs=1e-4)
    alone = [score_rows(head, weights, rows.take([k]))[0] for k in range(len(rows))]
    assert alone == pytest.approx(list(together), rel=1e-4, abs=1e-4)


def test_the_gated_score_is_the_gated_mean_of_the_formula():
    rows, head = some_rows([4, 2]), Head("gated_linear")
    w = some_weights(head, rows)
    x = (rows.tokens - w["mean"]) * w["scale"]
    gate, reward = (x @ w["out.weight"].T + w["out.bias"]).T
    gate = 1 / (1 + np.exp(-gate))
    expected = [(gate[a:b] * reward[a:b]).sum() / gate[a:b].sum() for a, b in ((0, 4), (4, 6))]
    assert score_rows(head, w, rows) == pytest.approx(expected, rel=1e-4)


def test_what_the_tokens_add_sums_to_the_gated_score():
    rows, head = some_rows([7, 1, 3]), Head("gated_linear", 4)
    weights = some_weights(head, rows)
    parts = contributions(head, tensors(weights), inputs_of(head, rows))
    assert [len(part) for part in parts] == [7, 1, 3]
    assert [part.sum() for part in parts] == pytest.approx(list(score_rows(head, weights, rows)), rel=1e-4)


def test_the_soft_minimum_is_near_the_worst_token_and_never_above_it():
    rows, head = some_rows([6]), Head("soft_minimum")
    weights = some_weights(head, rows)
    weights["out.weight"] *= 50
    worst = (((rows.tokens - weights["mean"]) * weights["scale"]) @ weights["out.weight"].T + weights["out.bias"]).min()
    score = score_rows(head, weights, rows)[0]
    assert worst - np.log(6) - 1e-2 <= score <= worst + 1e-2


def test_a_response_without_tokens_has_no_score_under_a_head_on_tokens():
    rows, head = some_rows([2, 0, 3]), Head("gated_linear")
    scores = score_rows(head, some_weights(head, rows), rows)
    assert np.isnan(scores).tolist() == [False, True, False]


def test_a_head_on_tokens_refuses_features_of_whole_responses():
    with pytest.raises(SpecError, match="use linear or mlp"):
        Head("gated_linear").shapes((0, 384))


@pytest.mark.parametrize("arguments", [("transformer",), ("mlp", 0), ("linear", 4), ("mlp", 10**6), ("mlp", 2.5)])
def test_a_head_that_cannot_be_is_refused(arguments):
    with pytest.raises(SpecError):
        Head(*arguments)


def test_rows_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="lengths"):
        FeatureRows(np.zeros((3, 2), np.float32), np.array([1, 1]), np.zeros((2, 0), np.float32))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_rows_put_together_can_be_taken_apart(lengths):
    rows = some_rows(lengths)
    parts = [rows.take([k]) for k in range(len(rows))]
    again = concatenate_rows(parts)
    assert np.array_equal(again.tokens, rows.tokens)
    assert np.array_equal(again.vectors(), rows.vectors())


def separable(n=300, d=6, seed=0, noise=0.0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((2 * n, d)).astype(np.float32)
    gold = x[:, 0] - 0.5 * x[:, 1] + noise * random.standard_normal(2 * n)
    pairs = np.arange(2 * n).reshape(n, 2)
    pairs = np.where((gold[pairs[:, :1]] < gold[pairs[:, 1:]]), pairs[:, ::-1], pairs)
    return FeatureRows.of_vectors(x), targets_of_pairs(pairs, 2 * n), x[:, 0] - 0.5 * x[:, 1]


@pytest.mark.parametrize("loss", ["bradley_terry", "cross_entropy"])
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_head_finds_the_reward_behind_pairs(kind, loss):
    rows, targets, gold = separable()
    fitted = fit_head(Head(kind), rows, targets, settings=Training(loss=loss, epochs=15))
    assert np.corrcoef(score_rows(Head(kind), fitted.weights, rows), gold)[0, 1] > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    rows, targets, _ = separable()
    one, same, other = (fit_head(Head("mlp"), rows, targets, settings=Training(epochs=3, seed=s)).weights for s in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["in.weight"], other["in.weight"])


def test_training_stops_early_and_keeps_the_weights_of_the_best_epoch():
    rows, targets, _ = separable(n=60, d=40, noise=4.0)
    valid = np.arange(120) < 40
    settings_ = Training(epochs=60, patience=3, learning_rate=0.02)
    fitted = fit_head(Head("mlp"), rows, targets.within(~valid), targets.within(valid), settings_)
    losses = [epoch.validation_loss for epoch in fitted.history]
    assert len(losses) == fitted.best + 3 < 60
    assert losses[fitted.best - 1] == min(losses)


def test_a_number_that_never_changes_is_left_out_instead_of_blown_up():
    rows, targets, _ = separable()
    constant = np.concatenate([rows.whole, np.full((len(rows), 1), 7.0, np.float32)], axis=1)
    rows = FeatureRows.of_vectors(constant)
    fitted = fit_head(Head("linear"), rows, targets, settings=Training(epochs=3))
    moved = FeatureRows.of_vectors(constant + np.eye(1, 7, 6, dtype=np.float32))
    assert score_rows(Head("linear"), fitted.weights, moved) == pytest.approx(score_rows(Head("linear"), fitted.weights, rows))


def test_features_that_are_no_numbers_end_the_training_with_a_sentence():
    rows, targets, _ = separable(n=20)
    broken = FeatureRows.of_vectors(np.where(np.arange(6) == 2, np.nan, rows.whole))
    with pytest.raises(DataError, match="loss is nan"):
        fit_head(Head("linear"), broken, targets)


def test_nothing_to_train_on_is_said():
    rows, targets, _ = separable(n=20)
    with pytest.raises(DataError, match="no pair"):
        fit_head(Head("linear"), rows, targets.within(np.zeros(40, bool)))
