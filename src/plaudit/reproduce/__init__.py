"""The ledger: every claim beside what was measured, with an interval and a control that must not show it."""

from plaudit.reproduce._experiment import N_SYSTEMS, Experiment, Progress, Trial, experiment
from plaudit.reproduce._finding import LEVEL, Finding, Seed, judge
from plaudit.reproduce._ledger import LedgerRow, System, ledger, systems
from plaudit.reproduce._run import Step, run_experiment, run_experiments
from plaudit.reproduce._scan import EXPERIMENTS, chosen, find_experiments
from plaudit.reproduce._share import quick_share, share, turn
from plaudit.reproduce._store import ResultFolder

__all__ = [
    "EXPERIMENTS",
    "LEVEL",
    "N_SYSTEMS",
    "Experiment",
    "Finding",
    "LedgerRow",
    "Progress",
    "ResultFolder",
    "Seed",
    "Step",
    "System",
    "Trial",
    "chosen",
    "experiment",
    "find_experiments",
    "judge",
    "ledger",
    "quick_share",
    "run_experiment",
    "run_experiments",
    "share",
    "systems",
    "turn",
]
