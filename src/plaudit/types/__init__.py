"""The data types of the contract, and what plaudit asks of a language model and an encoder."""

from plaudit.types._context import Context
from plaudit.types._display import html_of, shown
from plaudit.types._models import Ability, Completion, Conversation, Encoder, LanguageModel, Reader, Reading, Sampling
from plaudit.types._preference import Pair, Preference
from plaudit.types._reasons import REASONS, Reason, Status, declare_reason, reason
from plaudit.types._sample import Finish, Message, Sample
from plaudit.types._verdict import Cost, Dense, Level, Verdict, check_outcome
from plaudit.types._verdicts import ABSTAINED, FAILED, SCORED, Verdicts, concatenate

__all__ = [
    "ABSTAINED",
    "FAILED",
    "REASONS",
    "SCORED",
    "Ability",
    "Completion",
    "Context",
    "Conversation",
    "Cost",
    "Dense",
    "Encoder",
    "Finish",
    "LanguageModel",
    "Level",
    "Message",
    "Pair",
    "Preference",
    "Reader",
    "Reading",
    "Reason",
    "Sample",
    "Sampling",
    "Status",
    "Verdict",
    "Verdicts",
    "check_outcome",
    "concatenate",
    "declare_reason",
    "html_of",
    "reason",
    "shown",
]
