"""What is left of an expression while its solution goes on: the open operations, and where a step applies to them.

A sum is held as its signed terms and a product as its factors and their inverses, so that a step may join any two of them:
``4*5=20`` is a step of ``100/4/5``, and ``3+5=8`` one of ``3+4+5``. Nothing else is rewritten; to multiply out a bracket is
another path. A step may also join numbers that the solution has not written yet (``3+20=23`` in ``3+4*5``): it skips operations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from itertools import islice, product
from typing import Any, NamedTuple

from plaudit.worlds._expression import Expression, Operation
from plaudit.worlds._number import Value, combine, whole

MAX_READINGS = 16
MAX_PLACES = 8
MAX_PAIRS = 256
"""Bounds on equal places: readings of a solution that are followed side by side (one of two equal products is done: which?),
places of a step in one sum or product, and pairs of its parts that are tried for them. The leftmost come first."""


class _Run(NamedTuple):
    """Neighbours i to j (half-open) of a node that are together worth a number, with the operations still open in them."""

    i: int
    j: int
    open: int


class Open:
    """A sum, product or power that is not yet one number.

    Fields:
        kind: ``"+"`` terms to be added, ``"*"`` factors to be multiplied, ``"^"`` one base.
        items: for sums and products (mark, item): the mark is 1, or -1 for a subtracted term or a divisor. Numbers carry no
            mark of their own: a subtracted 3 is held as -3, a divisor 3 as 1/3.
        exponent: of a power; 0 otherwise.
    """

    def __init__(self, kind: str, items: tuple[tuple[int, Piece], ...], exponent: int = 0) -> None:
        self.kind = kind
        self.items = items
        self.exponent = exponent

    @cached_property
    def value(self) -> Value | None:
        """What it is worth; None = it divides by zero."""
        values = self.values
        if any(value is None for value in values):
            return None
        known = [value for value in values if value is not None]
        if self.kind == "^":
            return combine("^", known[0], self.exponent)
        total: Value = 0 if self.kind == "+" else 1
        for value in known:
            total = total + value if self.kind == "+" else total * value
        return whole(total) if isinstance(total, Fraction) else total

    @cached_property
    def values(self) -> tuple[Value | None, ...]:
        """The worth of each item, its mark included."""
        return tuple(_marked(self.kind, mark, worth(item)) for mark, item in self.items)

    @cached_property
    def count(self) -> int:
        """Operations that are still open in it."""
        inside = sum(open_operations(item) for _, item in self.items)
        return inside + (1 if self.kind == "^" else len(self.items) - 1)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Equal for readings that differ only in the order of terms and factors."""
        return (self.kind, self.exponent, tuple(sorted((mark, key_of(item)) for mark, item in self.items)))

    @cached_property
    def layout(self) -> tuple[Any, ...]:
        """Equal for readings that hold the same items in the same order: which numbers are neighbours matters to `runs`."""
        return (self.kind, self.exponent, tuple((mark, layout_of(item)) for mark, item in self.items))

    @cached_property
    def singles(self) -> dict[Value, list[_Run]]:
        """The items that are numbers already, by their worth."""
        found: dict[Value, list[_Run]] = defaultdict(list)
        for k, (_, item) in enumerate(self.items):
            if not isinstance(item, Open):
                found[item].append(_Run(k, k + 1, 0))
        return dict(found)

    @cached_property
    def runs(self) -> dict[Value, list[_Run]]:
        """Neighbouring items by what they are together worth."""
        found: dict[Value, list[_Run]] = defaultdict(list)
        counts = [open_operations(item) for _, item in self.items]
        for i in range(len(self.items)):
            total: Value = 0 if self.kind == "+" else 1
            inside = -1
            for j in range(i, len(self.items)):
                value = self.values[j]
                if value is None:
                    break
                total = total + value if self.kind == "+" else total * value
                inside += 1 + counts[j]
                found[total].append(_Run(i, j + 1, inside))
        return dict(found)


Piece = Value | Open
"""What is left of an expression or a part of it: a number when all its operations are done."""


class Rewritten(NamedTuple):
    """What a step leaves behind: the piece, and the operations that the step did without writing them.

    The piece is None where the claimed number would make the expression divide by zero.
    """

    piece: Piece | None
    skipped: int


def worth(piece: Piece) -> Value | None:
    """The exact value of what is left; None = it divides by zero."""
    return piece.value if isinstance(piece, Open) else piece


def open_operations(piece: Piece) -> int:
    """Operations that are still to be done."""
    return piece.count if isinstance(piece, Open) else 0


def key_of(piece: Piece) -> tuple[Any, ...]:
    """A form that is equal for pieces which differ only in the order of terms and factors."""
    return piece.key if isinstance(piece, Open) else ("", piece.numerator, piece.denominator)


def layout_of(piece: Piece) -> tuple[Any, ...]:
    """A form that is equal for pieces with the same items in the same order."""
    return piece.layout if isinstance(piece, Open) else key_of(piece)


def open_form(tree: Expression) -> Piece | None:
    """The expression with all its operations open; None = a number in it is a divisor zero.

    >>> open_operations(open_form(Operation("-", Operation("*", 2, 3), 4)))
    2
    """
    if not isinstance(tree, Operation):
        return tree
    left, right = open_form(tree.left), open_form(tree.right)
    if left is None or right is None:
        return None
    if tree.operator == "^":
        return Open("^", ((1, left),), int(tree.right)) if not isinstance(tree.right, Operation) else None
    kind = "+" if tree.operator in "+-" else "*"
    return _node(kind, ((1, left), (1 if tree.operator in "+*" else -1, right)))


