"""Files that are broken, hostile or not data at all: each bad row is said, the good ones are read, nothing crashes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.records import Rejected, Row, read_pairs, read_samples, write_rejected

GOOD = b'{"prompt": "p", "completion": "c"}'


def read_bytes(data: bytes, name: str = "data.jsonl", max_row_mb: float = 256.0) -> tuple[list[Row], list[Rejected]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        bad: list[Rejected] = []
        return list(read_samples(path, on_reject=bad.append, max_row_mb=max_row_mb)), bad


BROKEN_LINES = [
    (b"{", "cut off"),
    (b'{"prompt": "p", "completion": "', "cut off"),
    (b"nonsense", "expected a value at column 1"),
    (b"[1, 2]", "a list"),
    (b'"text"', "text"),
    (b"null", "null"),
    (b"17", "a number"),
    (GOOD + GOOD, "something follows at column 35"),
    (b'{"prompt": "\xff", "completion": "c"}', "byte 13 of the line is not UTF-8"),
    (b'{"prompt": "\xed\xa0\x80", "completion": "c"}', "not UTF-8"),
    (b'{"prompt": "\x00", "completion": "c"}', "control character"),
    (b"\x00" * 1000, "expected a value"),
    (b'{"prompt": "\\ud83d", "completion": "c"}', "lone surrogate \\ud83d"),
    (b'{"prompt": "p", "completion": "c", "x": {"a": ["\\udc00"]}}', "lone surrogate"),
    (b'{"prompt": "p", "completion": "c", "x": {"\\udc00": 1}}', "lone surrogate"),
    (b'{"prompt": "p", "completion": "c", "\\udc00": 1}', "lone surrogate"),
    (b'{"prompt": "p", "completion": "c", "prompt": "q"}', "stands twice"),
    (b'{"prompt": "p", "completion": "c", "x": {"a": 1, "a": 2}}', "stands twice"),
    (b'{"prompt": "p", "completion": "c", "x": NaN}', "NaN is not JSON"),
    (b'{"prompt": "p", "completion": "c", "x": [-Infinity]}', "-Infinity is not JSON"),
    (b'{"prompt": "p", "completion": "c", "x": 1e999}', "too large"),
    (b'{"prompt": "p", "completion": "c", "x": [{"y": -1e999}]}', "too large"),
    (b'{"prompt": "p", "completion": "c", "x": ' + b"9" * 5000 + b"}", "digits"),
    (b'{"prompt": "p", "completion": "c", "x": ' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper than 64"),
    (b'{"prompt": "p", "completion": "c", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    (b'{"prompt": "p", "completion": "c", "x": ' + b'{"a":' * 200_000, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), BROKEN_LINES, ids=range(len(BROKEN_LINES)))
def test_a_broken_line_is_rejected_and_its_neighbours_are_read(line: bytes, words: str) -> None:
    rows, bad = read_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    assert [r.line for r in rows] == [1, 3]
    assert [r.row for r in rows] == [0, 1]
    assert [b.line for b in bad] == [2]
    assert words in bad[0].message
    assert len(bad[0].raw) <= 400
    json.dumps([bad[0].field, bad[0].message, bad[0].raw], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD,
        GOOD + b"\r\n" + GOOD + b"\r\n",
        b"\n\n" + GOOD + b"\n  \t\n\r\n" + GOOD + b"\n\n",
        b"  " + GOOD + b"  \n\t" + GOOD + b" \t",
    ],
    ids=["a byte-order mark", "CRLF", "blank lines", "space around rows"],
)
def test_what_editors_add_is_no_error(data: bytes) -> None:
    rows, bad = read_bytes(data)
    assert not bad
    assert [r.sample.response for r in rows] == ["c", "c"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_only_a_newline_ends_a_row(character: str) -> None:
    text = f"a{character}b"
    line = json.dumps({"prompt": "p", "completion": text}, ensure_ascii=character == "\r" or ord(character) < 32).encode()
    rows, bad = read_bytes(line + b"\n" + GOOD)
    assert not bad
    assert rows[0].sample.response == text


def test_a_nul_character_inside_a_text_is_kept() -> None:
    rows, bad = read_bytes(b'{"prompt": "p", "completion": "a\\u0000b"}')
    assert not bad
    assert rows[0].sample.response == "a\x00b"


def test_escaped_surrogate_pairs_are_characters() -> None:
    rows, bad = read_bytes(b'{"prompt": "p", "completion": "\\ud83d\\ude00"}')
    assert not bad
    assert rows[0].sample.response == "😀"


def test_a_response_of_fifty_megabytes_is_read() -> None:
    rows, bad = read_bytes(b'{"prompt": "p", "completion": "' + b"x" * 50_000_000 + b'"}\n' + GOOD)
    assert not bad
    assert len(rows[0].sample.response) == 50_000_000


def test_a_line_above_the_limit_is_refused_and_reading_goes_on() -> None:
    rows, bad = read_bytes(GOOD + b"\n" + b"x" * 5_000_000 + b"\n" + GOOD, max_row_mb=1)
    assert [r.line for r in rows] == [1, 3]
    assert "longer than 1,048,576 bytes" in bad[0].message


def test_a_line_of_exactly_the_limit_is_read() -> None:
    limit = 2**20
    line = b'{"prompt": "p", "completion": "' + b"x" * (limit - 33) + b'"}'
    assert len(line) == limit
    rows, bad = read_bytes(line + b"\n" + line + b" \n", max_row_mb=1)
    assert len(rows) == 1
    assert len(bad) == 1


def test_an_endless_line_is_refused_in_little_memory(tmp_path: Path) -> None:
    # 256 MB of zeros pack into 1 MB: the reader must not hold the line.
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(256):
            file.write(b"\x00" * 2**20)
        file.write(b"\n" + GOOD)
    code = (
        "import resource, sys\n"
        "from plaudit.records import read_samples\n"
        "bad = []\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = list(read_samples(sys.argv[1], on_reject=bad.append, max_row_mb=4))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(len(rows), len(bad), (after - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    rows, bad, grown = map(int, done.stdout.split())
    assert (rows, bad) == (1, 1)
    assert grown < 40, f"reading a 256 MB line with a limit of 4 MB took {grown} MB"


def test_rows_before_a_broken_gzip_stream_are_read_and_the_break_is_said() -> None:
    packed = gzip.compress(b"".join(b'{"prompt": "%d", "completion": "c"}\n' % k for k in range(5000)))
    rows, bad = read_bytes(packed[: len(packed) // 2], "data.jsonl.gz")
    assert len(rows) > 100
    assert len(bad) == 1
    assert "gzip file breaks off" in bad[0].message


def test_what_stands_before_the_break_of_a_json_array_is_read() -> None:
    rows, bad = read_bytes(b"[" + GOOD + b", 5, " + GOOD + b", {]", "data.json")
    assert [r.line for r in rows] == [1, 3]
    assert [(b.line, "a number" in b.message or "not JSON" in b.message) for b in bad] == [(2, True), (4, True)]


def test_ten_thousand_kinds_of_rows_do_not_fill_the_memory() -> None:
    lines = b"\n".join(b'{"prompt": "p", "completion": "c", "x%d": 1}' % k for k in range(10_000))
    rows, bad = read_bytes(lines)
    assert len(rows) == 10_000
    assert not bad


class TestFilesThatAreNoData:
    def refused(self, path: Path | str, words: str, **options: str) -> None:
        with pytest.raises(DataError, match=words) as caught:
            list(read_samples(path, **options))  # type: ignore[arg-type]
        assert os.fspath(path) in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "no.jsonl", "there is no such file")

    def test_a_folder_names_a_file_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(GOOD)
        self.refused(tmp_path, r"is a folder: name a file in it, such as a\.jsonl")

    def test_an_unknown_ending(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(GOOD)
        self.refused(tmp_path / "a.csv", r"expected \.jsonl, .*\.parquet")

    @pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.jsonl.gz"])
    def test_empty(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        self.refused(tmp_path / name, "is empty")

    @pytest.mark.parametrize(("name", "data"), [("a.jsonl", b"\n \r\n"), ("a.json", b"[]"), ("a.jsonl.gz", gzip.compress(b""))])
    def test_without_a_row(self, tmp_path: Path, name: str, data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        self.refused(tmp_path / name, "has no rows")

    def test_utf_16(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(GOOD.decode().encode("utf-16"))
        self.refused(tmp_path / "a.jsonl", "is UTF-16 text: save it as UTF-8")

    def test_parquet_under_another_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(b"PAR1" + b"\x00" * 100)
        self.refused(tmp_path / "a.jsonl", "is a Parquet file")

    @pytest.mark.parametrize("data", [GOOD, b"PAR1" + b"\x00" * 100, b"PAR1" + b"\x00" * 100 + b"PAR1"])
    def test_something_else_under_the_name_of_parquet(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.parquet").write_bytes(data)
        self.refused(tmp_path / "a.parquet", "Parquet")

    def test_a_json_array_above_the_limit(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_bytes(b"[" + b",".join([GOOD] * 1000) + b"]")
        with pytest.raises(DataError, match="write one row per line"):
            list(read_samples(tmp_path / "a.json", max_row_mb=0.01))

    @pytest.mark.skipif(not hasattr(os, "setuid"), reason="this system has no users to change to")
    def test_a_file_that_this_user_may_not_read(self) -> None:
        code = (
            "import os, sys\n"
            "from plaudit.errors import DataError\n"
            "from plaudit.records import read_samples\n"
            "if os.getuid() == 0: os.setuid(65534)\n"
            "try: read_samples(sys.argv[1])\n"
            "except DataError as error: print(error)\n"
        )
        with tempfile.TemporaryDirectory(prefix="plaudit-records-") as folder:
            Path(folder).chmod(0o755)  # the other user must reach the file to be refused it
            path = Path(folder, "a.jsonl")
            path.write_bytes(GOOD)
            path.chmod(0)
            done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        assert "may not be read by this user" in done.stdout


class TestAnyBytes:
    """Whatever the bytes: every line that is not blank is a row or a rejection, in order, and nothing crashes."""

    lines = st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([line for line, _ in BROKEN_LINES if len(line) < 200]),
            st.sampled_from([GOOD, b"", b" ", b"\r", b"\x00"]),
            st.binary(max_size=8).map(lambda noise: GOOD[:17] + noise + GOOD[17:]),
        ),
        max_size=8,
    )

    @settings(max_examples=300, deadline=None)
    @given(lines)
    def test_every_line_is_a_row_or_a_rejection(self, lines: list[bytes]) -> None:
        data = b"\n".join(lines)
        if data[:2] in (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff") or data[:4] == b"PAR1":
            return
        body = data[3:] if data[:3] == b"\xef\xbb\xbf" else data
        expected = [k for k, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        try:
            rows, bad = read_bytes(data)
        except DataError as error:
            complaint = str(error)
            assert "has no rows" in complaint or "is empty" in complaint
            assert not expected
            return
        assert sorted([r.line for r in rows] + [b.line for b in bad]) == expected
        for one in bad:
            (str(one) + one.raw).encode("utf-8")

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
    fields = st.sampled_from(
        ["prompt", "completion", "completions", "labels", "chosen", "rejected", "messages", "reference", "answer", "id", "group",
         "group_size", "tokens", "logprobs", "tools", "finish", "reward_model", "x"]
    )  # fmt: skip

    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(fields, json_values, max_size=8), st.booleans())
    def test_any_values_in_the_known_columns_are_a_sample_or_a_rejection(self, row: dict[str, object], pairs: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "data.jsonl")
            path.write_text(json.dumps(row))
            bad: list[Rejected] = []
            read = list(read_pairs(path, on_reject=bad.append)) if pairs else list(read_samples(path, on_reject=bad.append))
        assert bool(read) != bool(bad)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes_under_any_name(self, data: bytes) -> None:
        for name in ("a.jsonl", "a.json", "a.jsonl.gz", "a.parquet"):
            try:
                rows, bad = read_bytes(data, name)
            except DataError:
                continue
            assert rows or bad


def test_rejected_rows_are_written_with_line_field_and_message(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "p"}\n\xff\xff\n{"prompt": "\\ud800"}')
    bad: list[Rejected] = []
    assert not list(read_samples(path, on_reject=bad.append))
    written = write_rejected(tmp_path, bad)
    rows = [json.loads(line) for line in written.read_bytes().splitlines()]
    assert [(row["line"], row["field"]) for row in rows] == [(1, "completion"), (2, None), (3, "prompt")]
    assert rows[0]["raw"] == '{"prompt": "p"}\n'
    assert rows[1]["raw"] == "\\xff\\xff\n"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".partial")] == []
