"""The training loop: what is learned from, what is not, and what the reward is handed."""

import copy
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from align.rewards import AgainstTheMean, Constant, OutOfOrder, Shorter, Witness
from hypothesis import given
from hypothesis import strategies as st

from plaudit.align import GrpoConfig, clipped_objective, evaluate_policy, grpo, grpo_seeds, token_logprobs, token_weights
from plaudit.align._problems import problems_of_step
from plaudit.align._rollout import answer_advantages, draw_answers
from plaudit.align._update import Learner
from plaudit.errors import DataError, ModelError, SpecError, TooManyFailures
from plaudit.types import Context, Sample, Sampling, Verdict, Verdicts
from plaudit.worlds import ArithmeticAnswer, Policy

SMALL = GrpoConfig(steps=3, prompts_per_step=6, group_size=4, max_tokens=16)


def weights(policy):
    return {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_learns_what_the_reward_asks_for(policy, problems):
    before = evaluate_policy(policy, problems[:32], Shorter(), 4, max_tokens=16)
    training = grpo(policy, problems, Shorter(), replace(SMALL, steps=12, learning_rate=5e-3, prompts_per_step=8))
    after = evaluate_policy(policy, problems[:32], Shorter(), 4, max_tokens=16)
    assert after.interval[0] > before.interval[1]
    assert training.steps == 12
    assert training.skipped == 0
    steps, rewards = training.curve("reward")
    assert steps.tolist() == list(range(1, 13))
    assert rewards[-3:].mean() > rewards[:3].mean()


def test_a_batch_without_variance_changes_nothing(policy, problems):
    before = weights(policy)
    training = grpo(policy, problems, Constant(), SMALL)
    assert same(before, weights(policy))
    assert training.skipped == 3
    assert all(row["flat_groups"] == 1.0 and row["updates"] == 0 for row in training.history)


def test_the_first_update_has_ratio_one_and_later_ones_have_not(policy, problems):
    once = grpo(Policy(copy.deepcopy(policy.model), policy.tokenizer), problems, Shorter(), SMALL)
    assert all(row["update_kl"] == 0.0 and row["clip_fraction"] == 0.0 for row in once.history)
    again = grpo(policy, problems, Shorter(), replace(SMALL, epochs=4, learning_rate=2e-3, warmup_steps=0, clip_low=0.01))
    assert again.history[0]["updates"] == 4
    assert again.history[0]["update_kl"] > 0
    assert again.history[0]["clip_fraction"] > 0


def test_sampler_and_trainer_agree_on_the_probabilities(policy, problems):
    assert all(row["sampler_gap"] < 1e-5 for row in grpo(policy, problems, Shorter(), SMALL).history)


def test_kl_to_the_reference_starts_at_zero_and_grows(policy, problems):
    training = grpo(policy, problems, Shorter(), replace(SMALL, kl_every=1, learning_rate=2e-3, warmup_steps=0))
    found = training.curve("kl")[1]
    assert found[0] < 1e-8
    assert found[-1] > 1e-4


def test_a_strong_kl_penalty_holds_the_policy_back(policy, problems):
    config = replace(SMALL, steps=6, learning_rate=1e-3, kl_every=1)
    free = Policy(copy.deepcopy(policy.model), policy.tokenizer)
    grpo(free, problems, Shorter(), config)
    held = Policy(copy.deepcopy(policy.model), policy.tokenizer)
    grpo(held, problems, Shorter(), replace(config, kl_coefficient=20.0))
    learner = Learner(policy.model, config, None)

    def distance(trained):
        answers = draw_answers(trained, [p.sample("") for p in problems], replace(config, prompts_per_step=32), 0)
        return learner.divergence(answers)

    assert distance(held) < distance(free) / 2


@pytest.mark.parametrize("aggregation", ["token", "sequence", "constant"])
def test_the_update_takes_the_gradient_of_all_answers_although_it_reads_few(shipped, problems, aggregation):
    """Equal answers are read once and answers without advantage not at all: the gradient is that of the whole batch."""
    config = replace(SMALL, aggregation=aggregation, gradient_clip=None, rows=5)
    policy = Policy(copy.deepcopy(shipped.model), shipped.tokenizer)
    answers = draw_answers(policy, [p.sample("") for p in problems], config, 0)
    texts = {(s.prompt, s.response) for s in answers.samples}
    assert len(texts) < len(answers.samples), "or no two answers are equal here"
    advantages = np.random.default_rng(0).normal(size=len(answers.samples))
    advantages[::5], advantages[1::7] = 0.0, np.nan
    policy.model.set_attn_implementation("eager")

    learner = Learner(policy.model, config, None)
    taken = learner.learn(answers, advantages, 0)["gradient_norm"]

    policy.model.load_state_dict(learner.reference.state_dict())
    policy.model.zero_grad()
    rows = [k for k in range(len(advantages)) if not np.isnan(advantages[k])]
    lengths = np.array([len(answers.tokens[k]) for k in rows])
    logprobs = token_logprobs(policy.model, [answers.prompts[k] for k in rows], [answers.tokens[k] for k in rows])
    spread, each = (
        torch.tensor(np.repeat(column, lengths)) for column in (advantages[rows], token_weights(lengths, aggregation, 16))
    )
    torch.autograd.backward(clipped_objective(logprobs, logprobs.detach(), spread, each).loss)
    whole = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in policy.model.parameters()))
    assert taken == pytest.approx(float(whole), rel=1e-4)


