"""What is written is what is read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.records import group_digest, read_samples, write_samples
from plaudit.types import Sample

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
message = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": text | st.none()})
columns = st.dictionaries(
    st.sampled_from(["level", "source", "labels", "messages", "chosen", "meta", "a.b"]), values | st.none(), max_size=3
)
samples = st.builds(
    Sample,
    prompt=text | st.lists(message, min_size=1, max_size=3),
    response=text | st.lists(message, min_size=1, max_size=3),
    reference=st.none() | values,
    group=st.none() | text.filter(bool),
    group_size=st.none() | st.integers(1, 99),
    tokens=st.none() | st.lists(st.integers(0, 2**63 - 1), max_size=4).map(lambda ids: np.array(ids, dtype=np.int64)),
    finish=st.sampled_from([None, "stop", "length", "tool", "error"]),
    tools=st.just(()) | st.lists(st.dictionaries(text, values, max_size=2), min_size=1, max_size=2),
    meta=columns,
)


def plain(sample: Sample) -> dict[str, Any]:
    known = {
        name: column for name, column in sample.meta.items() if column is not None or name not in ("labels", "messages", "chosen")
    }
    tokens = None if sample.tokens is None else sample.tokens.tolist()
    return {
        "prompt": sample.prompt, "response": sample.response, "reference": sample.reference, "tokens": tokens,
        "group": sample.group or group_digest(sample.prompt), "group_size": sample.group_size, "finish": sample.finish,
        "tools": list(sample.tools), "meta": known,
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(samples, min_size=1, max_size=4), st.sampled_from(["a.jsonl", "a.jsonl.gz"]))
def test_written_samples_are_read_back_as_they_were(written: list[Sample], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        assert write_samples(path, written) == len(written)
        read = [row.sample for row in read_samples(path)]
    assert [plain(sample) for sample in read] == [plain(sample) for sample in written]
    assert [sample.id for sample in read] == [str(k) for k in range(1, len(written) + 1)]


def test_readers_that_split_on_line_separators_find_one_row_per_line_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_samples(path, [Sample("p", "a\u2028b\u2029c\x85d"), Sample("p", "x")])
    assert [json.loads(line)["completion"] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "a\u2028b\u2029c\x85d",
        "x",
    ]


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample("p", "\ud800"), "surrogates"),
        (Sample("p", "c", reference={1, 2}), "set"),
        (Sample("p", "c", meta={"x": float("nan")}), "Out of range float"),
        (Sample("p", "c", meta={"tokens": 1}), "'tokens', which is a field"),
        (Sample("p", "c", meta={"answer": "4"}), "would be read as one"),
    ],
)
def test_what_could_not_be_read_back_is_refused_and_no_file_appears(tmp_path: Path, sample: Sample, words: str) -> None:
    with pytest.raises(DataError, match=words):
        write_samples(tmp_path / "a.jsonl", [Sample("p", "fine"), sample])
    assert list(tmp_path.iterdir()) == []


class TestGroupDigest:
    @given(st.lists(message, min_size=1, max_size=3))
    def test_the_order_of_keys_does_not_matter(self, prompt: list[dict[str, Any]]) -> None:
        assert group_digest([dict(reversed(m.items())) for m in prompt]) == group_digest(tuple(prompt))

    @given(text | st.lists(message, min_size=1, max_size=2), text | st.lists(message, min_size=1, max_size=2))
    def test_other_prompts_have_other_digests(self, one: Any, other: Any) -> None:
        assert (one == other) == (group_digest(one) == group_digest(other))

    def test_it_is_the_same_in_every_process_and_version(self) -> None:
        assert group_digest("2+2?") == "327f3af38fa392bfc1d8f6146af75772"
        assert group_digest([{"role": "user", "content": "2+2?"}]) == "fab1e2af97ba19a4cb67f3b26c14c1d5"

    def test_half_a_character_does_not_break_it(self) -> None:
        assert group_digest("\ud800") != group_digest("?")
        assert len(group_digest([{"role": "user", "content": "\ud800"}])) == 32

    def test_live_objects_are_refused_with_what_to_do(self) -> None:
        with pytest.raises(DataError, match="give the sample a group"):
            group_digest([{"role": "user", "content": object()}])
