"""Drawing from a tiny policy: the tokens that `generate` writes, the distribution that the model says, the same for a seed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from plaudit.errors import ModelError  # noqa: E402
from plaudit.worlds import Policy, arithmetic_problems, draw, load_policy, sample  # noqa: E402
from plaudit.worlds._tokenizer import build_tokenizer  # noqa: E402

PROMPTS = [problem.prompt for problem in arithmetic_problems(48, seed=3, split="evaluation")]
"""Of several lengths."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def policy():
    return load_policy()


def random_llama(**changes):
    """A Llama with random weights, of another shape than the shipped ones."""
    torch.manual_seed(0)
    fields = {
        "vocab_size": len(build_tokenizer()),
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "initializer_range": 0.6,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
    }
    return Policy(transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**fields, **changes})).eval(), build_tokenizer())


def generated(policy, prompts, max_tokens):
    """Greedy completions by the model's own `generate`, cut behind the end token."""
    inputs = policy.tokenizer(prompts, return_tensors="pt", padding=True)
    out = policy.model.generate(**inputs, do_sample=False, max_new_tokens=max_tokens, pad_token_id=0)
    rows = [row[inputs["input_ids"].shape[1] :].tolist() for row in out]
    return [row[: row.index(1) + 1] if 1 in row else row for row in rows]


def test_greedy_completions_are_those_of_generate_token_for_token(policy):
    groups = policy.sample(PROMPTS, temperature=0.0, max_tokens=96)
    assert len({len(prompt) for prompt in PROMPTS}) > 4
    assert [group[0].tokens.tolist() for group in groups] == generated(policy, PROMPTS, 96)


@pytest.mark.parametrize(
    "changes", [{}, {"num_key_value_heads": 3}, {"tie_word_embeddings": True}, {"head_dim": 32, "num_attention_heads": 2}]
)
def test_models_of_other_shapes_give_generates_tokens_too(changes):
    policy = random_llama(**changes)
    groups = policy.sample(PROMPTS[:12], temperature=0.0, max_tokens=40)
    assert [group[0].tokens.tolist() for group in groups] == generated(policy, PROMPTS[:12], 40)


def test_a_long_prompt_gives_generates_tokens_too():
    policy = random_llama()
    prompts = ["1+2*3-4" * 20 + "=?\n", "1+2=?\n"]
    groups = policy.sample(prompts, temperature=0.0, max_tokens=20)
    assert [group[0].tokens.tolist() for group in groups] == generated(policy, prompts, 20)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_log_probabilities_are_the_models_own_at_that_temperature(policy, temperature):
    for prompt, group in zip(PROMPTS[:6], policy.sample(PROMPTS[:6], 3, temperature, seed=1), strict=True):
        for completion in group:
            prefix = policy.tokenizer(prompt)["input_ids"]
            ids = torch.tensor([prefix + completion.tokens.tolist()])
            with torch.no_grad():
                logits = policy.model(ids).logits[0, len(prefix) - 1 : -1]
            expected = torch.log_softmax(logits / temperature, -1).gather(1, ids[0, len(prefix) :, None])[:, 0]
            assert np.allclose(completion.logprobs, expected.numpy(), atol=1e-4)


def test_a_greedy_completions_log_probabilities_are_the_models_at_temperature_1(policy):
    completion = policy.sample(PROMPTS[:1], temperature=0.0)[0][0]
    ids = torch.tensor([policy.tokenizer(PROMPTS[0])["input_ids"] + completion.tokens.tolist()])
    with torch.no_grad():
        logprobs = torch.log_softmax(policy.model(ids).logits[0], -1)
    n = len(completion.tokens)
    assert np.allclose(completion.logprobs, logprobs[-n - 1 : -1].gather(1, ids[0, -n:, None])[:, 0].numpy(), atol=1e-4)


def test_first_tokens_are_drawn_as_often_as_the_model_says():
    policy = random_llama(initializer_range=0.15)
    n = 4000
    prompt = PROMPTS[0]
    drawn = draw(policy, [prompt], n, 1.0, seed=7, max_tokens=2, rows=n)
    with torch.no_grad():
        logits = policy.model(torch.tensor([policy.tokenizer(prompt)["input_ids"]])).logits[0, -1]
    expected = torch.softmax(logits, -1).numpy() * n
    observed = np.bincount(drawn.tokens[:, 0], minlength=len(expected))
    common = expected >= 5
    assert common.sum() > 10
    chi_square = ((observed - expected)[common] ** 2 / expected[common]).sum()
    # The mean of the statistic is its degrees of freedom k, its variance 2k: five standard deviations.
    k = common.sum() - 1
    assert chi_square < k + 5 * (2 * k) ** 0.5


