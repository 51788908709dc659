"""The addends of a reward: what a weighted sum adds up, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.reward import Named, Reward, Sum
from plaudit.types import SCORED, Verdicts


@dataclass(frozen=True, slots=True)
class Term:
    """One addend: weight × part.

    Fields:
        name: unique among the terms.
        part: name of the sum's part; None = the whole reward, "" = the sum's constant.
        weight: what the part is multiplied with; the constant itself where `part` is "".
    """

    name: str
    part: str | None
    weight: float

    def values(self, verdicts: Verdicts, weighted: bool = True) -> NDArray[np.float64]:
        """(n,) the term's values, times its weight if `weighted`; NaN where it or the whole has none.

        They add up, NaN left out, to the whole's value in every row that has one.
        """
        whole = verdicts.codes == SCORED
        if self.part == "":
            return np.where(whole, self.weight, np.nan)
        column = verdicts.values if self.part is None else verdicts.parts[self.part].values
        # A term may have a value where the whole FAILED: a sum of fewer terms is not what was asked for.
        return np.where(whole, column * self.weight if weighted else column, np.nan)


def terms_of(reward: Reward) -> Sequence[Term]:
    """The addends of a weighted sum; any other reward is its own single term.

    >>> from plaudit.reward import reward
    >>> a, b = (reward(lambda response: 1.0).named(n) for n in "ab")
    >>> [(t.name, t.weight) for t in terms_of(a + 0.5 * b + 2)]
    [('a', 1.0), ('b', 0.5), ('bias', 2.0)]
    """
    root = reward
    while isinstance(root, Named):
        root = root.reward
    if not isinstance(root, Sum):
        return [Term(reward.name, None, 1.0)]
    terms = [Term(name, name, weight) for name, weight in root.weights.items()]
    if root.bias:
        name = next(n for n in ("bias", *(f"bias_{k}" for k in range(2, len(terms) + 3))) if n not in root.parts)
        terms.append(Term(name, "", root.bias))
    return terms
