"""What the commands answer on good input, for people and as JSON, with which status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plaudit import __version__

LIST_KEYS = {"name", "room", "summary", "range", "scope", "lane", "systems", "version"}
SCORE_KEYS = {"n", "scored", "abstained", "failed", "mean", "seconds", "per_second", "run"}
RANKED_KEYS = {"rank", "id", "value", "status", "reason", "answer"}


class TestList:
    def test_json_is_a_list_of_exactly_the_keys_of_the_contract(self, plaudit: Any) -> None:
        ended = plaudit("list", "--json")
        assert ended.status == 0
        entries = {entry["name"]: entry for entry in ended.json}
        assert {frozenset(entry) for entry in entries.values()} == {frozenset(LIST_KEYS)}
        math = entries["verify.math"]
        assert (math["room"], math["range"], math["scope"], math["lane"]) == ("verify", [0.0, 1.0], "sample", "inline")
        assert entries["verify.exact"]["summary"].startswith("1 when the response is the reference")

    def test_a_room_picks_its_own(self, plaudit: Any) -> None:
        rooms = {entry["room"] for entry in plaudit("list", "--room", "verify", "--json").json}
        assert rooms == {"verify"}

    def test_an_unknown_room_names_the_nearest(self, plaudit: Any) -> None:
        ended = plaudit("list", "--room", "verfy")
        assert (ended.status, ended.out) == (2, "")
        assert "there is no room 'verfy'; did you mean 'verify'?" in ended.err

    def test_a_reward_of_another_package_that_does_not_import_is_a_warning(self, plaudit: Any) -> None:
        info = plaudit.folder / "site" / "broken-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[plaudit.rewards]\nmine.polite = no_such_module:Polite\n")
        ended = plaudit.process("list", "--json", PYTHONPATH=str(plaudit.folder / "site"))
        assert ended.status == 0
        assert "warning: mine.polite does not work" in ended.err
        assert "mine.polite" not in {entry["name"] for entry in ended.json}


class TestShow:
    def test_a_name_shows_facts_fields_source_and_an_example(self, plaudit: Any) -> None:
        ended = plaudit("show", "verify.length")
        assert ended.status == 0
        for part in ("[-1, 0]", "max_length", "DAPO", "use: verify.length", "from plaudit.verify import Length"):
            assert part in ended.out

    def test_json_holds_what_list_holds_and_more(self, plaudit: Any) -> None:
        shown = plaudit("show", "verify.length", "--json").json
        assert set(shown) == LIST_KEYS | {
            "doc", "source", "fields", "parts", "reads", "deterministic", "stateful", "example", "python",
        }  # fmt: skip
        field = next(f for f in shown["fields"] if f["name"] == "unit")
        assert (field["type"], field["required"], field["default"]) == ("tokens | characters | words", False, "tokens")

    def test_the_examples_of_every_reward_work(self, plaudit: Any) -> None:
        from plaudit.reward import from_spec

        for entry in plaudit("list", "--json").json:
            shown = plaudit("show", entry["name"], "--json").json
            assert from_spec(shown["example"]).facts.version == entry["version"]
            space: dict[str, Any] = {}
            *imports, expression = shown["python"].splitlines()
            exec("\n".join(imports), space)
            assert eval(expression, space).fingerprint == from_spec(shown["example"]).fingerprint

    def test_a_spec_shows_its_leaves(self, plaudit: Any) -> None:
        shown = plaudit("show", "reward.yaml", "--json").json
        assert [(leaf["name"], leaf["use"], leaf["weight"]) for leaf in shown["leaves"]] == [
            ("format", "verify.format", None), ("math", "verify.math", None), ("overlong", "verify.length", 0.2),
        ]  # fmt: skip


class TestScore:
    def test_json_has_exactly_the_keys_of_the_contract_and_nothing_else_is_on_standard_output(self, plaudit: Any) -> None:
        ended = plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--json")
        assert ended.status == 0
        result = ended.json
        assert set(result) == SCORE_KEYS
        assert (result["n"], result["scored"], result["abstained"], result["failed"], result["run"]) == (6, 5, 0, 1, "run")
        assert result["mean"] == pytest.approx((1 + 0 + 0 + 1 - 0.2 + 1) / 5)
        assert result["per_second"] > 5 / result["seconds"]

    def test_a_run_holds_the_verdict_of_every_row_and_a_column_for_each_leaf(self, plaudit: Any) -> None:
        plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run")
        table = plaudit.run("run")
        assert [row["id"] for row in table] == list("abcdef")
        assert table[3] == {
            "row": 3, "id": "d", "value": 0.8, "status": "scored", "reason": None, "answer": "4", "explanation": None,
            "leaves": "sss", "format": 1.0, "math": 1.0, "overlong": -1.0,
        }  # fmt: skip
        assert (table[5]["status"], table[5]["value"], table[5]["reason"]) == ("failed", None, "part_failed:correct")
        manifest = json.loads((plaudit.folder / "run" / "manifest.json").read_text())
        assert {"spec", "fingerprint", "data_sha256", "versions", "seed", "command"} <= set(manifest)

    def test_people_see_counts_leaves_and_what_failed(self, plaudit: Any) -> None:
        ended = plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run")
        assert "6 rows   scored 5   abstained 0   failed 1   mean 0.56" in ended.out
        assert re.search(r"overlong +-0\.\d+ +0\.\d+ +0\.2 +\d+% ", ended.out)
        assert "id f, correct: part_failed:math: math: reference_missing" in ended.out
        assert max(map(len, ended.out.splitlines())) <= 80

    def test_without_a_folder_a_new_one_is_made_and_named(self, plaudit: Any) -> None:
        first, second = (plaudit("score", "reward.yaml", "answers.jsonl", "--json").json["run"] for _ in range(2))
        assert re.fullmatch(r"runs/\d{8}-\d{6}-reward", first)
        assert first != second
        assert (plaudit.folder / first / "summary.json").exists()

    def test_a_run_is_gone_on_with_but_not_with_another_reward_or_other_data(self, plaudit: Any) -> None:
        plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--limit", "3")
        assert len(plaudit.run("run")) == 3
        assert plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--json").json["n"] == 6
        refused = plaudit("score", "verify.math", "answers.jsonl", "-o", "run")
        assert refused.status == 2
        assert "holds a run of another reward or other data" in refused.err
        assert plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--no-resume").status == 2
        assert plaudit("score", "verify.math", "answers.jsonl", "-o", "run", "--overwrite", "--json").json["n"] == 6

    def test_too_many_failures_end_with_1_and_still_give_the_figures(self, plaudit: Any) -> None:
        ended = plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--max-failures", "0.1", "--json")
        assert ended.status == 1
        assert ended.json["failed"] == 1
        assert "1 of 6 rows failed (16.7%), more than the 10.0% allowed" in ended.err
        assert plaudit("score", "reward.yaml", "answers.jsonl", "-o", "run", "--max-failures", "0.2").status == 0

    def test_a_run_in_which_nothing_was_scored_ends_with_1(self, plaudit: Any) -> None:
        plaudit.rows("none.jsonl", [{"prompt": "2+2?", "completion": "4"}])
        ended = plaudit("score", "verify.math", "none.jsonl", "--json")
        assert (ended.status, ended.json["mean"]) == (1, None)
        assert "nothing was scored: reference_missing" in ended.err

    def test_standard_input_and_other_column_names(self, plaudit: Any) -> None:
        line = b'{"question": "2+2?", "output": {"text": "4"}, "gold": 4}\n'
        columns = ("--column", "prompt=question", "--column", "completion=output.text", "--column", "reference=gold")
        ended = plaudit("score", "verify.math", "-", *columns, "--json", stdin=line)
        assert (ended.status, ended.json["mean"]) == (0, 1.0)

    @pytest.mark.parametrize(
        "scorer", ["verify.math", "{use: verify.math, percent: value}", "rewards.py:mine", "rewards.py:plain", "rewards.py:Mine"]
    )
    def test_every_way_to_name_a_reward(self, plaudit: Any, scorer: str) -> None:
        plaudit.write(
            "rewards.py",
            "from dataclasses import dataclass\n"
            "from plaudit.reward import Facts, Reward, reward\n"
            "from plaudit.types import Verdict\n"
            "@reward(range=(0, 1))\n"
            "def mine(response, reference):\n"
            "    return float(str(reference) in response)\n"
            "def plain(response):\n"
            "    return 1.0\n"
            "@dataclass(frozen=True)\n"
            "class Mine(Reward):\n"
            "    @property\n"
            "    def facts(self):\n"
            "        return Facts(range=(0, 1))\n"
            "    def score_one(self, sample, context):\n"
            "        return Verdict(1.0)\n",
        )
        ended = plaudit("score", scorer, "answers.jsonl", "--json")
        assert ended.status == 0, ended.err
        assert ended.json["scored"] >= 5


class TestRank:
    def test_responses_come_by_falling_reward_with_ties_and_the_unscored_last(self, plaudit: Any) -> None:
        ended = plaudit("rank", "reward.yaml", "answers.jsonl", "--json", "-o", "ranking.jsonl")
        assert ended.status == 0
        first, second = ended.json
        assert [(r["rank"], r["id"]) for r in first["responses"]] == [(1, "a"), (2, "d"), (3, "b"), (3, "c")]
        assert [(r["rank"], r["id"], r["status"]) for r in second["responses"]] == [(1, "e", "scored"), (None, "f", "failed")]
        assert set(first["responses"][0]) == RANKED_KEYS
        assert [json.loads(line) for line in (plaudit.folder / "ranking.jsonl").read_text().splitlines()] == ended.json

    def test_people_see_the_place_the_answer_and_why_there_is_no_value(self, plaudit: Any) -> None:
        out = plaudit("rank", "reward.yaml", "answers.jsonl").out
        assert re.search(r"^ +3=  +0  b ", out, re.MULTILINE)
        assert re.search(r"^ +–  +FAILED  f  part_failed:correct", out, re.MULTILINE)
        assert max(map(len, out.splitlines())) <= 80

    def test_top_cuts_each_prompt(self, plaudit: Any) -> None:
        first, second = plaudit("rank", "reward.yaml", "answers.jsonl", "--top", "1", "--json").json
        assert ([r["id"] for r in first["responses"]], first["n"]) == (["a"], 4)
        assert [r["id"] for r in second["responses"]] == ["e"]

    def test_candidates_of_one_row_are_ranked_together(self, plaudit: Any) -> None:
        plaudit.rows("many.jsonl", [{"prompt": "2+2?", "completions": ["5", "4", "3"], "answer": "4"}])
        (group,) = plaudit("rank", "verify.math", "many.jsonl", "--json").json
        assert [(r["rank"], r["id"]) for r in group["responses"]] == [(1, "1/1"), (2, "1/0"), (2, "1/2")]


class TestExplain:
    def test_the_tree_of_a_row(self, plaudit: Any) -> None:
        ended = plaudit("explain", "reward.yaml", "answers.jsonl", "--row", "4")
        assert ended.status == 0
        assert "└─ overlong = -1  × 0.2  (17%)  [verify.length]" in ended.out

    def test_by_id_and_as_json(self, plaudit: Any) -> None:
        ended = plaudit("explain", "reward.yaml", "answers.jsonl", "--id", "d", "--json")
        assert (ended.json["row"], ended.json["id"], ended.json["value"]) == (4, "d", 0.8)
        assert [part["name"] for part in ended.json["parts"]] == ["correct", "overlong"]

    def test_a_row_that_is_not_scored_ends_with_1(self, plaudit: Any) -> None:
        assert plaudit("explain", "reward.yaml", "answers.jsonl", "--row", "6").status == 1

    def test_one_candidate_of_a_row(self, plaudit: Any) -> None:
        plaudit.rows("many.jsonl", [{"prompt": "2+2?", "completions": ["5", "4", "3"], "answer": "4"}])
        assert plaudit("explain", "verify.math", "many.jsonl", "--row", "1/1", "--json").json["value"] == 1.0
        assert "row 1 holds 3 responses" in plaudit("explain", "verify.math", "many.jsonl", "--row", "1").err
        assert plaudit("explain", "verify.math", "many.jsonl", "--row", "1/3").status == 2

    def test_a_value_that_depends_on_the_group_is_that_of_the_whole_group(self, plaudit: Any) -> None:
        plaudit.write(
            "rewards.py",
            "from plaudit.reward import reward\n"
            "@reward(range=(0, 100), scope='group', batch=True)\n"
            "def size(response):\n"
            "    return [float(len(response))] * len(response)\n",
        )
        assert plaudit("explain", "rewards.py:size", "answers.jsonl", "--row", "2", "--json").json["value"] == 4.0

    @pytest.mark.parametrize("arguments", [(), ("--row", "1", "--id", "a"), ("--row", "0"), ("--row", "9"), ("--id", "nobody")])
    def test_a_row_that_cannot_be_found_is_usage(self, plaudit: Any, arguments: tuple[str, ...]) -> None:
        ended = plaudit("explain", "reward.yaml", "answers.jsonl", *arguments)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("error: ")


class TestCheck:
    def test_a_good_reward_passes(self, plaudit: Any) -> None:
        ended = plaudit("check", "verify.exact", "--json")
        assert ended.status == 0
        assert set(ended.json) == {"reward", "fingerprint", "ok", "findings"}
        assert {frozenset(f) for f in ended.json["findings"]} == {frozenset({"check", "result", "sentence"})}

    def test_a_finding_ends_with_1_and_says_what_it_is(self, plaudit: Any) -> None:
        plaudit.write(
            "rewards.py",
            "from plaudit.reward import reward\n@reward(range=(0, 1))\ndef greedy(response):\n    return len(response) / 10\n",
        )
        ended = plaudit("check", "rewards.py:greedy", "answers.jsonl")
        assert ended.status == 1
        assert re.search(r"^FAILED  +range ", ended.out, re.MULTILINE)


class TestDoctor:
    def test_it_tries_the_lanes_and_ends_with_0_where_they_work(self, plaudit: Any) -> None:
        ended = plaudit("doctor", "--json", OPENAI_API_KEY="", OPENAI_BASE_URL="")
        assert ended.status == 0, ended.out
        found = {f["name"]: f for f in ended.json["findings"]}
        assert set(found["cpu lane"]) == {"area", "name", "state", "essential", "said", "mend"}
        assert {found[name]["state"] for name in ("python", "plaudit", "cpu lane", "io lane", "memory cap", "cache")} == {"ok"}
        assert found["openai:"]["state"] == "missing"
        assert "OPENAI_API_KEY" in found["openai:"]["mend"]

    def test_a_cache_that_cannot_be_written_is_said_with_what_to_do(self, plaudit: Any) -> None:
        plaudit.write("cache.sqlite", "this is no cache")
        found = {f["name"]: f for f in plaudit("doctor", "--json").json["findings"]}
        assert found["cache"]["state"] == "broken"
        assert str(plaudit.folder / "cache.sqlite") in found["cache"]["said"]

    def test_a_server_that_is_down_is_found_only_when_asked_for(self, plaudit: Any) -> None:
        url = "http://127.0.0.1:9/v1"
        for arguments, state in (((), "ok"), (("--online",), "broken")):
            found = {f["name"]: f for f in plaudit("doctor", "--json", *arguments, OPENAI_BASE_URL=url).json["findings"]}
            assert found["openai:"]["state"] == state


class TestProcesses:
    def test_the_version(self, plaudit: Any) -> None:
        assert plaudit.process("--version").out == f"plaudit {__version__}\n"

    def test_the_installed_script_is_the_same_command(self, plaudit: Any) -> None:
        script = Path(sys.executable).with_name("plaudit")
        shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert shown.stdout == f"plaudit {__version__}\n"

    def test_a_function_of_a_module_on_the_path(self, plaudit: Any) -> None:
        plaudit.write("mine.py", "def always(response):\n    return 1.0\n")
        ended = plaudit.process("score", "mine:always", "answers.jsonl", "--json", PYTHONPATH=str(plaudit.folder))
        assert ended.json["mean"] == 1.0

    def test_the_help_is_quick_and_loads_neither_pyarrow_nor_numpy(self) -> None:
        code = (
            "import sys\nfrom plaudit.cli import main\nmain(['--help'])\n"
            "assert not {'numpy', 'pyarrow', 'torch', 'httpx', 'yaml'} & set(sys.modules), sorted(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    def test_a_reader_that_goes_away_ends_the_command_quietly(self, plaudit: Any) -> None:
        plaudit.rows("long.jsonl", ({"prompt": f"{k}?", "completion": "x" * 60, "reference": "y"} for k in range(3000)))
        process = plaudit.start("rank", "verify.exact", "long.jsonl")
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_a_terminal_that_knows_few_characters_gets_them_spelt_out(self, plaudit: Any, encoding: str) -> None:
        ended = plaudit.process("explain", "reward.yaml", "answers.jsonl", "--row", "1", PYTHONIOENCODING=encoding)
        assert ended.status == 0
        assert "\\u2514\\u2500" in ended.out

    def test_a_full_disk_under_standard_output_is_said(self, plaudit: Any) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        with open("/dev/full", "wb") as full:
            process = plaudit.start("list", "--json", stdout=full)
            assert process.wait(30) == 1
        assert b"the output cannot be written: No space left on device" in process.stderr.read()
