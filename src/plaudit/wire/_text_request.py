"""Completions requests: one text or one list of token ids to be continued, or only to be scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from plaudit.wire._json import (
    WireError,
    decode_json,
    encode_json,
    need_count,
    need_flag,
    need_list,
    need_object,
    need_text,
)
from plaudit.wire._members import optional_number, response_format, schema_of, stops

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A request for n continuations of one prompt.

    Fields:
        model: name of the model at the endpoint.
        prompt: a text, or token ids.
        n: how many completions.
        temperature, top_p, max_tokens, seed: None = left out, so the server's own default; ``max_tokens=0`` only scores.
        stop: texts that end a completion.
        schema: JSON schema for ``response_format``; None = free text.
        schema_name: the schema's name, which the format requires.
        json_object: ask for any JSON object instead; not with a schema.
        logprobs: how many log-probabilities per token besides the token's own; None = none at all.
        echo: repeat the prompt in front of each completion, with its log-probabilities where those are asked for.
        prompt_logprobs: how many log-probabilities per token of the prompt, as vLLM gives them; None = none.
        extra: further members of the body, as they are.

    Raises WireError when the prompt is neither text nor token ids, or `extra` names a member that has a field.

    >>> TextRequest("m", [3, 5], max_tokens=0, echo=True, logprobs=0).body()["prompt"]
    [3, 5]
    """

    path: ClassVar[str] = "/completions"

    model: str
    prompt: str | list[int]
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    json_object: bool = False
    logprobs: int | None = None
    echo: bool = False
    prompt_logprobs: int | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        taken = _MEMBERS & set(self.extra)
        if taken:
            raise WireError(f"extra.{min(taken)}", "members that have no field of their own", "one that has")

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        body: dict[str, Any] = {"model": self.model, "prompt": self.prompt}
        if self.n != 1:
            body["n"] = self.n
        for name in ("temperature", "top_p", "max_tokens", "seed", "logprobs", "prompt_logprobs"):
            if getattr(self, name) is not None:
                body[name] = getattr(self, name)
        if self.stop:
            body["stop"] = list(self.stop)
        if self.echo:
            body["echo"] = True
        body |= response_format(self.schema, self.schema_name, self.json_object)
        return {**body, **self.extra}

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


_MEMBERS = {"model", "prompt", "n", "temperature", "top_p", "max_tokens", "stop", "seed", "response_format", "logprobs", "echo",
            "prompt_logprobs"}  # fmt: skip


def parse_text_request(body: bytes) -> TextRequest:
    """Read the body of a request, as a server does; members without a field of their own land in `extra`.

    Raises WireError that names the member that is missing or of the wrong type; several prompts at once are not read.

    >>> parse_text_request(b'{"model": "m", "prompt": "2+2="}').prompt
    '2+2='
    """
    members = need_object(decode_json(body), "body")
    for name in ("model", "prompt"):
        if name not in members:
            raise WireError(name, "a member of that name", "none")
    schema, schema_name, json_object = schema_of(members.get("response_format"))
    prompt = members["prompt"]
    return TextRequest(
        model=need_text(members["model"], "model"),
        prompt=prompt if isinstance(prompt, str) else list(need_list(prompt, "prompt", at_least=1)),
        n=1 if members.get("n") is None else need_count(members["n"], "n", at_least=1),
        temperature=optional_number(members, "temperature"),
        top_p=optional_number(members, "top_p"),
        max_tokens=_optional_count(members, "max_tokens"),
        stop=stops(members.get("stop")),
        seed=None if members.get("seed") is None else need_count(members["seed"], "seed", at_least=-(2**63)),
        schema=schema,
        schema_name=schema_name,
        json_object=json_object,
        logprobs=_optional_count(members, "logprobs"),
        echo=False if members.get("echo") is None else need_flag(members["echo"], "echo"),
        prompt_logprobs=_optional_count(members, "prompt_logprobs"),
        extra={name: value for name, value in members.items() if name not in _MEMBERS},
    )


def _optional_count(members: Mapping[str, Any], name: str) -> int | None:
    return None if members.get(name) is None else need_count(members[name], name)


def _check_prompt(prompt: Any) -> None:
    if isinstance(prompt, str):
        return
    for k, token in enumerate(need_list(prompt, "prompt", at_least=1)):
        need_count(token, f"prompt[{k}]")
