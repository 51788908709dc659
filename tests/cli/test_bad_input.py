"""Bad input: a clear line that names file, row and field and says what to do; the good rows are scored; nothing is lost."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

GOOD = {"prompt": "2+2?", "completion": "4", "reference": "4"}


def line(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode() + b"\n"


def refused(ended: Any) -> str:
    """What a command said that refused to start."""
    assert ended.status == 2, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err.startswith("error: ")
    return str(ended.err)


class TestRows:
    def test_broken_rows_are_put_aside_with_file_row_and_field_and_the_good_ones_are_scored(self, plaudit: Any) -> None:
        plaudit.write(
            "bad.jsonl",
            b"\xef\xbb\xbf"  # a byte-order mark
            + line(id="first")
            + b'{"prompt": "2+2?", "completion"\n'
            + line(id="crlf").rstrip() + b"\r\n"
            + b'{"prompt": "2+2?", "reference": "4"}\n'
            + line(completion=4)
            + line(id="nul", completion="4\x00")
            + line(completion="\ud83d 4")
            + json.dumps({**GOOD, "id": "separator", "completion": "so\u20284"}, ensure_ascii=False).encode() + b"\n"
            + b'{"prompt": "\xff", "completion": "4"}\n'
            + b"[1, 2]\n\n"
            + line(id="last").rstrip(),
        )  # fmt: skip
        ended = plaudit("score", "verify.math", "bad.jsonl", "-o", "run", "--json")
        assert ended.status == 0, ended.err
        assert (ended.json["n"], ended.json["scored"], ended.json["failed"]) == (11, 5, 6)
        assert [row["id"] for row in plaudit.run("run")] == ["first", "crlf", "nul", "separator", "last"]
        rejected = [json.loads(text) for text in (plaudit.folder / "run" / "rejected.jsonl").read_text().splitlines()]
        assert [(row["path"], row["line"], row["field"]) for row in rejected] == [
            ("bad.jsonl", 2, None), ("bad.jsonl", 4, "completion"), ("bad.jsonl", 5, "completion"),
            ("bad.jsonl", 7, "completion"), ("bad.jsonl", 9, None), ("bad.jsonl", 10, None),
        ]  # fmt: skip
        assert all(row["message"] for row in rejected)

    def test_people_are_told_of_them(self, plaudit: Any) -> None:
        plaudit.write("bad.jsonl", line() + b"{\n")
        ended = plaudit("score", "verify.math", "bad.jsonl", "-o", "run")
        assert "1 row cannot be read  see run/rejected.jsonl" in ended.out
        assert "bad.jsonl, row 2: not JSON" in ended.out

    def test_a_column_under_another_name_is_told_how_to_name_it(self, plaudit: Any) -> None:
        plaudit.rows("other.jsonl", [{"question": "2+2?", "completion": "4"}])
        ended = plaudit("score", "verify.math", "other.jsonl", "--json")
        assert ended.status == 1
        assert "other.jsonl, row 1, prompt: " in ended.err
        assert "--column prompt=NAME" in ended.err

    def test_a_response_of_50_megabytes_is_scored_within_seconds(self, plaudit: Any) -> None:
        plaudit.write("huge.jsonl", line(id="huge", completion="4 " * (25 << 20)) + line(id="small"))
        begin = time.monotonic()
        ended = plaudit("score", "reward.yaml", "huge.jsonl", "-o", "run", "--json")
        assert time.monotonic() - begin < 20
        assert (ended.status, ended.json["scored"]) == (0, 2)
        assert [row["id"] for row in plaudit.run("run")] == ["huge", "small"]
        assert plaudit("rank", "reward.yaml", "huge.jsonl").status == 0
        assert len(plaudit("explain", "reward.yaml", "huge.jsonl", "--row", "1").out) < 5000

    def test_control_characters_of_a_response_do_not_reach_the_terminal(self, plaudit: Any) -> None:
        evil = "\x1b]0;owned\x07\x1b[2J\u202e right [bold red]4"
        plaudit.rows("evil.jsonl", [dict.fromkeys(("id", "prompt", "completion", "reference"), evil)])
        for command in (("rank",), ("explain", "--row", "1"), ("score", "-o", "run"), ("check",)):
            ended = plaudit(command[0], "verify.exact", "evil.jsonl", *command[1:])
            for text in (ended.out, ended.err):
                assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text), command
        assert "[bold red]4" in plaudit("explain", "verify.exact", "evil.jsonl", "--row", "1").out


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("nowhere.jsonl", None, "there is no such file"),
            ("empty.jsonl", b"", "is empty"),
            ("blank.jsonl", b"\n \n", "has no rows"),
            ("rows.csv", b"prompt,completion\n", "the format is not known by its ending"),
            ("rows.jsonl", "prompt".encode("utf-16"), "is UTF-16 text"),
            ("rows.parquet", b"PAR1 nonsense", "cannot be read"),
            (".", None, "is a folder"),
        ],
    )
    @pytest.mark.parametrize("command", ["score", "rank", "explain"])
    def test_a_file_that_cannot_be_used_is_refused_by_name(
        self, plaudit: Any, command: str, name: str, content: bytes | None, said: str
    ) -> None:
        if content is not None:
            plaudit.write(name, content)
        more = ("--row", "1") if command == "explain" else ()
        error = refused(plaudit(command, "verify.math", name, *more))
        assert f"error: {name}: " in error
        assert said in error

    def test_nothing_is_made_for_a_call_that_is_refused(self, plaudit: Any) -> None:
        before = sorted(os.listdir(plaudit.folder))
        refused(plaudit("score", "verify.math", "nowhere.jsonl"))
        refused(plaudit("score", "verify.mth", "answers.jsonl"))
        assert sorted(os.listdir(plaudit.folder)) == before

    def test_empty_standard_input_is_called_by_its_name(self, plaudit: Any) -> None:
        assert "standard input: is empty" in refused(plaudit("score", "verify.math", "-", stdin=b""))

    @pytest.mark.parametrize("option", ["prompt", "promt=x", "=x", "prompt="])
    def test_a_column_option_that_cannot_be_understood(self, plaudit: Any, option: str) -> None:
        refused(plaudit("score", "verify.math", "answers.jsonl", "--column", option))


class TestRewards:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("verify.mth", "did you mean 'verify.math'?"),
            ("{use: verify.mth}", "did you mean 'verify.math'?"),
            ("{use: verify.length, max_lenght: 3}", "did you mean 'max_length'?"),
            ("{use: verify.length, max_length: long}", "spec.max_length: expected a whole number, got 'long'"),
            ("{use: sum, parts: {a: {use: verify.math}, a: {use: verify.exact}}}", "stands twice"),
            ("{use: [", "is not YAML"),
            ("{}", "expected a mapping with a key 'use'"),
            ("&a {use: sum, parts: {a: *a}}", "contains itself"),
            ("nowhere.yaml", "cannot read the spec nowhere.yaml"),
            ("circle.yaml", "include each other in a circle"),
            ("judge.pointwise", "needs 'model'; write a spec, for example {use: judge.pointwise, model:"),
            ("rewards.py", "write rewards.py:NAME with one of right"),
            ("rewards.py:wrong", "has no function 'wrong'"),
            ("nowhere.py:right", "there is no file nowhere.py"),
            ("broken.py:right", "does not load: ZeroDivisionError"),
            ("no_such_module:right", "cannot import 'no_such_module'"),
            ("answers.jsonl", "is a file of an unknown kind"),
            (".", "is a folder without plaudit.json"),
            ("https://example.org/reward", "is a URL"),
            ("openai:gpt-4o-mini", "a judge makes it a reward"),
            ("", "REWARD is empty"),
        ],
    )
    def test_a_reward_that_cannot_be_made_is_refused_with_what_is_expected(self, plaudit: Any, text: str, said: str) -> None:
        plaudit.write("rewards.py", "def right(response, reference):\n    return 1.0\n")
        plaudit.write("broken.py", "1 / 0\n")
        plaudit.write("circle.yaml", "{use: spec, path: circle.yaml}")
        if text.startswith("&"):
            plaudit.write("alias.yaml", text)
            text = "alias.yaml"
        assert said in refused(plaudit("score", text, "answers.jsonl"))

    def test_a_reward_that_raises_on_everything_is_named_with_the_place(self, plaudit: Any) -> None:
        plaudit.write("rewards.py", "def right(response):\n    return response['x']\n")
        ended = plaudit("score", "rewards.py:right", "answers.jsonl", "-o", "run")
        assert ended.status == 1
        assert re.search(r"^error: the reward raised TypeError: .* at .*/rewards.py:2 in right, on everything", ended.err, re.M)
        assert "Traceback" not in ended.err
        assert "Traceback" in plaudit("--debug", "score", "rewards.py:right", "answers.jsonl", "-o", "run").err

    def test_a_mistake_of_our_own_shows_its_traceback_and_asks_for_a_report(
        self, plaudit: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("plaudit.cli._list.read_catalogue", lambda room: {}["oops"])
        ended = plaudit("list")
        assert ended.status == 1
        assert "Traceback" in ended.err
        assert "KeyError: 'oops'\nThis is a mistake in plaudit: please report it" in ended.err

    @pytest.mark.parametrize("arguments", [("scor",), ("score",), ("score", "a"), ("score", "a", "b", "--max-failures", "2")])
    def test_a_call_that_is_not_understood_points_to_the_help(self, plaudit: Any, arguments: tuple[str, ...]) -> None:
        assert "--help shows what it takes" in refused(plaudit(*arguments))


def limit_files_to(size: int) -> Any:
    """What a child does before it starts: no file may become larger, as if the disk were full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class TestNoSpace:
    def test_a_full_disk_ends_with_1_says_so_and_loses_nothing_that_was_committed(self, plaudit: Any) -> None:
        plaudit.rows(
            "many.jsonl",
            ({"prompt": f"{k}", "completion": os.urandom(20 if k < 200 else 2000).hex(), "reference": "4"} for k in range(400)),
        )
        plaudit.write(
            "rewards.py",
            "from plaudit.types import Verdict\ndef shown(response):\n    return Verdict(1.0, answer=response)\n",
        )
        arguments = ("score", "rewards.py:shown", "many.jsonl", "-o", "run", "--window", "100")
        ended = plaudit.process(*arguments, before=limit_files_to(60_000))
        assert ended.status == 1, ended.err
        assert re.search(r"^error: run/verdicts/part-00002.parquet cannot be written: .*free", ended.err, re.M)
        assert "Traceback" not in ended.err
        assert len(plaudit.run("run")) == 200
        assert plaudit(*arguments).status == 0
        assert len(plaudit.run("run")) == 400

    def test_a_file_system_without_space(self, plaudit: Any) -> None:
        place = plaudit.folder / "small"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("only a privileged user can make a small file system")
        try:
            plaudit.rows("many.jsonl", ({"prompt": f"{k}", "completion": os.urandom(200).hex()} for k in range(400)))
            plaudit.write(
                "rewards.py",
                "from plaudit.types import Verdict\ndef shown(response):\n    return Verdict(1.0, answer=response)\n",
            )
            ended = plaudit.process("score", "rewards.py:shown", "many.jsonl", "-o", "small/run", "--window", "50")
            assert ended.status == 1, ended.err
            assert "no space left on the disk" in ended.err
            assert 0 < len(plaudit.run("small/run")) < 400
        finally:
            subprocess.run(["umount", str(place)], check=True)


