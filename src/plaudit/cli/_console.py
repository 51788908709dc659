"""Where the commands write: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.text import Text

_HIDDEN = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}
# Marks that reorder or hide what stands beside them: a response must not draw a false picture of itself.
_HIDDEN |= {code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF)}


class _Output(Console):
    def on_broken_pipe(self) -> None:
        # Rich would end the process here; what a reader that went away means is decided in one place.
        raise BrokenPipeError


def output() -> Console:
    """Standard output, for results."""
    return _Output(highlight=False, emoji=False)


def notices() -> Console:
    """Standard error, for progress, warnings and errors."""
    return Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """One JSON document in ASCII on standard output; NaN and infinities are null."""
    print(json.dumps(plain(value), indent=2, allow_nan=False))


def warn(message: str) -> None:
    """A line on standard error."""
    # Not broken into lines: what stands in a log should be found by searching for it.
    notices().print(Text.assemble(("warning: ", "yellow"), visible(message)), soft_wrap=True)


def visible(text: str, limit: int | None = None) -> str:
    """Text of unknown origin, safe to print: control characters and reordering marks are spelt out, long text is cut.

    >>> visible("a\\x1b[31m red", limit=8)
    'a\\\\x1b[3…'
    """
    if limit is not None and len(text) > 4 * limit:
        text = text[: 4 * limit]
    shown = text.translate(_HIDDEN)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def as_text(value: Any) -> str:
    """A prompt, response or reference as text; of a chat, who said what.

    >>> as_text([{"role": "user", "content": "hi"}])
    'user: hi'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(m, dict) and "role" in m for m in value):
        return " ".join(f"{m['role']}: {m.get('content')}" for m in value)
    return str(value)


def one_line(text: str, limit: int) -> str:
    """The beginning of a text on one line: runs of white space are one space."""
    return visible(" ".join(text[: 8 * limit].split()), limit)


def prose(text: str) -> str:
    """Words of a docstring without the marks around its code.

    >>> prose("up to ``max - 1`` of `max`")
    'up to max - 1 of max'
    """
    return text.replace("``", "`").replace("`", "")


def indented(console: Console, text: str, columns: int, style: str = "") -> Text:
    """A paragraph, broken to the console's width and set in from the left."""
    margin = " " * columns
    return Text(fill(text, console.width - 1, initial_indent=margin, subsequent_indent=margin), style=style)


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table, ``–`` for none.

    >>> number(0.5), number(float("nan")), number(1234567.0)
    ('0.5', '–', '1,234,567')
    """
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 10_000 and float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def bounds(limits: tuple[float, float] | None, digits: int = 6) -> str:
    """A range for a table, its numbers to so many digits.

    >>> bounds((0.0, 1.0)), bounds((float("-inf"), 0.0)), bounds(None)
    ('[0, 1]', '(-∞, 0]', 'undeclared')
    """
    if limits is None:
        return "undeclared"
    low, high = limits
    left = "(-∞" if math.isinf(low) else f"[{low:.{digits}g}"
    return f"{left}, ∞)" if math.isinf(high) else f"{left}, {high:.{digits}g}]"


def plain(value: Any) -> Any:
    """JSON values without NaN and infinities, which are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
