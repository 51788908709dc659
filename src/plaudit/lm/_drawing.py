"""Drawing completions from an endpoint: which interface is asked, what the cache knows, and all draws at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plaudit.errors import ModelError
from plaudit.lm._attempts import answered
from plaudit.lm._conversation import NoLogprobs, completions_of, messages_of
from plaudit.lm._endpoint import Form, endpoint_for
from plaudit.lm._errors import AbilityMissing
from plaudit.lm._responses import ResponseCache, cache_at
from plaudit.types import Completion, Conversation, Sampling
from plaudit.wire import ChatReply, ChatRequest, TextReply, TextRequest, parse_reply, parse_text_reply

if TYPE_CHECKING:
    from plaudit.lm._openai import OpenAIModel

CHAT: Form[ChatReply] = Form(ChatRequest.path, "Chat Completions", parse_reply)
TEXT: Form[TextReply] = Form(TextRequest.path, "Completions", parse_text_reply)
_IDS = {"return_tokens_as_token_ids": True}  # what vLLM and SGLang call it


def check_drawing(model: OpenAIModel, conversations: Sequence[Conversation], n: int) -> None:
    """Raise ModelError for what no endpoint can be asked."""
    if isinstance(conversations, str):
        raise ModelError("agenerate got one text: expected a list of conversations; write [text]")
    if n < 1:
        raise ModelError(f"n is {n}: expected at least one completion for each conversation")
    if model.api == "completions":
        for k, conversation in enumerate(conversations):
            if not isinstance(conversation, str):
                raise ModelError(
                    f"{model.version}: conversation {k} is a list of messages, and api='completions' takes texts: render the "
                    "messages with the model's chat template, or use api='chat' or 'auto'"
                )


def known_draws(
    model: OpenAIModel, conversations: Sequence[Conversation], n: int, sampling: Sampling
) -> list[list[Completion]] | None:
    """All that is asked for, out of the cache; None when there is no cache or it lacks something."""
    cache = cache_at(model.cache)
    if cache is None:
        return None
    rows = []
    for key, first in _numbered(model, conversations, n, sampling):
        row = cache.draws(key, range(first, first + n))
        if any(draw is None for draw in row):
            return None
        rows.append([draw for draw in row if draw is not None])
    return rows


async def draw_all(
    model: OpenAIModel, conversations: Sequence[Conversation], n: int, sampling: Sampling, deadline: float | None
) -> list[list[Completion]]:
    """n completions for each conversation, in their order; the first error cancels the rest."""
    cache = cache_at(model.cache)
    if cache is None:
        return await together([_draw(model, c, n, sampling, deadline) for c in conversations])
    numbered = _numbered(model, conversations, n, sampling)
    return await together(
        [
            _cached_draw(model, cache, key, first, conversation, n, sampling, deadline)
            for conversation, (key, first) in zip(conversations, numbered, strict=True)
        ]
    )


async def together(calls: Sequence[Any]) -> list[Any]:
    """What all calls return; when one fails the others are cancelled, and have ended when the error goes on."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _cached_draw(
    model: OpenAIModel, cache: ResponseCache, key: bytes, first: int, conversation: Conversation, n: int, sampling: Sampling,
    deadline: float | None,
) -> list[Completion]:  # fmt: skip
    numbers = range(first, first + n)
    async with cache.turn(key + first.to_bytes(4, "big")):
        row = cache.draws(key, numbers)
        missing = [k for k, draw in zip(numbers, row, strict=True) if draw is None]
        if missing:
            # A seed makes an endpoint begin anew: the draws in front of a missing one come again and are passed over.
            skipped = missing[0] if sampling.seed is not None else 0
            wanted = missing[-1] + 1 if sampling.seed is not None else len(missing)
            drawn = await _draw(model, conversation, wanted, sampling, deadline)
            fresh = dict(zip(missing, drawn[skipped:] if sampling.seed is not None else drawn, strict=False))
            cache.keep(key, list(fresh.items()))
            if skipped:  # the first completion carries the cost of the request
                fresh[missing[0]] = replace(fresh[missing[0]], cost=drawn[0].cost)
            row = [fresh.get(k, draw) for k, draw in zip(numbers, row, strict=True)]
    return [draw for draw in row if draw is not None]


def _numbered(model: OpenAIModel, conversations: Sequence[Conversation], n: int, sampling: Sampling) -> list[tuple[bytes, int]]:
    """For each conversation its key and the number of its first draw.

    The same conversation twice in one call asks for twice as many draws, unless they would be the same ones anyway.
    """
    asked = [
        model.version, model.effective_base_url, model.api, model.token_ids, sampling.temperature, sampling.top_p,
        sampling.max_tokens, sampling.stop, sampling.seed, sampling.schema, sampling.logprobs,
    ]  # fmt: skip
    repeats = sampling.seed is not None or sampling.temperature == 0
    seen: Counter[bytes] = Counter()
    found = []
    for conversation in conversations:
        given = conversation if isinstance(conversation, str) else [dict(message) for message in conversation]
        key = ResponseCache.key(asked, given)
        found.append((key, 0 if repeats else seen[key] * n))
        seen[key] += 1
    return found


async def _draw(
    model: OpenAIModel, conversation: Conversation, n: int, sampling: Sampling, deadline: float | None
) -> list[Completion]:
    endpoint = endpoint_for(model.endpoint_key())
    drawn: list[Completion] = []
    while len(drawn) < n:  # a server may give fewer choices than asked for
        count = n - len(drawn)
        if model.api == "completions" or (model.api == "auto" and isinstance(conversation, str)):
            text = _text_request(model, conversation, count, sampling)
            continued, cost = await answered(model, model.tally, endpoint, TEXT, text, deadline)
            reply: ChatReply | TextReply = continued
        else:
            chat = _chat_request(model, conversation, count, sampling)
            talked, cost = await answered(model, model.tally, endpoint, CHAT, chat, deadline)
            reply = talked
        try:
            drawn += completions_of(reply, cost, logprobs=sampling.logprobs, ids=model.token_ids)
        except NoLogprobs as error:
            place = f"{model.version} at {model.effective_base_url}"
            raise AbilityMissing(f"{place} lacks the ability 'logprobs': it took the request, but {error}", cost=cost) from None
    return drawn[:n]


def _chat_request(model: OpenAIModel, conversation: Conversation, n: int, sampling: Sampling) -> ChatRequest:
    return ChatRequest(
        model=model.model,
        messages=messages_of(conversation),
        n=n,
        temperature=sampling.temperature,
        top_p=None if sampling.top_p == 1.0 else sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        schema=sampling.schema,
        logprobs=sampling.logprobs,
        extra=_IDS if sampling.logprobs and model.token_ids else {},
    )


def _text_request(model: OpenAIModel, prompt: Any, n: int, sampling: Sampling) -> TextRequest:
    return TextRequest(
        model=model.model,
        prompt=prompt,
        n=n,
        temperature=sampling.temperature,
        top_p=None if sampling.top_p == 1.0 else sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        schema=sampling.schema,
        logprobs=1 if sampling.logprobs else None,
        extra=_IDS if sampling.logprobs and model.token_ids else {},
    )
