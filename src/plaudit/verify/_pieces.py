r"""Typed values from tokens: lists, relations, sets, intervals, tuples, matrices, quantities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from plaudit.verify._ball import Undecided
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._expressions import Unknown, same_expression
from plaudit.verify._inequalities import real_set
from plaudit.verify._lexer import Token, Unread
from plaudit.verify._parser import DEEPEST, parse
from plaudit.verify._real_sets import difference, intersection, interval, points, union
from plaudit.verify._syntax import INFINITY, MINUS_INFINITY, Node, decimals, number, substitute, symbols, walk
from plaudit.verify._units import CURRENCY_SIGNS, STANDARD_UNITS, read_unit
from plaudit.verify._values import Collection, Interval, Matrix, Order, Ratio, RealSet, Relation, Scalar, Value

_OPEN = frozenset(("(", "[", "{", r"\{", r"\langle", r"\lfloor", r"\lceil"))
_CLOSE = frozenset((")", "]", "}", r"\}", r"\rangle", r"\rfloor", r"\rceil"))
_SIGNS: dict[str, Order] = {
    "=": "=", "<": "<", ">": ">", r"\leq": "<=", r"\geq": ">=", r"\neq": "!=",
}  # fmt: skip
_ABOUT = r"\approx"
_JOINING = {",": ",", ";": ",", "and": "and", "or": "or", r"\and": "and", r"\or": "or", "&": "and"}
_SET_SIGNS = (r"\cup", r"\cap", r"\backslash")
_WHOLE_LINE = RealSet((Interval(MINUS_INFINITY, INFINITY, False, False),))
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "Vmatrix", "smallmatrix", "array"])
_ROWS = frozenset(["cases", "aligned", "align", "gathered", "gather", "split"])
_MOST_SIGNS = 3
MOST_ITEMS = 3_000
"""Members of the longest list."""


def read_pieces(tokens: Sequence[Token]) -> Value:
    """The value that all of the tokens write. Raises Unread when they write none that is understood."""
    parts, joints = _split_list(tokens)
    if len(parts) == 1:
        return _read_piece(parts[0])
    if len(parts) > MOST_ITEMS:
        raise Unread(f"more than {MOST_ITEMS:,} members")
    values = [_read_piece(part) for part in parts]
    if any(isinstance(value, RealSet) and value.name for value in values):
        return _joined_sets(values, joints)
    values = [item for value in values for item in _spread(value)]
    # "n = 2, 3, 4": the name stands for all of them.
    first, *rest = values
    if isinstance(first, Scalar) and first.name is not None and all(isinstance(v, Scalar) and v.name is None for v in rest):
        values[0] = Scalar(first.node, first.unit)
    return Collection("list", tuple(values))


def _spread(value: Value) -> tuple[Value, ...]:
    return value.items if isinstance(value, Collection) and value.kind == "list" else (value,)


def _joined_sets(values: Sequence[Value], joints: Sequence[str]) -> Value:
    sets = [value for value in values if isinstance(value, RealSet)]
    if len(sets) < len(values):
        raise Unread("inequalities beside other values")
    both = either = sets[0]
    for other in sets[1:]:
        both, either = intersection(both, other), union(either, other)
    # "x < -1, x > 2" can only mean one or the other.
    return either if "or" in joints or not both.parts else both


def _depths(tokens: Sequence[Token]) -> list[int]:
    """How many groups are open at each token, the token's own brackets not counted."""
    out, depth = [], 0
    for token in tokens:
        text = token.text if token.kind != "text" else ""
        if text in _CLOSE or text.startswith(r"\end{"):
            depth -= 1
        if depth < 0:
            raise Unread("a bracket that was never opened")
        out.append(depth)
        if text in _OPEN or text.startswith(r"\begin{"):
            depth += 1
            if depth > DEEPEST:
                raise Unread(f"more than {DEEPEST} brackets within brackets")
    if depth:
        raise Unread("a bracket is not closed")
    return out


