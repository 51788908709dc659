"""Members that the requests for chats and for completions share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plaudit.wire._json import WireError, describe, need_list, need_number, need_object, need_text


def response_format(schema: Mapping[str, Any] | None, name: str, json_object: bool) -> dict[str, Any]:
    """The member ``response_format`` that asks for a schema or for any JSON object; nothing for free text.

    Raises WireError when both are asked for.

    >>> response_format(None, "reply", json_object=True)
    {'response_format': {'type': 'json_object'}}
    """
    if schema is not None:
        if json_object:
            raise WireError("json_object", "a schema or any object", "both")
        named = {"name": name, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    return {"response_format": {"type": "json_object"}} if json_object else {}


def schema_of(value: Any) -> tuple[Mapping[str, Any] | None, str, bool]:
    """Schema, its name, and whether any JSON object is asked for, out of the member ``response_format``.

    Raises WireError for another type of format.
    """
    if value is None:
        return None, "reply", False
    kind = need_object(value, "response_format").get("type")
    if kind in ("text", "json_object"):
        return None, "reply", kind == "json_object"
    if kind != "json_schema":
        raise WireError("response_format.type", "'text', 'json_object' or 'json_schema'", describe(kind))
    named = need_object(value.get("json_schema"), "response_format.json_schema")
    name = need_text(named.get("name"), "response_format.json_schema.name")
    return need_object(named.get("schema"), "response_format.json_schema.schema"), name, False


def optional_number(members: Mapping[str, Any], name: str) -> float | None:
    """The number of that name; None where there is none."""
    return None if members.get(name) is None else need_number(members[name], name)


def stops(value: Any) -> tuple[str, ...]:
    """The member ``stop``: one text or a list of texts."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(need_text(text, f"stop[{k}]") for k, text in enumerate(need_list(value, "stop")))
