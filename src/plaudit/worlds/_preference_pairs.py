"""Annotators of the preference world, and what one says of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from random import Random


@dataclass(frozen=True)
class Annotator:
    """Somebody who judges pairs.

    Fields:
        id: as in `Pair.annotator`.
        population: whose gold it judges by.
        reliability: share of the pairs that it looks at; it tosses a coin on the others.
    """

    id: str
    population: int
    reliability: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an annotator says of a pair (a, b).

    Fields:
        first: a is chosen (of a tie: comes first).
        tie: it found them equal.
        margin: how strongly it felt, from 0 on, in units of the gold; None = it tossed a coin.
        probability: that a is chosen when somebody looks and nothing is turned around or tied.
        flipped: the label was turned around afterwards.
        looked: it was no coin.
    """

    first: bool
    tie: bool
    margin: float | None
    probability: float
    flipped: bool
    looked: bool


def draw_annotators(n: int, shares: Sequence[float], reliability: tuple[float, float], seed: int) -> tuple[Annotator, ...]:
    """n annotators; the first ones stand one for each population, the others follow the shares.

    >>> [annotator.population for annotator in draw_annotators(3, (1.0, 1.0, 1.0), (1.0, 1.0), 0)]
    [0, 1, 2]
    """
    random = Random(f"preference annotators {seed}")
    counts = [1] * len(shares)
    for _ in range(n - len(shares)):
        # The population that is furthest below its share gets the next one.
        counts[min(range(len(shares)), key=lambda k: counts[k] / shares[k])] += 1
    populations = list(range(len(shares))) + [k for k, count in enumerate(counts) for _ in range(count - 1)]
    return tuple(Annotator(f"annotator-{k}", p, random.uniform(*reliability)) for k, p in enumerate(populations))


def draw_judgement(
    random: Random, difference: float, annotator: Annotator, rationality: float, ties: float, noise: float
) -> Judgement:
    """What an annotator says of a pair whose gold rewards, in its population, differ by `difference` (a minus b).

    What it feels is ``rationality * difference`` plus logistic noise: positive with probability sigmoid, and a tie within
    `ties` of 0.

    >>> judged = draw_judgement(Random(0), 1.0, Annotator("x", 0, 1.0), rationality=2.0, ties=0.0, noise=0.0)
    >>> judged.first, round(judged.probability, 3)
    (True, 0.881)
    """
    drift = rationality * difference
    probability = 1 / (1 + exp(-drift)) if drift > 0 else exp(drift) / (1 + exp(drift))
    uniform = random.random() or 0.5
    looked = random.random() < annotator.reliability
    flipped = random.random() < noise
    felt = (drift if looked else 0.0) + log(uniform / (1 - uniform))
    tie = abs(felt) <= ties and ties > 0
    margin = abs(felt) / rationality if looked and rationality > 0 else None
    return Judgement((felt > 0) != flipped, tie, margin, probability, flipped and not tie, looked)
