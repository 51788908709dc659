"""Reading text: what a response says after its thinking part, and where its answer stands."""

from plaudit.text._answer import Answer, Rule
from plaudit.text._answers import RULES, denied, extract_answer, later_statement
from plaudit.text._boxed import boxed_answer, boxed_answers
from plaudit.text._choices import choice_answer, worded_answer
from plaudit.text._final import Read, final_text, message_text, opens_in_thought
from plaudit.text._formulas import last_formula
from plaudit.text._last_number import last_number
from plaudit.text._statements import hashed_answer, labelled_answer, stated_answer, tagged_answer
from plaudit.text._token_spans import token_spans, tokens_of_spans

__all__ = [
    "RULES",
    "Answer",
    "Read",
    "Rule",
    "boxed_answer",
    "boxed_answers",
    "choice_answer",
    "denied",
    "extract_answer",
    "final_text",
    "hashed_answer",
    "labelled_answer",
    "last_formula",
    "last_number",
    "later_statement",
    "message_text",
    "opens_in_thought",
    "stated_answer",
    "tagged_answer",
    "token_spans",
    "tokens_of_spans",
    "worded_answer",
]
