"""`@reward`: a plain function as a reward."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, overload

import numpy as np

from plaudit.errors import ContractError, SpecError
from plaudit.reward._base import Reward
from plaudit.reward._call import WrongCountError
from plaudit.reward._facts import SAMPLE_FIELDS, Facts, Lane, Range, Scope
from plaudit.reward._groups import Groups, group_index
from plaudit.types import Context, Sample, Verdict, Verdicts

Style = Literal["plaudit", "trl", "verl", "openrlhf"]

_PLAIN = frozenset({"prompt", "response", "reference"})
_REFERENCE_COLUMNS = frozenset({"answer", "solution", "ground_truth"})
_PLURAL = {"prompts": "prompt", "responses": "response", "references": "reference"}

_R = TypeVar("_R")


@dataclass(frozen=True)
class Function(Reward):
    """A function ``f(prompt, response, reference, **columns) -> float | None`` as a reward.

    The function is called by keyword with those of prompt, response, reference, the other Sample fields, ``context`` and
    the columns of `Sample.meta` that its signature names; ``**columns`` receives every column. None means ABSTAINED, a
    `Verdict` is taken as it is. With `batch`, it is called with lists (``prompts, responses, references``): once, or once for
    each group where `scope` is ``"group"``. Of a chat, `response` is the messages; `plaudit.text.final_text` reads them.

    Fields: `function`; `range` (lo, hi) or None = undeclared; `lane`; `scope`; `batch`; `timeout` seconds (cpu, io);
    `version`; `path` FILE.py:NAME that a spec names it by; `style`, whose calling convention it follows.
    Raises ContractError for a lane that does not fit the function.
    """

    function: Callable[..., Any]
    range: Range | None = None
    lane: Lane = "inline"
    scope: Scope = "sample"
    batch: bool = False
    timeout: float | None = None
    version: str = "1"
    deterministic: bool = True
    path: str | None = None
    style: Style = "plaudit"

    use: ClassVar[str] = "function"

    @property
    def name(self) -> str:
        """The function's name."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return "function" if name == "<lambda>" else name

    def identity(self) -> Mapping[str, Any]:
        """The function's source, defaults, closure and globals, and the bytes of the file that a spec names; not its address."""
        fields = {k: v for k, v in super().identity().items() if k != "path"}
        source = (self.path or "").rpartition(":")[0]
        return {**fields, "file": Path(source)} if source.endswith(".py") else fields

    @property
    def facts(self) -> Facts:
        """`reads` follows from the function's signature."""
        return Facts(
            range=self.range, scope=self.scope, reads=self._reads, lane=self.lane, version=self.version, timeout=self.timeout,
            deterministic=self.deterministic,
        )  # fmt: skip

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.function).parameters)

    @cached_property
    def _takes_all(self) -> bool:
        return any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())

    @cached_property
    def _wanted(self) -> list[tuple[str, str, bool]]:
        """(keyword, what it stands for, whether it has a default) for every named parameter."""
        wanted = []
        for keyword, p in self._parameters.items():
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                continue
            if p.kind is p.POSITIONAL_ONLY:
                raise ContractError(f"{self.name}: parameter {keyword!r} is positional-only; rewards are called by keyword")
            wanted.append((keyword, _PLURAL.get(keyword, keyword) if self.batch else keyword, p.default is not p.empty))
        return wanted

    @cached_property
    def _reads(self) -> frozenset[str]:
        if self.style != "plaudit":
            return frozenset(SAMPLE_FIELDS)
        wanted = {what for _, what, _ in self._wanted}
        names = {what if what in SAMPLE_FIELDS else f"meta.{what}" for what in wanted - {"context"}}
        live = {f"context.{name}" for name in ("step", "seed", "models", "environments")} if "context" in wanted else set()
        if wanted & _REFERENCE_COLUMNS:
            names.add("reference")
        return frozenset(names | live | ({"meta"} if self._takes_all else set()))

    def _arguments(self, sample: Sample, context: Context) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for keyword, what, has_default in self._wanted:
            if what in _PLAIN or what in SAMPLE_FIELDS:
                arguments[keyword] = getattr(sample, what)
            elif what == "context":
                arguments[keyword] = context
            elif what in sample.meta:
                arguments[keyword] = sample.meta[what]
            elif what in _REFERENCE_COLUMNS and sample.reference is not None:
                arguments[keyword] = sample.reference  # a file's column of that name was read as the reference
            elif not has_default:
                raise _MissingColumnError(what)
        if self._takes_all:
            arguments.update({k: v for k, v in sample.meta.items() if k not in arguments})
        return arguments

    def __getstate__(self) -> dict[str, Any]:
        cached = ("_parameters", "_takes_all", "_wanted", "_reads")
        return {k: v for k, v in super().__getstate__().items() if k not in cached}

    def __reduce__(self) -> Any:
        # A decorated function is found under its own name; by value it would drag its module along.
        module, name = getattr(self.function, "__module__", None), getattr(self.function, "__qualname__", "")
        found = getattr(sys.modules.get(module or ""), name, None)
        if module != "__main__" and getattr(found, "reward", found) is self:  # the decorator may have named it
            return _by_name, (module, name)
        return super().__reduce__()


