"""Contextual bandits whose best arms, regrets and policy gradients are known exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import DataError
from plaudit.worlds._tabular_mdp import Floats, check_probabilities

Feedback = Literal["correct", "flipped", "random"]


@dataclass(frozen=True, eq=False)
class ContextualBandit:
    """C contexts and K arms with known mean rewards.

    Fields:
        means: (C, K) mean reward of an arm.
        noise: "gaussian" around the mean, or "bernoulli" (means are then probabilities, rewards 0 or 1).
        std: standard deviation of Gaussian noise; without a meaning for Bernoulli rewards.
        contexts: (C,) probabilities of the contexts; empty = equal.

    Raises DataError for arrays of another shape, and numbers that are not finite or no probabilities where they should be.

    >>> bandit = ContextualBandit([[0.2, 0.8], [0.5, 0.1]], noise="bernoulli")
    >>> bandit.best_arms.tolist(), bandit.regret(np.array([0, 0])).tolist()
    ([1, 0], [0.6000000000000001, 0.0])
    """

    means: Floats
    noise: Literal["gaussian", "bernoulli"] = "gaussian"
    std: float = 1.0
    contexts: Floats = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        means = np.array(self.means, np.float64)
        if means.ndim != 2 or 0 in means.shape or not np.isfinite(means).all():
            raise DataError(f"ContextualBandit: means has the shape {means.shape}: expected (contexts, arms) finite numbers")
        contexts = np.array(self.contexts if len(self.contexts) else np.full(len(means), 1 / len(means)), np.float64)
        if contexts.shape != (len(means),):
            raise DataError(f"ContextualBandit: contexts has the shape {contexts.shape}: expected {(len(means),)}")
        check_probabilities("ContextualBandit: contexts", contexts)
        if self.noise not in ("gaussian", "bernoulli"):
            raise DataError(f"ContextualBandit: noise is {self.noise!r}: expected 'gaussian' or 'bernoulli'")
        if self.noise == "bernoulli" and (means.min() < 0 or means.max() > 1):
            raise DataError("ContextualBandit: means of Bernoulli rewards are probabilities: expected numbers from 0 to 1")
        if not 0 <= self.std < np.inf:
            raise DataError(f"ContextualBandit: std is {self.std}: expected a number from 0 on")
        for name, array in (("means", means), ("contexts", contexts)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def best_arms(self) -> NDArray[np.int64]:
        """(C,) the first of the best arms of each context."""
        first: NDArray[np.int64] = self.means.argmax(axis=1)
        return first

    def value(self, policy: ArrayLike) -> float:
        """The expected reward of a policy: (C,) arms, or (C, K) probabilities."""
        return float(self.contexts @ (self._probabilities(policy) * self.means).sum(axis=1))

    def regret(self, policy: ArrayLike) -> Floats:
        """(C,) how much less than the best arm a policy expects in each context, from 0 on."""
        lost: Floats = self.means.max(axis=1) - (self._probabilities(policy) * self.means).sum(axis=1)
        return np.maximum(lost, 0.0)

    def gradient(self, logits: ArrayLike) -> Floats:
        """(C, K) exact gradient of the value of ``softmax(logits)``: context probability x arm probability x advantage.

        Source: "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning".

        >>> ContextualBandit([[0.0, 1.0]]).gradient([[0.0, 0.0]]).tolist()
        [[-0.25, 0.25]]
        """
        chances = self.softmax(logits)
        advantage = self.means - (chances * self.means).sum(axis=1, keepdims=True)
        gradient: Floats = self.contexts[:, None] * chances * advantage
        return gradient

    def softmax(self, logits: ArrayLike) -> Floats:
        """(C, K) the policy of (C, K) logits; raises DataError for another shape or numbers that are not finite."""
        given = np.asarray(logits, np.float64)
        if given.shape != self.means.shape or not np.isfinite(given).all():
            raise DataError(f"logits: expected {self.means.shape} finite numbers, got the shape {given.shape}")
        weights = np.exp(given - given.max(axis=1, keepdims=True))
        chances: Floats = weights / weights.sum(axis=1, keepdims=True)
        return chances

    def draw_contexts(self, n: int, seed: int = 0) -> NDArray[np.int64]:
        """(n,) contexts by their probabilities."""
        return np.random.default_rng([seed, 3]).choice(len(self.means), n, p=self.contexts)

    def pull(
        self, contexts: ArrayLike, arms: ArrayLike, seed: int = 0, *, feedback: Feedback = "correct", flip_rate: float = 0.0
    ) -> Floats:
        """(n,) rewards of n arms, each in its context.

        Args:
            contexts, arms: (n,) whole numbers.
            seed: of the noise.
            feedback: "correct"; "flipped": worst is best (1 - reward for Bernoulli, reflected at the context's mean over arms for
                Gaussian rewards); "random": the reward of an arm drawn at random, whatever was pulled.
            flip_rate: share of the rewards that are flipped on top, in [0, 1].

        Raises DataError for contexts or arms that there are not, or another feedback.

        Source: "Spurious Rewards: Rethinking Training Signals in RLVR" (random and wrong feedback as controls).

        >>> bandit = ContextualBandit([[0.0, 1.0]], std=0.0)
        >>> bandit.pull([0, 0], [0, 1]).tolist(), bandit.pull([0, 0], [0, 1], feedback="flipped").tolist()
        ([0.0, 1.0], [1.0, 0.0])
        """
        rows, picked = (np.atleast_1d(np.asarray(each)) for each in (contexts, arms))
        for name, each, size in (("contexts", rows, len(self.means)), ("arms", picked, self.means.shape[1])):
            whole = np.issubdtype(each.dtype, np.integer)
            if each.shape != rows.shape or (each.size and (not whole or each.min() < 0 or each.max() >= size)):
                raise DataError(f"pull: {name}: expected whole numbers from 0 to {size - 1}, one for each context")
        if feedback not in ("correct", "flipped", "random") or not 0 <= flip_rate <= 1:
            raise DataError(
                f"pull: feedback={feedback!r}, flip_rate={flip_rate}: expected correct, flipped or random, and 0 to 1"
            )
        random = np.random.default_rng([seed, 4])
        noise, flips, other = (
            random.random(len(rows)),
            random.random(len(rows)),
            random.integers(self.means.shape[1], size=len(rows)),
        )
        if feedback == "random":
            picked = other
        rows, picked = rows.astype(np.intp), picked.astype(np.intp)
        flipped = (flips < flip_rate) ^ (feedback == "flipped")
        if self.noise == "bernoulli":
            rewards = (noise < self.means[rows, picked]).astype(np.float64)
            mirror = np.ones(len(rows))
        else:
            rewards = self.means[rows, picked] + self.std * random.standard_normal(len(rows))
            mirror = 2 * self.means.mean(axis=1)[rows]
        given: Floats = np.where(flipped, mirror - rewards, rewards)
        return given

    def _probabilities(self, policy: ArrayLike) -> Floats:
        given = np.asarray(policy)
        count, arms = self.means.shape
        if given.shape == (count,) and np.issubdtype(given.dtype, np.integer) and given.min() >= 0 and given.max() < arms:
            certain: Floats = np.eye(arms)[given]
            return certain
        if given.shape != self.means.shape:
            raise DataError(
                f"policy: expected ({count},) arms below {arms} or {self.means.shape} probabilities, got {given.shape}"
            )
        chances = given.astype(np.float64)
        check_probabilities("policy", chances)
        return chances


def random_bandit(seed: int, contexts: int = 10, arms: int = 5, **options: Any) -> ContextualBandit:
    """A bandit with independent means: standard normal ones, or uniform probabilities with ``noise="bernoulli"``.

    `options` are fields of `ContextualBandit`.

    >>> random_bandit(0, contexts=2, arms=3).means.shape
    (2, 3)
    """
    if contexts < 1 or arms < 1:
        raise DataError(f"random_bandit: contexts={contexts}, arms={arms}: expected at least one of each")
    random = np.random.default_rng([seed, 5])
    bernoulli = options.get("noise") == "bernoulli"
    means = random.random((contexts, arms)) if bernoulli else random.standard_normal((contexts, arms))
    return ContextualBandit(means, **options)
