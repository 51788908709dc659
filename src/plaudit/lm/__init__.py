"""Models by address: `hf:`, `world:`, `policy:`, `openai:`, `scripted:`, and encoders: `encoder:minilm`, `encoder:hf:`."""

from plaudit.lm._address import openai_model, resolve
from plaudit.lm._embedding_cache import CachedEncoder, EmbeddingCache
from plaudit.lm._encoder import TextEncoder, TextsTruncated
from plaudit.lm._encoder_address import hf_encoder, minilm_encoder, resolve_encoder
from plaudit.lm._errors import (
    AbilityMissing,
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
from plaudit.lm._local import LocalModel
from plaudit.lm._local_load import WorldModel, hf_model, world_model
from plaudit.lm._openai import OpenAIModel
from plaudit.lm._policy_address import context_name, model_for, model_reads
from plaudit.lm._responses import ResponseCache, response_cache
from plaudit.lm._scripted import ScriptedModel, scripted_model
from plaudit.lm._structured import read_json

__all__ = [
    "AbilityMissing",
    "BudgetSpent",
    "CachedEncoder",
    "CallError",
    "DeadlinePassed",
    "EmbeddingCache",
    "LocalModel",
    "MissingKey",
    "ModelRateLimited",
    "ModelRejected",
    "ModelReplyError",
    "ModelUnreachable",
    "OpenAIModel",
    "ResponseCache",
    "SchemaMismatch",
    "ScriptedModel",
    "TextEncoder",
    "TextsTruncated",
    "WorldModel",
    "context_name",
    "hf_encoder",
    "hf_model",
    "minilm_encoder",
    "model_for",
    "model_reads",
    "openai_model",
    "read_json",
    "resolve",
    "resolve_encoder",
    "response_cache",
    "scripted_model",
    "world_model",
]
