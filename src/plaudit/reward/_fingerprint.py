"""Fingerprints: 32 hex digits that change with everything a reward's numbers depend on, and with nothing else.

Covered: every field, each reward's version, the contents of files and folders, the source of functions with their defaults,
closures and the module globals they use. Left out: paths, addresses, keys (`address_field`), and where the code lies on disk.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import os
import re
import sys
import textwrap
import time
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from plaudit.errors import SpecError

_RACY_SECONDS = 2.0
_DIGESTS: dict[str, tuple[tuple[int, ...], str]] = {}


def digest(data: bytes) -> str:
    """32 hex digits of some bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's bytes, or of a folder's relative names and their bytes.

    A digest is remembered while size, times and inode stay the same, unless the file was written so recently that a further
    write could hide within the clock's grain. The time of the last change of status counts too: unlike the time of the last
    write, no program can set it back. Raises SpecError when the path cannot be read.
    """
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            return digest(json.dumps([[p.relative_to(path).as_posix(), file_digest(p)] for p in files]).encode())
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            known = _DIGESTS.get(str(path))
            if known is not None and known[0] == state:
                return known[1]
            found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise SpecError(f"cannot fingerprint {path}: {error.strerror or error}") from error
    if time.time() - max(stat.st_mtime, stat.st_ctime) > _RACY_SECONDS:
        _DIGESTS[str(path)] = (state, found)
    return found


@dataclasses.dataclass
class Canonical:
    """Turns configuration values into JSON that is the same in every process, and notes what has no version.

    `unversioned` collects descriptions of objects whose behaviour cannot be pinned: results that depend on them are never
    cached. `touches_files` is set when a digest of a file is in the result, so that it cannot be remembered for good.
    """

    unversioned: list[str] = dataclasses.field(default_factory=list)
    touches_files: bool = False
    _open: list[int] = dataclasses.field(default_factory=list)

    def of(self, value: Any) -> Any:
        """JSON for one value; types are told apart, integers and equal floats are not."""
        if value is None or isinstance(value, (str, bool)):
            return value
        if isinstance(value, Enum):
            return self.of(value.value)
        if isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, (int, np.integer)):
            return {"number": hex(value)}  # not decimal: Python refuses to write integers of thousands of digits that way
        if isinstance(value, (float, np.floating)):
            number = float(value)
            return {"number": hex(int(number)) if number.is_integer() else repr(number)}
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": digest(bytes(value))}
        if id(value) in self._open:
            return {"seen": self._open.index(id(value))}
        self._open.append(id(value))
        try:
            return self._compound(value)
        finally:
            self._open.pop()

    def _compound(self, value: Any) -> Any:
        if isinstance(value, PurePath):
            self.touches_files = True
            return {"file": file_digest(Path(value))}
        if isinstance(value, np.ndarray):
            return {"array": [str(value.dtype), list(value.shape), digest(np.ascontiguousarray(value).tobytes())]}
        if isinstance(value, Mapping):
            rows = [[self.of(k), self.of(v)] for k, v in value.items()]
            return {"map": sorted(rows, key=lambda row: json.dumps(row[0], sort_keys=True))}
        if isinstance(value, Set):
            return {"set": sorted((self.of(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))}
        if isinstance(value, Sequence):
            return [self.of(v) for v in value]
        if isinstance(value, re.Pattern):
            return {"pattern": [value.pattern, value.flags]}
        if isinstance(value, functools.partial):
            return {"partial": [self.of(value.func), self.of(value.args), self.of(value.keywords)]}
        if isinstance(value, types.MethodType):
            return {"method": [self.of(value.__func__), self.of(value.__self__)]}
        if isinstance(value, types.FunctionType):
            return {"function": self._function(value)}
        if isinstance(value, types.BuiltinFunctionType) and _is_bound(value):
            return {"method": [value.__qualname__, self.of(value.__self__)]}
        if isinstance(value, (types.BuiltinFunctionType, types.ModuleType, np.ufunc)):
            return {"name": getattr(value, "__qualname__", None) or value.__name__}
        if isinstance(value, type):
            return {"class": self._class(value) if _is_own(value.__module__) else [value.__module__, value.__qualname__]}
        if _wraps(value):
            return {"wrapped": self.of(value.__wrapped__)}
        return self._object(value)

    def _object(self, value: Any) -> Any:
        canonical = getattr(type(value), "canonical", None)
        if callable(canonical):
            return canonical(value, self)
        if hasattr(value, "address") and hasattr(value, "version"):
            if value.version is None:
                self.unversioned.append(f"the model {value.address!r}")
            return {"model": value.version}
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if not is_address(f)}
            return {"dataclass": [self.of(type(value)), self.of(fields)]}
        self.unversioned.append(f"an object of {type(value).__module__}.{type(value).__qualname__}")
        return {"object": type(value).__qualname__}

    def _function(self, function: types.FunctionType) -> Any:
        # A lambda's source is its whole line, which it may share with another lambda: its code tells them apart.
        # The code's own source, not that of what it wraps, which inspect would look through to.
        source = _code(function.__code__) if function.__code__.co_name == "<lambda>" else _source(function.__code__)
        return [source if source is not None else _code(function.__code__), *self._surroundings(function)]

    def _surroundings(self, function: types.FunctionType) -> list[Any]:
        """What a function takes from outside its source: defaults, closure, globals."""
        cells = {name: cell.cell_contents for name, cell in _cells(function)}
        names = _names(function.__code__)
        used = {name: self._used(name, function.__globals__[name], names) for name in names if name in function.__globals__}
        return [self.of(function.__defaults__), self.of(function.__kwdefaults__), self.of(cells), used]

    def _used(self, name: str, value: Any, names: Set[str]) -> Any:
        if isinstance(value, types.ModuleType) and _is_own(value.__name__) and id(value) not in self._open:
            # `scoring.close(a, b)` depends on what `scoring` calls `close`.
            self._open.append(id(value))
            try:
                return {"module": {n: self._used(n, vars(value)[n], names) for n in sorted(names & vars(value).keys())}}
            finally:
                self._open.pop()
        return self.of(value) if _is_own_value(value) else {"name": name}

    def _class(self, cls: type) -> Any:
        """A class of the user's: its source, that of its own bases, and what their methods take from outside."""
        rows = []
        for base in cls.__mro__:
            if _is_own(base.__module__):
                functions = _functions_of(base)
                source = _class_source(base) or {name: _code(f.__code__) for name, f in functions.items()}
                used = {
                    n: self._function(f) if hasattr(f, "__wrapped__") else self._surroundings(f) for n, f in functions.items()
                }
                rows.append([base.__qualname__, source, used])
        return rows


