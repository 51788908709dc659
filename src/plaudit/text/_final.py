"""What is read of a response: the last assistant message after its thinking part, or everything the policy wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from plaudit.errors import DataError
from plaudit.types import Message, Sample

Read = Literal["final", "whole"]
"""``"final"``: the last assistant message after its thinking part. ``"whole"``: everything the policy wrote."""

OPEN, CLOSE = "<think>", "</think>"


def final_text(sample: Sample, read: Read = "final") -> str | None:
    """The text of a response that a reward reads; None = the response ends inside its thinking part and has no answer.

    ``read="final"`` is the last assistant message. Its thinking part is left out: what stands in ``reasoning_content`` (or
    ``reasoning``), and inline thinking up to the last ``</think>``, whether the response wrote the opening tag or the
    prompt's template did. A thinking part that never ends leaves no answer: a ``<think>`` after the last ``</think>``; a
    prompt that ends with ``<think>`` and a response without ``</think>``; a message with reasoning and nothing else.

    ``read="whole"`` is everything the policy wrote: a response that is text, unchanged; for messages, every assistant
    message with a line feed between them, each rendered as ``<think>``, line feed, reasoning, line feed, ``</think>``,
    line feed (only where it has separate reasoning), then its content, then one line ``<tool_call>JSON</tool_call>`` for
    each tool call. Turns of the user and of tools are not the policy's words and are left out. It is never None.

    Empty text means that nothing was written: no assistant message, or no content.
    Raises ValueError for another `read`, and DataError when a message's content is neither text nor parts.

    >>> final_text(Sample("2+2=", "<think>2+2 is 5? No, 4.</think>It is 4."))
    'It is 4.'
    >>> final_text(Sample("2+2=", "<think>2+2 is")) is None
    True
    """
    response = sample.response
    if read == "final":
        if isinstance(response, str):
            return after_thinking(response, sample.prompt)
        return _final_message(response, sample.prompt)
    if read == "whole":
        return response if isinstance(response, str) else "\n".join(_render(m, k) for k, m in _assistant(response))
    raise ValueError(f"read is {read!r}: expected 'final' or 'whole'")


def after_thinking(text: str, prompt: str | Sequence[Message]) -> str | None:
    """What follows the last ``</think>``; None when the thinking part never ends."""
    close = text.rfind(CLOSE)
    if close >= 0:
        start = close + len(CLOSE)
        return None if text.find(OPEN, start) >= 0 else text[start:]
    return None if OPEN in text or opens_in_thought(prompt) else text


def opens_in_thought(prompt: str | Sequence[Message]) -> bool:
    """Whether the prompt itself ends with ``<think>``, so that the response begins inside its thinking part.

    A chat template that adds the tag when it renders messages cannot be seen here.

    >>> opens_in_thought("2+2=<think>\\n"), opens_in_thought("2+2=")
    (True, False)
    """
    if not isinstance(prompt, str):
        # Messages that end with an assistant turn are a prefill that the response continues.
        if not prompt or prompt[-1]["role"] != "assistant":
            return False
        prompt = message_text(prompt[-1])
    return prompt[-16:].rstrip().endswith(OPEN)


def message_text(message: Message, place: str = "message") -> str:
    """A message's content as text: text parts joined as they stand; reasoning, images and other parts left out.

    Raises DataError when the content is neither text, None nor a list of parts; `place` names the message in it.

    >>> message_text({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "…"}]})
    'a'
    """
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise DataError(f"{place}['content'] is {type(content).__name__}: expected text, None or a list of parts")
    return "".join(_part_text(part, f"{place}['content'][{k}]") for k, part in enumerate(content))


def _part_text(part: Any, place: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise DataError(f"{place} is {type(part).__name__}: expected text, or a part such as {{'type': 'text', 'text': '…'}}")
    # "output_text" is the Responses protocol's word for the same part.
    if part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text", "")
    if not isinstance(text, str):
        raise DataError(f"{place}['text'] is {type(text).__name__}: expected text")
    return text


def _assistant(response: Sequence[Message]) -> list[tuple[int, Message]]:
    return [(k, message) for k, message in enumerate(response) if message["role"] == "assistant"]


def _final_message(response: Sequence[Message], prompt: str | Sequence[Message]) -> str | None:
    for k in range(len(response) - 1, -1, -1):
        message = response[k]
        if message["role"] != "assistant":
            continue
        content = message_text(message, f"Sample.response[{k}]")
        reasoning = _reasoning(message, k)
        if reasoning and not content.strip() and not message.get("tool_calls"):
            return None
        # Only the first message continues the prompt, and only where the server has not already taken the thinking out.
        return after_thinking(content, prompt if k == 0 and not reasoning else "")
    return ""


def _reasoning(message: Message, k: int) -> str:
    for name in ("reasoning_content", "reasoning"):
        text = message.get(name)
        if text is None:
            continue
        if not isinstance(text, str):
            raise DataError(f"Sample.response[{k}][{name!r}] is {type(text).__name__}: expected text")
        return text
    return ""


def _render(message: Message, k: int) -> str:
    content = message_text(message, f"Sample.response[{k}]")
    reasoning = _reasoning(message, k)
    head = f"{OPEN}\n{reasoning}\n{CLOSE}\n" if reasoning else ""
    calls = [f"<tool_call>{_call_json(call)}</tool_call>" for call in message.get("tool_calls") or ()]
    return head + "\n".join(([content] if content or not calls else []) + calls)


def _call_json(call: Any) -> str:
    called = call.get("function", call) if isinstance(call, Mapping) else call
    return json.dumps(called, ensure_ascii=False, default=str)
