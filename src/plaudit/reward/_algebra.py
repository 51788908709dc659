"""The algebra of rewards: sums, products, minimum, lexicographic order, clips, gates, names, parts.

What each node does with a part that has no value is the status table of the contract:

- a sum counts an ABSTAINED part as nothing; a product, a minimum and a lexicographic order leave it out; all abstain: ABSTAINED;
- a FAILED part makes the whole FAILED with ``part_failed:NAME``, unless a sum was told ``on_failure="drop"``;
- a closed gate is SCORED `closed`; a gate whose condition abstains is its body; a gate whose condition FAILED is FAILED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import ContractError
from plaudit.reward._base import Combinator, Reward, RunOperand
from plaudit.reward._columns import combined, n_rows
from plaudit.reward._facts import Facts, Range, widest
from plaudit.types import ABSTAINED, FAILED, SCORED, Verdicts


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


@dataclass(frozen=True)
class Sum(Combinator):
    """A weighted sum: bias + Σ weight × part; weights are not negative, costs are rewards that are never positive.

    `on_failure`: ``"fail"`` makes the whole FAILED when a part is; ``"drop"`` counts such a part as nothing.
    Raises ContractError for a negative or missing weight.
    """

    parts: Mapping[str, Reward]
    weights: Mapping[str, float] = field(default_factory=dict)
    bias: float = 0.0
    on_failure: Literal["fail", "drop"] = "fail"

    def __post_init__(self) -> None:
        _freeze_parts(self)
        unknown = set(self.weights) - set(self.parts)
        if unknown:
            raise ContractError(f"sum: weights name {sorted(unknown)}, parts are {list(self.parts)}")
        weights = {name: float(self.weights.get(name, 1.0)) for name in self.parts}
        for name, weight in weights.items():
            if not (isfinite(weight) and weight >= 0):
                raise ContractError(
                    f"sum: the weight of {name!r} is {weight}: expected a number >= 0; a cost is a reward that is never positive"
                )
        object.__setattr__(self, "weights", MappingProxyType(weights))

    @property
    def facts(self) -> Facts:
        """The range is the interval sum; a part that may abstain counts as 0."""
        ranges = [(w, self.parts[name].facts.range) for name, w in self.weights.items()]
        known = [(w, r) for w, r in ranges if r is not None]
        if len(known) < len(ranges):
            return joint_facts(self.parts, None)
        single = len(known) == 1
        lows = [(r[0] if single else min(0.0, r[0])) * w if w else 0.0 for w, r in known]
        highs = [(r[1] if single else max(0.0, r[1])) * w if w else 0.0 for w, r in known]
        return joint_facts(self.parts, (sum(lows) + self.bias, sum(highs) + self.bias))

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def linear_weights(self) -> Mapping[str, float]:
        return self.weights

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        total = np.full(n_rows(operands), self.bias)
        scored = np.zeros(len(total), dtype=bool)
        for name, part in operands.items():
            here = part.codes == SCORED
            scored |= here
            with np.errstate(over="ignore", invalid="ignore"):  # `combined` makes an overflow FAILED
                total += np.where(here, self.weights[name] * part.values, 0.0)
        return combined(operands, total, scored, drop_failures=self.on_failure == "drop")


@dataclass(frozen=True)
class Product(Combinator):
    """The product of the parts; ABSTAINED parts are left out, a FAILED part makes the whole FAILED."""

    parts: Mapping[str, Reward]

    def __post_init__(self) -> None:
        _freeze_parts(self)

    @property
    def facts(self) -> Facts:
        """The range is the interval product, where a part that is left out counts as 1."""
        ranges = [reward.facts.range for reward in self.parts.values()]
        known = [r for r in ranges if r is not None]
        if len(known) < len(ranges):
            return joint_facts(self.parts, None)
        result: Range = (1.0, 1.0) if len(known) > 1 else known[0]
        for lo, hi in known if len(known) > 1 else []:
            corners = [a * b if a and b else 0.0 for a in result for b in (min(lo, 1.0), max(hi, 1.0))]
            result = (min(corners), max(corners))
        return joint_facts(self.parts, result)

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        return _fold(operands, np.multiply, 1.0)


@dataclass(frozen=True)
class Minimum(Combinator):
    """The smallest part; ABSTAINED parts are left out, a FAILED part makes the whole FAILED."""

    parts: Mapping[str, Reward]

    def __post_init__(self) -> None:
        _freeze_parts(self)

    @property
    def facts(self) -> Facts:
        """From the lowest bottom to the highest top: the part with the lowest top may abstain."""
        ranges = [reward.facts.range for reward in self.parts.values()]
        known = [r for r in ranges if r is not None]
        range = (min(r[0] for r in known), max(r[1] for r in known)) if len(known) == len(ranges) else None
        return joint_facts(self.parts, range)

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        return _fold(operands, np.minimum, np.inf)


@dataclass(frozen=True)
class Lexicographic(Combinator):
    """The first part decides; a later one decides only between values that the earlier ones call equal.

    Every part but the last is rounded down to one of 1/`resolution` levels of its range; two values in one level are equal.
    The value lies in [0, 1]. An ABSTAINED part is left out (it decides nothing).
    Raises ContractError when a part has no bounded range, or more levels are asked for than a float64 can tell apart.
    """

    parts: Mapping[str, Reward]
    resolution: float = 0.01

    def __post_init__(self) -> None:
        _freeze_parts(self)
        for name, reward in self.parts.items():
            lo, hi = need_range(reward, f"lexicographic, part {name!r}")
            if not (isfinite(lo) and isfinite(hi)):
                raise ContractError(f"lexicographic: {name!r} ranges over ({lo}, {hi}): expected a bounded range; clip it")
        if not 0 < self.resolution <= 1:
            raise ContractError(f"lexicographic: resolution is {self.resolution}: expected a number in (0, 1]")
        if self._base ** len(self.parts) > 2**52:
            raise ContractError(f"lexicographic: {len(self.parts)} parts at resolution {self.resolution} do not fit a float64")

    def identity(self) -> Mapping[str, Any]:
        """The order of the parts counts, which a mapping alone would not say."""
        return {"parts": list(self.parts.items()), "resolution": self.resolution}

    @property
    def _base(self) -> int:
        return round(1 / self.resolution) + 1

    @property
    def facts(self) -> Facts:
        """The range is (0, 1)."""
        return joint_facts(self.parts, (0.0, 1.0))

    def operands(self) -> Mapping[str, Reward]:
        return self.parts

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        total, present = np.zeros(n_rows(operands)), np.zeros(n_rows(operands))
        here = np.stack([part.codes == SCORED for part in operands.values()])
        last = len(here) - 1 - np.argmax(here[::-1], axis=0)
        levels = self._base - 1
        for k, (name, part) in enumerate(operands.items()):
            lo, hi = need_range(self.parts[name], "lexicographic")
            share = np.where(here[k], (part.values - lo) / (hi - lo) if hi > lo else 0.0, 0.0).clip(0.0, 1.0)
            # The last part that is there is not rounded. A value on a level's edge must not fall below it by a rounding error.
            digit = np.where(last == k, share * levels, np.floor(share * levels + 1e-9))
            total = np.where(here[k], total * self._base + digit, total)
            present += here[k]
        # Without its ABSTAINED parts the order is that of the others alone, over the whole of [0, 1].
        return combined(operands, total / np.maximum(self._base**present - 1, 1), present > 0)


@dataclass(frozen=True)
class Clip(Combinator):
    """The value limited to [low, high]; None = no limit on that side."""

    reward: Reward
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ContractError(f"clip: low is {self.low}, high {self.high}: expected low <= high")

    @property
    def facts(self) -> Facts:
        """The operand's range, cut; clipping on both sides gives a range to a reward that declares none."""
        inner = self.reward.facts.range
        if inner is None and (self.low is None or self.high is None):
            return joint_facts(self.operands(), None)
        lo, hi = inner or (-np.inf, np.inf)
        return joint_facts(self.operands(), (float(self._cut(lo)), float(self._cut(hi))))

    @property
    def name(self) -> str:
        """The operand's name."""
        return self.reward.name

    def _cut(self, values: Any) -> Any:
        return np.minimum(
            np.maximum(values, -np.inf if self.low is None else self.low), np.inf if self.high is None else self.high
        )

    def operands(self) -> Mapping[str, Reward]:
        return {self.reward.name: self.reward}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (inner,) = operands.values()
        return combined(operands, self._cut(inner.values), inner.codes == SCORED, keep_reason=True)


