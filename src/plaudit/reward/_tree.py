"""Walking a tree of rewards: its leaves, their names, their weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from plaudit import catalog
from plaudit.reward._base import Combinator, Reward
from plaudit.reward._configured import snake_case
from plaudit.reward._operands import same_reward
from plaudit.reward._wrappers import Named, Part
from plaudit.types import Verdicts, concatenate


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of a tree.

    Fields:
        name: unique in the tree: the nearest name given above it, or its path with dots where that is taken.
        reward: the leaf itself.
        path: names of the parts from the root's verdict down to the leaf's; () = the root is the leaf.
        weight: its weight in the total where only weighted sums lie above it; None otherwise.
        further_paths: where else in the tree it stands.
    """

    name: str
    reward: Reward
    path: tuple[str, ...]
    weight: float | None
    further_paths: tuple[tuple[str, ...], ...] = ()

    def of(self, verdicts: Verdicts) -> Verdicts:
        """The leaf's columns inside the columns of the tree's root; a row is not run when a gate shuts it out everywhere."""
        columns = _at(verdicts, self.path)
        for path in self.further_paths:
            rows = np.arange(len(columns))
            absent = np.array([reason == "not_run" for reason in columns.reason], dtype=bool)
            if not absent.any():
                break
            columns = concatenate([columns, _at(verdicts, path)]).take(np.where(absent, rows + len(rows), rows))
        return columns


def _at(verdicts: Verdicts, path: tuple[str, ...]) -> Verdicts:
    for name in path:
        verdicts = verdicts.parts[name]
    return verdicts


def leaves(reward: Reward) -> list[Leaf]:
    """The distinct leaves of a tree, in order; one that comes twice is listed once, with the sum of its linear weights.

    >>> from plaudit.reward import reward
    >>> a = reward(lambda response: 1.0, range=(0, 1)).named("a")
    >>> b = reward(lambda response: 0.5, range=(0, 1)).named("b")
    >>> [(leaf.name, leaf.weight) for leaf in leaves(a + 0.5 * b)]
    [('a', 1.0), ('b', 0.5)]
    """
    found: list[tuple[tuple[str, ...], Reward, tuple[str, ...], float | None]] = []
    _walk(reward, reward.name, (), (), 1.0, found)
    merged: list[tuple[tuple[str, ...], Reward, tuple[str, ...], float | None]] = []
    further: list[list[tuple[str, ...]]] = []
    for label, leaf, path, weight in found:
        k = next((k for k, row in enumerate(merged) if same_reward(row[1], leaf)), None)
        if k is None:
            merged.append((label, leaf, path, weight))
            further.append([])
        else:
            further[k].append(path)
            old = merged[k]
            merged[k] = (*old[:3], None if old[3] is None or weight is None else old[3] + weight)
    names = _distinct([labels for labels, *_ in merged])
    return [
        Leaf(name, leaf, path, weight, tuple(paths))
        for name, (_, leaf, path, weight), paths in zip(names, merged, further, strict=True)
    ]


def _distinct(labels: list[tuple[str, ...]]) -> list[str]:
    """The last label of each leaf; all of them with dots where that is taken, and a number where even they are."""
    taken = Counter(row[-1] for row in labels)
    names: list[str] = []
    for row in labels:
        whole = row[-1] if taken[row[-1]] == 1 else ".".join(row)
        name, k = whole, 2
        while name in names:
            name, k = f"{whole}_{k}", k + 1
        names.append(name)
    return names


def _walk(
    node: Reward, label: str, labels: tuple[str, ...], path: tuple[str, ...], weight: float | None,
    found: list[tuple[tuple[str, ...], Reward, tuple[str, ...], float | None]],
) -> None:  # fmt: skip
    if isinstance(node, Named):
        # A name adds no level to the verdict: its columns are those of what it names.
        _walk(node.reward, label if label != node.name else node.label, labels, path, weight, found)
    elif isinstance(node, Part):
        found.append(((*labels, label), node, path, weight))
    elif isinstance(node, Combinator):
        operands, weights = node.operands(), node.linear_weights()
        for name, operand in operands.items():
            # A node with a single operand (a clip) hands the name that it was given down.
            below = label if len(operands) == 1 and weights is None else name
            factor = weight * weights[name] if weights is not None and weight is not None else None
            inner = labels if below is label or not path else (*labels, label)
            _walk(operand, below, inner, (*path, name), factor, found)
    else:
        found.append(((*labels, label), node, path, weight))


def use_name(reward: Reward) -> str:
    """The name that a spec uses for this kind of reward."""
    if isinstance(reward, Combinator) and type(reward).__module__.startswith("plaudit.reward."):
        return snake_case(type(reward).__name__)
    return str(
        getattr(reward, "use", None) or catalog.name_of(catalog.REWARDS, type(reward)) or snake_case(type(reward).__name__)
    )
