"""The numbers of one scored batch that a trainer logs: each leaf's mean and spread, what has no value, where the time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.integrations._failures import failure_reasons
from plaudit.integrations._terms import Term
from plaudit.reward import Leaf
from plaudit.types import ABSTAINED, FAILED, SCORED, Verdicts

_SCORED, _ABSTAINED, _FAILED, _SUM, _SQUARES = range(5)


@dataclass
class Tally:
    """Sums over samples, so that the tallies of several processes add up.

    Fields:
        leaves: (5,) numbers of each leaf: scored, abstained, failed, sum and sum of squares of the values.
        whole: the same of the reward itself.
        terms: each term's sum over the samples that have a reward.
        reasons: samples by reason of failure, None = not FAILED.
        seconds: (n,) seconds that each sample took.
        wall: seconds that the call took.
    """

    leaves: dict[str, NDArray[np.float64]]
    whole: NDArray[np.float64]
    terms: dict[str, float]
    reasons: Counter[str | None]
    seconds: NDArray[np.float64]
    wall: float

    @classmethod
    def of(cls, verdicts: Verdicts, leaves: Sequence[Leaf], terms: Sequence[Term], wall: float) -> Tally:
        """The tally of a scored batch; `wall` is what the call took, in seconds."""
        seconds = np.zeros(len(verdicts)) if verdicts.cost is None else verdicts.cost[:, 0].copy()
        return cls(
            {leaf.name: _numbers(leaf.of(verdicts)) for leaf in leaves}, _numbers(verdicts),
            {term.name: float(np.nansum(term.values(verdicts))) for term in terms} if len(terms) > 1 else {},
            failure_reasons(verdicts), seconds, wall,
        )  # fmt: skip

    @classmethod
    def joined(cls, tallies: Sequence[Tally]) -> Tally:
        """The tally of all samples together; the wall time is the slowest one's."""
        first = tallies[0]
        return cls(
            {name: sum((t.leaves[name] for t in tallies), np.zeros(5)) for name in first.leaves},
            sum((t.whole for t in tallies), np.zeros(5)),
            {name: sum(t.terms[name] for t in tallies) for name in first.terms},
            sum((t.reasons for t in tallies), Counter()),
            np.concatenate([t.seconds for t in tallies]), max(t.wall for t in tallies),
        )  # fmt: skip

    def metrics(self, prefix: str) -> dict[str, float]:
        """Finite numbers by constant names; a mean over no samples is left out."""
        n = max(self.whole[:3].sum(), 1.0)
        found = {f"{prefix}/{status}": float(k / n) for status, k in zip(_STATUSES, self.whole, strict=False)}
        found[f"{prefix}/seconds"] = self.wall
        if self.seconds.size:
            found[f"{prefix}/seconds_p95"] = float(np.percentile(self.seconds, 95))
        for name, numbers in self.leaves.items():
            found |= {f"{prefix}/{name}/{status}": float(k / n) for status, k in zip(_STATUSES, numbers, strict=False)}
            if scored := numbers[_SCORED]:
                mean = numbers[_SUM] / scored
                found[f"{prefix}/{name}/mean"] = float(mean)
                found[f"{prefix}/{name}/std"] = float(np.sqrt(max(numbers[_SQUARES] / scored - mean * mean, 0.0)))
        if self.whole[_SCORED]:
            found |= {f"{prefix}_terms/{name}": value / float(self.whole[_SCORED]) for name, value in self.terms.items()}
        return found


_STATUSES = ("scored", "abstained", "failed")


def _numbers(column: Verdicts) -> NDArray[np.float64]:
    values = column.values[column.codes == SCORED]
    counts = [np.count_nonzero(column.codes == code) for code in (SCORED, ABSTAINED, FAILED)]
    return np.array([*counts, values.sum(), (values * values).sum()], dtype=np.float64)
