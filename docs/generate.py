"""Writes docs/catalogue.md from the registry and docs/ledger.md from the experiments and their last results.

python docs/generate.py                     # write the pages
python docs/generate.py --check             # only say whether they are current
python docs/generate.py --results FOLDER    # first take the findings in FOLDER over into docs/ledger.json
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from plaudit import catalog
from plaudit.cli._list import Entry, read_entry
from plaudit.records import replace_file
from plaudit.reproduce import Experiment, Finding, LedgerRow, ResultFolder, find_experiments, ledger
from plaudit.types import REASONS, Reason

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "ledger.json"
_CURVE_POINTS = 50  # of a curve in the committed results


def entries() -> list[Entry]:
    return [read_entry(name) for name in catalog.names() if catalog.table(catalog.REWARDS)[name].value.startswith("plaudit.")]


def catalogue() -> str:
    lines = [
        "# The catalogue",
        "",
        "Every reward that plaudit registers, written by `python docs/generate.py`; `plaudit show NAME` says more.",
        "",
        "| name | what it is | range | scope | lane | systems | version |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(entry) for entry in entries()),
        "",
        "## Reasons",
        "",
        "Every code that a verdict's `reason` may hold.",
        "",
        "| code | status | meaning |",
        "| --- | --- | --- |",
        *(
            f"| `{r.code}` | {r.status.name} | {r.sentence} |"
            for r in sorted(REASONS.values(), key=lambda r: (r.status.name != "SCORED", r.status.name, r.code))
        ),
    ]
    return "\n".join(lines) + "\n"


def _reasons() -> list[Reason]:
    """Those of the responses first, then the others by status; the order in which rooms were imported does not count."""
    return sorted(REASONS.values(), key=lambda r: (r.status.name != "SCORED", r.status.name, r.code))


def _row(entry: Entry) -> str:
    f = entry.facts
    limits = "undeclared" if f.range is None else f"{f.range[0]:g} to {f.range[1]:g}"
    summary = entry.summary.replace("|", "\\|")
    systems = ", ".join(f"{s:03d}" for s in f.systems) or "–"
    return f"| `{entry.name}` | {summary} | {limits} | {f.scope} | {f.lane} | {systems} | {f.version} |"


def ledger_page(
    experiments: Iterable[Experiment] | None = None,
    findings: Iterable[Finding] | None = None,
    rewards: dict[str, tuple[int, ...]] | None = None,
) -> str:
    experiments = (
        [e for e in find_experiments().values() if e.module.startswith("plaudit.")] if experiments is None else list(experiments)
    )
    findings = read_results() if findings is None else list(findings)
    rewards = {entry.name: entry.facts.systems for entry in entries()} if rewards is None else rewards
    rows = ledger(experiments, findings, rewards)
    found = {finding.name: finding for finding in findings if not finding.smoke}
    own = [(each, found.get(each.name)) for each in experiments if not each.systems]
    lines = [
        "# The ledger",
        "",
        "Every published system that plaudit counts, what stands for it, and what became of its claim where the truth is known.",
        "Written by `python docs/generate.py` from the results of the last `make reproduce`;",
        "`plaudit reproduce NAME` measures one of them again.",
        "",
        "A claim **holds** when the 95% interval of its effect lies above its threshold (0, mostly) and above the control, and",
        "the control's own interval reaches 0 or below. The control is the same measurement where the claim says that there is",
        "nothing to see. Intervals are in brackets: Student's t over seeds, or the bootstrap over items where there is one seed.",
        "",
        f"{_counted(rows)}. With a reward in the catalogue: {sum(bool(row.rewards) for row in rows)}.",
        "",
        "| system | name | rooms | reachable as | state | measured | claim |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_ledger_row(row) for row in rows),
        "",
        "## Claims of plaudit's own",
        "",
        "| experiment | state | measured | claim |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{e.name}` | {finding.state if finding else 'not run'} | {_measured(finding)} | {_cell(e.claim)} |"
            for e, finding in own
        ),
    ]
    return "\n".join(lines) + "\n"


def _counted(rows: list[LedgerRow]) -> str:
    counts = Counter(row.state for row in rows)
    states = ("holds", "does not hold", "error", "no interval", "not run", "no check yet")
    return f"{len(rows)} systems: " + ", ".join(f"{counts[state]} {state}" for state in states if counts[state])


def _ledger_row(row: LedgerRow) -> str:
    reachable = [*(f"`{name}`" for name in row.rewards), *(f"`plaudit reproduce {each.name}`" for each, _ in row.checks)]
    state = row.state if row.state in ("no check yet", "not run") else f"**{row.state}**"
    cells = [
        f"{row.system.number:03d}",
        _cell(row.system.name),
        ", ".join(row.system.rooms),
        "<br>".join(reachable) or "–",
        state,
        "<br>".join(_measured(finding) for _, finding in row.checks) or "–",
        "<br>".join(_cell(each.claim) for each, _ in row.checks) or "–",
    ]
    return f"| {' | '.join(cells)} |"


def _measured(finding: Finding | None) -> str:
    if finding is None or finding.measured is None or finding.control is None:
        return "–"
    effect = f"{_number(finding.measured)}{_interval(finding.interval)} {_cell(finding.unit)}"
    seeds = f"{len(finding.seeds)} seed{'s' if len(finding.seeds) != 1 else ''}"
    return f"{effect}; control {_number(finding.control)}{_interval(finding.control_interval)}; {seeds}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({_number(interval[0])}, {_number(interval[1])})"


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else ("∞" if value > 0 else "-∞")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def read_results(path: Path = RESULTS) -> list[Finding]:
    return [Finding.from_json(value) for value in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def take_over(folder: Path, path: Path = RESULTS) -> None:
    """Findings in a folder of results replace those of the same name; those of experiments that are no more are dropped."""
    known = find_experiments()
    found = {finding.name: finding for finding in [*read_results(path), *ResultFolder(folder).findings()] if not finding.smoke}
    kept = [_shorter(finding.to_json()) for name, finding in sorted(found.items()) if name in known]
    with replace_file(path) as file:
        file.write((json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _shorter(value: Any, name: str = "") -> Any:
    """Numbers with six digits, curves with fifty points: what is committed is for reading."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _shorter(inner, name=name if name == "curves" else key) for key, inner in value.items()}
    if isinstance(value, list):
        step = max(1, math.ceil(len(value) / _CURVE_POINTS)) if name == "curves" else 1
        return [_shorter(inner) for inner in value[::step]]
    return value


def main(arguments: list[str]) -> int:
    if "--results" in arguments:
        take_over(Path(arguments[arguments.index("--results") + 1]))
    status = 0
    for name, page in (("catalogue.md", catalogue), ("ledger.md", ledger_page)):
        path, text = FOLDER / name, page()
        if "--check" in arguments:
            current = path.exists() and path.read_text(encoding="utf-8") == text
            print(f"docs/{name} is current" if current else f"docs/{name} is stale: run python docs/generate.py")
            status = status or int(not current)
        else:
            path.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
