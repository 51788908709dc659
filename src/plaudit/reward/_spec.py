"""Specs: rewards as YAML, both ways.

A leaf is ``{use: verify.math, timeout: 2}``; a node is ``{use: sum, weights: {a: 1, b: 0.2}, parts: {a: {…}, b: {…}}}``. Any
mapping may carry ``name: NAME``. ``{use: function, path: FILE.py:NAME}`` loads a function, ``{use: spec, path: FILE.yaml}``
another spec file; paths are relative to the file that names them. A spec is configuration, as trusted as code: it may
name code to run.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plaudit import catalog
from plaudit.errors import ContractError, SpecError
from plaudit.reward import _operators, _wrappers
from plaudit.reward._base import Reward
from plaudit.reward._comparator import Comparator
from plaudit.reward._configured import Configured, fields_of, snake_case
from plaudit.reward._fields import fit
from plaudit.reward._function import Function, make_function

NODES: Mapping[str, type[Reward]] = {
    snake_case(cls.__name__): cls
    for cls in (
        _operators.Sum, _operators.Product, _operators.Minimum, _operators.Lexicographic,
        _wrappers.Clip, _wrappers.Gate, _wrappers.Part,
    )
}  # fmt: skip
"""The operators of the algebra by spec name."""

_FILE_MODULE = "plaudit_file_"
_MOST_NODES = 100_000
_DEEPEST = 100


def to_spec(thing: Configured) -> dict[str, Any]:
    """The description of a reward or comparator as YAML values.

    Raises SpecError when a field holds something that YAML cannot say, naming the field.
    """
    if isinstance(thing, _wrappers.Named):
        return {**to_spec(thing.reward), "name": thing.label}
    if isinstance(thing, Function):
        path, decorated = _function_path(thing), _decorated(thing)
        facts = _changed_fields(thing, ("function", "path"))
        if decorated is not None:
            # What stands under that name is a reward already: it brings its own facts.
            if _changed_fields(decorated, ("function", "path")) != facts:
                raise SpecError(f"{thing.name}: its facts are not those of {path}: give them to @reward there")
            facts = {}
        return {"use": "function", "path": path, **facts}
    cls = type(thing)
    use = next((name for name, node in NODES.items() if node is cls), None) or catalog.name_of(catalog.REWARDS, cls)
    if use is None:
        if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
            raise SpecError(
                f"{cls.__qualname__} has no address: put the class at the top of a module, or in a package's entry points"
            )
        # A class of a file that a spec or a command named is found by that file.
        file = sys.modules[cls.__module__].__file__ if cls.__module__.startswith(_FILE_MODULE) else None
        use = f"{file or cls.__module__}:{cls.__qualname__}"
    return {"use": use, **_changed_fields(thing)}


def from_spec(spec: Mapping[str, Any] | str | Path, *, folder: Path | None = None) -> Any:
    """Build a reward (or comparator) from a spec mapping, YAML text, a .yaml/.json file, or a registered name.

    `folder` is where relative paths start; None = the file's own folder, else the working directory. Raises SpecError for
    an unknown name or key (naming the nearest right one), a wrong type, a missing field, a cycle.

    >>> from_spec("{use: sum, weights: {b: 0.5}, parts: {a: {use: verify.exact}, b: {use: verify.math}}}").facts.parts
    ('a', 'b')
    """
    return _Builder().build_source(spec, folder)


def dump(spec: Mapping[str, Any]) -> str:
    """A spec as YAML text, keys in the order given."""
    return yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=120)


def _changed_fields(thing: Configured, skipped: Sequence[str] = ()) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in fields_of(thing):
        value = getattr(thing, field.name)
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.name not in skipped and field.init and (required or not _same(value, default)):
            row[field.name] = _plain(value, f"{thing.name}.{field.name}")
    return row


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _plain(value: Any, where: str) -> Any:
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, where)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (str, int, float)):  # subclasses, which YAML does not know
        return next(kind(value) for kind in (str, int, float) if isinstance(value, kind))
    if isinstance(value, Configured):
        return to_spec(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(_plain(v, where) for v in value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(getattr(value, "address", None), str):
        return value.address
    raise SpecError(
        f"{where} holds {type(value).__name__}, which a spec cannot describe: use text, numbers, lists, paths or rewards"
    )


def _function_path(thing: Function) -> str:
    if thing.path is not None:
        return thing.path
    module, name = getattr(thing.function, "__module__", None), getattr(thing.function, "__qualname__", None)
    if module in (None, "__main__") or name is None or "<" in name:
        raise SpecError(f"{thing.name} has no address: put the function into a file and name it as 'FILE.py:{thing.name}'")
    return f"{module}:{name}"


def _decorated(thing: Function) -> Function | None:
    """The reward that stands in the module under the function's name; None when a plain function does."""
    module = sys.modules.get(getattr(thing.function, "__module__", None) or "")
    found = getattr(module, getattr(thing.function, "__qualname__", ""), None)
    found = found.reward if isinstance(found, _wrappers.Named) else found
    return found if isinstance(found, Function) else None


