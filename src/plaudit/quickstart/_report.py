"""The quickstart's report: what each stage found, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plaudit.quickstart._results import Fooling, Picking, Quickstart, Scored, Trained
from plaudit.report import (
    Html,
    Page,
    Series,
    commands,
    disclosure,
    heat_of,
    histogram,
    interval_plot,
    leaf_shares_of,
    leaf_table,
    line_plot,
    long_text,
    paragraph,
    table,
    tiles,
)
from plaudit.reward import Combinator
from plaudit.types import Sample


def write_report(found: Quickstart, again: Sequence[tuple[str, str]]) -> Path:
    """Write ``report.html`` into the quickstart's folder; `again` = (what it does, the command) for each part."""
    scored = found.scored
    groups = len(scored.samples) // scored.per_group
    page = Page("From a reward to a better model", f"{groups:,} problems, {len(scored.samples):,} answers")
    page.head(tiles(_figures(found)))
    page.add("What the answers earned", *_earned(scored), lead="The reward has parts, and each part says what it added.")
    maps = _maps(scored)
    if maps:
        page.add("Where the reward sits", *maps, lead="Step rewards on answers of the policy: blue is good work, orange is not.")
    if found.picking is not None:
        page.add("Picking the best of N", *_picked(found.picking), lead="The same answers, picked in different ways.")
    if found.fooling is not None:
        lead = "A reward model is right on average. Whoever may try often enough finds where it is not."
        page.add("How the reward model is fooled", *_fooled(found.fooling), lead=lead)
    if found.trained is not None:
        page.add("Training the policy", *_trained(found.trained), lead="Group-relative policy optimization against the reward.")
    if found.notes:
        page.add("Notes", *found.notes)
    seconds = [[name, f"{value:.1f} s"] for name, value in found.seconds.items()]
    page.add("Do it again", commands(list(again)), disclosure("How long it took", table(["part", "time"], seconds)))
    return page.write(found.folder / "report.html")


def _figures(found: Quickstart) -> list[tuple[str, str] | tuple[str, str, str]]:
    figures: list[tuple[str, str] | tuple[str, str, str]] = []
    if found.picking is not None:
        curves = found.picking.curves
        said, form = ("right", _percent) if found.picking.shares else ("mean reward", "{:.3g}".format)
        figures.append((f"{said}, one answer", form(curves["policy"].accuracy[0])))
        best = max((name for name in curves if name not in ("policy", "oracle")), key=lambda name: curves[name].accuracy[-1])
        figures.append((f"{said}, best of {curves[best].n[-1]} by {best}", form(curves[best].accuracy[-1])))
    if found.fooling is not None:
        figures.append(("of the groups fool the reward model", _percent(found.fooling.flood.success), "bad"))
    if found.trained is not None:
        figures.append(("points gained by training", f"{100 * found.trained.gain:+.1f}"))
    return figures


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f}%"


def _earned(scored: Scored) -> list[Html]:
    weights = scored.reward.linear_weights() if isinstance(scored.reward, Combinator) else None
    leaves = leaf_shares_of(scored.verdicts, dict(weights or {}))
    blocks = [leaf_table(leaves, "The leaves of the reward")] if leaves else []
    return [*blocks, histogram(scored.verdicts.values, "Rewards of all answers", x_label="reward")]


def _maps(scored: Scored, most: int = 3) -> list[Html]:
    """Answers with dense rewards: some that are partly good, where the colours say most."""
    part = next((p for p in (scored.verdicts, *scored.verdicts.parts.values()) if any(v.dense is not None for v in p[:64])), None)
    if part is None:
        return []
    dense = [(k, verdict.dense.values) for k, verdict in enumerate(part) if verdict.dense is not None]
    mixed = [k for k, values in dense if len(values) > 2 and 0 < np.nanmean(values) < 1]
    chosen = (mixed or [k for k, _ in dense])[:: max(1, len(mixed or dense) // most)][:most]
    return [
        Html(paragraph(_one_line(scored.samples[k])) + heat_of(scored.samples[k], part[k])) for k in chosen
    ]  # fmt: skip


def _one_line(sample: Sample) -> str:
    text = sample.prompt if isinstance(sample.prompt, str) else str(sample.prompt[-1].get("content", ""))
    return " ".join(text.split())[:200]


def _picked(picking: Picking) -> list[Html]:
    first = next(iter(picking.curves.values()))
    series = [Series(name, c.accuracy, c.n, c.low, c.high) for name, c in picking.curves.items()]
    blocks = [
        line_plot(
            series, "Right answers" if picking.shares else "Mean reward of the pick", x_label="answers to pick from",
            y_format="percent" if picking.shares else "number", x_scale="log", x_ticks=first.n.tolist(),
            note="Bands are 95% intervals over problems; the oracle picks the best answer that is there.",
        ),
        paragraph(f"The reward model is {picking.description}, trained in {picking.seconds:.0f} s on the other half."),
    ]  # fmt: skip
    if picking.measured:
        rows = [[name, value, f"{low:.3f} to {high:.3f}"] for name, value, low, high in picking.measured]
        blocks.append(table(["held-out pairs told apart by", "accuracy", "95% interval"], rows))
    return blocks


def _fooled(fooling: Fooling) -> list[Html]:
    every = [fooling.unedited, fooling.flood, *fooling.edits]
    plot = interval_plot(
        [result.edit for result in every], [result.success for result in every],
        "A worse answer is liked better than a better one",
        low=[result.low for result in every], high=[result.high for result in every], form="percent",
        reference=fooling.unedited.success, include=[0.0],
        note="Shares of groups with 95% intervals; the line is the model's own error rate.",
    )  # fmt: skip
    blocks = [plot]
    for better, worse in fooling.flood.worked[:2]:
        shown = [["liked less, and better", long_text(_response(better))], ["liked more, and worse", long_text(_response(worse))]]
        blocks += [paragraph(_one_line(better)), table(["", "answer"], shown, sortable=False)]
    return blocks


def _response(sample: Sample) -> str:
    return sample.response if isinstance(sample.response, str) else str(sample.response[-1].get("content", ""))


def _trained(trained: Trained) -> list[Html]:
    steps = [row["step"] for row in trained.history if "reward" in row]
    names = [name for name in ("reward", *sorted(trained.history[-1])) if name == "reward" or name.startswith("reward/")]
    # A leaf's dot path is long; the first parts are what the spec calls them.
    series = [Series(name.removeprefix("reward/"), [row.get(name, np.nan) for row in trained.history if "reward" in row], steps)
              for name in dict.fromkeys(names)]  # fmt: skip
    ends = (trained.before, trained.after)
    blocks = [
        interval_plot(
            ["before", "after"], [end[0] for end in ends], f"Right answers on {trained.problems} held-out problems",
            low=[end[1] for end in ends], high=[end[2] for end in ends], form="percent",
            note=f"{trained.answers} answers each, temperature 1; the gain is {100 * trained.gain:.1f} points, "
            f"95% interval {100 * trained.difference[0]:.1f} to {100 * trained.difference[1]:.1f}.",
        ),
        line_plot(
            series, "Mean reward of each step's answers", x_label="step", note="Training problems, before the step's update."
        ),
    ]  # fmt: skip
    for before, after in trained.examples:
        rows = [["before", long_text(_response(before))], ["after", long_text(_response(after))]]
        blocks += [paragraph(_one_line(before)), table(["", "answer"], rows, sortable=False)]
    return blocks
