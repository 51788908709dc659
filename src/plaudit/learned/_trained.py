"""Training a reward model from data: features once, a split by prompt, a head, and what it gets on what it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError, ModelError
from plaudit.learned._features import Features
from plaudit.learned._fit import Epoch, Fitted, Targets, Training, fit_head, used_rows
from plaudit.learned._head import Head, score_rows
from plaudit.learned._measure import Measured, components, lengths_of, measure
from plaudit.learned._rows import FeatureRows
from plaudit.learned._training_set import TrainingSet, split_groups
from plaudit.types import Context, Sample

if TYPE_CHECKING:
    from plaudit.learned._reward_model import RewardModel

_FEW_GROUPS = 10
_TESTED = 4  # responses whose scores a saved model remembers
_LONGEST_TESTED = 2_000


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Where the scores of the training responses lie: mean, standard deviation, lowest."""

    mean: float
    std: float
    lowest: float


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained head with everything that its scores depend on, in memory; `save` makes it a folder.

    Fields:
        features: the frozen backbone.
        backbone: address and version of the model behind the features.
        head, weights: the network.
        widths: numbers that the features give of a token, and of a whole response.
        training: how it was trained.
        scale: where the scores of the training responses lie.
        measured: on held-out prompts: the reward model first, then what rules without it get; empty without a held-out part.
        history: the epochs.
        best_epoch: the one that the weights are from.
        notes: rows left out or standing out, by name.
        counts: of ``"responses"``, ``"pairs"``, ``"prompts"``, and the prompts of the parts ``"training"``, ``"validation"``,
            ``"held_out"``.
        data: digest of the training data.
        probes: responses with their scores, for the self-test of a saved model.
        seconds: by part: ``"features"``, ``"fit"``, ``"measure"``.
    """

    features: Features
    backbone: tuple[str, str]
    head: Head
    weights: Mapping[str, NDArray[np.float32]]
    widths: tuple[int, int]
    training: Training
    scale: ScoreScale
    measured: tuple[Measured, ...]
    history: tuple[Epoch, ...]
    best_epoch: int
    notes: Mapping[str, int]
    counts: Mapping[str, int]
    data: str
    probes: tuple[tuple[Sample, float], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def scores(self, samples: Sequence[Sample], context: Context | None = None) -> NDArray[np.float64]:
        """(n,) raw scores of responses that are not empty; higher is better."""
        return score_rows(self.head, self.weights, self.features.rows(samples, context))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> RewardModel:
        """Write the model folder and open it as a reward.

        Raises RunError when the folder holds something else, or holds a reward model and `overwrite` is false.
        """
        from plaudit.learned._folder import write_folder
        from plaudit.learned._reward_model import RewardModel

        write_folder(self, Path(folder), overwrite)
        return RewardModel(Path(folder))


def train(
    data: TrainingSet,
    features: Features,
    head: Head | None = None,
    training: Training | None = None,
    *,
    validation: float = 0.1,
    holdout: float = 0.2,
    baselines: bool = True,
    context: Context | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedModel:
    """Train a head on frozen features.

    The data is split by prompt into a part that the head learns from, one for early stopping and one that is held out and
    measured once at the end. Where there are few prompts (pairs without prompts, say), responses that are connected by pairs
    stay together instead.

    Args:
        data: from `training_pairs` or `training_labels`.
        features: the frozen backbone.
        head: None = an MLP.
        training: loss, epochs, seed, …; None = the defaults: Bradley-Terry on the pairs.
        validation, holdout: shares of the prompts; 0 = no such part.
        baselines: measure a prompt-blind head and "longer wins" on the held-out part too.
        context: where ``policy:`` is found.
        on_epoch: called after every pass over the data.

    Raises DataError when there is nothing to learn from, ModelError for a backbone without a version, SpecError when head and
    features do not fit.

    >>> from plaudit.learned import TextFeatures, training_pairs
    >>> from plaudit.types import Pair
    >>> words = [("Red", "Ten"), ("Red", "Two"), ("Blue", "Ten"), ("Blue", "Two")]
    >>> data = training_pairs([Pair("Say a colour.", f"{colour} it is", f"{number} it is") for colour, number in words])
    >>> model = train(data, TextFeatures(), Head("linear"), validation=0, holdout=0)
    >>> good, bad = model.scores([Sample("Say a colour.", "Red it is"), Sample("Say a colour.", "Ten it is")])
    >>> bool(good > bad)
    True
    """
    head, training = head or Head(), training or Training()
    for name, share in (("validation", validation), ("holdout", holdout)):
        if not 0 <= share < 0.9:
            raise DataError(f"{name} is {share}: expected a share of the prompts, from 0 to 0.9")
    backbone = backbone_of(features, context)
    began = time.perf_counter()
    rows = features.rows(data.samples, context)
    seconds = {"features": time.perf_counter() - began}
    parts = _parts(data, validation, holdout, training.seed)
    began = time.perf_counter()
    fitted = fit_head(head, rows, parts["training"], parts["validation"], training, on_epoch)
    seconds["fit"] = time.perf_counter() - began
    began = time.perf_counter()
    scores = score_rows(head, fitted.weights, rows)
    measured = _measured(scores, rows, data, parts, features, head, training, baselines, context)
    seconds["measure"] = time.perf_counter() - began
    used = scores[used_rows(parts["training"], training.loss)]
    used = used[np.isfinite(used)]
    scale = ScoreScale(float(used.mean()), float(used.std()), float(used.min()))
    counts = {"responses": len(data.samples), "pairs": len(data.targets.pairs), "prompts": data.prompts}
    counts |= {name: len(np.unique(part.group[used_rows(part, training.loss)])) for name, part in parts.items()}
    return TrainedModel(
        features, backbone, head, fitted.weights, rows.widths, training, scale,
        measured, fitted.history, fitted.best, data.notes, counts, data.digest, _probes(data.samples, scores), seconds,
    )  # fmt: skip


def backbone_of(features: Features, context: Context | None = None) -> tuple[str, str]:
    """Address and version of the model behind features. Raises ModelError when it has no version: nothing could be checked."""
    model = features.model_of(context)
    if model.version is None:
        raise ModelError(f"{model.address} has no version: a head on its features could never be checked; give a model with one")
    return model.address, model.version


def _parts(data: TrainingSet, validation: float, holdout: float, seed: int) -> dict[str, Targets]:
    group = data.targets.group
    if len(np.unique(group)) < _FEW_GROUPS:
        group = components(data.targets.pairs, len(group))
    valid, held = split_groups(group, (validation, holdout), seed)
    named = {"training": ~valid & ~held, "validation": valid, "held_out": held}
    return {name: data.targets.within(mask) for name, mask in named.items()}


def _measured(
    scores: NDArray[np.float64],
    rows: FeatureRows,
    data: TrainingSet,
    parts: Mapping[str, Targets],
    features: Features,
    head: Head,
    training: Training,
    baselines: bool,
    context: Context | None,
) -> tuple[Measured, ...]:
    held = parts["held_out"]
    own = measure("reward model", scores, held) if np.isfinite(held.labels).any() else None
    if own is None:
        return ()
    if not baselines:
        return (own,)
    blind_rows = features.blind_rows(rows, data.samples, context)
    blind: Fitted = fit_head(head, blind_rows, parts["training"], parts["validation"], training)
    others = [
        measure("longer wins", lengths_of(data.samples), held),
        measure("prompt-blind", score_rows(head, blind.weights, blind_rows), held),
    ]
    return (own, *(found for found in others if found is not None))


def _probes(samples: Sequence[Sample], scores: NDArray[np.float64]) -> tuple[tuple[Sample, float], ...]:
    """A few short responses with their scores, as far apart as they come."""
    short = [k for k, sample in enumerate(samples) if np.isfinite(scores[k]) and _size(sample) <= _LONGEST_TESTED]
    short = short or [int(np.nanargmin([_size(sample) for sample in samples]))]
    order = sorted(short, key=lambda k: scores[k])
    places = np.unique(np.linspace(0, len(order) - 1, _TESTED).round().astype(int))
    return tuple((_bare(samples[order[p]]), float(scores[order[p]])) for p in places)


def _size(sample: Sample) -> int:
    return len(str(sample.prompt)) + len(str(sample.response))


def _bare(sample: Sample) -> Sample:
    return replace(Sample(sample.prompt, sample.response), tokens=sample.tokens)
