"""Does a more accurate reward make a better policy? Rewards of graded accuracy against what they make of a policy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.align._config import GrpoConfig
from plaudit.align._evaluate import answer_problems, evaluate_policy
from plaudit.align._grpo import grpo
from plaudit.align._problems import Problem
from plaudit.credit import group_advantage
from plaudit.errors import DataError
from plaudit.reward import Reward
from plaudit.stats import spearman
from plaudit.types import Context, Sample
from plaudit.worlds import Policy

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProbedReward:
    """What one reward was found to be, and to do.

    Fields:
        name: as it was given.
        accuracy: share of pairs of answers to one problem, of different gold, that it puts in gold's order; a tie is half.
        best_of_n: gold of the answer that it picks out of n, minus gold of an answer drawn blindly.
        policy_gain: gold of the policy that was trained on it, minus gold of the policy as given; NaN = not trained.
        group_std: mean standard deviation of its values among the answers to one problem.
        flat_groups: share of problems to whose answers it gives one value.
        kl: divergence of the trained policy from the given one, a token; NaN = not trained or not measured.
    """

    name: str
    accuracy: float
    best_of_n: float
    policy_gain: float
    group_std: float
    flat_groups: float
    kl: float


@dataclass(frozen=True, slots=True)
class QuadraticFit:
    """The parabola through gain over accuracy, by least squares.

    Fields:
        coefficients: of the square, the accuracy itself, and 1; NaN = there were fewer than three accuracies.
        argmax: the accuracy, within those that were measured, at which it is highest.
        turns_down: whether it falls before the highest accuracy that was measured.
    """

    coefficients: tuple[float, float, float]
    argmax: float
    turns_down: bool


@dataclass(frozen=True, slots=True)
class GainProbe:
    """The table of a probe and what follows from it.

    Fields:
        rows: a reward each, by rising accuracy.
        baseline: gold of an answer drawn blindly. ceiling: gold of the best of n by gold itself.
    """

    rows: tuple[ProbedReward, ...]
    baseline: float
    ceiling: float

    def column(self, name: str) -> Matrix:
        """(k,) one field of all rows."""
        return np.array([getattr(row, name) for row in self.rows], dtype=np.float64)

    def rank_correlation(self, gain: str = "best_of_n") -> float:
        """Spearman's correlation of accuracy and a gain, over the rows that have it; NaN = fewer than two or all alike."""
        accuracy, values = self._known(gain)
        return spearman(accuracy, values) if len(values) > 1 else float("nan")

    def fit(self, gain: str = "best_of_n") -> QuadraticFit:
        """The parabola through a gain over accuracy, over the rows that have it."""
        return quadratic_fit(*self._known(gain))

    def _known(self, gain: str) -> tuple[Matrix, Matrix]:
        values, accuracy = self.column(gain), self.column("accuracy")
        known = ~np.isnan(values) & ~np.isnan(accuracy)
        return accuracy[known], values[known]


