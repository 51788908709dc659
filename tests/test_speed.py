"""Ratios of the contract's benchmark, with room for a busy machine; `python benchmarks/contract.py` has the strict figures."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "contract.py"


@pytest.fixture(scope="module")
def contract():
    spec = importlib.util.spec_from_file_location("benchmark_of_the_contract", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_importing_stays_near_numpy_and_loads_nothing_heavy(contract):
    bare, whole = contract.imports()
    assert bare.ratio < 1, "import plaudit loads no room, so it takes less than numpy alone"
    assert whole.ratio < 10
    assert "heavy: []" in whole.what


def test_the_runner_costs_a_small_multiple_of_a_loop_written_by_hand(contract):
    (row,) = contract.runner(5_000)
    assert row.ratio < 20


def test_the_cache_serves_no_slower_than_it_learns(contract):
    (row,) = contract.cache(5_000)
    assert row.ratio > 0.5


def test_the_pool_keeps_two_workers_busy(contract):
    (row,) = contract.pool(tasks=200)
    assert row.ratio > 0.5, "share of the ideal throughput; 0.95 on a quiet machine"