@dataclass(frozen=True)
class Gate(Combinator):
    """`body` where `cond` is positive, else `closed`; the body is not run where the gate is closed.

    A condition that abstains leaves the body alone; a FAILED one makes the whole FAILED.
    Raises ContractError when the body's range is undeclared or goes below `closed`: passing the gate could then cost reward.
    """

    cond: Reward
    body: Reward
    closed: float = 0.0

    def __post_init__(self) -> None:
        lo, _ = need_range(self.body, "the body of a gate")
        if lo < self.closed:
            raise ContractError(
                f"gate: the body {self.body.name!r} goes down to {lo}, below closed={self.closed}: passing the gate could cost "
                f"reward. Raise the body (clip(low={self.closed})), lower closed, or add the cost outside the gate"
            )

    @property
    def facts(self) -> Facts:
        """From `closed` to the body's top."""
        _, hi = need_range(self.body, "the body of a gate")
        return joint_facts(self.operands(), (self.closed, max(self.closed, hi)))

    def operands(self) -> Mapping[str, Reward]:
        return unique_names([self.cond, self.body])

    async def evaluate(self, run: RunOperand) -> Verdicts:
        (cond_name, cond), (body_name, body) = self.operands().items()
        decided = await run(cond, None)
        is_open = (decided.codes == ABSTAINED) | ((decided.codes == SCORED) & (decided.values > 0))
        return self.combine({cond_name: decided, body_name: await run(body, is_open)})

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (cond_name, cond), (body_name, body) = operands.items()
        shut = (cond.codes == SCORED) & ~(cond.values > 0)
        broken = cond.codes == FAILED
        total = np.where(shut, self.closed, body.values)
        codes = np.where(broken, FAILED, np.where(shut, SCORED, body.codes)).astype(np.int8)
        labels = np.where(broken, f"part_failed:{cond_name}", np.where(shut, "closed", "")).tolist()
        body_failed = f"part_failed:{body_name}"
        reason = [
            label or (body_failed if code == FAILED else None if code == SCORED else "all_abstained")
            for label, code in zip(labels, codes.tolist(), strict=True)
        ]
        return combined(operands, total, codes == SCORED, codes=codes, reason=reason)


