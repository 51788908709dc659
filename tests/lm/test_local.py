"""A local model writes: what it is given, when a completion ends, and the distribution that it is drawn from."""

import asyncio
import pickle
import time
import warnings

import numpy as np
import pytest
from lm.local_models import ARCHITECTURES, CONTEXT, random_model, shared_model

from plaudit.errors import ModelError
from plaudit.lm import DeadlinePassed, LocalModel
from plaudit.types import LanguageModel, Sampling
from plaudit.worlds import load_policy

PROMPTS = ["1+2=?\n", "(12+4)*3-77=?\n", "9"]
GREEDY = Sampling(temperature=0.0, max_tokens=20)


@pytest.fixture(scope="module")
def tokenizer():
    return load_policy().tokenizer


@pytest.fixture(scope="module")
def strong():
    policy = load_policy("arithmetic-strong")
    return LocalModel(policy.model, policy.tokenizer)


@pytest.fixture
def local(tokenizer):
    return lambda architecture, **options: LocalModel(shared_model(architecture), tokenizer, **options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_completions_are_those_of_the_models_own_generate(local, architecture):
    import torch

    model = local(architecture)
    drawn = model.generate(PROMPTS, sampling=GREEDY)  # prompts of three lengths in one batch
    for prompt, [completion] in zip(PROMPTS, drawn, strict=True):
        ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
        with torch.no_grad():
            row = model.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False)
        expected = row[0, ids.shape[1] :].tolist()
        expected = expected[: expected.index(1) + 1] if 1 in expected else expected
        assert completion.tokens.tolist() == expected


def test_prompts_padded_at_the_wrong_side_would_be_noticed(local, monkeypatch):
    import plaudit.lm._local_decoding as decoding

    model = local("llama")
    alone = [model.generate([prompt], sampling=GREEDY)[0][0].tokens.tolist() for prompt in PROMPTS]
    assert [group[0].tokens.tolist() for group in model.generate(PROMPTS, sampling=GREEDY)] == alone

    class WithoutMask(decoding._Text):
        def __init__(self, *given):
            super().__init__(*given)
            self.mask = self.mask.new_ones(self.mask.shape)

    monkeypatch.setattr(decoding, "_Text", WithoutMask)
    assert [group[0].tokens.tolist() for group in model.generate(PROMPTS, sampling=GREEDY)] != alone


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral", "mamba"])
def test_a_seed_gives_the_same_completions_whatever_is_drawn_beside_them(local, architecture, monkeypatch):
    model = local(architecture)
    how = Sampling(seed=3, max_tokens=15)
    many = model.generate(PROMPTS, 4, how)
    few = model.generate(PROMPTS[:2], 4, how)
    monkeypatch.setattr("plaudit.lm._local_decoding.ROWS", 3)
    monkeypatch.setattr("plaudit.lm._local_decoding.NOISE", 70)
    small = model.generate(PROMPTS, 4, how)
    assert _tokens(many[:2]) == _tokens(few)
    assert _tokens(many) == _tokens(small)
    assert _tokens(many) != _tokens(model.generate(PROMPTS, 4, Sampling(seed=4, max_tokens=15)))


def test_without_a_seed_completions_differ(local):
    model = local("llama")
    assert _tokens(model.generate(["1+2"], 4)) != _tokens(model.generate(["1+2"], 4))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_logprobs_are_those_of_the_model_at_temperature_one(local, architecture):
    model = local(architecture)
    drawn = model.generate(PROMPTS, 3, Sampling(seed=0, max_tokens=20))
    readings = model.read(PROMPTS, [[completion.tokens for completion in group] for group in drawn])
    for group, found in zip(drawn, readings, strict=True):
        for completion, reading in zip(group, found, strict=True):
            np.testing.assert_allclose(completion.logprobs, reading.logprob, atol=1e-4)