def _split_list(tokens: Sequence[Token]) -> tuple[list[list[Token]], list[str]]:
    parts: list[list[Token]] = [[]]
    joints: list[str] = []
    for token, depth in zip(tokens, _depths(tokens), strict=True):
        joint = _JOINING.get(token.text.strip().lower().rstrip(",") or ",") if depth == 0 else None
        if joint is None:
            parts[-1].append(token)
        elif parts[-1]:
            parts.append([])
            joints.append(joint)
        elif len(parts) > 1 and joint != ",":
            joints[-1] = joint  # ", and"
        else:
            raise Unread("a list that lacks a member")
    if not parts[-1]:
        raise Unread("a list that lacks its last member")
    return parts, joints


def _split(tokens: Sequence[Token], signs: Sequence[str]) -> tuple[list[list[Token]], list[str]]:
    parts: list[list[Token]] = [[]]
    found: list[str] = []
    for token, depth in zip(tokens, _depths(tokens), strict=True):
        if depth == 0 and token.text in signs and token.kind != "text":
            parts.append([])
            found.append(token.text)
        else:
            parts[-1].append(token)
    if found and not all(parts):
        raise Unread(f"{found[0]!r} lacks a side")
    return parts, found


def _read_piece(tokens: Sequence[Token]) -> Value:
    if len(tokens) == 1 and tokens[0].kind == "number":  # long lists are made of these
        return Scalar(parse(tokens))
    sides, signs = _split(tokens, (*_SIGNS, _ABOUT, r"\in", r"\to", r"\Rightarrow", r"\equiv", r"\Leftrightarrow", r"\subset"))
    if not signs:
        return _read_object(tokens)
    if any(sign not in _SIGNS and sign not in (_ABOUT, r"\in") for sign in signs):
        raise Unread(f"the sign {signs[0]}")
    if r"\in" in signs:
        return _membership(sides, signs)
    if all(sign in ("=", _ABOUT) for sign in signs):
        return _equation(sides, signs)
    if _ABOUT in signs:
        raise Unread("an inequality with an approximation")
    nodes = tuple(parse(side) for side in sides)
    orders = tuple(_SIGNS[sign] for sign in signs)
    return real_set(nodes, orders) or Relation(nodes, orders)


def _membership(sides: list[list[Token]], signs: list[str]) -> Value:
    if len(signs) != 1 or not all(token.kind in ("letter", "command", "word", "number", "sign") for token in sides[0]):
        raise Unread("a membership that is not x in a set")
    value = _read_object(sides[1])
    name = sides[0][0].text if len(sides[0]) == 1 else ""
    converted = as_real_set(value)
    return RealSet(converted.parts, name) if converted is not None and isinstance(value, RealSet) else value


def _equation(sides: list[list[Token]], signs: list[str]) -> Value:
    if signs[-1] == _ABOUT and len(sides) > 1 and len(sides[-1]) <= 2:
        return _approximation(sides, signs)
    head, *rest = sides
    name = _name_of(head)
    if len(rest) == 1 and name is not None:
        value = _read_object(rest[0])
        if not isinstance(value, Scalar):
            return _named_items(value, name)
        node = name if isinstance(name, Node) else None
        if node is None or node.kind == "opaque" or node.name not in symbols(value.node):
            return Scalar(value.node, value.unit, node)
    if len(rest) == 1 and _is_tuple(head):
        return _read_object(rest[0])  # (x, y) = (1, 2)
    if name is not None and len(rest) > 1:
        last = _equal_sides([parse(side) for side in rest])
        if last is not None:
            return Scalar(last, None, name if isinstance(name, Node) else None)
    nodes = tuple(parse(side) for side in sides)
    if (last := _equal_sides(list(nodes))) is not None:
        return Scalar(last)
    equal: Order = "="
    return Relation(nodes, (equal,) * len(signs))


def _named_items(value: Value, name: Node | str) -> Value:
    """x = ±3 and n = 2, 3: the name belongs to each of the values."""
    if isinstance(value, Collection) and value.kind == "list" and isinstance(name, Node):
        items = (Scalar(v.node, v.unit, name) if isinstance(v, Scalar) else v for v in value.items)
        return Collection("list", tuple(items))
    return value


