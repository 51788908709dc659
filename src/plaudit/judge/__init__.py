"""Rewards that a language model gives: judges."""

from plaudit.judge._pointwise import Pointwise

__all__ = ["Pointwise"]
