"""Reading continuations behind a prompt that is computed once gives the numbers of every row by itself."""

import warnings

import numpy as np
import pytest
from lm.local_models import ARCHITECTURES, CONTEXT, VOCABULARY, random_continuations, random_model, row_by_row, shared_model

import plaudit.lm._reading as reading_module
import plaudit.lm._shared_prompt as shared_prompt
from plaudit.errors import ModelError, SpecError
from plaudit.lm import LocalModel
from plaudit.types import Reader, Sampling
from plaudit.worlds import load_policy

PROMPTS = ["12+34*5-6789/(3-1)=?\n123456", "7+5", "(9-4)*(3+3)=?\n", "12+34*5-6789/(3-1)=?\n123456"]
CONTINUATIONS = [
    random_continuations(lengths, seed)
    for seed, lengths in enumerate([(20, 3, 1, 17, 9), (1,), (12, 0, 12), (30, 2)])
]  # fmt: skip
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def tokenizer():
    return load_policy().tokenizer


@pytest.fixture
def local(tokenizer):
    def make(architecture, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LocalModel(shared_model(architecture), tokenizer, **options)
            assert model.sharing
        return model

    return make


def largest_difference(model, readings, prompts=PROMPTS, continuations=CONTINUATIONS):
    """Of a token's log-probability, from the row-by-row reference."""
    worst = 0.0
    for prompt, rows, found in zip(prompts, continuations, readings, strict=True):
        ids = model.tokenizer(prompt)["input_ids"]
        for row, one in zip(rows, found, strict=True):
            if len(row):
                worst = max(worst, float(np.abs(one.logprob - row_by_row(model.model, ids, row)[0]).max()))
    return worst


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_number_is_that_of_the_row_alone(local, architecture):
    model = local(architecture)
    last = model.network.layers
    readings = model.read(PROMPTS, CONTINUATIONS, ["logprob", "entropy", "logsumexp", "hidden:0", f"hidden:{last}", "hidden:-2"])
    for prompt, rows, found in zip(PROMPTS, CONTINUATIONS, readings, strict=True):
        ids = model.tokenizer(prompt)["input_ids"]
        for row, one in zip(rows, found, strict=True):
            logprob, entropy, logsumexp, states = row_by_row(model.model, ids, row)
            assert one.tokens.tolist() == list(row)
            for got, expected in (
                (one.logprob, logprob),
                (one.entropy, entropy),
                (one.logsumexp, logsumexp),
                (one.hidden[0], states[0]),
                (one.hidden[last], states[last]),
                (one.hidden[-2], states[last - 1]),
            ):
                assert got.dtype == np.float32
                np.testing.assert_allclose(got, expected, atol=TOLERANCE, rtol=0)


def test_architectures_share_the_prompt_as_far_as_they_can(local):
    assert {name: local(name).sharing for name in ARCHITECTURES} == {
        "llama": "packed", "qwen2": "packed", "qwen3": "packed", "gpt2": "packed",
        "mistral": "expanded", "gemma2": "expanded", "bloom": "expanded", "mamba": "none",
    }  # fmt: skip


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_attention_weights_are_those_of_the_row_alone(local, architecture):
    model = local(architecture)
    readings = model.read(PROMPTS, CONTINUATIONS, ["attention"])
    eager = random_model(architecture)
    eager.set_attn_implementation("eager")
    for prompt, rows, found in zip(PROMPTS, CONTINUATIONS, readings, strict=True):
        ids = model.tokenizer(prompt)["input_ids"]
        for row, one in zip(rows, found, strict=True):
            assert one.logprob is None
            assert one.attention.shape == (3, 4, len(row), len(ids) + len(row))
            if len(row):
                out = eager(input_ids=_row(ids, row), output_attentions=True)
                expected = np.stack([weights[0, :, len(ids) :].detach().numpy() for weights in out.attentions])
                np.testing.assert_allclose(one.attention, expected, atol=TOLERANCE)
    assert model.model.config._attn_implementation == "sdpa"


def test_a_mask_that_lets_continuations_see_each_other_would_be_noticed(local, monkeypatch):
    model = local("llama")
    right = shared_prompt._mask

    def all_in_one(network, sharing, lengths, owner, slots):
        return right(network, sharing, lengths, np.zeros_like(owner), slots)

    assert largest_difference(model, model.read(PROMPTS, CONTINUATIONS)) < TOLERANCE
    monkeypatch.setattr(shared_prompt, "_mask", all_in_one)
    assert largest_difference(model, model.read(PROMPTS, CONTINUATIONS)) > 0.1


def test_a_mask_that_shows_the_padding_of_a_shorter_prompt_would_be_noticed(local, monkeypatch):
    model = local("llama")
    right = shared_prompt._mask

    def all_slots(network, sharing, lengths, owner, slots):
        return right(network, sharing, np.full_like(lengths, slots), owner, slots)

    monkeypatch.setattr(shared_prompt, "_mask", all_slots)
    assert largest_difference(model, model.read(PROMPTS, CONTINUATIONS)) > 0.1


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_positions_that_go_on_behind_the_continuation_before_would_be_noticed(local, monkeypatch, architecture):
    model = local(architecture)
    right = shared_prompt._laid_out

    def running_on(jobs, rows, width):
        tokens, positions, owner = right(jobs, rows, width)
        return tokens, positions[:, :1] + np.arange(width)[None], owner

    monkeypatch.setattr(shared_prompt, "_laid_out", running_on)
    assert largest_difference(model, model.read(PROMPTS, CONTINUATIONS)) > 0.05


def test_a_way_of_sharing_that_gives_other_numbers_is_not_taken(tokenizer, monkeypatch):
    right = shared_prompt._mask
    monkeypatch.setattr(shared_prompt, "_mask", lambda n, way, p, owner, slots: right(n, way, p, np.zeros_like(owner), slots))
    model = LocalModel(random_model("llama"), tokenizer)
    assert model.sharing == "expanded"  # there, causal is enough, and nothing of ours is masked
    assert largest_difference(model, model.read(PROMPTS, CONTINUATIONS)) < TOLERANCE


def test_a_model_without_a_cache_says_so_once(tokenizer):
    model = LocalModel(random_model("mamba"), tokenizer)
    with pytest.warns(UserWarning, match="MambaForCausalLM .* its own copy of the prompt"):
        model.read(["1+2"], [[[3, 4]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.read(["1+2"], [[[3, 4]]])


def test_texts_within_a_models_window_are_packed_and_longer_ones_are_not(tokenizer, monkeypatch):
    model = random_model("mistral", window=40)
    local = LocalModel(model, tokenizer)
    assert (local.network.window, local.sharing) == (40, "packed")
    ways: list[tuple[str, int]] = []
    right = reading_module.parts

    def noted(network, jobs, sharing, demand, budget):
        ways.append((sharing, max(len(job.prompt) + max(map(len, job.continuations)) for job in jobs)))
        return right(network, jobs, sharing, demand, budget)

    monkeypatch.setattr(reading_module, "parts", noted)
    assert largest_difference(local, local.read(PROMPTS, CONTINUATIONS)) < TOLERANCE
    assert {(way, longest > 40) for way, longest in ways} == {("packed", False), ("expanded", True)}
    ways.clear()
    local.read(["1" * 50, "1" * 30], [random_continuations([5]), random_continuations([5])])
    assert ways == [("none", 55), ("packed", 35)]  # nobody to share with: no batch of one length is needed


def test_the_prompt_is_computed_once_and_equal_prompts_together(local):
    model = local("llama")
    prompt, other = "1" * 60, "2" * 60
    rows = random_continuations([10] * 8)
    seen = _tokens_run(model, lambda: model.read([prompt, other, prompt], [rows[:4], rows, rows[4:]]))
    assert seen == 2 * 60 + 2 * 8 * 9  # the last token of a continuation predicts nothing


def test_hidden_states_need_the_last_token_too(local):
    model = local("llama")
    assert _tokens_run(model, lambda: model.read(["1" * 20], [random_continuations([10])], ["hidden:-1"])) == 20 + 10


def test_many_prompts_stream_through_small_batches(local):
    model = local("llama", batch_tokens=64)
    prompts = ["123456789"[: 1 + k % 9] * (1 + k % 4) for k in range(40)]
    rows = [random_continuations([1 + (7 * k) % 20, 3, 1 + k % 5], seed=k) for k in range(40)]
    sizes: list[int] = []
    handle = model.model.model.register_forward_pre_hook(
        lambda _, args, given: sizes.append(given["input_ids"].numel()), with_kwargs=True
    )
    readings = model.read(prompts, rows)
    handle.remove()
    assert max(sizes) <= 64
    assert largest_difference(model, readings, prompts, rows) < TOLERANCE


def test_logits_are_held_for_some_rows_at_a_time(local, monkeypatch):
    model = local("llama")
    shapes: list[int] = []
    logits = model.network.logits
    monkeypatch.setattr(model.network, "logits", lambda states: shapes.append(len(states)) or logits(states))
    monkeypatch.setattr(reading_module, "HEAD_ELEMENTS", 5 * VOCABULARY)
    readings = model.read(PROMPTS, CONTINUATIONS, ["logprob", "entropy"])
    assert max(shapes) == 5
    assert largest_difference(model, readings) < TOLERANCE


def test_an_empty_continuation_has_a_reading_of_no_tokens(local):
    [[reading]] = local("llama").read(["1+2"], [[[]]], ["logprob", "entropy", "hidden:1", "attention"])
    assert reading.tokens.shape == reading.logprob.shape == reading.entropy.shape == (0,)
    assert reading.logsumexp is None
    assert reading.hidden[1].shape == (0, 32)
    assert reading.attention.shape == (3, 4, 0, 3)


def test_no_prompts_and_prompts_without_continuations_are_nothing_to_read(local):
    assert local("llama").read([], []) == []
    assert local("llama").read(["1", "2"], [[], []]) == [[], []]


def test_a_text_that_fills_the_context_is_read_and_one_token_more_is_an_error(local):
    model = local("llama")
    [[reading]] = model.read(["1" * (CONTEXT - 5)], [random_continuations([5])])
    assert reading.logprob.shape == (5,)
    with pytest.raises(ModelError, match=r"prompt 1, continuation 2: 123 \+ 6 tokens are more than the model's context of 128"):
        model.read(["1", "1" * (CONTEXT - 5)], [[[1]], random_continuations([1, 5, 6])])


@pytest.mark.parametrize(
    ("prompts", "rows", "message"),
    [
        (["1", "2"], [[[1]], [[2], [3, VOCABULARY]]], "prompt 1, continuation 1: token id 97 is outside the model's vocabulary"),
        (["1"], [[[-1]]], "token id -1 is outside"),
        (["1"], [[[0.5]]], "prompt 0, continuation 0: expected a list of token ids"),
        (["1"], [["ab"]], "expected a list of token ids"),
        (["1"], [], "1 prompts and 0 lists of continuations"),
        (["1", ""], [[[1]], [[1]]], "prompt 1 is empty"),
        ("12", [[[1]], [[1]]], "one text: expected a list"),
        (["1\ud800"], [[[1]]], "prompt 0 holds a lone surrogate at character 1"),
    ],
)
def test_what_cannot_be_read_is_named(local, prompts, rows, message):
    with pytest.raises(ModelError, match=message):
        local("llama").read(prompts, rows)


@pytest.mark.parametrize("what", ["logprobs", "hidden", "hidden:x", "hidden:4", "hidden:-5"])
def test_an_unknown_request_is_explained(local, what):
    with pytest.raises(SpecError, match=f"what names '{what}'"):
        local("llama").read(["1"], [[[1]]], [what])


def test_weights_that_are_not_numbers_are_an_error_and_never_a_value(tokenizer):
    model = random_model("llama")
    model.model.norm.weight.data[0] = float("nan")
    local = LocalModel(model, tokenizer)
    with pytest.raises(ModelError, match="LlamaForCausalLM gives NaN"), warnings.catch_warnings(action="ignore"):
        local.read(["1"], [[[1]]])


def test_an_impossible_token_has_no_share_in_the_entropy(local, monkeypatch):
    model = local("llama")
    logits = model.network.logits

    def without_token_5(states):
        found = logits(states).clone()
        found[:, 5] = float("-inf")
        return found

    monkeypatch.setattr(model.network, "logits", without_token_5)
    [[reading]] = model.read(["1"], [[[4, 5, 6]]], ["logprob", "entropy"])
    assert reading.logprob[1] == float("-inf")
    assert np.isfinite(reading.logprob[[0, 2]]).all()
    assert np.isfinite(reading.entropy).all()


def test_a_policy_in_training_is_read_as_it_is_now_and_left_as_it_was(tokenizer):
    import torch

    model = random_model("gpt2").train()  # with dropout
    model.transformer.h[0].eval()
    local = LocalModel(model, tokenizer)
    before = local.read(["1+2"], [[[3, 4]]])[0][0].logprob
    np.testing.assert_array_equal(local.read(["1+2"], [[[3, 4]]])[0][0].logprob, before)
    assert model.training
    assert model.transformer.h[1].attn.training
    assert not model.transformer.h[0].training
    loss = model(input_ids=torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    after = local.read(["1+2"], [[[3, 4]]])[0][0].logprob
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, row_by_row(model.eval(), tokenizer("1+2")["input_ids"], [3, 4])[0], atol=TOLERANCE)


def test_an_adapter_in_training_counts(tokenizer):
    peft = pytest.importorskip("peft")
    import torch

    wrapped = peft.get_peft_model(random_model("llama"), peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weights in wrapped.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.5)
    local = LocalModel(wrapped, tokenizer)
    assert local.sharing == "packed"
    found = local.read(["1+2*3"], [[[3, 4, 5]]])[0][0].logprob
    ids = tokenizer("1+2*3")["input_ids"]
    np.testing.assert_allclose(found, row_by_row(wrapped, ids, [3, 4, 5])[0], atol=TOLERANCE)
    with wrapped.disable_adapter():
        assert np.abs(found - row_by_row(wrapped, ids, [3, 4, 5])[0]).max() > 1e-3


def test_sixteen_bits_are_read_to_their_precision(tokenizer):
    import torch

    model = random_model("llama").to(torch.bfloat16)
    local = LocalModel(model, tokenizer)
    assert local.sharing == "packed"
    assert largest_difference(local, local.read(PROMPTS, CONTINUATIONS)) < 0.3


@pytest.mark.parametrize("name", ["arithmetic", "arithmetic-weak", "arithmetic-strong"])
def test_a_shipped_policy_reads_what_it_wrote_as_likely_as_when_it_wrote_it(name):
    policy = load_policy(name)
    model = LocalModel(policy.model, policy.tokenizer)
    prompts = ["7+5=?\n", "(50-9)*2=?\n", "81/9+6=?\n"]
    drawn = model.generate(prompts, 4, Sampling(seed=0, max_tokens=60))
    readings = model.read(prompts, [[completion.tokens for completion in group] for group in drawn])
    for group, found in zip(drawn, readings, strict=True):
        for completion, one in zip(group, found, strict=True):
            np.testing.assert_allclose(completion.logprobs, one.logprob, atol=TOLERANCE)


def test_a_local_model_is_a_reader_by_protocol(local):
    assert isinstance(local("llama"), Reader)


def _row(prompt, continuation):
    import torch

    return torch.tensor([[*prompt, *map(int, continuation)]])


def _tokens_run(model, call):
    """How many tokens went through the model's body."""
    seen: list[int] = []
    handle = model.model.model.register_forward_pre_hook(
        lambda _, args, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    call()
    handle.remove()
    return sum(seen)
