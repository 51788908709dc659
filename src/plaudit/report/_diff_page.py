"""The report that sets two runs side by side."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from plaudit.report._cases import PROMPT, part, text_of
from plaudit.report._diff import RunDiff
from plaudit.report._html import Html, disclosure, escape, long_text, paragraph
from plaudit.report._lines import Series
from plaudit.report._page import Page
from plaudit.report._pieces import commands, sentence_of, status_mark, tiles
from plaudit.report._points import histogram, scatter
from plaudit.report._rows import bar_plot
from plaudit.report._run import Rows, data_rows
from plaudit.report._run_page import spec_text
from plaudit.report._scale import number, percent, signed
from plaudit.report._table import fields, table

_LISTED = 200
_TIPS = 150


def diff_page(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None, rows: int = 10,
    tolerance: float = 1e-9,
) -> tuple[Page, dict[str, Any]]:  # fmt: skip
    """Two runs side by side, joined by row id, and the comparison as JSON values.

    Args:
        a, b: folders that ``plaudit score`` wrote.
        data: the data file, where the manifests do not lead to it.
        rows: how many of the largest changes are shown with their texts.
        tolerance: values that differ by no more are the same.

    Raises RunError when a folder holds no run, DataError when `data` is another file.
    """
    diff = RunDiff.read(a, b, tolerance)
    figures = diff.figures()
    page = Page(
        "Two runs compared", f"A: {diff.a.path}  ·  B: {diff.b.path}", foot=f"joined by row id, {len(diff.rows_a):,} rows in both"
    )
    page.head(_tiles(figures), *_remarks(diff, figures))
    page.add("Values", *_plots(diff), lead="Every row that both runs scored.")
    page.add("Wins and losses", _wins(figures), lead="B wins a row where its reward is higher than that of A.")
    page.add("Statuses", _statuses(diff), lead="What became of the rows, before and after.")
    changes = diff.leaf_changes()
    if changes:
        cells = [[name, p, q, q - p, n] for name, p, q, n in changes]
        page.add(
            "Leaves", table(["leaf", "mean in A", "mean in B", "change", "rows changed"], cells, formats={"change": "signed"})
        )
    page.add("Rewards", *_specs(diff), lead="What the two runs scored with.")
    largest = diff.largest(_LISTED)
    shown = largest[:rows]
    found = data_rows(diff.a, [diff.a.column("row")[diff.rows_a[i]] for i in shown], data) if shown else Rows({}, None)
    why = [paragraph(found.why_not, "quiet")] if found.why_not else []
    page.add("Largest changes", *why, *_largest(diff, largest, shown, found))
    folders = shlex.join([str(diff.a.path), str(diff.b.path)])
    page.add(
        "Do it again", commands([f"plaudit diff {folders} -o diff.html", f"plaudit diff {folders} --json --fail-if-changed"])
    )
    return page, figures


def _tiles(f: dict[str, Any]) -> Html:
    return tiles(
        [
            ("rows in both", f"{f['both']:,}"),
            ("changed", f"{f['changed']:,}"),
            ("mean change", signed(f["mean_change"])),
            ("agreement", percent(f["agreement"])),
            ("correlation", number(f["correlation"], 3)),
            ("rank correlation", number(f["rank_correlation"], 3)),
        ]
    )


def _remarks(diff: RunDiff, f: dict[str, Any]) -> Iterator[Html]:
    if not f["both"]:
        yield paragraph("The two runs have no row id in common.", "warning")
    if diff.only_a or diff.only_b:
        yield paragraph(
            f"{diff.only_a:,} rows only in A, {diff.only_b:,} only in B: they are left out of everything below.", "warning"
        )
    if not f["same_data"] and f["both"]:
        yield paragraph(
            "The two runs scored different data files: rows with the same id may differ in more than their reward.", "warning"
        )
    if f["same"]:
        yield paragraph("Nothing changed: the same rows, values and statuses.")
    elif f["same_reward"] and f["same_data"]:
        yield paragraph(
            "Same reward and same data, and yet rows changed: the reward is not deterministic, or something failed.", "warning"
        )
    if f["mean_change"] == f["mean_change"] and np.isfinite(f["mean_change_low"]):
        low, high = signed(f["mean_change_low"]), signed(f["mean_change_high"])
        yield paragraph(
            f"Mean change of {signed(f['mean_change'])}, 95% interval [{low}, {high}] (Student's t over rows).", "quiet"
        )


def _plots(diff: RunDiff) -> list[Html]:
    x, y = diff.values
    ids = diff.a.column("id")
    tips = [str(ids[i])[:80] for i in diff.rows_a] if len(x) <= _TIPS else None
    cloud = scatter(
        [Series("rows", y, x)], "B against A", x_label="reward in A", y_label="reward in B", diagonal=True, tips=tips,
        note="Rows on the dashed line did not change; where many lie on each other the dot is larger.",
    )  # fmt: skip
    change = diff.change
    moved = change[np.isfinite(change) & (change != 0)]
    return [
        cloud,
        histogram(moved, "Changes", x_label="B − A", note=f"The {len(moved):,} rows whose value changed." if len(moved) else ""),
    ]


def _wins(f: dict[str, Any]) -> Html:
    n = f["wins"] + f["losses"] + f["ties"]
    counts = np.array([f["wins"], f["ties"], f["losses"]], dtype=np.float64)
    names = [f"B wins ({f['wins']:,})", f"tie ({f['ties']:,})", f"A wins ({f['losses']:,})"]
    return bar_plot(
        names, counts / n if n else counts * np.nan, f"Rows, of {n:,}", form="percent", colours=[0, 6, 1], include=[1.0]
    )


def _statuses(diff: RunDiff) -> Html:
    moves = sorted(diff.moves().items(), key=lambda item: (item[0][0] == item[0][1], -item[1]))
    rows = [[status_mark(s), status_mark(t), n, "changed" if s != t else "same"] for (s, t), n in moves]
    return table(["in A", "in B", "rows", ""], rows)


def _specs(diff: RunDiff) -> Iterator[Html]:
    a, b = diff.a.manifest, diff.b.manifest
    pairs = {}
    for name in ("reward", "fingerprint", "data", "data_sha256", "started", "versions"):
        p, q = _flat(a.get(name)), _flat(b.get(name))
        pairs[name] = p if p == q else Html(f"{long_text(f'A: {p}', 300)}<br>{long_text(f'B: {q}', 300)}")
    yield fields(pairs)
    before, after = spec_text(a), spec_text(b)
    if before == after:
        yield paragraph("The specs are the same." if before else "Neither run has a spec.", "quiet")
        return
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), "A", "B", lineterm="", n=3))
    marks = {"+": "hi", "-": "lo"}
    drawn = [
        f'<mark class="{marks[line[0]]}" style="--t:.45">{escape(line)}</mark>' if line[:1] in marks else str(escape(line))
        for line in lines[2:400]
    ]
    yield disclosure("What differs in the specs", Html(f"<pre>{chr(10).join(drawn)}</pre>"), opened=True)


def _flat(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _largest(diff: RunDiff, largest: list[int], shown: list[int], found: Rows) -> Iterator[Html]:
    if not largest:
        yield paragraph("No row changed.", "quiet")
        return
    for i in shown:
        yield _side_by_side(diff, i, found)
    if len(largest) > len(shown):
        change, cells = diff.change, []
        for i in largest:
            p, q = diff.a.row(int(diff.rows_a[i])), diff.b.row(int(diff.rows_b[i]))
            delta = float(change[i])
            cells.append(
                [
                    p["id"],
                    p["value"],
                    q["value"],
                    delta,
                    p["reason"] or p["status"],
                    q["reason"] or q["status"],
                ]
            )
        yield table(
            ["row", "A", "B", "change", "reason in A", "reason in B"],
            cells,
            caption="Changed rows, the largest changes first",
            formats={"change": "signed"},
        )
        left = int(diff.changed.sum()) - len(largest)
        if left > 0:
            yield paragraph(f"{left:,} more rows changed.", "more")


def _side_by_side(diff: RunDiff, i: int, found: Rows) -> Html:
    p, q = diff.a.row(int(diff.rows_a[i])), diff.b.row(int(diff.rows_b[i]))
    delta = float(diff.change[i])
    big, name = escape(signed(delta) if delta == delta else "status"), escape(str(p["id"])[:200])
    head = f'<div class="head"><span class="big">{big}</span><span class="id">{name}</span></div>'
    sample = found.samples.get(p["row"])
    texts = (
        [part("Prompt", text_of(sample.prompt, PROMPT)), part("Response", text_of(sample.response, 3000))]
        if sample is not None
        else []
    )
    sides = [_side("A", p, diff.a.leaves), _side("B", q, diff.b.leaves)]
    return Html(f'<article class="case">{head}{"".join(texts)}<div class="side">{"".join(sides)}</div></article>')


def _side(name: str, row: dict[str, Any], leaves: Any) -> Html:
    reason = row["reason"]
    parts = {
        "value": number(row["value"]) if row["value"] is not None else status_mark(row["status"]),
        "reason": f"{reason}: {sentence_of(reason)}".rstrip(": ") if reason else None,
        "answer read": row["answer"],
        "explanation": row["explanation"],
        "leaves": ", ".join(f"{leaf} {number(row[leaf])}" for leaf in list(leaves)[:12]) or None,
    }
    return part(f"In {name}", fields(parts))