class _Builder:
    """One build: counts nodes, remembers open files and mappings so that no spec can send it round in circles."""

    def __init__(self) -> None:
        self._nodes = 0
        self._open: list[int] = []
        self._files: list[Path] = []

    def build_source(self, spec: Mapping[str, Any] | str | Path, folder: Path | None) -> Any:
        if isinstance(spec, Mapping):
            return self.build(spec, "spec", folder or Path.cwd())
        if isinstance(spec, Path) or _looks_like_file(spec):
            return self._file(Path(spec), folder or Path.cwd())
        if re.fullmatch(r"[A-Za-z_][\w.]*", spec):
            return self.build({"use": spec, **_example(spec)}, spec, folder or Path.cwd())
        return self._text(spec, "the spec", folder or Path.cwd())

    def _file(self, path: Path, folder: Path) -> Any:
        full = (folder / path).resolve()
        if full in self._files:
            raise SpecError(
                f"{path}: the spec files include each other in a circle: {' -> '.join(p.name for p in [*self._files, full])}"
            )
        try:
            text = full.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"cannot read the spec {path}: {getattr(error, 'strerror', None) or error}") from error
        self._files.append(full)
        try:
            return self._text(text, str(path), full.parent)
        finally:
            self._files.pop()

    def _text(self, text: str, where: str, folder: Path) -> Any:
        try:
            # A SafeLoader that also refuses double keys.
            content = yaml.load(text, Loader=_UniqueKeys)
        except (yaml.YAMLError, RecursionError) as error:
            raise SpecError(f"{where} is not YAML: {error}") from error
        return self.build(content, where, folder)

    def build(self, spec: Any, where: str, folder: Path) -> Any:
        if not isinstance(spec, Mapping) or not isinstance(spec.get("use"), str):
            got = f"{spec!r:.60}" if not isinstance(spec, Mapping) else f"keys {list(spec)}"
            raise SpecError(f"{where}: expected a mapping with a key 'use', for example {{use: verify.math}}; got {got}")
        self._nodes += 1
        if id(spec) in self._open:
            raise SpecError(f"{where}: the spec contains itself (a YAML alias that goes in a circle)")
        if self._nodes > _MOST_NODES or len(self._open) > _DEEPEST:
            raise SpecError(f"{where}: more than {_MOST_NODES} nodes or {_DEEPEST} levels")
        self._open.append(id(spec))
        try:
            return self._built({str(k): v for k, v in spec.items()}, where, folder)
        finally:
            self._open.pop()

    def _built(self, row: dict[str, Any], where: str, folder: Path) -> Any:
        use, label = row.pop("use"), row.pop("name", None)
        if use == "spec":
            built = self._file(Path(_path_of(row, where)), folder)
        elif use == "function":
            built = _load_function(row, where, folder)
        else:
            built = self._instance(_class_of(use, where, folder), use, row, where, folder)
        if label is not None:
            if not isinstance(built, Reward):
                raise SpecError(f"{where}.name: only rewards take a name, {use} is none")
            built = _described(lambda: built.named(label), where)
        return built

    def _instance(self, cls: type[Configured], use: str, row: dict[str, Any], where: str, folder: Path) -> Any:
        fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
        for key in row:
            if key not in fields:
                raise SpecError(f"{where}: {use} has no field {key!r}{catalog.nearest(key, [*fields, 'name'])}")
        for name, field in fields.items():
            if name not in row and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise SpecError(f"{where}: {use} needs {name!r}")
        inner = {key: self._value(value, f"{where}.{key}", folder) for key, value in row.items()}
        fitted = fit(cls, inner, where, folder)
        return _described(lambda: cls(**fitted), where)

    def _value(self, value: Any, where: str, folder: Path) -> Any:
        # Aliases inside aliases would grow without end.
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(self._open) > _DEEPEST:
            raise SpecError(f"{where}: more than {_MOST_NODES} nodes or {_DEEPEST} levels")
        if isinstance(value, Mapping):
            if "use" in value:
                return self.build(value, where, folder)
            if id(value) in self._open:
                raise SpecError(f"{where}: the spec contains itself (a YAML alias that goes in a circle)")
            self._open.append(id(value))
            try:
                return {str(k): self._value(v, f"{where}.{k}", folder) for k, v in value.items()}
            finally:
                self._open.pop()
        if isinstance(value, list):
            if id(value) in self._open:
                raise SpecError(f"{where}: the spec contains itself (a YAML alias that goes in a circle)")
            self._open.append(id(value))
            try:
                return [self._value(v, f"{where}[{i}]", folder) for i, v in enumerate(value)]
            finally:
                self._open.pop()
        return value


