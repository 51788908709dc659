"""From preference pairs or labelled responses to what a head is trained on; what cannot be used is counted and said."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.learned._fit import Targets, targets_of_pairs
from plaudit.text import final_text
from plaudit.types import Pair, Sample

MOST_PAIRS_OF_A_PROMPT = 256
"""Pairs that are made out of the labelled responses to one prompt; of more, as many are drawn."""

SAID = {
    "tie": "ties (neither response is better)",
    "same_text": "pairs whose two responses are the same text",
    "empty_response": "with an empty response, which is never read",
    "contradictory": "pairs that stand there the other way round as well",
    "no_label": "responses without a label (missing or NaN)",
    "repeated": "responses that stand there more than once, counted once",
    "without_contrast": "prompts whose responses all have the same label",
}
"""What each note of a training set counts."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Distinct responses with pairs or labels on them.

    Fields:
        samples: n responses, each text of a prompt once.
        targets: pairs and labels, by place in `samples`.
        kind: ``"pairs"`` or ``"labels"``: what the data was.
        notes: how many rows were left out or stand out, by the words of `SAID`.
        digest: 32 hex digits of the texts and targets.
    """

    samples: tuple[Sample, ...]
    targets: Targets
    kind: str
    notes: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return len(np.unique(self.targets.group))


def training_pairs(pairs: Iterable[Pair], *, margins: bool = False) -> TrainingSet:
    """Preference pairs as a training set.

    Ties, pairs of one text and pairs with an empty response are left out and counted; pairs that contradict another are kept
    and counted.

    Args:
        pairs: rows of data.
        margins: train the better response to be ahead by `Pair.margin`, which must be in units of the score.

    Raises DataError when no pair is left, and for a margin that is negative.

    >>> data = training_pairs([Pair("2+2?", "4", "5"), Pair("2+2?", "4", "4"), Pair("3+3?", "6", "7", tie=True)])
    >>> data.targets.pairs.tolist(), dict(data.notes)
    ([[0, 1]], {'same_text': 1, 'tie': 1})
    """
    texts, notes = _Distinct(), Counter[str]()
    places: list[tuple[int, int]] = []
    ahead: list[float] = []
    for row in pairs:
        chosen, rejected = Sample(row.prompt, row.chosen), Sample(row.prompt, row.rejected)
        read = [final_text(sample) or "" for sample in (chosen, rejected)]
        fault = (
            "tie"
            if row.tie
            else "same_text"
            if read[0] == read[1]
            else ""
            if all(text.strip() for text in read)
            else "empty_response"
        )
        if fault:
            notes[fault] += 1
            continue
        if margins and (row.margin or 0.0) < 0:
            raise DataError(f"a pair has the margin {row.margin}: expected by how much the chosen response is better, at least 0")
        places.append((texts.place(chosen), texts.place(rejected)))
        ahead.append(row.margin or 0.0 if margins else 0.0)
    if not places:
        raise DataError(f"no pair is left to train on{_listed(notes)}")
    known = set(places)
    if contradictory := sum((worse, better) in known for better, worse in places):
        notes["contradictory"] = contradictory
    array = np.array(places, dtype=np.int64)
    targets = targets_of_pairs(array, len(texts.samples), margin=np.array(ahead), group=texts.groups())
    return _with_digest(TrainingSet(tuple(texts.samples), targets, "pairs", dict(notes)))


def training_labels(samples: Iterable[Sample], labels: Iterable[float | bool | None], *, seed: int = 0) -> TrainingSet:
    """Labelled responses as a training set; pairs are made within each prompt, of higher and lower labels.

    A text that a prompt's responses repeat counts once, with the mean of its labels: best-of-N picks among texts, and copies
    would only teach which text a policy likes to repeat. Responses without a label and empty ones are left out and counted.

    Args:
        samples: responses.
        labels: one for each, a number in [0, 1] or a truth value; None and NaN = not labelled.
        seed: which pairs are drawn where a prompt has more than `MOST_PAIRS_OF_A_PROMPT`.

    Raises DataError for a label outside [0, 1], when no label is left, or when all labels are the same.

    >>> data = training_labels([Sample("2+2?", "4"), Sample("2+2?", "5"), Sample("2+2?", "4")], [1, 0, True])
    >>> data.targets.labels.tolist(), data.targets.pairs.tolist(), dict(data.notes)
    ([1.0, 0.0], [[0, 1]], {'repeated': 1})
    """
    texts, notes = _Distinct(), Counter[str]()
    given: dict[int, list[float]] = defaultdict(list)
    for row, (sample, label) in enumerate(zip(samples, labels, strict=True)):
        if label is None or (isinstance(label, float) and math.isnan(label)):
            notes["no_label"] += 1
            continue
        if not isinstance(label, (bool, int, float, np.bool_, np.number)) or not 0 <= label <= 1:
            raise DataError(f"row {row} has the label {label!r}: expected a number from 0 (bad) to 1 (good), true or false")
        if not (final_text(sample) or "").strip():
            notes["empty_response"] += 1
            continue
        place = texts.place(sample)
        notes["repeated"] += place in given
        given[place].append(float(label))
    if not given:
        raise DataError(f"no labelled response is left to train on{_listed(notes)}")
    values = np.array([np.mean(given[k]) for k in range(len(given))], dtype=np.float32)
    if values.min() == values.max():
        raise DataError(f"all {len(values):,} responses have the label {values[0]:g}: a reward model needs better and worse ones")
    group = texts.groups()
    pairs, weight, without = _pairs_within(values, group, np.random.default_rng([seed, 2]))
    notes["without_contrast"] = without
    targets = Targets(pairs, np.zeros(len(pairs), np.float32), weight, values, np.ones(len(values), np.float32), group)
    return _with_digest(TrainingSet(tuple(texts.samples), targets, "labels", {k: v for k, v in notes.items() if v}))


def _pairs_within(
    labels: NDArray[np.float32], group: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
    """Pairs (better, worse) of each group, weights that give every prompt the same say, and groups that have no pair."""
    found, weights, without = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        better, worse = np.nonzero(labels[members][:, None] > labels[members][None])
        if not len(better):
            without += 1
            continue
        if len(better) > MOST_PAIRS_OF_A_PROMPT:
            kept = np.sort(random.choice(len(better), MOST_PAIRS_OF_A_PROMPT, replace=False))
            better, worse = better[kept], worse[kept]
        found.append(np.stack([members[better], members[worse]], 1).astype(np.int64))
        weights.append(np.full(len(better), 1.0 / len(better), np.float32))
    pairs, weight = np.concatenate(found), np.concatenate(weights)
    # A mean weight of 1, so that a learning rate means the same whatever the groups' sizes.
    return pairs, weight / weight.mean() if len(weight) else weight, without


class _Distinct:
    """Responses by prompt and text, each with the number of its prompt."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._places: dict[tuple[str, str], int] = {}
        self._group: list[int] = []
        self._groups: dict[str, int] = {}
        self._alone = 0

    def place(self, sample: Sample) -> int:
        prompt, response = _canonical(sample.prompt), _canonical(sample.response)
        known = self._places.get((prompt, response))
        if known is not None:
            return known
        self._places[prompt, response] = len(self.samples)
        self._group.append(self._groups.setdefault(sample.group or prompt, len(self._groups)))
        self.samples.append(sample)
        return len(self.samples) - 1

    def groups(self) -> NDArray[np.int64]:
        return np.array(self._group, dtype=np.int64)


