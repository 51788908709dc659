"""How a reward breaks: attacks on any reward, with numbers."""

from plaudit.stress._edits import LINE_EDITS, PROSE_EDITS, Edit
from plaudit.stress._outrank import Outranking, outranking

__all__ = ["LINE_EDITS", "PROSE_EDITS", "Edit", "Outranking", "outranking"]
