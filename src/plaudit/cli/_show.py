"""``plaudit show``: everything about one reward."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plaudit.cli._app import command
from plaudit.cli._console import bounds, indented, output, print_json, prose, visible
from plaudit.cli._list import Entry, read_entry
from plaudit.cli._options import JsonOption
from plaudit.cli._reward import load_reward
from plaudit.errors import SpecError

if TYPE_CHECKING:
    from plaudit.reward import Facts

_SOURCE = re.compile(r"\bSources?: (.+)", re.DOTALL)
_FIELD = re.compile(r"    (\w[\w, ]*): (.*)")


@command("show", example="plaudit show verify.math")
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="A registered name (verify.math), or any REWARD.")
    ],
    as_json: JsonOption = False,
) -> int:
    """Show what a reward does, its facts and fields, where it comes from, and an example.

    NAME is one of those of `plaudit list`, or a spec file or function, of which it shows the facts, the spec and the leaves.
    """
    from plaudit import catalog

    if name in catalog.names():
        try:
            entry = read_entry(name)
        except Exception as error:  # the code behind a name may be anybody's
            raise SpecError(f"{name} does not work: {type(error).__name__}: {error}") from error
        if as_json:
            print_json({**entry.to_json(), **_more(entry)})
        else:
            _print_entry(output(), entry)
        return 0
    reward = load_reward(name)
    if as_json:
        print_json(_reward_json(reward))
    else:
        _print_reward(output(), reward)
    return 0


def _more(entry: Entry) -> dict[str, Any]:
    return {
        "doc": inspect.getdoc(entry.cls), "source": source_of(entry.cls.__doc__), "fields": list(_fields(entry.cls)),
        "parts": list(entry.facts.parts), "reads": sorted(entry.facts.reads), "deterministic": entry.facts.deterministic,
        "stateful": entry.facts.stateful, "example": _example_yaml(entry), "python": _example_python(entry),
    }  # fmt: skip


def source_of(doc: str | None) -> str | None:
    """The title after ``Source:`` in a docstring; None when there is none.

    >>> source_of("Scores. Source: Attention Is\\n    All You Need.")
    'Attention Is All You Need.'
    """
    found = [m[1] for paragraph in (doc or "").split("\n\n") if (m := _SOURCE.search(paragraph))]
    return " ".join(found[0].split()) if found else None


def said_of_fields(doc: str) -> dict[str, str]:
    """What a docstring's ``Fields:`` block says of each field.

    >>> said_of_fields("Fields:\\n    a, b: two\\n        lines.\\n    c: one.")
    {'a': 'two lines.', 'b': 'two lines.', 'c': 'one.'}
    """
    block = next((p for p in doc.split("\n\n") if p.startswith("Fields:")), "")
    said: dict[str, str] = {}
    names: list[str] = []
    for line in block.splitlines()[1:]:
        if found := _FIELD.fullmatch(line):
            names = found[1].split(", ")
            said |= dict.fromkeys(names, found[2])
        else:
            said |= {name: f"{said[name]} {line.strip()}" for name in names}
    return said


def _fields(cls: type) -> Iterator[dict[str, Any]]:
    said, hints = said_of_fields(inspect.getdoc(cls) or ""), _hints(cls)
    for field in dataclasses.fields(cls):
        if field.init:
            default = field.default if field.default is not dataclasses.MISSING else None
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            yield {
                "name": field.name, "type": _type_name(hints.get(field.name, field.type)), "required": required,
                "default": None if required else _spelled(default), "summary": prose(said.get(field.name, "")),
            }  # fmt: skip


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError:  # an annotation that only a type checker can resolve
        return {}


def _spelled(value: Any) -> str:
    import yaml

    if isinstance(value, Mapping | tuple | frozenset):
        value = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        text: str = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    except yaml.YAMLError:
        return repr(value)
    return text


def _type_name(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(map(str, arguments))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join("null" if a is type(None) else _type_name(a) for a in arguments)
    if isinstance(annotation, type) and not arguments:
        return annotation.__name__
    return str(annotation).rpartition(".")[2] if not arguments else str(annotation)


def _example_yaml(entry: Entry) -> str:
    import yaml

    spec = {"use": entry.name, **_lists(entry.cls.example)}  # type: ignore[attr-defined]
    text: str = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=70)
    return text


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _lists(v) for k, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value


def _example_python(entry: Entry) -> str:
    imports: dict[str, None] = {}
    expression = _python({"use": entry.name, **entry.cls.example}, imports)  # type: ignore[attr-defined]
    return "\n".join([*imports, "", expression])


def _python(value: Any, imports: dict[str, None]) -> str:
    """A value of a spec as a Python expression; what it needs is added to `imports`."""
    from plaudit import catalog

    if isinstance(value, Mapping) and "use" in value:
        use, label = str(value["use"]), value.get("name")
        if use not in catalog.names():
            imports["from plaudit.reward import from_spec"] = None
            return f"from_spec({_lists(value)!r})"
        cls = catalog.load(catalog.REWARDS, use)
        imports[f"from {cls.__module__.partition('._')[0]} import {cls.__name__}"] = None
        arguments = [f"{key}={_python(v, imports)}" for key, v in value.items() if key not in ("use", "name")]
        return f"{cls.__name__}({', '.join(arguments)})" + (f".named({label!r})" if label else "")
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_python(v, imports)}' for key, v in value.items())}}}"
    if isinstance(value, list | tuple):
        items = ", ".join(_python(v, imports) for v in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    return repr(value)


def _print_entry(console: Console, entry: Entry) -> None:
    console.print(Text.assemble((entry.name, "bold cyan"), "  ", (entry.cls.__name__, "dim")))
    for paragraph in _paragraphs(entry.cls):
        console.print()
        console.print(paragraph if isinstance(paragraph, Text) else indented(console, prose(paragraph), 0))
    _section(console, "Facts")
    console.print(_facts_table(entry.facts, source_of(entry.cls.__doc__)))
    fields = list(_fields(entry.cls))
    if fields:
        _section(console, "Fields")
    for field in fields:
        default = "required" if field["required"] else f"default {field['default']}"
        console.print(Text.assemble((f"  {field['name']}", "cyan"), (f"   {field['type']}", "")))
        console.print(indented(console, f"{field['summary']} ({default})".strip(), 6, "dim"))
    _section(console, "Example")
    example = _indent(f"# as YAML\n{_example_yaml(entry)}\n# as Python\n{_example_python(entry)}")
    console.print(Text(example), soft_wrap=True)


def _paragraphs(cls: type) -> Iterator[str | Text]:
    """The docstring's paragraphs but those that are shown elsewhere; code keeps its lines."""
    for paragraph in (inspect.getdoc(cls) or "").split("\n\n"):
        if paragraph.startswith(">>>"):
            yield Text(_indent(paragraph), no_wrap=True, overflow="ignore")
        elif not paragraph.startswith("Fields:"):
            words = " ".join(_SOURCE.sub("", paragraph).split())
            if words:
                yield words


