"""Nearly the nearest neighbours, of more vectors than exact search can pass.

Vectors are sorted into lists, each around a centre, and written down in short
codes; a query looks into the lists of its nearest centres only (an inverted
file, IVF). What it finds there is ranked again with the vectors themselves. The
index is FAISS' (https://faiss.ai), of one of two kinds:

    sq8   a byte for each dimension, 8-bit scalar quantisation
    pq    a byte for each 12 dimensions at most: product quantisation after
          a rotation (OPQ)

It is made by `labse.search.approximate_index`: `train` once, `populate` for
each shard of the vectors, `merge`. `search` then maps its files.

The result is the same whatever the shards and however the queries are cut into
blocks. FAISS alone does not give that: the last bits of its matrix products
depend on the block that a row stands in, and so do the list it is sorted into
and the lists it looks at. Here all that several rows go through together is
`exact_search` or as stable as that: the nearest centres and the rotation.
FAISS does the rest, row by row: coding, and scanning lists whose order is that
of the vectors. That holds between processors whose FAISS uses the same
instructions (AVX2 or AVX512, say), so the machines of a cluster must be alike.

NumPy at module level; FAISS is imported where it is needed.
"""

import os
from collections.abc import Callable

import numpy as np

from labse.errors import InputError
from labse.files.vector_shards import VectorShards
from labse.search.approximate_index import (
    KINDS,
    Opened,
    check_dimension,
    merge,
    open_index,
    populate,
    train,
)
from labse.search.directions import Directions
from labse.search.exact_search import exact_search

__all__ = ("KINDS", "measure_recall", "merge", "populate", "search", "train")

DEFAULT_PROBES = 64
DEFAULT_CANDIDATES = {"sq8": 16, "pq": 128}
# A row that is not settled looks into so many times more lists, for so many
# times more candidates, at most so often; then at all vectors.
MORE, ATTEMPTS = 8, 3

# Queries that are searched at once.
_ROWS = 8192
# Candidates whose vectors are gathered at once; 768 float32: 50 MB.
_GATHERED = 2**14


