"""``plaudit reproduce``: the command line on experiments of another package."""

import json
import os
import signal
import time


def parsed(ended):
    return json.loads(ended.stdout, parse_constant=lambda name: 1 / 0)


def test_the_status_says_whether_everything_holds(in_process):
    for names, status in [
        (["it-holds"], 0),
        (["it-holds", "it-does-not"], 1),
        (["its-control-shows-it-too"], 1),
        (["it-crashes", "one-seed-with-items"], 1),
        (["one-seed-with-items"], 0),
    ]:
        assert in_process(*names).returncode == status, names


def test_json_is_what_the_contract_says(installed):
    ended = installed("it-holds", "it-crashes", "--json")
    holds, crashes = parsed(ended)
    assert list(holds) == [
        "name", "systems", "claim", "measured", "interval", "control", "control_interval", "holds", "seeds", "seconds", "unit",
        "details", "versions", "smoke", "error",
    ]  # fmt: skip
    assert (holds["name"], holds["systems"], holds["holds"], holds["seeds"]) == ("it-holds", [3, 99], True, [0, 1, 2])
    assert holds["details"]["trials"][1]["details"] == {"seed": 1}
    assert holds["details"]["trials"][0]["curves"] == {"gain": [0, 0.5, 1]}
    assert "ValueError" in crashes["error"]
    assert "it-holds seed 2 (3 of 3)" in ended.stderr
    assert json.loads((installed.folder / "runs/reproduce/it-holds.json").read_text()) == holds


def test_the_table_shows_measurement_control_and_claim(installed):
    ended = installed("it-holds", "it-does-not", "it-crashes")
    for text in ("1.01 (0.985, 1.03) points", "control 0.00333", "holds", "does not hold", "error", "It is the other way round."):
        assert text in ended.stdout, text
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "the second \\x1b[31m seed" in ended.stderr


def test_one_seed_is_judged_by_its_direction(in_process):
    ended = in_process("it-holds", "--seeds", "1")
    assert ended.returncode == 0
    assert "direction right" in ended.stdout
    assert in_process("it-does-not", "--seeds", "1").returncode == 1


def test_the_list_names_every_experiment_and_warns_of_a_package_that_is_broken(in_process):
    ended = in_process("--list", "--json")
    listed = {each["name"]: each for each in parsed(ended)}
    assert set(listed) >= {
        "step-checker-sees-wrong-steps", "it-holds", "it-does-not", "its-control-shows-it-too", "it-crashes",
        "one-seed-with-items", "it-takes-long",
    }  # fmt: skip
    assert listed["it-takes-long"]["smoke"] == 0.01
    assert "experiments 'wrong' are left out" in ended.stderr
    assert "It takes a while." in in_process("--list").stdout


def test_a_smoke_run_is_marked(in_process):
    (finding,) = parsed(in_process("it-takes-long", "--smoke", "--json"))
    assert (finding["smoke"], finding["measured"], finding["seeds"]) == (True, 0.01, [0])
    assert not (in_process.folder / "runs/reproduce/it-takes-long.json").exists()


def test_usage_errors_end_with_2_and_say_what_to_give(in_process):
    for arguments, said in [
        ([], "give experiments by NAME"),
        (["it-holds", "--all"], "give experiments by NAME"),
        (["it-hold"], "did you mean 'it-holds'"),
        (["999"], "no experiment checks system 999"),
        (["--share", "2"], "expected K/N"),
        (["--share", "4/3"], "1 <= K <= N"),
        (["it-holds", "--seeds", "0"], "seeds"),
    ]:
        ended = in_process(*arguments)
        assert ended.returncode == 2, arguments
        assert said in ended.stderr, (arguments, ended.stderr)
        assert "Traceback" not in ended.stderr


def test_a_share_is_a_part_of_all_experiments(in_process):
    n = len(parsed(in_process("--list", "--json")))
    # With as many parts as experiments each has its own, the shortest the last; beyond that parts are empty.
    (finding,) = parsed(in_process("--share", f"{n}/{n}", "--json"))
    assert finding["name"] == "one-seed-with-items"
    ended = in_process("--share", f"{n + 1}/{n + 1}", "--json")
    assert (parsed(ended), ended.returncode) == ([], 0)


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(installed):
    process = installed.start("it-takes-long", "-o", "results")
    kept = installed.folder / "results/seeds/it-takes-long/0.json"
    deadline = time.monotonic() + 30
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "the same command goes on" in err
    assert "Traceback" not in err
    (finding,) = parsed(installed("it-takes-long", "-o", "results", "--seeds", "1", "--json"))
    assert finding["seeds"] == [0]


def test_a_folder_in_use_is_refused(installed):
    process = installed.start("it-takes-long", "-o", "results")
    while not (installed.folder / "results/seeds").exists():
        time.sleep(0.05)
    ended = installed("it-holds", "-o", "results")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert ended.returncode == 2
    assert "in use by another run" in ended.stderr
    assert installed("it-holds", "-o", "results").returncode == 0, "the lock ends with its process"
