"""Building trees of rewards: what ``+``, ``*``, ``minimum`` and ``lexicographic`` make of their operands, flattened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from plaudit.errors import ContractError
from plaudit.reward._base import Reward
from plaudit.reward._operands import same_reward, unique_names
from plaudit.reward._operators import Lexicographic, Minimum, Product, Sum
from plaudit.reward._wrappers import Named


def add(a: Reward, b: Reward | float) -> Reward:
    """a + b, flattened: addends of a sum join it, and equal rewards of one name become one part with the sum of the weights."""
    if not isinstance(b, Reward):
        return a if b == 0 else _sum_of([a], bias=float(b))
    return _sum_of([a, b])


def scale(a: Reward, weight: float) -> Reward:
    """weight × a, as a sum with one part, or with the weights of a sum multiplied."""
    base = _as_sum(a)
    return Sum(base.parts, {n: weight * w for n, w in base.weights.items()}, weight * base.bias, base.on_failure)


def multiply(a: Reward, b: Reward) -> Reward:
    """a × b, flattened."""
    return Product(unique_names(_flat([a, b], Product)))


def minimum(*rewards: Reward) -> Reward:
    """The smallest of several rewards, flattened.

    >>> from plaudit.reward import reward
    >>> a, b = (reward(lambda response: 1.0, range=(0, 1)).named(n) for n in "ab")
    >>> minimum(a, b).facts.parts
    ('a', 'b')
    """
    if not rewards:
        raise ContractError("minimum(): expected at least one reward")
    return Minimum(unique_names(_flat(list(rewards), Minimum)))


def lexicographic(*rewards: Reward, resolution: float = 0.01) -> Reward:
    """Order by the first reward; each further one decides only between values that the earlier ones call equal.

    >>> from plaudit.reward import reward
    >>> from plaudit.types import Sample
    >>> right = reward(lambda response: float("4" in response), range=(0, 1)).named("right")
    >>> short = reward(lambda response: 1 / (1 + len(response)), range=(0, 1)).named("short")
    >>> a, b, c = lexicographic(right, short)([Sample("2+2", "4"), Sample("2+2", "it is 4"), Sample("2+2", "")])
    >>> bool(a > b > c)
    True
    """
    if not rewards:
        raise ContractError("lexicographic(): expected at least one reward")
    return Lexicographic(unique_names(list(rewards)), resolution)


def _flat(rewards: list[Reward], kind: type[Product | Minimum]) -> list[Reward]:
    return [part for r in rewards for part in (_named_parts(r.parts) if isinstance(r, kind) else [r])]


def _named_parts(parts: Mapping[str, Reward]) -> list[Reward]:
    """The parts under the names they have in the node: taking them out must not rename them.

    A number that `unique_names` gave is left out again, so that (f + f') + f'' and f + (f' + f'') call their parts the same.
    """
    return [
        part
        if part.name == name or (part.name in parts and name.removeprefix(f"{part.name}_").isdecimal())
        else Named(part, name)
        for name, part in parts.items()
    ]


def _as_sum(reward: Reward) -> Sum:
    return reward if isinstance(reward, Sum) else Sum({reward.name: reward})


def _sum_of(rewards: list[Reward], bias: float = 0.0) -> Sum:
    modes = {r.on_failure for r in rewards if isinstance(r, Sum)}
    # A sum that drops failures must keep doing so for its own parts only: it stays one addend.
    mode: Literal["fail", "drop"] = modes.pop() if len(modes) == 1 and all(isinstance(r, Sum) for r in rewards) else "fail"
    terms: list[tuple[Reward, float]] = []
    for reward in rewards:
        if isinstance(reward, Sum) and reward.on_failure == mode:
            bias += reward.bias
            parts = _named_parts(reward.parts)
            terms += zip(parts, reward.weights.values(), strict=True)
        else:
            terms.append((reward, 1.0))
    merged: list[tuple[Reward, float]] = []
    for part, weight in terms:
        same = next((k for k, (known, _) in enumerate(merged) if known.name == part.name and same_reward(known, part)), None)
        if same is None:
            merged.append((part, weight))
        else:
            merged[same] = (merged[same][0], merged[same][1] + weight)
    named = unique_names([part for part, _ in merged])
    return Sum(named, dict(zip(named, (weight for _, weight in merged), strict=True)), bias, mode)
