"""Fitting YAML values to a dataclass's annotated fields: lists become tuples, text becomes paths, wrong types are named."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union

from plaudit.errors import SpecError


def fit(cls: type, values: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """The values as the class's annotations want them. Raises SpecError that names the field, what it got and expected."""
    hints = _hints(cls)
    fitted = {}
    for name, value in values.items():
        try:
            fitted[name] = _fit(value, hints.get(name, Any), folder)
        except _WrongTypeError as wrong:
            raise SpecError(f"{where}.{name}: expected {_spell(hints[name])}, got {wrong.args[0]!r:.80}") from None
    return fitted


class _WrongTypeError(Exception):
    pass


def _hints(cls: type) -> dict[str, Any]:
    """The annotations as types; Any for a name that is imported for the type checker alone."""
    try:
        return typing.get_type_hints(cls)
    except NameError:
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            for name, hint in vars(base).get("__annotations__", {}).items():
                probe = type(name, (), {"__annotations__": {name: hint}, "__module__": base.__module__})
                try:
                    hints |= typing.get_type_hints(probe)
                except NameError:
                    hints[name] = Any
        return hints


def _fit(value: Any, hint: Any, folder: Path) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_union(value, arguments, folder)
    if origin is Literal:
        if not any(type(value) is type(option) and value == option for option in arguments):
            raise _WrongTypeError(value)
        return value
    if origin is tuple or hint is tuple:
        return _fit_tuple(value, arguments, folder)
    if origin in (list, Sequence, frozenset, set):
        if not isinstance(value, (list, tuple)):
            raise _WrongTypeError(value)
        items = [_fit(v, arguments[0] if arguments else Any, folder) for v in value]
        return frozenset(items) if origin in (frozenset, set) else tuple(items) if origin is Sequence else items
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _WrongTypeError(value)
        return {k: _fit(v, arguments[1] if arguments else Any, folder) for k, v in value.items()}
    return _fit_plain(value, hint, folder)


def _fit_union(value: Any, options: Sequence[Any], folder: Path) -> Any:
    for option in options:
        try:
            return _fit(value, option, folder)
        except _WrongTypeError:
            continue
    raise _WrongTypeError(value)


def _fit_tuple(value: Any, arguments: Sequence[Any], folder: Path) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _WrongTypeError(value)
    if not arguments:
        return tuple(value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_fit(v, arguments[0], folder) for v in value)
    if len(value) != len(arguments):
        raise _WrongTypeError(value)
    return tuple(_fit(v, a, folder) for v, a in zip(value, arguments, strict=True))


def _fit_plain(value: Any, hint: Any, folder: Path) -> Any:
    if hint is Any or isinstance(hint, typing.TypeVar) or hint is Callable:
        return value
    if hint is None or hint is type(None):
        if value is not None:
            raise _WrongTypeError(value)
        return None
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _WrongTypeError(value)
        return float(value)
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _WrongTypeError(value)
        return value
    if hint is Path:
        if not isinstance(value, (str, Path)):
            raise _WrongTypeError(value)
        return Path(value) if Path(value).is_absolute() else folder / value
    if isinstance(hint, type) and not getattr(hint, "_is_protocol", False):
        if not isinstance(value, hint):
            raise _WrongTypeError(value)
        return value
    if getattr(hint, "_is_protocol", False) and isinstance(value, (str, int, float, bool, list, dict, type(None))):
        # A model's address, turned into the model by the reward that takes it.
        raise _WrongTypeError(value)
    return value


def _spell(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_spell(a) for a in arguments)
    if origin is Literal:
        return " or ".join(repr(a) for a in arguments)
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        return {"tuple": "a list", "list": "a list", "Sequence": "a list", "Mapping": "a mapping", "dict": "a mapping"}.get(
            name, name
        )
    if hint in (None, type(None)):
        return "null"
    return {"str": "text", "float": "a number", "int": "a whole number", "bool": "true or false", "Path": "a path"}.get(
        getattr(hint, "__name__", ""), getattr(hint, "__name__", str(hint))
    )
