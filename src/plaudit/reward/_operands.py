"""What the nodes of the algebra ask of their operands: facts taken together, a range, distinct names, identity."""

from __future__ import annotations

from collections.abc import Mapping

from plaudit.errors import ContractError
from plaudit.reward._base import Reward
from plaudit.reward._facts import Facts, Range, widest


def joint_facts(operands: Mapping[str, Reward], range: Range | None, parts: bool = True) -> Facts:
    """Facts of a combination: it reads what its operands read and is as wide, as stateful, as random as the most so."""
    facts = [reward.facts for reward in operands.values()]
    return Facts(
        range=range,
        scope=widest([f.scope for f in facts]),
        reads=frozenset().union(*(f.reads for f in facts)),
        parts=tuple(operands) if parts else (),
        deterministic=all(f.deterministic for f in facts),
        stateful=any(f.stateful for f in facts),
        lane="inline" if all(f.lane == "inline" for f in facts) else next(f.lane for f in facts if f.lane != "inline"),
        systems=tuple(sorted({s for f in facts for s in f.systems})),
        partial_groups=all(f.partial_groups for f in facts if f.scope == "group") and any(f.scope == "group" for f in facts),
    )


def need_range(reward: Reward, where: str) -> Range:
    """The declared range. Raises ContractError when there is none, naming how to declare it."""
    declared = reward.facts.range
    if declared is None:
        raise ContractError(f"{where}: {reward.name!r} declares no range; write @reward(range=(lo, hi)), or clip(lo, hi)")
    return declared


def unique_names(rewards: list[Reward]) -> dict[str, Reward]:
    """Rewards by name; a name that comes again gets a number.

    >>> from plaudit.reward import reward
    >>> f = reward(lambda response: 1.0).named("f")
    >>> list(unique_names([f, f]))
    ['f', 'f_2']
    """
    named: dict[str, Reward] = {}
    for reward in rewards:
        name, k = reward.name, 2
        while name in named:
            name, k = f"{reward.name}_{k}", k + 1
        named[name] = reward
    return named


def same_reward(a: Reward, b: Reward) -> bool:
    """Whether two rewards give the same numbers by construction: one object, or equal fingerprints that say everything."""
    if a is b:
        return True
    if type(a) is not type(b) or a.unversioned or b.unversioned or a.facts.stateful or b.facts.stateful:
        return False
    return a.fingerprint == b.fingerprint
