"""Small worlds where the truth is known: the arithmetic world with its problems, checkers, rewards and tiny policies."""

from plaudit.worlds._check import CheckedAnswer, CheckedSolution, CheckedStep, check_solution
from plaudit.worlds._corruption import Corruption, CorruptionKind, SolutionLabels, corrupt
from plaudit.worlds._level import ARITHMETIC_LEVELS, ArithmeticLevel, LevelName
from plaudit.worlds._policy import POLICIES, load_policy, policy_folder
from plaudit.worlds._problem import ArithmeticProblem, Split, arithmetic_problems, draw_problems, problem_in
from plaudit.worlds._rewards import ArithmeticAnswer, ArithmeticSteps
from plaudit.worlds._sampling import Drawn, Policy, draw, sample
from plaudit.worlds._solution import Step

__all__ = [
    "ARITHMETIC_LEVELS",
    "POLICIES",
    "ArithmeticAnswer",
    "ArithmeticLevel",
    "ArithmeticProblem",
    "ArithmeticSteps",
    "CheckedAnswer",
    "CheckedSolution",
    "CheckedStep",
    "Corruption",
    "CorruptionKind",
    "Drawn",
    "LevelName",
    "Policy",
    "SolutionLabels",
    "Split",
    "Step",
    "arithmetic_problems",
    "check_solution",
    "corrupt",
    "draw",
    "draw_problems",
    "load_policy",
    "policy_folder",
    "problem_in",
    "sample",
]
