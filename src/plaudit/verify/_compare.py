"""Whether two typed values are the same answer: by their types first, then by their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from plaudit.verify._expressions import Unknown, ratio_is_constant, same_expression
from plaudit.verify._lexer import Unread
from plaudit.verify._numbers import Percent, Units
from plaudit.verify._pieces import as_real_set
from plaudit.verify._real_sets import canonical, same_parts
from plaudit.verify._syntax import Node, number, substitute, symbol, symbols
from plaudit.verify._unit_factors import factor_of
from plaudit.verify._values import (
    BaseNumber,
    Choice,
    Collection,
    Matrix,
    Order,
    Ratio,
    RealSet,
    Relation,
    Scalar,
    Text,
    Time,
    Value,
)

ListOrder = Literal["any", "kept"]
_MOST_COMPARED = 20_000
_MOST_SYMBOLIC = 2
_CONSTANTS = ("C", "K", "c", "k", "C_1", "c_1", "D")
_HALF_DAY = 12 * 3600


@dataclass
class Conventions:
    """What counts as the same, and how much may be spent on finding out.

    Fields:
        percent, units: as in `plaudit.verify.Math`.
        order: whether the members of a bare list may stand in any order.
        digits: significant digits from which on a decimal may stand for the number that it rounds.
        symbolic: the symbolic stage: True, False, or None when it cannot tell either; None = there is none.
        needed: why the symbolic stage was needed and did not answer.
    """

    percent: Percent = "unit"
    units: Units = "drop"
    order: ListOrder = "any"
    digits: int = 10
    symbolic: Callable[[Node, Node], bool | None] | None = None
    needed: str | None = None
    _compared: int = field(default=0, init=False)
    _symbolic: int = field(default=0, init=False)

    def same_nodes(self, a: Node, b: Node) -> str | None:
        """The stage that finds two expressions equal; None = they are not, or nothing can show it."""
        self._compared += 1
        if self._compared > _MOST_COMPARED:
            return None
        try:
            same, stage = same_expression(a, b, self.digits)
            return stage if same else None
        except Unknown as unknown:
            if not unknown.needs_symbolic:
                return None
            if self.symbolic is None or self._symbolic >= _MOST_SYMBOLIC:
                self.needed = str(unknown)
                return None
            self._symbolic += 1
            verdict = self.symbolic(a, b)
            if verdict is None:
                self.needed = str(unknown)
            return "symbolic" if verdict else None


def same_value(a: Value, b: Value, by: Conventions) -> str | None:
    """The stage that finds two values to be the same answer; None = they are not, or it cannot be shown."""
    try:
        return _same(a, b, by)
    except (Unread, RecursionError):
        return None


def _same(a: Value, b: Value, by: Conventions) -> str | None:
    for compare, types in _RULES:
        if isinstance(a, types[0]) and isinstance(b, types[1]):
            return compare(a, b, by)
        if isinstance(b, types[0]) and isinstance(a, types[1]):
            return compare(b, a, by)
    return None


def _scalars(a: Scalar, b: Scalar, by: Conventions) -> str | None:
    names = _unnamed(a, b)
    if names is None:
        if a.name is None or b.name is None or a.name.kind != "symbol" or b.name.kind != "symbol" or a.unit or b.unit:
            return None
        # a = b and b = a, y = 2x and x = y/2: two ways to solve one equation.
        return _relations(Relation((a.name, a.node), ("=",)), Relation((b.name, b.node), ("=",)), by)
    left, right = names
    percent = (a.unit == "%") + (b.unit == "%")
    units = (a.unit, b.unit)
    if by.percent == "value" and percent:
        left, right = (_hundredth(n) if u == "%" else n for n, u in ((left, a.unit), (right, b.unit)))
        units = tuple(None if u == "%" else u for u in units)  # type: ignore[assignment]
    if units[0] != units[1]:
        if units[0] is not None and units[1] is not None:
            x, y = factor_of(units[0]), factor_of(units[1])
            if x is None or y is None or x[0] != y[0]:
                return None
            left, right = (Node("mul", (n, number(f[1]))) for n, f in ((left, x), (right, y)))
        elif by.units == "strict":
            return None
        elif "degree" in units:
            # An angle without a unit is in degrees or, as in mathematics, in radians.
            turned = [Node("call", (n,), "deg") if u == "degree" else n for n, u in zip((left, right), units, strict=True)]
            return by.same_nodes(left, right) or by.same_nodes(*turned)
    return by.same_nodes(left, right) or _up_to_constant(left, right, by)


def _hundredth(node: Node) -> Node:
    return Node("div", (node, number(100)))


def _unnamed(a: Scalar, b: Scalar) -> tuple[Node, Node] | None:
    """The two expressions, the variables of function heads renamed alike; None = they define different things."""
    x, y = a.name, b.name
    if x is None or y is None or x == y:
        return a.node, b.node
    if x.kind == y.kind == "opaque":
        if x.name != y.name or len(x.args) != len(y.args):
            return None
        renamed = {}
        for k, (p, q) in enumerate(zip(x.args, y.args, strict=True)):
            if p.kind == q.kind == "symbol":
                renamed[k] = (p.name, q.name)
            elif p != q:
                return None
        first = {p: symbol(f"argument {k}") for k, (p, _) in renamed.items()}
        second = {q: symbol(f"argument {k}") for k, (_, q) in renamed.items()}
        return substitute(a.node, first), substitute(b.node, second)
    if x.kind == y.kind == "symbol" and x.name.partition("_")[0] == y.name.partition("_")[0]:
        # x = 2 and x_1 = 2: one of them numbers its solutions.
        return (a.node, b.node) if "_" not in x.name or "_" not in y.name else None
    # y = 2x and f(x) = 2x define the same function.
    return (a.node, b.node) if {x.kind, y.kind} == {"opaque", "symbol"} else None


def _up_to_constant(a: Node, b: Node, by: Conventions) -> str | None:
    """x² + C and x² + K: the constant of integration has any name."""
    if a.kind != "add" or b.kind != "add":
        return None
    for name in _CONSTANTS:
        if symbol(name) not in a.args:
            continue
        for other in _CONSTANTS:
            if other != name and symbol(other) in b.args and name not in symbols(b) and other not in symbols(a):
                return by.same_nodes(a, substitute(b, {other: symbol(name)}))
    return None


def _collections(a: Collection, b: Collection, by: Conventions) -> str | None:
    kinds = {a.kind, b.kind}
    if kinds == {"tuple"}:
        if a.brackets != b.brackets and len(a.items) == 2:
            return None
        return _in_order(a.items, b.items, by)
    if kinds == {"set"}:
        return _as_sets(a, b, by)
    if kinds == {"list"}:
        if by.order == "kept":
            return _in_order(a.items, b.items, by)
        # A member that is said twice adds nothing, unless the reference counts members as well (a double root).
        repeats = len(a.items) > len(b.items) and len(_distinct(b.items, by)) == len(b.items)
        return _in_any_order(_distinct(a.items, by) if repeats else a.items, b.items, by)
    if kinds == {"list", "set"}:
        return _as_sets(a, b, by)
    if kinds == {"tuple", "list"}:
        return _in_order(a.items, b.items, by)
    return None


def _in_order(a: Sequence[Value], b: Sequence[Value], by: Conventions) -> str | None:
    if len(a) != len(b):
        return None
    stage: str | None = "identical"
    for x, y in zip(a, b, strict=True):
        stage = _later(stage, _same(x, y, by))
        if stage is None:
            return None
    return stage


_STAGES = ("identical", "text", "rational", "decimal", "modular", "typed", "numeric", "symbolic")


def _later(a: str | None, b: str | None) -> str | None:
    return None if a is None or b is None else max(a, b, key=_STAGES.index)


def _in_any_order(a: Sequence[Value], b: Sequence[Value], by: Conventions) -> str | None:
    """Whether the members can be paired; equality is transitive, so the first partner that fits is as good as any."""
    if len(a) != len(b):
        return None
    counts = Counter(map(_key, b))
    rest = []
    for x in a:
        key = _key(x)
        if counts[key] > 0:
            counts[key] -= 1
        else:
            rest.append(x)
    if not rest:
        return "rational"
    open_ = []
    for y in b:
        if counts[key := _key(y)] > 0:
            counts[key] -= 1
            open_.append(y)
    stage: str | None = "rational"
    for x in rest:
        for k, y in enumerate(open_):
            found = _same(x, y, by)
            if found is not None:
                stage = _later(stage, found)
                del open_[k]
                break
        else:
            return None
    return stage


def _key(value: Value) -> object:
    if isinstance(value, Scalar) and value.node.kind == "number" and not value.node.name:
        return value.node.value, value.unit, value.name
    return value


def _as_sets(a: Collection, b: Collection, by: Conventions) -> str | None:
    first, second = _distinct(a.items, by), _distinct(b.items, by)
    # A bare list with a repeated member is not a set.
    if (a.kind == "list" and len(first) < len(a.items)) or (b.kind == "list" and len(second) < len(b.items)):
        return None
    return _in_any_order(first, second, by)


def _distinct(items: Sequence[Value], by: Conventions) -> list[Value]:
    out: dict[object, Value] = {}
    for item in items:
        out.setdefault(_key(item), item)
    found = list(out.values())
    if len(found) > 40:
        return found
    return [x for k, x in enumerate(found) if not any(_same(x, y, by) for y in found[:k])]


def _scalar_and_collection(a: Scalar, b: Collection, by: Conventions) -> str | None:
    """{5} is 5; a list or a tuple is not a number."""
    if b.kind == "set" and len(b.items) == 1:
        return _same(a, b.items[0], by)
    return None


def _real_sets(a: RealSet, b: RealSet, by: Conventions) -> str | None:
    if a.name and b.name and a.name != b.name:
        return None
    return "typed" if same_parts(canonical(a), canonical(b)) else None


def _real_set_and_collection(a: RealSet, b: Collection, by: Conventions) -> str | None:
    other = as_real_set(b)
    return None if other is None else _real_sets(a, other, by)


def _ratios(a: Ratio, b: Ratio, by: Conventions) -> str | None:
    if len(a.terms) != len(b.terms):
        return None
    stage: str | None = "identical"
    for x, y in zip(a.terms[1:], b.terms[1:], strict=True):
        stage = _later(stage, by.same_nodes(Node("mul", (x, b.terms[0])), Node("mul", (y, a.terms[0]))))
    return stage


def _ratio_and_scalar(a: Ratio, b: Scalar, by: Conventions) -> str | None:
    return by.same_nodes(Node("div", a.terms), b.node) if len(a.terms) == 2 and b.unit is None else None


def _times(a: Time, b: Time, by: Conventions) -> str | None:
    if a.seconds == b.seconds:
        return "typed"
    bare = b if a.half else a
    # "4:30" may be meant by "4:30 p.m.", but 16:30 is not 4:30 a.m.
    loose = a.half != b.half and by.units == "drop" and bare.seconds < 13 * 3600
    return "typed" if loose and (a.seconds - b.seconds) % _HALF_DAY == 0 else None


def _time_and_ratio(a: Time, b: Ratio, by: Conventions) -> str | None:
    return None if a.half else _ratios(a.ratio, b, by)


def _time_and_scalar(a: Time, b: Scalar, by: Conventions) -> str | None:
    return None if a.half else _ratio_and_scalar(a.ratio, b, by)


def _bases(a: BaseNumber, b: BaseNumber, by: Conventions) -> str | None:
    return "rational" if a.value == b.value else None


def _base_and_scalar(a: BaseNumber, b: Scalar, by: Conventions) -> str | None:
    """A number without a base is decimal: 101 in base two is 5, not 101."""
    if b.node.kind == "symbol" or b.unit is not None:
        return None
    return by.same_nodes(number(a.value), b.node)


def _matrices(a: Matrix, b: Matrix, by: Conventions) -> str | None:
    if [len(row) for row in a.rows] != [len(row) for row in b.rows]:
        return None
    stage: str | None = "identical"
    for row, other in zip(a.rows, b.rows, strict=True):
        for x, y in zip(row, other, strict=True):
            stage = _later(stage, by.same_nodes(x, y))
            if stage is None:
                return None
    return stage


def _matrix_and_collection(a: Matrix, b: Collection, by: Conventions) -> str | None:
    """A column or a row is the tuple of its entries."""
    if b.kind != "tuple" or not (len(a.rows) == 1 or all(len(row) == 1 for row in a.rows)):
        return None
    return _in_order([Scalar(x) for row in a.rows for x in row], b.items, by)


def _texts(a: Text, b: Text, by: Conventions) -> str | None:
    return "text" if a.words and a.words == b.words else None


def _text_and_scalar(a: Text, b: Scalar, by: Conventions) -> str | None:
    return None if a.node is None else _scalars(Scalar(a.node), b, by)


def _choices(a: Choice, b: Choice, by: Conventions) -> str | None:
    return "typed" if a.letter == b.letter else None


def _choice_and_text(a: Choice, b: Text, by: Conventions) -> str | None:
    if len(b.words) == 1:
        return "typed" if not a.rest and b.words == a.letter.casefold() else None
    return None


def _choice_and_scalar(a: Choice, b: Scalar, by: Conventions) -> str | None:
    return None if a.rest else _scalars(Scalar(symbol(a.letter)), b, by)


def _difference(relation: Relation) -> Node:
    return Node("add", (relation.sides[0], Node("neg", (relation.sides[1],))))


def _relations(a: Relation, b: Relation, by: Conventions) -> str | None:
    a, b = _ascending(a), _ascending(b)
    if len(a.sides) == len(b.sides):
        sides = list(zip(a.sides, b.sides, strict=True))
        if a.signs == b.signs and all(by.same_nodes(x, y) for x, y in sides):
            return "typed"
    if len(a.sides) != 2 or len(b.sides) != 2:
        return None
    x, y = _difference(a), _difference(b)
    names = symbols(x)
    if names != symbols(y) or not names:
        return None
    sign = ratio_is_constant(x, y, names)
    if sign == 0:
        return None
    expected: Order = b.signs[0] if sign > 0 else _ascending_sign(b.signs[0])
    return "numeric" if a.signs[0] == expected or a.signs[0] == b.signs[0] in ("=", "!=") else None


_FLIPPED: dict[Order, Order] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def _ascending_sign(sign: Order) -> Order:
    return _FLIPPED[sign]


def _ascending(relation: Relation) -> Relation:
    """The chain turned so that its signs point to the right: b > a is a < b."""
    if any(sign in (">", ">=") for sign in relation.signs):
        signs = tuple(_FLIPPED[sign] for sign in reversed(relation.signs))
        return Relation(relation.sides[::-1], signs)
    return relation


def _relation_and_scalar(a: Relation, b: Scalar, by: Conventions) -> str | None:
    """2x + y = 3 and y = 3 - 2x are the same line; a bare expression is no equation."""
    if b.name is None or a.signs != ("=",):
        return None
    return _relations(a, Relation((b.name, b.node), ("=",)), by)


def _equal_points(a: RealSet, b: Scalar, by: Conventions) -> str | None:
    """A set of one point is that point."""
    parts = canonical(a)
    if len(parts) != 1 or not (parts[0].low_closed and parts[0].high_closed):
        return None
    return by.same_nodes(parts[0].low, b.node) if by.same_nodes(parts[0].low, parts[0].high) else None


_Rule = Callable[..., str | None]
_RULES: tuple[tuple[_Rule, tuple[type, type]], ...] = (
    (_scalars, (Scalar, Scalar)), (_collections, (Collection, Collection)), (_real_sets, (RealSet, RealSet)),
    (_texts, (Text, Text)), (_choices, (Choice, Choice)), (_matrices, (Matrix, Matrix)), (_relations, (Relation, Relation)),
    (_ratios, (Ratio, Ratio)), (_times, (Time, Time)), (_bases, (BaseNumber, BaseNumber)),
    (_scalar_and_collection, (Scalar, Collection)), (_real_set_and_collection, (RealSet, Collection)),
    (_matrix_and_collection, (Matrix, Collection)), (_ratio_and_scalar, (Ratio, Scalar)), (_time_and_ratio, (Time, Ratio)),
    (_time_and_scalar, (Time, Scalar)), (_base_and_scalar, (BaseNumber, Scalar)), (_text_and_scalar, (Text, Scalar)),
    (_choice_and_text, (Choice, Text)), (_choice_and_scalar, (Choice, Scalar)), (_relation_and_scalar, (Relation, Scalar)),
    (_equal_points, (RealSet, Scalar)),
)  # fmt: skip


def is_rational(value: Value | None) -> Fraction | None:
    """The fraction that a plain number is; None = it is something else."""
    return value.node.value if isinstance(value, Scalar) and value.node.kind == "number" else None
