"""Rewards at training time: losses and loops for small policies."""

from plaudit.align._config import Aggregation, GrpoConfig, Precision, Truncated
from plaudit.align._evaluate import Evaluation, answer_problems, evaluate_policy
from plaudit.align._grpo import Training, grpo, grpo_seeds
from plaudit.align._objective import Objective, clipped_objective, token_logprobs, token_weights
from plaudit.align._probe import (
    GainProbe,
    ProbedReward,
    QuadraticFit,
    gold_of_best,
    pair_accuracy,
    policy_gain_probe,
    quadratic_fit,
)
from plaudit.align._problems import Problem

__all__ = [
    "Aggregation",
    "Evaluation",
    "GainProbe",
    "GrpoConfig",
    "Objective",
    "Precision",
    "ProbedReward",
    "Problem",
    "QuadraticFit",
    "Training",
    "Truncated",
    "answer_problems",
    "clipped_objective",
    "evaluate_policy",
    "gold_of_best",
    "grpo",
    "grpo_seeds",
    "pair_accuracy",
    "policy_gain_probe",
    "quadratic_fit",
    "token_logprobs",
    "token_weights",
]