def test_tokens_come_as_often_as_temperature_and_nucleus_say(local):
    import torch

    model = local("llama")
    how = Sampling(temperature=0.7, top_p=0.6, seed=1, max_tokens=1)
    drawn = model.generate(["1+2"], 4000, how)[0]
    ids = torch.tensor([model.tokenizer("1+2")["input_ids"]])
    with torch.no_grad():
        shares = (model.model(ids).logits[0, -1] / 0.7).softmax(-1).double()
    ordered, order = shares.sort(descending=True)
    count = int((ordered.cumsum(0) < 0.6).sum()) + 1  # the fewest tokens that hold 0.6
    kept = order[:count].tolist()
    expected = {token: float(shares[token] / shares[order[:count]].sum()) for token in kept}
    seen = [int(completion.tokens[0]) for completion in drawn]
    assert set(seen) <= set(kept)
    for token, share in expected.items():
        assert abs(seen.count(token) / 4000 - share) < 5 * (share * (1 - share) / 4000) ** 0.5 + 1e-9
    for completion in drawn[:20]:
        assert completion.logprobs[0] == pytest.approx(np.log(expected[int(completion.tokens[0])]), abs=1e-4)


def test_a_completion_stops_at_an_end_token_and_leaves_it_out_of_the_text(strong):
    [[completion]] = strong.generate(["7+5=?\n"], sampling=GREEDY)
    assert (completion.text, completion.finish) == ("7+5=12\n#### 12", "stop")
    assert completion.tokens[-1] == strong.tokenizer.eos_token_id
    assert len(completion.tokens) == len(completion.logprobs) == len(completion.text) + 1
    assert completion.cost.calls == 1
    assert completion.cost.tokens == len("7+5=?\n") + len(completion.tokens)


def test_every_end_token_of_the_generation_configuration_ends_a_completion(tokenizer):
    policy = load_policy("arithmetic-strong")
    policy.model.generation_config.eos_token_id = [1, int(tokenizer("#")["input_ids"][0])]
    model = LocalModel(policy.model, tokenizer)
    [[completion]] = model.generate(["7+5=?\n"], sampling=GREEDY)
    assert (completion.text, completion.finish) == ("7+5=12\n", "stop")


def test_a_cut_completion_says_so(strong):
    [[completion]] = strong.generate(["7+5=?\n"], sampling=Sampling(temperature=0.0, max_tokens=5))
    assert (completion.text, completion.finish, len(completion.tokens)) == ("7+5=1", "length", 5)


def test_each_completion_ends_with_the_context_of_its_own_row(local):
    model = local("llama", max_tokens=40)
    drawn = model.generate(["1" * (CONTEXT - 6), "2"], sampling=Sampling(seed=0))
    assert len(drawn[0][0].tokens) <= 6
    assert drawn[1][0].tokens.tolist() == model.generate(["1", "2"], sampling=Sampling(seed=0))[1][0].tokens.tolist()
    if len(drawn[0][0].tokens) == 6 and drawn[0][0].tokens[-1] != 1:
        assert drawn[0][0].finish == "length"


@pytest.mark.parametrize(
    ("stop", "text"),
    [(("\n####",), "7+5=12"), (("####", "="), "7+5"), (("2\n#",), "7+5=1"), (("never",), "7+5=12\n#### 12")],
)
def test_a_stop_string_ends_a_completion_and_is_left_out(strong, stop, text):
    [[completion]] = strong.generate(["7+5=?\n"], sampling=Sampling(temperature=0.0, max_tokens=30, stop=stop))
    assert (completion.text, completion.finish) == (text, "stop")
    if stop != ("never",):
        written = strong.tokenizer.decode(completion.tokens)
        assert written.endswith((stop[0], stop[-1]))
        assert len(completion.logprobs) == len(completion.tokens)


def test_rows_that_stop_leave_the_others_as_they_are(strong):
    prompts = ["7+5=?\n", "(50-9)*2=?\n", "81/9+6=?\n"]
    how = Sampling(seed=5, max_tokens=60)
    free = strong.generate(prompts, 6, how)
    stopped = strong.generate(prompts, 6, Sampling(seed=5, max_tokens=60, stop=("\n",)))
    assert [[one.text for one in group] for group in stopped] == [[one.text.split("\n")[0] for one in group] for group in free]