def address_field(**arguments: Any) -> Any:
    """A dataclass field that says where something is reached, or by which key: kept out of the fingerprint.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Remote:
    ...     base_url: str = address_field(default="http://localhost")
    >>> is_address(dataclasses.fields(Remote)[0])
    True
    """
    return dataclasses.field(metadata={"plaudit": "address"}, **arguments)


def is_address(field: dataclasses.Field[Any]) -> bool:
    """Whether a field was made by `address_field`."""
    return field.metadata.get("plaudit") == "address"


def _cells(function: types.FunctionType) -> Iterator[tuple[str, types.CellType]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            _ = cell.cell_contents
        except ValueError:  # a name that is bound later, for example a recursive inner function
            continue
        yield name, cell


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _code(code: types.CodeType) -> str:
    constants = [_constant(c) for c in code.co_consts]
    return digest(repr((code.co_code, constants, code.co_names, code.co_varnames)).encode())


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return _code(value)
    if isinstance(value, frozenset):  # its order differs between processes
        return f"frozenset({sorted(map(_constant, value))})"
    return repr(value)


def _source(thing: types.CodeType | type) -> str | None:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return None


@functools.lru_cache(maxsize=1024)
def _class_source(cls: type) -> str | None:
    return _source(cls)


def _functions_of(cls: type) -> dict[str, types.FunctionType]:
    """The functions that a class body wrote, also those inside properties and class methods."""
    found: dict[str, types.FunctionType] = {}
    for name, value in sorted(vars(cls).items()):
        inner = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", None) or value
        if isinstance(inner, types.FunctionType) and name not in _DATACLASS_METHODS:
            found[name] = inner
    return found


_DATACLASS_METHODS = frozenset({"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"})


def _is_own(module: str | None) -> bool:
    """Whether code of this module is the user's, so that its source counts; installed packages count by name alone."""
    if module in (None, "__main__", "builtins"):
        return module != "builtins"
    # plaudit's own rewards promise a new version when their numbers change, wherever it is installed.
    if module.partition(".")[0] in sys.stdlib_module_names or module.partition(".")[0] == "plaudit":
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not ({"site-packages", "dist-packages"} & set(Path(file).parts))


def _wraps(value: Any) -> bool:
    """Whether this is functools.cache's wrapper or one of its kind; not a proxy that claims to have every attribute."""
    return callable(value) and "__wrapped__" in getattr(value, "__dict__", ())


def _is_own_value(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return False
    if isinstance(value, functools.partial):
        return True
    if _wraps(value) and not isinstance(value, (types.FunctionType, type)):
        return _is_own_value(value.__wrapped__)
    if isinstance(value, (types.FunctionType, type)):
        return _is_own(value.__module__)
    if isinstance(value, types.BuiltinFunctionType):
        return _is_bound(value)
    return not isinstance(value, np.ufunc)


def _is_bound(function: types.BuiltinFunctionType) -> bool:
    """Whether a built-in function belongs to an object, as ``re.compile("x").match`` does, whose contents count."""
    return not isinstance(function.__self__, (types.ModuleType, type, types.NoneType))
