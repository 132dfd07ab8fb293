import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from labse.errors import InputError
from labse.evaluation import retrieval
from labse.search import exact_search


def _planted(vectors: dict[str, list[float]]):
    """An encode_fn that knows the vector of each text."""
    return lambda texts: np.array([vectors[text] for text in texts], np.float32)


def test_nearest_worked_by_hand():
    # Cosines of (1, 0) with the candidates: 0.6, 1, 0, and of (0, 2): 0.8, 0, 1
    queries = np.array([[1, 0], [0, 2]], np.float32)
    candidates = np.array([[0.6, 0.8], [5, 0], [0, 0.1]], np.float32)
    indices, scores = exact_search.exact_search(queries, candidates, k=2)
    assert indices.dtype == np.int64 and scores.dtype == np.float32
    np.testing.assert_array_equal(indices, [[1, 0], [2, 0]])
    np.testing.assert_allclose(scores, [[1, 0.6], [1, 0.8]], atol=1e-7)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("blocks", [(7, 11), (1, 3), (2048, 4096)])
def test_nearest_equals_brute_force_whatever_the_blocks(monkeypatch, k, blocks):
    monkeypatch.setattr(exact_search, "QUERY_BLOCK", blocks[0])
    monkeypatch.setattr(exact_search, "CANDIDATE_BLOCK", blocks[1])
    generator = np.random.default_rng(5)
    queries = generator.normal(size=(40, 16)).astype(np.float32)
    candidates = generator.normal(size=(101, 16)).astype(np.float32)
    indices, scores = exact_search.exact_search(queries, candidates, k)
    peer = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
    distances, expected = peer.fit(candidates).kneighbors(queries)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(scores, 1 - distances, atol=1e-6)


@pytest.mark.parametrize("block", [2, 5, 4096])
def test_among_equal_scores_the_lowest_index_comes_first(monkeypatch, block):
    monkeypatch.setattr(exact_search, "CANDIDATE_BLOCK", block)
    generator = np.random.default_rng(6)
    distinct = generator.normal(size=(9, 33)).astype(np.float32)
    candidates = np.concatenate([distinct, distinct, distinct])
    indices, _ = exact_search.exact_search(distinct, candidates, k=3)
    rows = np.arange(9)
    np.testing.assert_array_equal(
        indices, np.stack([rows, rows + 9, rows + 18], axis=1)
    )


@pytest.mark.parametrize("num_queries", [1, 2, 3, 7])
@pytest.mark.parametrize("num_candidates", [3, 9, 13, 50])
@pytest.mark.parametrize("dimension", [16, 33])
def test_copies_of_one_vector_tie(num_queries, num_candidates, dimension):
    # The last bits of a BLAS product depend on where in the matrix it stands:
    # a plain matmul, in float32 or float64, fails about half of these.
    generator = np.random.default_rng(0)
    queries = generator.normal(size=(num_queries, dimension)).astype("f")
    vector = generator.normal(size=(1, dimension)).astype(np.float32)
    candidates = np.repeat(vector, num_candidates, axis=0)
    indices, scores = exact_search.exact_search(queries, candidates, k=3)
    np.testing.assert_array_equal(indices, [[0, 1, 2]] * num_queries)
    np.testing.assert_array_equal(scores[:, 0], scores[:, 2])


def test_input_is_not_changed():
    vectors = np.array([[3, 4], [1, 0]], np.float32)
    before = vectors.copy()
    exact_search.exact_search(vectors, vectors, k=2)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize(
    "value, what",
    [(np.nan, "not finite"), (-np.inf, "not finite"), (0, "zero")],
)
def test_bad_embedding_is_named(value, what):
    good = np.ones([5, 2], np.float32)
    bad = good.copy()
    bad[3] = value
    with pytest.raises(
        InputError, match=f"row 3 of the candidate embeddings is {what} .1 of 5"
    ):
        exact_search.exact_search(good, bad)
    with pytest.raises(InputError, match="row 3 of the query embeddings"):
        exact_search.exact_search(bad, good)


def test_one_nan_among_large_numbers_is_found():
    bad = np.full([2, 3], 7, np.float32)
    bad[1, 0] = np.nan
    with pytest.raises(InputError, match="row 1 of the query .* not finite"):
        exact_search.exact_search(bad, np.ones([1, 3], np.float32))


