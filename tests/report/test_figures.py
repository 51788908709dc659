"""What the drawings show: axes, intervals, gaps, long and empty data."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.report import Series, bar_plot, histogram, interval_plot, line_plot, scatter
from plaudit.report._lines import _thinned, spread
from plaudit.report._scale import axis, log_ticks, number, percent, seconds, ticks

FLOATS = st.floats(-1e300, 1e300)


class TestAxes:
    @given(FLOATS, FLOATS, st.integers(2, 12))
    def test_ticks_are_round_rise_evenly_and_cover_the_data(self, a: float, b: float, about: int) -> None:
        found = ticks(a, b, about)
        low, high = min(a, b), max(a, b)
        assert 2 <= len(found) <= 4 * about + 3
        assert found == sorted(found)
        assert len(set(found)) == len(found)
        room = 1e-9 * max(abs(low), abs(high), 1e-290)
        assert found[0] <= low + room
        assert found[-1] >= high - room

    @given(st.floats(1e-6, 1e6), st.floats(1.01, 1e4))
    def test_steps_are_1_2_or_5_times_a_power_of_ten(self, low: float, width: float) -> None:
        found = ticks(low, low + low * width)
        step = found[1] - found[0]
        leading = step / 10.0 ** np.floor(np.log10(step) + 1e-9)
        assert min(abs(leading - m) for m in (1, 2, 5, 10)) < 1e-3

    def test_the_axis_of_equal_values_has_room_around_them(self) -> None:
        found = axis([[3.0, 3.0]], 0, 100)
        assert found.low < 3 < found.high
        assert 0 < float(found(3.0)) < 100

    def test_doubling_steps_lie_evenly_on_a_logarithmic_axis(self) -> None:
        found = axis([[1, 8]], 0, 300, kind="log", at=[1, 2, 4, 8], tight=True)
        assert np.allclose(found([1, 2, 4, 8]), [0, 100, 200, 300])

    def test_a_logarithmic_axis_refuses_zero(self) -> None:
        with pytest.raises(DataError, match="positive"):
            line_plot([Series("a", [1, 2], [0, 1])], x_scale="log")

    def test_logarithmic_ticks_thin_out_over_many_decades(self) -> None:
        assert log_ticks(1, 8) == [1, 2, 5, 10]
        assert len(log_ticks(1e-9, 1e9)) <= 8

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            (number(1234567), "1,234,567"), (number(-0.25), "−0.25"), (number(0.1 + 0.2), "0.3"), (number(float("inf")), "∞"),
            (number(2.5e-7), "2.5e−7"), (number(None), "–"), (number(-1e-20), "−1e−20"), (percent(0.5), "50%"),
            (percent(float("nan")), "–"), (seconds(0.0015), "1.5 ms"), (seconds(125), "2 min 5 s"),
        ],
    )  # fmt: skip
    def test_numbers_are_written_for_people(self, written: str, expected: str) -> None:
        assert written == expected

    @given(st.one_of(FLOATS, st.just(float("nan")), st.just(float("inf"))))
    def test_every_number_is_written_short(self, value: float) -> None:
        assert 0 < len(number(value)) <= 22


class TestCurves:
    def test_each_curve_has_its_band_its_name_and_its_own_dash(self) -> None:
        n = [1, 2, 4]
        drawn = line_plot([Series("one", [1, 2, 3], n, [0, 1, 2], [2, 3, 4]), Series("two", [2, 2, 2], n)], "Two")
        wide = drawn.split("<svg")[-2]
        assert wide.count('class="band') == 1
        assert re.findall(r'class="end s\d"[^>]*>([^<]+)', wide) == ["one", "two"]
        assert 'class="series s1"' in wide
        assert "stroke-dasharray" in wide

    def test_a_missing_value_breaks_the_curve(self) -> None:
        whole = line_plot([Series("a", [1, 2, 3, 4])])
        broken = line_plot([Series("a", [1, float("nan"), 3, 4])])
        path = r'class="series s0" d="([^"]*)"'
        assert re.findall(path, whole)[0].count("M") == 1
        assert re.findall(path, broken)[0].count("M") == 2

    def test_the_numbers_stand_below_for_those_who_do_not_see_the_curve(self) -> None:
        drawn = line_plot([Series("a", [0.5, 0.75], [1, 2], [0.4, 0.7], [0.6, 0.8])], "Accuracy", y_format="percent")
        assert "75% [70%, 80%]" in drawn
        assert "2 points from 50% to 75%" in drawn

    @pytest.mark.parametrize("values", [[], [float("nan")] * 5, [float("inf"), float("-inf")]])
    def test_nothing_to_draw_is_said(self, values: list[float]) -> None:
        for drawn in (
            line_plot([Series("a", values)], "Empty"),
            histogram(values, "Empty"),
            scatter([Series("a", values)], "Empty"),
        ):
            assert "Nothing to draw" in drawn
            assert "<svg" not in drawn

    def test_a_hundred_thousand_points_are_thinned_and_keep_their_extremes(self) -> None:
        y = np.random.default_rng(0).normal(size=100_000)
        y[[777, 55_555]] = [50.0, -50.0]
        thin = _thinned(Series("a", y))
        assert len(thin.y) < 3000
        assert (thin.y.max(), thin.y.min()) == (50.0, -50.0)
        assert len(line_plot([Series("a", y)])) < 200_000

    def test_intervals_of_a_thinned_curve_keep_their_extremes(self) -> None:
        y = np.zeros(50_000)
        low, high = y - 1, y + 1
        low[12_345], high[23_456] = -9, 9
        thin = _thinned(Series("a", y, None, low, high))
        assert (thin.low.min(), thin.high.max()) == (-9, 9)

    @given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
    def test_labels_never_lie_on_each_other_and_keep_their_order(self, wanted: list[float]) -> None:
        places = spread(wanted, 17.0, 0.0, 300.0)
        order = np.argsort(wanted, kind="stable")
        assert np.all(np.diff(np.array(places)[order]) >= 17.0 - 1e-6)
        assert min(places) >= -1e-6
        assert max(places) <= 300 + 1e-6

    def test_lengths_that_differ_are_refused_by_name(self) -> None:
        with pytest.raises(DataError, match=r"'a'.*low has 1"):
            Series("a", [1, 2], None, [1], [2])
        with pytest.raises(DataError, match="both, low and high"):
            Series("a", [1, 2], None, [1, 2])

    @given(st.lists(st.floats(width=64), min_size=1, max_size=30))
    def test_no_numbers_break_a_drawing(self, values: list[float]) -> None:
        for drawn in (
            line_plot([Series("a", values)]), histogram(values), scatter([Series("a", values, values)]),
            bar_plot([str(k) for k in range(len(values))], values), interval_plot(["x"] * len(values), values),
        ):  # fmt: skip
            assert not re.search(r'="[^"]*\b(nan|inf)\b', drawn)


class TestBars:
    def test_a_bar_starts_at_zero_and_a_negative_one_goes_left(self) -> None:
        drawn = bar_plot(["up", "down"], [1.0, -1.0])
        (x1, w1), (x2, w2) = (
            (float(a), float(b)) for a, b in re.findall(r'class="bar s0" x="([\d.]+)"[^>]*width="([\d.]+)"', drawn)[:2]
        )
        assert x2 + w2 == pytest.approx(x1, abs=0.2)
        assert w1 == pytest.approx(w2, abs=0.2)

    def test_a_value_that_is_not_there_says_so(self) -> None:
        assert "no value" in bar_plot(["a", "b"], [1.0, float("nan")])

    def test_names_and_values_must_be_as_many(self) -> None:
        with pytest.raises(DataError, match="1 names and 2 values"):
            bar_plot(["a"], [1, 2])


class TestHistogram:
    def test_a_few_distinct_rewards_have_one_bar_each(self) -> None:
        drawn = histogram([0.0, 1.0, 1.0, 0.5], "Rewards").split("<svg")[1]
        assert re.findall(r"<title>(.*?)\n(\d+) rows", drawn) == [("0", "1"), ("0.5", "1"), ("1", "2")]

    def test_every_value_is_counted_once(self) -> None:
        values = np.random.default_rng(0).normal(size=5000)
        for drawn in histogram(values).split("<svg")[1:]:
            assert sum(int(n.replace(",", "")) for n in re.findall(r"\n([\d,]+) rows", drawn)) == 5000

    def test_rows_without_a_value_are_counted_in_words(self) -> None:
        assert "2 rows without a value left out" in histogram([1.0, float("nan"), float("nan"), 2.0])


class TestScatter:
    def test_points_on_each_other_are_one_larger_dot(self) -> None:
        one = np.zeros(1000)
        drawn = scatter([Series("a", one, one)]).split("<svg")[1]
        assert drawn.count("<circle") == 1

    def test_a_tip_belongs_to_its_point(self) -> None:
        drawn = scatter([Series("a", [1.0, 2.0], [1.0, float("nan")])], tips=["first", "second"])
        assert "first" in drawn
        assert "second" not in drawn
        assert "1 point without both values left out" in drawn
