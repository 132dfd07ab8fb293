"""Vectors on disk: asked for once, whole after a kill, by model."""

import shutil

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation import embedding_cache


class Encoder:
    """Counts what it is asked; a text's vector is made of its letters."""

    def __init__(self, dies_after=None):
        self.asked = []
        self.dies_after = dies_after

    def __call__(self, texts):
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += texts
        return np.array([[len(t), t.count("a")] for t in texts], np.float32)


TEXTS = ["banana", "b", "aa", "a\ud800", "", "b"]
EXPECTED = [[6, 3], [1, 0], [2, 2], [2, 1], [0, 0], [1, 0]]


def test_no_text_is_encoded_twice(tmp_path):
    encoder = Encoder()
    encode = embedding_cache.cached(encoder, tmp_path, "1" * 64)
    np.testing.assert_array_equal(encode(TEXTS), EXPECTED)
    assert sorted(encoder.asked) == sorted(set(TEXTS))
    again = Encoder()
    encode = embedding_cache.cached(again, tmp_path, "1" * 64)
    np.testing.assert_array_equal(encode(TEXTS[::-1]), EXPECTED[::-1])
    np.testing.assert_array_equal(encode(["new"]), [[3, 0]])
    assert again.asked == ["new"]


def test_another_model_is_asked_anew(tmp_path):
    for number in (1, 2):
        encoder = Encoder()
        fingerprint = str(number) * 64
        embedding_cache.cached(encoder, tmp_path, fingerprint)(["a"])
        assert encoder.asked == ["a"]


def test_what_was_killed_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "PART_TEXTS", 2)
    with pytest.raises(KeyboardInterrupt):
        embedding_cache.cached(Encoder(2), tmp_path, "1" * 64)(TEXTS)
    encoder = Encoder()
    encode = embedding_cache.cached(encoder, tmp_path, "1" * 64)
    np.testing.assert_array_equal(encode(TEXTS), EXPECTED)
    assert len(encoder.asked) == 3  # Of five, the first two were kept.


def test_a_damaged_part_is_named(tmp_path):
    embedding_cache.cached(Encoder(), tmp_path, "1" * 64)(["a"])
    [part] = tmp_path.glob("*/part-*.npz")
    part.write_bytes(part.read_bytes()[:50])
    encode = embedding_cache.cached(Encoder(), tmp_path, "1" * 64)
    with pytest.raises(InputError, match="is no part of a cache"):
        encode(["a"])


def test_parts_are_filled_into_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_cache, "PART_TEXTS", 3)
    texts = [f"{'a' * (n % 7)}{'b' * (n % 5)}" for n in range(50)]
    expected = Encoder()(texts)
    some = texts[10:30][::-1]
    embedding_cache.cached(Encoder(), tmp_path, "1" * 64)(some)
    encoder = Encoder()
    encode = embedding_cache.cached(encoder, tmp_path, "1" * 64)
    np.testing.assert_array_equal(encode(texts), expected)
    # Each distinct text that was not there, once and in order.
    new = dict.fromkeys(text for text in texts if text not in some)
    assert encoder.asked == list(new)


def test_vectors_are_mapped_and_leave_no_file(tmp_path):
    encode = embedding_cache.cached(Encoder(), tmp_path, "1" * 64)
    vectors = encode(TEXTS)
    assert isinstance(vectors.base, np.memmap)
    assert [path.name[:5] for path in tmp_path.glob("*/*")] == ["part-"]
    np.testing.assert_array_equal(vectors, EXPECTED)


def test_a_full_disk_is_told_before_it_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    encode = embedding_cache.cached(Encoder(), tmp_path, "1" * 64)
    with pytest.raises(InputError, match="vectors of 6 texts: 0.0 GB"):
        encode(TEXTS)


def test_no_text_is_refused(tmp_path):
    encode = embedding_cache.cached(Encoder(), tmp_path, "1" * 64)
    with pytest.raises(InputError, match="no text"):
        encode([])


def test_vectors_must_fit_the_texts(tmp_path):
    encode = embedding_cache.cached(
        lambda texts: np.ones([1, 2]), tmp_path, "1" * 64
    )
    with pytest.raises(InputError, match=r"\[1, 2\] for 5 texts"):
        encode(TEXTS)
