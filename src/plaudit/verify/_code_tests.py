"""From what stands in the reference to a suite of tests."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from plaudit.run.sandbox import encode
from plaudit.verify._code_outputs import same_value

RECORD = "__plaudit_record__"
_SHOWN = 120

Kind = Literal["stdio", "calls", "asserts"]


class NoSuite(ValueError):
    """The reference holds no tests that can be understood."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests of one problem.

    Fields:
        kind: ``"stdio"``: inputs on standard input, outputs on standard output; ``"calls"``: arguments and return values of a
            function; ``"asserts"``: Python that asserts.
        inputs, outputs: one entry for each test; arguments are a list. Empty for asserts.
        function: the function that is called.
        source: the assertions, each rewritten so that it is recorded by its number.
        setup: Python that the assertions need.
        prefix: a prompt that a response may continue.
        claims: what each assertion says, cut.
        n: how many tests there are.
        names: what the assertions' source calls and does not define itself.
        entry_point: the function under test; None = not said.
    """

    kind: Kind
    n: int
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    function: str | None = None
    source: str = ""
    setup: str = ""
    prefix: str = ""
    claims: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    entry_point: str | None = None


def read_suite(reference: Any) -> Suite:
    """The tests of a reference.

    - a text or a list of texts: Python assertions;
    - ``{"inputs": […], "outputs": […]}``, with ``"fn_name"`` for calls; each call's arguments as a list or as JSON, a line each;
    - ``{"tests": …, "entry_point": …, "setup": …}``: assertions, or a function ``check(candidate)``; ``"test"``, ``"prompt"``,
      ``"test_list"`` and ``"test_setup_code"`` are understood; functions ``test_NAME()`` that nothing calls are one test each;
    - a list of ``{"input": …, "output": …}``;
    - any of these as JSON text.

    Equal tests are run once. Raises NoSuite with what was expected.

    >>> read_suite({"inputs": ["1 2\\n"], "outputs": ["3\\n"]}).kind
    'stdio'
    >>> read_suite(["assert f(1) == 2", "assert f(2) == 3"]).n
    2
    """
    if isinstance(reference, str) and reference.lstrip()[:1] in ("{", "["):
        try:
            reference = json.loads(reference)
        except ValueError as error:
            raise NoSuite(f"the reference looks like JSON and is none: {error}") from error
    if isinstance(reference, str):
        return _asserts(reference, "", None)
    if isinstance(reference, Sequence) and reference:
        if all(isinstance(test, str) for test in reference):
            return _asserts("\n".join(reference), "", None)
        if all(isinstance(test, Mapping) and {"input", "output"} <= set(test) for test in reference):
            return _pairs([test["input"] for test in reference], [test["output"] for test in reference], None)
    if isinstance(reference, Mapping):
        return _from_mapping(reference)
    raise NoSuite(f"the reference is {type(reference).__name__}: expected assertions, inputs with outputs, or tests")


def _from_mapping(row: Mapping[str, Any]) -> Suite:
    if "inputs" in row and "outputs" in row:
        return _pairs(row["inputs"], row["outputs"], row.get("fn_name") or row.get("function"))
    tests = next((row[name] for name in ("tests", "test", "test_list", "asserts") if row.get(name)), None)
    if tests is None:
        raise NoSuite(f"the reference has {', '.join(map(str, row)) or 'nothing'}: expected inputs and outputs, or tests")
    setup = next((row[name] for name in ("setup", "prompt", "test_setup_code") if row.get(name)), "")
    text = tests if isinstance(tests, str) else "\n".join(map(str, tests))
    entry_point = row.get("entry_point")
    if entry_point is not None and not re.fullmatch(r"(Solution\(?\)?\.)?\w+", str(entry_point)):
        raise NoSuite(f"the entry point is {entry_point!r:.100}: expected the name of a function, or Solution().NAME")
    return _asserts(text, str(setup), str(entry_point).replace("()", "") if entry_point else None)


def _pairs(inputs: Any, outputs: Any, function: str | None) -> Suite:
    if (
        not isinstance(inputs, Sequence)
        or isinstance(inputs, str)
        or not isinstance(outputs, Sequence)
        or isinstance(outputs, str)
    ):
        raise NoSuite("inputs and outputs: expected two lists")
    if len(inputs) != len(outputs) or not inputs:
        raise NoSuite(f"{len(inputs)} inputs and {len(outputs)} outputs: expected as many of each, at least one")
    if function is not None:
        inputs, outputs = [_arguments(given) for given in inputs], [_expected(value) for value in outputs]
    else:
        inputs, outputs = [_lines(given) for given in inputs], [_lines(value) for value in outputs]
    distinct: dict[str, tuple[Any, Any]] = {}
    for given, value in zip(inputs, outputs, strict=True):
        kept = distinct.setdefault(given if function is None else _encoded(given), (given, value))
        if not (kept[1] == value if function is None else same_value(kept[1], value)):
            raise NoSuite(f"two outputs for the same input {given!r:.100}: no program can pass both")
    rows = list(distinct.values())
    kind: Kind = "stdio" if function is None else "calls"
    return Suite(kind, len(rows), tuple(row[0] for row in rows), tuple(row[1] for row in rows), function)


def _encoded(arguments: list[Any]) -> str:
    try:
        return encode(arguments)
    except ValueError as error:
        raise NoSuite(f"arguments that cannot be handed to a program: {error}") from error


def _lines(value: Any) -> str:
    return value if isinstance(value, str) else "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _arguments(given: Any) -> list[Any]:
    if not isinstance(given, str):
        return list(given) if isinstance(given, (list, tuple)) else [given]
    try:
        return [json.loads(line) for line in given.split("\n") if line.strip()]
    except ValueError as error:
        raise NoSuite(f"arguments {given[:100]!r}: expected a JSON value on each line: {error}") from error


def _expected(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # a text that is the expected value itself


class _Recording(ast.NodeTransformer):
    """Every assertion becomes a call that records whether its claim holds; the claim is evaluated inside that call.

    `whole`: functions that are one test each; their assertions stay as they are.
    """

    def __init__(self, whole: frozenset[str]) -> None:
        self.seen: dict[str, int] = {}
        self.claims: list[str] = []
        self._whole = whole

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """A test in itself is left alone."""
        return node if node.name in self._whole else self.generic_visit(node)  # type: ignore[return-value]

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        """One assertion."""
        if isinstance(node.test, ast.Constant) and not node.test.value:
            return node  # a line that must not be reached
        return ast.copy_location(self.claim(node.test), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        """The program's names are there without an import."""
        return ast.copy_location(ast.Pass(), node) if node.module == "solution" else node

    def claim(self, test: ast.expr) -> ast.stmt:
        """The statement that records whether an expression holds."""
        number = self.seen.setdefault(ast.dump(test), len(self.seen))
        if number == len(self.claims):
            self.claims.append(ast.unparse(test)[:_SHOWN])
        claim = ast.Lambda(ast.arguments([], [], None, [], [], None, []), test)
        return ast.Expr(ast.Call(ast.Name(RECORD, ast.Load()), [ast.Constant(number), claim], []))


