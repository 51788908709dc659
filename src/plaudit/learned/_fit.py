"""Training a head on features that lie in memory: minibatches of AdamW, early stopping, the same result for the same seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError, SpecError
from plaudit.learned._head import Head, apply_head, first_weights, inputs_of, normalised, score_rows, take_inputs, tensors
from plaudit.learned._losses import LOSSES, Loss, bradley_terry, cross_entropy
from plaudit.learned._rows import FeatureRows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Targets:
    """What n responses are trained towards: pairs, or labels.

    Fields:
        pairs: (m, 2) int64 places of the better and of the worse response; m may be 0.
        margin: (m,) float32; by how much the better one should be ahead.
        pair_weight: (m,) float32.
        labels: (n,) float32 in [0, 1]; NaN = none.
        weight: (n,) float32, of the labels.
        group: (n,) int64; responses to one prompt share it, and stay on one side of every split.
    """

    pairs: NDArray[np.int64]
    margin: NDArray[np.float32]
    pair_weight: NDArray[np.float32]
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]
    group: NDArray[np.int64]

    def within(self, keep: NDArray[np.bool_]) -> Targets:
        """Only the pairs whose two responses are kept, and the labels of those that are; places stay as they are."""
        both = keep[self.pairs].all(1)
        labels = np.where(keep, self.labels, np.float32(np.nan))
        return Targets(self.pairs[both], self.margin[both], self.pair_weight[both], labels, self.weight, self.group)

    def count(self, loss: Loss) -> int:
        """What the loss is taken over: pairs, or labelled responses."""
        return len(self.pairs) if loss == "bradley_terry" else int(np.isfinite(self.labels).sum())


STEPS = 16
"""Least steps of a pass over the data."""


@dataclass(frozen=True, slots=True)
class Training:
    """How a head is trained.

    Fields:
        loss: ``"bradley_terry"`` on pairs, or ``"cross_entropy"`` on labels.
        epochs: most passes over the data.
        patience: passes without a better validation loss after which it stops.
        learning_rate: of AdamW, at the beginning; it falls along half a cosine. None = 0.03 / sqrt(width of what the head
            reads), so that a step moves a score by about as much whatever the width.
        weight_decay: of AdamW.
        batch: most pairs or responses of one step; a pass over few data has at least `STEPS` steps of at least 16.
        seed: of first weights, splits and the order of the data.

    Raises SpecError for values outside their ranges.
    """

    loss: Loss = "bradley_terry"
    epochs: int = 40
    patience: int = 8
    learning_rate: float | None = None
    weight_decay: float = 0.01
    batch: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise SpecError(f"loss is {self.loss!r}: expected one of {', '.join(LOSSES)}")
        for name, least in (("epochs", 1), ("patience", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise SpecError(f"{name} is {value!r}: expected a whole number of at least {least}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 10:
            raise SpecError(f"learning_rate is {self.learning_rate!r}: expected a small positive number")
        if not 0 <= self.weight_decay < 1000:
            raise SpecError(f"weight_decay is {self.weight_decay!r}: expected a number from 0")

    def rate_for(self, width: int) -> float:
        """The learning rate at the beginning, for a head that reads `width` numbers."""
        return 0.03 / width**0.5 if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, slots=True)
class Epoch:
    """How training stood after one pass.

    Fields:
        number, of: from 1, and the most there can be.
        loss: mean over the pass's steps.
        validation_loss, validation_accuracy: on the validation part; NaN without one.
        rows_per_second: responses read.
    """

    number: int
    of: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    rows_per_second: float


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trained weights with their history.

    Fields:
        weights: by name, float32; those of the best epoch by validation loss (of the last one without a validation part).
        history: every epoch.
        best: number of the epoch that the weights are from.
    """

    weights: dict[str, NDArray[np.float32]]
    history: tuple[Epoch, ...]
    best: int


