import ml_dtypes
import numpy as np
import pytest

from labse.errors import InputError
from labse.search import unit_vectors
from labse.search.unit_vectors import UnitVectors

GENERATOR = np.random.default_rng(3)


def all_cosines(one, two):
    rows, columns = np.indices((len(one), len(two))).reshape(2, -1)
    cosines = one.cosines(rows, two, columns)
    return cosines.reshape(len(one), len(two))


@pytest.mark.parametrize("dimension", [1, 2, 3, 16, 33, 768, 1024, 9000])
def test_cosines_are_long_double_ones_rounded(dimension):
    one = GENERATOR.normal(size=(5, dimension)).astype(np.float32)
    two = GENERATOR.normal(size=(7, dimension)).astype(np.float32)
    found = all_cosines(UnitVectors(one, "one"), UnitVectors(two, "two"))
    one, two = one.astype(np.longdouble), two.astype(np.longdouble)
    norms = np.sqrt((one**2).sum(1))[:, None] * np.sqrt((two**2).sum(1))
    expected = (one @ two.T / norms).astype(np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dimension", [3, 33, 768, 9000])
def test_bits_depend_on_the_two_vectors_only(monkeypatch, dimension):
    vectors = GENERATOR.normal(size=(9, dimension)).astype(np.float32)
    copies = np.concatenate([vectors, vectors[::-1], vectors[4:5]])
    once = all_cosines(UnitVectors(vectors, "one"), UnitVectors(vectors, "two"))
    np.testing.assert_array_equal(once, once.T)
    np.testing.assert_array_equal(np.diag(once), 1)
    monkeypatch.setattr(unit_vectors, "ROWS", 2)
    again = all_cosines(UnitVectors(copies, "one"), UnitVectors(copies, "two"))
    np.testing.assert_array_equal(again[:9, :9], once)
    np.testing.assert_array_equal(again[9:18, 9:18], once[::-1, ::-1])
    np.testing.assert_array_equal(again[18, :9], once[4])


@pytest.mark.parametrize(
    "dtype, scales",
    [
        (np.float64, [1e-320, 1e-200, 1, 1e200, 4e307]),
        (np.float32, [1e-43, 1e-30, 1, 1e30, 1e37]),
        (np.float16, [1e-6, 1, 1e4]),
        (ml_dtypes.bfloat16, [1e-38, 1, 1e38]),
    ],
)
def test_huge_and_tiny_vectors(dtype, scales):
    # 3, 4 and 1 times such a number: cosines are those of small integers, but
    # for the rounding of the number itself.
    triangle = np.array([[3, 0], [0.75, 1]])
    for scale in scales:
        vectors = (triangle * scale).astype(dtype)
        as_units = UnitVectors(vectors, "query")
        cosines = all_cosines(as_units, as_units)
        # The rounded vectors, brought near 1 without loss.
        exact = vectors.astype(np.float64)
        exact = exact / np.abs(exact).max(axis=1, keepdims=True)
        exact /= np.sqrt((exact**2).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(cosines, exact @ exact.T, rtol=1e-7)
        norms = np.linalg.norm(as_units.unit(slice(None)), axis=1)
        np.testing.assert_allclose(norms, 1, rtol=1e-14)


def test_integers_are_vectors_too():
    vectors = UnitVectors([[3, 4], [1, 0]], "query")
    np.testing.assert_array_equal(
        all_cosines(vectors, vectors), np.float32([[1, 0.6], [0.6, 1]])
    )
    assert len(vectors) == 2 and vectors.dimension == 2


@pytest.mark.parametrize("dtype", [str, complex])
def test_what_are_no_real_numbers(dtype):
    vectors = np.ones([2, 2]).astype(dtype)
    with pytest.raises(InputError, match="Embeddings must be real numbers. Re"):
        unit_vectors.check_embeddings(vectors, "text")


def test_rows_are_counted_over_all_blocks(monkeypatch):
    monkeypatch.setattr(unit_vectors, "ROWS", 2)
    bad = np.ones([7, 2], ml_dtypes.bfloat16)
    bad[3, 1], bad[6, 0] = np.nan, np.inf
    with pytest.raises(
        InputError, match="row 3 of the text embeddings is not finite .2 of 7"
    ):
        unit_vectors.check_embeddings(bad, "text")


def test_nothing_is_copied_from_a_memory_map(tmp_path):
    path = tmp_path / "vectors.npy"
    np.save(path, np.float16([[3, 4], [5, 12], [8, 15]]))
    mapped = np.load(path, mmap_mode="r")
    vectors = UnitVectors(mapped, "query")
    np.testing.assert_array_equal(
        vectors.unit(slice(1, 2)), np.array([[5, 12]]) / 13
    )
    checked = unit_vectors.check_embeddings(mapped, "query")
    assert np.shares_memory(checked, mapped)