def _canonical(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps([dict(m) for m in value], sort_keys=True, default=str)


def _with_digest(data: TrainingSet) -> TrainingSet:
    digest = hashlib.blake2b(digest_size=16)
    for sample in data.samples:
        digest.update(json.dumps([_canonical(sample.prompt), _canonical(sample.response)]).encode())
    for array in (data.targets.pairs, data.targets.margin, data.targets.labels, data.targets.group):
        digest.update(np.ascontiguousarray(array).tobytes())
    return replace(data, digest=digest.hexdigest())


def _listed(notes: Mapping[str, int]) -> str:
    said = ", ".join(f"{count:,} {SAID[name]}" for name, count in notes.items() if count)
    return f": there are {said}" if said else ": there are no rows"


def split_groups(group: NDArray[np.int64], shares: Sequence[float], seed: int) -> list[NDArray[np.bool_]]:
    """Masks (n,) of disjoint parts that hold about these shares of the groups; what is left belongs to none.

    >>> first, second = split_groups(np.arange(10), (0.3, 0.2), seed=0)
    >>> int(first.sum()), int(second.sum()), bool((first & second).any())
    (3, 2, False)
    """
    names, inverse = np.unique(group, return_inverse=True)
    place = np.random.default_rng([seed, 3]).permutation(len(names))[inverse]
    masks, begin = [], 0
    for share in shares:
        end = begin + round(share * len(names))
        masks.append((place >= begin) & (place < end))
        begin = end
    return masks
