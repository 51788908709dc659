"""Compliant answers get what they deserve; answers that plead, hedge, repeat or overflow get the bottom of the range."""

import runpy
import time
from pathlib import Path

import pytest

from plaudit.types import Context, Status

FOLDER = Path(__file__).parents[1] / "fixtures"
NAMES = ("math", "exact", "format", "length", "choice", "numeric", "regex", "f1")
MODULES = {name: runpy.run_path(str(FOLDER / f"verify_{name}.py")) for name in NAMES}


def cases(kind):
    return [
        pytest.param(name, k, id=f"{name}-{k}-{str(_sample(case).response)[:40]!r}")
        for name, module in MODULES.items()
        for k, case in enumerate(module[kind])
    ]


def _sample(case):
    return case[0] if isinstance(case, tuple) else case


@pytest.mark.parametrize(("name", "k"), cases("GOLDEN"))
def test_golden(name, k):
    sample, expected = MODULES[name]["GOLDEN"][k]
    verdict = MODULES[name]["REWARD"].score_one(sample, Context())
    if isinstance(expected, str):
        assert (verdict.status, verdict.reason) == (Status.FAILED, expected), verdict
    else:
        assert verdict.status is Status.SCORED
        assert verdict.value == pytest.approx(expected), verdict


@pytest.mark.parametrize(("name", "k"), cases("HACKS"))
def test_hacks_get_the_bottom_at_once(name, k):
    reward, sample = MODULES[name]["REWARD"], MODULES[name]["HACKS"][k]
    start = time.perf_counter()
    verdict = reward.score_one(sample, Context())
    assert (verdict.status, verdict.value) == (Status.SCORED, reward.facts.range[0]), verdict
    assert time.perf_counter() - start < 0.5
    assert verdict.reason is not None
    assert verdict.reason.startswith("response_")


@pytest.mark.parametrize("name", MODULES)
def test_the_runner_gives_the_same_values(name):
    reward = MODULES[name]["REWARD"]
    scored = [(sample, value) for sample, value in MODULES[name]["GOLDEN"] if not isinstance(value, str)]
    assert reward([sample for sample, _ in scored]).tolist() == pytest.approx([value for _, value in scored])