class TestTwoProcesses:
    def test_two_processes_on_one_cache_give_the_same_numbers_and_a_third_asks_nothing(self, plaudit: Any) -> None:
        plaudit.write(
            "rewards.py",
            "import asyncio\n"
            "async def judged(response):\n"
            "    with open('calls', 'a') as file:\n"
            "        file.write('x')\n"
            "    await asyncio.sleep(0.005)\n"
            "    return len(response) / 100\n",
        )
        plaudit.rows("many.jsonl", ({"prompt": "?", "completion": "x" * (k + 1)} for k in range(100)))
        spec = "{use: function, path: rewards.py:judged, range: [0, 1]}"
        both = [plaudit.start("score", spec, "many.jsonl", "-o", f"run{k}") for k in range(2)]
        assert [process.wait(60) for process in both] == [0, 0]
        calls = plaudit.folder / "calls"
        assert 100 <= len(calls.read_text()) <= 200
        calls.unlink()
        assert plaudit("score", spec, "many.jsonl", "-o", "run2").status == 0
        assert not calls.exists()
        assert plaudit.run("run0") == plaudit.run("run1") == plaudit.run("run2")

    def test_a_run_folder_has_one_writer(self, plaudit: Any) -> None:
        plaudit.write("rewards.py", "import time\ndef slow(response):\n    time.sleep(5)\n    return 1.0\n")
        first = plaudit.start("score", "rewards.py:slow", "answers.jsonl", "-o", "run")
        try:
            while not (plaudit.folder / "run" / "manifest.json").exists():
                assert first.poll() is None
                time.sleep(0.01)
            assert f"is being written by process {first.pid}" in refused(
                plaudit("score", "rewards.py:slow", "answers.jsonl", "-o", "run")
            )
        finally:
            first.kill()
            first.communicate()


def test_a_run_folder_that_is_something_else_is_left_alone(plaudit: Any) -> None:
    home = Path(plaudit.folder, "home")
    home.mkdir()
    (home / "thesis.tex").write_text("do not delete")
    for option in ("--resume", "--overwrite"):
        assert "is not empty and holds no run" in refused(plaudit("score", "verify.math", "answers.jsonl", "-o", "home", option))
    assert (home / "thesis.tex").read_text() == "do not delete"
