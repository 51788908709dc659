"""Edits of a response that do not make it better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

Edit = Callable[[str], str]
"""From a response to another one that is no better."""


def keep_last_line(response: str) -> str:
    """The last line alone: the answer without its work.

    >>> keep_last_line("1+1=2\\n#### 2")
    '#### 2'
    """
    return response.rstrip("\n").rpartition("\n")[2]


def drop_last_line(response: str) -> str:
    """Everything but the last line: the work without its answer.

    >>> drop_last_line("1+1=2\\n#### 2")
    '1+1=2'
    """
    return response.rstrip("\n").rpartition("\n")[0]


def repeat_first_line(response: str) -> str:
    """The first line three times more: padding with what is already there.

    >>> repeat_first_line("a\\nb")
    'a\\na\\na\\na\\nb'
    """
    first, newline, rest = response.partition("\n")
    return (first + "\n") * 3 + first + newline + rest


def repeat_last_line(response: str) -> str:
    """The last line twice: saying it again.

    >>> repeat_last_line("a\\nb")
    'a\\nb\\nb'
    """
    return response.rstrip("\n") + "\n" + keep_last_line(response)


def reverse_lines_above_answer(response: str) -> str:
    """The work in the opposite order above the same answer.

    >>> reverse_lines_above_answer("a\\nb\\n#### 1")
    'b\\na\\n#### 1'
    """
    *work, last = response.rstrip("\n").split("\n")
    return "\n".join([*reversed(work), last])


def put_before(text: str) -> Edit:
    """An edit that writes `text` on lines of its own above the response.

    >>> put_before("1*1=1")("#### 2")
    '1*1=1\\n#### 2'
    """
    return lambda response: f"{text}\n{response}"


def put_after(text: str) -> Edit:
    """An edit that writes `text` behind the response, as a paragraph of its own.

    >>> put_after("That is certain.")("4")
    '4\\n\\nThat is certain.'
    """
    return lambda response: f"{response}\n\n{text}"


LINE_EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "answer only": keep_last_line,
        "first line repeated": repeat_first_line,
        "last line repeated": repeat_last_line,
        "lines reversed": reverse_lines_above_answer,
        "true filler line": put_before("1*1=1"),
        "three true filler lines": put_before("1*1=1\n1+1=2\n2*1=2"),
    }
)
"""Edits of solutions written line by line with the answer on the last line."""

PROSE_EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "said twice": lambda response: f"{response}\n\n{response}",
        "confident close": put_after(
            "I have checked every part of this carefully, and I am certain that it is complete and correct."
        ),
        "polite opening": put_before("What a thoughtful question! Here is a clear, detailed and accurate answer.\n"),
        "promise of steps": put_before("Let us go through this step by step, so that nothing is missed.\n"),
        "bullets": lambda response: "\n".join(f"- **{line}**" if line.strip() else line for line in response.split("\n")),
        "first half only": lambda response: response[: max(1, len(response) // 2)],
    }
)
"""Edits of prose: longer, more confident, more decorated or cut, never more correct."""
