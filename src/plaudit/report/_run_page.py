"""The report of one run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plaudit.report._cases import case
from plaudit.report._html import Html, disclosure, escape, long_text, paragraph
from plaudit.report._leaves import LeafShare, leaf_table
from plaudit.report._page import Page
from plaudit.report._pieces import commands, reasons_table, sentence_of, tiles
from plaudit.report._points import histogram
from plaudit.report._rescore import Rescored, rescore
from plaudit.report._rows import bar_plot
from plaudit.report._run import RunColumns, data_rows, read_run
from plaudit.report._scale import number, percent, seconds
from plaudit.report._table import fields, table

_FAILURES = 100
_SLOWEST = 10
_CHOICE = 4  # so many times the rows that are shown are looked at, to show different prompts


def run_page(
    run: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None, rows: int = 5, rescore_rows: bool | None = None
) -> tuple[Page, dict[str, Any]]:
    """The report of a run folder, and its figures as JSON values.

    Args:
        run: the folder that ``plaudit score`` wrote; the run need not have ended.
        data: the data file, where the manifest's name does not lead to it.
        rows: how many of the best and of the worst rows are shown.
        rescore_rows: whether the shown rows are judged once more, for heat maps and parts; None = where that is cheap and runs
            nobody's code.

    Raises RunError when the folder holds no run, DataError when `data` is another file.
    """
    columns = read_run(run)
    best, worst = _extremes(columns, rows * _CHOICE)
    numbers = columns.column("row")
    found = data_rows(columns, [numbers[i] for i in (*best, *worst)], data)
    prompts = {i: repr(found.samples[numbers[i]].prompt) for i in (*best, *worst) if numbers[i] in found.samples}
    best, worst = _distinct(best, prompts, rows), _distinct(worst, prompts, rows)
    shown = {numbers[i]: found.samples[numbers[i]] for i in (*best, *worst) if numbers[i] in found.samples}
    again = rescore(columns.manifest, shown, rescore_rows)
    shares = columns.shares()
    page = Page(f"Run {columns.path.resolve().name}", _subtitle(columns), foot=_foot(columns))
    page.head(_tiles(columns), *_warnings(columns))
    page.add("Values", _histogram(columns), lead="How often each reward was given.")
    if shares:
        lead = "Share: a leaf's part of the mean absolute contributions. Of variance: its part of what tells rows apart."
        page.add("Leaves", *_leaves(shares), lead=lead)
    page.add("Statuses and reasons", reasons_table(columns.counts()), lead="What became of every row.")
    why = [paragraph(text, "quiet") for text in (found.why_not, again.why_not) if text]
    page.add("Best rows", *why, *_cases(columns, best, found.samples, again))
    page.add("Worst rows", *_cases(columns, worst, found.samples, again))
    failures = _failures(columns)
    if failures:
        page.add("Failures", *failures, lead="Rows that could not be judged. A failure is never a silent 0.")
    page.add("Slowest rows", _slowest(columns))
    page.add("The run", _about(columns), *_spec(columns))
    page.add("Do it again", commands(_commands(columns)))
    return page, _figures(columns, shares)


def _subtitle(run: RunColumns) -> str:
    m = run.manifest
    when = str(m.get("started") or "").replace("T", " ")[:16]
    reward = m.get("reward") or m.get("name") or "a reward"
    return f"{reward} on {len(run):,} rows of {m.get('data') or 'unknown data'}{', ' if when else ''}{when}"


def _foot(run: RunColumns) -> str:
    version = (run.manifest.get("versions") or {}).get("plaudit") if isinstance(run.manifest.get("versions"), dict) else None
    return f"plaudit {version or ''}, run folder {run.path}"


def _tiles(run: RunColumns) -> Html:
    scored, lost = int(run.scored.sum()), int(np.count_nonzero(run.status == "failed")) + run.rejected
    abstained = int(np.count_nonzero(run.status == "abstained"))
    values = run.values[run.scored]
    return tiles(
        [
            ("mean reward", number(float(values.mean())) if values.size else "–"),
            ("standard deviation", number(float(values.std()), 3) if values.size else "–"),
            ("rows", f"{len(run) + run.rejected:,}"),
            ("scored", f"{scored:,}"),
            ("abstained", f"{abstained:,}"),
            ("failed", f"{lost:,}", "bad" if lost else ""),
        ]
    )


def _warnings(run: RunColumns) -> list[Html]:
    found = []
    if run.summary is None:
        found.append(paragraph("This run has not ended: the same command goes on where it stopped.", "warning"))
    if len(run) and not run.scored.any():
        found.append(paragraph("No row was scored.", "warning"))
    return found


def _histogram(run: RunColumns) -> Html:
    return histogram(run.values, "Rewards", x_label="reward")


def _leaves(shares: Sequence[LeafShare]) -> list[Html]:
    weighted = [leaf for leaf in shares if not np.isnan(leaf.share)]
    drawn = []
    if len(weighted) > 1:
        names = [leaf.name for leaf in weighted]
        drawn = [
            bar_plot(names, [leaf.share for leaf in weighted], "Share of each leaf in the total", form="percent", include=[1.0])
        ]
    return [leaf_table(shares), *drawn]


def _extremes(run: RunColumns, k: int) -> tuple[list[int], list[int]]:
    """Places of the best and of the worst scored rows, none in both; of equals, those that come first."""
    scored = np.flatnonzero(run.scored)
    rising = scored[np.argsort(run.values[scored], kind="stable")]
    falling = scored[np.argsort(-run.values[scored], kind="stable")]
    best = falling[: min(k, (len(scored) + 1) // 2)].tolist()
    worst = [i for i in rising.tolist() if i not in best][:k]
    return best, worst


def _distinct(places: Sequence[int], prompts: Mapping[int, str], k: int) -> list[int]:
    """The first k places, those with a prompt that came before only where there are not enough others; in their order."""
    seen: set[str] = set()
    first: list[int] = []
    again: list[int] = []
    for i in places:
        (again if prompts.get(i) in seen else first).append(i)
        seen |= {prompts[i]} if i in prompts else set()
    return sorted([*first, *again][:k], key=list(places).index)


def _cases(run: RunColumns, places: Sequence[int], samples: Mapping[int, Any], again: Rescored) -> list[Html]:
    if not places:
        return [paragraph("There is none: no row was scored.", "quiet")]
    found = []
    for i in places:
        row = run.row(i)
        found.append(case(row, samples.get(row["row"]), again.verdicts.get(row["row"])))
        if row["row"] not in again.verdicts and run.leaves:
            parts = ", ".join(f"{name} {number(row.get(name))}" for name in list(run.leaves)[:12])
            found.append(paragraph(f"Leaves: {parts}", "quiet"))
    return found


def _failures(run: RunColumns) -> list[Html]:
    failed = np.flatnonzero(run.status == "failed")
    found = []
    if failed.size:
        rows = [run.row(int(i)) for i in failed[:_FAILURES]]
        cells = [[r["id"], r["reason"], r["explanation"] or sentence_of(r["reason"])] for r in rows]
        found.append(table(["row", "reason", "what was said"], cells, caption="Rows that failed"))
        if failed.size > _FAILURES:
            found.append(paragraph(f"The first {_FAILURES} of {failed.size:,} failed rows.", "more"))
    if run.rejected:
        cells = [[r.get("line"), r.get("field"), r.get("message")] for r in run.rejected_rows()]
        found.append(table(["line", "field", "message"], cells, caption=f"Rows that cannot be read ({run.rejected:,})"))
    return found


def _slowest(run: RunColumns) -> Html:
    timed = np.nan_to_num(run.seconds)
    order = [int(i) for i in np.argsort(-timed, kind="stable")[:_SLOWEST] if timed[i] > 0]
    if not order:
        return paragraph("No row took measurable time.", "quiet")
    rows = [run.row(i) for i in order]
    total = float(timed.sum())
    cells = [[r["id"], r["seconds"], number(r["value"]), r["status"], percent(r["seconds"] / total)] for r in rows]
    return Html(
        table(["row", "time", "value", "status", "of all time"], cells, formats={"time": "seconds"})
        + paragraph(f"All rows together took {seconds(total)} of scoring.", "quiet")
    )


def _about(run: RunColumns) -> Html:
    m, summary = run.manifest, run.summary or {}
    versions = m.get("versions")
    shown = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else versions
    columns = m["columns"] if isinstance(m.get("columns"), dict) else {}
    took, rate = summary.get("seconds"), summary.get("per_second")
    return fields(
        {
            "reward": m.get("reward"),
            "fingerprint": _code(m.get("fingerprint")),
            "data": m.get("data"),
            "data SHA-256": _code(m.get("data_sha256")),
            "columns": ", ".join(f"{k} = {v}" for k, v in columns.items()) or None,
            "limit": m.get("limit"),
            "started": m.get("started"),
            "took": seconds(took) if isinstance(took, int | float) else None,
            "per second": f"{number(rate, 3)} rows" if isinstance(rate, int | float) else None,
            "seed": m.get("seed"),
            "versions": shown,
        }
    )  # fmt: skip


def _code(text: Any) -> Html | None:
    return None if text is None else Html(f"<code>{escape(str(text)[:200])}</code>")


def spec_text(manifest: Mapping[str, Any]) -> str:
    """The spec of a run's manifest as YAML; empty when it has none."""
    import yaml

    spec = manifest.get("spec")
    if not isinstance(spec, Mapping):
        return ""
    text: str = yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=90)
    return text


