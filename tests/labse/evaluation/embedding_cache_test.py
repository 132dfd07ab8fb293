"""Vectors on disk: asked for once, whole after a kill, by model."""

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
