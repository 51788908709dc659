"""Scoring given continuations at an endpoint: log-probabilities of prompts, as vLLM gives them or echoed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError
from plaudit.lm._attempts import answered
from plaudit.lm._conversation import messages_of
from plaudit.lm._drawing import TEXT, together
from plaudit.lm._endpoint import Form, endpoint_for
from plaudit.lm._errors import AbilityMissing
from plaudit.types import Conversation, Reading
from plaudit.wire import TextChoice, TextRequest, TokenizeReply, TokenizeRequest, WireError, parse_tokenize_reply

if TYPE_CHECKING:
    from plaudit.lm._openai import OpenAIModel

_TOKENS: Form[TokenizeReply] = Form(TokenizeRequest.path, "/tokenize", parse_tokenize_reply)

Ids = Sequence[int] | NDArray[np.integer[Any]]


def check_reading(model: OpenAIModel, prompts: Sequence[Conversation], rows: Sequence[Any], what: Collection[str]) -> None:
    """Raise ModelError, which names the ability, for what this endpoint cannot be asked."""
    if model.reading == "none":
        raise ModelError(
            f"{model.version}: this model lacks the ability 'read': its endpoint is not known to score given tokens; where it "
            "does, say how with reading='prompt_logprobs' (vLLM) or reading='echo'"
        )
    if unknown := set(what) - {"logprob"}:
        raise ModelError(
            f"{model.version}: 'read' over HTTP gives 'logprob' only, asked for {min(unknown)!r}; use an 'hf:' model for it"
        )
    if isinstance(prompts, str) or len(prompts) != len(rows):
        raise ModelError(f"read got {len(prompts)} prompts and {len(rows)} lists of continuations: expected as many of both")


async def tokenize_all(model: OpenAIModel, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """The ids of each text by itself, without special tokens."""
    if isinstance(texts, str):
        raise ModelError("tokenize got one text: expected a list of responses; write [text]")
    replies = await together([_tokens(model, TokenizeRequest(model.model, text, special=False)) for text in texts])
    return [np.array(ids, dtype=np.int64) for ids in replies]


async def read_all(model: OpenAIModel, prompts: Sequence[Conversation], rows: Sequence[Sequence[Ids]]) -> list[list[Reading]]:
    """For each prompt a reading of each of its continuations."""
    checked = [[_checked(k, g, ids) for g, ids in enumerate(row)] for k, row in enumerate(rows)]
    calls = [_read_row(model, k, prompt, row) for k, (prompt, row) in enumerate(zip(prompts, checked, strict=True))]
    readings: list[list[Reading]] = await together(calls)
    return readings


def _checked(k: int, g: int, ids: Ids) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or array.min() < 0:
        given = f"{array.dtype} of shape {array.shape}"
        raise ModelError(f"continuation {g} of prompt {k}: expected token ids of at least 0, at least one, got {given}")
    return array.astype(np.int64)


async def _read_row(model: OpenAIModel, k: int, prompt: Conversation, row: Sequence[NDArray[np.int64]]) -> list[Reading]:
    request = (
        TokenizeRequest(model.model, prompt)
        if isinstance(prompt, str) and model.api != "chat"
        else TokenizeRequest(model.model, messages_of(prompt))
    )
    before = await _tokens(model, request)
    if not before:
        raise ModelError(f"prompt {k} has no tokens: the first token of a continuation has no log-probability without one")
    readings: list[Reading] = await together([_read_one(model, before, array) for array in row])
    return readings


async def _read_one(model: OpenAIModel, before: tuple[int, ...], tokens: NDArray[np.int64]) -> Reading:
    ids = [*before, *tokens.tolist()]
    echo = model.reading == "echo"
    request = TextRequest(
        model.model,
        ids,
        temperature=0.0,
        max_tokens=1,  # drawn and thrown away: not every server takes 0
        echo=echo,
        logprobs=1 if echo else None,
        prompt_logprobs=None if echo else 0,
    )
    reply, cost = await answered(model, model.tally, endpoint_for(model.endpoint_key()), TEXT, request, None)
    try:
        if reply.usage is not None and reply.usage.prompt_tokens not in (0, len(ids)):
            raise WireError("usage.prompt_tokens", f"{len(ids)}, the tokens that were sent", str(reply.usage.prompt_tokens))
        numbers = _echoed(reply.choices[0], len(ids)) if echo else _of_prompt(reply.choices[0], ids)
        logprob = np.array(numbers[len(before) :], dtype=np.float32)
        if np.isnan(logprob).any():
            raise WireError("choices[0]", "a log-probability for each token", "none for one of them")
    except WireError as error:
        place = f"{model.version} at {model.effective_base_url}"
        said = f"{place} lacks the ability 'read' in the form reading={model.reading!r}: it took the request, but {error}"
        raise AbilityMissing(said, cost=cost) from None
    return Reading(tokens, logprob)


def _echoed(choice: TextChoice, count: int) -> list[float]:
    """The log-probabilities of the prompt's tokens in a reply that repeats it."""
    given = () if choice.logprobs is None else choice.logprobs.logprobs
    if not count <= len(given) <= count + 1:
        raise WireError("choices[0].logprobs", f"{count} tokens echoed and one drawn", str(len(given)))
    return [np.nan if x is None else x for x in given[:count]]


def _of_prompt(choice: TextChoice, ids: Sequence[int]) -> list[float]:
    given = () if choice.prompt_logprobs is None else choice.prompt_logprobs
    if len(given) != len(ids):
        raise WireError("choices[0].prompt_logprobs", f"an entry for each of {len(ids)} tokens", str(len(given)))
    return [np.nan if entry is None else entry.get(token, np.nan) for entry, token in zip(given, ids, strict=True)]


async def _tokens(model: OpenAIModel, request: TokenizeRequest) -> tuple[int, ...]:
    reply, _ = await answered(model, model.tally, endpoint_for(model.endpoint_key()), _TOKENS, request, None)
    return reply.tokens