def test_unscored_answers_give_no_gradient_and_enter_no_mean(small, problems):
    config = replace(SMALL, kl_every=None)
    answers = draw_answers(small, [p.sample("") for p in problems], config, 0)
    advantages = np.random.default_rng(0).normal(size=len(answers.samples))
    unscored = np.arange(len(advantages)) % 3 == 0
    kept = [k for k in range(len(advantages)) if not unscored[k]]
    fewer = replace(answers, samples=[answers.samples[k] for k in kept], prompts=[answers.prompts[k] for k in kept])
    with_nan, without = (copy.deepcopy(small.model) for _ in range(2))
    Learner(with_nan, config, None).learn(answers, np.where(unscored, np.nan, advantages), 0)
    Learner(without, config, None).learn(fewer, advantages[kept], 0)
    assert same(with_nan.state_dict(), without.state_dict())
    assert not same(with_nan.state_dict(), small.model.state_dict())


def test_a_step_of_which_nothing_is_scored_is_counted_and_skipped(policy, problems):
    training = grpo(policy, problems, OutOfOrder(abstained_steps=(2,)), SMALL)
    assert training.skipped == 1
    assert [row["abstained"] for row in training.history] == [0.0, 1.0, 0.0]
    assert "reward" not in training.history[1]


def test_too_many_failures_end_the_run_and_a_few_do_not(policy, problems):
    with pytest.raises(TooManyFailures, match=r"24 of the last 24 answers FAILED \(at step 1\)"):
        grpo(policy, problems, OutOfOrder(failed_steps=(1, 2, 3)), SMALL)
    training = grpo(policy, problems, OutOfOrder(failed_steps=(3,)), SMALL)
    assert [row["failed"] for row in training.history] == [0.0, 0.0, 1.0]
    assert grpo(policy, problems, OutOfOrder(failed_steps=(1, 2, 3)), replace(SMALL, max_failure_rate=1.0)).skipped == 3


def test_truncated_answers_are_kept_masked_or_dropped():
    verdicts = Verdicts.of([Verdict(v) for v in (1.0, 0.0, 0.0, 1.0)])
    cut, groups = np.array([False, False, True, False]), np.zeros(4, dtype=np.int64)
    kept, masked, dropped = (answer_advantages(verdicts, cut, groups, "mean", way)[0] for way in ("keep", "mask", "drop"))
    np.testing.assert_allclose(kept, [0.5, -0.5, -0.5, 0.5])
    np.testing.assert_allclose(masked, [0.5, -0.5, np.nan, 0.5])
    np.testing.assert_allclose(dropped, [1 / 3, -2 / 3, np.nan, 1 / 3])


def test_answers_cut_at_the_limit_teach_nothing_when_masked(shipped, problems):
    policy = Policy(copy.deepcopy(shipped.model), shipped.tokenizer)
    before = weights(policy)
    training = grpo(policy, problems, Shorter(), replace(SMALL, max_tokens=3, truncated="mask"))
    assert [row["truncated"] for row in training.history] == [1.0] * 3
    assert same(before, weights(policy))


def test_the_reward_is_handed_whole_groups_with_tokens_and_the_step(policy, problems):
    witness = Witness()
    grpo(policy, problems, witness, SMALL, context=Context(environments={"a": 1}))
    assert [context.step for _, context in witness.calls] == [1, 2, 3]
    assert len({context.seed for _, context in witness.calls}) == 3
    samples, context = witness.calls[0]
    assert context.environments == {"a": 1}
    assert {"policy", "reference"} <= set(context.models)
    assert context.models["policy"].generate(["1+1=?\n"], sampling=Sampling(max_tokens=3))[0][0].text
    assert len(samples) == 24
    groups = [sample.group for sample in samples]
    assert [groups.count(name) for name in dict.fromkeys(groups)] == [4] * 6
    for sample in samples:
        assert sample.group_size == 4
        assert sample.finish in ("stop", "length")
        assert len(sample.tokens) == len(sample.logprobs)
        written = sample.tokens[:-1] if sample.finish == "stop" else sample.tokens
        assert policy.tokenizer.decode(written) == sample.response
        assert sample.reference is not None


def test_problems_may_be_samples_with_columns_of_their_own(policy):
    witness = Witness()
    rows = [Sample(f"{k}+{k}=?\n", "", reference=2 * k, meta={"k": k}) for k in range(1, 9)]
    grpo(policy, rows, witness, replace(SMALL, steps=1))
    assert {s.meta["k"]: s.reference for s in witness.calls[0][0]}.items() <= {k: 2 * k for k in range(1, 9)}.items()


def test_stateful_rewards_learn_once_a_step(policy, problems):
    reward = AgainstTheMean()
    grpo(policy, problems, 0.5 * reward + Shorter(), SMALL)
    assert reward.state["count"] == 3 * 24


