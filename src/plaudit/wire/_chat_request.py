"""Chat Completions requests: built by the client, parsed by the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from plaudit.wire._json import (
    WireError,
    decode_json,
    encode_json,
    need_count,
    need_flag,
    need_list,
    need_object,
    need_text,
    optional_text,
)
from plaudit.wire._members import optional_number, response_format, schema_of, stops

_NOTHING: Mapping[str, Any] = MappingProxyType({})
MaxTokensMember = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for n completions of one conversation.

    Fields:
        model: name of the model at the endpoint.
        messages: Chat Completions messages, at least one.
        n: how many completions.
        temperature, top_p, max_tokens, seed: None = left out, so the server's own default.
        stop: texts that end a completion.
        schema: JSON schema for ``response_format``; None = free text.
        schema_name: the schema's name, which the format requires.
        json_object: ask for any JSON object instead; not with a schema.
        logprobs: ask for log-probabilities of the sampled tokens.
        max_tokens_member: what `max_tokens` is called: some models take only ``max_completion_tokens``.
        extra: further members of the body, as they are.

    Raises WireError when the messages are not messages, or `extra` names a member that has a field.

    >>> ChatRequest("m", [{"role": "user", "content": "hi"}], temperature=0.0).body()["temperature"]
    0.0
    """

    path: ClassVar[str] = "/chat/completions"

    model: str
    messages: Sequence[Mapping[str, Any]]
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    json_object: bool = False
    logprobs: bool = False
    max_tokens_member: MaxTokensMember = "max_tokens"
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        for k, message in enumerate(need_list(self.messages, "messages", at_least=1)):
            _check_message(message, f"messages[{k}]")
        taken = _MEMBERS & set(self.extra)
        if taken:
            raise WireError(f"extra.{min(taken)}", "members that have no field of their own", "one that has")

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        body: dict[str, Any] = {"model": self.model, "messages": [dict(message) for message in self.messages]}
        if self.n != 1:
            body["n"] = self.n
        for name in ("temperature", "top_p", "seed"):
            if getattr(self, name) is not None:
                body[name] = getattr(self, name)
        if self.max_tokens is not None:
            body[self.max_tokens_member] = self.max_tokens
        if self.stop:
            body["stop"] = list(self.stop)
        body |= response_format(self.schema, self.schema_name, self.json_object)
        if self.logprobs:
            body["logprobs"] = True
        return {**body, **self.extra}

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


_MEMBERS = {"model", "messages", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed",
            "response_format", "logprobs"}  # fmt: skip


def parse_request(body: bytes) -> ChatRequest:
    """Read the body of a request, as a server does; members without a field of their own land in `extra`.

    Raises WireError that names the member that is missing or of the wrong type.

    >>> parse_request(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 2}').n
    2
    """
    members = need_object(decode_json(body), "body")
    for name in ("model", "messages"):
        if name not in members:
            raise WireError(name, "a member of that name", "none")
    both = [name for name in ("max_tokens", "max_completion_tokens") if members.get(name) is not None]
    schema, schema_name, json_object = schema_of(members.get("response_format"))
    return ChatRequest(
        model=need_text(members["model"], "model"),
        messages=need_list(members["messages"], "messages", at_least=1),
        n=need_count(_or(members.get("n"), 1), "n", at_least=1),
        temperature=optional_number(members, "temperature"),
        top_p=optional_number(members, "top_p"),
        max_tokens=need_count(members[both[-1]], both[-1], at_least=1) if both else None,
        stop=stops(members.get("stop")),
        seed=None if members.get("seed") is None else need_count(members["seed"], "seed", at_least=-(2**63)),
        schema=schema,
        schema_name=schema_name,
        json_object=json_object,
        logprobs=need_flag(_or(members.get("logprobs"), False), "logprobs"),
        max_tokens_member="max_completion_tokens" if both[-1:] == ["max_completion_tokens"] else "max_tokens",
        extra={name: value for name, value in members.items() if name not in _MEMBERS},
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _check_message(message: Any, field: str) -> None:
    members = need_object(message, field)
    need_text(members.get("role"), f"{field}.role")
    content = members.get("content")
    if isinstance(content, (list, tuple)):
        for k, part in enumerate(content):
            need_text(need_object(part, f"{field}.content[{k}]").get("type"), f"{field}.content[{k}].type")
    else:
        optional_text(content, f"{field}.content")
