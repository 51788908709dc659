"""The symbolic stage: SymPy, imported where it runs, in a worker process with a deadline and a cap on its memory."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

from plaudit.run import CpuPool, Ending
from plaudit.verify._syntax import CALCULUS, Node, symbols, walk

MEMORY_MB = 256
_WORKERS = 2
_START_SECONDS = 15.0
_MOST_NODES = 200
_pool: CpuPool | None = None
_lock = threading.Lock()


def missing_library() -> str | None:
    """What to install where SymPy is missing; None = it is here."""
    if importlib.util.find_spec("sympy") is not None:
        return None
    return "SymPy is not installed: pip install 'plaudit[math]'"


def same_by_sympy(a: Node, b: Node, seconds: float = 1.0, here: bool = False) -> bool | None:
    """Whether SymPy finds two expressions equal; None = it is missing, ran out of time, or cannot tell.

    `here`: in this process, without a deadline of its own (the caller runs in a worker already).
    """
    if missing_library() is not None:
        return None
    if here:
        return _same((a, b))
    future = _workers().submit(_same, [(a, b)], timeout=seconds)
    try:
        # The deadline counts from when a worker picks the pair up; starting one may take longer on a busy machine.
        outcome = future.result(timeout=seconds + _START_SECONDS)[0]
    except TimeoutError:
        future.cancel()
        return None
    return outcome.value if outcome.ending is Ending.DONE else None


def _workers() -> CpuPool:
    """A pool of its own, so that only its workers carry SymPy and its memory cap is small."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = CpuPool(workers=_WORKERS, memory_mb=MEMORY_MB, preload=("sympy", "plaudit.verify._symbolic"))
        return _pool


def _same(pair: tuple[Node, Node]) -> bool | None:
    """What SymPy says: the difference, with everything done that can be done, is zero."""
    import sympy  # type: ignore[import-untyped]

    if any(sum(1 for _ in walk(node)) > _MOST_NODES for node in pair):
        return None
    try:
        names = {name: sympy.Symbol(name, real=True) for node in pair for name in symbols(node)}
        a, b = (_converted(node, dict(names), sympy).doit() for node in pair)
        if any(part.has(sympy.nan, sympy.zoo) for part in (a, b)) or any(_unsolved(part, sympy) for part in (a, b)):
            return None
        if any(node.kind == "integral" and len(node.args) == 2 for side in pair for node in walk(side)):
            a, b = _without_constant(a, sympy), _without_constant(b, sympy)
        if a == b:
            return True
        if a.is_infinite or b.is_infinite:
            return False
        return bool(sympy.simplify(a - b) == 0)
    except (ArithmeticError, NotImplementedError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _unsolved(expression: Any, sympy: Any) -> bool:
    return bool(expression.has(sympy.Integral, sympy.Limit, sympy.Sum, sympy.Product, sympy.Derivative))


def _without_constant(expression: Any, sympy: Any) -> Any:
    """An antiderivative without the terms that are constant."""
    variables = {s for s in expression.free_symbols if s.name not in "CKck"}
    return sympy.Add(*(t for t in sympy.Add.make_args(sympy.expand(expression)) if t.free_symbols & variables))


_RENAMED = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "abs": "Abs", "ceil": "ceiling", "sgn": "sign",
    "binom": "binomial", "Re": "re", "Im": "im", "max": "Max", "min": "Min", "mod": "Mod", "ln": "log",
}  # fmt: skip


def _converted(node: Node, names: dict[str, Any], sympy: Any) -> Any:
    if node.kind == "number":
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if node.kind == "symbol":
        return names.get(node.name) or sympy.Symbol(node.name, real=True)
    if node.kind == "constant":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node.name]
    if node.kind in CALCULUS or node.kind in ("sum", "prod"):
        return _calculus(node, names, sympy)
    args = [_converted(arg, names, sympy) for arg in node.args]
    if node.kind == "add":
        return sympy.Add(*args)
    if node.kind == "mul":
        return sympy.Mul(*args)
    if node.kind == "neg":
        return -args[0]
    if node.kind == "div":
        return args[0] / args[1]
    if node.kind == "pow":
        return sympy.Pow(*args)
    if node.kind == "opaque":
        return sympy.Function(node.name)(*args)
    if node.kind == "call":
        if node.name == "deg":
            return args[0] * sympy.pi / 180
        if node.name == "root":
            return sympy.real_root(*args)
        if node.name == "log10":
            return sympy.log(args[0], 10)
        return getattr(sympy, _RENAMED.get(node.name, node.name))(*args)
    raise NotImplementedError(node.kind)


def _calculus(node: Node, names: dict[str, Any], sympy: Any) -> Any:
    integer = node.kind in ("sum", "prod")
    variable = sympy.Symbol(node.args[1].name, integer=True) if integer else sympy.Symbol(node.args[1].name, real=True)
    inner = {**names, node.args[1].name: variable}
    body = _converted(node.args[0], inner, sympy)
    bounds = [_converted(arg, names, sympy) for arg in node.args[2:]]
    if node.kind == "integral":
        return sympy.Integral(body, (variable, *bounds) if bounds else variable)
    if node.kind == "limit":
        if node.name:
            return sympy.Limit(body, variable, bounds[0], dir=node.name)
        # Without a side the two-sided limit is meant, except at infinity, which has one side only.
        return sympy.Limit(body, variable, bounds[0], dir="+-" if bounds[0].is_finite else "-")
    if node.kind == "derivative":
        return sympy.Derivative(body, variable)
    return (sympy.Sum if node.kind == "sum" else sympy.Product)(body, (variable, *bounds))