def policy_gain_probe(
    policy: Policy,
    problems: Sequence[Problem | Sample],
    rewards: Mapping[str, Reward],
    gold: Reward,
    *,
    n: int = 8,
    config: GrpoConfig | None = None,
    training_problems: Sequence[Problem | Sample] | None = None,
    trained: Collection[str] | None = None,
    max_tokens: int | None = 96,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> GainProbe:
    """Measure rewards by their accuracy and by what they make of a policy: best of n, and a short training on each.

    Accuracy is measured on n answers to each problem, best of n on n others; all rewards see the same answers. Pick a reward by
    its gain: accuracy on pairs says little about the one answer that is picked, or about where training on it leads.

    Args:
        policy: it stays as it is; each training starts from a copy.
        problems: for all measurements.
        rewards: the candidates by name. Answers that one does not score count as its worst.
        gold: the truth; it must score every answer.
        n: answers to each problem.
        config: of the trainings; None = best of n alone.
        training_problems: for the trainings. `problems` must not be among them, or the gain is partly memory.
        trained: names of the rewards to train on; None = all of them.
        max_tokens: of an answer in the measurements.

    Raises DataError when gold leaves an answer unscored, or trainings are asked for without problems; KeyboardInterrupt when
    Ctrl-C ended a training.

    Source: "The Accuracy Paradox in RLHF: When Better Reward Models Don't Yield Better Language Models".

    >>> from plaudit.reward import reward
    >>> from plaudit.worlds import ArithmeticAnswer, arithmetic_problems, load_policy
    >>> short = reward(lambda response: -len(response), range=(-1e9, 0)).named("short")
    >>> problems = arithmetic_problems(30, split="evaluation")
    >>> probe = policy_gain_probe(load_policy(), problems, {"exact": ArithmeticAnswer(), "short": short}, ArithmeticAnswer(), n=4)
    >>> [row.name for row in probe.rows], probe.rows[1].accuracy
    (['short', 'exact'], 1.0)
    """
    if config is not None and training_problems is None:
        raise DataError("config asks for trainings, but training_problems is None: expected problems to train on")
    samples = answer_problems(policy, problems, 2 * n, max_tokens=max_tokens, seed=seed)
    truth = _matrix(gold, samples, 2 * n, seed)
    if np.isnan(truth).any():
        raise DataError(
            f"gold leaves {int(np.isnan(truth).sum()):,} of {truth.size:,} answers unscored: expected a value for each"
        )
    baseline = float(truth[:, n:].mean())
    rows = []
    for name, reward in rewards.items():
        if progress is not None:
            progress(name)
        values = _matrix(reward, samples, 2 * n, seed)
        gain, kl = float("nan"), float("nan")
        if config is not None and (trained is None or name in trained):
            assert training_problems is not None
            gain, kl = _trained_gain(policy, problems, training_problems, reward, gold, config, max_tokens, seed)
        groups = np.repeat(np.arange(len(values)), n)
        _, report = group_advantage(values[:, :n].ravel(), groups, "mean", ddof=0)
        rows.append(
            ProbedReward(
                name, pair_accuracy(values[:, :n], truth[:, :n]),
                float(gold_of_best(values[:, n:], truth[:, n:]).mean()) - baseline, gain,
                float(np.nanmean(report.std)) if report.scored.any() else float("nan"), report.flat_share, kl,
            )
        )  # fmt: skip
    rows.sort(key=lambda row: row.accuracy)
    return GainProbe(tuple(rows), baseline, float(truth[:, n:].max(axis=1).mean()))


def pair_accuracy(values: ArrayLike, truth: ArrayLike) -> float:
    """The share of pairs of answers to one problem that a reward puts in the truth's order; a tie is half.

    Args:
        values, truth: (p, n) of n answers to each of p problems; NaN in `values` counts as the worst.

    Only pairs of different truth count; NaN when there are none.

    >>> pair_accuracy([[0.9, 0.1, 0.5]], [[1.0, 0.0, 1.0]])
    1.0
    """
    found, right = _worst_for_nan(values), np.asarray(truth, dtype=np.float64)
    above = right[:, :, None] > right[:, None, :]
    order = np.sign(found[:, :, None] - found[:, None, :])
    pairs = int(above.sum())
    return float((above * (order + 1) / 2).sum() / pairs) if pairs else float("nan")


def gold_of_best(values: ArrayLike, truth: ArrayLike) -> Matrix:
    """(p,) the truth of the answer with the highest reward, out of n to each of p problems; of equals, their mean.

    Args:
        values, truth: (p, n); NaN in `values` counts as the worst.

    >>> gold_of_best([[0.2, 0.9, 0.9], [1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    array([0.5, 1. ])
    """
    found, right = _worst_for_nan(values), np.asarray(truth, dtype=np.float64)
    best = found == found.max(axis=1, keepdims=True)
    return np.asarray((best * right).sum(axis=1) / best.sum(axis=1))


def quadratic_fit(accuracy: ArrayLike, gain: ArrayLike) -> QuadraticFit:
    """The least-squares parabola of k gains over k accuracies, and where it is highest.

    >>> fit = quadratic_fit([0.5, 0.7, 0.9, 1.0], [0.0, 0.08, 0.08, 0.05])
    >>> round(fit.argmax, 2), fit.turns_down
    (0.8, True)
    """
    x, y = np.asarray(accuracy, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    if len(np.unique(x)) < 3:
        return QuadraticFit((float("nan"),) * 3, float("nan"), False)
    a, b, c = (float(k) for k in np.polyfit(x, y, 2))
    low, high = float(x.min()), float(x.max())
    places = [low, high] + ([-b / (2 * a)] if a < 0 and low < -b / (2 * a) < high else [])
    argmax = max(places, key=lambda place: a * place * place + b * place + c)
    return QuadraticFit((a, b, c), argmax, argmax < high)


def _matrix(reward: Reward, samples: Sequence[Sample], n: int, seed: int) -> Matrix:
    return np.asarray(reward.score(samples, Context(seed=seed)).values.reshape(-1, n))


def _worst_for_nan(values: ArrayLike) -> Matrix:
    found = np.asarray(values, dtype=np.float64)
    known = found[~np.isnan(found)]
    return np.where(np.isnan(found), (known.min() if len(known) else 0.0) - 1, found)


def _trained_gain(
    policy: Policy, problems: Sequence[Problem | Sample], training: Sequence[Problem | Sample], reward: Reward, gold: Reward,
    config: GrpoConfig, max_tokens: int | None, seed: int,
) -> tuple[float, float]:  # fmt: skip
    """Gain in gold of a copy that is trained on a reward, and its divergence at the last measurement."""
    learner = Policy(copy.deepcopy(policy.model), policy.tokenizer)
    run = grpo(learner, training, reward, replace(config, seed=seed))
    if run.interrupted:  # half a training is no measurement
        raise KeyboardInterrupt
    # The same random numbers before and after: part of the noise of drawing cancels.
    before, after = (evaluate_policy(each, problems, gold, max_tokens=max_tokens, seed=seed).mean for each in (policy, learner))
    divergences = [row["kl"] for row in run.history if "kl" in row]
    return after - before, divergences[-1] if divergences else float("nan")
