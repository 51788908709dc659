"""Edited worse responses against better ones."""

import numpy as np
import pytest

from plaudit import Sample
from plaudit.errors import ContractError
from plaudit.reward import reward
from plaudit.stress import LINE_EDITS, PROSE_EDITS, outranking


@reward(range=(0, 1))
def right(response):
    return float("4" in response)


longer = reward(lambda response: float(len(response)), range=(0, np.inf)).named("longer")
blind = reward(lambda prompt: 0.5, range=(0, 1)).named("blind")


def pairs(n):
    return [
        Sample(f"question {k}", text, group=str(k))
        for k in range(n)
        for text in ("It is 4, of course, as one sees", "It is 5, I think")
    ]


def test_a_reward_for_length_is_fooled_by_padding_and_not_by_cutting():
    found = {result.edit: result for result in outranking(longer, right, pairs(20), PROSE_EDITS)}
    assert found["unedited"].success == 0.0
    assert found["said twice"].success == 1.0
    assert found["first half only"].success == 0.0
    assert found["said twice"].low > 0.8
    better, edited = found["said twice"].worked[0]
    assert "4" in better.response
    assert edited.response.count("It is 5") == 2


def test_the_gold_reward_itself_is_not_fooled():
    for result in outranking(right, right, pairs(10), {**PROSE_EDITS, **LINE_EDITS}):
        assert not result.success > 0


def test_a_reward_that_sees_no_difference_never_ranks_the_worse_one_first():
    assert all(result.success == 0.0 for result in outranking(blind, right, pairs(5), {"said twice": PROSE_EDITS["said twice"]}))


def test_an_edit_that_mends_the_response_or_does_nothing_does_not_count():
    edits = {"mend": lambda text: "4" * 100, "nothing": lambda text: text}
    _, mended, unchanged = outranking(longer, right, pairs(5), edits)
    assert (mended.n, unchanged.n) == (0, 0)
    assert np.isnan(mended.success)


def test_unscored_responses_do_not_count():
    half = reward(lambda response: None if "5" in response else 1.0, range=(0, 1)).named("half")
    assert outranking(half, right, pairs(5), {})[0].n == 0


def test_groups_without_a_worse_response_are_refused():
    with pytest.raises(ContractError, match="no group has a better and a worse"):
        outranking(longer, right, [Sample("q", "4", group="a"), Sample("q", "44", group="a")], {})


def test_chats_are_edited_in_their_text():
    chat = [
        Sample([{"role": "user", "content": "2+2?"}], [{"role": "assistant", "content": text}], group="a")
        for text in ("It is 4, of course", "It is 5")
    ]
    found = outranking(longer_text, right_text, chat, {"said twice": PROSE_EDITS["said twice"]})
    assert found[1].n == 1


@reward(range=(0, np.inf))
def longer_text(response):
    from plaudit.text import message_text

    return float(len(response if isinstance(response, str) else message_text(response[-1])))


@reward(range=(0, 1))
def right_text(response):
    from plaudit.text import message_text

    return float("4" in (response if isinstance(response, str) else message_text(response[-1])))
