"""What the columns of a row become."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaudit.errors import DataError
from plaudit.records import Rejected, Row, group_digest, read_samples
from plaudit.types import Sample

USER = {"role": "user", "content": "2+2?"}
FOUR = {"role": "assistant", "content": "4"}


def write(folder: Path, *rows: Any, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, **options: Any) -> tuple[list[Row], list[Rejected]]:
    bad: list[Rejected] = []
    return list(read_samples(path, on_reject=bad.append, **options)), bad


def only(folder: Path, row: dict[str, Any], **options: Any) -> Sample:
    rows, bad = read(write(folder, row), **options)
    assert not bad
    assert len(rows) == 1
    return rows[0].sample


def complaint(folder: Path, row: dict[str, Any], **options: Any) -> Rejected:
    rows, bad = read(write(folder, row), **options)
    assert not rows
    assert len(bad) == 1
    return bad[0]


@pytest.mark.parametrize("column", ["completion", "response"])
def test_a_response_stands_under_completion_or_response(tmp_path: Path, column: str) -> None:
    sample = only(tmp_path, {"prompt": "2+2?", column: "4"})
    assert (sample.prompt, sample.response) == ("2+2?", "4")


@pytest.mark.parametrize("column", ["reference", "answer", "solution", "ground_truth"])
def test_the_reference_is_known_under_its_four_names(tmp_path: Path, column: str) -> None:
    sample = only(tmp_path, {"prompt": "2+2?", "completion": "4", column: "four"})
    assert sample.reference == "four"
    assert not sample.meta


def test_of_several_reference_columns_the_first_that_is_not_null_counts_and_the_others_stay_as_columns(tmp_path: Path) -> None:
    row = {"prompt": "p", "completion": "c", "reference": None, "solution": "long", "answer": "short"}
    sample = only(tmp_path, row)
    assert sample.reference == "short"
    assert sample.meta == {"solution": "long"}


def test_verls_nested_ground_truth_is_the_reference_and_its_column_stays(tmp_path: Path) -> None:
    row = {"prompt": [USER], "response": "4", "reward_model": {"style": "rule", "ground_truth": "4"}, "data_source": "gsm8k"}
    sample = only(tmp_path, row)
    assert sample.reference == "4"
    assert sample.meta == {"reward_model": {"style": "rule", "ground_truth": "4"}, "data_source": "gsm8k"}


def test_what_is_missing_is_filled_in_from_the_place_and_the_prompt(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, {"prompt": "p", "completion": "a"}, {"prompt": "p", "completion": "b"}))
    first, second = (row.sample for row in rows)
    assert (first.id, second.id) == ("1", "2")
    assert first.group == second.group == group_digest("p")
    assert first.group_size is None


def test_an_id_may_be_a_number_and_other_fields_are_taken_as_they_are(tmp_path: Path) -> None:
    row = {
        "prompt": "p", "completion": "c", "id": 7, "group": "g", "group_size": 4, "tokens": [1, 2], "logprobs": [-0.5, -1],
        "finish": "length", "tools": [{"type": "function"}], "level": 3, "nested": {"a": [1, None]},
    }  # fmt: skip
    sample = only(tmp_path, row)
    assert (sample.id, sample.group, sample.group_size, sample.finish) == ("7", "g", 4, "length")
    assert sample.tokens is not None
    assert sample.tokens.dtype == np.int64
    assert sample.logprobs is not None
    np.testing.assert_array_equal(sample.logprobs, [-0.5, -1.0])
    assert list(sample.tools) == [{"type": "function"}]
    assert sample.meta == {"level": 3, "nested": {"a": [1, None]}}


def test_tools_may_be_json_text_as_in_trl(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": "p", "completion": "c", "tools": '[{"type": "function"}]'})
    assert list(sample.tools) == [{"type": "function"}]


def test_completions_are_candidates_numbered_from_zero(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, {"prompt": "p", "completion": "x"}, {"id": "q", "prompt": "p", "completions": ["a", "b"]}))
    assert [(r.sample.id, r.sample.response, r.row, r.line, r.candidate) for r in rows] == [
        ("1", "x", 0, 1, None),
        ("q/0", "a", 1, 2, 0),
        ("q/1", "b", 2, 2, 1),
    ]


def test_candidates_have_their_own_tokens_and_finish(tmp_path: Path) -> None:
    row = {
        "prompt": "p",
        "completions": ["a", "b"],
        "tokens": [[1], [2, 3]],
        "logprobs": [[0.0], [-1, -2]],
        "finish": ["stop", "length"],
    }
    rows, bad = read(write(tmp_path, row))
    assert not bad
    assert [r.sample.tokens.tolist() for r in rows if r.sample.tokens is not None] == [[1], [2, 3]]
    assert [r.sample.finish for r in rows] == ["stop", "length"]


def test_completions_with_labels_are_one_stepwise_response(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": "p", "completions": ["one", "two"], "labels": [True, False]})
    assert sample.response == "one\ntwo"
    assert sample.id == "1"
    assert sample.meta == {"completions": ["one", "two"], "labels": [True, False]}


def test_the_step_separator_can_be_chosen(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": "p", "completions": ["one", "two"], "labels": [1, 0]}, step_separator="\n\n")
    assert sample.response == "one\n\ntwo"


def test_a_preference_row_gives_both_responses_and_says_which_is_which(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, {"prompt": "p", "chosen": "good", "rejected": "bad", "source": "s"}))
    assert [(r.sample.id, r.sample.response, r.sample.meta["label"]) for r in rows] == [
        ("1/0", "good", True),
        ("1/1", "bad", False),
    ]
    assert rows[0].sample.meta["source"] == "s"


def test_the_response_of_a_chat_is_everything_after_the_last_user_message(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    result = {"role": "tool", "content": "4"}
    sample = only(tmp_path, {"messages": [USER, FOUR, USER, call, result, FOUR]})
    assert list(sample.prompt) == [USER, FOUR, USER]
    assert list(sample.response) == [call, result, FOUR]


def test_a_prompt_column_that_begins_the_chat_says_where_it_ends(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": [USER], "messages": [USER, FOUR, USER, FOUR]})
    assert list(sample.response) == [FOUR, USER, FOUR]


def test_a_prompt_column_that_does_not_stays_a_column(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": "2+2?", "messages": [USER, FOUR]})
    assert list(sample.prompt) == [USER]
    assert sample.meta == {"prompt": "2+2?"}


def test_messages_are_prompt_and_completion_too(tmp_path: Path) -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "2+2?"}]}
    sample = only(tmp_path, {"prompt": [parts], "completion": FOUR})
    assert list(sample.prompt) == [parts]
    assert list(sample.response) == [FOUR]


def test_a_rollout_that_failed_may_have_no_response(tmp_path: Path) -> None:
    assert only(tmp_path, {"prompt": "p", "completion": None, "finish": "error"}).response == ""
    rows, _ = read(write(tmp_path, {"prompt": "p", "completions": ["a", None], "finish": ["stop", "error"]}))
    assert [r.sample.response for r in rows] == ["a", ""]


def test_columns_name_where_a_field_stands(tmp_path: Path) -> None:
    row = {"question": "2+2?", "ground_truth": "4", "prompt": "other", "6b": {"solution": "five", "is_correct": False}}
    sample = only(tmp_path, row, columns={"prompt": "question", "completion": "6b.solution"})
    assert (sample.prompt, sample.response, sample.reference) == ("2+2?", "five", "4")
    assert sample.meta == {"prompt": "other", "6b": {"solution": "five", "is_correct": False}}


def test_a_response_column_that_is_named_counts_before_those_that_are_known(tmp_path: Path) -> None:
    rows, bad = read(
        write(tmp_path, {"prompt": "p", "response": ["x", 1], "messages": 5, "code": ["a", "b"]}), columns={"completions": "code"}
    )
    assert not bad
    assert [r.sample.response for r in rows] == ["a", "b"]
    assert rows[0].sample.meta == {"response": ["x", 1], "messages": 5}


def test_a_column_whose_own_name_has_a_dot_is_found_first(tmp_path: Path) -> None:
    sample = only(tmp_path, {"prompt": "p", "a.b": "dotted", "a": {"b": "nested"}}, columns={"completion": "a.b"})
    assert sample.response == "dotted"


def test_columns_that_name_no_field_are_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "p", "completion": "c"})
    with pytest.raises(DataError, match=r"'promt'.*did you mean 'prompt'"):
        read_samples(path, columns={"promt": "question"})


def test_a_column_that_was_named_and_is_missing_is_said(tmp_path: Path) -> None:
    bad = complaint(tmp_path, {"prompt": "p", "completion": "c"}, columns={"reference": "gold"})
    assert bad.field == "reference"
    assert "'gold'" in bad.message


WRONG = [
    ({"completion": "c"}, "prompt", "missing"),
    ({"prompt": None, "completion": "c"}, "prompt", "null"),
    ({"prompt": 5, "completion": "c"}, "prompt", "a number"),
    ({"prompt": [], "completion": "c"}, "prompt", "empty"),
    ({"prompt": ["hi"], "completion": "c"}, "prompt", "message 0 is text"),
    ({"prompt": [{"content": "x"}], "completion": "c"}, "prompt", "role"),
    ({"prompt": [{"role": "user", "content": 5}], "completion": "c"}, "prompt", "content"),
    ({"prompt": "p"}, "completion", "there is no response"),
    ({"prompt": "p", "completion": None}, "completion", "there is no response"),
    ({"prompt": "p", "completion": 4}, "completion", "a number"),
    ({"prompt": "p", "response": True}, "response", "true or false"),
    ({"prompt": "p", "completions": "c"}, "completions", "text"),
    ({"prompt": "p", "completions": []}, "completions", "empty"),
    ({"prompt": "p", "completions": ["a", None]}, "completions[1]", "null"),
    ({"prompt": "p", "completions": ["a", "b"], "labels": [True]}, "labels", "1 entries for 2"),
    ({"prompt": "p", "completions": ["a", 1], "labels": [True, True]}, "completions", "list of texts"),
    ({"prompt": "p", "chosen": ["a"], "rejected": ["b"]}, "chosen", "message 0"),
    ({"messages": [USER]}, "messages", "ends with a 'user'"),
    ({"messages": []}, "messages", "empty"),
    ({"messages": "hi"}, "messages", "text"),
    ({"prompt": "p", "completion": "c", "id": True}, "id", "true or false"),
    ({"prompt": "p", "completion": "c", "id": ""}, "id", "empty"),
    ({"prompt": "p", "completion": "c", "id": [1]}, "id", "a list"),
    ({"prompt": "p", "completion": "c", "group_size": 0}, "group_size", "at least 1"),
    ({"prompt": "p", "completion": "c", "group_size": "4"}, "group_size", "whole number"),
    ({"prompt": "p", "completion": "c", "finish": "eos"}, "finish", "'eos'"),
    ({"prompt": "p", "completion": "c", "tokens": [1.5]}, "tokens", "entry 0"),
    ({"prompt": "p", "completion": "c", "tokens": [-1]}, "tokens", "negative"),
    ({"prompt": "p", "completion": "c", "tokens": [2**70]}, "tokens", "64 bits"),
    ({"prompt": "p", "completion": "c", "tokens": [[1]]}, "tokens", "entry 0"),
    ({"prompt": "p", "completion": "c", "tokens": [True]}, "tokens", "entry 0"),
    ({"prompt": "p", "completion": "c", "tokens": [1], "logprobs": [0.0, 0.0]}, "logprobs", "2 entries for 1 tokens"),
    ({"prompt": "p", "completion": "c", "logprobs": [None]}, "logprobs", "entry 0"),
    ({"prompt": "p", "completion": "c", "tools": "{"}, "tools", "not JSON"),
    ({"prompt": "p", "completion": "c", "tools": {"a": 1}}, "tools", "an object"),
    ({"prompt": "p", "completions": ["a", "b"], "tokens": [1, 2]}, "tokens[0]", "a number"),
    ({"prompt": "p", "completions": ["a", "b"], "finish": ["stop"]}, "finish", "1 entries for 2"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "field", "words"), WRONG)
def test_a_wrong_row_is_rejected_with_its_field_and_what_was_found(
    tmp_path: Path, row: dict[str, Any], field: str, words: str
) -> None:
    bad = complaint(tmp_path, row)
    assert bad.field == field
    assert words in bad.message
    assert bad.line == 1
    assert bad.path == str(tmp_path / "data.jsonl")


def test_the_complaint_about_a_missing_column_names_the_columns_that_are_there(tmp_path: Path) -> None:
    bad = complaint(tmp_path, {"question": "2+2?", "completion": "4"})
    assert "question (text)" in bad.message
    assert "columns={'prompt': NAME}" in bad.message


def test_without_a_place_for_bad_rows_the_first_one_raises_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "p", "completion": "c"}, {"prompt": "p"})
    rows = read_samples(path)
    assert next(rows).sample.response == "c"
    with pytest.raises(DataError, match=r"data\.jsonl, row 2, completion: there is no response.*on_reject"):
        next(rows)


class TestIds:
    def ids(self, folder: Path, *rows: dict[str, Any]) -> tuple[list[str | None], list[tuple[int, str]]]:
        found, bad = read(
            write(folder, *({"prompt": "p", **({"completion": "c"} if "completions" not in r else {}), **r} for r in rows))
        )
        return [r.sample.id for r in found], [(b.line, b.message) for b in bad]

    def test_the_second_row_with_an_id_is_rejected_and_names_the_first(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"id": "x"}, {"id": "y"}, {"id": "x"})
        assert ids == ["x", "y"]
        assert bad[0][0] == 3
        assert "'x' is already the id of row 1" in bad[0][1]

    def test_an_id_may_not_be_an_earlier_rows_line_number(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {}, {"id": "1"})
        assert ids == ["1"]
        assert "row 1" in bad[0][1]

    def test_a_line_number_may_not_be_an_earlier_rows_id(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"id": "2"}, {})
        assert ids == ["2"]
        assert bad[0][0] == 2

    def test_candidates_ids_are_taken_too(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"completions": ["a", "b"]}, {"id": "1/1"}, {"id": "1/2"}, {"id": "1"})
        assert ids == ["1/0", "1/1", "1/2", "1"]
        assert [line for line, _ in bad] == [2]

    def test_given_ids_of_candidates_are_taken_too(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"id": "x/1"}, {"id": "x", "completions": ["a", "b"]}, {"id": "x", "completions": ["a"]})
        assert ids == ["x/1", "x/0"]
        assert [line for line, _ in bad] == [2]

    def test_a_rejected_row_takes_no_id(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"id": "x", "finish": "bad"}, {"id": "x"})
        assert ids == ["x"]
        assert [line for line, _ in bad] == [1]

    def test_long_ids_are_compared_whole(self, tmp_path: Path) -> None:
        ids, bad = self.ids(tmp_path, {"id": "x" * 5000 + "a"}, {"id": "x" * 5000 + "b"}, {"id": "x" * 5000 + "a"})
        assert len(ids) == 2
        assert [line for line, _ in bad] == [3]


class TestFormats:
    rows = ({"prompt": "p", "completion": "a", "n": 1}, {"prompt": "q", "completion": "b", "n": 2})

    def check(self, path: Path, **options: Any) -> None:
        rows, bad = read(path, **options)
        assert not bad
        assert [(r.sample.prompt, r.sample.response, r.sample.meta["n"], r.line) for r in rows] == [
            ("p", "a", 1, 1),
            ("q", "b", 2, 2),
        ]

    def test_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "data.jsonl.gz"
        path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in self.rows).encode()))
        self.check(path)

    def test_gzip_is_recognised_without_its_ending(self, tmp_path: Path) -> None:
        path = tmp_path / "data.jsonl"
        path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in self.rows).encode()))
        self.check(path)

    def test_a_json_array(self, tmp_path: Path) -> None:
        path = tmp_path / "data.json"
        path.write_text(json.dumps(self.rows, indent=2))
        self.check(path)

    def test_json_lines_that_are_called_json(self, tmp_path: Path) -> None:
        self.check(write(tmp_path, *self.rows, name="data.json"))

    def test_any_name_with_a_format(self, tmp_path: Path) -> None:
        self.check(write(tmp_path, *self.rows, name="data"), format="jsonl")

    def test_parquet(self, tmp_path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        path = tmp_path / "data.parquet"
        pq.write_table(pa.Table.from_pylist(list(self.rows)), path)
        self.check(path)

    def test_a_sample_is_the_same_from_parquet_and_from_json_lines(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
        rows = [{"prompt": [{"role": "user", "content": "x"}, call], "completion": "é", "tokens": [1, 2], "score": 0.5}]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
        one, other = (read(path)[0][0].sample for path in (tmp_path / "data.parquet", write(tmp_path, *rows)))
        assert (one.prompt, one.response, one.group, one.meta) == (other.prompt, other.response, other.group, other.meta)
        assert one.tokens is not None
        assert one.tokens.tolist() == [1, 2]

    def test_parquet_values_that_json_does_not_know_get_a_text(self, tmp_path: Path) -> None:
        import datetime
        import decimal

        import pyarrow as pa
        import pyarrow.parquet as pq

        row = {
            "prompt": "p", "completion": "c", "day": datetime.date(2024, 1, 2), "price": decimal.Decimal("1.50"), "bytes": b"ab",
            "nan": math.nan,
        }  # fmt: skip
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "data.parquet")
        meta = read(tmp_path / "data.parquet")[0][0].sample.meta
        assert meta == {"day": "2024-01-02", "price": "1.50", "bytes": {"base64": "YWI="}, "nan": None}
        json.dumps(meta, allow_nan=False)

    def test_only_the_parquet_row_that_is_not_text_is_rejected(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        raw = pa.array([b"good", b"\xff\xfe", b"also"], pa.binary())
        table = pa.table({"prompt": ["p"] * 3, "completion": pa.Array.from_buffers(pa.string(), 3, raw.buffers())})
        pq.write_table(table, tmp_path / "data.parquet")
        rows, bad = read(tmp_path / "data.parquet")
        assert [r.sample.response for r in rows] == ["good", "also"]
        assert [(b.line, b.field) for b in bad] == [(2, "completion")]

    def test_the_standard_input(self, tmp_path: Path) -> None:
        import subprocess
        import sys

        code = "from plaudit.records import read_samples\nfor row in read_samples('-'): print(row.sample.response)"
        text = "".join(json.dumps(r) + "\n" for r in self.rows)
        done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
        assert done.stdout == "a\nb\n"
