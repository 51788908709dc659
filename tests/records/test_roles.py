"""A message of nobody's role is refused: read as no answer it would score 0 in silence."""

import json

import pytest

from plaudit.records import read_samples


@pytest.mark.parametrize("role", ["asistant", "model", "gpt", "Human"])
def test_an_unknown_role_is_a_rejected_row_that_names_the_known_ones(tmp_path, role):
    path = tmp_path / "chats.jsonl"
    good = {"prompt": "2+2", "completion": [{"role": "assistant", "content": "4"}]}
    bad = {"prompt": "2+2", "completion": [{"role": role, "content": "4"}]}
    path.write_text(f"{json.dumps(bad)}\n{json.dumps(good)}\n")
    rejected = []
    assert [row.line for row in read_samples(path, on_reject=rejected.append)] == [2]
    assert rejected[0].line == 1
    assert f"the role {role!r}: expected 'system'" in rejected[0].message
    assert "'assistant'" in rejected[0].message
