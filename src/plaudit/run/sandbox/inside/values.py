"""Values across the wall: plain data with exact types as JSON, nothing that could run.

This file is used on both sides of the sandbox and imports nothing of plaudit.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

DEPTH = 64
SIZE = 1 << 20
"""Most characters of one encoded value."""
_EQUAL_HASHES = 2_000
"""Most members of one set or mapping whose hash another member has already: a set of many takes quadratic time to make."""


class Undecodable(ValueError):
    """What came over the wall is no encoded value."""


class Opaque:
    """A value that is no plain data: it equals nothing but itself.

    >>> Opaque("Node") == Opaque("Node")
    False
    """

    __slots__ = ("handle", "kind")

    def __init__(self, kind: str, handle: int | None = None) -> None:
        self.kind = kind
        self.handle = handle

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def encode(value: Any, handle: Any = None) -> str:
    """A value as JSON text that keeps exact types; what is no plain data becomes opaque, under a number that `handle` gives it.

    Raises ValueError when it is nested too deeply or too large.

    >>> encode((1, 2.0, {"a": b"x"}))
    '["t", [["i", "1"], ["f", "2.0"], ["d", [[["s", "a"], ["b", "78"]]]]]]'
    """
    text = json.dumps(_tagged(value, 0, handle))
    if len(text) > SIZE:
        raise ValueError(f"a value of {len(text):,} characters: at most {SIZE:,} are taken")
    return text


def decode(text: str | bytes, opaque: Any = Opaque) -> Any:
    """The value of an encoded text. Raises Undecodable for anything that `encode` did not write.

    >>> decode(encode([1, (2.5, None), {3}, True]))
    [1, (2.5, None), {3}, True]
    """
    if len(text) > SIZE:
        raise Undecodable(f"{len(text):,} characters")
    try:
        return _plain(json.loads(text), 0, opaque)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, ArithmeticError) as error:
        raise Undecodable(f"{type(error).__name__}: {error}"[:200]) from error


# Exact types only: a subclass may carry code in its comparison.
_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "S", frozenset: "F", deque: "q"}
_MAPPINGS: dict[type, str] = {dict: "d", OrderedDict: "o", Counter: "c", defaultdict: "D"}
_MAKE_SEQUENCE: dict[str, Any] = {tag: kind for kind, tag in _SEQUENCES.items()}
_MAKE_MAPPING: dict[str, Any] = {"d": dict, "o": OrderedDict, "c": Counter, "D": dict}


def _tagged(value: Any, depth: int, handle: Any) -> Any:
    if depth > DEPTH:
        raise ValueError(f"a value nested deeper than {DEPTH} levels")
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return ["i", hex(value) if value.bit_length() > 10_000 else str(value)]
    if kind is float:
        return ["f", float.__repr__(value)]
    if kind is str:
        return ["s", value]
    if kind in _SEQUENCES:
        return [_SEQUENCES[kind], [_tagged(item, depth + 1, handle) for item in value]]
    if kind in _MAPPINGS:
        return [_MAPPINGS[kind], [[_tagged(k, depth + 1, handle), _tagged(v, depth + 1, handle)] for k, v in value.items()]]
    if kind in (bytes, bytearray):
        return ["b" if kind is bytes else "B", bytes(value).hex()]
    if kind is complex:
        return ["j", [float.__repr__(value.real), float.__repr__(value.imag)]]
    if kind is range:
        return ["r", [value.start, value.stop, value.step]]
    if kind is Decimal:
        return ["m", str(value)]
    if kind is Fraction:
        return ["R", [str(value.numerator), str(value.denominator)]]
    return ["x", kind.__name__[:100] if isinstance(kind.__name__, str) else "?", None if handle is None else handle(value)]


def _plain(item: Any, depth: int, opaque: Any) -> Any:
    if item is None or item is True or item is False:
        return item
    tag, body = item[0], item[1]
    if depth > DEPTH or not isinstance(tag, str) or not isinstance(item, list):
        raise Undecodable("nested too deeply")
    if tag == "i":
        return int(body, 16) if "x" in body else int(body)
    if tag == "f":
        return float(body)
    if tag == "s" and isinstance(body, str):
        return body
    if tag in _MAKE_SEQUENCE:
        members = [_plain(inner, depth + 1, opaque) for inner in body]
        return _MAKE_SEQUENCE[tag](_hashable(members) if tag in ("S", "F") else members)
    if tag in _MAKE_MAPPING:
        keys = _hashable([_plain(k, depth + 1, opaque) for k, _ in body])
        return _MAKE_MAPPING[tag](dict(zip(keys, [_plain(v, depth + 1, opaque) for _, v in body], strict=True)))
    if tag in ("b", "B"):
        return bytes.fromhex(body) if tag == "b" else bytearray.fromhex(body)
    if tag == "j":
        return complex(float(body[0]), float(body[1]))
    if tag == "r":
        return range(*(int(part) for part in body))
    if tag == "m":
        return Decimal(body)
    if tag == "R":
        return Fraction(int(body[0]), int(body[1]))
    if tag == "x":
        return opaque(str(body)[:100], item[2] if isinstance(item[2], int) else None)
    raise Undecodable(f"unknown tag {tag[:20]!r}")


def _hashable(members: list[Any]) -> list[Any]:
    if len(members) - len({hash(member) for member in members}) > _EQUAL_HASHES:
        raise Undecodable("too many members of equal hash")
    return members
