import numpy as np
import pytest

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.mining.sentence_vectors import embed, split


def texts(start, stop):
    return [str(number) for number in range(start, stop)]


def encode(sentences):
    """Three numbers of a sentence's number, and of how many came with it."""
    numbers = np.array([int(one) for one in sentences], np.float32)
    together = np.full(len(numbers), len(numbers), np.float32)
    return np.stack([numbers + 1, numbers**2, together], axis=1)


def run(path, rows, encode_fn=encode, vector_type="float32"):
    done = []
    embed(encode_fn, texts, rows, vector_type, path, done.append, 10)
    return done


@pytest.mark.parametrize(
    ("sentences", "shards", "expected"),
    [
        (25, 1, [(0, 25)]),
        (25, 2, [(0, 10), (10, 25)]),
        (25, 3, [(0, 10), (10, 20), (20, 25)]),
        (25, 8, [(0, 10), (10, 20), (20, 25)]),
        (1, 8, [(0, 1)]),
        (40, 2, [(0, 20), (20, 40)]),
    ],
)
def test_shards_are_whole_chunks(sentences, shards, expected):
    found = [(r.start, r.stop) for r in split(sentences, shards, 10)]
    assert found == expected


@pytest.mark.parametrize("vector_type", ["float32", "float16"])
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_the_vectors_do_not_depend_on_the_shards(tmp_path, shards, vector_type):
    paths = []
    for rows in split(25, shards, 10):
        paths.append(tmp_path / f"{rows.start}.npy")
        run(paths[-1], rows, vector_type=vector_type)
    vectors = VectorShards(paths)
    expected = np.concatenate(
        [encode(texts(a, b)) for a, b in [(0, 10), (10, 20), (20, 25)]]
    ).astype(vector_type)
    np.testing.assert_array_equal(vectors[:], expected)
    assert vectors.dtype == vector_type and vectors.shape == (25, 3)


@pytest.mark.parametrize("size", [0, 3, 60, 128, 130, 247, 250, 370, 428])
def test_goes_on_after_a_kill_at_any_byte(tmp_path, size):
    whole, cut = tmp_path / "whole.npy", tmp_path / "cut.npy"
    assert sum(run(whole, range(25))) == 25
    content = whole.read_bytes()
    assert len(content) == 128 + 25 * 12
    cut.write_bytes(content[:size])
    asked = []

    def count(sentences):
        asked.extend(sentences)
        return encode(sentences)

    done = run(cut, range(25), count)
    assert cut.read_bytes() == content and sum(done) == 25
    finished = 25 if size == 428 else max(size - 128, 0) // 120 * 10
    assert asked == texts(finished, 25)


def test_a_bad_vector_names_the_sentence_and_keeps_the_chunks(tmp_path):
    def bad(sentences):
        vectors = encode(sentences)
        vectors[[one == "13" for one in sentences]] = np.nan
        return vectors

    path = tmp_path / "v.npy"
    with pytest.raises(InputError, match=r"'13'\) is not finite"):
        run(path, range(25), bad)
    assert path.stat().st_size == 128 + 10 * 12


def test_the_encoder_must_give_one_vector_each(tmp_path):
    with pytest.raises(InputError, match=r"\[10, dim\]. Received: \[9, 3\]"):
        run(tmp_path / "v.npy", range(25), lambda some: encode(some)[1:])


def test_the_encoder_must_keep_its_dimension(tmp_path):
    def grow(some):
        return encode(some) if some[0] == "0" else np.ones((len(some), 4))

    with pytest.raises(InputError, match=r"\[10, 3\]. Received: \[10, 4\]"):
        run(tmp_path / "v.npy", range(25), grow)


def test_mapped_shards_are_like_one_array(tmp_path):
    generator = np.random.default_rng(0)
    array = generator.normal(size=(25, 4)).astype(np.float32)
    paths = []
    for start, stop in [(0, 7), (7, 8), (8, 25)]:
        paths.append(tmp_path / f"{start}.npy")
        np.save(paths[-1], array[start:stop])
    shards = VectorShards(paths)
    assert len(shards) == 25 and shards.starts == [0, 7, 8, 25]
    for rows in [slice(0, 25), slice(3, 9), slice(7, 8), slice(20, 99)]:
        np.testing.assert_array_equal(shards[rows], array[rows])
    assert shards[slice(5, 5)].shape == (0, 4)
    some = np.array([24, 0, 7, 7, 6, 8])
    np.testing.assert_array_equal(shards[some], array[some])
    np.testing.assert_array_equal(shards.rows(some), array[some])
    np.testing.assert_array_equal(shards.shard(2), array[8:])


def test_shards_of_different_kinds_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    np.save(tmp_path / "b.npy", np.ones((2, 4), np.float32))
    with pytest.raises(InputError, match="one dimension and one type"):
        VectorShards([tmp_path / "a.npy", tmp_path / "b.npy"])
