"""Credit among agents: against all orders of joining, and on a team with an idle member."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import counterfactual_credit, critical_path, shapley_credit
from plaudit.errors import DataError

games = st.integers(1, 4).flatmap(lambda k: st.lists(st.floats(-5, 5), min_size=2**k, max_size=2**k))


@given(games)
def test_shapley_equals_the_mean_over_all_orders_of_joining(values):
    agents = len(values).bit_length() - 1
    added = [[] for _ in range(agents)]
    for order in itertools.permutations(range(agents)):
        team = 0
        for agent in order:
            added[agent].append(values[team | 1 << agent] - values[team])
            team |= 1 << agent
    found = shapley_credit(values)
    np.testing.assert_allclose(found, [statistics.fmean(x) for x in added], atol=1e-9)
    assert found.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
    np.testing.assert_allclose(shapley_credit([values, values])[1], found, atol=1e-12)


def test_an_idle_agent_gets_nothing_and_equals_share():
    teams = np.arange(8)
    reward = ((teams & 1 > 0) & (teams & 2 > 0)).astype(float)  # agents 0 and 1 are both needed, agent 2 idles
    assert shapley_credit(reward).tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_messages_that_say_the_same_are_worth_nothing_one_by_one():
    assert np.array_equal(counterfactual_credit(1.0, [1.0, 1.0, 0.0, float("nan")]), [0, 0, 1, float("nan")], equal_nan=True)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=7), st.integers(0, 99))
def test_the_critical_path_is_the_longest_of_all_chains(seconds, seed):
    rng = np.random.default_rng(seed)
    n = len(seconds)
    edges = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.4]
    names = rng.permutation(n)  # the numbers of events need not follow time

    def longest(i):
        return seconds[i] + max((longest(j) for a, j in edges if a == i), default=0.0)

    times = np.empty(n)
    times[names] = seconds
    found, speedup = critical_path(times, [(names[a], names[b]) for a, b in edges])
    assert found == pytest.approx(max(map(longest, range(n))))
    assert speedup == pytest.approx(sum(seconds) / found if found else 1.0)
    assert speedup >= 1 - 1e-12


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: shapley_credit([1.0, 2.0, 3.0]), "a team each"),
        (lambda: shapley_credit([1.0, float("nan")]), r"values\[1\] is nan"),
        (lambda: counterfactual_credit(float("nan"), [1.0]), "reward is nan"),
        (lambda: critical_path([1.0, 1.0], [[0, 1], [1, 0]]), "event 0 waits in a circle"),
        (lambda: critical_path([1.0], [[0, 1]]), r"edges\[0\] is \[0, 1\]"),
        (lambda: critical_path([-1.0], []), r"seconds\[0\] is -1"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(DataError, match=said):
        call()
