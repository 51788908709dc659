"""One string names a language model everywhere: ``SCHEME:REST``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl

from plaudit import catalog
from plaudit.errors import SpecError
from plaudit.lm._openai import OpenAIModel
from plaudit.types import LanguageModel


def resolve(address: str) -> LanguageModel:
    """The language model that an address names, through the catalogue's group ``plaudit.models``.

    Raises SpecError for an address without a scheme, an unknown scheme, ``policy:`` (which only a context can resolve:
    `model_for`), or options that the back end does not have.

    >>> resolve("openai:gpt-x?timeout=5").timeout
    5.0
    """
    scheme, colon, rest = address.partition(":")
    if not colon or not scheme:
        raise SpecError(f"model address {address!r}: expected SCHEME:NAME, for example 'openai:gpt-4o-mini'")
    if scheme == "policy":
        raise SpecError(
            f"{address!r} is a model of the call's context: use model_for(address, context) with Context(models={{...}})"
        )
    factory: Callable[[str], LanguageModel] = catalog.load(catalog.MODELS, scheme)
    return factory(rest)


def openai_model(rest: str) -> OpenAIModel:
    """The model of an address ``openai:NAME`` or ``openai:NAME?OPTION=VALUE&…``, where an option is a field of `OpenAIModel`.

    Raises SpecError for an unknown or repeated option and for a value of the wrong type.

    >>> openai_model("Qwen/Qwen3-8B?base_url=http://localhost:8000/v1&max_in_flight=8").max_in_flight
    8
    """
    name, _, query = rest.partition("?")
    known = {f.name: f for f in fields(OpenAIModel) if f.init and f.name != "model"}
    options: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=100) if query else []
    except ValueError as error:
        raise SpecError(
            f"model address 'openai:{name}?…': the options cannot be read ({error}): expected NAME=VALUE&…"
        ) from error
    for option, text in pairs:
        if option not in known:
            raise SpecError(f"model address 'openai:{name}?…': unknown option {option!r}{catalog.nearest(option, list(known))}")
        if option in options:
            raise SpecError(f"model address 'openai:{name}?…': {option!r} is given twice")
        options[option] = _value(option, text, str(known[option].type))
    return OpenAIModel(name, **options)


def _value(option: str, text: str, kind: str) -> Any:
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise SpecError(f"model address: option {option} is {text!r}: expected true or false")
        return text.lower() == "true"
    read: Callable[[str], Any] = int if kind.startswith("int") else float if kind.startswith("float") else str
    try:
        return read(text)
    except ValueError as error:
        raise SpecError(
            f"model address: option {option} is {text!r}: expected {'a whole number' if read is int else 'a number'}"
        ) from error
