"""Pages and tables: text stays text, numbers are numbers, and the file stands on its own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.runs import HOSTILE

from plaudit.errors import DataError, RunError
from plaudit.report import (
    Html,
    LeafShare,
    Page,
    bar_plot,
    commands,
    disclosure,
    fields,
    leaf_table,
    long_text,
    paragraph,
    reasons_table,
    table,
    tiles,
)
from plaudit.report._html import escape, shorten, visible


class TestText:
    @given(st.text(st.characters(), max_size=200))
    def test_any_text_can_be_written_and_holds_no_markup_and_nothing_invisible(self, text: str) -> None:
        shown = escape(text)
        shown.encode("utf-8")
        assert not set(shown) & set("<>\"'")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]", shown)

    def test_ordinary_text_of_any_script_is_left_alone(self) -> None:
        for text in ("naïve", "漢字かな", "עברית", "عربي", "👍🏽 👩\u200d👧", "a\tb\nc"):
            assert visible(text) == text

    def test_a_fragment_is_not_escaped_again_and_text_is(self) -> None:
        assert escape(Html("<b>")) == "<b>"
        assert escape("<b>") == "&lt;b&gt;"

    def test_long_text_is_cut_with_what_is_missing(self) -> None:
        assert "… 1 more character<" in long_text("ab", limit=1)
        assert "more" not in long_text("ab", limit=2)

    def test_a_line_is_shortened_without_reading_all_of_it(self) -> None:
        assert shorten("x" * 10_000_000, 5) == "xxxx…"
        assert shorten("a \n b", 5) == "a b"


EVERYTHING = [
    paragraph(HOSTILE), long_text(HOSTILE), disclosure(HOSTILE, HOSTILE), fields({HOSTILE: HOSTILE}), tiles([(HOSTILE, HOSTILE)]),
    table([HOSTILE], [[HOSTILE]], caption=HOSTILE), commands([HOSTILE, (HOSTILE, HOSTILE)]), bar_plot([HOSTILE], [1.0], HOSTILE),
    reasons_table({(HOSTILE, HOSTILE): 1}), leaf_table([LeafShare(HOSTILE, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1)], HOSTILE),
]  # fmt: skip


@pytest.mark.parametrize("fragment", EVERYTHING)
def test_no_part_lets_a_text_become_markup(fragment: Html) -> None:
    assert "<script" not in fragment
    assert "<img" not in fragment
    assert "\u202e" not in fragment
    assert not {name for name in attributes(fragment) if name.startswith("on") or name in ("src", "href")}


def attributes(fragment: str) -> set[str]:
    found: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update(name for name, _ in attrs)

    Reader().feed(fragment)
    return found


class TestTable:
    def test_numbers_stand_to_the_right_and_sort_by_their_value(self) -> None:
        drawn = table(["name", "n"], [["a", 1234567.0], ["b", None]])
        assert '<td class="num" data-v="1234567.0">1,234,567</td>' in drawn
        assert '<td class="num" data-v="">–</td>' in drawn
        assert '<th scope="col" class="num" aria-sort="none"><button type="button">n</button>' in drawn

    def test_a_column_with_a_word_in_it_is_one_of_text(self) -> None:
        assert 'class="num" aria-sort' not in table(["n"], [[1], ["two"]])

    def test_rows_past_the_limit_are_counted(self) -> None:
        drawn = table(["n"], [[k] for k in range(1000)], limit=10)
        assert drawn.count("<tr>") == 11
        assert "The first 10 of 1,000 rows." in drawn

    def test_a_table_without_rows_says_so(self) -> None:
        assert "no rows" in table(["n"], [])

    def test_a_row_of_another_length_is_refused(self) -> None:
        with pytest.raises(DataError, match="row 1 has 1 cells, 2 columns"):
            table(["a", "b"], [[1, 2], [1]])

    def test_true_is_a_word_and_not_the_number_1(self) -> None:
        assert "True" in table(["x"], [[True]])


class TestPage:
    def test_it_names_no_address_and_allows_none(self) -> None:
        html = Page("Title", "subtitle").add("One", "text").html()
        outside = html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"/\*.*?\*/|<script>.*?</script>", "", outside, flags=re.S))
        assert "default-src 'none'" in html
        assert "connect-src" not in html

    def test_the_same_page_is_the_same_bytes(self) -> None:
        def made() -> str:
            return Page("t").add("Bars", bar_plot(["a"], [1.0], "Bars")).html()

        assert made() == made()

    def test_sections_with_the_same_title_have_addresses_of_their_own(self) -> None:
        html = Page("t").add("A & B", "x").add("A & B", "y").add("漢", "z").html()
        assert re.findall(r'<section id="([^"]+)"', html) == ["a-b", "a-b-2", "section"]
        assert 'href="#a-b-2"' in html

    def test_plain_text_becomes_a_paragraph_and_a_fragment_stands(self) -> None:
        html = Page("t").add("s", "<i>", Html("<i>")).html()
        assert "<p>&lt;i&gt;</p><i>" in html

    def test_it_replaces_a_page_whole(self, tmp_path: Path) -> None:
        target = tmp_path / "deep" / "report.html"
        Page("first").write(target)
        assert Page("second").write(target) == target
        assert "second" in target.read_text()
        assert [p.name for p in target.parent.iterdir()] == ["report.html"]

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match=r"file/report\.html cannot be written"):
            Page("t").write(tmp_path / "file" / "report.html")

    def test_half_a_surrogate_pair_does_not_stop_it(self, tmp_path: Path) -> None:
        assert r"\ud83d" in Page("\ud83d").write(tmp_path / "p.html").read_text()
