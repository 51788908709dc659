"""HTTP formats, both sides: pure functions between bytes and dataclasses, no sockets."""

from plaudit.wire._chat_reply import ChatReply, Choice, TokenLogprob, Usage, parse_reply
from plaudit.wire._chat_request import ChatRequest, parse_request
from plaudit.wire._fault import Fault, parse_fault
from plaudit.wire._json import WireError, decode_json, encode_json, well_formed

__all__ = [
    "ChatReply",
    "ChatRequest",
    "Choice",
    "Fault",
    "TokenLogprob",
    "Usage",
    "WireError",
    "decode_json",
    "encode_json",
    "parse_fault",
    "parse_reply",
    "parse_request",
    "well_formed",
]
