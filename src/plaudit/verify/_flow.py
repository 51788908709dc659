"""Which line of a program can follow which: the graph on which the distance to a target line is counted."""

from __future__ import annotations

import dis
import inspect
import types
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"})
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)


def line_graph(source: str, filename: str = "<target>") -> dict[int, set[int]]:
    """For each line of a function the lines that may run directly after it, calls by name into functions of the program included.

    Raises SyntaxError and ValueError for what is no program.

    >>> graph = line_graph("def f(x):\\n    if x:\\n        return 1\\n    return 2\\n")
    >>> sorted(graph[2])
    [3, 4]
    """
    everything = _codes(compile(source, filename, "exec", dont_inherit=True))
    # Functions only: what runs while the program is loaded, the lines of ``def`` among it, leads nowhere.
    codes = [code for code in everything if code.co_flags & inspect.CO_OPTIMIZED]
    starts = {code.co_name: code.co_firstlineno for code in codes}
    graph: dict[int, set[int]] = defaultdict(set)
    for code in codes:
        _add(graph, code, starts)
    return dict(graph)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _add(graph: dict[int, set[int]], code: types.CodeType, starts: dict[str, int]) -> None:
    steps = list(dis.get_instructions(code))
    line_of: dict[int, int] = {}
    line = code.co_firstlineno
    for step in steps:
        line = (step.positions.lineno if step.positions else None) or line
        line_of[step.offset] = line
        graph[line].update(())
    graph[code.co_firstlineno].add(line_of[next((s.offset for s in steps if line_of[s.offset] != code.co_firstlineno), 0)])
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        here = line_of[step.offset]
        if step.opcode in _JUMPS and step.argval in line_of:
            graph[here].add(line_of[step.argval])
        if following is not None and step.opname not in _ENDS:
            graph[here].add(line_of[following.offset])
        graph[here].discard(here)
        if isinstance(step.argval, str) and step.argval in starts:
            graph[here].add(starts[step.argval])
    for entry in getattr(dis.Bytecode(code), "exception_entries", ()):
        for step in steps:
            if entry.start <= step.offset < entry.end and entry.target in line_of:
                graph[line_of[step.offset]].add(line_of[entry.target])


def distances_to(graph: Mapping[int, set[int]], target: int) -> dict[int, int]:
    """Fewest steps from each line to the target; lines that do not lead there are missing.

    >>> distances_to({1: {2, 3}, 2: {4}, 3: set(), 4: set()}, 4)
    {4: 0, 2: 1, 1: 2}
    """
    before: dict[int, list[int]] = defaultdict(list)
    for line, following in graph.items():
        for other in following:
            before[other].append(line)
    found, waiting = {target: 0}, deque([target])
    while waiting:
        line = waiting.popleft()
        for other in before[line]:
            if other not in found:
                found[other] = found[line] + 1
                waiting.append(other)
    return found


def nearest(distances: Mapping[int, int], lines: Iterable[int]) -> int | None:
    """The smallest distance of some lines; None = none of them leads to the target.

    >>> nearest({1: 3, 2: 1}, [1, 2, 9])
    1
    """
    return min((distances[line] for line in lines if line in distances), default=None)
