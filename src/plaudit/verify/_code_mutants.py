"""Small changes of a program that are likely to break it: `mutants`."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from plaudit.errors import DataError

_NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed program.

    Fields:
        source: the whole program.
        kind: what was changed: "negated comparison", "moved boundary", "swapped operator", "off by one", "swapped connective",
            "dropped not", "dropped return", "dropped update".
        line: where, in the program it was made from.
    """

    source: str
    kind: str
    line: int


def mutants(source: str) -> list[Mutant]:
    """All programs that differ from a Python program by one small change, each other than the rest, in the order of the lines.

    A mutant may compute the same as the program: how many do is not known, so a detection rate over mutants is a lower bound.

    Source of the operators: "An Experimental Determination of Sufficient Mutant Operators". Raises DataError for what is not
    Python.

    >>> [(mutant.kind, mutant.source) for mutant in mutants("x = a < 2")]
    [('negated comparison', 'x = a >= 2'), ('moved boundary', 'x = a <= 2'), ('off by one', 'x = a < 3')]
    """
    try:
        tree = ast.parse(source)
        clean = ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"mutants: the program is not Python: {error}") from error
    seen, found = {clean}, list[Mutant]()
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt))]
    order = sorted(range(len(nodes)), key=lambda k: (nodes[k].lineno, nodes[k].col_offset, k))
    for k in order:
        for kind, changed in _changes(nodes[k]):
            text = ast.unparse(ast.fix_missing_locations(_Replace(nodes[k], changed).visit(copy.deepcopy(tree, {}))))
            if text not in seen:
                seen.add(text)
                found.append(Mutant(text, kind, nodes[k].lineno))
    return found


def _place(node: ast.AST) -> tuple[object, ...]:
    return (type(node), *(getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")))


class _Replace(ast.NodeTransformer):
    """One node in a copy of the tree, found by its place, is another one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._place, self._new = _place(old), new

    def visit(self, node: ast.AST) -> ast.AST:
        if _place(node) == self._place:
            return self._new
        return self.generic_visit(node)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        other = _OPERATOR.get(type(node.op))
        if other is not None:
            yield "swapped operator", _with(node, op=other())
        if isinstance(node, ast.AugAssign):
            yield "dropped update", ast.copy_location(ast.Pass(), node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield "off by one", _with(node, value=node.value + 1)
    elif isinstance(node, ast.BoolOp):
        yield "swapped connective", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "dropped not", node.operand
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "dropped return", ast.copy_location(ast.Return(None), node)


def _compared(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for table, kind in ((_NEGATED, "negated comparison"), (_BOUNDARY, "moved boundary")):
        for k, op in enumerate(node.ops):
            if type(op) in table:
                yield kind, _with(node, ops=[*node.ops[:k], table[type(op)](), *node.ops[k + 1 :]])


def _with(node: ast.AST, **changed: object) -> ast.AST:
    fields = {name: getattr(node, name) for name in node._fields}
    return ast.copy_location(type(node)(**{**fields, **changed}), node)
