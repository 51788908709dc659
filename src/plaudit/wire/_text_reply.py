"""Completions replies: built by the server, parsed by the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from plaudit.wire._fault import fault_message
from plaudit.wire._json import (
    WireError,
    decode_json,
    describe,
    encode_json,
    need_count,
    need_list,
    need_number,
    need_object,
    need_text,
    optional_text,
)
from plaudit.wire._usage import Usage, usage_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TextLogprobs:
    """Tokens of a completion with their log-probabilities; with ``echo`` those of the prompt come first.

    Fields:
        tokens: what the server calls them: their text, or ``token_id:17`` where ids were asked for.
        logprobs: natural logarithms; None for a token that has none, as the first one of a prompt.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]

    def body(self) -> dict[str, Any]:
        """The member ``logprobs``."""
        return {"tokens": list(self.tokens), "token_logprobs": list(self.logprobs), "top_logprobs": None}


@dataclass(frozen=True, slots=True)
class TextChoice:
    """One completion of a reply.

    Fields:
        text: the completion; with ``echo`` behind the prompt.
        finish_reason: ``"stop"``, ``"length"`` or a server's own word; None = not said.
        logprobs: None = not given.
        prompt_logprobs: for each token of the prompt its candidates' ids with their log-probabilities, the token itself among
            them; None for a token without, as the first one. None altogether = not given.
    """

    text: str
    finish_reason: str | None = "stop"
    logprobs: TextLogprobs | None = None
    prompt_logprobs: tuple[Mapping[int, float] | None, ...] | None = None

    def body(self, index: int) -> dict[str, Any]:
        """The entry of ``choices`` with that index."""
        body: dict[str, Any] = {"index": index, "text": self.text, "finish_reason": self.finish_reason}
        body["logprobs"] = None if self.logprobs is None else self.logprobs.body()
        if self.prompt_logprobs is not None:
            body["prompt_logprobs"] = [
                None if entry is None else {str(token): {"logprob": logprob} for token, logprob in entry.items()}
                for entry in self.prompt_logprobs
            ]
        return body


@dataclass(frozen=True, slots=True)
class TextReply:
    """A reply with at least one choice, in the order of their indices.

    Fields:
        model: the model that the server says has answered.
        choices: the completions.
        usage: None = the server does not count tokens.
        id, created: the server's name for this reply and its Unix time.

    >>> parse_text_reply(TextReply("m", (TextChoice("4"),)).encode()).choices[0].text
    '4'
    """

    model: str
    choices: tuple[TextChoice, ...]
    usage: Usage | None = None
    id: str = ""
    created: int = 0

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        body: dict[str, Any] = {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}
        body["choices"] = [choice.body(k) for k, choice in enumerate(self.choices)]
        if self.usage is not None:
            body["usage"] = self.usage.body()
        return body

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


def parse_text_reply(body: bytes) -> TextReply:
    """Read the body of a reply, as a client does. Nothing is guessed: wrong types and missing members are errors.

    Raises WireError that names the member; for an error object that came with a status of success, it repeats its message.
    """
    members = need_object(decode_json(body), "body")
    return TextReply(choices=choices_of(members, _choice), **frame_of(members))


def choices_of(members: Mapping[str, Any], read: Callable[[Mapping[str, Any], str], T]) -> tuple[T, ...]:
    """The entries of ``choices``, at least one, each read by `read(entry, place)`, in the order of their indexes.

    Raises WireError, with the message of an error object where the body is one.
    """
    if "choices" not in members:
        message = fault_message(members)
        raise WireError("choices", "a member of that name", "none" if message is None else f"an error object: {message}")
    choices: dict[int, T] = {}
    for k, entry in enumerate(need_list(members["choices"], "choices", at_least=1)):
        index = need_count(need_object(entry, f"choices[{k}]").get("index", k), f"choices[{k}].index")
        if index in choices:
            raise WireError(f"choices[{k}].index", "an index of its own", "one that another choice has")
        choices[index] = read(entry, f"choices[{k}]")
    return tuple(choices[index] for index in sorted(choices))


def frame_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """What a reply says beside its choices: model, usage, id, created. Raises WireError for wrong types."""
    return {
        "model": need_text(members.get("model", ""), "model"),
        "usage": usage_of(members.get("usage")),
        "id": need_text(members.get("id", ""), "id"),
        "created": need_count(members.get("created", 0), "created"),
    }


def _choice(entry: Mapping[str, Any], field: str) -> TextChoice:
    return TextChoice(
        need_text(entry.get("text"), f"{field}.text"),
        optional_text(entry.get("finish_reason"), f"{field}.finish_reason"),
        _logprobs(entry.get("logprobs"), f"{field}.logprobs"),
        _prompt_logprobs(entry.get("prompt_logprobs"), f"{field}.prompt_logprobs"),
    )


def _logprobs(value: Any, field: str) -> TextLogprobs | None:
    if value is None or need_object(value, field).get("token_logprobs") is None:
        return None
    numbers = need_list(value["token_logprobs"], f"{field}.token_logprobs")
    tokens = need_list(value.get("tokens"), f"{field}.tokens")
    if len(tokens) != len(numbers):
        raise WireError(f"{field}.tokens", f"{len(numbers)} tokens, one for each log-probability", describe(tokens))
    return TextLogprobs(
        tuple(need_text(token, f"{field}.tokens[{k}]") for k, token in enumerate(tokens)),
        tuple(None if x is None else need_number(x, f"{field}.token_logprobs[{k}]") for k, x in enumerate(numbers)),
    )


def _prompt_logprobs(value: Any, field: str) -> tuple[Mapping[int, float] | None, ...] | None:
    if value is None:
        return None
    entries = enumerate(need_list(value, field))
    return tuple(None if entry is None else _candidates(entry, f"{field}[{k}]") for k, entry in entries)


def _candidates(entry: Any, field: str) -> dict[int, float]:
    found: dict[int, float] = {}
    for name, candidate in need_object(entry, field).items():
        if not (name.isascii() and name.isdecimal() and len(name) < 12):
            raise WireError(field, "token ids as names", f"text of {len(name)} characters")
        # vLLM wraps the number in an object, older servers give it bare.
        number = candidate.get("logprob") if isinstance(candidate, Mapping) else candidate
        found[int(name)] = need_number(number, f"{field}.{name}")
    return found