def _spec(run: RunColumns) -> list[Html]:
    text = spec_text(run.manifest)
    if not text:
        return [paragraph("The reward has no spec: it was made in Python.", "quiet")]
    return [disclosure("The reward as a spec", Html(f"<pre>{long_text(text)}</pre>"), opened=len(text) < 1500)]


def _commands(run: RunColumns) -> list[tuple[str, str]]:
    m = run.manifest
    folder = shlex.quote(str(run.path))
    lines = [("Score the rows again.", str(m["command"]))] if m.get("command") else []
    lines.append(("Write this report again.", f"plaudit report {folder}"))
    scored = np.flatnonzero(run.scored)
    if m.get("reward") and m.get("data") and scored.size:
        worst = run.row(int(scored[np.argmin(run.values[scored])]))["id"]
        arguments = shlex.join([str(m["reward"]), str(m["data"]), "--id", str(worst)])
        lines.append(("Take the worst row apart.", f"plaudit explain {arguments}"))
    lines.append(("Compare it with another run.", f"plaudit diff {folder} OTHER_RUN -o diff.html"))
    return lines


def _figures(run: RunColumns, shares: Sequence[LeafShare]) -> dict[str, Any]:
    values = run.values[run.scored]
    return {
        "run": str(run.path),
        "ended": run.summary is not None,
        "n": len(run) + run.rejected,
        "scored": int(run.scored.sum()),
        "abstained": int(np.count_nonzero(run.status == "abstained")),
        "failed": int(np.count_nonzero(run.status == "failed")) + run.rejected,
        "mean": float(values.mean()) if values.size else None,
        "std": float(values.std()) if values.size else None,
        "reasons": [
            {"status": status, "reason": reason, "n": n} for (status, reason), n in run.counts().most_common()
        ],
        "leaves": [{name: getattr(leaf, name) for name in LeafShare.__dataclass_fields__} for leaf in shares],
    }  # fmt: skip
