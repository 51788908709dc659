"""Attacks that look for what a reward likes."""

import numpy as np
import pytest

from plaudit import Sample
from plaudit.errors import ContractError
from plaudit.reward import reward
from plaudit.stress import PROSE_EDITS, any_of, change_digit, pool_attack, search_attack

longer = reward(lambda response: float(len(response)), range=(0, np.inf)).named("longer")


@reward(range=(0, 1))
def right(response):
    return float("4" in response)


@reward(range=(0, 1))
def nines(response):
    return min(1.0, response.count("9") / 10)


def groups(n):
    return [Sample(f"q{k}", text, group=str(k)) for k in range(n) for text in ("it is 4 and 99", "it is 5 and 1111")]


def test_the_search_climbs_to_what_the_reward_likes_and_never_counts_what_became_right():
    found = search_attack(nines, right, groups(10), change_digit, tries=150)
    assert found.success == 1.0
    for better, worse in found.worked:
        assert "4" in better.response
        assert "4" not in worse.response
        assert worse.response.count("9") > 2


def test_a_reward_that_is_the_gold_reward_cannot_be_searched():
    assert search_attack(right, right, groups(5), change_digit, tries=30).success == 0.0


def test_the_search_is_the_same_for_the_same_seed_and_bounded_in_length():
    one, two = (search_attack(longer, right, groups(4), any_of(PROSE_EDITS), tries=10, max_growth=3.0, seed=1) for _ in range(2))
    assert [w.response for _, w in one.worked] == [w.response for _, w in two.worked]
    assert all(len(worse.response) <= 3 * len("it is 5 and 1111") for _, worse in one.worked)


def test_more_tries_never_make_the_search_weaker():
    few, many = (search_attack(nines, right, groups(20), change_digit, tries=tries).success for tries in (1, 40))
    assert few <= many


def test_the_pool_attack_takes_the_best_liked_worse_response_and_leaves_better_ones_alone():
    pool = [Sample("q0", "a very long wrong answer, 5", group="0"), Sample("q1", "a very, very long right answer, 4", group="1")]
    found = pool_attack(longer, right, groups(2), pool)
    assert (found.success, found.n) == (1.0, 1)
    assert found.worked[0][1].response == "a very long wrong answer, 5"


def test_the_best_liked_of_the_better_responses_is_the_bar():
    samples = [*groups(1), Sample("q0", "it is 4, and this goes on for very long indeed", group="0")]
    assert pool_attack(longer, right, samples, [Sample("q0", "a very long wrong answer, 5", group="0")]).success == 0.0


def test_a_better_response_that_was_not_scored_sets_no_bar():
    part = reward(lambda response: None if "?" in response else float(len(response)), range=(0, np.inf)).named("part")
    samples = [Sample("q", text, group="a") for text in ("4", "4?", "5")]
    found = pool_attack(part, right, samples, [Sample("q", "555", group="a")])
    assert (found.success, found.n) == (1.0, 1)


def test_groups_that_are_all_alike_are_refused():
    with pytest.raises(ContractError, match="no group has"):
        pool_attack(longer, right, [Sample("q", "4", group="a")], [])
