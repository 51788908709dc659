"""What each leaf of a reward contributes over many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plaudit.report._html import Html
from plaudit.report._pieces import share
from plaudit.report._scale import number
from plaudit.report._table import table
from plaudit.types import Verdicts

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class LeafShare:
    """One leaf over n rows.

    Fields:
        name: the leaf.
        weight: its weight in the total; None where the total is not a weighted sum of it.
        scored, abstained, failed, not_run: rows by what it said; a closed gate does not run its body.
        mean, std: of its scored values; NaN when there is none.
        share: its part of the sum of all leaves' mean absolute contributions; NaN without a weight.
        variance: its part of the variance of the total, cov(weight × leaf, total) / var(total): these add up to 1 where the
            leaves add up to the total; NaN without a weight or where the total is constant. Negative: it works against the rest.
        correlation: with the total; NaN where one of them is constant.
    """

    name: str
    weight: float | None
    scored: int
    abstained: int
    failed: int
    not_run: int
    mean: float
    std: float
    share: float
    variance: float
    correlation: float


def leaf_shares(
    total: NDArray[np.float64], leaves: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float | None],
    letters: NDArray[np.bytes_] | None = None,
) -> list[LeafShare]:  # fmt: skip
    """Every leaf's part of the total.

    Args:
        total: (n,) values of the whole, NaN = not scored.
        leaves: (n,) values of each leaf by its name.
        weights: by name; None or absent = none.
        letters: (n, k) what each leaf said: s scored, a abstained, f failed, - not run; None = scored where there is a value.

    >>> a, b = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    >>> [(leaf.name, leaf.share, leaf.variance) for leaf in leaf_shares(a + b, {"a": a, "b": b}, {"a": 1.0, "b": 1.0})]
    [('a', 0.333..., 1.0), ('b', 0.666..., 0.0)]
    """
    # A leaf that was not run or abstained adds nothing to a weighted sum.
    added = {name: np.nan_to_num(column) * (weights.get(name) or 0.0) for name, column in leaves.items()}
    here = np.isfinite(total)
    sizes = {name: float(np.abs(column[here]).mean()) if here.any() else 0.0 for name, column in added.items()}
    whole = sum(sizes.values())
    found = []
    for k, (name, column) in enumerate(leaves.items()):
        weighted = weights.get(name) is not None
        values = column[np.isfinite(column)]
        said = np.where(np.isfinite(column), b"s", b"a") if letters is None else letters[:, k]
        scored, abstained, failed, not_run = (int(np.count_nonzero(said == letter)) for letter in (b"s", b"a", b"f", b"-"))
        found.append(
            LeafShare(
                name, weights.get(name), scored, abstained, failed, not_run,
                float(values.mean()) if values.size else NAN, float(values.std()) if values.size else NAN,
                sizes[name] / whole if weighted and whole > 0 else NAN,
                _variance(added[name][here], total[here]) if weighted else NAN, correlation(column, total),
            )
        )  # fmt: skip
    return found


def leaf_shares_of(verdicts: Verdicts, weights: Mapping[str, float | None] | None = None) -> list[LeafShare]:
    """The same for the parts of verdicts; without `weights` no part has one.

    >>> leaf_shares_of(Verdicts(np.array([1.0]), parts={"a": Verdicts(np.array([1.0]))}))[0].mean
    1.0
    """
    letters = np.array([[_letter(p.codes[i], p.reason[i]) for p in verdicts.parts.values()] for i in range(len(verdicts))])
    return leaf_shares(
        verdicts.values, {name: part.values for name, part in verdicts.parts.items()}, weights or {},
        letters.reshape(len(verdicts), len(verdicts.parts)).astype("S1"),
    )  # fmt: skip


def leaf_table(leaves: Sequence[LeafShare], caption: str = "") -> Html:
    """The leaves as a table; counts that are 0 everywhere are left out.

    >>> "correct" in leaf_table([LeafShare("correct", 1.0, 9, 0, 1, 0, 0.5, 0.1, 1.0, 1.0, 1.0)])
    True
    """
    abstained, failed, shut = (any(getattr(leaf, name) for leaf in leaves) for name in ("abstained", "failed", "not_run"))
    columns = ["leaf", "mean", "std", "weight", "share", "of variance", "correlation", "scored"]
    columns += ["failed"] * failed + ["abstained"] * abstained + ["shut out"] * shut
    rows = [
        [
            leaf.name, leaf.mean, leaf.std, leaf.weight, share(leaf.share), share(leaf.variance) if leaf.variance >= 0 else
            Html(number(leaf.variance * 100, 3) + "%") if leaf.variance < 0 else Html("–"), leaf.correlation, leaf.scored,
            *[leaf.failed] * failed, *[leaf.abstained] * abstained, *[leaf.not_run] * shut,
        ]
        for leaf in leaves
    ]  # fmt: skip
    return table(columns, rows, caption=caption)


def _letter(code: int, reason: str | None) -> str:
    return "-" if reason == "not_run" else "saf"[code]


def _variance(added: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    spread = float(total.var()) if total.size else 0.0
    if spread <= 1e-24 * max(1.0, float(np.abs(total).max()) ** 2 if total.size else 1.0):
        return NAN
    return float(((added - added.mean()) * (total - total.mean())).mean() / spread)


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    both = np.isfinite(x) & np.isfinite(y)
    a, b = x[both], y[both]
    if a.size < 2 or np.ptp(a) <= 1e-12 * float(np.abs(a).max()) or np.ptp(b) <= 1e-12 * float(np.abs(b).max()):
        return NAN
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))