def _name_of(tokens: Sequence[Token]) -> Node | str | None:
    """The left side of a definition: a variable, f(x), or words (which are returned as text); None = something else."""
    if any(token.kind == "text" or (token.kind == "word" and len(token.text) > 3) for token in tokens):
        return " ".join(token.text for token in tokens) if all(token.kind in ("text", "word") for token in tokens) else None
    if len(tokens) == 2 and all(token.kind == "letter" and token.text.isupper() for token in tokens):
        return "".join(token.text for token in tokens)
    if len(tokens) == 1 and tokens[0].kind == "word" and tokens[0].text.isupper():
        return tokens[0].text
    ratio, colons = _split(tokens, (":",))
    if colons and all(part[0].kind == "letter" and (len(part) == 1 or part[1].text == "_") for part in ratio):
        return ":".join(token.text for part in ratio for token in part)
    try:
        node = parse(tokens)
    except Unread:
        return None
    if node.kind in ("symbol", "opaque") or (node.kind == "constant" and node.name in ("e", "i")):
        return node
    if node.kind == "mul" and len(node.args) == 2 and node.args[0].kind == node.args[1].kind == "symbol" and _applies(tokens):
        return Node("opaque", (node.args[1],), node.args[0].name)  # y(x) = …
    return None


def _applies(tokens: Sequence[Token]) -> bool:
    return len(tokens) == 4 and tokens[1].text == "(" and tokens[3].text == ")"


def _is_tuple(tokens: Sequence[Token]) -> bool:
    return len(tokens) > 4 and tokens[0].text == "(" and tokens[-1].text == ")" and any(t.text == "," for t in tokens)


def _equal_sides(nodes: list[Node]) -> Node | None:
    """The last of several sides when all of them are one number: 2 + 2 = 4."""
    if len(nodes) < 2 or any(symbols(node) for node in nodes):
        return None
    try:
        if all(same_expression(node, nodes[-1])[0] for node in nodes[:-1]):
            return nodes[-1]
    except Unknown:
        return None
    return None


def _approximation(sides: list[list[Token]], signs: list[str]) -> Value:
    r"""\frac13 \approx 0.33 is the exact side, where the other one really rounds it; x \approx 11 is 11."""
    exact = _read_piece_of(sides[:-1], signs[:-1])
    rounded = _read_object(sides[-1])
    if isinstance(exact, Scalar) and isinstance(rounded, Scalar):
        if exact.node.kind == "symbol":
            return Scalar(rounded.node, rounded.unit, exact.node)
        digits = decimals(rounded.node) or ""
        places = len(digits.partition(".")[2])
        try:
            value = Evaluator(50)(Node("add", (exact.node, Node("neg", (rounded.node,)))))
            bound = Evaluator(50).ball(value).upper()
        except Undecided:
            raise Unread("an approximation that cannot be checked") from None
        if bound <= 0.51 * 10.0**-places:
            return exact
    raise Unread("an approximation of something else")


def _read_piece_of(sides: list[list[Token]], signs: list[str]) -> Value:
    return _read_object(sides[0]) if not signs else _equation(sides, signs)


def _read_object(tokens: Sequence[Token]) -> Value:
    if not tokens:
        raise Unread("nothing is written")
    operands, signs = _split(tokens, _SET_SIGNS)
    if signs:
        return _set_expression(operands, signs)
    if len(tokens) == 1 and tokens[0].text == r"\emptyset":
        return Collection("set", ())
    if len(tokens) == 1 and tokens[0].text == r"\mathbbR":
        return _WHOLE_LINE
    if tokens[0].text.startswith(r"\begin{"):
        return _environment(tokens)
    closes = _closes_at_end(tokens)
    if closes:
        grouped = _group(tokens)
        if grouped is not None:
            return grouped
    terms, colons = _split(tokens, (":",))
    if colons:
        return Ratio(tuple(parse(term) for term in terms))
    return _quantity(list(tokens))


def _closes_at_end(tokens: Sequence[Token]) -> bool:
    """Whether the first bracket is closed by the last token."""
    first, last = tokens[0].text, tokens[-1].text
    if not (first in _OPEN and last in _CLOSE) and not (first.startswith(r"\begin{") and last.startswith(r"\end{")):
        return False
    depths = _depths(tokens)
    return all(depth > 0 for depth in depths[1:-1]) and len(tokens) >= 2


