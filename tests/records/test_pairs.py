"""Preference rows: where the prompt is when the row has none, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plaudit.records import Rejected, read_pairs
from plaudit.types import Pair

USER = {"role": "user", "content": "2+2?"}
FOUR = {"role": "assistant", "content": "4"}
FIVE = {"role": "assistant", "content": "5"}


def read(folder: Path, *rows: dict[str, Any], **options: Any) -> tuple[list[Pair], list[Rejected]]:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bad: list[Rejected] = []
    return list(read_pairs(path, on_reject=bad.append, **options)), bad


def only(folder: Path, row: dict[str, Any], **options: Any) -> Pair:
    pairs, bad = read(folder, row, **options)
    assert not bad
    return pairs[0]


def test_prompt_chosen_rejected_and_what_is_known_of_them(tmp_path: Path) -> None:
    row = {"prompt": "p", "chosen": "a", "rejected": "b", "margin": 2, "tie": False, "annotator": 7, "id": "x"}
    pair = only(tmp_path, row)
    assert (pair.prompt, pair.chosen, pair.rejected) == ("p", "a", "b")
    assert (pair.margin, pair.tie, pair.annotator) == (2.0, False, "7")
    assert pair.meta == {"id": "x"}


def test_the_prompt_of_two_chats_is_what_they_share(tmp_path: Path) -> None:
    pair = only(tmp_path, {"chosen": [USER, FOUR], "rejected": [USER, FIVE]})
    assert (list(pair.prompt), list(pair.chosen), list(pair.rejected)) == ([USER], [FOUR], [FIVE])


def test_whole_chats_beside_a_prompt_text_as_in_ultrafeedback(tmp_path: Path) -> None:
    pair = only(tmp_path, {"prompt": "2+2?", "chosen": [USER, FOUR], "rejected": [USER, FIVE]})
    assert list(pair.prompt) == [USER]
    assert pair.meta == {"prompt": "2+2?"}


def test_responses_that_are_messages_keep_the_prompt_column(tmp_path: Path) -> None:
    pair = only(tmp_path, {"prompt": [USER], "chosen": [FOUR], "rejected": FIVE})
    assert (list(pair.prompt), list(pair.chosen), list(pair.rejected)) == ([USER], [FOUR], [FIVE])


def test_a_chat_that_goes_on_after_the_other_ends_is_cut_at_the_last_shared_question(tmp_path: Path) -> None:
    pair = only(tmp_path, {"chosen": [USER, FOUR], "rejected": [USER, FOUR, FIVE]})
    assert (list(pair.prompt), list(pair.chosen), list(pair.rejected)) == ([USER], [FOUR], [FOUR, FIVE])


def test_equal_chats_keep_their_responses(tmp_path: Path) -> None:
    pair = only(tmp_path, {"chosen": [USER, FOUR], "rejected": [USER, FOUR], "tie": True})
    assert pair.tie
    assert list(pair.chosen) == list(pair.rejected) == [FOUR]


def test_texts_with_turns_are_cut_where_their_last_shared_turn_begins(tmp_path: Path) -> None:
    start = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: 2+2?\n\nAssistant:"
    pair = only(tmp_path, {"chosen": start + " 4", "rejected": start + " 5"})
    assert (pair.prompt, pair.chosen, pair.rejected) == (start, " 4", " 5")


def test_plain_texts_without_a_prompt_are_compared_whole(tmp_path: Path) -> None:
    pair = only(tmp_path, {"good": "a b", "bad": "a c"}, columns={"chosen": "good", "rejected": "bad"})
    assert (pair.prompt, pair.chosen, pair.rejected) == ("", "a b", "a c")


WRONG = [
    ({"prompt": "p", "chosen": "a"}, "rejected", "missing"),
    ({"prompt": "p", "chosen": None, "rejected": "b"}, "chosen", "null"),
    ({"prompt": "p", "chosen": ["a", "b"], "rejected": "b"}, "chosen", "message 0 is text"),
    ({"chosen": "a", "rejected": [FOUR]}, "prompt", "missing"),
    ({"chosen": [USER], "rejected": [USER, FOUR]}, "chosen", "nothing after"),
    ({"prompt": "p", "chosen": "a", "rejected": "b", "margin": "big"}, "margin", "text"),
    ({"prompt": "p", "chosen": "a", "rejected": "b", "margin": 10**400}, "margin", "too large"),
    ({"prompt": "p", "chosen": "a", "rejected": "b", "tie": 1}, "tie", "true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "field", "words"), WRONG)
def test_a_wrong_pair_is_rejected_with_its_field(tmp_path: Path, row: dict[str, Any], field: str, words: str) -> None:
    pairs, bad = read(tmp_path, row)
    assert not pairs
    assert bad[0].field == field
    assert words in bad[0].message