def test_text_is_taken_as_it_is_and_messages_go_through_the_template(tokenizer, monkeypatch):
    template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% if not loop.last or m['role'] == 'user' %}[end]{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    from plaudit.lm._template import prompt_text

    monkeypatch.setattr(tokenizer, "chat_template", template)
    user, parts = {"role": "user", "content": "1+2"}, {"role": "user", "content": [{"type": "text", "text": "1+"}, {"text": "2"}]}
    assert prompt_text(tokenizer, "1+2") == ("1+2", True)
    assert prompt_text(tokenizer, [user]) == ("[user]1+2[end][assistant]", False)
    assert prompt_text(tokenizer, [parts]) == prompt_text(tokenizer, [user])
    begun = prompt_text(tokenizer, [user, {"role": "assistant", "content": "It is"}])
    assert begun == ("[user]1+2[end][assistant]It is", False)


def test_messages_that_cannot_be_a_prompt_are_named(local, tokenizer, monkeypatch):
    model = local("llama")
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    with pytest.raises(ModelError, match="prompt 1 has a part of type 'image_url'"):
        model.generate(["1", image])
    with pytest.raises(ModelError, match="prompt 0 has no messages"):
        model.generate([[]])
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ModelError, match="prompt 0: the chat template refuses the messages: roles must alternate"):
        model.generate([[{"role": "user", "content": "1"}]])
    monkeypatch.setattr(tokenizer, "chat_template", None)
    with pytest.raises(ModelError, match="prompt 0 is a list of messages and the tokenizer has no chat template"):
        model.generate([[{"role": "user", "content": "1"}]])


def test_a_response_is_tokenised_alone_and_cannot_smuggle_in_a_special_token(local):
    model = local("llama")
    [plain, special] = model.tokenize(["1+2=", "anything"], ["3", "3<eos>"])
    assert plain.tolist() == model.tokenizer("3")["input_ids"]
    assert model.tokenizer.eos_token_id not in special.tolist()
    assert special.tolist()[0] == plain.tolist()[0]
    assert [ids.tolist() for ids in model.tokenize([], [])] == []
    assert model.tokenize(["1"], [""])[0].shape == (0,)


def test_a_truncation_in_the_tokenizers_file_does_not_cut_a_prompt(tmp_path):
    from transformers import AutoTokenizer

    policy = load_policy()
    policy.tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.backend_tokenizer.enable_truncation(4)
    model = LocalModel(policy.model, tokenizer)
    assert len(model.tokenize(["1"], ["1" * 50])[0]) == 50
    with pytest.raises(ModelError, match="prompt 0 has 300 tokens: the model's context of 256 has no room"):
        model.generate(["1" * 300])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"conversations": ["1", ""]}, "prompt 1 is empty"),
        ({"conversations": ["1", "2" * CONTEXT]}, "prompt 1 has 128 tokens: the model's context of 128 has no room"),
        ({"conversations": "12"}, "one text: expected a list"),
        ({"conversations": ["1"], "n": 0}, "n=0"),
        ({"conversations": ["1"], "sampling": Sampling(temperature=-1)}, "temperature=-1"),
        ({"conversations": ["1"], "sampling": Sampling(temperature=float("nan"))}, "temperature=nan"),
        ({"conversations": ["1"], "sampling": Sampling(top_p=0)}, "top_p=0"),
        ({"conversations": ["1"], "sampling": Sampling(max_tokens=0)}, "max_tokens=0"),
        ({"conversations": ["1"], "sampling": Sampling(stop=("",))}, "stop has an empty string"),
        ({"conversations": ["1"], "sampling": Sampling(schema={"type": "object"})}, "abilities: generate, logprobs, read"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(local, given, message):
    with pytest.raises(ModelError, match=message):
        local("llama").generate(**given)


def test_a_model_without_an_end_token_needs_a_stop_string():
    model, tokenizer = random_model("llama"), load_policy().tokenizer
    model.generation_config.eos_token_id = None
    tokenizer.eos_token = None
    local = LocalModel(model, tokenizer)
    with pytest.raises(ModelError, match="names an end token: completions would never end"):
        local.generate(["1"])
    assert local.generate(["1"], sampling=Sampling(stop=("7",), max_tokens=3))[0][0].finish in ("stop", "length")


def test_no_conversations_give_no_completions(local):
    assert local("llama").generate([]) == []


def test_a_deadline_is_looked_at_between_tokens(tokenizer):
    model = LocalModel(random_model("llama"), tokenizer)
    model.model.generation_config.eos_token_id = 96
    model.model.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    model.model.model.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    begin = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"deadline passed after [1-9]"):
        model.generate(["1"], sampling=Sampling(seed=0, max_tokens=120), deadline=begin + 0.4)
    assert time.monotonic() - begin < 1.5
    with pytest.raises(DeadlinePassed, match="after 0 tokens"):
        model.generate(["1"], deadline=time.monotonic() - 1)


