"""Stateful rewards, and the stamp that says which configuration and which state gave a verdict."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from plaudit.reward._base import Combinator, Reward
from plaudit.reward._configured import Configured
from plaudit.reward._fingerprint import Canonical, digest
from plaudit.types import Context, Sample, Verdicts


class Stateful(Reward):
    """A reward that owns numbers that change between calls; its configuration stays frozen.

    Scoring never changes the state: `update` does, once for each batch, in the one process that writes. Declare
    ``Facts(stateful=True)``; results are stamped ``fingerprint@state`` and never cached.
    """

    @abstractmethod
    def update(self, samples: Sequence[Sample], verdicts: Verdicts, context: Context) -> None:
        """Take in a scored batch."""

    @abstractmethod
    def state_dict(self) -> Mapping[str, Any]:
        """The numbers, as JSON values and arrays."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put numbers from `state_dict` back. Raises ValueError when they do not fit."""


def stateful_leaves(reward: Configured) -> list[Stateful]:
    """The stateful rewards inside a tree, each once."""
    found: dict[int, Stateful] = {}

    def visit(node: Configured) -> None:
        if isinstance(node, Stateful):
            found[id(node)] = node
        if isinstance(node, Combinator):
            for operand in node.operands().values():
                visit(operand)

    visit(reward)
    return list(found.values())


def stamp_of(reward: Configured) -> str:
    """``fingerprint``, or ``fingerprint@state`` when the tree holds state."""
    states = [dict(leaf.state_dict()) for leaf in stateful_leaves(reward)]
    if not states:
        return reward.fingerprint
    return f"{reward.fingerprint}@{digest(json.dumps(Canonical().of(states), sort_keys=True).encode())[:16]}"