def _complete(setup: str) -> str:
    """The setup as Python that stands alone: a prompt may end where the body of a function begins."""
    for text in (setup, setup + "\n    pass\n"):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return text
    raise NoSuite(f"the setup or prompt of the tests is not Python: {setup[-100:]!r}")


def _asserts(text: str, setup: str, entry_point: str | None) -> Suite:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NoSuite(f"the tests are not Python: {error}") from error
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    defined = {node.name for node in functions}
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if "check" in defined and not any(isinstance(n, ast.Expr) and "check" in ast.dump(n) for n in tree.body):
        tree.body += ast.parse("check(candidate)").body
    # As pytest has them, unless the tests call them themselves.
    whole = [f.name for f in functions if f.name.startswith("test_") and f.name not in called and not f.args.args]
    recording = _Recording(frozenset(whole))
    tree = recording.visit(tree)
    tree.body += [recording.claim(ast.parse(f"{name}() is None", mode="eval").body) for name in whole]
    tree = ast.fix_missing_locations(tree)
    if not recording.seen:
        raise NoSuite("the tests assert nothing")
    return Suite(
        "asserts",
        len(recording.seen),
        source=ast.unparse(tree),
        setup=_complete(setup),
        prefix=setup,
        claims=tuple(recording.claims),
        names=tuple(sorted(called)),
        entry_point=entry_point,
    )
