"""Between plaudit's conversations and completions and the messages and choices of Chat Completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from plaudit.types import Completion, Conversation, Cost, Message
from plaudit.wire import ChatReply, Choice

_FINISH: dict[str | None, Literal["stop", "length", "tool", "error"]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "error",
    "abort": "error",
    "error": "error",
}


def messages_of(conversation: Conversation) -> Sequence[Message]:
    """The messages of a conversation; a text is one message of the user.

    >>> messages_of("2+2?")
    [{'role': 'user', 'content': '2+2?'}]
    """
    return [{"role": "user", "content": conversation}] if isinstance(conversation, str) else list(conversation)


def completions_of(reply: ChatReply, cost: Cost) -> list[Completion]:
    """The choices of a reply as completions; the first carries the cost of the whole request.

    >>> completions_of(ChatReply("m", (Choice("4", "length"),)), Cost(calls=1))[0].finish
    'length'
    """
    nothing = Cost()
    return [_completion(choice, cost if k == 0 else nothing) for k, choice in enumerate(reply.choices)]


def _completion(choice: Choice, cost: Cost) -> Completion:
    # A refusal is what the model says instead of an answer: whoever reads the text must see it.
    text = choice.content if choice.content is not None else choice.refusal or ""
    return Completion(text, choice.reasoning, _FINISH.get(choice.finish_reason), cost=cost)
