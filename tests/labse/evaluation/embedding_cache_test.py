"""Vectors on disk: asked for once, whole after a kill, by model."""

import errno
import os

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
    for content in (part.read_bytes()[:50], b""):
        part.write_bytes(content)
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


@pytest.mark.parametrize(
    "module, name, what",
    [
        (os, "posix_fallocate", "vectors of 6 texts"),
        (np, "savez", "5 vectors"),
    ],
)
def test_a_full_disk_is_an_error(tmp_path, monkeypatch, module, name, what):
    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, name, full)
    encode = embedding_cache.cached(Encoder(), tmp_path, "1" * 64)
    with pytest.raises(InputError, match=f"{what}, .* No space left on device"):
        encode(TEXTS)
    assert not list(tmp_path.glob("*/*"))


def test_room_is_taken_before_it_is_written(tmp_path, monkeypatch):
    """Holes in a file would kill the process when the disk is full."""
    taken = []

    def take(descriptor, offset, size):
        assert os.fstat(descriptor).st_size == 0
        taken.append((offset, size))

    monkeypatch.setattr(os, "posix_fallocate", take)
    embedding_cache.cached(Encoder(), tmp_path, "1" * 64)(TEXTS)
    assert taken == [(0, 6 * 2 * 4)]


@pytest.mark.parametrize("made", [np.ones([1, 1], np.float32), np.ones([1, 2])])
def test_vectors_of_another_encoder_are_refused(tmp_path, made):
    embedding_cache.cached(Encoder(), tmp_path, "1" * 64)(["a"])
    encode = embedding_cache.cached(lambda _: made, tmp_path, "1" * 64)
    with pytest.raises(InputError, match=r"float32 \[1, 2\]\. Received"):
        encode(["a", "b"])
    assert len(list(tmp_path.glob("*/*"))) == 1


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