def test_shapes_are_checked():
    ones = np.ones([2, 3], np.float32)
    with pytest.raises(InputError, match=r"must be \[n, dim\].*shape \[3\]"):
        exact_search.exact_search(ones, ones[0])
    with pytest.raises(InputError, match="Received 3 and 2 dimensions"):
        exact_search.exact_search(ones, ones[:, :2])
    with pytest.raises(InputError, match="candidates, 2. Received: 3"):
        exact_search.exact_search(ones, ones, k=3)


def test_each_distinct_text_is_encoded_once():
    calls = []

    def encode(texts):
        calls.append(texts)
        return np.array([[len(text), 1] for text in texts], np.float32)

    embeddings = retrieval.TextEmbeddings(encode, ["b", "aa", "b", "aa", "c"])
    assert calls == [["b", "aa", "c"]]
    np.testing.assert_array_equal(
        embeddings(["aa", "b", "aa"]), [[2, 1], [1, 1], [2, 1]]
    )


def test_encoder_that_loses_a_text():
    with pytest.raises(InputError, match=r"\[1, .*\] for 2 texts"):
        retrieval.TextEmbeddings(lambda texts: np.ones([1, 4]), ["a", "b"])
    with pytest.raises(InputError, match="no text"):
        retrieval.TextEmbeddings(lambda texts: np.ones([1, 4]), [])


def test_match_says_what_was_found_and_what_was_expected():
    embeddings = retrieval.TextEmbeddings(
        _planted({"Hund": [1, 0], "dog": [0.6, 0.8], "cat": [0.8, 0.6]}),
        ["Hund", "dog", "cat"],
    )
    [match] = retrieval.match_distinct(
        embeddings, [("Hund", "dog")], candidates=["dog", "cat"]
    )
    assert (match.query, match.found, match.expected) == ("Hund", "cat", "dog")
    assert match.found_index == 1
    assert match.score == pytest.approx(0.8, abs=1e-6)
    assert match.expected_score == pytest.approx(0.6, abs=1e-6)
    assert not match.is_right


def test_any_of_a_querys_translations_is_right():
    # "bank" lies nearest to "Ufer", its second translation.
    embeddings = retrieval.TextEmbeddings(
        _planted({"bank": [1, 0], "Bank": [0, 1], "Ufer": [1, 0.1]}),
        ["bank", "Bank", "Ufer"],
    )
    pairs = [("bank", "Bank"), ("bank", "Ufer")]
    [match] = retrieval.match_distinct(embeddings, pairs)
    assert match.found == "Ufer" and match.is_right
    # Control: without that pair it is a mistake.
    [match] = retrieval.match_distinct(
        embeddings, pairs[:1], candidates=["Bank", "Ufer"]
    )
    assert not match.is_right


def right(encode_fn, pairs):
    embeddings = retrieval.TextEmbeddings(
        encode_fn, [text for pair in pairs for text in pair]
    )
    return [
        [match.is_right for match in retrieval.match_distinct(embeddings, way)]
        for way in (pairs, retrieval.backwards(pairs))
    ]


def test_pairs_by_hand():
    # a->x right; b->x wrong (b is nearer to x than to y); c->z right.
    # x->a right; y->b right; z->c right.
    vectors = {
        **{"a": [1, 0, 0], "b": [0.8, 0.6, 0], "c": [0, 0, 1]},
        **{"x": [1, 0.1, 0], "y": [0, 1, 0], "z": [0, 0.1, 1]},
    }
    pairs = [("a", "x"), ("b", "y"), ("c", "z")]
    assert right(_planted(vectors), pairs) == [
        [True, False, True],
        [True, True, True],
    ]


def test_a_text_twice_is_one_query():
    # Two lines share their source: a perfect encoder must be right both ways.
    vectors = {"a": [1, 0], "b": [0, 1], "x": [1, 0], "X": [1, 0], "y": [0, 1]}
    pairs = [("a", "x"), ("a", "X"), ("b", "y"), ("b", "y")]
    assert right(_planted(vectors), pairs) == [[True] * 2, [True] * 3]


@pytest.mark.parametrize("vectors", [None, 3.0])
def test_what_are_no_vectors(vectors):
    with pytest.raises(InputError, match=r"vectors? for|must be \[n, dim\]"):
        retrieval.TextEmbeddings(lambda texts: vectors, ["a"])
