"""How a reward breaks: attacks on any reward, with numbers."""

from plaudit.stress._edits import LINE_EDITS, PROSE_EDITS, Edit
from plaudit.stress._outrank import Outranking, outranking
from plaudit.stress._search import Mutation, any_of, change_digit, pool_attack, search_attack

__all__ = [
    "LINE_EDITS",
    "PROSE_EDITS",
    "Edit",
    "Mutation",
    "Outranking",
    "any_of",
    "change_digit",
    "outranking",
    "pool_attack",
    "search_attack",
]