def _described(build: Callable[[], Any], where: str) -> Any:
    """Turn a class's own refusal of its fields into a SpecError that says where it stood."""
    try:
        return build()
    except SpecError:
        raise
    except (ContractError, ValueError, TypeError) as error:
        raise SpecError(f"{where}: {error}") from error


def _class_of(use: str, where: str, folder: Path) -> type[Configured]:
    if use in NODES:
        return NODES[use]
    if ":" in use:
        module, _, name = use.rpartition(":")
        try:
            found: Any = _load_file(folder / module, where) if module.endswith(".py") else importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise SpecError(f"{where}: cannot import {use!r}: {error}") from error
    else:
        known = [*catalog.names(), *NODES, "function", "spec"]
        if use not in known:
            raise SpecError(f"{where}: {use!r} is not a registered reward{catalog.nearest(use, known)}")
        found = catalog.load(catalog.REWARDS, use)
    if not (isinstance(found, type) and issubclass(found, (Reward, Comparator)) and dataclasses.is_dataclass(found)):
        raise SpecError(f"{where}: {use!r} is {found!r:.60}: expected a Reward or Comparator dataclass")
    return found


def _example(name: str) -> dict[str, Any]:
    if name in catalog.names():
        return dict(catalog.load(catalog.REWARDS, name).example)
    return {}


def _looks_like_file(text: str) -> bool:
    return "\n" not in text and "{" not in text and Path(text).suffix.lower() in (".yaml", ".yml", ".json")


def _path_of(row: dict[str, Any], where: str) -> str:
    path = row.pop("path", None)
    if not isinstance(path, str) or row:
        raise SpecError(f"{where}: expected {{use: spec, path: FILE.yaml}}, got keys {['path', *row]}")
    return path


def _load_function(row: dict[str, Any], where: str, folder: Path) -> Reward:
    path = row.pop("path", None)
    if not isinstance(path, str) or ":" not in path:
        raise SpecError(f"{where}.path: expected 'FILE.py:NAME' or 'MODULE:NAME', got {path!r}")
    known = [f.name for f in dataclasses.fields(Function) if f.name not in ("function", "path")]
    for key in row:
        if key not in known:
            raise SpecError(f"{where}: function has no field {key!r}{catalog.nearest(key, [*known, 'path', 'name'])}")
    source, _, name = path.rpartition(":")
    if source.endswith(".py"):
        module = _load_file(folder / source, where)
        path = f"{(folder / source).resolve()}:{name}"
    else:
        module = _import(source, where)
    found: Any = getattr(module, name, None)
    if isinstance(found, Reward):
        if row:
            raise SpecError(f"{where}: {path} is a reward with facts of its own; remove {', '.join(row)}")
        return dataclasses.replace(found, path=path) if isinstance(found, Function) else found
    if not callable(found):
        raise SpecError(
            f"{where}: {source} has no function {name!r}{catalog.nearest(name, [n for n in vars(module) if n[0] != '_'])}"
        )
    fitted = fit(Function, row, where, folder)
    made: Reward = _described(lambda: make_function(found, path=path, **fitted), where)
    return made


def _import(module: str, where: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise SpecError(f"{where}: cannot import {module!r}: {type(error).__name__}: {error}") from error


def _load_file(path: Path, where: str) -> Any:
    # Registered under a name of its own, so that functions of the file can be found again by pickle in this process.
    name = _FILE_MODULE + re.sub(r"\W", "_", str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SpecError(f"{where}: there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SpecError(f"{where}: {path} does not load: {type(error).__name__}: {error}") from error
    return module


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, which YAML would resolve in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict, bool)) or key is None:
                said = (
                    f"a key must be text: put {key_node.value!r} in quotes"
                    if isinstance(key_node.value, str)
                    else "a key must be text"
                )
                raise yaml.constructor.ConstructorError(None, None, said, key_node.start_mark)
            key = str(key)
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
