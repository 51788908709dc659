"""Rewards on the text they belong to."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.report import HeatScale, heat_text
from plaudit.report._html import visible
from plaudit.types import Dense, Sample


def marked(drawn: str) -> list[str]:
    """The texts of the marked places, without numbers and legend."""
    body = drawn.partition('<ul class="scale"')[0]
    inner = re.findall(r"<mark[^>]*>(.*?)</mark>", body, re.S)
    return [unescape(re.sub(r'<span class="n".*?</span>|<span class="empty">.*?</span>', "", text)) for text in inner]


def words(drawn: str) -> str:
    """The whole text of the heat map as it is read."""
    body = re.search(r'<div class="heat[^"]*">(.*?)</div>', drawn, re.S)
    assert body is not None
    return unescape(re.sub(r"<[^>]*>", "", re.sub(r'<span class="(n|empty|cut)".*?</span>', "", body[1])))


def test_places_of_characters_hold_in_text_with_wide_and_joined_characters() -> None:
    response = "算 2+2=4。👩‍👩‍👧 e\u0301 end"
    places = [("算", 0, 1), ("2+2=4", 2, 7), ("e\u0301", response.index("e\u0301"), response.index("e\u0301") + 2)]
    dense = Dense("span", [1.0, 0.5, 0.0], [a for _, a, _ in places], [b for *_, b in places])
    assert marked(heat_text(Sample("p", response), dense)) == [text for text, *_ in places]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp"]), max_size=60), st.data())
def test_the_text_is_whole_whatever_is_marked_in_it(response: str, data: st.DataObject) -> None:
    edges = sorted(data.draw(st.lists(st.integers(0, len(response)), max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    dense = Dense("span", np.linspace(0, 1, len(pairs)), [a for a, _ in pairs], [b for _, b in pairs])
    drawn = heat_text(Sample("p", response), dense)
    if visible(response) == response:  # else invisible characters are spelt out
        assert words(drawn) == response
        assert marked(drawn) == [response[a:b] for a, b in pairs]


def test_a_place_that_was_not_scored_is_hatched_and_says_so() -> None:
    drawn = heat_text(Sample("p", "one two"), Dense("step", [1.0, float("nan")], [0, 4], [3, 7]))
    assert 'class="nan" tabindex="-1" title="step 2: not scored"' in drawn
    assert "not scored</mark>" in drawn.partition('<ul class="scale"')[2]


def test_places_may_be_given_in_any_order() -> None:
    drawn = heat_text(Sample("p", "one two"), Dense("span", [0.0, 1.0], [4, 0], [7, 3]))
    assert marked(drawn) == ["one", "two"]
    assert 'title="span 1: 1"' in drawn


@pytest.mark.parametrize(
    ("dense", "said"),
    [
        (Dense("span", [1.0, 0.0], [0, 2], [3, 5]), r"spans overlap: \[0, 3\) and \[2, 5\)"),
        (Dense("step", [1.0], [0], [99]), "ends at character 99, and the text has 7"),
        (Dense("step", [1.0], [0], [3], [2]), "the response is a str"),
        (Dense("token", [1.0], [0], [1]), "Sample.tokens"),
    ],
)
def test_what_cannot_be_drawn_truly_is_refused(dense: Dense, said: str) -> None:
    with pytest.raises(DataError, match=said):
        heat_text(Sample("p", "one two"), dense)


def test_messages_of_a_chat_each_carry_their_own_places() -> None:
    chat = [
        {"role": "assistant", "content": "Let me look."},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": [{"type": "text", "text": "It is "}, {"type": "text", "text": "42."}]},
    ]
    drawn = heat_text(Sample("p", chat), Dense("turn", [0.2, 0.9], [0, 0], [12, 9], [0, 2]))
    assert marked(drawn) == ["Let me look.", "It is 42."]
    assert re.findall(r'class="role">(\w+)', drawn) == ["assistant", "tool", "assistant"]
    with pytest.raises(DataError, match="does not say which message"):
        heat_text(Sample("p", chat), Dense("turn", [0.2], [0], [3]))
    with pytest.raises(DataError, match="names message 7"):
        heat_text(Sample("p", chat), Dense("turn", [0.2], [0], [3], [7]))


def test_tokens_show_their_text_or_their_ids() -> None:
    sample = Sample("p", "the cat", tokens=np.array([5, 17, 9]))
    dense = Dense("token", [0.1, -0.9], [0, 2], [1, 3])
    assert marked(heat_text(sample, dense, token_text=["the", " c", "at"])) == ["the", "at"]
    assert marked(heat_text(sample, dense)) == ["⟨5⟩", "⟨9⟩"]
    with pytest.raises(DataError, match=r"2 entries, Sample\.tokens 3"):
        heat_text(sample, dense, token_text=["a", "b"])


def test_a_megabyte_is_cut_where_one_sees_it_with_what_is_missing() -> None:
    drawn = heat_text(Sample("p", "x" * 1_000_000), Dense("span", [1.0, 0.0], [0, 999_990], [10, 1_000_000]), limit=1000)
    assert len(drawn) < 10_000
    assert "… 999,000 more characters" in drawn
    assert "1 more spans are not shown" in drawn


def test_a_hostile_response_stays_text() -> None:
    drawn = heat_text(Sample("p", "<script>alert(1)</script>\u202e\x00"), Dense("span", [1.0], [0], [8]), title="<b>")
    assert "<script" not in drawn
    assert "<b>" not in drawn
    assert "\u202e" not in drawn
    assert r"\u202e\x00" in drawn


class TestScale:
    def test_shares_of_rewards_lie_around_a_half_and_signed_ones_around_zero(self) -> None:
        assert HeatScale.of(np.array([0.0, 1.0, np.nan])) == HeatScale(0.0, 0.5, 1.0)
        assert HeatScale.of(np.array([-2.0, 1.0])) == HeatScale(-2.0, 0.0, 2.0)
        assert HeatScale.of(np.array([-0.5])) == HeatScale(-1.0, 0.0, 1.0)
        assert HeatScale.of(np.array([np.nan])) == HeatScale(0.0, 0.5, 1.0)

    def test_colours_go_from_orange_to_blue(self) -> None:
        drawn = heat_text(Sample("p", "abc"), Dense("span", [0.0, 0.5, 1.0], [0, 1, 2], [1, 2, 3]))
        assert re.findall(r'<mark class="(\w+)"', drawn)[:3] == ["lo", "mid", "hi"]

    def test_what_lies_outside_a_given_scale_has_the_colour_of_its_end(self) -> None:
        assert HeatScale(0, 0, 1).share([-5, 0.5, 5]).tolist() == [0, 0.5, 1] or HeatScale(0, 0, 1).share([-5, 0.5, 5])[2] == 1

    def test_a_scale_that_falls_is_refused(self) -> None:
        with pytest.raises(DataError, match="rising"):
            HeatScale(1, 0, 2)
