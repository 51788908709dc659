"""Why a language model gave no completion; every error carries what the attempts had cost."""

from __future__ import annotations

from plaudit.errors import ModelError, SetupError
from plaudit.types import Cost


class CallError(ModelError):
    """A call of a language model that ended without a completion.

    Fields:
        cost: what its attempts cost.
        status: HTTP status of the last answer; None when there was none.
    """

    def __init__(self, message: str, *, cost: Cost | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.cost = Cost() if cost is None else cost
        self.status = status


class ModelUnreachable(CallError):
    """The endpoint did not answer: no connection, a time-out, or a server error, also after retries."""


class ModelRejected(CallError):
    """The endpoint refuses this request for good (a status 3xx or 4xx); the message repeats what it says."""


class AbilityMissing(ModelRejected):
    """The endpoint lacks what the call needs (``logprobs``, ``read``, ``/tokenize``): it refuses it, or leaves it out."""


class ModelRateLimited(CallError):
    """The endpoint kept answering that there are too many requests, or asked for a longer wait than allowed."""


class ModelReplyError(CallError):
    """The endpoint answered something that is not a reply: no JSON, wrong types, or too large."""


class BudgetSpent(CallError):
    """The model's budget for calls, tokens or money, or the quota at the endpoint, is spent."""


class DeadlinePassed(CallError):
    """The caller's deadline passed before the endpoint answered."""


class MissingKey(SetupError, ModelError):
    """The environment variable that must hold the API key is not set."""


class SchemaMismatch(ModelError, ValueError):
    """A reply's text holds no JSON value, or not exactly one, that satisfies the schema."""
