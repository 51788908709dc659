"""Windows of rows: all rows once, in bounded memory, and no group in two of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.records import Row, count_groups, group_digest, iter_windows
from plaudit.types import Sample


def rows_of(groups: list[str]) -> list[Row]:
    return [Row(Sample("p", "c", id=str(k), group=g), k, k + 1, None) for k, g in enumerate(groups)]


names = st.lists(st.sampled_from("abcdef"), max_size=40)


@given(names, st.integers(1, 10))
def test_windows_of_rows_are_the_rows_in_order(groups: list[str], size: int) -> None:
    windows = list(iter_windows(rows_of(groups), size))
    assert [row.row for window in windows for row in window] == list(range(len(groups)))
    assert all(len(window) == size for window in windows[:-1])
    assert all(windows)


@given(names, st.integers(1, 10), st.booleans())
def test_whole_groups_are_never_split_and_every_row_comes_once(groups: list[str], size: int, counted: bool) -> None:
    rows = rows_of(groups)
    counts = count_groups(rows) if counted else None
    windows = list(iter_windows(iter(rows), size, whole_groups=True, counts=counts))
    assert sorted(row.row for window in windows for row in window) == list(range(len(groups)))
    for name in set(groups):
        assert sum(any(row.sample.group == name for row in window) for window in windows) == 1
    largest = max(map(groups.count, groups), default=0)
    assert all(0 < len(window) <= max(size, largest) for window in windows)


def test_a_window_comes_as_soon_as_its_last_group_is_complete() -> None:
    rows = rows_of(["a"] * 3 + ["b"] * 3 + ["c"] * 3)
    seen: list[int] = []

    def watched() -> Iterator[Row]:
        for row in rows:
            seen.append(row.row)
            yield row

    windows = iter_windows(watched(), 3, whole_groups=True, counts=count_groups(rows))
    assert [row.row for row in next(windows)] == [0, 1, 2]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("counts", [{"a": 3}, {"a": 1}, {}])
def test_rows_that_are_not_those_that_were_counted_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(DataError, match="changed while it was being read"):
        list(iter_windows(rows_of(["a", "a"]), 10, whole_groups=True, counts=counts))


def test_a_row_without_a_group_belongs_to_its_prompt() -> None:
    rows = [Row(Sample("p", "c"), k, k + 1, None) for k in range(2)]
    assert count_groups(rows) == {group_digest("p"): 2}


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="size is 0"):
        iter_windows([], 0)
