"""One string names an encoder everywhere: ``encoder:minilm``, ``encoder:hf:NAME?pooling=cls``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl

from plaudit import catalog
from plaudit.errors import SpecError
from plaudit.lm._embedding_cache import CachedEncoder, EmbeddingCache
from plaudit.lm._encoder import TextEncoder
from plaudit.types import Encoder


def resolve_encoder(address: str) -> Encoder:
    """The encoder that an address names, through the catalogue's group ``plaudit.encoders``.

    Options are fields of `TextEncoder`; with ``cache=FOLDER`` the vectors are kept in an `EmbeddingCache`.

    Raises SpecError for an address without ``encoder:``, an unknown name, an unknown, repeated or ill-typed option; what
    `TextEncoder` raises.

    >>> resolve_encoder("encoder:minilm?dtype=float32&max_tokens=64").max_tokens
    64
    """
    scheme, _, rest = address.partition(":")
    name, _, inner = rest.partition(":")
    bare, question, query = name.partition("?")
    if scheme != "encoder" or not bare:
        raise SpecError(f"encoder address {address!r}: expected 'encoder:minilm' or 'encoder:hf:NAME_OR_FOLDER'")
    factory: Callable[[str], Encoder] = catalog.load(catalog.ENCODERS, bare)
    # A colon may also stand in an option's value.
    return factory(question + query + (f":{inner}" if ":" in rest else "") if question else inner)


def minilm_encoder(rest: str) -> Encoder:
    """The encoder of an address ``encoder:minilm`` or ``encoder:minilm?OPTION=VALUE&…``; `rest` is what follows the name."""
    if not rest.startswith("?") and rest:
        raise SpecError(f"encoder address 'encoder:minilm:{rest}': expected nothing or '?OPTION=VALUE&…' after 'minilm'")
    return _encoder("minilm", rest.removeprefix("?"))


def hf_encoder(rest: str) -> Encoder:
    """The encoder of an address ``encoder:hf:NAME_OR_FOLDER?OPTION=VALUE&…``; `rest` begins with the name."""
    name, _, query = rest.partition("?")
    if not name:
        raise SpecError("encoder address 'encoder:hf:': expected a name on the model hub, or a folder, behind it")
    return _encoder(f"hf:{name}", query)


def _encoder(model: str, query: str) -> Encoder:
    known = {f.name: str(f.type) for f in fields(TextEncoder) if f.init and f.name != "model"}
    shown = f"encoder address 'encoder:{model}?…'"
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=100) if query else []
    except ValueError as error:
        raise SpecError(f"{shown}: the options cannot be read ({error}): expected NAME=VALUE&…") from error
    options: dict[str, Any] = {}
    for option, text in pairs:
        if option not in known and option != "cache":
            raise SpecError(f"{shown}: unknown option {option!r}{catalog.nearest(option, [*known, 'cache'])}")
        if option in options:
            raise SpecError(f"{shown}: {option!r} is given twice")
        options[option] = _value(shown, option, text, known.get(option, "str"))
    folder = options.pop("cache", None)
    encoder = TextEncoder(model, **options)
    return encoder if folder is None else CachedEncoder(encoder, EmbeddingCache(folder))


def _value(shown: str, option: str, text: str, kind: str) -> Any:
    if kind.startswith("bool"):
        if text not in ("true", "false"):
            raise SpecError(f"{shown}: {option} is {text!r}: expected true or false")
        return text == "true"
    if kind.startswith("int"):
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise SpecError(f"{shown}: {option} is {text!r}: expected a whole number")
        return int(text)
    return text
