"""How many tokens a request was counted with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plaudit.wire._json import need_count, need_object


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a request was counted with; a member that the server leaves out is 0."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def body(self) -> dict[str, int]:
        """The member ``usage``.

        >>> Usage(10, 2).body()["total_tokens"]
        12
        """
        total = self.prompt_tokens + self.completion_tokens
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens, "total_tokens": total}


def usage_of(value: Any) -> Usage | None:
    """The member ``usage``; None = the server does not count tokens."""
    if value is None:
        return None
    members = need_object(value, "usage")
    # Some servers send null for the completion of a request that only scores.
    counts = [need_count(0 if members.get(name) is None else members[name], f"usage.{name}") for name in _COUNTS]
    return Usage(*counts)


_COUNTS = ("prompt_tokens", "completion_tokens")
