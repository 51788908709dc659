"""Rewards for verl_run.py: a leaf that fails on purpose, one of group scope, and a function made by `reward_function`."""

from __future__ import annotations

import asyncio

from plaudit.integrations.verl import reward_function
from plaudit.reward import reward
from plaudit.types import Verdict


@reward(range=(0, 1))
def right(response, reference):
    return float(response == reference)


@reward(range=(-1, 0))
def short(response):
    """Abstains on a response that is a "T"hought."""
    return Verdict.failed("judge_unreachable", "out") if response.startswith("b") else -len(response) / 10


@reward(range=(0, 1))
async def judge(response):
    await asyncio.sleep(0.001)
    return None if response.startswith("T") else 0.5


@reward(range=(0, 1), scope="group", batch=True)
def share_right(responses, references, group):
    hits = [float(a == b) for a, b in zip(responses, references, strict=True)]
    return [sum(h for h, g in zip(hits, group, strict=True) if g == own) / group.count(own) for own in group]


judged = reward_function(right + judge, on_unscored=0.0, form="async")