@dataclass(frozen=True)
class Named(Combinator):
    """The same reward under another name."""

    reward: Reward
    label: str

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label or "/" in self.label or "\n" in self.label:
            raise ContractError(f"named: {self.label!r}: expected a non-empty name without '/' and line breaks")
        if isinstance(self.reward, Named):
            object.__setattr__(self, "reward", self.reward.reward)

    @property
    def name(self) -> str:
        """The given name."""
        return self.label

    @property
    def facts(self) -> Facts:
        """Those of the reward itself."""
        return self.reward.facts

    def operands(self) -> Mapping[str, Reward]:
        return {self.label: self.reward}

    def linear_weights(self) -> Mapping[str, float]:
        return {self.label: 1.0}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (inner,) = operands.values()
        return inner


@dataclass(frozen=True)
class Part(Combinator):
    """One named part of a reward, as a reward of its own over the same pass.

    Raises ContractError when the reward has no part of that name.
    """

    reward: Reward
    part: str

    def __post_init__(self) -> None:
        if self.part not in self.reward.facts.parts:
            raise ContractError(f"{self.reward.name} has no part {self.part!r}: its parts are {list(self.reward.facts.parts)}")

    @property
    def name(self) -> str:
        """The part's name."""
        return self.part

    @property
    def facts(self) -> Facts:
        """Those of the operand where the reward is a combination; else the reward's own without a declared range."""
        whole = self.reward.reward if isinstance(self.reward, Named) else self.reward
        if isinstance(whole, Combinator):
            return whole.operands()[self.part].facts
        return replace(whole.facts, range=None, parts=())

    def operands(self) -> Mapping[str, Reward]:
        return {self.reward.name: self.reward}

    def combine(self, operands: Mapping[str, Verdicts]) -> Verdicts:
        (whole,) = operands.values()
        return whole.parts[self.part]


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


def same_reward(a: Reward, b: Reward) -> bool:
    """Whether two rewards give the same numbers by construction: one object, or equal fingerprints that say everything."""
    if a is b:
        return True
    if type(a) is not type(b) or a.unversioned or b.unversioned or a.facts.stateful or b.facts.stateful:
        return False
    return a.fingerprint == b.fingerprint


def _freeze_parts(node: Sum | Product | Minimum | Lexicographic) -> None:
    if not node.parts:
        raise ContractError(f"{node.name}: expected at least one part")
    for name, part in node.parts.items():
        if not isinstance(part, Reward):
            raise ContractError(f"{node.name}: part {name!r} is {type(part).__name__}: expected a reward")
    object.__setattr__(node, "parts", MappingProxyType(dict(node.parts)))


def _fold(operands: Mapping[str, Verdicts], step: Callable[..., NDArray[np.float64]], neutral: float) -> Verdicts:
    total = np.full(n_rows(operands), neutral)
    scored = np.zeros(len(total), dtype=bool)
    for part in operands.values():
        here = part.codes == SCORED
        scored |= here
        with np.errstate(over="ignore", invalid="ignore"):  # `combined` makes an overflow FAILED
            total = step(total, np.where(here, part.values, neutral))
    return combined(operands, total, scored)
