"""The pages in a real browser: they stand on their own, fit a phone, sort, and let no text of a model do anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from report.browser import Browser
from report.runs import SPEC, score

from plaudit.report import diff_page, run_page


@pytest.fixture
def pages(gallery: Path, run: Path, data: Path, tmp_path: Path) -> list[Path]:
    other = score(tmp_path / "second", {**SPEC, "weights": {"correct": 1.0, "steps": 0.1}}, data)
    run_report = run_page(run)[0].write(tmp_path / "run.html")
    return [gallery, run_report, diff_page(run, other)[0].write(tmp_path / "diff.html")]


def test_a_page_fetches_nothing_and_complains_of_nothing(browser: Browser, pages: list[Path]) -> None:
    for page in pages:
        browser.open(page)
        assert browser.errors == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def test_text_of_a_model_runs_nothing(browser: Browser, pages: list[Path]) -> None:
    for page in pages:
        browser.open(page)
        assert browser.js("document.title") != "owned"
        assert browser.js("document.images.length") == 0
        assert browser.js("document.scripts.length") == 1


def test_the_policy_of_the_page_stops_a_script_that_got_in_all_the_same(browser: Browser, gallery: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(gallery.read_text().replace("</main>", "<script>document.title='owned'</script></main>"))
    browser.open(broken)
    assert browser.js("document.title") != "owned"
    assert any("Content Security Policy" in error for error in browser.errors)


@pytest.mark.parametrize("width", [360, 390, 768, 1200])
def test_nothing_makes_the_page_scroll_sideways(browser: Browser, pages: list[Path], width: int) -> None:
    for page in pages:
        browser.open(page, width=width)
        assert browser.js("document.documentElement.scrollWidth") <= width, page.name


def test_a_wide_table_scrolls_in_its_own_box(browser: Browser, gallery: Path) -> None:
    browser.open(gallery, width=390)
    assert browser.js("[...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth + 200)")


def test_a_phone_gets_the_narrow_drawing_with_letters_that_can_be_read(browser: Browser, gallery: Path) -> None:
    shown = "[...document.querySelectorAll('.figure > svg')].filter(s => getComputedStyle(s).display !== 'none')"
    browser.open(gallery, width=390)
    assert browser.js(f"{shown}.every(s => s.classList.contains('narrow'))")
    height = f"Math.min(...{shown}.flatMap(s => [...s.querySelectorAll('text')]).map(t => t.getBoundingClientRect().height))"
    assert browser.js(height) >= 11
    browser.open(gallery, width=1100)
    assert browser.js(f"{shown}.every(s => s.classList.contains('wide'))")


def test_a_header_sorts_by_value_with_rows_without_one_last(browser: Browser, gallery: Path) -> None:
    browser.open(gallery)
    column = "[...document.querySelectorAll('#table tbody tr')].map(row => row.cells[1].textContent)"
    assert browser.js(column) == ["3", "10", "–", "−2", "1,000,000"]
    browser.js("document.querySelectorAll('#table th button')[1].click()")
    assert browser.js(column) == ["1,000,000", "10", "3", "−2", "–"]
    assert browser.js("document.querySelectorAll('#table th')[1].getAttribute('aria-sort')") == "descending"
    # The keyboard does the same.
    browser.js("document.querySelectorAll('#table th button')[1].focus()")
    browser.key("Enter")
    assert browser.js(column) == ["−2", "3", "10", "1,000,000", "–"]
    assert browser.js("document.querySelectorAll('#table th')[1].getAttribute('aria-sort')") == "ascending"


def test_the_number_of_a_place_shows_when_it_is_reached_by_key(browser: Browser, gallery: Path) -> None:
    browser.open(gallery)
    browser.js("document.querySelector('#heat .heat mark').focus()")
    assert browser.js("document.querySelector('.plaudit-tip').textContent") == "step 1: 1"
    browser.key("ArrowRight")
    assert browser.js("document.querySelector('.plaudit-tip').textContent") == "step 2: 0"
    browser.key("ArrowRight")
    assert browser.js("document.querySelector('.plaudit-tip').textContent") == "step 3: not scored"
    assert browser.js("document.querySelectorAll('#heat .heat mark[tabindex=\"0\"]').length") == 1


CONTRAST = """
(() => {
  const luminance = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const parse = (text) => { const v = text.match(/[\\d.]+/g).map(Number); return v.length === 3 ? [...v, 1] : v; };
  const ground = (node) => {
    const layers = [];
    for (let n = node; n; n = n.parentElement) layers.push(parse(getComputedStyle(n).backgroundColor));
    let under = [255, 255, 255];
    for (const [r, g, b, a] of layers.reverse()) under = [r, g, b].map((v, k) => v * a + under[k] * (1 - a));
    return under;
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || ["script", "style", "title", "desc"].includes(node.localName)) continue;
    if (!node.getClientRects().length || node.closest(".plaudit-tip")) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink.slice(0, 3)), luminance(ground(node))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(`${node.localName}.${node.getAttribute("class")} ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_a_contrast_of_at_least_4_5(browser: Browser, pages: list[Path], dark: bool) -> None:
    for page in pages:
        browser.open(page, dark=dark)
        assert browser.js(CONTRAST) == []
    browser.js("document.body.style.setProperty('--soft', '#777777')")
    assert browser.js(CONTRAST), "the measurement itself must be able to fail"


def test_dark_is_dark(browser: Browser, gallery: Path) -> None:
    browser.open(gallery, dark=True)
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    browser.open(gallery)
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_drawings_tables_and_boxes_have_names(browser: Browser, pages: list[Path]) -> None:
    for page in pages:
        browser.open(page)
        for unnamed in (
            "[...document.querySelectorAll('.figure > svg')].filter(s => !s.querySelector(':scope > title') "
            "|| !s.querySelector(':scope > desc').textContent)",
            "[...document.querySelectorAll('th')].filter(h => h.scope !== 'col')",
            "[...document.querySelectorAll('.scroll')].filter(b => b.tabIndex !== 0 || !b.getAttribute('aria-label'))",
        ):
            assert browser.js(f"{unnamed}.length") == 0
        assert browser.js("document.querySelectorAll('h1').length") == 1
        ids = browser.js("[...document.querySelectorAll('[id]')].map(n => n.id)")
        assert len(ids) == len(set(ids))
