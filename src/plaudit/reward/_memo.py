"""Verdicts kept between calls: keyed by what was asked of whom, never served where the answer could differ.

The key is the fingerprint plus a digest of the fields that the reward reads; group scope adds the digests of the whole group.
Batch scope, stateful and random rewards, and anything unversioned are never kept; nor is a FAILED verdict. The inline lane
is not looked up: computing takes no longer.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.reward._base import Reward
from plaudit.reward._facts import Facts
from plaudit.reward._fingerprint import Canonical
from plaudit.reward._groups import Groups
from plaudit.run import Settings, VerdictCache
from plaudit.types import FAILED, Context, Cost, Dense, Sample, Status, Verdict, Verdicts

_FORMAT = 1
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Known:
    """Rows that the cache knows, and what it knows."""

    rows: NDArray[np.intp]
    verdicts: Verdicts


class Memo:
    """The cache as one leaf sees it during one call."""

    def __init__(
        self, cache: VerdictCache, facts: Facts, base: bytes, samples: list[Sample], groups: Groups, models: dict[str, str],
        left_out: frozenset[int] = frozenset(),
    ) -> None:  # fmt: skip
        self._cache, self._facts, self._samples, self._groups, self._left_out = cache, facts, samples, groups, left_out
        self._columns = sorted(name for name in facts.reads if not name.startswith(("models.", "context.")))
        self._base = base + json.dumps(models, sort_keys=True).encode()
        self._keys: dict[int, bytes | None] = {}

    @classmethod
    def of(
        cls, reward: Reward, facts: Facts, samples: list[Sample], groups: Groups, context: Context, use: Settings,
        left_out: frozenset[int] = frozenset(),
    ) -> Memo | None:  # fmt: skip
        """The memo of a leaf; None where its verdicts must not be kept. `left_out` are rows that the leaf does not see."""
        if use.cache is None or facts.lane == "inline" or facts.scope == "batch" or facts.stateful or not facts.deterministic:
            return None
        if reward.unversioned:
            return None
        models: dict[str, str] = {}
        for name in facts.reads:
            if name.startswith("models."):
                model = context.models.get(name.removeprefix("models."))
                if model is None or model.version is None:
                    return None
                models[name] = model.version
            elif name.startswith("context."):
                value = getattr(context, name.removeprefix("context."), None)
                if isinstance(value, Mapping) and value:  # live models or environments: nothing pins them
                    return None
                models[name] = repr(value) if not isinstance(value, Mapping) else "{}"
        base = f"{_FORMAT}:{reward.fingerprint}:{facts.scope}:".encode()
        return cls(use.cache, facts, base, samples, groups, models, left_out)

    def look_up(self, rows: NDArray[np.intp]) -> Known:
        """The rows that are known, in their order; for group scope only groups known as a whole."""
        asked = [(i, key) for i in rows.tolist() if (key := self._key(i)) is not None]
        found: dict[int, Verdict] = {}
        for (i, _), data in zip(asked, self._cache.get_many([key for _, key in asked]), strict=True):
            if data is not None and (verdict := decode(data)) is not None:
                found[i] = verdict
        if self._facts.scope == "group" and found:
            for members in self._groups.members:
                present = [i for i in members.tolist() if i in found]
                if len(present) < np.isin(members, rows).sum():
                    for i in present:
                        del found[i]
        order = sorted(found)
        return Known(np.array(order, dtype=np.intp), Verdicts.of([found[i] for i in order]))

    def keep(self, rows: NDArray[np.intp], verdicts: Verdicts) -> None:
        """Keep what has a value or abstains; a failure may not last."""
        good = [k for k in range(len(rows)) if verdicts.codes[k] != FAILED]
        pairs: list[tuple[bytes, bytes]] = []
        for k in good:
            key = self._key(int(rows[k]))
            try:
                if key is not None:
                    pairs.append((key, encode(verdicts[k])))
            except (TypeError, ValueError):
                continue  # details that are no JSON: the verdict stands, it is only not kept
        if pairs:
            self._cache.put_many(pairs)

    def _key(self, i: int) -> bytes | None:
        if i not in self._keys:
            if self._facts.scope == "group":
                members = [k for k in self._groups.members[self._groups.index[i]].tolist() if k not in self._left_out]
                digests = [self._digest(k) for k in members]
                own = digests[members.index(i)]
                whole = None if None in digests else b"".join(sorted(d for d in digests if d is not None))
                self._keys[i] = None if whole is None or own is None else self._hash(own, str(len(members)).encode(), whole)
            else:
                own = self._digest(i)
                self._keys[i] = None if own is None else self._hash(own)
        return self._keys[i]

    def _hash(self, *chunks: bytes) -> bytes:
        return blake2b(self._base + b"".join(chunks), digest_size=20).digest()

    def _digest(self, i: int) -> bytes | None:
        """Digest of the fields that are read; None when one of them holds an object that cannot be pinned."""
        sample = self._samples[i]
        found = blake2b(digest_size=20)
        for name in self._columns:
            value = sample.meta.get(name[5:], _MISSING) if name.startswith("meta.") else getattr(sample, name)
            if value is _MISSING:  # not the same as null: a default takes its place
                data = b"-"
            elif type(value) is str:
                data = b"s" + value.encode("utf-8", "surrogatepass")
            else:
                strict = _as_data(value)
                if strict is None:
                    return None
                data = strict
            found.update(b"%d:" % len(data) + data)
        return found.digest()


def _as_data(value: Any) -> bytes | None:
    """Bytes that tell values of data apart, 1 from 1.0 and the order of keys too; None for an object that cannot be pinned."""
    try:
        return b"j" + json.dumps(dict(value) if isinstance(value, Mapping) else value).encode()
    except (TypeError, ValueError, RecursionError):  # arrays and other objects
        canonical = Canonical()
        data = b"c" + json.dumps(canonical.of(value), sort_keys=True).encode()
        return None if canonical.unversioned or canonical.touches_files else data


def encode(verdict: Verdict) -> bytes:
    """A verdict as JSON bytes."""
    return json.dumps(_to_json(verdict), separators=(",", ":"), ensure_ascii=True, default=_plain).encode()


def decode(data: bytes) -> Verdict | None:
    """A verdict from `encode`; None when the bytes are not one."""
    try:
        return _from_json(json.loads(data))
    except (ValueError, KeyError, TypeError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _to_json(v: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {"v": v.value, "s": v.status.value}
    for short, name in (("r", "reason"), ("d", "std"), ("c", "confidence"), ("a", "answer"), ("e", "explanation")):
        if (value := getattr(v, name)) is not None:
            row[short] = value
    if v.details:
        row["j"] = dict(v.details)
    if v.parts:
        row["p"] = {name: _to_json(part) for name, part in v.parts.items()}
    if v.dense is not None:
        arrays = [v.dense.values, v.dense.start, v.dense.end] + ([] if v.dense.message is None else [v.dense.message])
        row["x"] = [v.dense.level, *(b64encode(a.tobytes()).decode() for a in arrays)]
    # What the first call cost; a hit itself costs nothing, and says so by having no seconds.
    if v.cost.calls or v.cost.tokens or v.cost.money:
        row["j"] = {**row.get("j", {}), "cached_cost": [v.cost.calls, v.cost.tokens, v.cost.money]}
    return row


def _from_json(row: dict[str, Any]) -> Verdict:
    dense = None
    if "x" in row:
        level, *arrays = row["x"]
        kinds = (np.float64, np.int64, np.int64, np.int64)
        dense = Dense(level, *(np.frombuffer(b64decode(a), dtype=t) for a, t in zip(arrays, kinds, strict=False)))  # type: ignore[arg-type]
    return Verdict(
        row["v"], Status(row["s"]), row.get("r"), {n: _from_json(p) for n, p in row.get("p", {}).items()}, dense,
        row.get("d"), row.get("c"), row.get("a"), row.get("e"), row.get("j", {}), Cost(),
    )  # fmt: skip