@dataclass(frozen=True)
class FunctionOne(Function):
    """A function called once for each sample."""

    def score_one(self, sample: Sample, context: Context) -> Verdict:
        try:
            arguments = self._arguments(sample, context)
        except _MissingColumnError as missing:
            return missing.verdict(self.name)
        return to_verdict(self.function(**arguments))


@dataclass(frozen=True)
class FunctionAsync(Function):
    """An async function called once for each sample."""

    async def ascore_one(self, sample: Sample, context: Context) -> Verdict:
        try:
            arguments = self._arguments(sample, context)
        except _MissingColumnError as missing:
            return missing.verdict(self.name)
        return to_verdict(await self.function(**arguments))


@dataclass(frozen=True)
class FunctionBatch(Function):
    """A function called once with lists."""

    def score_batch(self, samples: Sequence[Sample], context: Context) -> Verdicts | Sequence[Verdict]:
        rows: list[dict[str, Any]] = []
        missing: dict[int, Verdict] = {}
        for i, sample in enumerate(samples):
            try:
                rows.append(self._arguments(sample, context))
            except _MissingColumnError as column:
                missing[i] = column.verdict(self.name)
        if self.scope == "sample" or not missing:
            given = iter(self._calls(rows, samples, context))
            return [missing[i] if i in missing else next(given) for i in range(len(samples))]
        # A group, or a batch, that lacks one sample is another group: nobody in it can be judged.
        index = group_index(samples) if self.scope == "group" else np.zeros(len(samples), dtype=np.intp)
        broken = {int(index[i]) for i in missing}
        whole = [i for i in range(len(samples)) if int(index[i]) not in broken]
        rows = [self._arguments(samples[i], context) for i in whole]
        verdicts = dict(zip(whole, self._calls(rows, [samples[i] for i in whole], context), strict=True))
        lost = Verdict.failed("group_incomplete", f"{self.name} takes a column that another sample of the {self.scope} lacks")
        return [missing.get(i) or verdicts.get(i) or lost for i in range(len(samples))]

    def _calls(self, rows: list[dict[str, Any]], samples: Sequence[Sample], context: Context) -> list[Verdict]:
        """Verdicts of rows: one call for each group where the scope is the group, else one call."""
        if not rows:
            return []
        if self.scope != "group":
            return self._many(rows, context)
        found: dict[int, Verdict] = {}
        for group in Groups(samples).members:
            members = group.tolist()
            found |= zip(members, self._many([rows[i] for i in members], context), strict=True)
        return [found[i] for i in range(len(rows))]

    def _many(self, rows: list[dict[str, Any]], context: Context) -> list[Verdict]:
        keywords = dict.fromkeys(k for row in rows for k in row)
        defaults = {k: p.default for k, p in self._parameters.items()}
        lists: dict[str, Any] = {k: [row.get(k, defaults.get(k)) for row in rows] for k in keywords}
        if "context" in lists:
            lists["context"] = context
        values = self.function(**lists)
        if not hasattr(values, "__len__") or len(values) != len(rows):
            got = len(values) if hasattr(values, "__len__") else type(values).__name__
            raise WrongCountError(f"{self.name} returned {got} for {len(rows)} samples: expected one value for each")
        return [to_verdict(value) for value in (values.tolist() if isinstance(values, np.ndarray) else values)]