def test_a_cancelled_call_stops_drawing(tokenizer):
    model = LocalModel(random_model("llama"), tokenizer)
    calls: list[float] = []
    model.model.model.register_forward_pre_hook(lambda *_: calls.append(time.monotonic()) or time.sleep(0.03))
    assert model.network.keeps_cache
    assert model.network.head_is_apart

    async def give_up() -> int:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(model.agenerate(["1"], sampling=Sampling(temperature=0, max_tokens=100, stop=("x",))), 0.2)
        await asyncio.sleep(0.2)
        done = len(calls)
        await asyncio.sleep(0.2)
        return done

    assert asyncio.run(give_up()) == len(calls) < 60


def test_awaiting_gives_what_blocking_gives(local):
    model = local("llama")
    assert _tokens(asyncio.run(model.agenerate(PROMPTS, 2, Sampling(seed=1)))) == _tokens(
        model.generate(PROMPTS, 2, Sampling(seed=1))
    )


def test_a_local_model_is_a_language_model_by_protocol(local):
    model = local("llama")
    assert isinstance(model, LanguageModel)
    assert model.abilities == {"generate", "logprobs", "read"}
    assert (model.address, model.version) == ("policy:", None)
    model.version = "run-1@200"
    assert model.version == "run-1@200"


def test_a_live_model_does_not_leave_its_process(local):
    with pytest.raises(TypeError, match="policy: is a live model"):
        pickle.dumps(local("llama"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: object(), "model is object: expected a causal language model"),
        (lambda: None, "model is NoneType"),
        (lambda: shared_model("llama").model, "model is LlamaModel: .* a vocabulary at both ends"),
    ],
)
def test_something_that_is_no_causal_model_is_refused(tokenizer, model, message):
    with pytest.raises(ModelError, match=message):
        LocalModel(model(), tokenizer)


def test_a_tokenizer_of_another_model_is_refused(tokenizer):
    import transformers as hf

    small = hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    with pytest.raises(ModelError, match=r"does not belong to the model: its token .* has id 24, the model's vocabulary has 20"):
        LocalModel(small, tokenizer)
    with pytest.raises(ModelError, match="tokenizer is NoneType"):
        LocalModel(small, None)


def test_models_without_a_cache_are_drawn_from_too(local):
    model = local("mamba")
    assert not model.network.keeps_cache
    with warnings.catch_warnings(action="ignore"):
        drawn = model.generate(PROMPTS, 2, Sampling(seed=0, max_tokens=5))
        readings = model.read(PROMPTS, [[one.tokens for one in group] for group in drawn])
    for group, found in zip(drawn, readings, strict=True):
        for one, reading in zip(group, found, strict=True):
            np.testing.assert_allclose(one.logprobs, reading.logprob, atol=1e-4)


def _tokens(drawn):
    return [[completion.tokens.tolist() for completion in group] for group in drawn]
