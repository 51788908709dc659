"""What becomes of the rows of a file before a head sees them: nothing is dropped in silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.learned import training_labels, training_pairs
from plaudit.learned._measure import components
from plaudit.learned._training_set import MOST_PAIRS_OF_A_PROMPT, split_groups
from plaudit.types import Pair, Sample


def test_ties_equal_texts_and_empty_responses_are_left_out_and_counted():
    data = training_pairs(
        [
            Pair("p", "good", "bad"), Pair("p", "good", "bad", tie=True), Pair("p", "same", "same"), Pair("p", "good", " "),
            Pair("p", "", "bad"),
        ]
    )  # fmt: skip
    assert len(data.targets.pairs) == 1
    assert dict(data.notes) == {"tie": 1, "same_text": 1, "empty_response": 2}


def test_texts_that_differ_only_in_their_thinking_part_are_the_same_text():
    with pytest.raises(DataError, match="same text"):
        training_pairs([Pair("p", "<think>a</think>yes", "<think>b</think>yes")])


def test_contradictory_pairs_are_kept_and_counted():
    data = training_pairs([Pair("p", "a", "b"), Pair("p", "b", "a"), Pair("p", "a", "c")])
    assert data.notes["contradictory"] == 2
    assert len(data.targets.pairs) == 3
    assert data.targets.labels.tolist() == pytest.approx([2 / 3, 0.5, 0.0])


def test_no_usable_pair_is_an_error_that_says_why():
    with pytest.raises(DataError, match="no pair is left to train on: there are 2 ties"):
        training_pairs([Pair("p", "a", "b", tie=True)] * 2)
    with pytest.raises(DataError, match="there are no rows"):
        training_pairs([])


def test_margins_count_only_when_asked_for_and_must_not_be_negative():
    pair = Pair("p", "a", "b", margin=2.0)
    assert training_pairs([pair]).targets.margin.tolist() == [0.0]
    assert training_pairs([pair], margins=True).targets.margin.tolist() == [2.0]
    with pytest.raises(DataError, match="margin -1"):
        training_pairs([Pair("p", "a", "b", margin=-1.0)], margins=True)


def test_labels_that_are_missing_are_left_out_and_counted():
    samples = [Sample("p", f"r{k}") for k in range(5)]
    data = training_labels(samples, [1, None, float("nan"), 0, True])
    assert data.notes["no_label"] == 2
    assert len(data.samples) == 3


def test_a_label_outside_its_range_names_the_row():
    with pytest.raises(DataError, match="row 1 has the label 3"):
        training_labels([Sample("p", "a"), Sample("p", "b")], [1, 3])
    with pytest.raises(DataError, match="row 0 has the label 'yes'"):
        training_labels([Sample("p", "a")], ["yes"])


def test_one_class_only_is_an_error():
    with pytest.raises(DataError, match="all 2 responses have the label 1"):
        training_labels([Sample("p", "a"), Sample("q", "b")], [1, 1])


def test_a_repeated_text_counts_once_with_its_mean_label():
    data = training_labels([Sample("p", "a"), Sample("p", "a"), Sample("p", "b")], [1, 0, 0])
    assert data.targets.labels.tolist() == [0.5, 0.0]
    assert data.notes["repeated"] == 1


def test_pairs_are_made_within_a_prompt_alone_and_each_prompt_has_the_same_say():
    samples = [Sample("p", str(k)) for k in range(4)] + [Sample("q", str(k)) for k in range(2)]
    data = training_labels(samples, [1, 1, 0, 0, 1, 0])
    pairs, weight = data.targets.pairs, data.targets.pair_weight
    assert len(pairs) == 5
    assert (data.targets.group[pairs[:, 0]] == data.targets.group[pairs[:, 1]]).all()
    first = data.targets.group[pairs[:, 0]] == 0
    assert weight[first].sum() == pytest.approx(weight[~first].sum())


def test_prompts_without_contrast_are_counted():
    data = training_labels([Sample("p", "a"), Sample("p", "b"), Sample("q", "a")], [1, 0, 1])
    assert data.notes["without_contrast"] == 1


def test_a_prompt_with_very_many_responses_gives_a_bounded_number_of_pairs():
    data = training_labels([Sample("p", str(k)) for k in range(100)], [k % 2 for k in range(100)])
    assert len(data.targets.pairs) == MOST_PAIRS_OF_A_PROMPT


def test_the_digest_changes_with_texts_and_labels():
    one = training_labels([Sample("p", "a"), Sample("p", "b")], [1, 0]).digest
    assert one == training_labels([Sample("p", "a"), Sample("p", "b")], [1, 0]).digest
    assert one != training_labels([Sample("p", "a"), Sample("p", "b")], [0, 1]).digest
    assert one != training_labels([Sample("p", "a"), Sample("p", "c")], [1, 0]).digest


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.integers(0, 5))
def test_a_split_never_parts_a_prompt(group, seed):
    group = np.array(group)
    first, second = split_groups(group, (0.3, 0.3), seed)
    assert not (first & second).any()
    for name in np.unique(group):
        assert first[group == name].all() or not first[group == name].any()
        assert second[group == name].all() or not second[group == name].any()


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=30))
def test_responses_that_pairs_connect_are_one_component(pairs):
    found = components(np.array(pairs), 16)
    assert all(found[a] == found[b] for a, b in pairs)
    untouched = set(range(16)) - {k for pair in pairs for k in pair}
    assert len({found[k] for k in untouched}) == len(untouched)
