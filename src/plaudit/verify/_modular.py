"""Equality of rational numbers that are too large to write out: residues modulo three primes of 120 bits."""

from __future__ import annotations

from fractions import Fraction

from plaudit.verify._ball import Undecided
from plaudit.verify._evaluate import Evaluator
from plaudit.verify._syntax import Node

_PRIMES = (1272224227962658385539698303412901431, 1267565341417401023643503219163317297, 953841110016667825630409219789479439)
_LARGEST_FACTORIAL = 20_000


def same_residues(a: Node, b: Node) -> bool | None:
    """Whether two rational constants are equal; None = they are not made of + - · / powers and factorials within the bounds.

    Different residues are different numbers for certain. Different numbers agree in all three residues with a probability
    far below that of a hardware error, unless someone multiplies the primes into them.
    """
    try:
        return all(_residue(a, p) == _residue(b, p) for p in _PRIMES)
    except (Undecided, ValueError, RecursionError):
        return None


def _residue(node: Node, p: int) -> int:
    if node.kind == "number":
        return node.value.numerator * pow(node.value.denominator, -1, p) % p
    if node.kind == "neg":
        return -_residue(node.args[0], p) % p
    if node.kind == "add":
        return sum(_residue(arg, p) for arg in node.args) % p
    if node.kind == "mul":
        out = 1
        for arg in node.args:
            out = out * _residue(arg, p) % p
        return out
    if node.kind == "div":
        return _residue(node.args[0], p) * pow(_residue(node.args[1], p), -1, p) % p
    if node.kind == "pow":
        exponent = Evaluator(30)(node.args[1])
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            return pow(_residue(node.args[0], p), int(exponent), p)
    if node.kind == "call" and node.name in ("factorial", "binom"):
        values = [Evaluator(30)(arg) for arg in node.args]
        if all(isinstance(v, Fraction) and v.denominator == 1 and 0 <= v <= _LARGEST_FACTORIAL for v in values):
            n = int(values[0])  # type: ignore[arg-type]
            if node.name == "factorial":
                return _falling(n, n, p)
            k = int(values[1])  # type: ignore[arg-type]
            return _falling(n, k, p) * pow(_falling(k, k, p), -1, p) % p if k <= n else 0
    raise Undecided("not a rational number that residues can tell")


def _falling(n: int, k: int, p: int) -> int:
    out = 1
    for factor in range(n - k + 1, n + 1):
        out = out * factor % p
    return out
