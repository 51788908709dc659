"""A trained model as a reward: values, bottoms, token contributions, specs."""

import numpy as np
import pytest

from plaudit.errors import ModelError, SpecError
from plaudit.learned import (
    Head,
    HiddenFeatures,
    RewardModel,
    TextFeatures,
    Training,
    features_at,
    train,
    training_labels,
    training_pairs,
)
from plaudit.reward import from_spec
from plaudit.types import Context, Pair, Sample


@pytest.fixture(scope="module")
def folder(colours, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "colours"
    colours.save(path)
    return path


@pytest.fixture(scope="module")
def gated_folder(gated, tmp_path_factory, arithmetic):
    path = tmp_path_factory.mktemp("models") / "gated"
    gated.save(path)
    return path


GOOD, BAD = Sample("Say a colour.", "I say violet."), Sample("Say a colour.", "I say fifteen.")


def test_it_prefers_what_it_was_taught_on_words_that_it_never_saw(folder):
    good, bad = RewardModel(folder)([GOOD, BAD])
    assert good > bad


def test_the_three_outputs_are_one_order(folder):
    raw = RewardModel(folder)([GOOD, BAD])
    standard = RewardModel(folder, output="standard")([GOOD, BAD])
    chance = RewardModel(folder, output="probability")([GOOD, BAD])
    assert np.all(np.diff(standard) < 0)
    assert np.all(np.diff(chance) < 0)
    assert np.all((chance > 0) & (chance < 1))
    scale = RewardModel(folder).description()["scores"]
    assert standard == pytest.approx((raw - scale["mean"]) / scale["std"])


@pytest.mark.parametrize(
    ("response", "reason"), [("", "response_empty"), ("  ", "response_empty"), ("<think>a", "response_unclosed_thought")]
)
def test_a_response_without_text_gets_the_lowest_score_of_a_training_response(folder, response, reason):
    reward = RewardModel(folder)
    verdict = reward.one("Say a colour.", response)
    assert verdict.reason == reason
    assert verdict.value == reward.description()["scores"]["lowest"]
    assert RewardModel(folder, output="probability").one("Say a colour.", response).value == 0


def test_a_response_beyond_the_size_guard_is_not_read(folder):
    assert RewardModel(folder, max_characters=10).one("Say a colour.", "I say violet.").reason == "response_too_large"


def test_a_response_that_is_too_long_for_the_backbone_is_at_the_bottom_and_alone(gated_folder, arithmetic):
    long = Sample(arithmetic.samples[0].prompt, "1+1=2\n" * 100)
    verdicts = RewardModel(gated_folder).score([*arithmetic.samples[:3], long, *arithmetic.samples[3:6]], arithmetic.context)
    assert [v.reason for v in verdicts] == [None] * 3 + ["response_unreadable"] + [None] * 3
    lowest = RewardModel(gated_folder).description()["scores"]["lowest"]
    assert verdicts[3].value == pytest.approx(lowest)


def test_a_prompt_that_the_backbone_cannot_read_is_not_the_responses_fault(gated_folder, arithmetic):
    samples = [Sample("1+" * 200 + "1=?\n", "2"), arithmetic.samples[0]]
    failed, scored = RewardModel(gated_folder).score(samples, arithmetic.context)
    assert failed.reason == "reward_error"
    assert scored.reason is None


def test_a_spec_gives_the_same_reward(folder):
    reward = RewardModel(folder, output="probability")
    again = from_spec(reward.to_yaml())
    assert again == reward
    assert again.fingerprint == reward.fingerprint


def test_fields_that_cannot_be_are_refused(folder):
    for fields in ({"output": "logit"}, {"max_characters": 0}, {"dense": True, "output": "probability"}):
        with pytest.raises(SpecError):
            RewardModel(folder, **fields)


def test_token_contributions_sum_to_the_score_and_stand_on_the_samples_own_tokens(gated_folder, arithmetic):
    samples = arithmetic.samples[:6]
    verdicts = RewardModel(gated_folder, dense=True).score(samples, arithmetic.context)
    for sample, verdict in zip(samples, verdicts, strict=True):
        assert verdict.dense.level == "token"
        assert verdict.dense.end.max() <= len(sample.tokens)
        assert verdict.dense.values.sum() == pytest.approx(verdict.value, rel=1e-4, abs=1e-5)
    without = Sample(samples[0].prompt, samples[0].response)
    assert RewardModel(gated_folder, dense=True).score([without], arithmetic.context)[0].dense is None


def test_a_sample_scores_the_same_with_its_tokens_and_without(gated_folder, arithmetic):
    bare = [Sample(s.prompt, s.response) for s in arithmetic.samples[:16]]
    reward = RewardModel(gated_folder)
    expected = reward.score(arithmetic.samples[:16], arithmetic.context).values
    assert reward.score(bare, arithmetic.context).values == pytest.approx(expected, abs=1e-5)


def test_a_head_on_the_policys_own_likelihood_tells_right_from_wrong(gated, arithmetic):
    from plaudit.stats import auc

    scores = gated.scores(arithmetic.samples, arithmetic.context)
    assert float(auc(scores, arithmetic.right > 0.5)) > 0.8


def test_shuffled_labels_teach_nothing(arithmetic):
    from plaudit.stats import auc

    shuffled = np.random.default_rng(0).permutation(arithmetic.right)
    features = HiddenFeatures("policy:", layers=(-1,), logprobs=False)
    model = train(
        training_labels(arithmetic.samples[:400], shuffled[:400]), features, Head("linear"), Training(epochs=10),
        holdout=0, context=arithmetic.context,
    )  # fmt: skip
    scores = model.scores(arithmetic.samples[400:], arithmetic.context)
    assert abs(float(auc(scores, arithmetic.right[400:] > 0.5)) - 0.5) < 0.2


def test_another_policy_than_the_one_it_was_trained_on_is_refused(gated_folder, arithmetic):
    from plaudit.lm import LocalModel
    from plaudit.worlds import load_policy

    other = load_policy("arithmetic-weak")
    context = Context(models={"policy": LocalModel(other.model, other.tokenizer, version="after training")})
    with pytest.raises(ModelError, match="after training"):
        RewardModel(gated_folder).score(arithmetic.samples[:2], context)
    with pytest.raises(ModelError, match="Context holds no model"):
        RewardModel(gated_folder).score(arithmetic.samples[:2])


def test_a_backbone_without_a_version_cannot_be_trained_on(arithmetic):
    from plaudit.lm import LocalModel

    model = arithmetic.context.models["policy"]
    context = Context(models={"policy": LocalModel(model.model, model.tokenizer)})
    data = training_labels(arithmetic.samples[:40], arithmetic.right[:40])
    with pytest.raises(ModelError, match="no version"):
        train(data, HiddenFeatures("policy:"), Head("linear"), context=context)


def test_hidden_features_have_the_states_the_statistics_and_their_summary(arithmetic):
    samples = arithmetic.samples[:3]
    features = HiddenFeatures("policy:", layers=(0, -1))
    rows = features.rows(samples, arithmetic.context)
    model = arithmetic.context.models["policy"]
    ids = model.tokenize([samples[0].prompt], [samples[0].response])[0]
    reading = model.read([samples[0].prompt], [[ids]], ("logprob", "hidden:-1"))[0][0]
    n = int(rows.lengths[0])
    assert n == len(ids)
    assert rows.widths == (2 * 128 + 3, 13)
    assert rows.tokens[:n, 128:256] == pytest.approx(reading.hidden[-1], abs=1e-4)
    assert rows.tokens[:n, 256] == pytest.approx(reading.logprob, abs=1e-4)
    assert rows.whole[0, 0] == pytest.approx(reading.logprob.mean(), abs=1e-4)
    assert rows.whole[0, 3] == pytest.approx(reading.logprob.min(), abs=1e-4)
    assert rows.whole[0, 9] == pytest.approx(reading.logprob.sum(), abs=1e-3)


def test_text_features_are_response_product_and_distance_and_blind_ones_the_response_alone():
    features = TextFeatures()
    rows = features.rows([GOOD])
    p, r = features.model_of().encode(["Say a colour.", "I say violet."])
    assert rows.whole[0] == pytest.approx(np.concatenate([r, p * r, abs(p - r)]), abs=1e-5)
    assert features.blind_rows(rows, [GOOD]).whole[0] == pytest.approx(r, abs=1e-5)
    assert features.blind().rows([GOOD]).whole[0] == pytest.approx(r, abs=1e-5)


def test_embeddings_are_kept_on_disk(tmp_path):
    features = features_at("encoder:minilm", cache=tmp_path / "kept")
    first = features.rows([GOOD, BAD]).whole
    assert (tmp_path / "kept").is_dir()
    assert np.array_equal(features_at("encoder:minilm", cache=tmp_path / "kept").rows([GOOD, BAD]).whole, first)


@pytest.mark.parametrize("fields", [{"layers": (), "logprobs": False}, {"layers": (1, 1)}, {"layers": (0.5,)}, {"model": "gpt"}])
def test_hidden_features_that_take_nothing_or_twice_the_same_are_refused(fields):
    with pytest.raises(SpecError):
        HiddenFeatures(**{"model": "policy:", **fields})


def test_training_reports_held_out_accuracy_beside_what_needs_no_model(colour_pairs):
    model = train(training_pairs(colour_pairs), TextFeatures(), Head("linear"), Training(epochs=10), holdout=0.3)
    assert [found.name for found in model.measured] == ["reward model", "longer wins", "prompt-blind"]
    own = model.measured[0]
    assert own.low <= own.value <= own.high
    assert own.value > 0.9
    assert model.counts["held_out"]
    assert model.counts["training"]


def test_pairs_without_prompts_are_split_by_the_texts_that_they_share():
    pairs = [Pair("", f"good text {k}", f"bad text {k}") for k in range(30)]
    model = train(training_pairs(pairs), TextFeatures(), Head("linear"), Training(epochs=5), holdout=0.3)
    assert 5 <= model.measured[0].n <= 15


def test_labels_of_single_responses_are_measured_by_auc():
    words = [("red", 1), ("blue", 1), ("ten", 0), ("two", 0)]
    samples = [Sample(f"prompt {k}", f"I say {words[k % 4][0]}, {k}.") for k in range(40)]
    data = training_labels(samples, [words[k % 4][1] for k in range(40)])
    model = train(data, TextFeatures(), Head("linear"), Training(loss="cross_entropy", epochs=10), holdout=0.4)
    assert model.measured[0].metric == "auc"
    assert model.measured[0].value > 0.8