def test_history_has_a_curve_for_every_leaf(policy, problems):
    training = grpo(policy, problems, ArithmeticAnswer().named("right") + 0.01 * Shorter().named("short"), SMALL)
    row = training.history[0]
    assert row["reward"] == pytest.approx(row["reward/right"] + 0.01 * row["reward/short"])
    with pytest.raises(KeyError, match="reward/right"):
        training.curve("reward/left")


def test_the_same_seed_gives_the_same_training_and_another_seed_another(policy, problems):
    runs = {}
    for seed, training in grpo_seeds(policy, problems, Shorter(), replace(SMALL, steps=2), seeds=(0, 1)):
        runs[seed] = weights(training.policy)
    again = dict(grpo_seeds(policy, lambda seed: problems, Shorter(), replace(SMALL, steps=2), seeds=(0,)))
    assert same(runs[0], weights(again[0].policy))
    assert not same(runs[0], runs[1])


def test_evaluations_come_before_after_and_in_between(policy, problems):
    seen = []

    def evaluate(trained):
        seen.append(trained)
        return {"score": float(len(seen))}

    training = grpo(policy, problems, Shorter(), replace(SMALL, steps=5, evaluate_every=2), evaluate=evaluate)
    steps, values = training.curve("evaluate/score")
    assert steps.tolist() == [0, 2, 4, 5]
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_what_the_policy_was_before_is_put_back(policy, problems):
    policy.model.train()
    grpo(policy, problems, Shorter(), replace(SMALL, steps=1))
    assert policy.model.training
    assert policy.model.config._attn_implementation == "sdpa"


@given(count=st.integers(1, 7), total=st.integers(1, 20), seed=st.integers(0, 5))
def test_every_problem_comes_once_before_any_comes_again(count, total, seed):
    drawn = np.concatenate([problems_of_step(step, count, total, seed) for step in range(3 * total)])
    whole = len(drawn) // total * total
    assert all(sorted(part) == list(range(total)) for part in drawn[:whole].reshape(-1, total).tolist())


def test_learning_rate_rises_and_falls_to_nothing():
    rates = [GrpoConfig(steps=80, warmup_steps=5, learning_rate=1.0).rate(step) for step in range(80)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[4]
    assert rates[-1] == pytest.approx(1 / 80)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("group_size", 1), ("learning_rate", float("nan")), ("clip_low", 1.5), ("aggregation", "mean"),
        ("normalize", "median"), ("temperature", 0.0), ("seed", -1), ("steps", True), ("betas", (0.9, 1.0)),
        ("minibatches", 500), ("truncated", "cut"), ("max_failure_rate", 2.0), ("gradient_clip", 0.0), ("max_tokens", "96"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(SpecError, match=f"GrpoConfig.{field}"):
        GrpoConfig(**{field: value})


def test_what_is_no_problem_or_no_reward_is_refused(policy, problems):
    with pytest.raises(DataError, match="at least one"):
        grpo(policy, [], Shorter(), SMALL)
    with pytest.raises(DataError, match=r"problems\[1\] is int"):
        grpo(policy, [problems[0], 7], Shorter(), SMALL)
    with pytest.raises(SpecError, match="expected a Reward"):
        grpo(policy, problems, lambda samples: [0.0], SMALL)


def test_weights_of_sixteen_bits_are_refused(policy, problems):
    policy.model.to(torch.bfloat16)
    with pytest.raises(ModelError, match=r"bfloat16.*float32"):
        grpo(policy, problems, Shorter(), SMALL)


def test_the_policy_itself_as_reference_means_the_policy_as_given(policy, problems):
    training = grpo(policy, problems, Shorter(), replace(SMALL, kl_every=1, learning_rate=2e-3), reference=policy)
    assert training.curve("kl")[1][-1] > 1e-4


def test_a_broken_gradient_leaves_the_policy_as_it_is(policy, problems):
    config = replace(SMALL, kl_every=None)
    answers = draw_answers(policy, [p.sample("") for p in problems], config, 0)
    before = weights(policy)
    advantages = np.where(np.arange(24) == 3, np.inf, 1.0)
    assert Learner(policy.model, config, None).learn(answers, advantages, 0)["updates"] == 0
    assert same(before, weights(policy))


@pytest.mark.slow
def test_eighty_steps_lift_the_shipped_policy_by_eight_points_on_problems_it_never_saw(shipped):
    from plaudit.worlds import arithmetic_problems

    policy = Policy(copy.deepcopy(shipped.model), shipped.tokenizer)
    fresh = arithmetic_problems(500, seed=1, split="evaluation")
    before = evaluate_policy(policy, fresh, ArithmeticAnswer(), 2, seed=1)
    begin = time.process_time()
    grpo(policy, arithmetic_problems(2_560), ArithmeticAnswer(), GrpoConfig())
    seconds = time.process_time() - begin
    after = evaluate_policy(policy, fresh, ArithmeticAnswer(), 2, seed=1)
    assert after.mean - before.mean > 0.08
    assert seconds < 300, "about 70 seconds of one core where nothing else runs"
