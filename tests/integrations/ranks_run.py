"""Scores on two processes joined by gloo, without a trainer; run by test_trl.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch.distributed as distributed

from plaudit.integrations.trl import reward_func
from plaudit.reward import reward
from plaudit.types import Verdict

RANK = int(os.environ["RANK"])
CALLS: list[list[str]] = []


@reward(range=(0, 1), scope="group", batch=True)
def first_letters(responses, group):
    """The share of a group's responses that begin alike; notes what it was asked."""
    CALLS.append(list(responses))
    return [
        sum(r[0] == own[0] for r, g in zip(responses, group, strict=True) if g == mine) / group.count(mine)
        for own, mine in zip(responses, group, strict=True)
    ]


@reward(range=(0, 10), scope="batch", batch=True)
def longest(responses):
    return [float(max(map(len, responses)))] * len(responses)


@reward(range=(0, 1))
def broken_on_one_rank(response):
    if RANK == 1:
        raise ZeroDivisionError("only here")
    return 1.0


@reward(range=(0, 1))
def fails_on_one_rank(response):
    return Verdict.failed("judge_unreachable") if RANK == 1 else 1.0


def outcome(work) -> str:
    try:
        return f"{work()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(out: str) -> None:
    distributed.init_process_group("gloo")
    prompts = [["p", "p", "p"], ["p", "q", "q", "q", "q"]][RANK]  # ranks of different sizes; p is split
    completions = [["ax", "ay", "bxxx"], ["az", "bx", "by", "bz", "az"]][RANK]
    logged: dict[str, float] = {}
    function = reward_func(first_letters, num_generations=4)
    found: dict[str, object] = {"group": function(prompts=prompts, completions=completions, log_metric=logged.__setitem__)}
    found["logged"] = {name: value for name, value in logged.items() if "seconds" not in name}
    found["calls"] = CALLS
    found["guessed"] = reward_func(first_letters)(prompts=prompts, completions=completions)
    found["batch"] = reward_func(longest)(prompts=prompts, completions=completions)
    one = {"prompts": ["p", "p"], "completions": ["a", "b"]}
    found["broken"] = outcome(lambda: reward_func(broken_on_one_rank)(**one))
    found["uneven"] = outcome(lambda: reward_func(first_letters, num_generations=3)(**one))
    found["environments"] = outcome(lambda: reward_func(first_letters)(**one, environments=[1, 2]))
    guarded = reward_func(fails_on_one_rank, max_failure_rate=0.4, failure_window=4)
    found["stopped"] = outcome(lambda: guarded(**one))
    found["after"] = reward_func(longest)(**one)  # no rank was left waiting
    distributed.destroy_process_group()
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
