"""What rewards and comparators share: configuration in frozen fields, facts, a spec, a fingerprint, a name."""

from __future__ import annotations

import dataclasses
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

from plaudit import catalog
from plaudit.errors import ContractError
from plaudit.reward._facts import Facts
from plaudit.reward._fingerprint import Canonical, _is_own, digest, is_address
from plaudit.types import html_of, shown

_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class Configured(ABC):
    """A frozen dataclass whose fields are its configuration."""

    example: ClassVar[Mapping[str, Any]] = _NO_FIELDS
    """Fields, as in a spec, of an instance that works: what the catalogue and the tests build."""

    LEAVES: ClassVar[tuple[str, ...]] = ()
    """Names of the methods of which a leaf writes exactly one."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__repr__" not in cls.__dict__:
            # Else the decorator writes one that shows every field, a whole tree on one line.
            cls.__repr__ = cls.__repr__  # type: ignore[method-assign]
        written = [name for name in cls.LEAVES if _written_in(cls, name)]
        if len(written) > 1:
            raise ContractError(
                f"{cls.__name__} writes {' and '.join(written)}: a leaf writes exactly one of {', '.join(cls.LEAVES)}"
            )

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What it says of itself; follows from the fields."""

    @property
    def name(self) -> str:
        """Snake-case name of the class; `named` gives another."""
        return snake_case(type(self).__name__)

    @property
    def leaf(self) -> str | None:
        """Which of `LEAVES` this class writes; None = none of them."""
        return next((name for name in self.LEAVES if _written_in(type(self), name)), None)

    def identity(self) -> Mapping[str, Any]:
        """What the fingerprint covers besides class and version: all fields but addresses, keys and those of ``init=False``.

        A field that the constructor does not take follows from the others, or holds state: neither is configuration.
        """
        return {f.name: getattr(self, f.name) for f in fields_of(self) if f.init and not is_address(f)}

    def canonical(self, canonical: Canonical) -> Any:
        """JSON that pins the numbers this object gives."""
        cls = type(self)
        # Outside the catalogue nobody promises to change the version when the code changes: the source counts as well.
        use = _registered_name(cls) or (canonical.of(cls) if _is_own(cls.__module__) else f"{cls.__module__}:{cls.__qualname__}")
        return {"use": use, "version": self.facts.version, "fields": canonical.of(dict(self.identity()))}

    def _pinned(self) -> tuple[str, tuple[str, ...]]:
        known: tuple[str, tuple[str, ...]] | None = self.__dict__.get("_pin")
        if known is not None:
            return known
        canonical = Canonical()
        text = json.dumps(canonical.of(self), sort_keys=True, ensure_ascii=True)
        pin = (digest(text.encode()), tuple(canonical.unversioned))
        if not canonical.touches_files:
            object.__setattr__(self, "_pin", pin)
        return pin

    @property
    def fingerprint(self) -> str:
        """32 hex digits that change with every field, version, referenced file and function source."""
        return self._pinned()[0]

    @property
    def unversioned(self) -> tuple[str, ...]:
        """Descriptions of what it depends on that has no version; results are cached only when this is empty."""
        return self._pinned()[1]

    @property
    def spec(self) -> dict[str, Any]:
        """The description from which `from_spec` builds an equal object: JSON and YAML values only."""
        from plaudit.reward._spec import to_spec

        return to_spec(self)

    def to_yaml(self) -> str:
        """The spec as YAML text."""
        from plaudit.reward._spec import dump

        return dump(self.spec)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._words())})"

    def _words(self) -> list[str]:
        """What stands between the brackets of its line: the fields that are not at their default, but no addresses."""
        words = []
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            # Addresses may hold a password, and notebooks are published. An object half made has not all of its fields.
            if not (f.init and f.repr and hasattr(self, f.name)) or is_address(f):
                continue
            value = getattr(self, f.name)
            if not _is_default(f, value):
                words.append(f"{f.name}={shown(dict(value) if isinstance(value, MappingProxyType) else value)}")
        return words

    def _repr_html_(self) -> str:
        return html_of(self)

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k != "_pin"}
        return {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in state.items()}


def _is_default(f: dataclasses.Field[Any], value: Any) -> bool:
    default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
    if default is value:
        return True
    try:
        return bool(default == value)
    except (TypeError, ValueError):  # arrays compare entry by entry
        return False


def _written_in(cls: type, name: str) -> bool:
    method = getattr(cls, name, None)
    return method is not None and not getattr(method, "__isabstractmethod__", False) and not getattr(method, "is_absent", False)


def fields_of(thing: Configured) -> tuple[dataclasses.Field[Any], ...]:
    """The dataclass fields. Raises ContractError when the class is not a frozen dataclass."""
    parameters = getattr(type(thing), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen or "__dataclass_fields__" not in vars(type(thing)):
        raise ContractError(
            f"{type(thing).__qualname__}: decorate it with @dataclass(frozen=True); its fields are its configuration"
        )
    fields = dataclasses.fields(thing)  # type: ignore[arg-type]
    taken = [f.name for f in fields if f.name in ("use", "name")]
    if taken:
        raise ContractError(f"{type(thing).__qualname__}: a field cannot be called {taken[0]!r}, which a spec keeps for itself")
    return fields


def snake_case(name: str) -> str:
    """The spec's spelling of a class name.

    >>> snake_case("ToolCall")
    'tool_call'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@lru_cache(maxsize=1024)
def _registered_name(cls: type) -> str | None:
    return catalog.name_of(catalog.REWARDS, cls)
