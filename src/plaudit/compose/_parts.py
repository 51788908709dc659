"""What every combinator of this room asks of its operands: rewards under names of their own, sane weights, columns as arrays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plaudit.errors import ContractError, DataError
from plaudit.reward import Facts, Range, Reward, Scope, combined, joint_facts
from plaudit.types import SCORED, Verdicts

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
RunOperand = Callable[[Reward, Mask | None], Awaitable[Verdicts]]

GROUP = "group"
"""The operand that says which group a sample belongs to: no part of a user may have its name."""


def frozen_parts(
    where: str, parts: Mapping[str, Reward], least: int = 1, reserved: Sequence[str] = (GROUP,)
) -> Mapping[str, Reward]:
    """The parts, frozen. Raises ContractError for too few of them, no rewards, or a reserved name."""
    if len(parts) < least:
        raise ContractError(f"{where}: expected at least {least} part{'s' * (least > 1)}, got {list(parts)}")
    for name, part in parts.items():
        if not isinstance(part, Reward):
            raise ContractError(f"{where}: part {name!r} is {type(part).__name__}: expected a reward")
        if name in reserved:
            raise ContractError(f"{where}: a part cannot be called {name!r}, which this combination keeps for itself: rename it")
    return MappingProxyType(dict(parts))


def frozen_numbers(where: str, field: str, given: Mapping[str, float], parts: Sequence[str]) -> Mapping[str, float]:
    """Finite numbers by part, frozen. Raises ContractError for a name that is no part, or a number that is not finite."""
    unknown = sorted(set(given) - set(parts))
    if unknown:
        raise ContractError(f"{where}: {field} names {unknown}, parts are {list(parts)}")
    numbers = {name: float(given[name]) for name in parts if name in given}
    for name, number in numbers.items():
        if not isfinite(number):
            raise ContractError(f"{where}: {field}[{name!r}] is {number}: expected a finite number")
    return MappingProxyType(numbers)


def frozen_weights(where: str, given: Mapping[str, float], parts: Sequence[str]) -> Mapping[str, float]:
    """A weight >= 0 for every part, 1 where none is given. Raises ContractError when none is above 0."""
    weights = {**dict.fromkeys(parts, 1.0), **frozen_numbers(where, "weights", given, parts)}
    if min(weights.values()) < 0 or not any(weights.values()):
        raise ContractError(f"{where}: weights are {weights}: expected numbers >= 0, at least one of them above 0")
    return MappingProxyType(weights)


def checked_number(where: str, field: str, value: float, low: float = -np.inf, high: float = np.inf) -> float:
    """A finite number in [low, high]. Raises ContractError otherwise."""
    if not (isfinite(value) and low <= value <= high):
        raise ContractError(f"{where}: {field} is {value}: expected a finite number in [{low:g}, {high:g}]")
    return float(value)


def bounded(where: str, reward: Reward, low: float = -np.inf, high: float = np.inf) -> Range:
    """The declared range, inside [low, high]. Raises ContractError when there is none or it goes beyond."""
    found = reward.facts.range
    if found is None:
        raise ContractError(f"{where}: {reward.name!r} declares no range; write @reward(range=(lo, hi)), or clip(lo, hi)")
    if found[0] < low or found[1] > high:
        raise ContractError(
            f"{where}: {reward.name!r} ranges over {found}: expected a range inside ({low:g}, {high:g}); clip or squash it"
        )
    return found


def facts_with(
    operands: Mapping[str, Reward], range: Range | None, systems: Sequence[int] = (), scope: Scope | None = None
) -> Facts:
    """Facts of a combination that stands for published systems of its own; `scope` where it is not the widest operand's."""
    joint = joint_facts(operands, range)
    return replace(joint, systems=tuple(sorted({*joint.systems, *systems})), scope=scope or joint.scope)


def joined_range(rewards: Sequence[Reward]) -> Range | None:
    """From the lowest bottom to the highest top; None when one of them declares none."""
    known = [r for r in (reward.facts.range for reward in rewards) if r is not None]
    return (min(r[0] for r in known), max(r[1] for r in known)) if len(known) == len(rewards) else None


def stacked(operands: Mapping[str, Verdicts], names: Sequence[str]) -> tuple[Floats, Mask]:
    """(k, n) values with 0 where there is none, and (k, n) whether there is one."""
    here = np.stack([operands[name].codes == SCORED for name in names])
    return np.where(here, np.stack([operands[name].values for name in names]), 0.0), here


def all_needed(operands: Mapping[str, Verdicts], values: Floats) -> Verdicts:
    """Columns of a whole that needs every operand: scored where all are, FAILED where one FAILED, else ABSTAINED."""
    here = np.logical_and.reduce([part.codes == SCORED for part in operands.values()])
    return combined(operands, np.where(here, values, 0.0), here)


def floats(name: str, values: ArrayLike, length: int | None = None) -> Floats:
    """(n,) float64, NaN = not scored. Raises DataError for another shape, length, or an infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or (length is not None and len(array) != length):
        expected = "(n,)" if length is None else f"({length},)"
        raise DataError(f"{name} has shape {array.shape}: expected {expected}")
    if np.isinf(array).any():
        raise DataError(f"{name}: row {int(np.flatnonzero(np.isinf(array))[0])} is infinite: expected finite numbers, or NaN")
    return array


def matrix(name: str, values: ArrayLike) -> Floats:
    """(n, k) float64, NaN = not scored. Raises DataError for another shape or an infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"{name} has shape {array.shape}: expected (n, k) with k >= 1")
    if np.isinf(array).any():
        raise DataError(f"{name}: row {int(np.flatnonzero(np.isinf(array).any(axis=1))[0])} holds an infinity")
    return array
