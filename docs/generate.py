"""Writes docs/catalogue.md from the registry: python docs/generate.py (`--check` only says whether it is current)."""

from __future__ import annotations

import sys
from pathlib import Path

from plaudit import catalog
from plaudit.cli._list import Entry, read_entry
from plaudit.types import REASONS

FOLDER = Path(__file__).parent


def catalogue() -> str:
    entries = [read_entry(name) for name in catalog.names() if catalog.table(catalog.REWARDS)[name].value.startswith("plaudit.")]
    lines = [
        "# The catalogue",
        "",
        "Every reward that plaudit registers, written by `python docs/generate.py`; `plaudit show NAME` says more.",
        "",
        "| name | what it is | range | scope | lane | systems | version |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(entry) for entry in entries),
        "",
        "## Reasons",
        "",
        "Every code that a verdict's `reason` may hold.",
        "",
        "| code | status | meaning |",
        "| --- | --- | --- |",
        *(f"| `{r.code}` | {r.status.name} | {r.sentence} |" for r in REASONS.values()),
    ]
    return "\n".join(lines) + "\n"


def _row(entry: Entry) -> str:
    f = entry.facts
    limits = "undeclared" if f.range is None else f"{f.range[0]:g} to {f.range[1]:g}"
    summary = entry.summary.replace("|", "\\|")
    systems = ", ".join(f"{s:03d}" for s in f.systems) or "–"
    return f"| `{entry.name}` | {summary} | {limits} | {f.scope} | {f.lane} | {systems} | {f.version} |"


def main() -> int:
    path = FOLDER / "catalogue.md"
    text = catalogue()
    if "--check" in sys.argv:
        current = path.exists() and path.read_text(encoding="utf-8") == text
        print("docs/catalogue.md is current" if current else "docs/catalogue.md is stale: run python docs/generate.py")
        return 0 if current else 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
