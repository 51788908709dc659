"""From what stands in the place of REWARD to a reward."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaudit import catalog
from plaudit.errors import SpecError

if TYPE_CHECKING:
    from plaudit.reward import Reward

_SPECS = (".yaml", ".yml", ".json")
_FORMS = (
    "expected a spec file (reward.yaml), a registered name (verify.math), a function (FILE.py:NAME), a reward model's folder "
    "or inline YAML ({use: verify.exact, ignore_case: true})"
)


def load_reward(text: str, *, examples: bool = False) -> Reward:
    """The reward that a command line argument names; with `examples` a registered name stands for the catalogue's example.

    Raises SpecError that says what was given and what is expected.
    """
    from plaudit.reward import Reward

    built = load_configured(text, examples)
    if not isinstance(built, Reward):
        raise SpecError(f"{text} is a comparator: it compares two responses; this command needs a reward, which scores one")
    return built


def load_configured(text: str, examples: bool = False) -> Any:
    """The reward or comparator that a command line argument names. Raises SpecError."""
    from plaudit.reward import from_spec

    text = text.strip()
    if not text:
        raise SpecError(f"REWARD is empty: {_FORMS}")
    if re.match(r"https?://", text):
        raise SpecError(f"{text} is a URL, which no reward is read from: {_FORMS}")
    if text.startswith("{") or "\n" in text:
        return from_spec(text)
    path = Path(text)
    if path.suffix.lower() in _SPECS:
        return from_spec(path)
    if path.is_dir():
        if not (path / "plaudit.json").is_file():
            raise SpecError(
                f"{text} is a folder without plaudit.json, so no reward model that `plaudit train -o` wrote: {_FORMS}"
            )
        return from_spec({"use": "learned.reward_model", "folder": str(path)})
    if text.endswith(".py"):
        raise SpecError(f"{text} holds several names: write {text}:NAME{_functions_in(path)}")
    if ":" in text:
        return _addressed(text)
    if text in catalog.names():
        return from_spec(text) if examples else _registered(text)
    if path.exists():
        raise SpecError(f"{text} is a file of an unknown kind: {_FORMS}")
    raise SpecError(f"{text!r} is neither a file nor a registered reward{_hint(text) or f'; {_FORMS}'}")


def needed_fields(cls: type) -> list[str]:
    """Names of the fields that have no default."""
    missing = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.init and f.default is missing and f.default_factory is missing]


def _hint(name: str) -> str:
    close = catalog.nearest(name, catalog.names())
    return close if close.startswith("; did you mean") else ""


def _registered(name: str) -> Any:
    # The example's fields make the catalogue's instance work; scoring somebody's data with them would be a guess.
    from plaudit.reward import from_spec

    try:
        return from_spec({"use": name})
    except SpecError as error:
        cls = catalog.load(catalog.REWARDS, name)
        if not needed_fields(cls) and not cls.example:
            raise
        spec = ", ".join(f"{key}: {value}" for key, value in {"use": name, **cls.example}.items())
        raise SpecError(f"{error}; write a spec, for example {{{spec}}}") from error


def _addressed(text: str) -> Any:
    from plaudit.reward import from_spec

    source, _, name = text.rpartition(":")
    if source.endswith(".py"):
        if not Path(source).is_file():
            raise SpecError(f"{text}: there is no file {source}")
        return _function_or_class(text)
    if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", source) and name.isidentifier():
        if source in catalog.names(catalog.MODELS):
            raise SpecError(f"{text} is a language model: a judge makes it a reward, {{use: judge.pointwise, model: '{text}'}}")
        return _function_or_class(text)
    if source.partition(":")[0] in catalog.names(catalog.MODELS):
        raise SpecError(f"{text} is a language model: a judge makes it a reward, {{use: judge.pointwise, model: '{text}'}}")
    return from_spec(text)


def _function_or_class(text: str) -> Any:
    from plaudit.reward import Comparator, Function, Reward, from_spec

    built = from_spec({"use": "function", "path": text})
    cls = built.function if isinstance(built, Function) else None
    if not (isinstance(cls, type) and issubclass(cls, (Reward, Comparator))):
        return built
    needed: list[str] = needed_fields(cls) if dataclasses.is_dataclass(cls) else []
    if needed:
        raise SpecError(f"{text} needs {', '.join(needed)}: make an instance at the top of the file and name that")
    try:
        return cls()
    except (TypeError, ValueError) as error:
        raise SpecError(f"{text} cannot be made: {error}") from error


def _functions_in(path: Path) -> str:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found = re.findall(r"^(?:async )?def ([A-Za-z]\w*)|^([A-Za-z]\w*) *=", source, re.MULTILINE)
    names = [a or b for a, b in found][:8]
    return f" with one of {', '.join(names)}" if names else ""
