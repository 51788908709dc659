"""Where a prompt ends and a response begins."""

from __future__ import annotations

from typing import Any, NamedTuple

from plaudit.records._layout import text_or_messages
from plaudit.records._rejected import RowError

_ASKING = ("user", "system", "developer")
_TURN = "\n\nAssistant:"


def split_messages(name: str, chat: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A whole chat as (prompt, response): the response is all after the last user (or system) message, tool calls included.

    Raises RowError when nothing follows it.

    >>> split_messages("messages", [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}])
    ([{'role': 'user', 'content': '2+2?'}], [{'role': 'assistant', 'content': '4'}])
    """
    start = max((k + 1 for k, message in enumerate(chat) if message["role"] in _ASKING), default=0)
    if start == len(chat):
        what = f"ends with a {chat[-1]['role']!r} message" if chat else "is empty"
        raise RowError(name, f"{what}: expected the response after the last user message")
    return chat[:start], chat[start:]


class SplitPair(NamedTuple):
    """A preference row's prompt and responses; `prompt_used` says whether its prompt column was the prompt."""

    prompt: Any
    chosen: Any
    rejected: Any
    prompt_used: bool


def split_pair(prompt: Any, chosen: Any, rejected: Any, names: tuple[str, str, str]) -> SplitPair:
    """What is prompt and what is response in a preference row; `names` are the three columns, for messages.

    Without a prompt, or when chosen and rejected are whole chats (they begin with a user or system message), the prompt is what
    the two have in common: leading messages, or text up to the last "Assistant:" turn. Plain texts without such a turn are the
    whole texts to compare, with an empty prompt. Raises RowError.
    """
    chosen, rejected = text_or_messages(names[1], chosen), text_or_messages(names[2], rejected)
    chats = type(chosen) is list and type(rejected) is list
    whole = chats and all(side and side[0]["role"] in _ASKING for side in (chosen, rejected))
    if prompt is not None and not whole:
        return SplitPair(prompt_of(prompt, names[0]), chosen, rejected, True)
    if type(chosen) is not type(rejected):
        raise RowError(names[0], "is missing, and one of chosen and rejected is text, the other messages: add the prompt")
    cut = _common_messages(chosen, rejected) if chats else _common_turns(chosen, rejected)
    if chats and (cut == len(chosen) or cut == len(rejected)):
        short = names[1] if cut == len(chosen) else names[2]
        raise RowError(short, "holds nothing after what chosen and rejected have in common: expected a response of its own")
    return SplitPair(chosen[:cut], chosen[cut:], rejected[cut:], False)


def _common_messages(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> int:
    """How many leading messages two chats share; when one chat ends there, only up to the last user message among them."""
    same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if same < min(len(a), len(b)):
        return same
    return max((k + 1 for k in range(same) if a[k]["role"] in _ASKING), default=0)


def _common_turns(a: str, b: str) -> int:
    """Where the first differing turn of two ``Human: … Assistant: …`` texts begins; 0 without such turns."""
    turn = a.rfind(_TURN)
    while turn >= 0 and a[: turn + len(_TURN)] != b[: turn + len(_TURN)]:
        turn = a.rfind(_TURN, 0, turn)
    return turn + len(_TURN) if turn >= 0 else 0


def prompt_of(value: Any, name: str) -> Any:
    """The prompt column of a row; an empty list of messages is refused. Raises RowError."""
    prompt = text_or_messages(name, value)
    if prompt == []:
        raise RowError(name, "is an empty list: expected text or at least one message")
    return prompt


def steps_of(name: str, value: Any, labels: Any, labels_name: str) -> list[str]:
    """The steps of a stepwise row: a list of texts with as many labels. Raises RowError."""
    if type(value) is not list or not all(type(step) is str for step in value):
        raise RowError(name, "with labels it is one stepwise response: expected a list of texts")
    if type(labels) is not list or len(labels) != len(value):
        found = f"{len(labels)} entries" if type(labels) is list else "no list"
        raise RowError(labels_name, f"has {found} for {len(value)} steps: expected one label for each step")
    if not value:
        raise RowError(name, "is an empty list: expected at least one step")
    return value
