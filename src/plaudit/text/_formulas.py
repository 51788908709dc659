"""The last formula of a text, where a text ends with one instead of a number."""

from __future__ import annotations

import re
from collections import deque

from plaudit.text._answer import Answer, answer_at

_NEAR = 2_000
"""Characters at the end of the text that are searched for a formula."""

# An opening dollar sign is followed by a character, a closing one stands behind one and in front of no digit: not "$5 or $6".
_FORMULA = re.compile(
    r"\$\$(?P<display>[^$]+)\$\$|(?<![\\$])\$(?P<inline>(?!\s)[^$]*[^\s$\\]|[^$]*\\[A-Za-z][^$]*)\$(?![\d$])|\\\((?P<round>.+?)\\\)|\\\[(?P<square>.+?)\\\]",
    re.DOTALL,
)
_SIGN = re.compile(r"[\\^_=<>+*/()\[\]{}|-]|[A-Za-z]")


def last_formula(text: str) -> Answer | None:
    r"""The last formula between dollar signs or LaTeX brackets, unless a digit stands behind it; None = there is none.

    >>> last_formula(r"So the solution is $x \neq 5$.").text
    'x \\neq 5'
    """
    first = max(0, len(text) - _NEAR)
    found = deque(_FORMULA.finditer(text, first), maxlen=1)
    last = found[0] if found else None
    if last is None or last.lastgroup is None or any("0" <= char <= "9" for char in text[last.end() :]):
        return None
    start, end = last.span(last.lastgroup)
    return answer_at(text, start, end, "formula") if _SIGN.search(text, start, end) else None
