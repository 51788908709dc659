"""Language models by address: `openai:MODEL` for any endpoint that speaks Chat Completions."""

from plaudit.lm._address import openai_model, resolve
from plaudit.lm._errors import (
    BudgetSpent,
    CallError,
    DeadlinePassed,
    MissingKey,
    ModelRateLimited,
    ModelRejected,
    ModelReplyError,
    ModelUnreachable,
    SchemaMismatch,
)
from plaudit.lm._openai import OpenAIModel
from plaudit.lm._structured import read_json

__all__ = [
    "BudgetSpent",
    "CallError",
    "DeadlinePassed",
    "MissingKey",
    "ModelRateLimited",
    "ModelRejected",
    "ModelReplyError",
    "ModelUnreachable",
    "OpenAIModel",
    "SchemaMismatch",
    "openai_model",
    "read_json",
    "resolve",
]
