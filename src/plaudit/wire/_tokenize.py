"""``/tokenize``: a text or a conversation in token ids, as vLLM, SGLang and llama.cpp give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from plaudit.wire._json import WireError, decode_json, encode_json, need_count, need_flag, need_list, need_object, need_text


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    """A request for the token ids of a text, or of a conversation rendered up to the place where the answer begins.

    Fields:
        model: name of the model at the endpoint.
        prompt: a text, or the messages of a conversation.
        special: with the special tokens that open a text (a conversation's template brings its own).

    >>> TokenizeRequest("m", "2+2=").body()["add_special_tokens"]
    True
    """

    path: ClassVar[str] = "/tokenize"

    model: str
    prompt: str | Sequence[Mapping[str, Any]]
    special: bool = True

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent; a text goes under the names of vLLM and of llama.cpp."""
        if not isinstance(self.prompt, str):
            return {"model": self.model, "messages": [dict(m) for m in self.prompt], "add_generation_prompt": True}
        text = {"prompt": self.prompt, "content": self.prompt}
        return {"model": self.model, **text, "add_special_tokens": self.special, "add_special": self.special}

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


def parse_tokenize_request(body: bytes) -> TokenizeRequest:
    """Read the body of a request, as a server does.

    Raises WireError that names the member that is missing or of the wrong type.

    >>> parse_tokenize_request(b'{"model": "m", "prompt": "hi", "add_special_tokens": false}').special
    False
    """
    members = need_object(decode_json(body), "body")
    model = need_text(members.get("model", ""), "model")
    if "messages" in members:
        messages = need_list(members["messages"], "messages", at_least=1)
        return TokenizeRequest(model, [need_object(m, f"messages[{k}]") for k, m in enumerate(messages)])
    special = need_flag(members.get("add_special_tokens", True), "add_special_tokens")
    return TokenizeRequest(model, need_text(members.get("prompt"), "prompt"), special)


@dataclass(frozen=True, slots=True)
class TokenizeReply:
    """Token ids.

    >>> parse_tokenize_reply(TokenizeReply((3, 5)).encode()).tokens
    (3, 5)
    """

    tokens: tuple[int, ...]

    @property
    def usage(self) -> None:
        """Counting tokens is not counted."""
        return

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        return {"count": len(self.tokens), "tokens": list(self.tokens)}

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


def parse_tokenize_reply(body: bytes) -> TokenizeReply:
    """Read the body of a reply, as a client does.

    Raises WireError that names the member; also when the server counts other tokens than it gives.
    """
    members = need_object(decode_json(body), "body")
    if "tokens" not in members:
        raise WireError("tokens", "a member of that name", "none")
    tokens = tuple(need_count(t, f"tokens[{k}]") for k, t in enumerate(need_list(members["tokens"], "tokens")))
    if need_count(members.get("count", len(tokens)), "count") != len(tokens):
        raise WireError("count", f"{len(tokens)}, as many as there are tokens", "another number")
    return TokenizeReply(tokens)
