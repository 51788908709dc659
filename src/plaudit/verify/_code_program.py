"""Finding the program in a response."""

from __future__ import annotations

import ast
import re

_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)([^`\n]*)")
_NAMES = {
    "python": ("python", "python3", "py", "py3"),
    "javascript": ("javascript", "js", "node"),
    "cpp": ("cpp", "c++", "cxx", "cc"),
}


def find_program(text: str, language: str = "python") -> str | None:
    """The program of a response: its last closed code block in that language, else the last one without a language, else all.

    A response with code blocks in other languages only has no program; None. A block that is not closed counts as the end of a
    response that was cut, and is no program.

    >>> find_program("So:\\n```python\\nprint(1)\\n```\\nDone.")
    'print(1)\\n'
    >>> find_program("print(1)")
    'print(1)'
    """
    known = _NAMES.get(language, (language,))
    blocks = _closed_blocks(text)
    for wanted in (known, ("",)):
        found = [body for name, body in blocks if name in wanted]
        if found:
            return found[-1]
    if blocks or "```" in text:
        return None
    return text if text.strip() else None


def _closed_blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of each closed code block; one pass over the lines, for a response may hold many fences."""
    found, fence, name, body = list[tuple[str, str]](), "", "", list[str]()
    for line in text.splitlines(keepends=True):
        match = _FENCE.fullmatch(line.rstrip("\r\n")[:1000])
        if not fence:
            if match is not None:
                fence, name, body = match[1], match[2].lower(), []
        elif match is not None and match[1].startswith(fence) and not (match[2] + match[3]).strip():
            found.append((name, "".join(body)))
            fence = ""
        else:
            body.append(line)
    return found


def defined_names(source: str) -> list[str] | None:
    """Names of the functions, classes and variables at the top of a Python program; None when it is not Python.

    >>> defined_names("import math as m\\ndef f(x): pass\\ny: int = 2")
    ['m', 'f', 'y']
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: list[str] = []
    for node in _top(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return names


def _top(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements at the top, those under ``if`` and ``try`` included."""
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                found += _top(getattr(node, part, []))
    return found
