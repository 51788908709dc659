"""Characters to tokens, by decoding what was sampled: on byte-level merges, CJK, emoji, broken bytes and special tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError
from plaudit.text import token_spans, tokens_of_spans

tokenizers = pytest.importorskip("tokenizers")

CORPUS = [
    "The answer is 12 + 30 = 42, so we are done. Therefore the sum is even.",
    "因此答案是四十二。接下来我们检查每一步。",
    "naïve café über straße — “quotes”… ½ €",
    "🙂👍🏽👨‍👩‍👧 party 🎉🎉 and 🧮",
]


@pytest.fixture(scope="module")
def byte_level():
    """A byte-level BPE with few merges, so that CJK and emoji fall apart into bytes, and an end token."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<end>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def written(tokenizer, ids):
    return [tokenizer.decode(ids[:t]) for t in range(len(ids) + 1)]


texts = st.one_of(
    st.lists(st.sampled_from([*" aT4,é½€答案。🙂🎉👍🏽\u200d\ufffd", "the", " sum", "四十二"]), max_size=14).map("".join),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
)


@settings(deadline=None)
@given(text=texts)
def test_spans_cover_the_text_in_order_and_each_holds_what_its_token_wrote(byte_level, text):
    ids = byte_level.encode(text).ids
    start, end = token_spans(ids, byte_level.decode, text)
    assert (start <= end).all()
    assert (np.diff(start) >= 0).all()
    assert (np.diff(end) >= 0).all()
    covered = np.zeros(len(text), bool)
    for a, b in zip(start, end, strict=True):
        covered[a:b] = True
    assert covered.all()
    # By bytes, the truth: token t wrote bytes [sum before, sum with], and touches the characters that hold any of them.
    sizes = [len(bytes_of(byte_level, i)) for i in ids]
    of_byte = [k for k, character in enumerate(text) for _ in character.encode()]
    at = 0
    for size, a, b in zip(sizes, start, end, strict=True):
        own = of_byte[at : at + size]
        assert (a, b) == (own[0], own[-1] + 1)
        at += size


def bytes_of(tokenizer, token):
    """The name of a byte-level token, each letter of which stands for one byte."""
    return tokenizer.id_to_token(token)


@settings(deadline=None)
@given(text=texts, cut=st.tuples(st.integers(0, 14), st.integers(0, 14)))
def test_a_span_of_characters_comes_back_inside_the_tokens_that_wrote_it(byte_level, text, cut):
    a, b = sorted(min(c, len(text)) for c in cut)
    ids = byte_level.encode(text).ids
    start, end = token_spans(ids, byte_level.decode)
    first, behind = (int(x[0]) for x in tokens_of_spans([a], [b], start, end))
    if a == b:
        assert first == behind
        return
    assert start[first] <= a
    assert end[behind - 1] >= b
    assert all(end[t] > a and start[t] < b for t in range(first, behind))
    assert all(end[t] <= a or start[t] >= b for t in (*range(first), *range(behind, len(ids))))


@settings(deadline=None)
@given(ids=st.lists(st.integers(1, 300), max_size=40))
def test_any_ids_even_broken_bytes_decode_to_spans_in_order(byte_level, ids):
    start, end = token_spans(ids, byte_level.decode)
    assert (start <= end).all()
    assert (np.diff(start) >= 0).all()
    assert (np.diff(end) >= 0).all()


@pytest.fixture(scope="module")
def sentence_piece():
    """Words that carry a mark for their space, unknown characters as bytes, no space at the begin: the decoding of Llama 2."""
    alphabet = [f"<0x{k:02X}>" for k in range(256)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    d = tokenizers.decoders
    tokenizer.decoder = d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", *alphabet], show_progress=False)
    tokenizer.train_from_iterator(CORPUS[:1], trainer)
    return tokenizer


@settings(deadline=None)
@given(words=st.lists(st.sampled_from(["The", "answer", "is", "42,", "答案", "🙂🎉", "é", "sum."]), min_size=1, max_size=8))
def test_marks_for_spaces_and_bytes_for_unknown_characters(sentence_piece, words):
    text = " ".join(words)
    ids = sentence_piece.encode(text).ids

    def decode(some):
        return sentence_piece.decode(some, skip_special_tokens=False)

    start, end = token_spans(ids, decode, text)
    covered = np.zeros(len(text), bool)
    for token, a, b in zip(ids, start, end, strict=True):
        covered[a:b] = True
        name = sentence_piece.id_to_token(token)
        if not name.startswith("<0x"):
            assert name.replace("▁", " ").strip() == text[a:b].strip()
    assert covered.all()


def test_other_tokens_than_the_tokenizer_would_choose_are_placed_as_sampled(byte_level):
    text = "The answer"
    letters = [byte_level.token_to_id("Ġ" if c == " " else c) for c in text]
    assert letters != byte_level.encode(text).ids
    start, end = token_spans(letters, byte_level.decode, text)
    assert start.tolist() == list(range(len(text)))
    assert end.tolist() == list(range(1, len(text) + 1))


def test_special_tokens_that_are_skipped_are_empty(byte_level):
    ids = [*byte_level.encode("so 42").ids, 0]
    start, end = token_spans(ids, byte_level.decode, "so 42")
    assert (start[-1], end[-1]) == (5, 5)
    assert tokens_of_spans([0], [5], start, end)[1].tolist() == [len(ids) - 1]


def test_all_tokens_of_an_emoji_belong_to_it(byte_level):
    ids = [byte_level.token_to_id(c) for c in byte_level.pre_tokenizer.pre_tokenize_str("🧮")[0][0]]
    assert len(ids) == 4
    start, end = token_spans([*ids, byte_level.token_to_id("a")], byte_level.decode, "🧮a")
    assert start.tolist() == [0, 0, 0, 0, 1]
    assert end.tolist() == [1, 1, 1, 1, 2]


def test_another_text_is_refused_where_it_parts(byte_level):
    with pytest.raises(DataError, match="from character 4 on"):
        token_spans(byte_level.encode("so 42").ids, byte_level.decode, "so 43")


def test_time_grows_with_the_tokens_even_on_bytes_that_are_no_text(byte_level):
    broken = byte_level.token_to_id("Ń")  # a continuation byte or lead byte by itself
    calls = []

    def decode(ids):
        calls.append(len(ids))
        return byte_level.decode(ids)

    token_spans([broken] * 2000, decode)
    assert sum(calls) < 2000 * 80


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 9)])
def test_spans_outside_the_text_are_named(start, end):
    with pytest.raises(DataError, match=f"span 1 is {start} to {end}"):
        tokens_of_spans([0, start], [1, end], [0, 2], [2, 8])
