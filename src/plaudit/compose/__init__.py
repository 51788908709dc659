"""Combinations of rewards beyond the algebra of `plaudit.reward`: each a reward, and under it a pure function on arrays."""

from plaudit.compose._appeal import Appeal, AppealOutcomes, appeal_outcomes
from plaudit.compose._baseline import Baseline, contrastive_baseline
from plaudit.compose._brackets import play
from plaudit.compose._calibration import CorrectnessBrier, correctness_brier
from plaudit.compose._combine import NormalizedSum, PowerMean, normalized_sum, power_mean
from plaudit.compose._ensemble import Ensemble, PromptConfidence, ensemble, prompt_confidence, variance_weighted_penalty
from plaudit.compose._filtration import (
    FILTRATIONS,
    Filtration,
    draw_filtered,
    filtration,
    filtration_r2,
    filtration_weights,
    select_filtration,
)
from plaudit.compose._gates import GatedAccumulation, Reliability, gated_accumulation, reliability_gate
from plaudit.compose._hierarchy import Hierarchical, hierarchical, inconsistency
from plaudit.compose._length import LengthAware, LengthBand, length_aware, length_band
from plaudit.compose._log_sigmoid import LogSigmoid, log_sigmoid
from plaudit.compose._mean import Mean
from plaudit.compose._noise import NoiseCorrected, appeal_rate, backward_correction, flip_groups, forward_correction
from plaudit.compose._pareto import Lagrangian, ParetoFront, Saturated, dual_step, multipliers, pareto_front
from plaudit.compose._ratings import bradley_terry, elo, win_rate
from plaudit.compose._route import Route
from plaudit.compose._schedule import Progressive, Schedule, TrustedThinking, scheduled_weight, thinking_trust
from plaudit.compose._sources import Column, ResponseLength, StatedConfidence
from plaudit.compose._tournament import RewardComparator, Tournament, settled
from plaudit.compose._transform import QuantileMap, Squash, Standardize, quantile_map, squash

__all__ = [
    "FILTRATIONS",
    "Appeal",
    "AppealOutcomes",
    "Baseline",
    "Column",
    "CorrectnessBrier",
    "Ensemble",
    "Filtration",
    "GatedAccumulation",
    "Hierarchical",
    "Lagrangian",
    "LengthAware",
    "LengthBand",
    "LogSigmoid",
    "Mean",
    "NoiseCorrected",
    "NormalizedSum",
    "ParetoFront",
    "PowerMean",
    "Progressive",
    "PromptConfidence",
    "QuantileMap",
    "Reliability",
    "ResponseLength",
    "RewardComparator",
    "Route",
    "Saturated",
    "Schedule",
    "Squash",
    "Standardize",
    "StatedConfidence",
    "Tournament",
    "TrustedThinking",
    "appeal_outcomes",
    "appeal_rate",
    "backward_correction",
    "bradley_terry",
    "contrastive_baseline",
    "correctness_brier",
    "draw_filtered",
    "dual_step",
    "elo",
    "ensemble",
    "filtration",
    "filtration_r2",
    "filtration_weights",
    "flip_groups",
    "forward_correction",
    "gated_accumulation",
    "hierarchical",
    "inconsistency",
    "length_aware",
    "length_band",
    "log_sigmoid",
    "multipliers",
    "normalized_sum",
    "pareto_front",
    "play",
    "power_mean",
    "prompt_confidence",
    "quantile_map",
    "reliability_gate",
    "scheduled_weight",
    "select_filtration",
    "settled",
    "squash",
    "thinking_trust",
    "variance_weighted_penalty",
    "win_rate",
]
