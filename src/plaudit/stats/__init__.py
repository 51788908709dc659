"""Statistics for claims: intervals, paired tests, calibration, rank correlation, effect sizes. Pure functions on numpy arrays."""

from plaudit.stats._arrays import scored
from plaudit.stats._bootstrap import bootstrap_interval
from plaudit.stats._calibration import (
    BrierParts,
    ReliabilityBins,
    brier_parts,
    brier_score,
    calibration_error,
    reliability_bins,
)
from plaudit.stats._distributions import normal_cdf, normal_quantile, student_cdf, student_quantile
from plaudit.stats._effect import Growth, cliff_delta, cohen_d, growth_exponent, pass_at_k
from plaudit.stats._intervals import Interval, mean_interval, wilson_bounds, wilson_interval
from plaudit.stats._paired import PairedTest, mcnemar_test, permutation_test, sign_test, wilcoxon_test
from plaudit.stats._rank import auc, kendall, pearson, ranks, spearman

__all__ = [
    "BrierParts",
    "Growth",
    "Interval",
    "PairedTest",
    "ReliabilityBins",
    "auc",
    "bootstrap_interval",
    "brier_parts",
    "brier_score",
    "calibration_error",
    "cliff_delta",
    "cohen_d",
    "growth_exponent",
    "kendall",
    "mcnemar_test",
    "mean_interval",
    "normal_cdf",
    "normal_quantile",
    "pass_at_k",
    "pearson",
    "permutation_test",
    "ranks",
    "reliability_bins",
    "scored",
    "sign_test",
    "spearman",
    "student_cdf",
    "student_quantile",
    "wilcoxon_test",
    "wilson_bounds",
    "wilson_interval",
]
