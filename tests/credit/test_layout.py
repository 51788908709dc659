"""Verdicts to padded arrays: every reward at the right token, nothing lost, nothing NaN."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.credit import group_advantage, min_form, process_advantage, to_tokens, token_layout
from plaudit.errors import DataError
from plaudit.reward import Facts, Reward, minimum
from plaudit.types import Dense, Sample, Verdict

NAN = float("nan")
PIECES = ["One step. ", "Two", " steps. ", "答", "案。", "🙂"]


def decode(ids):
    return "".join(PIECES[i] for i in ids)


@dataclass(frozen=True)
class Sentences(Reward):
    """The share of sentences that say "step", each judged in its place; abstains on empty text."""

    @property
    def facts(self):
        return Facts(range=(0.0, float("inf")), reads=frozenset({"response"}))

    def score_one(self, sample, context):
        ends = [i + 1 for i, c in enumerate(sample.response) if c in ".。"]
        starts = [0, *ends[:-1]]
        values = [float("step" in sample.response[a:b]) for a, b in zip(starts, ends, strict=False)]
        return Verdict(sum(values), dense=Dense("step", values, starts[: len(ends)], ends))


@dataclass(frozen=True)
class Long(Reward):
    """The characters of a response, below a hundred; fails on a smiling one."""

    @property
    def facts(self):
        return Facts(range=(0.0, 100.0), reads=frozenset({"response"}))

    def score_one(self, sample, context):
        return Verdict.failed("reference_missing") if "🙂" in sample.response else Verdict(float(len(sample.response)))


@dataclass(frozen=True)
class FirstToken(Reward):
    """1 at the first token."""

    @property
    def facts(self):
        return Facts(range=(0.0, 1.0), reads=frozenset({"tokens"}))

    def score_one(self, sample, context):
        return Verdict(1.0, dense=Dense("token", [1.0], [0], [1]))


def drawn(rows):
    return [Sample("p", decode(ids), group=group, tokens=np.array(ids, int)) for ids, group in rows]


batches = st.lists(st.tuples(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.sampled_from("ab")), min_size=1, max_size=6)


@given(batches)
def test_token_rewards_add_up_to_the_value_and_stand_where_the_sentences_end(rows):
    samples, tree = drawn(rows), Sentences().named("s") + 0.25 * Long().named("l") + 2.0 * FirstToken().named("f")
    verdicts = tree.score(samples)
    arrays = to_tokens(samples, verdicts, tree, decode)
    for i, (ids, _) in enumerate(rows):
        if np.isnan(verdicts.values[i]):
            assert not arrays.mask[i].any()
            continue
        assert arrays.rewards[i].sum() == pytest.approx(verdicts.values[i])
        assert arrays.mask[i].sum() == len(ids)
        wanted = np.zeros(arrays.rewards.shape[1])
        wanted[0] += 2.0
        wanted[len(ids) - 1] += 0.25 * len(decode(ids))
        said = ""
        for t, token in enumerate(ids):
            said += PIECES[token]
            if PIECES[token].rstrip()[-1] in ".。":
                wanted[t] += float("step" in said)
                said = " " if PIECES[token].endswith(" ") else ""
        np.testing.assert_allclose(arrays.rewards[i], wanted)


@given(batches)
def test_advantages_are_the_groups_at_every_token_or_the_process_at_each(rows):
    samples, tree = drawn(rows), Sentences() + Long()
    verdicts = tree.score(samples)
    groups, lengths = [g for _, g in rows], [len(ids) for ids, _ in rows]
    arrays = to_tokens(samples, verdicts, tree, decode)
    wanted, _ = group_advantage(verdicts.values, groups)
    np.testing.assert_array_equal(arrays.advantages, np.where(arrays.mask, np.nan_to_num(wanted)[:, None], 0.0))
    within = to_tokens(samples, verdicts, tree, decode, advantage="tokens")
    flat = np.concatenate([np.where(arrays.mask[i, :n], arrays.rewards[i, :n], NAN) for i, n in enumerate(lengths)])
    process, _ = process_advantage(flat, np.concatenate([[0], np.cumsum(lengths)]), groups)
    np.testing.assert_allclose(within.advantages[:, :][arrays.mask], process[~np.isnan(process)])
    assert np.isfinite(within.advantages).all()
    assert np.isfinite(arrays.advantages).all()


@given(batches)
def test_step_schemes_work_on_what_each_leaf_placed(rows):
    samples, tree = drawn(rows), 0.5 * Sentences().named("s")
    verdicts = tree.score(samples)
    plain = to_tokens(samples, verdicts, tree, decode)
    shaped = to_tokens(samples, verdicts, tree, decode, steps=lambda scores, offsets: min_form(scores, offsets, 0.0))
    for i, sample in enumerate(samples):
        scores = Sentences().score([sample])[0].dense.values
        assert plain.rewards[i].sum() == pytest.approx(0.5 * scores.sum())
        assert shaped.rewards[i].sum() == pytest.approx(0.5 * min(scores, default=0.0))


def test_a_leaf_with_places_under_a_minimum_is_refused_unless_its_value_is_taken_whole():
    samples = drawn([([0, 1, 2], "a"), ([3, 4], "a")])
    tree = minimum(Sentences(), Long()) + FirstToken()
    verdicts = tree.score(samples)
    with pytest.raises(DataError, match="leaf 'sentences'"):
        to_tokens(samples, verdicts, tree, decode)
    arrays = to_tokens(samples, verdicts, tree, decode, non_linear="whole")
    np.testing.assert_allclose(arrays.rewards, [[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]])


@given(st.lists(st.lists(st.one_of(st.floats(-3, 3), st.just(NAN)), max_size=5), max_size=5), st.integers(0, 3))
def test_a_table_holds_every_row_from_the_left(rows, more):
    values = [x for row in rows for x in row]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(int)
    width = max((len(row) for row in rows), default=0) + more
    table, mask = token_layout(values, offsets, width, fill=-9.0)
    assert table.shape == mask.shape == (len(rows), width)
    for row, found, there in zip(rows, table, mask, strict=True):
        padded = np.array([*row, *[NAN] * (width - len(row))])
        np.testing.assert_array_equal(there, ~np.isnan(padded))
        np.testing.assert_array_equal(found, np.where(np.isnan(padded), -9.0, padded))


def test_bad_input_is_named():
    samples, tree = drawn([([0, 1], "a")]), Sentences()
    verdicts = tree.score(samples)
    with pytest.raises(DataError, match="expected decode"):
        to_tokens(samples, verdicts, tree)
    with pytest.raises(DataError, match="decode to"):
        to_tokens(samples, verdicts, tree, lambda ids: "other")
    with pytest.raises(DataError, match="sample 0 has no tokens"):
        to_tokens([Sample("p", "x", group="a")], verdicts, tree, decode)
    with pytest.raises(DataError, match="sample 0 has no group"):
        to_tokens([Sample("p", "x", tokens=np.array([0]))], verdicts, tree, decode)
    with pytest.raises(DataError, match="1 samples and 0 verdicts"):
        to_tokens(samples, tree.score([]), tree, decode)
    with pytest.raises(DataError, match="row 1 has 3 tokens, width is 2"):
        token_layout([1.0] * 4, [0, 1, 4], 2)
