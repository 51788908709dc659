"""The stage that fools the reward model, for worlds and for a user's own data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plaudit.errors import ContractError
from plaudit.quickstart._results import Fooling, Picking, Scored
from plaudit.reward import Reward
from plaudit.stress import Edit, Mutation, outranking, pool_attack, search_attack
from plaudit.types import Sample


def fool(
    picking: Picking, gold: Reward, scored: Scored, edits: Mapping[str, Edit], mutate: Mutation, pool: Sequence[Sample], seed: int
) -> Fooling | None:
    """What lifts worse answers over better ones, on the half that the reward model has not seen.

    `pool`: further answers to the prompts of that half; empty = those that there are.
    None when no group of that half has a better and a worse answer.
    """
    samples = [scored.samples[k] for k in picking.test.tolist()]
    try:
        unedited, *single = outranking(picking.model, gold, samples, edits)
    except ContractError:
        return None
    search = search_attack(picking.model, gold, samples, mutate, seed=seed, name="30 small changes, the liked ones kept")
    name = f"the best-liked of {len(pool or samples) // max(1, len(samples) // scored.per_group)} answers"
    return Fooling(pool_attack(picking.model, gold, samples, pool or samples, name=name), unedited, [*single, search])
