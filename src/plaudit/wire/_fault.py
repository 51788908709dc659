"""Error bodies: what a server says when it refuses. Every server has its own shape, so these are read leniently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plaudit.wire._json import WireError, decode_json, encode_json, well_formed

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """A server's refusal.

    Fields:
        message: what it says, at most 500 characters of printable text; empty = it says nothing.
        type, code, param: the format's own classification and the request's member that is to blame; None = not said.

    >>> parse_fault(Fault("too long", code="context_length_exceeded").encode()).code
    'context_length_exceeded'
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def encode(self) -> bytes:
        """The UTF-8 bytes that are sent."""
        return encode_json(self.body())


def parse_fault(body: bytes) -> Fault:
    """Read an error body: the standard's ``{"error": {…}}``, flat and FastAPI's shapes, or any text. Never raises.

    >>> parse_fault(b'{"detail": "Not Found"}').message
    'Not Found'
    >>> parse_fault(b"<html>502 <b>Bad Gateway</b></html>").message
    '502 Bad Gateway'
    """
    try:
        value = decode_json(body)
    except WireError:
        return Fault(_clean(re.sub(r"<[^<>]{0,1000}>", " ", body[:20_000].decode(errors="replace"))))
    if not isinstance(value, Mapping):
        return Fault(_clean(str(value)))
    error = value.get("error")
    inner = error if isinstance(error, Mapping) else value
    named = {name: str(inner[name]) for name in ("type", "code", "param") if isinstance(inner.get(name), (str, int))}
    return Fault(fault_message(value) or _clean(body[:2000].decode(errors="replace")), **named)


def fault_message(members: Mapping[str, Any]) -> str | None:
    """The message inside an error object; None when it is none."""
    error = members.get("error")
    for place in (error, members):
        if isinstance(place, str):
            return _clean(place)
        if isinstance(place, Mapping):
            for name in ("message", "detail"):
                if place.get(name):
                    return _clean(str(place[name]))
    return None


def _clean(text: str) -> str:
    words = " ".join(well_formed(text[: 4 * _LONGEST]).split())
    text = "".join(c for c in words if c.isprintable())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
