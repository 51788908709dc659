"""The one table of reason codes: what a verdict's `reason` may say, and under which status.

Whose fault decides the status. The response's own fault is SCORED at the bottom of the range with a code ``response_*``;
FAILED is ours (a reference, a worker, a judge); ABSTAINED means that the reward does not apply to this prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What a verdict is: a value, nothing to say, or a failure of ours."""

    SCORED = "scored"
    ABSTAINED = "abstained"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table: a code, the status it belongs to, one sentence."""

    code: str
    status: Status
    sentence: str


REASONS: dict[str, Reason] = {}


def declare_reason(code: str, status: Status, sentence: str) -> Reason:
    """Add a code to the table; the same row again is allowed.

    Raises ValueError when the code stands there with another meaning, or breaks the naming rule.

    >>> declare_reason("response_wrong", Status.SCORED, REASONS["response_wrong"].sentence).code
    'response_wrong'
    """
    row = Reason(code, status, sentence)
    if REASONS.get(code, row) != row:
        raise ValueError(f"reason {code!r} is already declared as {REASONS[code]}")
    if not code.replace("_", "").isalnum() or code != code.lower():
        raise ValueError(f"reason {code!r}: expected lower-case letters, digits and underscores")
    if code.startswith("response_") and status is not Status.SCORED:
        raise ValueError(f"reason {code!r}: the response's own fault is SCORED, not {status.name}")
    REASONS[code] = row
    return row


def reason(code: str) -> Reason:
    """The table's row for a verdict's reason; a code may carry a name after a colon (``part_failed:correct``).

    Raises KeyError for a code that nobody declared.

    >>> reason("part_failed:correct").status
    <Status.FAILED: 'failed'>
    """
    base = code.partition(":")[0]
    if base not in REASONS:
        raise KeyError(f"reason {base!r} is in no table: declare it with plaudit.types.declare_reason")
    return REASONS[base]


for _code, _sentence in {
    "response_right": "The answer that was read agrees with the reference.",
    "response_wrong": "The answer that was read does not agree with the reference.",
    "response_empty": "The response has no text to read.",
    "response_no_answer": "No answer was found in the response.",
    "response_unparsable": "An answer was found but could not be understood.",
    "response_format": "The response does not have the required form.",
    "response_unclosed_thought": "The response ends inside its thinking part and has no answer.",
    "response_timeout": "Checking the response took longer than its deadline.",
    "response_memory": "Checking the response took more memory than it may.",
    "response_too_large": "The response is larger than the size guard allows.",
    "response_too_long": "The response is longer than the length that was asked for.",
    "closed": "The gate's condition did not hold, so its body was not run.",
}.items():
    declare_reason(_code, Status.SCORED, _sentence)

for _code, _sentence in {
    "not_applicable": "The reward has nothing to say about this prompt.",
    "not_run": "A closed gate left this part out.",
    "all_abstained": "Every part abstained.",
}.items():
    declare_reason(_code, Status.ABSTAINED, _sentence)

for _code, _sentence in {
    "rollout_failed": "The rollout itself failed (finish is 'error').",
    "sample_unreadable": "The row could not be read as a sample.",
    "column_missing": "A column that the reward reads is not there.",
    "reference_missing": "The sample has no reference and the reward needs one.",
    "reference_unreadable": "The reference could not be understood.",
    "group_incomplete": "Not all samples of the group are in this call.",
    "part_failed": "A part of the reward FAILED (its name follows the colon).",
    "reward_error": "The reward raised an exception.",
    "invalid_value": "The reward returned something that is not a finite number.",
    "out_of_range": "The reward returned a value outside its declared range.",
    "no_bottom": "The response exceeded a limit, and the reward declares no bottom of its range to score it at.",
    "deadline_passed": "The call's own deadline passed before this sample was scored.",
    "timed_out": "No result came within the time that one call to the reward may take.",
    "worker_lost": "The worker process died while scoring this sample.",
    "worker_starved": "The worker waited for a processor for over half of its time limit.",
    "solver_unknown": "The solver answered 'unknown'.",
    "judge_unreachable": "The judge did not answer.",
    "judge_rejected": "The judge's endpoint refused the request.",
    "judge_rate_limited": "The judge's endpoint kept refusing for its rate limit.",
    "judge_unparsable": "The judge's reply to this response could not be parsed, while a control call could.",
    "judge_broken": "The judge's replies cannot be parsed, not even to a control call.",
    "budget_spent": "The budget for calls, tokens or money is spent.",
}.items():
    declare_reason(_code, Status.FAILED, _sentence)