def _group(tokens: Sequence[Token]) -> Value | None:
    opening, closing = tokens[0].text, tokens[-1].text
    inner = list(tokens[1:-1])
    if opening == r"\{":
        return _braces(inner) if closing == r"\}" else None
    if not inner:
        return Collection("set", ()) if opening == "{" else None
    if inner[0].text.startswith(r"\begin{") and _closes_at_end(inner):
        return _environment(inner)
    parts, joints = _split_list(inner)
    if len(parts) == 1:
        if opening == "(" and closing == ")" and (_closes_at_end(inner) or inner[0].text.startswith(r"\begin{")):
            return _read_object(inner)
        return None
    if opening == "{":
        return Collection("set", _members(parts)) if set(joints) == {","} else None
    if {opening, closing} <= {"(", ")", "[", "]"}:
        if len(parts) == 2 and (opening, closing) in (("(", "]"), ("[", ")")):
            return RealSet((interval(parse(parts[0]), parse(parts[1]), opening == "[", closing == "]"),))
        items = tuple(value for part in parts for value in [_read_piece(part)])
        return _pairs(items, opening + closing)
    if opening == r"\langle":
        return Collection("tuple", _members(parts), "()")
    return None


def _pairs(items: tuple[Value, ...], brackets: str) -> Value:
    """A tuple; one with ± in it is a list of tuples."""
    if any(isinstance(item, Collection) and item.kind == "list" for item in items):
        choices = [item.items if isinstance(item, Collection) and item.kind == "list" else (item,) for item in items]
        if len(list(choices)) <= _MOST_SIGNS:
            return Collection("list", tuple(Collection("tuple", found, brackets) for found in product(*choices)))
    return Collection("tuple", items, brackets)


def _members(parts: list[list[Token]]) -> tuple[Value, ...]:
    return tuple(item for part in parts for item in _spread(_read_piece(part)))


def _braces(inner: list[Token]) -> Value:
    if not inner:
        return Collection("set", ())
    sides, bars = _split(inner, ("|", ":"))
    if len(bars) == 1 and len(sides[0]) <= 3:
        condition = read_pieces(sides[1])
        if not isinstance(condition, RealSet):
            raise Unread("a set whose condition is not solved")
        return RealSet(condition.parts)
    parts, _ = _split_list(inner)
    if len(parts) > MOST_ITEMS:
        raise Unread(f"more than {MOST_ITEMS:,} members")
    return Collection("set", _members(parts))


def _set_expression(operands: list[list[Token]], signs: list[str]) -> Value:
    values = [_read_object(operand) for operand in operands]
    if all(isinstance(v, Collection) and v.kind == "set" for v in values) and set(signs) == {r"\cup"}:
        return Collection("set", tuple(item for v in values if isinstance(v, Collection) for item in v.items))
    sets = [as_real_set(value) for value in values]
    out = sets[0]
    for sign, other in zip(signs, sets[1:], strict=True):
        if out is None or other is None:
            raise Unread("a union of what is no set of real numbers")
        out = {r"\cup": union, r"\cap": intersection, r"\backslash": difference}[sign](out, other)
    if out is None:
        raise Unread("a union of what is no set of real numbers")
    return out


def as_real_set(value: Value) -> RealSet | None:
    """A value as a set of real numbers: an interval in round or square brackets, a finite set of numbers."""
    if isinstance(value, RealSet):
        return value
    if not isinstance(value, Collection):
        return None
    nodes = [item.node for item in value.items if isinstance(item, Scalar) and item.name is None]
    if len(nodes) < len(value.items):
        return None
    if value.kind == "tuple" and len(nodes) == 2 and value.brackets in ("()", "[]"):
        closed = value.brackets == "[]"
        return RealSet((interval(nodes[0], nodes[1], closed, closed),))
    return points(nodes) if value.kind == "set" else None