class _MissingColumnError(KeyError):
    def verdict(self, name: str) -> Verdict:
        return Verdict.failed("column_missing", f"{name} takes {self.args[0]!r}: the sample has no such column")


def to_verdict(value: Any) -> Verdict:
    """A function's return value as a verdict: None abstains, NaN and infinities are FAILED.

    Raises ContractError for anything that is neither a number, None nor a Verdict.

    >>> to_verdict(True).value, to_verdict(None).reason
    (1.0, 'not_applicable')
    """
    if type(value) is float and isfinite(value):
        return Verdict(value)
    if value is None:
        return Verdict.abstained("not_applicable", "the function returned None")
    if isinstance(value, Verdict):
        return value
    if isinstance(value, (Real, np.generic)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0):
        number = float(value)
        return Verdict(number) if isfinite(number) else Verdict.failed("invalid_value", f"the function returned {number}")
    if isinstance(value, Awaitable):
        raise ContractError("the function returned an awaitable: give @reward the async function itself")
    raise ContractError(f"the function returned {type(value).__name__}: expected a number, None or a Verdict")


@overload
def reward(function: Callable[..., Any], /, **facts: Any) -> Function: ...
@overload
def reward(**facts: Any) -> Callable[[Callable[..., Any]], Function]: ...
def reward(function: Callable[..., Any] | None = None, /, **facts: Any) -> Any:
    """Turn a function into a reward; also a decorator, bare or with facts.

    Keywords: ``range=(lo, hi)``, ``lane="inline" | "cpu" | "io" | "gpu"``, ``scope``, ``batch=True``, ``timeout`` seconds,
    ``version``, ``deterministic``, ``name``, and ``style="trl" | "verl" | "openrlhf"`` for functions written for those.

    >>> @reward(range=(0, 1))
    ... def right(response, reference):
    ...     return float(response.strip() == reference)
    >>> right([Sample("2+2", "4", "4"), Sample("2+2", "5", "4")])
    array([1., 0.])
    """
    if function is None:
        return lambda f: reward(f, **facts)
    if isinstance(function, Reward):
        raise ContractError(f"@reward: {function.name} is a reward already")
    name = facts.pop("name", None)
    known = set(Function.__dataclass_fields__) - {"function"}
    unknown = set(facts) - known
    if unknown:
        raise ContractError(f"@reward: unknown {', '.join(sorted(unknown))}; known: name, {', '.join(sorted(known))}")
    built = make_function(function, **facts)
    return built.named(name) if name is not None else built


def make_function(function: Callable[..., Any], **facts: Any) -> Function:
    """The reward of a function, by its style and kind. Raises ContractError where lane, scope and kind do not fit."""
    if not callable(function):
        raise ContractError(f"@reward: {type(function).__name__} is not callable")
    if facts.get("style", "plaudit") != "plaudit":
        from plaudit.reward._foreign import make_foreign

        foreign: Function = make_foreign(function, **facts)
        return foreign
    is_async = inspect.iscoroutinefunction(function)
    batch = bool(facts.get("batch", False))
    if is_async and batch:
        raise ContractError("@reward: an async function is called once for each sample; leave batch out")
    lane = facts.get("lane") or ("io" if is_async else "inline")
    if is_async != (lane == "io"):
        raise ContractError(
            f"@reward: lane {lane!r} and {'an async' if is_async else 'a plain'} function: async lives on the io lane"
        )
    if facts.get("scope", "sample") != "sample" and not batch:
        raise ContractError(
            f"@reward: scope {facts['scope']!r} needs batch=True: the function must see the whole {facts['scope']}"
        )
    if lane == "gpu" and not batch:
        raise ContractError("@reward: the gpu lane needs batch=True")
    if facts.get("timeout") is not None and lane not in ("cpu", "io"):
        raise ContractError(f"@reward: timeout needs lane='cpu': nothing can interrupt a function on the {lane} lane")
    kind: type[Function] = FunctionAsync if is_async else FunctionBatch if batch else FunctionOne
    made = kind(function, **{**facts, "lane": lane})
    _ = made.facts  # a wrong range or lane is said here, where it was written
    return made


def _by_name(module: str, name: str) -> Any:
    __import__(module)
    found = getattr(sys.modules[module], name, None)
    found = getattr(found, "reward", found)
    if not isinstance(found, Function):
        raise SpecError(f"{module}.{name} is not a reward any more")
    return found
