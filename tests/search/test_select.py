"""Picking one answer of each group."""

import pytest

from plaudit import Sample
from plaudit.errors import ContractError, DataError
from plaudit.reward import reward
from plaudit.search import Choice, select


@reward(range=(0, 1))
def stated(response):
    """The number behind the bar; "?" is not scored."""
    value = response.split("|")[1]
    return None if value == "?" else float(value)


def answer(sample):
    return sample.response.split("|")[0] or None


def rows(*responses, group="q"):
    return [Sample("q", response, group=group) for response in responses]


def test_the_highest_reward_is_picked_in_each_group_and_unscored_ones_never():
    samples = rows("a|0.2", "b|0.9", "c|?") + rows("a|?", "d|0.1", group="r")
    assert select(samples, stated) == [Choice("q", 1, 0.9, False), Choice("r", 4, 0.1, False)]


def test_a_group_without_any_score_gives_its_first_sample_and_says_so():
    assert select(rows("a|?", "b|?"), stated) == [Choice("q", 0, None, False)]


def test_votes_count_answers_and_weighted_votes_add_rewards():
    samples = rows("a|0.2", "b|0.9", "a|0.3", "|1")
    assert select(samples, method="majority", answer=answer) == [Choice("q", 0, 2.0, False)]
    assert select(samples, stated, "weighted", answer) == [Choice("q", 1, 0.9, False)]


def test_ties_go_to_the_earlier_sample_and_are_marked():
    assert select(rows("a|0.5", "b|0.5"), stated) == [Choice("q", 0, 0.5, True)]
    assert select(rows("a|0", "b|0", "a|0"), method="majority", answer=answer) == [Choice("q", 0, 2.0, False)]


def test_equal_sums_in_another_order_are_a_tie():
    samples = rows("b|0.3", "b|0.2", "b|0.1", "a|0.1", "a|0.2", "a|0.3")
    assert select(samples, stated, "weighted", answer)[0].tied


def test_a_negative_weight_and_a_missing_reward_are_errors():
    cost = reward(lambda response: -1.0, range=(-1, 0)).named("cost")
    with pytest.raises(DataError, match="sample 0"):
        select(rows("a|0"), cost, "weighted", answer)
    with pytest.raises(ContractError, match="needs a reward"):
        select(rows("a|0"))


def test_a_method_that_does_not_exist_is_refused():
    with pytest.raises(ContractError, match="'bset': expected one of 'best', 'majority', 'weighted'"):
        select(rows("a|0.5"), stated, "bset")
