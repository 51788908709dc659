"""Which samples belong together: by `Sample.group`, else by equal prompts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from plaudit.records import group_digest
from plaudit.types import Sample


class Groups:
    """The groups among n samples, worked out on first use.

    >>> Groups([Sample("a", "1"), Sample("b", "2"), Sample("a", "3")]).index
    array([0, 1, 0])
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """(n,) number of each sample's group, counted in order of appearance."""
        numbers: dict[str, int] = {}
        names = (group_digest(s.prompt) if s.group is None else s.group for s in self._samples)
        return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)

    @cached_property
    def members(self) -> list[NDArray[np.intp]]:
        """The rows of each group."""
        order = np.argsort(self.index, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.index))[:-1]) if len(order) else []

    @cached_property
    def complete(self) -> NDArray[np.bool_]:
        """(n,) whether all samples that the trainer drew for the group are here; an unknown size counts as complete."""
        whole = np.ones(len(self._samples), dtype=bool)
        for rows in self.members:
            sizes = {self._samples[i].group_size for i in rows.tolist()} - {None}
            whole[rows] = not sizes or sizes == {len(rows)}
        return whole

    def widen(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The rows of every group that has a row in the mask."""
        wanted = np.zeros(len(self.members), dtype=bool)
        wanted[self.index[mask]] = True
        return wanted[self.index]


def group_index(samples: Sequence[Sample]) -> NDArray[np.intp]:
    """(n,) number of each sample's group, counted in order of appearance.

    >>> group_index([Sample("a", "1"), Sample("b", "2"), Sample("a", "3")])
    array([0, 1, 0])
    """
    return Groups(samples).index
