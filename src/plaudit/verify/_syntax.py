"""Expressions as trees: what the parser builds, and what every later stage reads."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, NamedTuple

Kind = Literal[
    "number", "symbol", "constant", "add", "mul", "div", "neg", "pow", "pm", "call", "opaque", "sum", "prod", "integral",
    "limit", "derivative",
]  # fmt: skip
"""What a node is.

number: `value`, as written in `name`. symbol, constant ("pi", "e", "i", "oo", "undefined"): `name`. add, mul: two or more
arguments. div, pow: two. neg: one. pm: one or two, both signs. call: a known function `name`. opaque: a function that only has a
name, f(x). sum, prod: body, variable, first, last. integral: body, variable and, when definite, two bounds. limit: body,
variable, point (`name` is the side). derivative: body, variable.
"""


class Node(NamedTuple):
    """One node of an expression; two nodes are equal when they are written alike."""

    kind: Kind
    args: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


def number(value: Fraction | int, name: str = "") -> Node:
    """A number, with the digits that were written."""
    return Node("number", (), name, Fraction(value))


def symbol(name: str) -> Node:
    """A variable."""
    return Node("symbol", (), name)


PI, E, IMAGINARY, INFINITY = (Node("constant", (), name) for name in ("pi", "e", "i", "oo"))
MINUS_INFINITY = Node("neg", (INFINITY,))
CALCULUS = frozenset({"integral", "limit", "derivative"})


def walk(node: Node) -> Iterator[Node]:
    """All nodes of an expression, each before its arguments."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(here.args)


def size(node: Node) -> int:
    """How many nodes an expression has."""
    return sum(1 for _ in walk(node))


def symbols(node: Node) -> frozenset[str]:
    """Names of the free variables."""
    if node.kind == "symbol":
        return frozenset((node.name,))
    if not node.args:
        return frozenset()
    if node.kind in ("sum", "prod", "integral", "limit") and node.args[1].kind == "symbol" and len(node.args) > 2:
        bound = frozenset((node.args[1].name,))
        return (symbols(node.args[0]) - bound).union(*(symbols(arg) for arg in node.args[2:]))
    return frozenset().union(*(symbols(arg) for arg in node.args))


def substitute(node: Node, names: dict[str, Node]) -> Node:
    """The expression with variables replaced; bound ones as well, which is what renaming wants."""
    if node.kind == "symbol":
        return names.get(node.name, node)
    if not node.args:
        return node
    return node._replace(args=tuple(substitute(arg, names) for arg in node.args))


def decimals(node: Node) -> str | None:
    """The digits of a decimal literal ("-0.50"), possibly with a sign; None = the node is something else."""
    if node.kind == "number":
        return node.name or None
    if node.kind == "neg" and (inner := decimals(node.args[0])) is not None:
        return f"-{inner}"
    return None
