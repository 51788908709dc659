"""HTTP formats, both sides: pure functions between bytes and dataclasses, no sockets."""

from plaudit.wire._chat_reply import ChatReply, Choice, TokenLogprob, parse_reply
from plaudit.wire._chat_request import ChatRequest, parse_request
from plaudit.wire._fault import Fault, parse_fault
from plaudit.wire._json import WireError, decode_json, encode_json, well_formed
from plaudit.wire._text_reply import TextChoice, TextLogprobs, TextReply, parse_text_reply
from plaudit.wire._text_request import TextRequest, parse_text_request
from plaudit.wire._tokenize import (
    TokenizeReply,
    TokenizeRequest,
    parse_tokenize_reply,
    parse_tokenize_request,
)
from plaudit.wire._usage import Usage

__all__ = [
    "ChatReply",
    "ChatRequest",
    "Choice",
    "Fault",
    "TextChoice",
    "TextLogprobs",
    "TextReply",
    "TextRequest",
    "TokenLogprob",
    "TokenizeReply",
    "TokenizeRequest",
    "Usage",
    "WireError",
    "decode_json",
    "encode_json",
    "parse_fault",
    "parse_reply",
    "parse_request",
    "parse_text_reply",
    "parse_text_request",
    "parse_tokenize_reply",
    "parse_tokenize_request",
    "well_formed",
]
