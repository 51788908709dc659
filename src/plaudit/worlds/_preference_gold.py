"""The gold reward of the preference world: known functions of the embeddings of a prompt and a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import DataError

Floats = NDArray[np.float64]
GoldKind = Literal["linear", "nonlinear", "populations"]

_RELEVANCE = 0.5
"""Weight of the likeness of prompt and response, against 1 for the direction of a linear gold."""
_RADIUS = 2.0
"""Distance of a population's ideal point from the typical response, in standard deviations of one direction."""


@dataclass(frozen=True)
class PreferenceFeatures:
    """What a gold reward reads: whitened response embeddings, and the likeness of prompt and response.

    Whitened by the variation among responses to the same prompt, in its `rank` strongest directions, so that topics do not drown
    what one response does better than another. The map is symmetric, so it does not depend on the order or sign of eigenvectors.

    Fields:
        center: (d,) mean response embedding.
        whitener: (d, d) of the given rank.
        relevance: mean and standard deviation of the inner product of prompt and response.
    """

    center: Floats
    whitener: Floats
    relevance: tuple[float, float]

    @classmethod
    def fit(cls, prompts: Floats, responses: Floats, rank: int) -> PreferenceFeatures:
        """From (p, d) prompt embeddings and (p, k, d) embeddings of k responses to each; k at least 2.

        Raises DataError when the responses' embeddings hardly differ.
        """
        deviations = (responses - responses.mean(axis=1, keepdims=True)).reshape(-1, responses.shape[2])
        freedom = responses.shape[0] * (responses.shape[1] - 1)
        values, vectors = np.linalg.eigh(deviations.T @ deviations / freedom)
        strong = values[-rank:] > 1e-9
        if not strong.any():
            raise DataError("the encoder gives all responses to a prompt the same vector: nothing could be preferred")
        scale, axes = values[-rank:][strong] ** -0.5, vectors[:, -rank:][:, strong]
        alike = np.einsum("pd,pkd->pk", prompts, responses)
        spread = float(np.sqrt(((alike - alike.mean(axis=1, keepdims=True)) ** 2).sum() / freedom))
        return cls(
            responses.mean(axis=(0, 1)), axes @ (scale[:, None] * axes.T), (float(alike.mean()), spread if spread > 0 else 1.0)
        )

    def of(self, prompts: Floats, responses: Floats) -> Floats:
        """(n, d + 1) features of n pairs of embeddings; the last one is the standardised relevance."""
        mean, spread = self.relevance
        relevance = (np.einsum("nd,nd->n", prompts, responses) - mean) / spread
        return np.column_stack([(responses - self.center) @ self.whitener, relevance])

    def direction(self, random: np.random.Generator) -> Floats:
        """(d,) a random direction of unit length among those that the whitened responses vary in."""
        values, vectors = np.linalg.eigh(self.whitener)
        axes = vectors[:, values > values.max() * 1e-9]
        projected: Floats = axes @ (axes.T @ random.standard_normal(len(self.center)))
        return projected / np.linalg.norm(projected)


@dataclass(frozen=True)
class PreferenceGold:
    """Gold rewards of P populations, each with variance 1 among responses to one prompt.

    Fields:
        kind: ``"linear"``: a direction of the whitened response, plus relevance. ``"nonlinear"``: products of directions, of a
            direction and relevance, a wave, plus relevance. ``"populations"``: minus the squared distance from each
            population's ideal point in a space that they share, plus relevance.
        features: what they read.
        directions: (P, m, d) the m directions that each population's reward looks along; the ideal points lie on the first.
        offset, scale: (P,) what makes them centred and of unit variance.
        shares: (P,) shares of the populations among users; they add up to 1.
    """

    kind: GoldKind
    features: PreferenceFeatures
    directions: Floats
    offset: Floats
    scale: Floats
    shares: Floats

    @classmethod
    def draw(
        cls, kind: GoldKind, prompts: Floats, responses: Floats, shares: Floats, rank: int, random: np.random.Generator
    ) -> PreferenceGold:
        """A random gold, centred and scaled on (p, d) prompts and (p, k, d) responses."""
        features = PreferenceFeatures.fit(prompts, responses, rank)
        directions = _directions(kind, features, len(shares), random)
        raw = cls(kind, features, directions, np.zeros(len(shares)), np.ones(len(shares)), shares)
        p, k, d = responses.shape
        values = raw.values(np.repeat(prompts, k, axis=0), responses.reshape(p * k, d)).reshape(p, k, -1)
        within = values - values.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt((within**2).sum(axis=(0, 1)) / (p * (k - 1)))
        return cls(kind, features, directions, -values.mean(axis=(0, 1)) * scale, scale, shares)

    def values(self, prompts: Floats, responses: Floats) -> Floats:
        """(n, P) gold reward of n pairs of embeddings for each population."""
        found = self.features.of(prompts, responses)
        raw = np.column_stack([self._raw(found[:, :-1], found[:, -1], axes) for axes in self.directions])
        return raw * self.scale + self.offset

    def _raw(self, response: Floats, relevance: Floats, axes: Floats) -> Floats:
        """(n,) before centring and scaling; `axes` is (m, d)."""
        if self.kind == "populations":
            place = response @ axes.T
            place[:, 0] -= _RADIUS
            away: Floats = (place**2).sum(axis=1)
            return -away / (2 * _RADIUS) + _RELEVANCE * relevance
        along: Floats = response @ axes.T
        if self.kind == "linear":
            return along[:, 0] + _RELEVANCE * relevance
        products = along[:, 0] * along[:, 1] + along[:, 2] * relevance
        return products + 1.5 * np.sin(2 * along[:, 3]) + _RELEVANCE * relevance


def _directions(kind: GoldKind, features: PreferenceFeatures, count: int, random: np.random.Generator) -> Floats:
    """(P, m, d) what each population's reward looks along."""
    if kind != "populations":
        looks = {"linear": 1, "nonlinear": 4}[kind]
        return np.array([[features.direction(random) for _ in range(looks)] for _ in range(count)])
    # One small space for all, in which each has an axis of its own: distances in all directions would be nearly the same for
    # everybody, because most of a distance is then how unusual the response is.
    axes = np.array([features.direction(random) for _ in range(max(3, count))])
    basis = np.linalg.qr(axes.T)[0].T
    return np.array([np.roll(basis, -k, axis=0) for k in range(count)])
