"""Rule-based verifiable rewards: mathematics, code, choices, numbers, exact text, patterns, word overlap, format, length."""

from plaudit.verify._choice import Choice
from plaudit.verify._code import Code
from plaudit.verify._code_mutants import Mutant, mutants
from plaudit.verify._code_quality import SuiteQuality, grow_suite, quality_of, suite_quality, vary_inputs
from plaudit.verify._code_run import CaseResult
from plaudit.verify._coverage import Coverage
from plaudit.verify._exact import Exact
from plaudit.verify._f1 import F1
from plaudit.verify._format import Format
from plaudit.verify._length import Length
from plaudit.verify._math import Math
from plaudit.verify._numbers import Number, read_number
from plaudit.verify._numeric import Numeric
from plaudit.verify._regex import Regex

__all__ = [
    "F1",
    "CaseResult",
    "Choice",
    "Code",
    "Coverage",
    "Exact",
    "Format",
    "Length",
    "Math",
    "Mutant",
    "Number",
    "Numeric",
    "Regex",
    "SuiteQuality",
    "grow_suite",
    "mutants",
    "quality_of",
    "read_number",
    "suite_quality",
    "vary_inputs",
]
