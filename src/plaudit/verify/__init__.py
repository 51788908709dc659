"""Rule-based verifiable rewards: mathematics, exact text, format, length."""

from plaudit.verify._exact import Exact
from plaudit.verify._format import Format
from plaudit.verify._length import Length
from plaudit.verify._math import Math
from plaudit.verify._numbers import Number, read_number

__all__ = ["Exact", "Format", "Length", "Math", "Number", "read_number"]
