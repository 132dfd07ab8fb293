"""Nearest neighbours of texts among many, and accuracy by the size of the pool.

The search is exact. A block of vectors is copied at a time and a block of
scores computed, so that memory beside the vectors grows neither with their
number nor with its square: they may be mapped from a file.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from labse.evaluation import retrieval
from labse.progress import ProgressBar
from labse.search.exact_search import exact_search

# Number of texts whose vectors are copied at a time.
BLOCK = 65_536
# A block of scores in `accuracy_by_size`: 64 MiB.
SCORE_ROWS, SCORE_COLUMNS = 2048, 4096


def nearest(
    embeddings: retrieval.TextEmbeddings,
    queries: Sequence[str],
    candidates: Sequence[str],
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The k candidates of highest cosine for each query, best first.

    Among equal cosines the lowest index comes first, as in
    `exact_search`. Equal candidates are separate neighbours.

    Returns:
      indices int64 [n, min(k, m)] into the candidates, and cosines float32
      [n, min(k, m)].
    """
    scores = len(queries) * len(candidates)
    with retrieval.progress_bar(scores, "scores") as bar:
        found = [
            _nearest_of_block(embeddings, some, candidates, k, bar)
            for some in _blocks(queries, BLOCK)
        ]
    return (
        np.concatenate([indices for indices, _ in found]),
        np.concatenate([scores for _, scores in found]),
    )


def _nearest_of_block(
    embeddings: retrieval.TextEmbeddings,
    queries: Sequence[str],
    candidates: Sequence[str],
    k: int,
    bar: ProgressBar,
) -> tuple[np.ndarray, np.ndarray]:
    vectors = embeddings(queries)
    indices = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    offset = 0
    for part in _blocks(candidates, BLOCK):
        more, more_scores = exact_search(
            vectors, embeddings(part), min(k, len(part))
        )
        indices = np.concatenate([indices, more + offset], axis=1)
        scores = np.concatenate([scores, more_scores], axis=1)
        offset += len(part)
        bar.update(len(queries) * len(part))
        # Stable: of equal cosines the lower index is first already.
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        indices = np.take_along_axis(indices, order, 1)
        scores = np.take_along_axis(scores, order, 1)
    return indices, scores


def cosines(
    embeddings: retrieval.TextEmbeddings,
    one: Sequence[str],
    other: Sequence[str],
) -> np.ndarray:
    """float32 [n]: the cosine of text i of `one` with text i of `other`."""
    return np.concatenate(
        [
            np.einsum(
                "nd,nd->n",
                _unit_vectors(embeddings, some),
                _unit_vectors(embeddings, others),
            )
            for some, others in zip(
                _blocks(one, BLOCK), _blocks(other, BLOCK), strict=True
            )
        ]
    ).astype(np.float32)


def accuracy_by_size(
    embeddings: retrieval.TextEmbeddings,
    queries: Sequence[str],
    candidates: Sequence[str],
    found: np.ndarray,
    own: np.ndarray,
) -> list[tuple[float, float]]:
    """The accuracy among 10, 30, 100, ... candidates, and among all.

    Candidate i is the translation of query i. A query's pool of size m is its
    own translation and the first m - 1 other candidates: the query is right
    as long as no rival, a candidate that is nearer, is among these.

    Args:
      candidates: m >= n texts.
      found: int [n], the nearest of all the candidates.
      own: float32 [n], the cosine of each query and its translation.

    Returns:
      (number of candidates, accuracy), the last of all m.
    """
    lines = np.arange(len(queries))
    # Number of other candidates before the first rival; all if there is none.
    before = np.full(len(queries), len(candidates))
    wrong = np.flatnonzero(found != lines)
    for rows in _blocks(wrong, SCORE_ROWS):
        first = _first_rivals(
            embeddings, queries, candidates, rows, found[rows], own[rows]
        )
        before[rows] = first - (first > rows)
    return [
        (float(size), float(np.mean(before >= size - 1)))
        for size in _sizes(len(candidates))
    ]


def _sizes(largest: int) -> list[int]:
    sizes = [
        factor * 10**power
        for power in range(1, len(str(largest)))
        for factor in (1, 3)
    ]
    return [*(size for size in sizes if size < largest), largest]


def _first_rivals(
    embeddings: retrieval.TextEmbeddings,
    queries: Sequence[str],
    candidates: Sequence[str],
    rows: np.ndarray,
    found: np.ndarray,
    own: np.ndarray,
) -> np.ndarray:
    """The lowest candidate nearer than the translation: int64 [w].

    `rows` [w] are the queries that have a rival; `found` and `own` [w] are
    theirs, as in `accuracy_by_size`.
    """
    vectors = _unit_vectors(embeddings, [queries[row] for row in rows])
    first = found.copy()  # The nearest is a rival; another may be before it.
    offset = 0
    for part in _blocks(candidates, SCORE_COLUMNS):
        rest = np.flatnonzero(first > offset)
        if not len(rest):
            break
        # In float64, rounded to float32, as exact_search compares.
        scores = vectors[rest] @ _unit_vectors(embeddings, part).T
        scores = scores.astype(np.float32)  # [rest, part]
        columns = np.arange(offset, offset + len(part))
        row, own_score = rows[rest, None], own[rest, None]
        # Of equal cosines the lower line counts as found.
        is_rival = (scores > own_score) & (columns != row)
        is_rival |= (scores == own_score) & (columns < row)
        some = is_rival.any(axis=1)
        first[rest[some]] = np.minimum(
            first[rest[some]], offset + is_rival[some].argmax(axis=1)
        )
        offset += len(part)
    return first


def _blocks(texts: Sequence, size: int) -> Iterator[Sequence]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _unit_vectors(
    embeddings: retrieval.TextEmbeddings, texts: Sequence[str]
) -> np.ndarray:
    """float64 [n, dim], unit length."""
    vectors = embeddings(texts).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
