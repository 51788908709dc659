"""Chat Completions replies: built by the server, parsed by the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit.wire._json import (
    WireError,
    decode_json,
    encode_json,
    need_list,
    need_number,
    need_object,
    need_text,
    optional_text,
)
from plaudit.wire._text_reply import choices_of, frame_of
from plaudit.wire._usage import Usage


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One sampled token and its natural log-probability."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Choice:
    """One completion of a reply.

    Fields:
        content: the text; None when the model refused or called tools instead.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"`` or a server's own word; None = not said.
        refusal: the text of a refusal; None = it did not refuse.
        reasoning: the thinking part, from ``reasoning_content`` or ``reasoning``; None = none was given apart.
        tool_calls: calls of tools, as the server wrote them.
        logprobs: of the sampled tokens; None = not given.
    """

    content: str | None
    finish_reason: str | None = "stop"
    refusal: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None

    def body(self, index: int) -> dict[str, Any]:
        """The entry of ``choices`` with that index."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = [dict(call) for call in self.tool_calls]
        logprobs = None
        if self.logprobs is not None:
            logprobs = {"content": [{"token": t.token, "logprob": t.logprob} for t in self.logprobs]}
        return {"index": index, "message": message, "finish_reason": self.finish_reason, "logprobs": logprobs}


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A reply with at least one choice, in the order of their indices.

    Fields:
        model: the model that the server says has answered; it may be more precise than the name that was asked for.
        choices: the completions.
        usage: None = the server does not count tokens.
        id, created: the server's name for this reply and its Unix time.

    >>> parse_reply(ChatReply("m", (Choice("4"),)).encode()).choices[0].content
    '4'
    """

    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    id: str = ""
    created: int = 0

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        body: dict[str, Any] = {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.body(k) for k, choice in enumerate(self.choices)],
        }
        if self.usage is not None:
            body["usage"] = self.usage.body()
        return body

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


def parse_reply(body: bytes) -> ChatReply:
    """Read the body of a reply, as a client does. Nothing is guessed: wrong types and missing members are errors.

    Raises WireError that names the member; for an error object that came with a status of success, it repeats its message.
    """
    members = need_object(decode_json(body), "body")
    return ChatReply(choices=choices_of(members, _choice), **frame_of(members))


def _choice(entry: Mapping[str, Any], field: str) -> Choice:
    if "message" not in entry:
        raise WireError(f"{field}.message", "a member of that name", "none")
    message = need_object(entry["message"], f"{field}.message")
    content = optional_text(message.get("content"), f"{field}.message.content")
    refusal = optional_text(message.get("refusal"), f"{field}.message.refusal")
    calls = message.get("tool_calls") or ()
    tool_calls = tuple(need_object(c, f"{field}.message.tool_calls") for c in need_list(calls, f"{field}.message.tool_calls"))
    finish = optional_text(entry.get("finish_reason"), f"{field}.finish_reason")
    reasoning = None
    for name in ("reasoning_content", "reasoning"):
        if reasoning is None:
            reasoning = optional_text(message.get(name), f"{field}.message.{name}")
    if content is None and refusal is None and reasoning is None and not tool_calls and finish in (None, "stop"):
        raise WireError(f"{field}.message.content", "text, or a refusal, tool calls or a finish_reason that say why not", "null")
    return Choice(content, finish, refusal, reasoning, tool_calls, _logprobs(entry.get("logprobs"), f"{field}.logprobs"))


def _logprobs(value: Any, field: str) -> tuple[TokenLogprob, ...] | None:
    if value is None or need_object(value, field).get("content") is None:
        return None
    found = []
    for k, entry in enumerate(need_list(value["content"], f"{field}.content")):
        at = f"{field}.content[{k}]"
        members = need_object(entry, at)
        token, logprob = need_text(members.get("token"), f"{at}.token"), need_number(members.get("logprob"), f"{at}.logprob")
        found.append(TokenLogprob(token, logprob))
    return tuple(found)
