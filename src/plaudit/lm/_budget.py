"""What calls have cost, and the most that they may."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.lm._errors import BudgetSpent
from plaudit.types import Cost
from plaudit.wire import Usage


@dataclass(slots=True)
class Tally:
    """What one or many requests have cost so far; only plaudit's event loop writes it."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def cost(self, seconds: float = 0.0) -> Cost:
        """The sums, with these wall seconds."""
        return Cost(seconds, self.calls, self.tokens, self.money)


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens of the prompt and of the completion.

    >>> Prices(2.0, 10.0).of(Usage(1_000_000, 100_000))
    3.0
    """

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, usage: Usage) -> float:
        """What so many tokens cost."""
        return (usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion) / 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a model's calls may cost together; None = no limit.

    It is looked at before each call goes out. Calls are counted as they go out, so their number is never passed. Tokens and
    money are known when the reply is there: they can be passed by what the calls in flight at that moment cost, and no further.

    >>> Budget(calls=2).check(Tally(calls=1), "openai:m")
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None

    def check(self, spent: Tally, whose: str) -> None:
        """Raise BudgetSpent that names the limit when `spent` has come to it."""
        for name, used, most in (
            ("calls", spent.calls, self.calls),
            ("tokens", spent.tokens, self.tokens),
            ("money", spent.money, self.money),
        ):
            if most is not None and used >= most:
                raise BudgetSpent(f"{whose}: the budget of {most:g} {name} is spent ({used:g}); raise budget_{name}")
