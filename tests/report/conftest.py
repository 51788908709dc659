"""Runs to report on, and a browser to look at the pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from report.browser import CHROMIUM, Browser
from report.runs import HOSTILE, ROWS, SPEC, score

from plaudit.report import (
    Page,
    Series,
    bar_plot,
    commands,
    heat_text,
    histogram,
    interval_plot,
    leaf_shares,
    leaf_table,
    line_plot,
    reasons_table,
    scatter,
    table,
    tiles,
)
from plaudit.types import Dense, Sample


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + '{"prompt": 3}\n')
    return path


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    return score(tmp_path / "first", SPEC, data)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install one to look at the pages")
    found = Browser()
    yield found
    found.close()


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one of everything, and hostile words in each."""
    rng = np.random.default_rng(0)
    n = np.array([1, 2, 4, 8])
    curves = [Series(name, 0.4 + 0.1 * k * np.log2(n), n, 0.35 + 0.1 * k * np.log2(n), 0.45 + 0.1 * k * np.log2(n))
              for k, name in enumerate(["policy", "majority vote", HOSTILE, "oracle"])]  # fmt: skip
    response = "4*5=20\n3+20=23\n" + HOSTILE + "\n#### 23"
    dense = Dense("step", [1.0, 0.0, np.nan], [0, 7, 15], [6, 14, 15 + len(HOSTILE)])
    walk = rng.normal(size=100_000).cumsum()
    x = rng.normal(size=500)
    rows = [[HOSTILE if k == 3 else f"row {k}", value, "text " * (5 * k)] for k, value in enumerate([3.0, 10.0, None, -2.0, 1e6])]
    page = Page(HOSTILE, HOSTILE).head(tiles([("mean", "0.5"), (HOSTILE, HOSTILE, "bad")]))
    page.add("Curves", line_plot(curves, HOSTILE, x_label="N", y_label="accuracy", y_format="percent", x_scale="log", x_ticks=n))
    page.add("Long", line_plot([Series("walk", walk)], "A long walk", x_label="step", y_label="value"))
    page.add("Bars", bar_plot(["a", HOSTILE, "negative"], [0.5, 0.7, -0.2], "Bars", low=[0.4, 0.6, -0.3], high=[0.6, 0.8, -0.1]),
             interval_plot(["a", "b"], [0.5, 0.7], "Dots", low=[0.4, 0.6], high=[0.6, 0.8], reference=0.5))  # fmt: skip
    page.add("Points", scatter([Series("points", x, x + rng.normal(size=500))], "Cloud", diagonal=True), histogram(x, "Values"))
    page.add("Heat", heat_text(Sample("p", response), dense, title=HOSTILE))
    page.add("Table", table(["name", "value", HOSTILE], rows, caption="Rows", formats={"value": "number"}))
    page.add("Wide", table([f"column {k}" for k in range(30)], [list(range(30)), list(range(30, 0, -1))], caption="Wide"))
    shares = leaf_table(leaf_shares(x + 0.1, {"a": x, HOSTILE: np.full(500, 0.1)}, {"a": 1.0, HOSTILE: 1.0}))
    page.add(
        HOSTILE, shares, reasons_table({("scored", None): 1, ("failed", HOSTILE): 2}), commands([(HOSTILE, HOSTILE)]), HOSTILE
    )
    return page.write(tmp_path_factory.mktemp("gallery") / "gallery.html")
