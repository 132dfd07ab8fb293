"""Against whole matrices, with blocks so small that each has borders."""

import numpy as np
import pytest

from labse.evaluation import pool_search, retrieval


def _texts(name, number):
    return [f"{name}{index}" for index in range(number)]


def _embed(queries, candidates, dim=3, seed=0):
    """Random vectors, of so few values that many cosines are equal."""
    generator = np.random.default_rng(seed)
    texts = list(dict.fromkeys([*queries, *candidates]))
    vectors = generator.integers(-1, 2, [len(texts), dim]).astype(np.float32)
    vectors[:, 0] += 2.5
    return retrieval.TextEmbeddings(lambda _: vectors, texts)


def _matrix(embeddings, queries, candidates):
    rows, columns = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (
            embeddings(queries).astype(np.float64),
            embeddings(candidates).astype(np.float64),
        )
    )
    return (rows @ columns.T).astype(np.float32)


@pytest.fixture(params=[1, 3, 1000])
def block(request, monkeypatch):
    for name in ("BLOCK", "SCORE_ROWS", "SCORE_COLUMNS"):
        monkeypatch.setattr(pool_search, name, request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("k", [1, 4, 99])
def test_nearest(k):
    queries = _texts("q", 10)
    candidates = [*_texts("c", 20), "c3", "c3"]  # Two of them again.
    embeddings = _embed(queries, candidates)
    indices, scores = pool_search.nearest(embeddings, queries, candidates, k)
    matrix = _matrix(embeddings, queries, candidates)
    expected = np.argsort(-matrix, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(
        scores, np.take_along_axis(matrix, expected, 1)
    )
    assert (indices.dtype, scores.dtype) == (np.int64, np.float32)


@pytest.mark.usefixtures("block")
def test_cosines():
    queries, candidates = _texts("q", 10), _texts("c", 10)
    embeddings = _embed(queries, candidates)
    np.testing.assert_array_equal(
        pool_search.cosines(embeddings, queries, candidates),
        _matrix(embeddings, queries, candidates).diagonal(),
    )


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("extra", [0, 25])
def test_accuracy_by_size_is_the_definition(monkeypatch, seed, extra):
    every = list(range(1, 41 + extra))
    monkeypatch.setattr(pool_search, "_sizes", lambda _: every)
    queries, candidates = _texts("q", 40), _texts("c", 40 + extra)
    embeddings = _embed(queries, candidates, dim=8, seed=seed)
    matrix = _matrix(embeddings, queries, candidates)
    points = pool_search.accuracy_by_size(
        embeddings,
        queries,
        candidates,
        matrix.argmax(axis=1),
        matrix[:, :40].diagonal(),
    )
    assert [size for size, _ in points] == every
    for size, accuracy in points:
        right = 0
        for query in range(40):
            others = [line for line in range(40 + extra) if line != query]
            pool = sorted([query, *others[: int(size) - 1]])
            right += pool[matrix[query, pool].argmax()] == query
        assert accuracy == right / 40
    assert points[0][1] == 1 > points[9][1] > points[-1][1]


def test_one_query_and_one_candidate():
    embeddings = retrieval.TextEmbeddings(lambda _: np.ones([2, 2]), ["q", "c"])
    assert pool_search.accuracy_by_size(
        embeddings, ["q"], ["c"], np.array([0]), np.ones(1, np.float32)
    ) == [(1.0, 1.0)]


@pytest.mark.parametrize(
    "largest, expected",
    [
        (1, [1]),
        (10, [10]),
        (11, [10, 11]),
        (1000, [10, 30, 100, 300, 1000]),
        (4000, [10, 30, 100, 300, 1000, 3000, 4000]),
    ],
)
def test_sizes(largest, expected):
    assert pool_search._sizes(largest) == expected