def _environment(tokens: Sequence[Token]) -> Value:
    kind = tokens[0].text[len(r"\begin{") : -1]
    if not tokens[-1].text.startswith(r"\end{"):
        return _quantity(list(tokens))
    rows: list[list[list[Token]]] = [[[]]]
    for token, depth in zip(tokens[1:-1], _depths(tokens[1:-1]), strict=True):
        if depth == 0 and token.text == "\\\\":
            rows.append([[]])
        elif depth == 0 and token.text == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(token)
    if rows[-1] == [[]]:
        rows.pop()
    if kind in _MATRICES:
        return Matrix(tuple(tuple(parse(cell) for cell in row) for row in rows))
    if kind in _ROWS:
        lines = [[token for cell in row for token in cell] for row in rows]
        return Collection("set", _members([line[:-1] if line[-1].text == "," else line for line in lines if line]))
    raise Unread(f"the environment {kind}")


def _quantity(tokens: list[Token]) -> Value:
    currency = None
    if tokens[0].text in (r"\$", *CURRENCY_SIGNS) and len(tokens) > 1:
        currency = CURRENCY_SIGNS[tokens[0].text.lstrip("\\")]
        tokens = tokens[1:]
    if tokens[-1].text in ("%", r"\%") and len(tokens) > 1:
        return _signs(parse(tokens[:-1]), "%")
    end = len(tokens)
    while end > 1 and (taken := _measure_at(tokens, end)):
        end -= taken
    unit, factor = currency, 1
    if end < len(tokens):
        # "cm^2": the power belongs to the unit.
        suffix = read_unit(" " + " ".join(token.text for token in tokens[end:]))
        if suffix is None:
            raise Unread("words behind the value that may change it")
        unit, factor = suffix.unit or currency, suffix.factor
    node = parse(tokens[:end])
    if factor != 1:
        raise Unread("a multiplying word behind an expression")
    if node.kind == "call" and node.name == "deg" and unit is None:
        node, unit = node.args[0], "degree"
    return _signs(node, unit)


def _measure_at(tokens: Sequence[Token], end: int) -> int:
    """How many tokens in front of a place are a unit, or a unit with its power: cm, cm^2, cm^{2}."""
    if _is_measure(tokens[end - 1]):
        return 1
    for power in (["^", "2"], ["^", "3"], ["^", "{", "2", "}"], ["^", "{", "3", "}"]):
        before = end - len(power) - 1
        if before > 0 and [t.text for t in tokens[before + 1 : end]] == power and _is_measure(tokens[before]):
            return len(power) + 1
    return 0


def _is_measure(token: Token) -> bool:
    if token.kind == "text":
        return True
    if token.kind != "word" or len(token.text) < 2 or token.text in ("min", "deg"):
        return False
    known = read_unit(" " + token.text)
    return known is not None and known.unit in STANDARD_UNITS


def _signs(node: Node, unit: str | None) -> Value:
    """A quantity, or the list that its ± signs stand for."""
    count = sum(1 for part in walk(node) if part.kind == "pm")
    if not count:
        return _vector(node) or Scalar(node, unit)
    if count > _MOST_SIGNS:
        raise Unread("too many signs of both kinds")
    found = [_with_signs(node, iter(signs)) for signs in product((1, -1), repeat=count)]
    return Collection("list", tuple(Scalar(item, unit) for item in found))


_AXES = (r"\vec i", r"\vec j", r"\vec k")


def _vector(node: Node) -> Value | None:
    """2i + 3j with unit vectors is the tuple (2, 3); None = it has none, or is not a sum of multiples of them."""
    names = symbols(node)
    if not names & {*_AXES}:
        return None
    axes = _AXES if _AXES[2] in names else _AXES[:2]
    terms = node.args if node.kind == "add" else (node,)
    if not all(len(symbols(term) & {*_AXES}) == 1 for term in terms):
        return None
    ones = [substitute(node, {name: number(1 if name == axis else 0) for name in _AXES}) for axis in axes]
    return Collection("tuple", tuple(Scalar(one) for one in ones), "()")


def _with_signs(node: Node, signs: object) -> Node:
    if node.kind == "pm":
        sign = next(signs)  # type: ignore[call-overload]
        args = tuple(_with_signs(arg, signs) for arg in node.args)
        last = args[-1] if sign > 0 else Node("neg", (args[-1],))
        return last if len(args) == 1 else Node("add", (args[0], last))
    return node._replace(args=tuple(_with_signs(arg, signs) for arg in node.args)) if node.args else node
