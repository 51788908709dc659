"""Sets of real numbers as unions of intervals: brought to one form by comparing their ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from plaudit.verify._ball import Undecided
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._lexer import Unread
from plaudit.verify._syntax import INFINITY, MINUS_INFINITY, Node
from plaudit.verify._values import Interval, RealSet

_MOST_PARTS = 200


def interval(low: Node, high: Node, low_closed: bool, high_closed: bool) -> Interval:
    """An interval; an infinite end is never closed."""
    low, high = _plain(low), _plain(high)
    infinite = (INFINITY, MINUS_INFINITY)
    return Interval(low, high, low_closed and low not in infinite, high_closed and high not in infinite)


def points(nodes: Iterable[Node]) -> RealSet:
    """Single points."""
    return RealSet(tuple(Interval(node, node, True, True) for node in nodes))


def _plain(node: Node) -> Node:
    """The end without a doubled sign in front of infinity."""
    if node.kind == "neg" and node.args[0] == MINUS_INFINITY:
        return INFINITY
    return node


def order(a: Node, b: Node) -> int:
    """-1, 0 or 1 as a is less than, equal to or greater than b. Raises Unread where that cannot be told."""
    if a == b:
        return 0
    if a == MINUS_INFINITY or b == INFINITY:
        return -1
    if a == INFINITY or b == MINUS_INFINITY:
        return 1
    try:
        for digits in (50, 700):
            evaluator = Evaluator(digits)
            difference = evaluator(Node("add", (a, Node("neg", (b,)))))
            ball = evaluator.ball(difference)
            if ball.im.copy_abs() > ball.radius:
                raise Unread("an end that is not real")
            if ball.lower():
                return 1 if ball.re > 0 else -1
            if 2 * evaluator.spread + 25 <= digits:
                return 0
    except Undecided as error:
        raise Unread(f"ends that cannot be ordered: {error}") from None
    raise Unread("ends that cannot be ordered")


def canonical(real: RealSet) -> tuple[Interval, ...]:
    """The parts in their order, those that meet made one, empty ones left out."""
    if len(real.parts) > _MOST_PARTS:
        raise Unread(f"more than {_MOST_PARTS} intervals")
    parts = []
    for part in real.parts:
        direction = order(part.low, part.high)
        if direction > 0:
            raise Unread("an interval whose ends are the wrong way round")
        if direction < 0 or (part.low_closed and part.high_closed):
            parts.append(part)
    parts.sort(key=cmp_to_key(_by_low))
    out: list[Interval] = []
    for part in parts:
        if out and _touch(out[-1], part):
            out[-1] = _merged(out[-1], part)
        else:
            out.append(part)
    return tuple(out)


def _by_low(a: Interval, b: Interval) -> int:
    return order(a.low, b.low) or (b.low_closed - a.low_closed)


def _touch(a: Interval, b: Interval) -> bool:
    direction = order(b.low, a.high)
    return direction < 0 or (direction == 0 and (a.high_closed or b.low_closed))


def _merged(a: Interval, b: Interval) -> Interval:
    direction = order(a.high, b.high)
    if direction == 0:
        return Interval(a.low, a.high, a.low_closed, a.high_closed or b.high_closed)
    last = a if direction > 0 else b
    return Interval(a.low, last.high, a.low_closed, last.high_closed)


def union(a: RealSet, b: RealSet) -> RealSet:
    """What lies in one of them."""
    return RealSet(canonical(RealSet(a.parts + b.parts)), a.name or b.name)


def intersection(a: RealSet, b: RealSet) -> RealSet:
    """What lies in both."""
    out = []
    for x in canonical(a):
        for y in canonical(b):
            low = order(x.low, y.low)
            high = order(x.high, y.high)
            first = Interval(
                x.low if low >= 0 else y.low,
                x.high if high <= 0 else y.high,
                x.low_closed if low > 0 else y.low_closed if low < 0 else x.low_closed and y.low_closed,
                x.high_closed if high < 0 else y.high_closed if high > 0 else x.high_closed and y.high_closed,
            )
            direction = order(first.low, first.high)
            if direction < 0 or (direction == 0 and first.low_closed and first.high_closed):
                out.append(first)
    return RealSet(tuple(out), a.name or b.name)


def difference(a: RealSet, b: RealSet) -> RealSet:
    """What lies in a and not in b."""
    return intersection(a, complement(b))


def complement(a: RealSet) -> RealSet:
    """The real numbers that are not in the set."""
    low, closed = MINUS_INFINITY, False
    out: list[Interval] = []
    for part in canonical(a):
        _append(out, Interval(low, part.low, closed, not part.low_closed))
        low, closed = part.high, not part.high_closed
    _append(out, Interval(low, INFINITY, closed, False))
    return RealSet(tuple(out), a.name)


def _append(out: list[Interval], part: Interval) -> None:
    infinite = (INFINITY, MINUS_INFINITY)
    part = Interval(
        part.low, part.high, part.low_closed and part.low not in infinite, part.high_closed and part.high not in infinite
    )
    direction = order(part.low, part.high)
    if direction < 0 or (direction == 0 and part.low_closed and part.high_closed):
        out.append(part)


def same_parts(a: Sequence[Interval], b: Sequence[Interval]) -> bool:
    """Whether two canonical unions are the same set."""
    return len(a) == len(b) and all(
        x.low_closed == y.low_closed
        and x.high_closed == y.high_closed
        and order(x.low, y.low) == 0
        and order(x.high, y.high) == 0
        for x, y in zip(a, b, strict=True)
    )
