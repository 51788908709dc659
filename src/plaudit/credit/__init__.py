"""Where reward goes: pure functions on arrays that place rewards on steps and tokens, and turn them into advantages."""

from plaudit.credit._adjusted import budget_advantage, clipped_ratio, consistency_bonus, difficulty_scale, filter_outliers
from plaudit.credit._agents import counterfactual_credit, critical_path, shapley_credit
from plaudit.credit._binary import beta_advantage, beta_parameters, decomposed_advantage, pass_at_k_bonus, unlikeliness_rewards
from plaudit.credit._group import NORMALIZATIONS, GroupReport, Normalization, group_advantage
from plaudit.credit._implicit import (
    bounded_returns,
    implicit_rewards,
    outcome_process_advantage,
    process_advantage,
    trajectory_advantage,
)
from plaudit.credit._layout import TokenArrays, to_tokens, token_layout
from plaudit.credit._pairwise import bootstrapped_advantage, win_rate_advantage, win_rates
from plaudit.credit._potential import fuse_progress, optimal_actions, shaped_rewards
from plaudit.credit._ragged import returns_to_go
from plaudit.credit._redistribute import decompose_return, redistribute_by_attention, redistribute_by_prefix
from plaudit.credit._steps import (
    STEP_AGGREGATES,
    Aggregate,
    accuracy_gains,
    aggregate_steps,
    centre_steps,
    clip_steps,
    delta_steps,
    min_form,
    renorm_steps,
    steps_to_tokens,
)
from plaudit.credit._tokens import (
    SegmentLocation,
    SpanReport,
    contrastive_token_rewards,
    end_rewards,
    fit_location,
    normalize_location,
    segments_by_entropy,
    span_rewards,
)
from plaudit.credit._tree import prefix_values, tree_advantage

__all__ = [
    "NORMALIZATIONS",
    "STEP_AGGREGATES",
    "Aggregate",
    "GroupReport",
    "Normalization",
    "SegmentLocation",
    "SpanReport",
    "TokenArrays",
    "accuracy_gains",
    "aggregate_steps",
    "beta_advantage",
    "beta_parameters",
    "bootstrapped_advantage",
    "bounded_returns",
    "budget_advantage",
    "centre_steps",
    "clip_steps",
    "clipped_ratio",
    "consistency_bonus",
    "contrastive_token_rewards",
    "counterfactual_credit",
    "critical_path",
    "decompose_return",
    "decomposed_advantage",
    "delta_steps",
    "difficulty_scale",
    "end_rewards",
    "filter_outliers",
    "fit_location",
    "fuse_progress",
    "group_advantage",
    "implicit_rewards",
    "min_form",
    "normalize_location",
    "optimal_actions",
    "outcome_process_advantage",
    "pass_at_k_bonus",
    "prefix_values",
    "process_advantage",
    "redistribute_by_attention",
    "redistribute_by_prefix",
    "renorm_steps",
    "returns_to_go",
    "segments_by_entropy",
    "shaped_rewards",
    "shapley_credit",
    "span_rewards",
    "steps_to_tokens",
    "to_tokens",
    "token_layout",
    "trajectory_advantage",
    "tree_advantage",
    "unlikeliness_rewards",
    "win_rate_advantage",
    "win_rates",
]