def _node(kind: str, items: tuple[tuple[int, Piece], ...]) -> Piece | None:
    """A sum or product with nested ones of the same kind dissolved and numbers freed of their marks."""
    flat: list[tuple[int, Piece]] = []
    for mark, item in items:
        if isinstance(item, Open):
            if item.kind == kind:
                for inner, piece in item.items:
                    value = piece if isinstance(piece, Open) else _marked(kind, mark, piece)
                    if value is None:
                        return None
                    flat.append((mark * inner, value) if isinstance(value, Open) else (1, value))
            else:
                flat.append((mark, item))
        else:
            number = _marked(kind, mark, item)
            if number is None:
                return None
            flat.append((1, number))
    if len(flat) == 1 and flat[0][0] == 1:
        return flat[0][1]
    return Open(kind, tuple(flat))


def _marked(kind: str, mark: int, value: Value | None) -> Value | None:
    if value is None or mark == 1:
        return value
    if kind == "+":
        return -value
    return None if value == 0 else whole(Fraction(1) / value)


def readings(pieces: list[Piece], operator: str, left: Value, right: Value, claim: Value) -> tuple[list[Piece], int] | None:
    """What the readings of a solution leave after one more step, and the operations that the step skips; None = no such place.

    `claim` is put in the place of ``left operator right``, wherever the fewest operations are skipped. A step that has a place
    in some readings rules the others out. A claim that makes a reading divide by zero ends that reading.

    >>> sum_of_three = open_form(Operation("+", Operation("+", 3, 4), 5))
    >>> readings([sum_of_three], "+", 7, 5, 12), readings([sum_of_three], "*", 3, 4, 12)
    (([12], 1), None)
    """
    step = (operator, left, right, claim)
    # Most steps join numbers that stand there; only where none does are the worths of neighbours worked out.
    found = [each for piece in pieces for each in _places(piece, step, written=True)]
    if not found:
        found = [each for piece in pieces for each in _places(piece, step, written=False)]
    if not found:
        return None
    least = min(each.skipped for each in found)
    distinct: dict[tuple[Any, ...], Piece] = {}
    for each in found:
        if each.skipped == least and each.piece is not None and len(distinct) < MAX_READINGS:
            distinct.setdefault(layout_of(each.piece), each.piece)
    return list(distinct.values()), least


def _places(piece: Piece, step: tuple[str, Value, Value, Value], written: bool) -> Iterator[Rewritten]:
    """The results of putting a step's claim in its places in a piece; `written`: only of numbers that stand there."""
    if not isinstance(piece, Open):
        return
    if piece.kind == "^":
        yield from _in_power(piece, step, written)
    else:
        yield from _in_chain(piece, step, written)
    for k, (mark, item) in enumerate(piece.items):
        for inner in _places(item, step, written):
            yield inner if inner.piece is None else Rewritten(_replaced(piece, k, mark, inner.piece), inner.skipped)


def _in_power(node: Open, step: tuple[str, Value, Value, Value], written: bool) -> Iterator[Rewritten]:
    operator, left, right, claim = step
    skipped = open_operations(node.items[0][1])
    if operator == "^" and right == node.exponent and node.values[0] == left and written == (skipped == 0):
        yield Rewritten(claim, skipped)


def _in_chain(node: Open, step: tuple[str, Value, Value, Value], written: bool) -> Iterator[Rewritten]:
    """The places in a sum or product itself, not in its items."""
    operator, left, right, claim = step
    second = right if operator in "+*" else None if operator == "^" else _marked(node.kind, -1, right)
    if second is None or operator not in ("+-" if node.kind == "+" else "*/"):
        return
    parts = node.singles if written else node.runs
    found: list[tuple[int, _Run, _Run, int]] = []
    # Turned round: two subtracted terms are a subtracted sum, two divisors divide by their product.
    for turned in (1, -1):
        a, b = _marked(node.kind, turned, left), _marked(node.kind, turned, second)
        if a is None or b is None:
            continue
        for one, two in islice(product(parts.get(a, ()), parts.get(b, ())), MAX_PAIRS):
            if one.j <= two.i or (two.j <= one.i and a != b):
                found.append((one.open + two.open, one, two, turned))
    found.sort(key=lambda place: place[0])
    for skipped, one, two, turned in found[:MAX_PLACES]:
        yield Rewritten(_joined(node, one, two, turned, claim), skipped)


def _joined(node: Open, one: _Run, two: _Run, turned: int, claim: Value) -> Piece | None:
    """The node with the claim in the place of two runs of its items."""
    first, last = (one, two) if one.i < two.i else (two, one)
    items = node.items
    return _node(node.kind, (*items[: first.i], (turned, claim), *items[first.j : last.i], *items[last.j :]))


def _replaced(node: Open, k: int, mark: int, piece: Piece) -> Piece | None:
    if node.kind == "^":
        return Open("^", ((1, piece),), node.exponent)
    return _node(node.kind, (*node.items[:k], (mark, piece), *node.items[k + 1 :]))