def fit_head(
    head: Head,
    rows: FeatureRows,
    training: Targets,
    validation: Targets | None = None,
    settings: Training | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """Train a head on frozen features.

    Args:
        head: which network.
        rows: features of n responses.
        training: pairs or labels of those that it learns from; normalisation is taken from these rows alone.
        validation: of others, for early stopping; None = it trains for all epochs.
        settings: None = the defaults.
        on_epoch: called after every pass; what it raises ends the training.

    Raises DataError when there is nothing to learn from, SpecError when head and features do not fit.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((400, 8)).astype(np.float32)
    >>> pairs = np.arange(400).reshape(200, 2)
    >>> pairs = np.where((x[pairs[:, :1], 0] < x[pairs[:, 1:], 0]), pairs[:, ::-1], pairs)
    >>> fitted = fit_head(Head("linear"), FeatureRows.of_vectors(x), targets_of_pairs(pairs, 400))
    >>> scores = score_rows(Head("linear"), fitted.weights, FeatureRows.of_vectors(x))
    >>> bool(np.mean(scores[pairs[:, 0]] > scores[pairs[:, 1]]) > 0.95)
    True
    """

    settings = settings or Training()
    if not training.count(settings.loss):
        what = "pair" if settings.loss == "bradley_terry" else "labelled response"
        raise DataError(f"there is no {what} to train on")
    steps = _Steps(head, rows, training, settings)
    best: dict[str, NDArray[np.float32]] = {}
    best_loss, best_number, history = np.inf, 0, list[Epoch]()
    for number in range(1, settings.epochs + 1):
        epoch = steps.run(number)
        if validation is not None and validation.count(settings.loss):
            epoch = _validated(epoch, head, steps.weights, rows, validation, settings.loss)
        history.append(epoch)
        if not epoch.validation_loss >= best_loss:  # NaN, without a validation part, is always the best so far
            best_loss = epoch.validation_loss if np.isfinite(epoch.validation_loss) else np.inf
            best, best_number = {name: tensor.detach().numpy().copy() for name, tensor in steps.weights.items()}, number
        if on_epoch is not None:
            on_epoch(epoch)
        if number - best_number >= settings.patience:
            break
    return Fitted(best, tuple(history), best_number)


class _Steps:
    """The state of one training: weights, optimizer, inputs that were normalised once."""

    def __init__(self, head: Head, rows: FeatureRows, training: Targets, settings: Training) -> None:
        import torch

        self.head, self.training, self.settings = head, training, settings
        self.weights = tensors(first_weights(head, rows.take(used_rows(training, settings.loss)), settings.seed))
        learnt = [tensor.requires_grad_() for name, tensor in self.weights.items() if name not in ("mean", "scale")]
        self.rate = settings.rate_for(len(self.weights["mean"]))
        self.optimizer = torch.optim.AdamW(learnt, lr=self.rate, weight_decay=settings.weight_decay)
        self.inputs, self.starts, self.lengths = normalised(inputs_of(head, rows), self.weights), rows.starts, rows.lengths
        self.random = np.random.default_rng([settings.seed, 1])

    def run(self, number: int) -> Epoch:
        """One pass over the data. Raises DataError when the loss is no number any more."""
        began, losses, read = time.perf_counter(), list[float](), 0
        share = 0.5 * (1 + np.cos(np.pi * (number - 1) / self.settings.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * max(share, 0.02)
        for batch in _batches(self.training, self.settings, self.random):
            loss, n = self._loss(batch)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(float(loss.detach()))
            read += n
        seconds, mean = max(time.perf_counter() - began, 1e-9), float(np.mean(losses))
        if not np.isfinite(mean):
            raise DataError(f"the loss is {mean} after epoch {number}: the features hold NaN or very large values")
        return Epoch(number, self.settings.epochs, mean, np.nan, np.nan, read / seconds)

    def _loss(self, batch: NDArray[np.int64]) -> tuple[Tensor, int]:
        """The loss of a batch and how many responses were read for it."""
        import torch

        targets = self.training
        if self.settings.loss == "cross_entropy":
            labels, weight = torch.from_numpy(targets.labels[batch]), torch.from_numpy(targets.weight[batch])
            return cross_entropy(self._scores(batch), labels, weight), len(batch)
        rows, place = np.unique(targets.pairs[batch], return_inverse=True)
        place = place.reshape(-1, 2)
        scores = self._scores(rows)
        chosen, rejected = scores[torch.from_numpy(place[:, 0])], scores[torch.from_numpy(place[:, 1])]
        margin, weight = torch.from_numpy(targets.margin[batch]), torch.from_numpy(targets.pair_weight[batch])
        return bradley_terry(chosen, rejected, margin, weight), len(rows)

    def _scores(self, rows: NDArray[np.int64]) -> Tensor:
        return apply_head(self.head, self.weights, take_inputs(self.inputs, self.starts, self.lengths, rows))


def targets_of_pairs(
    pairs: NDArray[np.int64],
    n: int,
    margin: NDArray[np.floating] | None = None,
    weight: NDArray[np.floating] | None = None,
    group: NDArray[np.int64] | None = None,
) -> Targets:
    """Targets of n responses from (m, 2) places alone: chosen ones are labelled 1, rejected ones 0 (a mean where both)."""
    m = len(pairs)
    won, seen = np.bincount(pairs[:, 0], minlength=n), np.bincount(pairs.ravel(), minlength=n)
    labels = np.where(seen > 0, won / np.maximum(seen, 1), np.nan).astype(np.float32)
    return Targets(
        np.ascontiguousarray(pairs, dtype=np.int64),
        np.zeros(m, np.float32) if margin is None else np.asarray(margin, dtype=np.float32),
        np.ones(m, np.float32) if weight is None else np.asarray(weight, dtype=np.float32),
        labels,
        np.ones(n, np.float32),
        np.arange(n, dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64),
    )


def used_rows(targets: Targets, loss: Loss) -> NDArray[np.int64]:
    """The places of the responses that the loss reads, in order."""
    if loss == "bradley_terry":
        return np.unique(targets.pairs)
    return np.flatnonzero(np.isfinite(targets.labels)).astype(np.int64)


def pair_accuracy(scores: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m,) 1 where the better response scores more, 1/2 where both score the same.

    >>> pair_accuracy(np.array([1.0, 0.0, 1.0]), np.array([[0, 1], [1, 2], [0, 2]])).tolist()
    [1.0, 0.0, 0.5]
    """
    ahead = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    return np.where(ahead > 0, 1.0, np.where(ahead == 0, 0.5, 0.0))


def _batches(targets: Targets, settings: Training, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Places of pairs, or of labelled responses; pairs of one prompt come together, because they share responses."""
    if settings.loss == "cross_entropy":
        order = random.permutation(used_rows(targets, settings.loss))
    else:
        order = random.permutation(len(targets.pairs))
        place = random.permutation(int(targets.group.max()) + 1)
        order = order[np.argsort(place[targets.group[targets.pairs[order, 0]]], kind="stable")]
    size = min(settings.batch, max(16, -(-len(order) // STEPS)))
    for first in range(0, len(order), size):
        yield order[first : first + size]


def _validated(epoch: Epoch, head: Head, weights: dict[str, Tensor], rows: FeatureRows, targets: Targets, loss: Loss) -> Epoch:
    import torch

    used = used_rows(targets, loss)
    scores = np.full(len(rows), np.nan)
    scores[used] = score_rows(head, {name: tensor.detach().numpy() for name, tensor in weights.items()}, rows.take(used))
    values = torch.from_numpy(scores)
    if loss == "cross_entropy":
        labels = targets.labels[used]
        measured = cross_entropy(
            values[used], torch.from_numpy(labels.astype(np.float64)), torch.from_numpy(targets.weight[used].astype(np.float64))
        )
        accuracy = float(np.mean((scores[used] > 0) == (labels > 0.5)))
    else:
        chosen, rejected = values[targets.pairs[:, 0]], values[targets.pairs[:, 1]]
        measured = bradley_terry(chosen, rejected, torch.from_numpy(targets.margin), torch.from_numpy(targets.pair_weight))
        accuracy = float(pair_accuracy(scores, targets.pairs).mean())
    return replace(epoch, validation_loss=float(measured), validation_accuracy=accuracy)