def _facts_table(facts: Facts, source: str | None = None) -> Table:
    rows = {
        "source": prose(source or ""),
        "range": bounds(facts.range),
        "scope": facts.scope,
        "lane": facts.lane,
        "reads": ", ".join(sorted(facts.reads)),
        "parts": ", ".join(facts.parts),
        "version": facts.version,
        "systems": ", ".join(map(str, facts.systems)),
        "kind": ", ".join(word for word, holds in (("random", not facts.deterministic), ("stateful", facts.stateful)) if holds),
        "time limit": f"{facts.timeout:g} s" if facts.timeout else "",
    }
    table = Table.grid(padding=(0, 3))
    for name, value in rows.items():
        if value:
            table.add_row(Text(f"  {name}", style="cyan"), Text(value))
    return table


def _reward_json(reward: Any) -> dict[str, Any]:
    from plaudit.reward import leaves, use_name

    f = reward.facts
    return {
        "name": reward.name, "use": use_name(reward), "range": f.range and list(f.range), "scope": f.scope, "lane": f.lane,
        "systems": list(f.systems), "version": f.version, "reads": sorted(f.reads), "parts": list(f.parts),
        "deterministic": f.deterministic, "stateful": f.stateful, "fingerprint": reward.fingerprint, "spec": reward.spec,
        "leaves": [{"name": leaf.name, "use": use_name(leaf.reward), "weight": leaf.weight} for leaf in leaves(reward)],
    }  # fmt: skip


def _print_reward(console: Console, reward: Any) -> None:
    from plaudit.reward import leaves, use_name

    console.print(Text.assemble((visible(reward.name), "bold cyan"), "  ", (f"fingerprint {reward.fingerprint}", "dim")))
    _section(console, "Facts")
    console.print(_facts_table(reward.facts))
    _section(console, "Leaves")
    table = Table.grid(padding=(0, 3))
    for leaf in leaves(reward):
        weight = "" if leaf.weight is None else f"weight {leaf.weight:g}"
        table.add_row(
            Text(f"  {visible(leaf.name)}", style="cyan"), use_name(leaf.reward), bounds(leaf.reward.facts.range), weight
        )
    console.print(table)
    _section(console, "Spec")
    console.print(Text(visible(_indent(reward.to_yaml().rstrip()))))


def _section(console: Console, title: str) -> None:
    console.print(Text(f"\n{title}", style="bold"))


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
