"""One prompt with one response, as every reward reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.types._display import Displayed, shown

Message = Mapping[str, Any]
"""A Chat Completions message: ``{"role": ..., "content": ..., "tool_calls": ..., "reasoning_content": ...}``."""

Finish = Literal["stop", "length", "tool", "error"]

_NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample(Displayed):
    """A prompt, a response to it, and what a reward may need to judge the response.

    Fields:
        prompt: text, or Chat Completions messages. Media parts carry ``{uri, sha256}``.
        response: the completion; messages for multi-turn and tool trajectories.
        reference: gold answer(s), unit tests, schema, documents: the reward says what. None = there is none.
        id: identity of the row, for joins and resume. Never part of a cache key.
        group: samples of one prompt share it. None = the prompt itself names the group.
        group_size: how many the trainer drew for this prompt. None = unknown: all rows of the group in the call.
        tokens: (T,) response token ids as sampled; the only basis of token positions.
        logprobs: (T,) log-probabilities of `tokens` under the sampling policy.
        tools: the tool schemas offered to the policy.
        finish: why generation stopped. ``"error"``: every reward is FAILED with ``rollout_failed``.
        meta: other columns, JSON values.

    Raises TypeError when prompt or response is neither text nor messages.

    >>> Sample("2+2=", "4", reference="4").response
    '4'
    """

    prompt: str | Sequence[Message]
    response: str | Sequence[Message]
    reference: Any = None
    id: str | None = None
    group: str | None = None
    group_size: int | None = None
    tokens: NDArray[np.integer[Any]] | None = None
    logprobs: NDArray[np.floating[Any]] | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    finish: Finish | None = None
    meta: Mapping[str, Any] = field(default_factory=lambda: _NO_COLUMNS)

    def __post_init__(self) -> None:
        if type(self.prompt) is not str:
            _check_messages("prompt", self.prompt)
        if type(self.response) is not str:
            _check_messages("response", self.response)

    def __repr__(self) -> str:
        words = [_short(self.prompt), _short(self.response)]
        words += [f"reference={shown(self.reference)}"] if self.reference is not None else []
        words += [f"{name}={shown(v)}" for name in ("id", "group", "finish") if (v := getattr(self, name)) is not None]
        words += [f"tokens=({len(self.tokens)},)"] if self.tokens is not None else []
        return f"Sample({', '.join(words)})"

    def __reduce__(self) -> tuple[Any, ...]:
        meta = dict(self.meta)
        return Sample, (
            self.prompt, self.response, self.reference, self.id, self.group, self.group_size,
            self.tokens, self.logprobs, self.tools, self.finish, meta,
        )  # fmt: skip


def _short(text: str | Sequence[Message]) -> str:
    return shown(text) if isinstance(text, str) else f"<{len(text)} messages>"


def _check_messages(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if isinstance(value, Mapping) or not isinstance(value, Sequence):
        raise TypeError(f"Sample.{name} is {type(value).__name__}: expected text, or a sequence of chat messages")
    for k, message in enumerate(value):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise TypeError(f"Sample.{name}[{k}] is {type(message).__name__}: expected a mapping with a 'role'")