def test_whole_completions_are_drawn_as_often_as_the_model_says(policy):
    """The share of samples that equal the greedy completion is its probability: it runs through all steps and row drops."""
    prompts = PROMPTS[:10]
    greedy = policy.sample(prompts, temperature=0.0)
    probability = np.array([np.exp(group[0].logprobs.astype(np.float64).sum()) for group in greedy])
    n = 64
    drawn = policy.sample(prompts, n, 1.0, seed=11)
    share = np.array([np.mean([c.text == g[0].text for c in group]) for group, g in zip(drawn, greedy, strict=True)])
    spread = (probability * (1 - probability) / n).sum() ** 0.5
    assert abs((share - probability).sum()) < 4 * spread
    # A control: at a lower temperature the same test notices.
    cold = policy.sample(prompts, n, 0.5, seed=11)
    share = np.array([np.mean([c.text == g[0].text for c in group]) for group, g in zip(cold, greedy, strict=True)])
    assert abs((share - probability).sum()) > 4 * spread


def texts(groups):
    return [[completion.text for completion in group] for group in groups]


def test_a_seed_gives_the_same_completions_whatever_is_drawn_side_by_side(policy):
    prompts = PROMPTS[:10]
    first = policy.sample(prompts, 4, 1.0, seed=5)
    assert texts(first) == texts(policy.sample(prompts, 4, 1.0, seed=5))
    assert texts(first) == texts(policy.sample(prompts, 4, 1.0, seed=5, rows=8))
    assert texts(first) != texts(policy.sample(prompts, 4, 1.0, seed=6))
    assert texts(policy.sample(prompts, 4)) != texts(policy.sample(prompts, 4))


def test_drawing_leaves_the_global_random_state_alone(policy):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    policy.sample(PROMPTS[:2], 2, 1.0, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_text_tokens_and_finish_belong_together(policy):
    for group in policy.sample(PROMPTS[:8], 4, 1.0, seed=2, max_tokens=20):
        for completion in group:
            assert len(completion.tokens) == len(completion.logprobs) <= 20
            ended = completion.tokens[-1] == policy.tokenizer.eos_token_id
            assert completion.finish == ("stop" if ended else "length")
            assert 1 not in completion.tokens[:-1]
            assert "<eos>" not in completion.text
            assert policy.tokenizer.decode(completion.tokens, skip_special_tokens=True) == completion.text


def test_a_completion_that_runs_into_the_context_is_cut_there():
    policy = random_llama(max_position_embeddings=24, initializer_range=0.02)
    group = policy.sample(["1+2=?\n"], 16, 1.0, seed=0)[0]
    assert {len(completion.tokens) for completion in group if completion.finish == "length"} <= {18}


def test_the_weights_are_read_at_every_call():
    policy = random_llama()
    before = policy.sample(PROMPTS[:2], temperature=0.0, max_tokens=10)
    with torch.no_grad():
        policy.model.model.layers[0].mlp.down_proj.weight.mul_(-3)
    assert texts(policy.sample(PROMPTS[:2], temperature=0.0, max_tokens=10)) != texts(before)


def test_no_prompts_give_no_completions(policy):
    assert policy.sample([]) == []
    assert draw(policy, []).tokens.shape == (0, 0)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"temperature": -1.0}, {"max_tokens": 0}, {"rows": 0}])
def test_arguments_out_of_range_are_refused(policy, arguments):
    with pytest.raises(ValueError, match="expected"):
        sample(policy, PROMPTS[:1], **arguments)


def test_one_text_in_the_place_of_a_list_is_refused(policy):
    with pytest.raises(TypeError, match="list"):
        policy.sample("1+1=?\n")


@pytest.mark.parametrize(("prompt", "message"), [("", "empty"), ("1" * 300, "context")])
def test_a_prompt_that_cannot_be_continued_is_refused(policy, prompt, message):
    with pytest.raises(ModelError, match=message):
        policy.sample([PROMPTS[0], prompt])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}}, "rope_type"),
    ],
)
def test_a_model_that_is_no_plain_llama_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        random_llama(**changes).sample(PROMPTS[:1])
