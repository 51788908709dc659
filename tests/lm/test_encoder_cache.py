"""Embeddings on disk: what is kept, who may share it, and what a killed writer or a damaged file costs."""

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import DataError, RunError, SpecError
from plaudit.lm import CachedEncoder, EmbeddingCache
from plaudit.lm._embedding_file import _KEY, digests_of
from plaudit.types import Encoder

D = 8


class Hashed:
    """An encoder of d numbers read off a digest of the text; it says what it was asked for."""

    address, version = "hashed:", "1"

    def __init__(self, dimension=D):
        self.dimension = dimension
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        rows = [np.frombuffer(blake2b(t.encode(), digest_size=32).digest() * (self.dimension // 8), "<u4") for t in texts]
        return (np.array(rows).reshape(len(texts), self.dimension) / 2**32).astype(np.float32)


def plain(texts, dimension=D):
    return Hashed(dimension).encode(list(texts))


def files(folder):
    (inner,) = folder.iterdir()
    return inner / "keys.bin", inner / "vectors.bin"


def test_only_what_is_not_known_is_computed_and_everything_is_equal_to_the_bit(tmp_path):
    encoder = Hashed()
    cached = CachedEncoder(encoder, EmbeddingCache(tmp_path))
    np.testing.assert_array_equal(cached.encode(["a", "b", "a"]), plain(["a", "b", "a"]))
    np.testing.assert_array_equal(cached.encode(["c", "b", "a"]), plain(["c", "b", "a"]))
    assert encoder.asked == ["a", "b", "c"]
    assert isinstance(cached, Encoder)


def test_another_object_on_the_same_folder_knows_it_too_and_so_does_a_pickled_one(tmp_path):
    first = EmbeddingCache(tmp_path)
    second, silent = EmbeddingCache(tmp_path), Hashed()
    first.encode(Hashed(), ["a", "b"])
    np.testing.assert_array_equal(second.encode(silent, ["b", "a"]), plain(["b", "a"]))
    first.encode(Hashed(), ["c"])
    second.encode(silent, ["c"])
    pickle.loads(pickle.dumps(first)).encode(silent, ["a", "c"])
    assert silent.asked == []


def test_another_version_of_an_encoder_is_computed_anew(tmp_path):
    cache, changed = EmbeddingCache(tmp_path), Hashed()
    cache.encode(Hashed(), ["a"])
    changed.version = "2"
    cache.encode(changed, ["a"])
    assert changed.asked == ["a"]
    assert (cache.rows(Hashed()), cache.rows(changed)) == (1, 1)


def test_in_sixteen_bits_fresh_and_kept_vectors_are_the_same(tmp_path):
    cache = EmbeddingCache(tmp_path, "float16")
    fresh, kept = cache.encode(Hashed(), ["a", "b"]), cache.encode(Hashed(), ["a", "b"])
    np.testing.assert_array_equal(fresh, kept)
    np.testing.assert_array_equal(fresh, plain(["a", "b"]).astype(np.float16).astype(np.float32))
    assert CachedEncoder(Hashed(), cache).version != Hashed.version


def test_a_stream_is_read_one_block_ahead_at_most_and_in_bounded_memory(tmp_path):
    read = 0

    def texts():
        nonlocal read
        for k in range(60_000):
            read += 1
            yield f"text {k}"

    cache = EmbeddingCache(tmp_path)
    blocks = cache.encode_stream(Hashed(256), texts(), batch=1_000)
    np.testing.assert_array_equal(next(blocks), plain((f"text {k}" for k in range(1_000)), 256))
    assert read <= 1_001
    tracemalloc.start()
    assert sum(len(block) for block in blocks) == 59_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6, "60 thousand vectors take 61 MB"
    silent = Hashed(256)
    for k, block in enumerate(cache.encode_stream(silent, (f"text {k}" for k in range(60_000)), batch=7_000)):
        if k == 8:
            np.testing.assert_array_equal(block, plain((f"text {k}" for k in range(56_000, 60_000)), 256))
    assert silent.asked == []


def test_many_rows_are_found_again_across_the_merges_of_the_index(tmp_path):
    cache = EmbeddingCache(tmp_path)
    texts = [str(k) for k in range(200_000)]
    for block in cache.encode_stream(Hashed(), texts, batch=50_000):
        assert len(block) == 50_000
    silent = Hashed()
    picked = texts[::-37]
    np.testing.assert_array_equal(cache.encode(silent, picked), plain(picked))
    assert silent.asked == []


def test_a_damaged_vector_is_computed_again_and_then_kept(tmp_path):
    EmbeddingCache(tmp_path).encode(Hashed(), ["a", "b", "c"])
    _, vectors = files(tmp_path)
    raw = bytearray(vectors.read_bytes())
    raw[D * 4 + 5] ^= 8
    vectors.write_bytes(raw)
    for asked in (["b"], []):
        encoder = Hashed()
        np.testing.assert_array_equal(EmbeddingCache(tmp_path).encode(encoder, ["a", "b", "c"]), plain("abc"))
        assert encoder.asked == asked


@settings(max_examples=60)
@given(st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_a_writer_that_dies_at_any_byte_costs_its_own_rows_and_nothing_else(tmp_path_factory, batches, data):
    folder = tmp_path_factory.mktemp("cache")
    for batch in batches[:-1]:
        EmbeddingCache(folder).encode(Hashed(), batch)
    EmbeddingCache(folder).encode(Hashed(), [])
    before = [path.stat().st_size for path in files(folder)] if batches[:-1] else [0, 0]
    EmbeddingCache(folder).encode(Hashed(), batches[-1])
    # Vectors are written first: the file of keys may end anywhere in the last batch, or that of vectors when no key was written.
    keys, vectors = files(folder)
    if data.draw(st.booleans()):
        os.truncate(keys, data.draw(st.integers(before[0], keys.stat().st_size)))
    else:
        os.truncate(keys, before[0])
        os.truncate(vectors, data.draw(st.integers(before[1], vectors.stat().st_size)))
    kept = keys.stat().st_size // _KEY.itemsize
    cache = EmbeddingCache(folder)
    everything = [text for batch in batches for text in batch]
    for _ in range(2):
        np.testing.assert_array_equal(cache.encode(Hashed(), everything), plain(everything))
    assert cache.rows(Hashed()) == len(set(everything)) >= kept
    silent = Hashed()
    np.testing.assert_array_equal(EmbeddingCache(folder).encode(silent, everything), plain(everything))
    assert silent.asked == []


_WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_encoder_cache import Hashed
from plaudit.lm import EmbeddingCache
cache = EmbeddingCache({folder!r})
print("ready", flush=True)
for k in range(10**6):
    cache.encode(Hashed(), [f"{{k}}/{{j}}" for j in range(50)])
"""


def test_writers_killed_in_the_middle_leave_only_right_rows(tmp_path):
    code = _WRITER.format(tests=os.path.dirname(__file__), folder=str(tmp_path))
    for delay in (0.02, 0.05, 0.11):
        writers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        time.sleep(delay)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
    cache, encoder = EmbeddingCache(tmp_path), Hashed()
    rows = cache.rows(encoder)
    assert rows >= 50
    texts = [f"{k}/{j}" for k in range(rows // 50 + 1) for j in range(50)]
    np.testing.assert_array_equal(cache.encode(encoder, texts), plain(texts))
    assert len(encoder.asked) < len(texts), "what was written before the kill is found"


def _fill(folder, own):
    cache = EmbeddingCache(folder)
    for k in range(20):
        texts = [f"shared {k}", f"{own} {k}"]
        if not np.array_equal(cache.encode(Hashed(), texts), plain(texts)):
            os._exit(1)


def test_processes_and_threads_may_write_at_once(tmp_path):
    EmbeddingCache(tmp_path).encode(Hashed(), ["first"])
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_fill, args=(tmp_path, k)) for k in range(3)]
    for process in processes:
        process.start()
    shared = EmbeddingCache(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        blocks = list(pool.map(lambda k: shared.encode(Hashed(), [f"shared {k % 20}", f"thread {k}"]), range(80)))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for k, block in enumerate(blocks):
        np.testing.assert_array_equal(block, plain([f"shared {k % 20}", f"thread {k}"]))
    silent = Hashed()
    everything = ["first", *(f"{who} {k}" for who in ("shared", 0, 1, 2) for k in range(20)), *(f"thread {k}" for k in range(80))]
    np.testing.assert_array_equal(EmbeddingCache(tmp_path).encode(silent, everything), plain(everything))
    assert silent.asked == []


def test_a_folder_that_goes_away_is_warned_of_once_and_never_fails_a_call(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache")
    cache.encode(Hashed(), ["a"])
    shutil.rmtree(tmp_path / "cache")
    with pytest.warns(UserWarning, match="cannot be written"):
        got = cache.encode(Hashed(), ["b"])
    np.testing.assert_array_equal(got, plain(["b"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(cache.encode(Hashed(), ["c", "a"]), plain(["c", "a"]))


def test_what_cannot_be_kept_or_read_is_refused(tmp_path):
    class Nameless(Hashed):
        version = None

    with pytest.raises(SpecError, match="has no version"):
        EmbeddingCache(tmp_path).encode(Nameless(), ["a"])
    with pytest.raises(SpecError, match="float16"):
        EmbeddingCache(tmp_path, "int8")
    with pytest.raises(SpecError, match="batch"):
        EmbeddingCache(tmp_path).encode_stream(Hashed(), ["a"], batch=0)
    with pytest.raises(DataError, match=r"texts\[1\] is int"):
        EmbeddingCache(tmp_path).encode(Hashed(), ["a", 1])
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be used"):
        EmbeddingCache(tmp_path / "file").encode(Hashed(), ["a"])


def test_vectors_of_another_length_under_the_same_version_are_refused(tmp_path):
    EmbeddingCache(tmp_path).encode(Hashed(8), ["a"])
    with pytest.raises(RunError, match="dimension"):
        EmbeddingCache(tmp_path).encode(Hashed(16), ["a"])


def test_texts_that_are_no_unicode_have_digests_of_their_own():
    assert len(np.unique(digests_of(["\ud800", "?", "\ufffd", ""]), axis=0)) == 4
