"""Rewards spent at test time: picking one answer out of many, and what that is worth as the number of answers grows."""

from plaudit.search._curve import SelectionCurve, selection_curve
from plaudit.search._select import Choice, select
from plaudit.search._vote import answer_groups, expected_correct

__all__ = ["Choice", "SelectionCurve", "answer_groups", "expected_correct", "select", "selection_curve"]
