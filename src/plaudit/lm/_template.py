"""From conversations and responses to token ids: the chat template, and where a prompt ends and its continuation begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ModelError
from plaudit.types import Conversation, Message

Tokens = NDArray[np.int64]


def prompt_text(tokenizer: Any, conversation: Conversation, name: str = "prompt") -> tuple[str, bool]:
    """The text of a prompt, and whether the tokenizer's special tokens (a beginning) go with it.

    A text is taken as it is. Messages go through the tokenizer's chat template, which opens the assistant's turn
    (``add_generation_prompt``); a last message of the assistant is gone on with instead.

    Raises ModelError for messages without a template, that the template refuses, or with parts that are not text.

    >>> prompt_text(None, "2+2=")
    ('2+2=', True)
    """
    if isinstance(conversation, str):
        return conversation, True
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            f"{name} is a list of messages and the tokenizer has no chat template: give the prompt as text, "
            "or set tokenizer.chat_template"
        )
    messages = [_text_message(message, name) for message in conversation]
    if not messages:
        raise ModelError(f"{name} has no messages")
    goes_on = messages[-1].get("role") == "assistant"
    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
        )
    except Exception as error:  # a template is a program of the model's author and may fail in any way
        raise ModelError(f"{name}: the chat template refuses the messages: {error}") from error
    return str(text), False


def prompt_tokens(tokenizer: Any, conversations: Sequence[Conversation]) -> list[Tokens]:
    """The token ids of prompts; nothing is cut off.

    Raises ModelError that names the prompt which cannot be turned into at least one token.
    """
    if isinstance(conversations, str):
        raise ModelError("conversations is one text: expected a list of conversations; write [text]")
    rendered = [prompt_text(tokenizer, conversation, f"prompt {k}") for k, conversation in enumerate(conversations)]
    tokens: list[Tokens] = [np.empty(0, np.int64)] * len(rendered)
    for special in (True, False):
        rows = [k for k, (_, own) in enumerate(rendered) if own is special]
        found = _encoded(tokenizer, [rendered[k][0] for k in rows], [f"prompt {k}" for k in rows], add_special_tokens=special)
        for k, ids in zip(rows, found, strict=True):
            tokens[k] = ids
    for k, ids in enumerate(tokens):
        if not len(ids):
            raise ModelError(f"prompt {k} is empty: a continuation needs at least one token to go on from")
    return tokens


def response_tokens(tokenizer: Any, responses: Sequence[str]) -> list[Tokens]:
    """The token ids of responses as continuations: each tokenised once, alone, without a beginning or an end token.

    The prompt's last token and the response's first are never merged, so the same response has the same tokens behind every
    prompt. The name of a special token in a response (``</s>``) is plain text: a response cannot smuggle one in.
    """
    for k, response in enumerate(responses):
        if not isinstance(response, str):
            raise ModelError(f"response {k} is {type(response).__name__}: expected text")
    names = [f"response {k}" for k in range(len(responses))]
    return _encoded(tokenizer, list(responses), names, add_special_tokens=False, split_special_tokens=True)


def _encoded(tokenizer: Any, texts: list[str], names: list[str], **how: Any) -> list[Tokens]:
    for text, name in zip(texts, names, strict=True):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ModelError(f"{name} holds a lone surrogate at character {error.start}: it is no text") from error
    if not texts:
        return []
    # A tokenizer file can hold a truncation of its own: what is not asked for here must not happen.
    encoded = tokenizer(texts, truncation=False, padding=False, verbose=False, return_attention_mask=False, **how)
    return [np.asarray(ids, np.int64) for ids in encoded["input_ids"]]


def _text_message(message: Message, name: str) -> dict[str, Any]:
    """A message with its text parts joined."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return {**message, "content": content or ""}
    parts = list(content)
    other = [part.get("type") for part in parts if not isinstance(part.get("text"), str)]
    if other:
        raise ModelError(f"{name} has a part of type {other[0]!r}: local models here read text only")
    return {**message, "content": "".join(part["text"] for part in parts)}
