"""One request in the words that an endpoint understands, which its refusals teach."""

from __future__ import annotations

from dataclasses import replace

from plaudit.lm._endpoint import AttemptFailed, Endpoint, Structure
from plaudit.lm._structured import ask_for_json
from plaudit.wire import ChatRequest, TextRequest, TokenizeRequest

Request = ChatRequest | TextRequest | TokenizeRequest

_NEXT: dict[Structure, Structure] = {"json_schema": "json_object", "json_object": "prompt"}
_OF_FORMATS = ("response_format", "response format", "json_schema", "json_object", "structured output", "guided", "grammar")


def phrased(request: Request, endpoint: Endpoint, structured: str) -> Request:
    """The request in the words that this endpoint is known to understand; `structured` is the model's field."""
    if isinstance(request, TokenizeRequest):
        return request
    if isinstance(request, ChatRequest) and request.max_tokens is not None and endpoint.max_completion_tokens:
        request = replace(request, max_tokens_member="max_completion_tokens")
    structure = endpoint.structure if structured == "auto" else structured
    if request.schema is None or structure == "json_schema":
        return request
    json_object = structure == "json_object" and request.schema.get("type") == "object"
    if isinstance(request, ChatRequest):
        messages = ask_for_json(request.messages, request.schema)
        return replace(request, schema=None, json_object=json_object, messages=messages)
    (message,) = ask_for_json([{"role": "user", "content": request.prompt}], request.schema)
    return replace(request, schema=None, json_object=json_object, prompt=f"{message['content']}\n")


def learned(request: Request, failure: AttemptFailed, endpoint: Endpoint, structured: str) -> bool:
    """Whether the endpoint refused a member of the request that can be put in other words from now on."""
    if failure.status not in (400, 422) or failure.fault is None or isinstance(request, TokenizeRequest):
        return False
    said = f"{failure.fault.param} {failure.fault.message}".lower()
    old_name = isinstance(request, ChatRequest) and request.max_tokens_member == "max_tokens"
    if old_name and request.max_tokens is not None and "max_completion_tokens" in said:
        endpoint.max_completion_tokens = True
        return True
    asked: Structure | None = "json_schema" if request.schema is not None else "json_object" if request.json_object else None
    if asked is not None and structured == "auto" and any(word in said for word in _OF_FORMATS):
        if endpoint.structure == asked:  # else another call has learned it in the meantime
            endpoint.structure = _NEXT[asked]
        return True
    return False


def refused_ability(request: Request, failure: AttemptFailed) -> str | None:
    """The ability that the endpoint said it lacks; None = it said something else."""
    if isinstance(request, TokenizeRequest):
        return "tokenize" if failure.status in (404, 405, 501) else None
    said = "" if failure.fault is None else f"{failure.fault.param} {failure.fault.message}".lower()
    if failure.status not in (400, 404, 422, 501) or ("logprobs" not in said and "echo" not in said):
        return None
    if isinstance(request, TextRequest) and (request.prompt_logprobs is not None or request.echo):
        return "read"
    return "logprobs" if request.logprobs not in (None, False) else None
