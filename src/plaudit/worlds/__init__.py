"""Small worlds where the truth is known: arithmetic with tiny policies, preferences with a gold reward, tabular processes."""

from plaudit.worlds._bandit import ContextualBandit, random_bandit
from plaudit.worlds._check import CheckedAnswer, CheckedSolution, CheckedStep, check_solution
from plaudit.worlds._corruption import Corruption, CorruptionKind, SolutionLabels, corrupt
from plaudit.worlds._level import ARITHMETIC_LEVELS, ArithmeticLevel, LevelName
from plaudit.worlds._policy import POLICIES, load_policy, policy_folder
from plaudit.worlds._preference_gold import PreferenceFeatures, PreferenceGold
from plaudit.worlds._preference_pairs import Annotator
from plaudit.worlds._preference_world import PreferenceWorld
from plaudit.worlds._problem import ArithmeticProblem, Split, arithmetic_problems, draw_problems, problem_in
from plaudit.worlds._rewards import ArithmeticAnswer, ArithmeticSteps
from plaudit.worlds._sampling import Drawn, Policy, draw, sample
from plaudit.worlds._solution import Step
from plaudit.worlds._tabular_mdp import TabularMdp, Values
from plaudit.worlds._tabular_random import Trajectories, random_mdp, sample_trajectories
from plaudit.worlds._tabular_solve import Optimum, evaluate_soft, solve_mdp, solve_soft_mdp

__all__ = [
    "ARITHMETIC_LEVELS",
    "POLICIES",
    "Annotator",
    "ArithmeticAnswer",
    "ArithmeticLevel",
    "ArithmeticProblem",
    "ArithmeticSteps",
    "CheckedAnswer",
    "CheckedSolution",
    "CheckedStep",
    "ContextualBandit",
    "Corruption",
    "CorruptionKind",
    "Drawn",
    "LevelName",
    "Optimum",
    "Policy",
    "PreferenceFeatures",
    "PreferenceGold",
    "PreferenceWorld",
    "SolutionLabels",
    "Split",
    "Step",
    "TabularMdp",
    "Trajectories",
    "Values",
    "arithmetic_problems",
    "check_solution",
    "corrupt",
    "draw",
    "draw_problems",
    "evaluate_soft",
    "load_policy",
    "policy_folder",
    "problem_in",
    "random_bandit",
    "random_mdp",
    "sample",
    "sample_trajectories",
    "solve_mdp",
    "solve_soft_mdp",
]
