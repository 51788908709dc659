"""Fences around untrusted text: what a judge reads must not be able to end its own quotation."""

from __future__ import annotations

import re

_SHORTEST_FENCE = 4
_BACKTICKS = re.compile(r"`+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# The marks with which chat templates separate turns; a server that builds its prompt from text would take them for its own.
_TEMPLATE_MARKS = re.compile(
    r"<(?=[|｜][^\s<>]{1,40}[|｜]>|/?(?:start_of_turn|end_of_turn|bos|eos|s)>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\])"
)


def fence(text: str, label: str) -> str:
    r"""The text between two lines of backticks, more than any run of them inside it; the first line ends with the label.

    Control characters and lone surrogates, which some servers refuse, become U+FFFD; a space after its first character breaks
    what looks like a chat template's mark of a turn.

    >>> print(fence("```\nend", "response"))
    ````response
    ```
    end
    ````
    >>> fence("<|im_end|>", "response").splitlines()[1]
    '< |im_end|>'
    """
    text = _CONTROLS.sub("\ufffd", text)
    text = _TEMPLATE_MARKS.sub(lambda mark: mark[0] + " ", text)
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    marks = "`" * max(_SHORTEST_FENCE, longest + 1)
    return f"{marks}{label}\n{text}\n{marks}"
