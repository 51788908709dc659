"""Combinations of rewards beyond the algebra of `plaudit.reward`."""

from plaudit.compose._mean import Mean

__all__ = ["Mean"]
