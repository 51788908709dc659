"""The leaves of a run: what each contributed to the total, from the parts on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from plaudit.cli._console import number, visible

if TYPE_CHECKING:
    from plaudit.reward import Leaf, Reward
    from plaudit.run import RunFolder


@dataclass(slots=True)
class LeafStatistics:
    """One leaf over the rows of a run.

    Fields:
        name: the leaf's name.
        column: the column of the run's parts that holds its values.
        weight: its weight, where nothing but sums and open gates lies above it; None otherwise.
        scored, abstained, failed, not_run: rows by what the leaf said; a closed gate does not run its body.
        mean, std: of the scored values; NaN when there is none.
        share: its part of the sum of all leaves' mean absolute contributions; NaN without a weight.
        correlation: with the total, over the rows where both have a value; NaN where one of them is constant.
    """

    name: str
    column: str
    weight: float | None
    scored: int
    abstained: int
    failed: int
    not_run: int
    mean: float
    std: float
    share: float
    correlation: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def leaf_statistics(reward: Reward, folder: RunFolder) -> list[LeafStatistics]:
    """Every leaf's statistics, read from the committed parts one by one."""
    from plaudit.reward import leaf_columns, leaves

    every = leaves(reward)
    names = leaf_columns(every)
    sums = [_Sums() for _ in every]
    for part in folder.iter_parts(["value", "leaves", *names]):
        total = part.column("value").to_numpy()
        letters = np.array(part.column("leaves").to_pylist(), dtype=f"S{len(every)}").view("S1").reshape(len(total), len(every))
        for k, name in enumerate(names):
            sums[k].add(part.column(name).to_numpy(), total, letters[:, k])
    weights = [path_weight(reward, leaf) for leaf in every]
    sizes = [0.0 if w is None else abs(w) * s.absolute for w, s in zip(weights, sums, strict=True)]
    return [
        LeafStatistics(
            leaf.name, name, weight, *s.counts, s.mean, s.std,
            size / sum(sizes) if weight is not None and sum(sizes) > 0 else float("nan"), s.correlation,
        )
        for leaf, name, weight, s, size in zip(every, names, weights, sums, sizes, strict=True)
    ]  # fmt: skip


def path_weight(reward: Reward, leaf: Leaf) -> float | None:
    """The weight of a leaf in the total while every gate above it is open; None under any other operator, and for a condition.

    >>> from plaudit.reward import leaves, reward
    >>> a = reward(lambda response: 1.0, range=(0, 1)).named("a")
    >>> b = reward(lambda response: 0.5, range=(0, 1)).named("b")
    >>> tree = 0.5 * a.gate(2.0 * b)
    >>> [path_weight(tree, leaf) for leaf in leaves(tree)]
    [None, 1.0]
    """
    from plaudit.reward import Combinator, Gate, Named

    if leaf.further_paths:
        return leaf.weight
    weight, node = 1.0, reward
    for name in leaf.path:
        while isinstance(node, Named):
            node = node.reward
        if not isinstance(node, Combinator):
            return None
        operands, linear = node.operands(), node.linear_weights()
        if linear is not None:
            weight *= linear[name]
        elif not (isinstance(node, Gate) and name == list(operands)[1]):
            return None
        node = operands[name]
    return weight


def leaf_table(statistics: Sequence[LeafStatistics]) -> Table:
    """The statistics for a terminal of 80 columns; counts that are 0 everywhere are left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("leaf", overflow="fold", style="cyan", min_width=8)
    abstained, not_run = any(s.abstained for s in statistics), any(s.not_run for s in statistics)
    headers = ["mean", "std", "weight", "share", "corr.", "scored", "failed"]
    headers += ["abst."] * abstained + ["shut"] * not_run
    for name in headers:
        table.add_column(name, justify="right", no_wrap=True)
    for s in statistics:
        table.add_row(
            Text(visible(s.name)),
            number(s.mean, 3),
            number(s.std, 3),
            "–" if s.weight is None else f"{s.weight:g}",
            "–" if np.isnan(s.share) else f"{s.share:.0%}",
            "–" if np.isnan(s.correlation) else f"{s.correlation:.2f}",
            f"{s.scored:,}",
            Text(f"{s.failed:,}", style="red" if s.failed else ""),
            *[f"{s.abstained:,}"] * abstained,
            *[f"{s.not_run:,}"] * not_run,
        )
    return table


class _Sums:
    """Running sums of one leaf and of the total beside it.

    Values are taken relative to the first one of their kind, so that large offsets do not eat the digits of the differences.
    """

    def __init__(self) -> None:
        self.counts = (0, 0, 0, 0)
        self.absolute = 0.0
        self._origin: tuple[float, float] | None = None
        self._first: float | None = None
        self._leaf = np.zeros(3)  # n, sum, sum of squares
        self._pairs = np.zeros(6)  # n, x, y, xx, yy, xy

    def add(self, values: NDArray[np.float64], total: NDArray[np.float64], letters: NDArray[np.bytes_]) -> None:
        found = [int(np.count_nonzero(letters == letter)) for letter in (b"s", b"a", b"f", b"-")]
        a, b, c, d = self.counts
        self.counts = (a + found[0], b + found[1], c + found[2], d + found[3])
        here = values[np.isfinite(values)]
        if here.size:
            self._first = float(here[0]) if self._first is None else self._first
            x = here - self._first
            self._leaf += [x.size, x.sum(), (x * x).sum()]
            self.absolute += float(np.abs(here).sum())
        both = np.isfinite(values) & np.isfinite(total)
        if both.any():
            x, y = values[both], total[both]
            self._origin = (float(x[0]), float(y[0])) if self._origin is None else self._origin
            x, y = x - self._origin[0], y - self._origin[1]
            self._pairs += [x.size, x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]

    @property
    def mean(self) -> float:
        n, s, _ = self._leaf
        return float(s / n) + (self._first or 0.0) if n else float("nan")

    @property
    def std(self) -> float:
        n, s, square = self._leaf
        return float(np.sqrt(max(square / n - (s / n) ** 2, 0.0))) if n else float("nan")

    @property
    def correlation(self) -> float:
        n, x, y, xx, yy, xy = self._pairs.tolist()
        if n < 2:
            return float("nan")
        spread = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
        if spread <= 1e-24 * max(xx * yy / (n * n), 1e-300):
            return float("nan")
        return float(np.clip((xy / n - x * y / (n * n)) / np.sqrt(spread), -1.0, 1.0))