def search(
    folder: str | os.PathLike,
    queries: np.ndarray,
    vectors: VectorShards,
    k: int,
    num_probes: int | None = None,
    num_candidates: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Nearly the k vectors of highest cosine for each query, best first.

    The cosines are those of `exact_search`, to the last bit, and of equal ones
    the lowest row comes first. A query's result depends on no other query.

    A row is settled when k of its candidates have a higher score in FAISS than
    the last one, so that no tie was cut. If not (fewer than k in the lists
    looked at, or a crowd of copies), it looks into more lists for more
    candidates, and in the end at all vectors.

    Args:
      folder: that of `merge`.
      queries: float [n, dim], of any length but zero.
      vectors: float [m, dim], those in the index; for ranking.
      k: at most m.
      num_probes: lists that each query looks into; `DEFAULT_PROBES`.
      num_candidates: how many of them are ranked again, 2 k at least;
        `DEFAULT_CANDIDATES` of the kind.
      progress: called with the number of queries done since the last call.

    Returns:
      indices int64 [n, k] into the vectors, and cosines float32 [n, k].

    Raises:
      InputError: the index is not of these vectors, a query is not finite or
        is zero, or the shapes do not fit.
    """
    opened = open_index(folder)
    queries = np.asarray(queries)
    _check_search(opened, queries, vectors, k)
    probes = DEFAULT_PROBES if num_probes is None else num_probes
    candidates = num_candidates or DEFAULT_CANDIDATES[opened.kind]
    indices = np.empty((len(queries), k), np.int64)
    cosines = np.empty((len(queries), k), np.float32)
    rest = np.arange(len(queries))
    for attempt in range(ATTEMPTS):
        times = MORE**attempt
        left = []
        # No more results at once than in the first attempt.
        step = max(1, _ROWS // times)
        for start in range(0, len(rest), step):
            rows = rest[start : start + step]
            found, is_settled = _candidates(
                opened,
                queries[rows],
                k,
                min(probes * times, len(opened.centres)),
                min(max(candidates, 2 * k) * times, len(vectors)),
            )
            left.append(rows[~is_settled])
            rows, found = rows[is_settled], found[is_settled]
            indices[rows], cosines[rows] = rank(
                queries[rows], found, vectors, k
            )
            if progress:
                progress(len(rows))
        rest = np.concatenate([rest[:0], *left])
    if len(rest):
        indices[rest], cosines[rest] = exact_search(queries[rest], vectors, k)
        if progress:
            progress(len(rest))
    return indices, cosines


def measure_recall(
    folder: str | os.PathLike,
    queries: np.ndarray,
    vectors: VectorShards,
    k: int,
    num_probes: int | None = None,
    num_candidates: int | None = None,
) -> float:
    """The share of the k nearest that `search` finds, for a sample of queries.

    What has the cosine of the k-th nearest or a higher one counts as found:
    which of two copies it is does not matter.

    Args:
      folder: that of `merge`.
      queries: float [n, dim], the sample, at least one.
      vectors: float [m, dim], all that is in the index; each query is compared
        with each.
      k: at most m.
      num_probes: as `search`.
      num_candidates: as `search`.
    """
    found = search(folder, queries, vectors, k, num_probes, num_candidates)
    nearest = exact_search(queries, vectors, k)
    return float(np.mean(found[1] >= nearest[1][:, -1:]))


def _candidates(
    opened: Opened, queries: np.ndarray, k: int, probes: int, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """What FAISS finds: int64 [n, candidates], -1 for none; is_settled [n]."""
    points = opened.points(queries, "query")
    lists, cosines = exact_search(points, opened.centres, probes)
    opened.inverted.nprobe = probes
    scores, found = opened.inverted.search_preassigned(
        points, candidates, lists, cosines
    )
    # Where not all places were filled, nothing was cut off.
    cut = np.where(found[:, -1] < 0, -np.inf, scores[:, -1])
    is_above = (scores > cut[:, None]) & (found >= 0)
    is_whole = candidates == opened.index.ntotal
    is_settled = is_above.sum(axis=1) >= k
    return found, is_settled | (is_whole & (found[:, -1] >= 0))


def rank(
    queries: np.ndarray, found: np.ndarray, vectors: VectorShards, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k of highest cosine among some candidates of each query.

    Args:
      queries: float [n, dim].
      found: int64 [n, c], rows of the vectors, -1 for none; k or more of each.
      vectors: float [m, dim].
      k: how many are kept.

    Returns:
      indices int64 [n, k] and cosines float32 [n, k], the best first.
    """
    indices = np.empty((len(found), k), np.int64)
    cosines = np.empty((len(found), k), np.float32)
    step = max(1, _GATHERED // found.shape[1])
    for start in range(0, len(found), step):
        block = found[start : start + step]
        row, place = np.nonzero(block >= 0)
        rows, number = np.unique(block[row, place], return_inverse=True)
        asking = Directions(queries[start : start + step], "query")
        gathered = Directions(vectors[rows], "candidate")
        scores = np.full(block.shape, -np.inf, np.float32)
        scores[row, place] = asking.cosines(row, gathered, number)
        order = np.lexsort((block, -scores), axis=1)[:, :k]
        some = slice(start, start + step)
        indices[some] = np.take_along_axis(block, order, 1)
        cosines[some] = np.take_along_axis(scores, order, 1)
    return indices, cosines


def _check_search(opened, queries, vectors, k) -> None:
    if queries.ndim != 2:
        raise InputError(
            f"Queries must be [n, dim]. Received: shape {list(queries.shape)}."
        )
    check_dimension(opened, queries.shape[1], "queries")
    check_dimension(opened, vectors.shape[1], "vectors")
    if len(vectors) != opened.index.ntotal:
        raise InputError(
            f"The index is of {opened.index.ntotal} vectors. Received: "
            f"{len(vectors)}. Make the index again."
        )
    if not 1 <= k <= len(vectors):
        raise InputError(
            f"k must be between 1 and the number of vectors, {len(vectors)}. "
            f"Received: {k}."
        )
