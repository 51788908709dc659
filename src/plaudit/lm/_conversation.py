"""Between plaudit's conversations and completions and the messages and choices of the HTTP formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.types import Completion, Conversation, Cost, Message
from plaudit.wire import ChatReply, Choice, TextChoice, TextReply

_FINISH: dict[str | None, Literal["stop", "length", "tool", "error"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "error",
    "abort": "error",
    "error": "error",
}
_ID = "token_id:"


class NoLogprobs(Exception):
    """A choice lacks the log-probabilities, or the token ids, that were asked for; says which."""


def messages_of(conversation: Conversation) -> Sequence[Message]:
    """The messages of a conversation; a text is one message of the user.

    >>> messages_of("2+2?")
    [{'role': 'user', 'content': '2+2?'}]
    """
    return [{"role": "user", "content": conversation}] if isinstance(conversation, str) else list(conversation)


def completions_of(reply: ChatReply | TextReply, cost: Cost, *, logprobs: bool = False, ids: bool = False) -> list[Completion]:
    """The choices of a reply as completions; the first carries the cost of the whole request.

    Raises NoLogprobs when `logprobs`, or token ids with `ids`, were asked for and a choice with a text has none.

    >>> completions_of(ChatReply("m", (Choice("4", "length"),)), Cost(calls=1))[0].finish
    'length'
    """
    nothing = Cost()
    choices: Sequence[Choice | TextChoice] = reply.choices
    return [_completion(choice, cost if k == 0 else nothing, logprobs, ids) for k, choice in enumerate(choices)]


def _completion(choice: Choice | TextChoice, cost: Cost, wanted: bool, ids: bool) -> Completion:
    if isinstance(choice, TextChoice):
        text, reasoning = choice.text, None
    else:
        # A refusal is what the model says instead of an answer: whoever reads the text must see it.
        text, reasoning = choice.content if choice.content is not None else choice.refusal or "", choice.reasoning
    tokens, logprobs = _sampled(choice, empty=not (text or reasoning), ids=ids) if wanted else (None, None)
    return Completion(text, reasoning, _FINISH.get(choice.finish_reason), tokens, logprobs, cost)


def _sampled(choice: Choice | TextChoice, empty: bool, ids: bool) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Ids (None where they were not asked for) and log-probabilities of the sampled tokens."""
    given = choice.logprobs
    if given is None:
        if not empty:
            raise NoLogprobs("the reply has no log-probabilities")
        names: Sequence[str] = ()
        numbers: Sequence[float | None] = ()
    elif isinstance(given, tuple):
        names, numbers = [t.token for t in given], [t.logprob for t in given]
    else:
        names, numbers = given.tokens, given.logprobs
    if any(x is None for x in numbers):
        raise NoLogprobs("a token of the reply has no log-probability")
    logprobs = np.array(numbers, dtype=np.float64)
    if not ids:
        return None, logprobs
    if not all(name.startswith(_ID) and name[len(_ID) :].isdecimal() for name in names):
        raise NoLogprobs("the reply names tokens by their text although their ids were asked for (return_tokens_as_token_ids)")
    return np.array([int(name[len(_ID) :]) for name in names], dtype=np.int64), logprobs
