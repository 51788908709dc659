"""The preference world: texts, real embeddings, a gold reward that is known, and annotators who see it through noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError
from plaudit.reward import Reward
from plaudit.reward import reward as reward_of
from plaudit.text import message_text
from plaudit.types import Encoder, Pair, Sample
from plaudit.worlds._preference_gold import GoldKind, PreferenceGold
from plaudit.worlds._preference_pairs import Annotator, Judgement, draw_annotators, draw_judgement
from plaudit.worlds._preference_texts import PROMPTS, PreferencePrompt, draw_prompt, draw_traits, write_response
from plaudit.worlds._problem import Split

_CALIBRATION_PROMPTS, _CALIBRATION_RESPONSES = 160, 4
_BATCH = 256
_LARGEST_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class PreferenceWorld:
    """Preference data whose truth is known: generated texts, their embeddings, and a gold reward drawn by seed.

    The gold reward is a function of the embeddings of prompt and response (see `PreferenceGold`), scaled so that responses to
    one prompt have variance 1. An annotator prefers a response with probability ``sigmoid(rationality * (gold difference))``, by
    the gold of the population that it belongs to; that is Bradley-Terry, with Rao and Kupper's ties.

    Everything follows from the fields, the encoder's version, and the arguments of a call. Training and evaluation never share a
    prompt. The first call encodes 800 texts to fit and scale the gold.

    Fields:
        encoder: real sentence embeddings, or any other (n, d) vectors that follow from the text alone.
        seed: draws the gold reward and the annotators.
        reward: "linear", "nonlinear", or "populations", users with ideal points of their own.
        n_populations: number of populations; above 1 with "populations" only.
        shares: of the populations among the annotators; None = equal.
        rationality: of the annotators; 0 = they toss coins, 2 = about four in five pairs go to the better response.
        noise: share of labels that are turned around afterwards, whatever the pair; in [0, 0.5].
        ties: gold difference, in units of 1 / rationality, below which a pair often is a tie; 0 = none.
        n_annotators: how many there are.
        reliability: the lowest and highest share of pairs that an annotator looks at; it tosses a coin on the others.
        length_confound: from 0 to 1: in training the longer of two responses is the chosen one in (1 + this) / 2 of the pairs,
            in evaluation in half of them, by selection of pairs; None = no selection.
        rank: number of directions of the response embeddings that the gold can see.

    Raises DataError for a field outside these.

    Source: "Rank Analysis of Incomplete Block Designs: I. The Method of Paired Comparisons" (Bradley-Terry); "Ties in
    Paired-Comparison Experiments: A Generalization of the Bradley-Terry Model"; the ideal points after "Nonmetric individual
    differences multidimensional scaling" (unfolding).

    >>> class Letters:
    ...     address, version = "letters:", "1"
    ...     def encode(self, texts):
    ...         return np.array([[text.count(c) / (1 + len(text)) for c in "etaoinsrh"] for text in texts], np.float32)
    >>> world = PreferenceWorld(Letters(), seed=1, noise=0.1)
    >>> pair = world.pairs(3)[0]
    >>> pair.annotator, pair.meta["flipped"], pair.meta["gold_margin"] > 0
    ('annotator-9', False, True)
    """

    encoder: Encoder
    seed: int = 0
    reward: GoldKind = "linear"
    n_populations: int = 1
    shares: tuple[float, ...] | None = None
    rationality: float = 2.0
    noise: float = 0.0
    ties: float = 0.0
    n_annotators: int = 10
    reliability: tuple[float, float] = (1.0, 1.0)
    length_confound: float | None = None
    rank: int = 16

    def __post_init__(self) -> None:
        low, high = self.reliability
        confound = self.length_confound
        rules = [
            ("reward", self.reward in ("linear", "nonlinear", "populations"), "'linear', 'nonlinear' or 'populations'"),
            ("n_populations", self.n_populations >= 1, "at least 1"),
            ("n_populations", self.n_populations == 1 or self.reward == "populations", "1, unless reward is 'populations'"),
            ("n_populations", self.n_populations <= self.rank, "at most rank: each population has a direction of its own"),
            ("rationality", 0 <= self.rationality < np.inf, "a number from 0 on"),
            ("noise", 0 <= self.noise <= 0.5, "from 0 to 0.5"),
            ("ties", 0 <= self.ties < np.inf, "a number from 0 on"),
            ("n_annotators", self.n_annotators >= self.n_populations, "at least one for each population"),
            ("reliability", 0 <= low <= high <= 1, "(lowest, highest) from 0 to 1"),
            ("length_confound", confound is None or 0 <= confound <= 1, "None, or from 0 to 1"),
            ("rank", self.rank >= 1, "at least 1"),
        ]
        for name, holds, expected in rules:
            if not holds:
                raise DataError(f"PreferenceWorld: {name} is {getattr(self, name)!r}: expected {expected}")
        given = self.shares
        if given is not None and (len(given) != self.n_populations or min(given) <= 0 or not np.isfinite(given).all()):
            raise DataError(f"PreferenceWorld: shares is {given}: expected {self.n_populations} positive numbers")

    @cached_property
    def gold_reward(self) -> PreferenceGold:
        """The truth: a function of embeddings."""
        random = Random(f"preference calibration {self.seed}")
        samples = [
            sample
            for group in range(_CALIBRATION_PROMPTS)
            for sample in _group(random, draw_prompt(random, "training"), _CALIBRATION_RESPONSES, str(group))
        ]
        prompts, responses = self.embed(samples)
        k = _CALIBRATION_RESPONSES
        shares = np.array(self.shares or [1.0] * self.n_populations)
        return PreferenceGold.draw(
            self.reward,
            prompts[::k],
            responses.reshape(-1, k, responses.shape[1]),
            shares / shares.sum(),
            self.rank,
            np.random.default_rng([self.seed, 0]),
        )

    @cached_property
    def annotators(self) -> tuple[Annotator, ...]:
        """Who judges pairs, each of one population; every population has one at least."""
        return draw_annotators(self.n_annotators, self.shares or (1.0,) * self.n_populations, self.reliability, self.seed)

    def responses(self, n_prompts: int, n_per_prompt: int = 4, split: Split = "training", seed: int = 0) -> list[Sample]:
        """n_prompts x n_per_prompt samples, groups of different prompts one after the other; traits are in `Sample.meta`.

        Raises DataError for a negative number, or for more prompts than a tenth of the world.
        """
        prompts = self._prompts(n_prompts, split, seed)
        if n_per_prompt < 0:
            raise DataError(f"n_per_prompt is {n_per_prompt}: expected a number from 0 on")
        samples = []
        for k, prompt in enumerate(prompts):
            random = Random(f"preference responses {split} {seed} {k}")
            samples += _group(random, prompt, n_per_prompt, f"{split}-{seed}-{k}")
        return samples

    def embed(self, samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, d) embeddings of the prompts and (n, d) of the responses, as the gold reads them."""
        prompts = [_text(sample.prompt) for sample in samples]
        responses = [_text(sample.response) for sample in samples]
        vectors = np.asarray(self.encoder.encode(prompts + responses), np.float64)
        return vectors[: len(samples)], vectors[len(samples) :]

    def gold(self, samples: Sequence[Sample], population: int | None = None) -> NDArray[np.float64]:
        """(n,) gold reward of any texts for one population; None = the mean over all, weighted by their shares.

        Raises DataError for a population that there is not.
        """
        if population is not None and population not in range(self.n_populations):
            raise DataError(f"population is {population!r}: this world has {self.n_populations}, counted from 0")
        if not samples:
            return np.empty(0)
        values = self.gold_reward.values(*self.embed(samples))
        return values @ self.gold_reward.shares if population is None else values[:, population]

    def as_reward(self, population: int | None = None) -> Reward:
        """The gold as a reward on the inline lane; it has no spec, because the world is an object."""

        def preference_gold(prompt: Any, response: Any) -> list[float]:
            samples = [Sample(p, r) for p, r in zip(prompt, response, strict=True)]
            return [float(value) for value in self.gold(samples, population)]

        return reward_of(preference_gold, batch=True, range=(-np.inf, np.inf))

    def pairs(self, n: int, split: Split = "training", seed: int = 0) -> list[Pair]:
        """n labelled comparisons of two responses to one prompt; prompts may come again, texts hardly ever.

        `Pair.margin` is the strength that the annotator felt (None where it tossed a coin), `Pair.meta` holds `gold_margin`
        (chosen minus rejected, for the annotator's population), `probability` (that this one is chosen by an annotator who looks,
        before ties and noise), `flipped` (turned around by `noise`), `looked` (no coin), `population`, `reliability`, `topic`,
        and the traits of both, as `chosen_words` and `rejected_words`.

        Raises DataError for a negative number, and where selection by length finds too few pairs.
        """
        if n < 0:
            raise DataError(f"n is {n}: expected a number from 0 on")
        _check_split(split)
        random = Random(f"preference pairs {split} {seed} {self.seed}")
        if self.length_confound is None:
            return self._judged(random, n, split)
        longer = round(n * (1 + (self.length_confound if split == "training" else 0.0)) / 2)
        return self._selected(random, n, longer, split)

    def _judged(self, random: Random, n: int, split: Split) -> list[Pair]:
        """n pairs with the labels that annotators give them."""
        if n == 0:
            return []
        samples = [sample for k in range(n) for sample in _group(random, draw_prompt(random, split), 2, str(k))]
        values = self.gold_reward.values(*self.embed(samples)).reshape(n, 2, -1)
        pairs = []
        for k in range(n):
            annotator = random.choice(self.annotators)
            difference = float(values[k, 0, annotator.population] - values[k, 1, annotator.population])
            judged = draw_judgement(random, difference, annotator, self.rationality, self.ties, self.noise)
            pairs.append(_pair(samples[2 * k], samples[2 * k + 1], difference, judged, annotator))
        return pairs

    def _selected(self, random: Random, n: int, longer: int, split: Split) -> list[Pair]:
        """n pairs of which `longer` choose the longer response; ties and pairs of equal length keep their natural share."""
        quota = {True: longer, False: n - longer}
        chosen: list[Pair] = []
        for _ in range(20 + 20 * n // _BATCH):
            for pair in self._judged(random, _BATCH, split):
                words = pair.meta["chosen_words"] - pair.meta["rejected_words"]
                # A pair that says nothing about length takes a place of either kind, of the kind with more left.
                side = max(quota, key=lambda side: quota[side]) if pair.tie or words == 0 else words > 0
                if quota[side]:
                    quota[side] -= 1
                    chosen.append(pair)
            if not any(quota.values()):
                random.shuffle(chosen)
                return chosen
        raise DataError(
            f"length_confound={self.length_confound}: too few pairs of one kind were found: {quota[True]} pairs that choose the "
            f"longer response and {quota[False]} that choose the shorter one are missing"
        )

    def _prompts(self, n: int, split: Split, seed: int) -> list[PreferencePrompt]:
        if not 0 <= n <= PROMPTS * _LARGEST_SHARE:
            raise DataError(f"n_prompts is {n:,}: expected 0 to {int(PROMPTS * _LARGEST_SHARE):,}")
        _check_split(split)
        random = Random(f"preference prompts {split} {seed}")
        found: dict[str, PreferencePrompt] = {}
        while len(found) < n:
            prompt = draw_prompt(random, split)
            found.setdefault(prompt.text, prompt)
        return list(found.values())


def _check_split(split: str) -> None:
    if split not in ("training", "evaluation"):
        raise DataError(f"split is {split!r}: expected 'training' or 'evaluation'")


def _group(random: Random, prompt: PreferencePrompt, count: int, name: str) -> list[Sample]:
    """Responses to one prompt, all different."""
    found: dict[str, Sample] = {}
    while len(found) < count:
        text, columns = write_response(random, prompt, draw_traits(random))
        meta = dict(columns)
        found.setdefault(text, Sample(prompt.text, text, id=f"{name}/{len(found)}", group=name, group_size=count, meta=meta))
    return list(found.values())


def _pair(a: Sample, b: Sample, difference: float, judged: Judgement, annotator: Annotator) -> Pair:
    chosen, rejected, sign = (a, b, 1.0) if judged.first else (b, a, -1.0)
    meta = {
        "gold_margin": sign * difference,
        "probability": judged.probability if judged.first else 1 - judged.probability,
        "flipped": judged.flipped,
        "looked": judged.looked,
        "population": annotator.population,
        "reliability": annotator.reliability,
        **{f"chosen_{name}": value for name, value in chosen.meta.items() if name != "topic"},
        **{f"rejected_{name}": value for name, value in rejected.meta.items() if name != "topic"},
        "topic": a.meta["topic"],
    }
    return Pair(a.prompt, chosen.response, rejected.response, judged.margin, judged.tie, annotator.id, meta)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(message_text(message) for message in content)
